//! Policies by their place in a case, compiled, and kept for the cases that follow.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use irsa_core::Arn;
use irsa_policy::{Layers, Policy, PolicyError, PolicyKind, Profile};

use crate::repair::repaired;

/// Where a document stands in a case. `Display` names it as an author finds it: `identity[0]`, `scp[1][0]`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Place {
    /// `identity`, and its number there.
    Identity(usize),
    /// `boundary`.
    Boundary,
    /// `session`, and its number there.
    Session(usize),
    /// `resource`, of anything but a role that is assumed.
    Resource,
    /// `resource`, of a role that is assumed.
    Trust,
    /// `scp`: the level, and its number there.
    ServiceControl(usize, usize),
    /// `rcp`: the level, and its number there.
    ResourceControl(usize, usize),
    /// `vpce`, and its number there.
    VpcEndpoint(usize),
}

impl Place {
    /// The kind of policy that belongs there.
    #[must_use]
    pub fn kind(self) -> PolicyKind {
        match self {
            Self::Identity(_) => PolicyKind::Identity,
            Self::Boundary => PolicyKind::Boundary,
            Self::Session(_) => PolicyKind::Session,
            Self::Resource => PolicyKind::Resource,
            Self::Trust => PolicyKind::Trust,
            Self::ServiceControl(..) => PolicyKind::ServiceControl,
            Self::ResourceControl(..) => PolicyKind::ResourceControl,
            Self::VpcEndpoint(_) => PolicyKind::VpcEndpoint,
        }
    }

    /// The place of a resource's own policy: for an STS operation on a role it is the role's trust policy.
    #[must_use]
    pub fn of_resource(action: &str, resource: &str) -> Self {
        let operation = action
            .get(..4)
            .filter(|service| service.eq_ignore_ascii_case("sts:"))
            .and_then(|_| action.get(4..));
        let starts = |text: &str, prefix: &str| {
            text.get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let assumes = operation.is_some_and(|operation| {
            starts(operation, "AssumeRole")
                || ["TagSession", "SetSourceIdentity", "SetContext"]
                    .iter()
                    .any(|name| operation.eq_ignore_ascii_case(name))
        });
        let is_role = || {
            resource
                .parse::<Arn>()
                .is_ok_and(|arn| arn.service() == "iam" && arn.resource_of_kind("role").is_some())
        };
        if assumes && is_role() {
            Self::Trust
        } else {
            Self::Resource
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(number) => write!(f, "identity[{number}]"),
            Self::Boundary => f.write_str("boundary"),
            Self::Session(0) => f.write_str("session"),
            Self::Session(number) => write!(f, "session[{number}]"),
            Self::Resource | Self::Trust => f.write_str("resource"),
            Self::ServiceControl(level, number) => write!(f, "scp[{level}][{number}]"),
            Self::ResourceControl(level, number) => write!(f, "rcp[{level}][{number}]"),
            Self::VpcEndpoint(number) => write!(f, "vpce[{number}]"),
        }
    }
}

/// A policy for a simulation.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The policy.
    pub policy: Policy,
    /// The ARNs that it names as principals, for [`Caller::named_by`](crate::Caller::named_by).
    pub principals: Vec<String>,
    /// Why IAM would not take the document in this place, if what it means is plain nevertheless.
    pub objection: Option<PolicyError>,
}

/// Compiles a policy for a simulation. What [`Policy::parse`] refuses is read by what it must mean, where that is plain: the
/// head of this crate says where.
///
/// # Errors
/// The text is no policy of this kind.
pub fn parse(label: &str, kind: PolicyKind, text: &str, profile: &Profile) -> Result<Parsed, PolicyError> {
    let parsed = |mut policy: Policy, objection| {
        let mut principals = Vec::new();
        // Nothing is bound: there is no account here whose entities have ids.
        policy.bind_principals(|arn| {
            principals.push(arn.to_owned());
            None
        });
        Parsed {
            policy,
            principals,
            objection,
        }
    };
    let error = match Policy::parse_with(label, kind, text, profile) {
        Ok(policy) => return Ok(parsed(policy, None)),
        Err(error) => error,
    };
    // The first error is the one about the author's text.
    match repaired(kind, text).map(|(kind, text)| Policy::parse_with(label, kind, &text, profile)) {
        Some(Ok(policy)) => Ok(parsed(policy, Some(error))),
        _ => Err(error),
    }
}

