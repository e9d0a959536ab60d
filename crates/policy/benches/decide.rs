//! How long one decision takes, and what else a request costs. The figures to reach stand in the cases' names or beside
//! them; `cargo xtask bench policy` compares with them, and with other engines.

#[path = "decide/cases.rs"]
mod cases;

use std::hint::black_box;

use cases::Case;
use divan::Bencher;
use irsa_policy::{Context, Decision, Layers, Policy, PolicyKind, Request, decide, decision, explain};

/// Shows the allocations of what allocates; a decision must not be among it.
#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

fn bench(bencher: Bencher<'_, '_>, case: &Case, run: impl Fn(&Layers<'_>, &Request<'_>) -> Decision + Sync) {
    let (layers, request) = (case.layers(), case.request());
    assert_eq!(run(&layers, &request), case.expected, "{case}");
    bencher.bench(|| run(black_box(&layers), black_box(&request)));
}

/// At most 25 ns for 2 statements, 60 ns for 10, 300 ns for 100.
#[divan::bench(args = cases::decisions())]
fn decision_only(bencher: Bencher<'_, '_>, case: &Case) {
    bench(bencher, case, decision);
}

#[divan::bench(args = cases::decisions())]
fn decision_with_statement(bencher: Bencher<'_, '_>, case: &Case) {
    bench(bencher, case, |layers, request| decide(layers, request).decision);
}

/// At most 5 µs.
#[divan::bench(args = cases::decisions())]
fn explained(bencher: Bencher<'_, '_>, case: &Case) {
    bench(bencher, case, |layers, request| {
        explain(layers, request).verdict.decision
    });
}

/// At most three times as long for 10,000 as for 10.
#[divan::bench(args = cases::growth())]
fn growing_policies(bencher: Bencher<'_, '_>, case: &Case) {
    bench(bencher, case, decision);
}

/// At most 20 µs.
#[divan::bench]
fn hostile_wildcards(bencher: Bencher<'_, '_>) {
    bench(bencher, &cases::hostile(), decision);
}

/// At most 150 ns.
#[divan::bench]
fn request_of_18_keys() -> Context {
    black_box(cases::context())
}

/// At most 50 µs.
#[divan::bench]
fn compile_6_kb(bencher: Bencher<'_, '_>) {
    let text = cases::six_kilobytes();
    assert!((5_800..6_144).contains(&text.len()), "{}", text.len());
    bencher.bench(|| Policy::parse("bench", PolicyKind::Identity, black_box(&text)).is_ok());
}
