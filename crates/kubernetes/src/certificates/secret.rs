//! How slots lie in a Secret: `tls.crt`, `tls.key` and `ca.crt` as everybody expects them, `next.crt` and `next.key`, and when what happens under
//! `schedule`.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::{Deserialize, Serialize};

use super::slots::{About, Pair, Retired, Slots};

/// What a Secret holds.
#[derive(Clone, Eq, PartialEq)]
pub(super) enum Found {
    /// Nothing that could be served.
    Nothing,
    /// Somebody else keeps it.
    Foreign(&'static str),
    /// Ours.
    Slots(Box<Slots>),
}

#[derive(Deserialize, Serialize)]
struct Schedule {
    current: About,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<About>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    retired: Vec<Retired>,
}

/// Reads a Secret. One that holds another's certificate is taken over, unless that other one would write it again.
pub(super) fn read(secret: &Secret) -> Found {
    let annotations = secret.metadata.annotations.as_ref();
    if annotations.is_some_and(|annotations| annotations.keys().any(|key| key.starts_with("cert-manager.io/"))) {
        return Found::Foreign("cert-manager");
    }
    slots(secret).map_or(Found::Nothing, |slots| Found::Slots(Box::new(slots)))
}

fn slots(secret: &Secret) -> Option<Slots> {
    let data = secret.data.as_ref()?;
    let text = |key: &str| {
        let ByteString(bytes) = data.get(key)?;
        String::from_utf8(bytes.clone()).ok().filter(|text| !text.is_empty())
    };
    let schedule: Schedule = serde_json::from_str(&text("schedule")?).ok()?;
    let pair = |prefix: &str, about| {
        Some(Pair {
            certificate: text(&format!("{prefix}.crt"))?,
            key: text(&format!("{prefix}.key"))?,
            about,
        })
    };
    Some(Slots {
        current: pair("tls", schedule.current)?,
        next: schedule.next.and_then(|about| pair("next", about)),
        retired: schedule.retired,
    })
}

/// The Secret with these slots, and otherwise as it was.
pub(super) fn write(secret: &Secret, slots: &Slots) -> Result<Secret, serde_json::Error> {
    let schedule = Schedule {
        current: slots.current.about.clone(),
        next: slots.next.as_ref().map(|next| next.about.clone()),
        retired: slots.retired.clone(),
    };
    let mut data: BTreeMap<String, ByteString> = secret.data.clone().unwrap_or_default();
    let mut put = |key: &str, text: Option<String>| match text {
        Some(text) => drop(data.insert(key.to_owned(), ByteString(text.into_bytes()))),
        None => drop(data.remove(key)),
    };
    put("tls.crt", Some(slots.current.certificate.clone()));
    put("tls.key", Some(slots.current.key.clone()));
    put("ca.crt", Some(slots.authorities().concat()));
    put("next.crt", slots.next.as_ref().map(|next| next.certificate.clone()));
    put("next.key", slots.next.as_ref().map(|next| next.key.clone()));
    put("schedule", Some(serde_json::to_string(&schedule)?));
    Ok(Secret {
        data: Some(data),
        ..secret.clone()
    })
}

#[cfg(test)]
mod tests {
    use irsa_core::Timestamp;

    use super::super::slots::Rotation;
    use super::*;

    #[test]
    fn slots_are_read_as_they_were_written() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let pair = || Pair::make(&["a.svc".to_owned()], Rotation::default(), now).unwrap();
        let mut slots = Slots::create(pair(), vec!["theirs\n".to_owned()], now);
        slots.next = Some(pair());
        let mut empty = Secret::default();
        empty.metadata.name = Some("s".to_owned());
        empty.metadata.resource_version = Some("7".to_owned());
        let written = write(&empty, &slots).unwrap();
        assert_eq!(
            written.metadata, empty.metadata,
            "its version is that of a compare-and-swap"
        );
        assert!(read(&written) == Found::Slots(Box::new(slots.clone())));
        let bundle = String::from_utf8(written.data.as_ref().unwrap()["ca.crt"].0.clone()).unwrap();
        assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 2);
        assert!(bundle.ends_with("theirs\n"));
        let promoted = write(&written, &slots.promote(Rotation::default(), now)).unwrap();
        let keys: Vec<&String> = promoted.data.as_ref().unwrap().keys().collect();
        assert_eq!(keys, ["ca.crt", "schedule", "tls.crt", "tls.key"]);
    }

    #[test]
    fn what_others_left_is_nothing_and_what_they_keep_is_theirs() {
        let mut secret = Secret::default();
        assert!(read(&secret) == Found::Nothing);
        let data = [("tls.crt", "x"), ("tls.key", "y"), ("schedule", "{")];
        let data = data.map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec())));
        secret.data = Some(data.into());
        assert!(read(&secret) == Found::Nothing);
        let annotation = ("cert-manager.io/certificate-name".to_owned(), "x".to_owned());
        secret.metadata.annotations = Some([annotation].into());
        assert!(read(&secret) == Found::Foreign("cert-manager"));
    }
}
