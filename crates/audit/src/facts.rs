//! What can be asked about a record: read once, in one pass over its text, for filters and indexes alike.

mod resources;
mod tree;

use std::borrow::Cow;

use irsa_core::Timestamp;
use serde::de::DeserializeSeed;

pub(crate) use tree::{Flag, Slot};

/// What a term is about. The number is part of the index's format.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub(crate) enum Field {
    EventId = 1,
    EventName = 2,
    EventSource = 3,
    /// A name or ARN of the caller, or of the caller's role.
    User = 4,
    /// The caller's name as LookupEvents shows it.
    UserName = 5,
    /// The key that signed, or that was issued.
    AccessKey = 6,
    /// The key that signed.
    Signer = 7,
    /// The key that signed a call that issued another.
    IssuedBy = 8,
    RequestId = 9,
    ErrorCode = 10,
    /// The ARN of a resource.
    Resource = 11,
    ResourceType = 12,
    ResourceName = 13,
    ReadOnly = 14,
    Management = 15,
    Verdict = 16,
    Account = 17,
    Role = 18,
    /// A service account, as the subject of its tokens.
    ServiceAccount = 19,
    /// A pod: its uid, its name, and `<namespace>/<name>`.
    Pod = 20,
    SourceIdentity = 21,
    SourceAddress = 22,
    Region = 23,
    TokenId = 24,
    Recipient = 25,
    /// An IAM action in small letters, such as `s3:getobject`.
    Action = 26,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It was done.
    Allowed,
    /// It was refused because of who called, or because no policy allows it: what signatures, tokens and policies refuse.
    Denied,
    /// It failed for another reason, such as an object that does not exist.
    Failed,
}

impl Verdict {
    /// The verdict of an error code; `None` is a call that was done.
    #[must_use]
    pub fn of(error_code: Option<&str>) -> Self {
        /// Error codes of refusals, of all services and protocols.
        const DENIED: [&str; 26] = [
            "AccessDenied",
            "AccessDeniedException",
            "AllAccessDisabled",
            "AuthFailure",
            "AuthorizationError",
            "AuthorizationHeaderMalformed",
            "AuthorizationQueryParametersError",
            "ExpiredToken",
            "ExpiredTokenException",
            "IDPRejectedClaim",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidIdentityToken",
            "InvalidSignatureException",
            "InvalidToken",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "NotAuthorized",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
            "UnauthorizedAccess",
            "UnauthorizedOperation",
            "UnrecognizedClientException",
            "XAmzContentSHA256Mismatch",
        ];
        match error_code {
            None => Self::Allowed,
            Some(code) if DENIED.contains(&code) => Self::Denied,
            Some(_) => Self::Failed,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// A resource that an event names, as LookupEvents lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedResource {
    /// Such as `AWS::IAM::Role`.
    pub kind: String,
    /// Its name, id or ARN.
    pub name: String,
}

/// A record, as far as filters ask about it.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    texts: [Option<Cow<'a, str>>; Slot::COUNT],
    flags: [Option<bool>; Flag::COUNT],
    resources: Vec<Listed<'a>>,
    actions: Vec<Cow<'a, str>>,
}

impl Default for Facts<'_> {
    fn default() -> Self {
        Self {
            texts: [const { None }; Slot::COUNT],
            flags: [None; Flag::COUNT],
            resources: Vec::new(),
            actions: Vec::new(),
        }
    }
}

/// A member of `resources`.
#[derive(Debug, Default)]
struct Listed<'a> {
    account: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
    arn: Option<Cow<'a, str>>,
}

impl<'a> Facts<'a> {
    /// Reads a record; `None` if it is not JSON. What has another type than it should counts as absent.
    pub(crate) fn read(record: &'a str) -> Option<Self> {
        let mut facts = Self::default();
        let mut reader = serde_json::Deserializer::from_str(record);
        tree::Seed::root(&mut facts).deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        Some(facts)
    }

    pub(crate) fn text(&self, slot: Slot) -> Option<&str> {
        self.texts.get(slot as usize)?.as_deref()
    }

