//! Which certificate is served, which one comes next, and whom clients trust meanwhile: decisions without IO.
//!
//! Each serving certificate has an authority of its own, whose key is thrown away as soon as it has signed: nothing that is stored can sign
//! another certificate. A rotation is therefore always one of the authority too, and goes publish, promote, prune: clients trust the next
//! authority before anything of it is served, and the former one until nothing of it can be served any more.

use std::time::Duration;

use irsa_core::Timestamp;
use serde::{Deserialize, Serialize};

/// How much earlier a certificate begins than it is made: API servers' clocks differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(86_400);
/// How long clients trust those whom they trusted when we began: other servers may still show certificates of theirs.
const ADOPTED_FOR: Duration = Duration::from_secs(3600);

/// When certificates are replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rotation {
    /// How long a certificate is good for; a third of it before the end, the next one is made.
    pub lifetime: Duration,
    /// How long clients have to learn of a new authority before it is used, and how long they trust a former one after that. At most a sixth of
    /// the lifetime is used.
    pub overlap: Duration,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(90 * 86_400),
            overlap: Duration::from_secs(600),
        }
    }
}

impl Rotation {
    fn overlap(self) -> Duration {
        self.overlap.min(self.lifetime / 6)
    }
}

/// A serving certificate, its key, and the authority that vouches for it; all in PEM.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
    pub(super) about: About,
}

/// What is known of a pair beside the certificate and its key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct About {
    /// The authority's certificate.
    pub(super) authority: String,
    /// The names in the serving certificate.
    pub(super) names: Vec<String>,
    /// Since when clients are told to trust the authority: seconds of Unix time.
    pub(super) published: i64,
    /// When it ends: seconds of Unix time.
    pub(super) expires: i64,
}

/// Somebody who vouched for certificates that are no longer served.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Retired {
    pub(super) authority: String,
    /// Until when clients trust it: seconds of Unix time.
    pub(super) until: i64,
}

/// All that is stored.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Slots {
    pub(super) current: Pair,
    pub(super) next: Option<Pair>,
    pub(super) retired: Vec<Retired>,
}

/// What is to be done with what is stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// There is nothing that can be served: make a pair, to be served at once.
    Create,
    /// Make the next pair, and let clients trust it.
    Publish,
    /// Serve the next pair.
    Promote,
    /// Forget former authorities.
    Prune,
    /// Nothing, for so long.
    Wait(Duration),
}

/// A pair cannot be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a certificate can't be made: {0}")]
pub(super) struct MakeError(String);

impl From<rcgen::Error> for MakeError {
    fn from(error: rcgen::Error) -> Self {
        Self(error.to_string())
    }
}

