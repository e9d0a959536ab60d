use std::collections::BTreeMap;

use http::{HeaderMap, Uri};
use irsa_core::Timestamp;
use irsa_sigv4::{RequestHead, Rules, presented};

use super::*;
use crate::endpoints::{Service, Variant, of_aws};

const AT: u64 = 1_767_323_045;
const EMPTY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(AT)
}

fn token(token: Option<&str>, end: Option<SystemTime>) -> ClusterToken {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", token.map(ToOwned::to_owned), end, "test");
    let place = of_aws(Service::Sts, "eu-west-1", Variant::default());
    sign(&place, "my-cluster", &credentials, at()).unwrap()
}

fn url(token: &ClusterToken) -> Uri {
    let text = token.as_str().strip_prefix("k8s-aws-v1.").unwrap();
    let text = URL_SAFE_NO_PAD.decode(text).unwrap();
    String::from_utf8(text).unwrap().parse().unwrap()
}

/// What the clusters' authenticator demands before it asks STS.
#[test]
fn the_authenticator_takes_it() {
    for session in [None, Some("session+/=token")] {
        let token = token(session, None);
        assert!(token.as_str().len() <= 4096);
        let url = url(&token);
        assert_eq!(url.scheme_str(), Some("https"));
        assert_eq!(url.host(), Some("sts.eu-west-1.amazonaws.com"));
        assert_eq!((url.path(), url.port()), ("/", None));
        let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(url.query().unwrap().as_bytes()) {
            parameters
                .entry(name.to_lowercase())
                .or_default()
                .push(value.into_owned());
        }
        let expected = [
            "action",
            "version",
            "x-amz-algorithm",
            "x-amz-credential",
            "x-amz-date",
            "x-amz-expires",
            "x-amz-security-token",
            "x-amz-signature",
            "x-amz-signedheaders",
        ];
        for (name, values) in &parameters {
            assert!(expected.contains(&name.as_str()) && values.len() == 1, "{name}");
        }
        let one = |name: &str| parameters[name][0].as_str();
        assert_eq!(one("action"), "GetCallerIdentity");
        assert_eq!(one("x-amz-expires"), "60");
        assert_eq!(one("x-amz-date"), "20260102T030405Z");
        assert_eq!(one("x-amz-signedheaders"), "host;x-k8s-aws-id");
        assert_eq!(
            one("x-amz-credential"),
            "AKIDEXAMPLE/20260102/eu-west-1/sts/aws4_request"
        );
        assert_eq!(
            parameters.get("x-amz-security-token").map(|values| values[0].as_str()),
            session
        );
    }
}

/// STS gets the request with the name of the cluster that asks, so a token for another one is not signed rightly.
#[test]
fn it_is_good_for_its_cluster_alone() {
    let token = token(Some("session"), None);
    let url = url(&token);
    let verified = |cluster: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("host", url.host().unwrap().parse().unwrap());
        headers.insert("x-k8s-aws-id", cluster.parse().unwrap());
        let head = RequestHead {
            method: "GET",
            path: url.path(),
            query: url.query().unwrap(),
            headers: &headers,
        };
        let now = Timestamp::from_unix_seconds(i64::try_from(AT).unwrap() + 30);
        presented(&head)
            .unwrap()
            .unwrap()
            .verify(b"secret", Some(EMPTY), now, &Rules::service("sts"))
            .is_ok()
    };
    assert!(verified("my-cluster"));
    assert!(!verified("another"));
}

#[test]
fn it_ends_no_later_than_its_credentials() {
    let after = |seconds| at() + Duration::from_secs(seconds);
    assert_eq!(token(None, None).until(), after(840));
    assert_eq!(token(None, Some(after(3600))).until(), after(840));
    assert_eq!(token(None, Some(after(100))).until(), after(100));
}

#[test]
fn it_is_not_shown_and_bad_names_are_refused() {
    let shown = format!("{:?}", token(Some("session"), None));
    assert!(!shown.contains("k8s-aws-v1"), "{shown}");
    let place = of_aws(Service::Sts, "eu-west-1", Variant::default());
    let credentials = Credentials::new("a", "b", None, None, "test");
    for name in ["a\r\nhost: b", "clüster"] {
        assert!(sign(&place, name, &credentials, at()).is_err(), "{name}");
    }
}
