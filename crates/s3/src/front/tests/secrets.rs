//! What a request carries and the log must not.

use std::fmt::{self, Write as _};
use std::sync::PoisonError;

use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

use super::*;

/// Writes down all that anybody logs, of every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn write(&self, record: impl FnOnce(&mut Fields<'_>)) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        record(&mut Fields(&mut text));
    }
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        writeln!(self.0, "{}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        self.write(|fields| span.record(fields));
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, values: &span::Record<'_>) {
        self.write(|fields| values.record(fields));
    }

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        self.write(|fields| event.record(fields));
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

#[tokio::test]
async fn no_secret_of_the_client_is_logged() {
    const SECRET: &str = "CanarySecretValue";
    let server = Server::with_bucket().await;
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    // Work on other threads logs to nobody here, and `s3s` logs on this one.
    for (name, code) in [
        ("cookie", ""),
        ("proxy-authorization", ""),
        ("authorization", ""),
        ("x-amz-security-token", ""),
        ("x-api-key", ""),
        ("x-forwarded-access-token", ""),
        ("x-amz-meta-note", ""),
        ("x-amz-server-side-encryption-customer-key", "NotImplemented"),
        ("x-amz-server-side-encryption-customer-key-md5", "NotImplemented"),
        (
            "x-amz-copy-source-server-side-encryption-customer-key",
            "NotImplemented",
        ),
        ("x-amz-mfa", "NotImplemented"),
        ("x-amz-future-secret", "NotImplemented"),
    ] {
        let put = request("PUT", "/my-bucket/a", &[(name, SECRET)], "x");
        assert_eq!(server.send(&Script::all(), put).await.code(), code, "{name}");
    }
    for (query, code) in [
        ("X-Amz-Security-Token", "AccessDenied"),
        ("x%2Damz-security-token", "AccessDenied"),
        ("x-amz-server-side-encryption-customer-key", "NotImplemented"),
        ("%78-amz-server-side-encryption-customer-key", "NotImplemented"),
        ("WebIdentityToken", "NotImplemented"),
        ("x-token", ""),
    ] {
        let uri = format!("/my-bucket/a?{query}={SECRET}&x-id=PutObject");
        let answer = server.call(&Script::all(), "PUT", &uri, "x").await;
        assert_eq!(answer.code(), code, "{query}");
    }
    drop(guard);
    let text = log.0.lock().unwrap();
    assert!(
        text.contains("req=Request"),
        "the requests are not logged at all: {text}"
    );
    assert!(text.contains("x-amz-server-side-encryption-customer-key"), "{text}");
    let leak = text.lines().find(|line| line.contains(SECRET));
    assert!(leak.is_none(), "{leak:?}");
}