impl Pair {
    /// Makes an authority, and the one certificate that it ever signs.
    pub(super) fn make(names: &[String], rotation: Rotation, now: Timestamp) -> Result<Self, MakeError> {
        use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
        use rcgen::{KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};

        let expires = now.unix_seconds().saturating_add(seconds(rotation.lifetime));
        let date =
            |seconds| time::OffsetDateTime::from_unix_timestamp(seconds).map_err(|error| MakeError(error.to_string()));
        let (begins, ends) = (
            date(now.unix_seconds().saturating_sub(seconds(CLOCKS_DIFFER)))?,
            date(expires)?,
        );
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut parameters = CertificateParams::default();
        // Two authorities of one name would be taken for each other.
        let serial = uuid::Uuid::new_v4();
        let name = format!("{} authority {serial}", names.first().map_or("webhook", String::as_str));
        parameters
            .distinguished_name
            .push(DnType::CommonName, name.chars().take(64).collect::<String>());
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (parameters.not_before, parameters.not_after) = (begins, ends);
        let authority = parameters.self_signed(&key)?;
        let issuer = Issuer::new(parameters, key);

        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut parameters = CertificateParams::new(names.to_vec())?;
        if let Some(name) = names.iter().find(|name| name.len() <= 64) {
            parameters.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        (parameters.not_before, parameters.not_after) = (begins, ends);
        Ok(Self {
            certificate: parameters.signed_by(&key, &issuer)?.pem(),
            key: key.serialize_pem(),
            about: About {
                authority: authority.pem(),
                names: names.to_vec(),
                published: now.unix_seconds(),
                expires,
            },
        })
    }
}

/// What to do next. `trusted`: whether all clients were seen to trust the next pair's authority.
pub(super) fn step(slots: Option<&Slots>, names: &[String], rotation: Rotation, trusted: bool, now: Timestamp) -> Step {
    let now = now.unix_seconds();
    let Some(slots) = slots else { return Step::Create };
    let overlap = seconds(rotation.overlap());
    let mut due = Vec::new();
    match &slots.next {
        Some(next) if next.about.expires > now => {
            let promoted = next.about.published.saturating_add(overlap);
            if promoted <= now && trusted || slots.current.about.expires <= now {
                return Step::Promote;
            }
            // When clients come to trust it is not ours to foresee; one look a second, or a change, tells.
            due.push(promoted.max(now.saturating_add(1)));
            due.push(slots.current.about.expires);
        }
        _ if slots.current.about.expires <= now => return Step::Create,
        _ => {
            let renewed = slots
                .current
                .about
                .expires
                .saturating_sub(seconds(rotation.lifetime / 3));
            // Replicas of two versions may want different names: only a name that is missing is a reason, so that they do not take turns.
            let lacks = |name: &String| !slots.current.about.names.contains(name);
            if renewed <= now || names.iter().any(lacks) {
                return Step::Publish;
            }
            due.push(renewed);
        }
    }
    if slots.retired.iter().any(|retired| retired.until <= now) {
        return Step::Prune;
    }
    due.extend(slots.retired.iter().map(|retired| retired.until));
    let wait = due.into_iter().min().unwrap_or(now).saturating_sub(now);
    Step::Wait(Duration::from_secs(u64::try_from(wait).unwrap_or_default()))
}

impl Slots {
    /// A first pair; those whom clients trusted so far are trusted for a while.
    pub(super) fn create(pair: Pair, trusted_so_far: Vec<String>, now: Timestamp) -> Self {
        let until = now.unix_seconds().saturating_add(seconds(ADOPTED_FOR));
        let retired = trusted_so_far
            .into_iter()
            .map(|authority| Retired { authority, until })
            .collect();
        Self {
            current: pair,
            next: None,
            retired,
        }
    }

    /// Serves the next pair, if there is one.
    pub(super) fn promote(&self, rotation: Rotation, now: Timestamp) -> Self {
        let Some(next) = self.next.clone() else {
            return self.clone();
        };
        let mut retired = self.retired.clone();
        retired.push(Retired {
            authority: self.current.about.authority.clone(),
            until: now.unix_seconds().saturating_add(seconds(rotation.overlap()).max(1)),
        });
        Self {
            current: next,
            next: None,
            retired,
        }
    }

    /// Forgets whom nobody needs to trust any more.
    pub(super) fn prune(&self, now: Timestamp) -> Self {
        let mut pruned = self.clone();
        pruned.retired.retain(|retired| retired.until > now.unix_seconds());
        pruned
    }

    /// Whom clients are to trust.
    pub(super) fn authorities(&self) -> Vec<&str> {
        let pairs = [Some(&self.current), self.next.as_ref()].into_iter().flatten();
        let pairs = pairs.map(|pair| pair.about.authority.as_str());
        pairs
            .chain(self.retired.iter().map(|retired| retired.authority.as_str()))
            .collect()
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const ROTATION: Rotation = Rotation {
        lifetime: Duration::from_secs(90 * 86_400),
        overlap: Duration::from_secs(600),
    };

    fn names() -> Vec<String> {
        vec!["webhook.ns.svc".to_owned()]
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000 + seconds)
    }

    fn pair(now: i64) -> Pair {
        Pair::make(&names(), ROTATION, at(now)).unwrap()
    }

    fn next(slots: &Slots, trusted: bool, now: i64) -> Step {
        step(Some(slots), &names(), ROTATION, trusted, at(now))
    }

