use std::collections::HashMap;

use irsa_core::{AccountId, Timestamp};
use memchr::memmem;

use crate::Sequence;
use crate::facts::{Facts, Field, Slot, Verdict};

/// What to look for: all that is given must hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// The event's own id.
    pub event_id: Option<String>,
    /// The operation.
    pub event_name: Option<String>,
    /// One of these operations; any if there is none.
    pub event_names: Vec<String>,
    /// The IAM action that was asked for, such as `s3:GetObject`; capitals do not count.
    pub action: Option<String>,
    /// The service, such as `sts.amazonaws.com`.
    pub event_source: Option<String>,
    /// The caller by name or ARN: a user's name, a role session's name, a token's subject, the ARN of any of them, or the role's ARN.
    pub user: Option<String>,
    /// The caller's name, as [`user_name`](crate::user_name) tells it.
    pub user_name: Option<String>,
    /// The role that acted or was assumed, by name or ARN.
    pub role: Option<String>,
    /// What a service account did: its exchanges, its sessions, and sessions that those took over other roles. `<namespace>/<name>`, or the
    /// subject of its tokens.
    pub service_account: Option<String>,
    /// What a pod did, as [`Filter::service_account`]: its uid, its name, or `<namespace>/<name>`.
    pub pod: Option<String>,
    /// What a token's sessions did, as [`Filter::service_account`]: the token's `jti`.
    pub token_id: Option<String>,
    /// The source identity of the session, or that which was asked for.
    pub source_identity: Option<String>,
    /// The key that signed, or that was issued.
    pub access_key_id: Option<String>,
    /// The key that signed.
    pub signer: Option<String>,
    /// The caller's address.
    pub source_address: Option<String>,
    /// The region that the request was made to.
    pub region: Option<String>,
    /// The request id.
    pub request_id: Option<String>,
    /// The error code.
    pub error_code: Option<String>,
    /// What became of the call.
    pub verdict: Option<Verdict>,
    /// The ARN of a resource that the event names.
    pub resource: Option<String>,
    /// The name of a resource, as [`named_resources`](crate::named_resources) tells it.
    pub resource_name: Option<String>,
    /// The type of a resource, as [`named_resources`](crate::named_resources) tells it.
    pub resource_type: Option<String>,
    /// Whether the operation changes nothing.
    pub read_only: Option<bool>,
    /// Only management events, or only others.
    pub management: Option<bool>,
    /// Not before this.
    pub start: Option<Timestamp>,
    /// Not after this.
    pub end: Option<Timestamp>,
    /// The account that the event belongs to, or whose resources it is about: who took a role of mine, from wherever.
    pub account: Option<AccountId>,
    /// The account that the event belongs to.
    pub recipient: Option<AccountId>,
    /// Only records before this one: where a page ended.
    pub before: Option<Sequence>,
    /// The most events.
    pub limit: Option<usize>,
}

/// One of the things that must hold.
#[derive(Debug)]
pub(super) enum Condition {
    /// The record has one of the terms.
    Terms(Vec<(Field, String)>),
    /// The record has one of the terms, or is signed with one of the keys.
    Sessions {
        terms: Vec<(Field, String)>,
        /// [`Field::Signer`], or [`Field::IssuedBy`] where only calls that issued keys are wanted.
        field: Field,
        keys: HashMap<String, Issued>,
    },
}

/// When a key was issued, in the words of the record. Two sessions may share an id, and never share both.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) text: String,
    pub(super) at: Timestamp,
}

/// No session lasts longer than 36 hours; a little more for clocks that were set meanwhile.
pub(super) const LONGEST_SESSION: i64 = 37 * 3600;

impl Issued {
    /// Whether the session can have made a call in a span of time.
    pub(super) fn meets(&self, earliest: Timestamp, latest: Timestamp) -> bool {
        self.at <= latest && earliest <= self.at.plus_seconds(LONGEST_SESSION)
    }
}

impl Condition {
    pub(super) fn terms(&self) -> &[(Field, String)] {
        match self {
            Self::Terms(terms) | Self::Sessions { terms, .. } => terms,
        }
    }
}

