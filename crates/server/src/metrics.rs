//! What Prometheus reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Call {
    service: &'static str,
    operation: &'static str,
    /// `ok` or the error code's class: `denied`, `invalid`, `failed`.
    outcome: &'static str,
}

pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<Call, Counter>,
    connections: Gauge,
    pub(crate) journal_failures: Arc<AtomicU64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("irsa");
        let calls = Family::<Call, Counter>::default();
        registry.register("requests", "Calls by service, operation and outcome", calls.clone());
        let connections = Gauge::default();
        registry.register("connections", "Open connections", connections.clone());
        Self {
            registry,
            calls,
            connections,
            journal_failures: Arc::new(AtomicU64::new(0)),
        }
    }

    pub(crate) fn call(&self, service: &'static str, operation: &'static str, status: u16) {
        let outcome = match status {
            0..400 => "ok",
            401 | 403 => "denied",
            400..500 => "invalid",
            _ => "failed",
        };
        self.calls
            .get_or_create(&Call {
                service,
                operation,
                outcome,
            })
            .inc();
    }

    pub(crate) fn connection_opened(&self) {
        self.connections.inc();
    }

    pub(crate) fn connection_closed(&self) {
        self.connections.dec();
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string fails only if a metric's own encoding does.
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "the metrics can't be written");
        }
        if let Some(body) = text.strip_suffix("# EOF\n") {
            let failures = self.journal_failures.load(Ordering::Relaxed);
            text = format!(
                "{body}# HELP irsa_journal_failures Requests that failed because their audit record could not be written\n# TYPE irsa_journal_failures counter\nirsa_journal_failures_total {failures}\n# EOF\n"
            );
        }
        text
    }
}
