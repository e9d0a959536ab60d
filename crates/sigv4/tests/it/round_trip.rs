//! What `aws-sigv4` signs verifies, and nothing else does.

use aws_sigv4::http_request::SignableBody;
use irsa_core::Timestamp;
use irsa_sigv4::{Location, Payload, Rules, SigV4Error, presented};
use proptest::prelude::*;

use crate::support::{AT, FORM, KEY_ID, Request, Signer, get_object, now, sts_call};

/// Percent-encodes as the SDKs do.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

prop_compose! {
    fn requests()(
        method in "GET|PUT|POST|DELETE|HEAD",
        segments in prop::collection::vec(any::<String>(), 0..5),
        query in prop::collection::vec((any::<String>(), prop::option::of(any::<String>())), 0..5),
        headers in prop::collection::vec(("x-amz-meta-[a-z]{1,8}|content-type|my-[a-z]{1,4}", "[ -~]{0,24}"), 0..5),
    ) -> Request {
        let path: Vec<String> = segments.iter().map(|segment| encode(segment)).collect();
        let pairs: Vec<String> = query
            .iter()
            .map(|(name, value)| match value {
                Some(value) => format!("{}={}", encode(name), encode(value)),
                None => encode(name),
            })
            .collect();
        let mut request = Request::new(
            &method,
            &format!("/{}?{}", path.join("/"), pairs.join("&")),
            &[("host", "localhost:4700")],
        );
        for (name, value) in headers {
            request.add(&name, value.trim());
        }
        request
    }
}

/// SDKs write the slashes of a key as slashes; this signer takes paths as they are.
fn of_key(request: Request) -> Request {
    Request {
        path: request.path.replace("%2F", "/"),
        ..request
    }
}

proptest! {
    #[test]
    fn signed_in_the_header_for_s3(request in requests().prop_map(of_key), body: Vec<u8>) {
        let signed = Signer::new("s3").sign(&request, SignableBody::Bytes(&body));
        prop_assert_eq!(signed.check(&Rules::s3()), Ok(()));
    }

    #[test]
    fn signed_in_the_header_for_other_services(request in requests(), body: Vec<u8>) {
        let signed = Signer::new("eks").with_token("a/token+=").sign(&request, SignableBody::Bytes(&body));
        prop_assert_eq!(signed.check(&Rules::service("eks")), Ok(()));
    }

    #[test]
    fn presigned_for_s3(request in requests().prop_map(of_key), seconds in 1_u64..=604_800) {
        let signed = Signer::new("s3")
            .with_token("a/token+=")
            .presigning(seconds)
            .sign(&request, SignableBody::UnsignedPayload);
        prop_assert_eq!(signed.check(&Rules::s3()), Ok(()));
    }

    #[test]
    fn presigned_for_other_services(request in requests(), body: Vec<u8>) {
        let signed = Signer::new("sts").presigning(60).sign(&request, SignableBody::Bytes(&body));
        prop_assert_eq!(signed.check(&Rules::service("sts")), Ok(()));
    }

    #[test]
    fn adv_sv_02_any_other_character_in_the_header_form(part in 0..4_usize, at: prop::sample::Index, by in "[0-9a-zA-Z]") {
        let signed = Signer::new("s3").with_token("token").sign(&get_object(), SignableBody::Bytes(b""));
        let changed = match part {
            0 => change(&signed, |request| replace(&mut request.method, at, &by)),
            1 => change(&signed, |request| replace(&mut request.path, at, &by)),
            2 => change(&signed, |request| replace(&mut request.query, at, &by)),
            _ => change(&signed, |request| {
                let names: Vec<String> = request.headers.keys().map(ToString::to_string).collect();
                let name = &names[at.index(names.len())];
                let mut value = request.headers[name].to_str().unwrap().to_owned();
                let changed = replace(&mut value, at, &by);
                request.set(name, &value);
                changed
            }),
        };
        if let Some(changed) = changed {
            prop_assert!(changed.check(&Rules::s3()).is_err());
        }
    }

    #[test]
    fn adv_sv_02_any_bit_of_a_signature_or_of_what_it_covers(place in 0..6_usize, at: prop::sample::Index, bit in 0..4_u8, in_query: bool) {
        let signer = Signer::new("s3").with_token("token");
        let signer = if in_query { signer.presigning(60) } else { signer };
        let signed = signer.sign(&get_object(), SignableBody::UnsignedPayload);
        prop_assert_eq!(signed.check(&Rules::s3()), Ok(()));
        let mut bent = signed.clone();
        match place {
            0 => {
                // A hex digit becomes another one.
                let signature = signed.signature();
                let digit = at.index(signature.len());
                let value = u8::from_str_radix(&signature[digit..=digit], 16).unwrap() ^ (1 << bit);
                let other = format!("{}{value:x}{}", &signature[..digit], &signature[digit + 1..]);
                bent = if in_query { bent.queried_with(&signature, &other) } else { bent.authorized_with(&signature, &other) };
            }
            1 => bent.method = ["PUT", "HEAD", "POST", "get"][at.index(4)].to_owned(),
            2 => bent.path.push(char::from(b'a' + at.index(26) as u8)),
            3 => bent.query += ["&a", "&a=b", "&versionId=", "&%61=", "&acl=x"][at.index(5)],
            4 => bent.set("host", ["s3.example.org", "S3.example.co", "s3.example.com:1", "x"][at.index(4)]),
            _ => bent.set("range", ["bytes=0-8", "bytes=0-99", "bytes=1-9", ""][at.index(4)]),
        }
        prop_assert_eq!(bent.check(&Rules::s3()), Err(SigV4Error::SignatureMismatch), "{:?}", bent);
    }

    #[test]
    fn adv_sv_02_any_other_character_in_the_query_form(at: prop::sample::Index, by in "[0-9a-zA-Z]") {
        let signed = Signer::new("s3").with_token("token").presigning(60).sign(&get_object(), SignableBody::UnsignedPayload);
        if let Some(changed) = change(&signed, |request| replace(&mut request.query, at, &by)) {
            let head = changed.head();
            // A changed name may leave no signature at all, which is an anonymous request.
            let verified = match presented(&head) {
                Ok(Some(presented)) => presented.verify(crate::support::SECRET.as_bytes(), None, now(), &Rules::s3()).is_ok(),
                Ok(None) | Err(_) => false,
            };
            prop_assert!(!verified, "{}", changed.query);
        }
    }
}