impl Filter {
    /// The terms of which a record must have one, for each thing that must hold; all but the origin.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        let flag = |value: bool| if value { "true" } else { "false" }.to_owned();
        let texts = [
            (Field::EventId, self.event_id.clone()),
            (Field::RequestId, self.request_id.clone()),
            (Field::EventName, self.event_name.clone()),
            (
                Field::Action,
                self.action.as_ref().map(|action| action.to_ascii_lowercase()),
            ),
            (Field::EventSource, self.event_source.clone()),
            (Field::User, self.user.clone()),
            (Field::UserName, self.user_name.clone()),
            (Field::Role, self.role.clone()),
            (Field::SourceIdentity, self.source_identity.clone()),
            (Field::AccessKey, self.access_key_id.clone()),
            (Field::Signer, self.signer.clone()),
            (Field::SourceAddress, self.source_address.clone()),
            (Field::Region, self.region.clone()),
            (Field::ErrorCode, self.error_code.clone()),
            (Field::Resource, self.resource.clone()),
            (Field::ResourceName, self.resource_name.clone()),
            (Field::ResourceType, self.resource_type.clone()),
            (Field::ReadOnly, self.read_only.map(flag)),
            (Field::Management, self.management.map(flag)),
            (Field::Verdict, self.verdict.map(|verdict| verdict.as_str().to_owned())),
            (Field::Account, self.account.map(|account| account.to_string())),
            (Field::Recipient, self.recipient.map(|account| account.to_string())),
        ]
        .into_iter()
        .filter_map(|(field, text)| Some(Condition::Terms(vec![(field, text?)])));
        let mut conditions: Vec<Condition> = texts.collect();
        if !self.event_names.is_empty() {
            let names = self.event_names.iter().map(|name| (Field::EventName, name.clone()));
            conditions.push(Condition::Terms(names.collect()));
        }
        conditions
    }

    /// The terms of whom an event comes from, for each that is asked for.
    pub(super) fn origins(&self) -> Vec<(Field, String)> {
        let subject = |account: &String| match account.split_once('/') {
            Some((namespace, name)) if !account.starts_with("system:") => {
                format!("system:serviceaccount:{namespace}:{name}")
            }
            _ => account.clone(),
        };
        [
            (Field::ServiceAccount, self.service_account.as_ref().map(subject)),
            (Field::Pod, self.pod.clone()),
            (Field::TokenId, self.token_id.clone()),
        ]
        .into_iter()
        .filter_map(|(field, text)| Some((field, text?)))
        .collect()
    }

    /// Whether a time is within the bounds.
    pub(super) fn meets(&self, earliest: Timestamp, latest: Timestamp) -> bool {
        self.start.is_none_or(|start| latest >= start) && self.end.is_none_or(|end| earliest <= end)
    }
}

/// The conditions of a search, ready to be asked of records.
#[derive(Debug)]
pub(super) struct Conditions {
    pub(super) all: Vec<Condition>,
    /// For some conditions, texts of which one stands in every record that meets it, as they are.
    needles: Vec<Vec<memmem::Finder<'static>>>,
}

impl Conditions {
    pub(super) fn new(all: Vec<Condition>) -> Self {
        let needles = all.iter().filter_map(|condition| match condition {
            Condition::Terms(terms) => terms
                .iter()
                .map(|(field, text)| Some(memmem::Finder::new(&needle(*field, text)?).into_owned()))
                .collect(),
            Condition::Sessions { .. } => None,
        });
        Self {
            needles: needles.collect(),
            all,
        }
    }

    /// Whether a record may meet all conditions. Looks at its bytes only.
    pub(super) fn may_meet(&self, record: &[u8]) -> bool {
        self.needles
            .iter()
            .all(|any| any.iter().any(|needle| needle.find(record).is_some()))
    }

    /// Whether a record meets all conditions.
    pub(super) fn meet(&self, facts: &Facts<'_>) -> bool {
        if self.all.is_empty() {
            return true;
        }
        // More conditions than a filter has.
        let mut met = [false; 32];
        facts.terms(|field, text| {
            for (condition, met) in self.all.iter().zip(&mut met) {
                *met = *met
                    || condition
                        .terms()
                        .iter()
                        .any(|(of, wanted)| *of == field && wanted == text);
            }
        });
        self.all.iter().zip(met).all(|(condition, met)| {
            met || match condition {
                Condition::Terms(_) => false,
                Condition::Sessions { field, keys, .. } => {
                    let signer = facts.text(Slot::Signer).and_then(|signer| keys.get(signer));
                    let wanted = *field == Field::Signer || facts.text(Slot::Issued).is_some();
                    wanted
                        && signer.is_some_and(|issued| {
                            facts
                                .text(Slot::SessionCreated)
                                .is_none_or(|created| created == issued.text)
                        })
                }
            }
        })
    }
}

/// A text that stands in every record with the term; `None` if there is none that is sure to be written in one way only.
fn needle(field: Field, text: &str) -> Option<String> {
    let literal = match field {
        Field::ReadOnly | Field::Management | Field::ResourceType | Field::Pod | Field::Action => false,
        Field::Verdict => return (text != "allowed").then(|| "\"errorCode\"".to_owned()),
        _ => true,
    };
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@+=,".contains(&byte));
    (literal && plain).then(|| format!("{text}\""))
}
