//! Holds the policy engine against its targets, and against other engines on the nearest equivalent, all in one process.
//!
//! Times are the least of many batches: what else runs on the machine only ever adds. Ratios are between numbers taken
//! turn by turn. `--instructions` counts with valgrind, which needs no quiet machine; `--count CASE N` is what it runs.

#[path = "../../crates/policy/benches/decide/cases.rs"]
mod cases;
mod instructions;
mod others;
mod timing;

use std::hint::black_box;
use std::process::ExitCode;

use cases::Case;
use irsa_policy::{Decision, Policy, PolicyKind, decide, decision, explain};
use timing::{allocations, least, spread};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            let missed = targets();
            comparison();
            if missed == 0 {
                println!("\nall targets are met");
            } else {
                println!("\n{missed} targets are MISSED");
            }
            ExitCode::SUCCESS
        }
        ["--instructions"] => match instructions::print(&runs()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
        ["--count", number, times] => {
            let run = number
                .parse()
                .ok()
                .and_then(|number: usize| runs().into_iter().nth(number));
            let (Some(mut run), Ok(times)) = (run, times.parse::<u32>()) else {
                return ExitCode::from(2);
            };
            for _ in 0..times {
                (run.once)();
            }
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: irsa-bench [--instructions]");
            ExitCode::from(2)
        }
    }
}

/// Something to measure.
pub(crate) struct Run {
    pub(crate) name: String,
    /// In nanoseconds.
    limit: Option<f64>,
    /// Whether it must not allocate.
    allocates: bool,
    pub(crate) once: Box<dyn FnMut()>,
}

/// A decision with everything prebuilt, for which its case must stay as long as the program runs.
fn decisions(case: Case) -> Run {
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
fn runs() -> Vec<Run> {
    let mut runs: Vec<Run> = cases::decisions().into_iter().map(decisions).collect();
    runs.push(Run {
        name: "building a request of 18 condition keys".to_owned(),
        limit: Some(150.0),
        allocates: true,
        once: Box::new(|| {
            let context = cases::context();
            black_box(cases::request(cases::GET.0, cases::GET.1, black_box(&context)));
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

/// Prints every target with what was measured; gives the number of those missed.
fn targets() -> usize {
    let mut missed = 0;
    let mut verdict = |met: bool| {
        missed += usize::from(!met);
        if met { "met" } else { "MISSED" }
    };
    println!("{:>12} {:>12} {:>6}  {:6}", "target", "measured", "allocs", "");
    let mut growth = Vec::new();
    for mut run in runs() {
        let (time, allocated) = (least(&mut run.once), allocations(&mut run.once));
        let (limit, verdict) = match run.limit {
            Some(limit) => (
                spread(limit),
                verdict(time <= limit && (run.allocates || allocated == 0)),
            ),
            None => (String::new(), ""),
        };
        println!(
            "{limit:>12} {:>12} {allocated:>6}  {verdict:6}  {}",
            spread(time),
            run.name
        );
        if run.name.ends_with("disjoint resources") {
            growth.push(time);
        }
    }
    if let ([few, ..], [.., many]) = (growth.as_slice(), growth.as_slice()) {
        let factor = many / few;
        println!(
            "{:>12} {:>12} {:>6}  {:6}  from 10 to 10,000 statements",
            "3 times",
            format!("{factor:.1} times"),
            "",
            verdict(factor <= 3.0)
        );
    }
    missed
}

/// Prints the other engines beside ours.
fn comparison() {
    println!(
        "\n{:24} {:>12} {:>26} {:>26}",
        "nearest equivalent", "irsa-policy", "iam-rs", "cedar-policy"
    );
    let two = cases::decisions().into_iter().next();
    let ten = cases::decisions()
        .into_iter()
        .find(|case| case.name == "10 statements with 2 conditions each");
    for (name, ours, theirs) in [
        ("2 statements", two, others::two()),
        ("10 statements", ten, others::ten()),
    ] {
        let Some(ours) = ours else { continue };
        assert_eq!(ours.expected, Decision::Allowed);
        let mut ours = decisions(ours);
        let others::Others { mut iam_rs, mut cedar } = theirs;
        let [ours, iam_rs, cedar] = timing::in_turn([&mut ours.once, &mut iam_rs, &mut cedar]);
        println!(
            "{name:24} {:>12} {:>12} ({:>5.0} times) {:>12} ({:>5.0} times)",
            spread(ours),
            spread(iam_rs),
            iam_rs / ours,
            spread(cedar),
            cedar / ours
        );
    }
    println!(
        "\niam-rs takes a policy variable's `*` for a wildcard and knows no boundaries or control policies; Cedar is another\n\
         language: its policies say the same by `like`, `isInRange` and `==`. All requests are prebuilt."
    );
}
