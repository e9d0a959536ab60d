//! Both evaluators on generated cases.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use irsa_reference::compare::{Agreement, compare};
use irsa_reference::coverage::Coverage;
use irsa_reference::evaluator::{Answer, Choices, decide};
use irsa_reference::generator;
use irsa_reference::shrink::shrink;

const CASES: u64 = 20_000;

/// Asks both about all cases of a seed, and counts what was asked.
fn agree(seed: u64, cases: u64, choices: fn(u64, u64) -> Choices) -> Coverage {
    let next = AtomicU64::new(0);
    let work = || {
        let mut coverage = Coverage::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= cases {
                return coverage;
            }
            let case = generator::case(seed, number);
            let choices = choices(seed, number);
            match compare(&case, &choices) {
                Ok(agreement) => coverage.record(&case, &agreement, &choices),
                Err(difference) => {
                    let (case, difference) = shrink(case, difference, &choices);
                    panic!("{difference}\n{}\n{choices:?}", case.to_json(&number.to_string()));
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut coverage = Coverage::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            coverage.merge(
                &thread
                    .join()
                    .unwrap_or_else(|payload| std::panic::resume_unwind(payload)),
            );
        }
    });
    coverage
}

#[test]
fn the_engine_agrees_and_every_part_of_the_language_is_asked_both_ways() {
    let coverage = agree(20_240_229, CASES, |_, _| Choices::AWS);
    assert_eq!(coverage.gaps(), Vec::<String>::new());
    for answer in [Answer::Allowed, Answer::ExplicitlyDenied, Answer::ImplicitlyDenied] {
        let share = coverage.decisions[&answer] * 100 / CASES;
        assert!(share >= 15, "{answer:?} is the answer of {share} % of the cases only");
    }
}

#[test]
fn the_engine_agrees_whatever_choices_are_made() {
    let coverage = agree(7, CASES / 4, generator::choices);
    assert_eq!(coverage.decisions.len(), 3);
}

#[test]
fn every_choice_decides_cases() {
    let mut aws = Choices::AWS;
    let mut undecided: Vec<&str> = aws.each().map(|(name, _)| name).collect();
    for number in 0..CASES {
        let case = generator::case(5, number);
        let Ok(Agreement {
            decision: Some(decision),
            policies,
        }) = compare(&case, &Choices::AWS)
        else {
            continue;
        };
        undecided.retain(|name| {
            let mut other = Choices::AWS;
            for (_, choice) in other.each().filter(|(known, _)| known == name) {
                *choice = !*choice;
            }
            decide(&policies, &case.request, &other) == decision
        });
        if undecided.is_empty() {
            return;
        }
    }
    panic!("no case depends on {undecided:?}");
}

#[test]
fn a_case_depends_on_its_seed_and_number_only() {
    for number in 0..50 {
        assert_eq!(generator::case(3, number), generator::case(3, number));
    }
    assert_ne!(generator::case(3, 1), generator::case(3, 2));
    assert_ne!(generator::case(3, 1), generator::case(4, 1));
}

#[test]
fn a_case_can_be_written_as_a_line_of_a_batch() {
    for number in 0..500 {
        let mut case = generator::case(11, number);
        for draft in case.drafts_mut() {
            draft.spoiled = None;
        }
        let line = case.to_json("x");
        assert!(!line.contains('\n'), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
        let policies = &value["policies"];
        assert_eq!(policies["identity"].as_array().map(Vec::len), Some(case.identity.len()));
        assert_eq!(
            policies["scp"].as_array().map(Vec::len),
            Some(case.service_control.len())
        );
        assert_eq!(policies["boundary"].is_null(), case.boundary.is_none());
        assert_eq!(value["request"]["action"], case.request.action);
        assert_eq!(
            value["request"]["context"].as_object().map(serde_json::Map::len),
            Some(case.request.keys.len())
        );
    }
}
