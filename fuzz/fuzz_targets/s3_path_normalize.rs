//! Any path: bucket and key are the decoded path, one key has one canonical path, and the router and the verifier agree on it.
#![no_main]

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use http::request::Parts;
use http::{HeaderValue, Request, Uri};
use irsa_core::{AccountId, Timestamp};
use irsa_s3::{BucketRecord, BucketSettings, Buckets, BucketsError, Place, Questioner, prepare};
use irsa_sigv4::{Payload, RequestHead, Rules, SigningInput, authorization};
use libfuzzer_sys::fuzz_target;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};

struct Bucketless;

#[async_trait]
impl Buckets for Bucketless {
    fn list(&self, _: AccountId) -> Vec<Arc<BucketRecord>> {
        Vec::new()
    }

    fn get(&self, _: &str) -> Option<Arc<BucketRecord>> {
        None
    }

    async fn create(&self, _: BucketRecord) -> Result<(), BucketsError> {
        Ok(())
    }

    async fn update(&self, _: &BucketRecord, _: BucketSettings) -> Result<(), BucketsError> {
        Ok(())
    }

    async fn delete(&self, _: &BucketRecord) -> Result<(), BucketsError> {
        Ok(())
    }
}

static QUESTIONER: LazyLock<Questioner> =
    LazyLock::new(|| Questioner::new(Arc::new(Bucketless), "us-east-1", vec!["s3.example.com".to_owned()]));

fn parts(path: &str) -> Option<Parts> {
    let uri: Uri = path.parse().ok()?;
    (uri.path() == path && uri.authority().is_none()).then_some(())?;
    let mut request = Request::get(uri).body(()).ok()?;
    request
        .headers_mut()
        .insert("host", HeaderValue::from_static("s3.example.com"));
    Some(request.into_parts().0)
}

fn place(path: &str) -> Option<Place> {
    let mut parts = parts(path)?;
    prepare(&mut parts).ok()?;
    Some(QUESTIONER.head(&parts).ok()?.place)
}

/// The whole `Authorization` header stands for the canonical path: the rest is the same for all.
fn canonical(path: &str) -> Option<String> {
    let parts = parts(path)?;
    let rules = Rules::s3();
    let input = SigningInput {
        access_key_id: "AKIAIOSFODNN7EXAMPLE",
        secret: b"secret",
        region: "us-east-1",
        service: "s3",
        now: Timestamp::from_unix_seconds(1_767_323_045),
        path: rules.path,
        payload: Payload::Unsigned,
    };
    let head = RequestHead {
        method: "GET",
        path: parts.uri.path(),
        query: "",
        headers: &parts.headers,
    };
    authorization(&head, &input).ok()
}

fuzz_target!(|input: (&str, &str)| {
    let [one, other] = [format!("/{}", input.0), format!("/{}", input.1)];
    let (Some(first), Some(first_canonical)) = (place(&one), canonical(&one)) else {
        return;
    };
    let decoded = percent_decode_str(&one)
        .decode_utf8()
        .expect("a key is UTF-8")
        .into_owned();
    let (bucket, key) = (first.bucket.as_deref().unwrap_or_default(), first.key.as_deref());
    match key {
        Some(key) => assert_eq!(decoded, format!("/{bucket}/{key}")),
        None => assert_eq!(
            decoded.trim_end_matches('/'),
            format!("/{bucket}").trim_end_matches('/')
        ),
    }
    assert!(key.is_none_or(|key| key.len() <= 1024 && !key.is_empty()));
    // Another spelling of the same path is the same place, under the same signature.
    let spelled = format!(
        "/{}",
        percent_encode(decoded.get(1..).unwrap_or_default().as_bytes(), NON_ALPHANUMERIC)
    );
    assert_eq!(place(&spelled), Some(first.clone()), "{one:?} as {spelled:?}");
    assert_eq!(
        canonical(&spelled),
        Some(first_canonical.clone()),
        "{one:?} as {spelled:?}"
    );
    // And a signature that fits two paths fits one place only.
    if let Some(second) = place(&other) {
        let same = canonical(&other) == Some(first_canonical);
        assert!(!same || second == first, "{one:?} and {other:?}");
    }
});