    fn wait(seconds: i64) -> Step {
        Step::Wait(Duration::from_secs(seconds.try_into().unwrap()))
    }

    #[test]
    fn a_life_of_certificates() {
        assert_eq!(step(None, &names(), ROTATION, false, at(0)), Step::Create);
        let first = Slots::create(pair(0), Vec::new(), at(0));
        assert_eq!(next(&first, true, 0), wait(60 * DAY));
        assert_eq!(next(&first, true, 60 * DAY - 1), wait(1));
        assert_eq!(next(&first, true, 60 * DAY), Step::Publish);

        let published = Slots {
            next: Some(pair(60 * DAY)),
            ..first.clone()
        };
        assert_eq!(published.authorities().len(), 2);
        assert_eq!(next(&published, true, 60 * DAY), wait(600));
        // Not before every client trusts it, whatever the clock says.
        assert_eq!(next(&published, false, 60 * DAY + 600), wait(1));
        assert_eq!(next(&published, true, 60 * DAY + 600), Step::Promote);

        let promoted = published.promote(ROTATION, at(60 * DAY + 600));
        assert!(promoted.current == *published.next.as_ref().unwrap() && promoted.next.is_none());
        assert_eq!(
            promoted.authorities().len(),
            2,
            "what the former one vouched for may still be shown"
        );
        assert_eq!(next(&promoted, true, 60 * DAY + 600), wait(600));
        assert_eq!(next(&promoted, true, 60 * DAY + 1200), Step::Prune);
        let pruned = promoted.prune(at(60 * DAY + 1200));
        assert_eq!(pruned.authorities(), [promoted.current.about.authority.as_str()]);
    }

    #[test]
    fn what_has_ended_is_not_served_in_any_case() {
        let first = Slots::create(pair(0), Vec::new(), at(0));
        assert_eq!(next(&first, true, 90 * DAY), Step::Create);
        let published = Slots {
            next: Some(pair(60 * DAY)),
            ..first.clone()
        };
        assert_eq!(next(&published, false, 90 * DAY), Step::Promote);
        assert_eq!(next(&published, true, 150 * DAY), Step::Create);
    }

    #[test]
    fn other_names_are_a_rotation_and_no_break() {
        let first = Slots::create(pair(0), Vec::new(), at(0));
        let other = vec!["other.ns.svc".to_owned()];
        assert_eq!(step(Some(&first), &other, ROTATION, true, at(5)), Step::Publish);
        assert_eq!(
            step(Some(&first), &[], ROTATION, true, at(0)),
            wait(60 * DAY),
            "one name more is no reason"
        );
    }

    #[test]
    fn who_was_trusted_before_us_is_for_a_while() {
        let first = Slots::create(pair(0), vec!["theirs".to_owned()], at(0));
        assert_eq!(first.authorities()[1], "theirs");
        assert_eq!(next(&first, true, 0), wait(3600));
        assert_eq!(next(&first, true, 3600), Step::Prune);
    }

    #[test]
    fn an_overlap_longer_than_life_is_cut() {
        let rotation = Rotation {
            lifetime: Duration::from_secs(60),
            overlap: Duration::from_secs(3600),
        };
        let make = |now| Pair::make(&names(), rotation, at(now)).unwrap();
        let slots = Slots::create(make(0), Vec::new(), at(0));
        assert_eq!(step(Some(&slots), &names(), rotation, true, at(40)), Step::Publish);
        let slots = Slots {
            next: Some(make(40)),
            ..slots
        };
        assert_eq!(step(Some(&slots), &names(), rotation, true, at(50)), Step::Promote);
    }

    #[test]
    fn authorities_differ_and_no_key_of_theirs_is_kept() {
        let (one, other) = (pair(0), pair(0));
        assert_ne!(one.about.authority, other.about.authority);
        assert_eq!(one.key.matches("PRIVATE KEY").count(), 2, "one key, begun and ended");
        assert!(!one.certificate.contains("PRIVATE") && !one.about.authority.contains("PRIVATE"));
    }
}
