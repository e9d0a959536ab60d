//! What is measured, apart from how: one program takes the times, another counts allocations.

#[path = "../../crates/policy/benches/decide/cases.rs"]
mod cases;
pub mod others;

use std::hint::black_box;

use cases::Case;
use irsa_policy::{Policy, PolicyKind, Request, decide, decision, explain};

/// Something to measure.
pub struct Run {
    /// What a table calls it.
    pub name: String,
    /// In nanoseconds.
    pub limit: Option<f64>,
    /// Whether it may allocate.
    pub allocates: bool,
    /// Does it once.
    pub once: Box<dyn FnMut()>,
}

/// A decision with everything prebuilt, for which its case must stay as long as the program runs.
pub(crate) fn decisions(case: Case) -> Run {
    let case: &'static Case = Box::leak(Box::new(case));
    let (layers, request) = (case.layers(), case.request());
    assert_eq!(decision(&layers, &request), case.expected, "{case}");
    assert_eq!(decide(&layers, &request).decision, case.expected, "{case}");
    assert_eq!(explain(&layers, &request).verdict.decision, case.expected, "{case}");
    Run {
        name: case.name.to_owned(),
        limit: case.limit,
        allocates: false,
        once: Box::new(move || {
            black_box(decision(black_box(&layers), black_box(&request)));
        }),
    }
}

/// All that has a target, and what belongs to it.
pub fn runs() -> Vec<Run> {
    let mut runs: Vec<Run> = cases::decisions().into_iter().map(decisions).collect();
    // Who calls is known from the signature; the keys are what a request brings.
    let none: &'static irsa_policy::Context = Box::leak(Box::default());
    let without_keys = cases::request(cases::GET.0, cases::GET.1, none);
    runs.push(Run {
        name: "building a request of 18 condition keys".to_owned(),
        limit: Some(150.0),
        allocates: true,
        once: Box::new(move || {
            let context = cases::context();
            black_box(Request {
                context: black_box(&context),
                ..without_keys
            });
        }),
    });
    for case in cases::decisions() {
        let is_ten = case.name == "10 statements with 2 conditions each";
        if is_ten || case.name.starts_with("100") {
            runs.push(Run {
                name: format!("full explanation: {}", case.name),
                limit: is_ten.then_some(5_000.0),
                allocates: true,
                once: Box::new(move || {
                    black_box(explain(black_box(&case.layers()), black_box(&case.request())));
                }),
            });
        }
    }
    let text = cases::six_kilobytes();
    runs.push(Run {
        name: format!("parse and compile {} bytes", text.len()),
        limit: Some(50_000.0),
        allocates: true,
        once: Box::new(move || {
            black_box(Policy::parse("bench", PolicyKind::Identity, black_box(&text)).is_ok());
        }),
    });
    runs.push(decisions(cases::hostile()));
    runs.extend(cases::growth().into_iter().map(decisions));
    runs
}

/// The cases that other engines are asked too, by name.
pub fn compared() -> Vec<(&'static str, Run, others::Others)> {
    let ours = |name: &str| {
        let case = cases::decisions().into_iter().find(|case| case.name == name);
        decisions(case.expect("the case exists"))
    };
    vec![
        ("2 statements", ours("2 statements, an object is read"), others::two()),
        (
            "10 statements",
            ours("10 statements with 2 conditions each"),
            others::ten(),
        ),
    ]
}
