//! Any request of a service behind the gateway: read or refused, in the same way each time, and never without a question.
#![no_main]

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use irsa_gateway::{GatewayRequest, RuleBook};
use libfuzzer_sys::fuzz_target;

static BOOK: LazyLock<RuleBook> = LazyLock::new(|| RuleBook::built_in().unwrap());

const SERVICES: [&str; 13] = [
    "dynamodb",
    "sqs",
    "sns",
    "secretsmanager",
    "ssm",
    "kms",
    "elasticache",
    "rds",
    "mq",
    "autoscaling",
    "route53",
    "elasticloadbalancing",
    "unknown",
];
const KINDS: [&str; 4] = [
    "application/x-amz-json-1.0",
    "application/x-amz-json-1.1",
    "application/x-www-form-urlencoded",
    "application/xml",
];

fuzz_target!(|input: (u8, u8, u8, &str, &str, &str, Option<&[u8]>)| {
    let (service, method, kind, path, query, target, body) = input;
    let Some(service) = SERVICES.get(usize::from(service) % SERVICES.len()) else {
        return;
    };
    let method =
        [Method::POST, Method::GET, Method::PUT, Method::DELETE, Method::HEAD][usize::from(method) % 5].clone();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(KINDS[usize::from(kind) % 4]));
    if let Ok(value) = HeaderValue::from_str(target) {
        headers.insert(HeaderName::from_static("x-amz-target"), value);
    }
    let path = format!("/{path}");
    let request = GatewayRequest {
        service,
        region: "us-east-1",
        account: "111122223333".parse().unwrap(),
        method: &method,
        path: &path,
        query,
        headers: &headers,
        body,
    };
    let lax = BOOK.read(&request, false);
    let strict = BOOK.read(&request, true);
    if let Ok(asked) = &lax {
        assert!(!asked.asks.is_empty(), "{} asks nothing", asked.operation);
        for ask in &asked.asks {
            assert!(ask.action.contains(':') && !ask.action.contains('*'), "{ask:?}");
            assert!(ask.resource == "*" || ask.resource.starts_with("arn:"), "{ask:?}");
        }
        let again = BOOK.read(&request, false).unwrap();
        assert_eq!(again.asks, asked.asks);
    }
    // Strict is only stricter.
    if let Ok(strict) = &strict {
        assert_eq!(Some(&strict.asks), lax.as_ref().ok().map(|asked| &asked.asks));
    }
});
