//! What Prometheus reads, in its text format: names and types of the reference webhook, and our own beside them.
//!
//! See <https://prometheus.io/docs/instrumenting/exposition_formats/>. The reference's counters have no `_total` at their ends, which libraries for
//! the newer format insist on; so this is written by hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Sources;

/// The upper bounds of the histogram of latencies, in microseconds: the reference's.
const BUCKETS: [u64; 7] = [125_000, 250_000, 500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000];
/// Those of our own, where reviews really are.
const FINE_BUCKETS: [u64; 10] = [
    100, 250, 500, 1_000, 2_500, 10_000, 100_000, 500_000, 1_000_000, 4_000_000,
];

/// Counters and gauges. Labels are words of ours, never a caller's.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, &'static str, u16), u64>>,
    latencies: Mutex<BTreeMap<(&'static str, &'static str), Latencies>>,
    decisions: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    methods: Mutex<BTreeMap<&'static str, u64>>,
    missing_accounts: AtomicU64,
    look_ups: Mutex<BTreeMap<&'static str, u64>>,
    reviews: Mutex<[u64; FINE_BUCKETS.len() + 1]>,
    review_microseconds: AtomicU64,
    certificate_expires: AtomicI64,
    pub(crate) connections: AtomicI64,
    handshake_failures: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Latencies {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add<K: Ord>(table: &Mutex<BTreeMap<K, u64>>, key: K) {
    let mut table = lock(table);
    let count = table.entry(key).or_default();
    *count = count.saturating_add(1);
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

impl Metrics {
    /// A request to one of the paths that the reference counts.
    pub(crate) fn request(&self, verb: &'static str, path: &'static str, code: u16, took: Duration) {
        let took = micros(took);
        add(&self.requests, (verb, path, code));
        let mut latencies = lock(&self.latencies);
        let latencies = latencies.entry((verb, path)).or_default();
        latencies.count = latencies.count.saturating_add(1);
        latencies.sum = latencies.sum.saturating_add(took);
        for (bucket, bound) in latencies.buckets.iter_mut().zip(BUCKETS) {
            if took <= bound {
                *bucket = bucket.saturating_add(1);
            }
        }
    }

    /// A review was decided.
    pub(crate) fn decision(&self, decision: &'static str, reason: &'static str, took: Duration) {
        add(&self.decisions, (decision, reason));
        let took = micros(took);
        let place = FINE_BUCKETS.iter().take_while(|bound| took > **bound).count();
        if let Some(bucket) = lock(&self.reviews).get_mut(place) {
            *bucket = bucket.saturating_add(1);
        }
        self.review_microseconds.fetch_add(took, Ordering::Relaxed);
    }

    /// A review that got no answer of its own: what becomes of the pod is the failure policy's.
    pub(crate) fn unanswered(&self, reason: &'static str) {
        add(&self.decisions, ("unanswered", reason));
    }

    /// A review for which there was an identity.
    pub(crate) fn method(&self, method: &'static str) {
        add(&self.methods, method);
    }

    /// A review of a pod whose account does not exist.
    pub(crate) fn missing_account(&self) {
        self.missing_accounts.fetch_add(1, Ordering::Relaxed);
    }

    /// A review waited for a look-up, which came to this.
    pub(crate) fn look_up(&self, outcome: &'static str) {
        add(&self.look_ups, outcome);
    }

    /// A handshake failed.
    pub(crate) fn handshake_failed(&self) {
        self.handshake_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// The serving certificate ends at this second since 1970.
    pub(crate) fn certificate_expires(&self, unix_seconds: i64) {
        self.certificate_expires.store(unix_seconds, Ordering::Relaxed);
    }

    /// All of it.
    pub(crate) fn text(&self, sources: &Sources, is_ready: bool) -> String {
        let mut page = Page::default();
        self.of_the_reference(&mut page, sources);
        page.head(
            "irsa_webhook_decisions_total",
            "counter",
            "Reviews by decision and reason.",
        );
        for ((decision, reason), count) in lock(&self.decisions).iter() {
            page.line(
                "irsa_webhook_decisions_total",
                &[("decision", decision), ("reason", reason)],
                count,
            );
        }
        self.review_durations(&mut page);
        page.head(
            "irsa_webhook_look_ups_total",
            "counter",
            "Reviews that waited for a look-up of their account, by its outcome.",
        );
        for (outcome, count) in lock(&self.look_ups).iter() {
            page.line("irsa_webhook_look_ups_total", &[("outcome", outcome)], count);
        }
        let (annotated, unbound) = sources.accounts.counts();
        page.head(
            "irsa_webhook_accounts",
            "gauge",
            "Service accounts that are known: with annotations of ours, and without a role.",
        );
        page.line("irsa_webhook_accounts", &[("kind", "annotated")], annotated);
        page.line("irsa_webhook_accounts", &[("kind", "unbound")], unbound);
        page.head(
            "irsa_webhook_uninjected_pods",
            "gauge",
            "Pods that the last look found without the credentials of their role.",
        );
        page.line("irsa_webhook_uninjected_pods", &[], sources.uninjected());
        page.head("irsa_webhook_ready", "gauge", "Whether /readyz says so.");
        page.line("irsa_webhook_ready", &[], u8::from(is_ready));
        page.head(
            "irsa_webhook_connections",
            "gauge",
            "Open connections to the HTTPS port.",
        );
        page.line(
            "irsa_webhook_connections",
            &[],
            self.connections.load(Ordering::Relaxed),
        );
        page.head(
            "irsa_webhook_handshake_failures_total",
            "counter",
            "TLS handshakes that failed or took too long.",
        );
        page.line(
            "irsa_webhook_handshake_failures_total",
            &[],
            self.handshake_failures.load(Ordering::Relaxed),
        );
        let expires = self.certificate_expires.load(Ordering::Relaxed);
        if expires != 0 {
            page.head(
                "irsa_webhook_certificate_expiry_seconds",
                "gauge",
                "When the serving certificate ends, in seconds since 1970.",
            );
            page.line("irsa_webhook_certificate_expiry_seconds", &[], expires);
        }
        process(&mut page);
        page.0
    }

    fn of_the_reference(&self, page: &mut Page, sources: &Sources) {
        page.head(
            "http_request_count",
            "counter",
            "Counter of HTTP requests broken out for each verb, path, and response code.",
        );
        for ((verb, path, code), count) in lock(&self.requests).iter() {
            let code = code.to_string();
            page.line(
                "http_request_count",
                &[("verb", verb), ("path", path), ("code", &code)],
                count,
            );
        }
        let latencies = lock(&self.latencies).clone();
        page.head(
            "http_request_latencies",
            "histogram",
            "Latency of HTTP requests in microseconds, for each verb and path.",
        );
        for ((verb, path), latencies) in &latencies {
            let labels = [("verb", *verb), ("path", *path)];
            page.histogram(
                "http_request_latencies",
                &labels,
                &BUCKETS,
                &latencies.buckets,
                latencies.count,
                latencies.sum,
            );
        }
        page.head(
            "http_request_duration_microseconds",
            "summary",
            "Duration of HTTP requests in microseconds, for each verb and path.",
        );
        for ((verb, path), latencies) in &latencies {
            let labels = [("verb", *verb), ("path", *path)];
            page.line("http_request_duration_microseconds_sum", &labels, latencies.sum);
            page.line("http_request_duration_microseconds_count", &labels, latencies.count);
        }
        page.head(
            "pod_identity_webhook_pod_count",
            "counter",
            "Pods for which a configuration was found, by the way in which they get credentials.",
        );
        for (method, count) in lock(&self.methods).iter() {
            page.line("pod_identity_webhook_pod_count", &[("method", method)], count);
        }
        let missing = self.missing_accounts.load(Ordering::Relaxed);
        if missing > 0 {
            page.head(
                "pod_identity_webhook_missing_sa_count",
                "counter",
                "Pods whose service account was not found.",
            );
            page.line("pod_identity_webhook_missing_sa_count", &[], missing);
        }
        page.head(
            "pod_identity_webhook_used",
            "gauge",
            "Whether any service account has a role.",
        );
        let configured = sources.configured().is_some_and(|configured| !configured.is_empty());
        let served = sources.served().is_some_and(|served| !served.is_empty());
        let used = configured || served || sources.accounts.has_bound();
        page.line("pod_identity_webhook_used", &[], u8::from(used));
    }

    fn review_durations(&self, page: &mut Page) {
        let name = "irsa_webhook_review_duration_microseconds";
        page.head(
            name,
            "histogram",
            "How long reviews took, with their waiting for look-ups.",
        );
        let each = *lock(&self.reviews);
        let mut sum = 0_u64;
        let cumulative = each.map(|count| {
            sum = sum.saturating_add(count);
            sum
        });
        let took = self.review_microseconds.load(Ordering::Relaxed);
        page.histogram(name, &[], &FINE_BUCKETS, &cumulative, sum, took);
    }
}

/// A page in Prometheus' format.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (place, (label, value)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{value}\"", if place == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], bounds: &[u64], counts: &[u64], count: u64, sum: u64) {
        let bucket = format!("{name}_bucket");
        for (bound, count) in bounds.iter().zip(counts) {
            let bound = bound.to_string();
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.line(&bucket, &labels, count);
        }
        let labels_of_all: Vec<_> = labels.iter().copied().chain([("le", "+Inf")]).collect();
        self.line(&bucket, &labels_of_all, count);
        self.line(&format!("{name}_sum"), labels, sum);
        self.line(&format!("{name}_count"), labels, count);
    }
}

/// What the kernel says of this process, under the names that all of Prometheus' libraries use; nothing where there is no `/proc`.
fn process(page: &mut Page) {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return;
    };
    // The second field is the command's name in parentheses, which may hold blanks.
    let fields: Vec<u64> = stat
        .rsplit_once(')')
        .map(|(_, rest)| {
            rest.split_whitespace()
                .map(|field| field.parse().unwrap_or_default())
                .collect()
        })
        .unwrap_or_default();
    let field = |place: usize| fields.get(place).copied().unwrap_or_default();
    // Every Linux that Rust runs on counts a hundred ticks a second, and the pages of these architectures have 4 KiB where it matters.
    let ticks = field(11).saturating_add(field(12));
    page.head(
        "process_cpu_seconds_total",
        "counter",
        "Total user and system CPU time spent in seconds.",
    );
    let (seconds, hundredths) = (ticks / 100, ticks % 100);
    page.line(
        "process_cpu_seconds_total",
        &[],
        format_args!("{seconds}.{hundredths:02}"),
    );
    page.head("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.");
    page.line("process_virtual_memory_bytes", &[], field(20));
    if let Some(resident) = resident_bytes() {
        page.head(
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory size in bytes.",
        );
        page.line("process_resident_memory_bytes", &[], resident);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        page.head("process_open_fds", "gauge", "Number of open file descriptors.");
        page.line("process_open_fds", &[], open.count());
    }
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use irsa_webhook::Settings;

    use super::*;

    #[test]
    fn names_and_types_of_the_reference() {
        let (metrics, sources) = (Metrics::default(), Sources::new(Settings::default(), false, false));
        metrics.request("POST", "/mutate", 200, Duration::from_micros(330));
        metrics.request("POST", "/mutate", 200, Duration::from_millis(300));
        metrics.method("sts_web_identity");
        metrics.decision("injected", "role", Duration::from_micros(330));
        let text = metrics.text(&sources, false);
        for line in [
            "# TYPE http_request_count counter",
            "http_request_count{verb=\"POST\",path=\"/mutate\",code=\"200\"} 2",
            "# TYPE http_request_latencies histogram",
            "http_request_latencies_bucket{verb=\"POST\",path=\"/mutate\",le=\"125000\"} 1",
            "http_request_latencies_bucket{verb=\"POST\",path=\"/mutate\",le=\"500000\"} 2",
            "http_request_latencies_bucket{verb=\"POST\",path=\"/mutate\",le=\"+Inf\"} 2",
            "# TYPE http_request_duration_microseconds summary",
            "http_request_duration_microseconds_sum{verb=\"POST\",path=\"/mutate\"} 300330",
            "http_request_duration_microseconds_count{verb=\"POST\",path=\"/mutate\"} 2",
            "pod_identity_webhook_pod_count{method=\"sts_web_identity\"} 1",
            "pod_identity_webhook_used 0",
            "irsa_webhook_decisions_total{decision=\"injected\",reason=\"role\"} 1",
            "irsa_webhook_review_duration_microseconds_bucket{le=\"250\"} 0",
            "irsa_webhook_review_duration_microseconds_bucket{le=\"500\"} 1",
            "irsa_webhook_ready 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(!text.contains("pod_identity_webhook_missing_sa_count"));
        metrics.missing_account();
        let role = [("eks.amazonaws.com/role-arn", "x")];
        sources.accounts.upsert(sources.accounts.read("a", "b", role));
        let text = metrics.text(&sources, true);
        assert!(text.contains("\npod_identity_webhook_missing_sa_count 1\n"));
        assert!(text.contains("\npod_identity_webhook_used 1\n"));
        assert!(text.contains("\nprocess_resident_memory_bytes "));
    }
}
