//! The `caBundle` of webhook configurations: whose certificates the API server takes for ours.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, MutatingWebhookConfiguration};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

/// The most certificates of others that are taken over.
const ADOPTED: usize = 16;

type Set = BTreeSet<Vec<u8>>;

/// The certificates of a text in PEM; what is none is left out.
fn certificates(pem: &[u8]) -> Set {
    let read = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    read.map(|certificate| certificate.as_ref().to_vec()).collect()
}

fn entries(configuration: &MutatingWebhookConfiguration) -> &[MutatingWebhook] {
    configuration.webhooks.as_deref().unwrap_or_default()
}

fn bundle(entry: &MutatingWebhook) -> Set {
    let bundle = entry.client_config.ca_bundle.as_ref();
    bundle.map(|ByteString(pem)| certificates(pem)).unwrap_or_default()
}

/// Whether the API server trusts this authority in every entry; so it does where there is no entry.
pub(super) fn trusts(configuration: &MutatingWebhookConfiguration, authority: &str) -> bool {
    let authority = certificates(authority.as_bytes());
    let mut bundles = entries(configuration).iter().map(bundle);
    bundles.all(|bundle| authority.is_subset(&bundle))
}

/// Whom the API server trusts in any entry, in PEM.
pub(super) fn trusted(configuration: &MutatingWebhookConfiguration) -> Vec<String> {
    let all: Set = entries(configuration).iter().flat_map(bundle).collect();
    all.into_iter().take(ADOPTED).map(|der| pem(&der)).collect()
}

/// The JSON Patch that makes the API server trust these and nobody else, in every entry, and that changes nothing else; `None`: so it does.
/// An entry whose place was taken by another meanwhile makes the whole patch fail.
pub(super) fn patch(configuration: &MutatingWebhookConfiguration, authorities: &[&str]) -> Option<Value> {
    let text = authorities.concat();
    let wanted = certificates(text.as_bytes());
    let mut operations = Vec::new();
    for (index, entry) in entries(configuration).iter().enumerate() {
        if bundle(entry) != wanted {
            operations.push(json!({"op": "test", "path": format!("/webhooks/{index}/name"), "value": entry.name}));
            let path = format!("/webhooks/{index}/clientConfig/caBundle");
            operations.push(json!({"op": "add", "path": path, "value": STANDARD.encode(&text)}));
        }
    }
    (!operations.is_empty()).then_some(Value::Array(operations))
}

fn pem(der: &[u8]) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(bundles: &[Option<&str>]) -> MutatingWebhookConfiguration {
        let webhooks: Vec<Value> = bundles
            .iter()
            .enumerate()
            .map(|(index, bundle)| {
                json!({"name": format!("w{index}"), "sideEffects": "None", "admissionReviewVersions": [],
                    "clientConfig": {"caBundle": bundle.map(|bundle| STANDARD.encode(bundle))}})
            })
            .collect();
        serde_json::from_value(json!({"metadata": {"name": "c"}, "webhooks": webhooks})).unwrap()
    }

    #[test]
    fn only_entries_that_differ_are_patched() {
        let (a, b) = (pem(b"a"), pem(b"b"));
        let both = format!("# a comment\n{b}{a}");
        let found = configuration(&[Some(&both), None, Some(&a), Some("garbage")]);
        let patch = patch(&found, &[&a, &b]).unwrap();
        let paths: Vec<&str> = patch
            .as_array()
            .unwrap()
            .iter()
            .map(|operation| operation["path"].as_str().unwrap())
            .collect();
        let caught: Vec<&str> = paths.chunks(2).map(|pair| pair[1]).collect();
        assert_eq!(paths[0], "/webhooks/1/name");
        let expected = [1, 2, 3].map(|index| format!("/webhooks/{index}/clientConfig/caBundle"));
        assert_eq!(caught, expected);
        assert_eq!(patch[1]["value"], STANDARD.encode(format!("{a}{b}")));
        assert_eq!(super::patch(&configuration(&[Some(&both)]), &[&a, &b]), None);
        assert_eq!(super::patch(&configuration(&[]), &[&a]), None);
    }

    #[test]
    fn trust_is_that_of_every_entry() {
        let (a, b) = (pem(b"a"), pem(&[0; 100]));
        let both = format!("{a}{b}");
        assert!(trusts(&configuration(&[Some(&a), Some(&both)]), &a));
        assert!(!trusts(&configuration(&[Some(&a), Some(&both)]), &b));
        assert!(!trusts(&configuration(&[None]), &a));
        assert!(trusts(&configuration(&[]), &a));
        let mut trusted = trusted(&configuration(&[Some(&a), Some(&both), None]));
        trusted.sort();
        let mut expected = vec![a, b];
        expected.sort();
        assert_eq!(trusted, expected);
    }
}
