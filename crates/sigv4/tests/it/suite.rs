//! AWS's signing test suite, in the verifying direction.

use std::fs;
use std::path::{Path, PathBuf};

use irsa_core::Timestamp;
use irsa_sigv4::{PathStyle, Payload, Rules, SigV4Error, SigningInput, authorization, presented};

use crate::support::{Request, SECRET, secret_of, sha256};

/// The case whose session token was added after signing: AWS takes that from some services, and we from none.
const TOKEN_AFTER_SIGNING: &str = "post-sts-header-after";

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/v4");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    cases
}

fn read(file: &Path) -> Request {
    let text = fs::read_to_string(file).unwrap();
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let (method, rest) = lines.next().unwrap().split_once(' ').unwrap();
    let mut request = Request::new(method, rest.strip_suffix(" HTTP/1.1").unwrap_or(rest), &[]);
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines {
        if let Some(folded) = line.strip_prefix(' ') {
            // A header over several lines, as HTTP/1.1 once had it, is one with spaces.
            let value = &mut headers.last_mut().unwrap().1;
            *value = format!("{value} {folded}");
        } else {
            let (name, value) = line.split_once(':').unwrap();
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    for (name, value) in headers {
        request.add(&name, &value);
    }
    request.body_sha256 = Some(sha256(body.as_bytes()));
    request
}

fn rules(case: &Path, request: &Request) -> Rules {
    let head = request.head();
    let presented = presented(&head).unwrap().unwrap();
    let mut rules = Rules::service(presented.scope().service.to_owned()).in_regions([presented.scope().region]);
    rules.max_presigned_seconds = 3600;
    if let Ok(context) = fs::read_to_string(case.join("context.json")) {
        let context: serde_json::Value = serde_json::from_str(&context).unwrap();
        assert_eq!(context["credentials"]["secret_access_key"], SECRET);
        assert_eq!(context["service"], *rules.service);
        rules.regions = Some(vec![context["region"].as_str().unwrap().to_owned()]);
        if context["normalize"] == false {
            rules.path = PathStyle::Verbatim;
        }
        let timestamp = Timestamp::parse_iso8601(context["timestamp"].as_str().unwrap());
        assert_eq!(Some(presented.timestamp()), timestamp);
    }
    rules
}

fn check(case: &Path, request: &Request) -> Result<(), SigV4Error> {
    let rules = rules(case, request);
    let now = presented(&request.head()).unwrap().unwrap().timestamp();
    request.verified(now, &rules).map(drop)
}

/// Another signature of the same form.
fn spoiled(request: &Request) -> Request {
    let signature = request.signature();
    let other = format!(
        "{}{}",
        &signature[1..],
        if signature.starts_with('0') { '1' } else { '0' }
    );
    if request.headers.contains_key("authorization") {
        request.authorized_with(&signature, &other)
    } else {
        request.queried_with(&signature, &other)
    }
}

#[test]
fn adv_sv_01_every_header_case_verifies() {
    let mut count = 0;
    for case in cases() {
        let mut request = read(&case.join("header-signed-request.txt"));
        if case.ends_with(TOKEN_AFTER_SIGNING) {
            assert_eq!(
                presented(&request.head()).err(),
                Some(SigV4Error::UnsignedHeaders {
                    names: vec!["x-amz-security-token".to_owned()]
                })
            );
            request.headers.remove("x-amz-security-token");
        }
        assert_eq!(check(&case, &request), Ok(()), "{}", case.display());
        assert_eq!(
            check(&case, &spoiled(&request)),
            Err(SigV4Error::SignatureMismatch),
            "{}",
            case.display()
        );
        count += 1;
    }
    assert_eq!(count, 40);
}

#[test]
fn adv_sv_01_every_query_case_verifies() {
    let mut count = 0;
    for case in cases() {
        let file = case.join("query-signed-request.txt");
        if !file.exists() {
            continue;
        }
        let mut request = read(&file);
        if case.ends_with(TOKEN_AFTER_SIGNING) {
            assert_eq!(check(&case, &request), Err(SigV4Error::SignatureMismatch));
            let token = request
                .query
                .split('&')
                .find(|pair| pair.starts_with("X-Amz-Security-Token="))
                .unwrap();
            request.query = request.query.replace(&format!("&{token}"), "");
        }
        assert_eq!(check(&case, &request), Ok(()), "{}", case.display());
        assert_eq!(
            check(&case, &spoiled(&request)),
            Err(SigV4Error::SignatureMismatch),
            "{}",
            case.display()
        );
        count += 1;
    }
    assert_eq!(count, 38);
}

/// Signing, for all requests of the suite whose signed headers are those that we sign.
#[test]
fn adv_sv_01_what_is_signed_here_is_what_the_suite_signs() {
    let mut count = 0;
    for case in cases() {
        let signed = read(&case.join("header-signed-request.txt"));
        if case.ends_with(TOKEN_AFTER_SIGNING) {
            continue;
        }
        let rules = rules(&case, &signed);
        let head = signed.head();
        let presented = presented(&head).unwrap().unwrap();
        let mut unsigned = signed.clone();
        unsigned.headers.remove("authorization");
        let input = SigningInput {
            access_key_id: presented.access_key_id(),
            secret: secret_of(presented.access_key_id()).as_bytes(),
            region: presented.scope().region,
            service: presented.scope().service,
            now: presented.timestamp(),
            path: rules.path,
            payload: signed.body_sha256.map_or(Payload::Absent, Payload::Sha256),
        };
        let ours = authorization(&unsigned.head(), &input).unwrap();
        let names = |authorization: &str| {
            let (_, rest) = authorization.split_once("SignedHeaders=").unwrap();
            rest.split(',').next().unwrap().to_owned()
        };
        let theirs = signed.authorization().trim().to_owned();
        if names(&ours) == names(&theirs) {
            assert_eq!(ours, theirs, "{}", case.display());
            count += 1;
        } else {
            // The suite signs headers that we leave alone, and nothing else differs.
            assert!(
                names(&theirs).contains("my-header") || names(&theirs).contains("content-length"),
                "{theirs}"
            );
        }
    }
    assert!(count >= 20, "{count}");
}