    /// When the request came.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        Timestamp::parse_iso8601(self.text(Slot::EventTime)?)
    }

    pub(crate) fn user_name(&self) -> Option<&str> {
        match self.text(Slot::IdentityType)? {
            "Root" => Some("root"),
            "AssumedRole" => Some(self.text(Slot::PrincipalId)?.split_once(':')?.1),
            _ => self.text(Slot::UserName),
        }
    }

    fn flag(&self, flag: Flag) -> Option<bool> {
        *self.flags.get(flag as usize)?
    }

    /// Everything that a filter can ask for. A term may come more than once.
    pub(crate) fn terms(&self, mut each: impl FnMut(Field, &str)) {
        let mut slots = |field, slots: &[Slot]| {
            for text in slots.iter().filter_map(|slot| self.text(*slot)) {
                each(field, text);
            }
        };
        slots(Field::EventId, &[Slot::EventId]);
        slots(Field::EventName, &[Slot::EventName]);
        slots(Field::EventSource, &[Slot::EventSource]);
        slots(Field::User, &[Slot::CallerArn, Slot::IssuerArn]);
        slots(Field::AccessKey, &[Slot::Signer, Slot::Issued]);
        slots(Field::Signer, &[Slot::Signer]);
        slots(Field::RequestId, &[Slot::RequestId]);
        slots(Field::ErrorCode, &[Slot::ErrorCode]);
        slots(Field::Account, &[Slot::Recipient]);
        slots(Field::Recipient, &[Slot::Recipient]);
        slots(Field::Role, &[Slot::IssuerArn, Slot::IssuerName]);
        slots(
            Field::SourceIdentity,
            &[Slot::SessionSourceIdentity, Slot::SourceIdentity],
        );
        slots(Field::SourceAddress, &[Slot::SourceAddress]);
        slots(Field::Region, &[Slot::Region]);
        slots(Field::TokenId, &[Slot::TokenId]);
        slots(Field::ServiceAccount, &[Slot::Subject]);
        slots(Field::Pod, &[Slot::PodName, Slot::PodUid]);
        if self.text(Slot::Issued).is_some() {
            slots(Field::IssuedBy, &[Slot::Signer]);
        }
        if self.text(Slot::IdentityType) == Some("WebIdentityUser") {
            slots(Field::ServiceAccount, &[Slot::UserName]);
        }
        if let (Some(namespace), Some(pod)) = (self.text(Slot::PodNamespace), self.text(Slot::PodName)) {
            each(Field::Pod, &format!("{namespace}/{pod}"));
        }
        if let Some(name) = self.user_name() {
            each(Field::User, name);
            each(Field::UserName, name);
        }
        let flags = [(Field::ReadOnly, Flag::ReadOnly), (Field::Management, Flag::Management)];
        for (field, flag) in flags {
            if let Some(value) = self.flag(flag) {
                each(field, if value { "true" } else { "false" });
            }
        }
        for action in &self.actions {
            each(Field::Action, &action.to_ascii_lowercase());
        }
        // Where nothing else was asked, the action is the operation.
        if self.actions.is_empty()
            && let (Some(source), Some(name)) = (self.text(Slot::EventSource), self.text(Slot::EventName))
        {
            let service = source.strip_suffix(".amazonaws.com").unwrap_or(source);
            each(Field::Action, &format!("{service}:{name}").to_ascii_lowercase());
        }
        each(Field::Verdict, Verdict::of(self.text(Slot::ErrorCode)).as_str());
        for listed in &self.resources {
            if let Some(account) = &listed.account {
                each(Field::Account, account);
            }
            if let Some(arn) = &listed.arn {
                each(Field::Resource, arn);
                if listed.kind.as_deref() == Some("AWS::IAM::Role") {
                    each(Field::Role, arn);
                    if let Some((_, name)) = arn.rsplit_once('/') {
                        each(Field::Role, name);
                    }
                }
            }
        }
        self.named_resources(|kind, name| {
            each(Field::ResourceType, kind);
            each(Field::ResourceName, name);
        });
    }
}

/// The resources that an event names, as LookupEvents lists them: what CloudTrail's record says, and what the parameters and the answer of
/// the call name.
#[must_use]
pub fn named_resources(record: &str) -> Vec<NamedResource> {
    let mut found: Vec<NamedResource> = Vec::new();
    if let Some(facts) = Facts::read(record) {
        facts.named_resources(|kind, name| {
            if !found.iter().any(|one| one.kind == kind && one.name == name) {
                found.push(NamedResource {
                    kind: kind.to_owned(),
                    name: name.to_owned(),
                });
            }
        });
    }
    found
}