/// The policies of one request, owned: what [`Layers`] borrows.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    /// The caller's identity-based policies.
    pub identity: Vec<Arc<Policy>>,
    /// The permissions boundary.
    pub boundary: Option<Arc<Policy>>,
    /// The session policies; `None` if none was passed.
    pub session: Option<Vec<Arc<Policy>>>,
    /// The resource's policy; for a role its trust policy.
    pub resource: Option<Arc<Policy>>,
    /// Service control policies, one list a level from the root down.
    pub service_control: Vec<Vec<Arc<Policy>>>,
    /// Resource control policies, one list a level.
    pub resource_control: Vec<Vec<Arc<Policy>>>,
    /// The VPC endpoint's policies; `None` if the request came through none.
    pub vpc_endpoint: Option<Vec<Arc<Policy>>>,
    /// What is done where AWS is silent; the policies were compiled with it.
    pub profile: Profile,
}

impl PolicySet {
    /// The policies as the engine takes them.
    #[must_use]
    pub fn layers(&self) -> Layers<'_> {
        Layers {
            identity: &self.identity,
            boundary: self.boundary.as_deref(),
            session: self.session.as_deref(),
            resource: self.resource.as_deref(),
            service_control: &self.service_control,
            resource_control: &self.resource_control,
            vpc_endpoint: self.vpc_endpoint.as_deref(),
            profile: self.profile,
        }
    }
}

/// A policy, and what a case needs to know of it.
#[derive(Clone)]
pub(crate) struct Compiled {
    pub(crate) policy: Arc<Policy>,
    /// The ARNs that it names as principals.
    pub(crate) principals: Arc<[String]>,
    /// What IAM would say against it.
    pub(crate) objection: Option<Arc<str>>,
}

impl Compiled {
    pub(crate) fn new(label: &str, kind: PolicyKind, text: &str, profile: &Profile) -> Result<Self, PolicyError> {
        let parsed = parse(label, kind, text, profile)?;
        Ok(Self {
            policy: Arc::new(parsed.policy),
            principals: parsed.principals.into(),
            objection: parsed.objection.map(|error| format!("`{label}`: {error}").into()),
        })
    }
}

/// Policies that were compiled already. Cases that follow each other mostly repeat their documents.
#[derive(Default)]
pub(crate) struct Cache {
    pub(crate) profile: Profile,
    places: HashMap<Place, HashMap<Box<str>, Compiled>>,
    /// The texts' length.
    bytes: usize,
}

impl Cache {
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            profile,
            ..Self::default()
        }
    }

    /// The texts that are kept at most. A compiled policy takes several times the room of its text.
    const CAPACITY: usize = 8 << 20;

    pub(crate) fn get(&mut self, place: Place, text: &str) -> Result<Compiled, PolicyError> {
        if let Some(found) = self.places.get(&place).and_then(|texts| texts.get(text)) {
            return Ok(found.clone());
        }
        let compiled = Compiled::new(&place.to_string(), place.kind(), text, &self.profile)?;
        if self.bytes.saturating_add(text.len()) > Self::CAPACITY {
            self.places.clear();
            self.bytes = 0;
        }
        self.bytes = self.bytes.saturating_add(text.len());
        self.places
            .entry(place)
            .or_default()
            .insert(text.into(), compiled.clone());
        Ok(compiled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_of_a_resource() {
        let role = "arn:aws:iam::111122223333:role/app";
        for action in ["sts:AssumeRole", "STS:assumerolewithwebidentity", "sts:TagSession"] {
            assert_eq!(Place::of_resource(action, role), Place::Trust, "{action}");
        }
        assert_eq!(Place::of_resource("sts:AssumeRole", "*"), Place::Resource);
        assert_eq!(Place::of_resource("sts:GetCallerIdentity", role), Place::Resource);
        assert_eq!(Place::of_resource("iam:PassRole", role), Place::Resource);
        assert_eq!(Place::of_resource("sts", role), Place::Resource);
    }

    #[test]
    fn documents_that_iam_would_not_take_there() {
        let trust = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}}"#;
        let parsed = parse("p", PolicyKind::Trust, trust, &Profile::AWS).unwrap();
        let objection = parsed.objection.unwrap().to_string();
        assert!(objection.contains("not allowed in a role trust policy"), "{objection}");
        assert!(
            parse("p", PolicyKind::Resource, trust, &Profile::AWS)
                .unwrap()
                .objection
                .is_none()
        );
        // The error is about the text as it was written.
        let wrong = r#"{"Statement":{"Principal":"*","Effect":"allow","Action":"*","Resource":"*"}}"#;
        let error = parse("p", PolicyKind::Identity, wrong, &Profile::AWS).unwrap_err();
        assert_eq!(error.line(), 1);
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut cache = Cache::default();
        let filler = " ".repeat(200_000);
        for number in 0..200 {
            let text = format!(
                r#"{{"Statement":{{"Sid":"s{number}","Effect":"Allow","Action":"*","Resource":"*"}}}}{filler}"#
            );
            cache.get(Place::Identity(0), &text).ok().unwrap();
            assert!(cache.bytes <= Cache::CAPACITY);
        }
    }
}