fn change(request: &Request, by: impl FnOnce(&mut Request) -> bool) -> Option<Request> {
    let mut request = request.clone();
    by(&mut request).then_some(request)
}

/// Replaces one character; whether that changed anything. Hex digits of an escape are not case-sensitive.
fn replace(text: &mut String, at: prop::sample::Index, by: &str) -> bool {
    let at = at.index(text.len());
    if text[at..at + 1].eq_ignore_ascii_case(by) {
        return false;
    }
    text.replace_range(at..at + 1, by);
    true
}

#[test]
fn what_is_presented_can_be_read() {
    let signed = Signer::new("s3")
        .with_token("a token")
        .sign(&get_object(), SignableBody::UnsignedPayload);
    let head = signed.head();
    let header = presented(&head).unwrap().unwrap();
    assert_eq!(header.access_key_id(), KEY_ID);
    assert_eq!(header.scope().date, "20260102");
    assert_eq!(header.scope().region, "us-east-1");
    assert_eq!(header.scope().service, "s3");
    assert_eq!(header.session_token(), Some("a token"));
    assert_eq!(header.timestamp(), Timestamp::from_unix_seconds(AT));
    assert_eq!(header.location(), Location::Header);
    assert_eq!(header.payload(), Payload::Unsigned);

    let signed = Signer::new("s3")
        .with_token("a token")
        .presigning(77)
        .sign(&get_object(), SignableBody::UnsignedPayload);
    let head = signed.head();
    let query = presented(&head).unwrap().unwrap();
    assert_eq!(query.access_key_id(), KEY_ID);
    assert_eq!(query.session_token(), Some("a token"));
    assert_eq!(query.location(), Location::Query { expires_seconds: 77 });
    assert_eq!(query.payload(), Payload::Absent);
    let verified = signed
        .verified(now(), &Rules::s3())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(verified.payload(), Payload::Unsigned);
}

#[test]
fn a_derived_key_serves_its_scope_only() {
    let signed = Signer::new("sts").sign(&sts_call(), SignableBody::Bytes(FORM));
    let head = signed.head();
    let presented = presented(&head).unwrap().unwrap();
    let rules = Rules::service("sts");
    let verify = |key: &irsa_sigv4::SigningKey| {
        presented
            .verify_with(key, signed.body_sha256, now(), &rules)
            .map(|verified| verified.payload())
    };
    let scope = presented.scope();
    let key = irsa_sigv4::SigningKey::derive(crate::support::SECRET.as_bytes(), &scope);
    assert_eq!(verify(&key), Ok(Payload::Sha256(signed.body_sha256.unwrap())));
    let yesterday = irsa_sigv4::Scope {
        date: "20260101",
        ..scope
    };
    let other = irsa_sigv4::SigningKey::derive(crate::support::SECRET.as_bytes(), &yesterday);
    assert_eq!(verify(&other), Err(SigV4Error::SignatureMismatch));
    let other = irsa_sigv4::SigningKey::derive(b"another secret", &scope);
    assert_eq!(verify(&other), Err(SigV4Error::SignatureMismatch));
}
