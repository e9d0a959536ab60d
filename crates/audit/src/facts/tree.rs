//! Where in a record the facts stand.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Facts, Listed};

macro_rules! places {
    ($(#[$about:meta])* $name:ident: $($place:ident),* $(,)?) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum $name { $($place),* }

        impl $name {
            pub(super) const COUNT: usize = [$(Self::$place),*].len();
        }
    };
}

places! {
    /// A text of a record.
    Slot: IdentityType, PrincipalId, CallerArn, Signer, UserName, IssuerArn, IssuerName, SessionSourceIdentity, SessionCreated, EventTime,
        EventSource, EventName, Region, SourceAddress, ErrorCode, RequestId, EventId, Recipient, ParameterRoleName, ParameterUserName,
        ParameterPolicyArn, ParameterAccessKeyId, ParameterProviderArn, ParameterName, ParameterClusterName, SourceIdentity, Issued,
        AssumedRoleArn, AssumedRoleId, Subject, TokenId, PodNamespace, PodName, PodUid,
}

places! {
    /// A truth value of a record.
    Flag: ReadOnly, Management,
}

enum Node {
    Text(Slot),
    Flag(Flag),
    Object(&'static [(&'static str, Node)]),
    Resources,
    Actions,
    /// A member of [`Node::Actions`].
    Action,
}

use Node::{Object, Text};

static RECORD: Node = Object(&[
    (
        "userIdentity",
        Object(&[
            ("type", Text(Slot::IdentityType)),
            ("principalId", Text(Slot::PrincipalId)),
            ("arn", Text(Slot::CallerArn)),
            ("accessKeyId", Text(Slot::Signer)),
            ("userName", Text(Slot::UserName)),
            (
                "sessionContext",
                Object(&[
                    (
                        "sessionIssuer",
                        Object(&[("arn", Text(Slot::IssuerArn)), ("userName", Text(Slot::IssuerName))]),
                    ),
                    ("attributes", Object(&[("creationDate", Text(Slot::SessionCreated))])),
                    ("sourceIdentity", Text(Slot::SessionSourceIdentity)),
                ]),
            ),
        ]),
    ),
    ("eventTime", Text(Slot::EventTime)),
    ("eventSource", Text(Slot::EventSource)),
    ("eventName", Text(Slot::EventName)),
    ("awsRegion", Text(Slot::Region)),
    ("sourceIPAddress", Text(Slot::SourceAddress)),
    ("errorCode", Text(Slot::ErrorCode)),
    (
        "requestParameters",
        Object(&[
            ("roleName", Text(Slot::ParameterRoleName)),
            ("userName", Text(Slot::ParameterUserName)),
            ("policyArn", Text(Slot::ParameterPolicyArn)),
            ("accessKeyId", Text(Slot::ParameterAccessKeyId)),
            ("openIDConnectProviderArn", Text(Slot::ParameterProviderArn)),
            ("name", Text(Slot::ParameterName)),
            ("clusterName", Text(Slot::ParameterClusterName)),
            ("sourceIdentity", Text(Slot::SourceIdentity)),
        ]),
    ),
    (
        "responseElements",
        Object(&[
            ("credentials", Object(&[("accessKeyId", Text(Slot::Issued))])),
            (
                "assumedRoleUser",
                Object(&[
                    ("arn", Text(Slot::AssumedRoleArn)),
                    ("assumedRoleId", Text(Slot::AssumedRoleId)),
                ]),
            ),
        ]),
    ),
    (
        "additionalEventData",
        Object(&[(
            "irsa",
            Object(&[
                ("subject", Text(Slot::Subject)),
                ("tokenId", Text(Slot::TokenId)),
                ("actions", Node::Actions),
                (
                    "kubernetes",
                    Object(&[
                        ("namespace", Text(Slot::PodNamespace)),
                        (
                            "pod",
                            Object(&[("name", Text(Slot::PodName)), ("uid", Text(Slot::PodUid))]),
                        ),
                    ]),
                ),
            ]),
        )]),
    ),
    ("requestID", Text(Slot::RequestId)),
    ("eventID", Text(Slot::EventId)),
    ("readOnly", Node::Flag(Flag::ReadOnly)),
    ("resources", Node::Resources),
    ("managementEvent", Node::Flag(Flag::Management)),
    ("recipientAccountId", Text(Slot::Recipient)),
]);

/// Reads one value into the facts, by what stands there.
pub(super) struct Seed<'f, 'de> {
    node: &'static Node,
    facts: &'f mut Facts<'de>,
}

impl<'f, 'de> Seed<'f, 'de> {
    pub(super) fn root(facts: &'f mut Facts<'de>) -> Self {
        Self { node: &RECORD, facts }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.set(Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.set(Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        if let Node::Flag(flag) = self.node
            && let Some(place) = self.facts.flags.get_mut(*flag as usize)
        {
            *place = Some(value);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let members = match self.node {
            Object(members) => *members,
            _ => &[],
        };
        while let Some(member) = map.next_key_seed(Member(members))? {
            match member {
                Some(node) => map.next_value_seed(Seed {
                    node,
                    facts: &mut *self.facts,
                })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        match self.node {
            Node::Resources => {
                while let Some(listed) = sequence.next_element_seed(ListedSeed)? {
                    self.facts.resources.push(listed);
                }
            }
            Node::Actions => loop {
                let action = Seed {
                    node: &Node::Action,
                    facts: &mut *self.facts,
                };
                if sequence.next_element_seed(action)?.is_none() {
                    break;
                }
            },
            _ => while sequence.next_element::<IgnoredAny>()?.is_some() {},
        }
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

impl<'de> Seed<'_, 'de> {
    fn set(self, text: Cow<'de, str>) {
        match self.node {
            Text(slot) => {
                if let Some(place) = self.facts.texts.get_mut(*slot as usize) {
                    *place = Some(text);
                }
            }
            Node::Action => self.facts.actions.push(text),
            _ => {}
        }
    }
}

/// Reads a member's name, and gives what stands there.
struct Member(&'static [(&'static str, Node)]);

impl<'de> DeserializeSeed<'de> for Member {
    type Value = Option<&'static Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Member {
    type Value = Option<&'static Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|(known, _)| *known == name).map(|(_, node)| node))
    }
}

/// Reads a member of `resources`; whatever is not an object is one without members.
struct ListedSeed;

impl<'de> DeserializeSeed<'de> for ListedSeed {
    type Value = Listed<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        static MEMBERS: Node = Object(&[
            ("accountId", Text(Slot::Recipient)),
            ("type", Text(Slot::IdentityType)),
            ("ARN", Text(Slot::CallerArn)),
        ]);
        // The places of a record of its own.
        let mut facts = Facts::default();
        let seed = Seed {
            node: &MEMBERS,
            facts: &mut facts,
        };
        seed.deserialize(deserializer)?;
        let mut take = |slot: Slot| facts.texts.get_mut(slot as usize).and_then(Option::take);
        Ok(Listed {
            account: take(Slot::Recipient),
            kind: take(Slot::IdentityType),
            arn: take(Slot::CallerArn),
        })
    }
}
