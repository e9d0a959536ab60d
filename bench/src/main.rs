//! Holds the policy engine against its targets, and against other engines on the nearest equivalent, all in one process.
//!
//! Times are the least of many batches: what else runs on the machine only ever adds. Ratios are between numbers taken
//! turn by turn. `--instructions` counts with valgrind, which needs no quiet machine; `--count CASE N` is what it runs.

mod instructions;
mod timing;

use std::process::{Command, ExitCode};

use irsa_bench::others::Others;
use irsa_bench::{compared, runs};
use timing::{least, spread};

/// As the released binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

/// Prints every target with what was measured; gives the number of those missed.
fn targets() -> usize {
    let mut missed = 0;
    let mut verdict = |met: bool| {
        missed += usize::from(!met);
        if met { "met" } else { "MISSED" }
    };
    println!("{:>12} {:>12} {:>6}", "target", "measured", "allocs");
    let mut growth = Vec::new();
    let allocations = allocations();
    for (number, mut run) in runs().into_iter().enumerate() {
        let time = least(&mut run.once);
        let allocated = allocations.get(number).copied();
        let (limit, verdict) = match run.limit {
            Some(limit) => (
                spread(limit),
                verdict(time <= limit && (run.allocates || allocated.is_none_or(|count| count == 0))),
            ),
            None => (String::new(), ""),
        };
        let allocated = allocated.map_or_else(|| "?".to_owned(), |count| count.to_string());
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
        let shown = format!("{factor:.1} times");
        let verdict = verdict(factor <= 3.0);
        println!(
            "{:>12} {shown:>12} {:>6}  {verdict:6}  from 10 to 10,000 statements",
            "3 times", ""
        );
    }
    missed
}

/// What the program beside this one counts, a line a run; nothing if it is not there.
fn allocations() -> Vec<u64> {
    let program = std::env::current_exe().map(|own| own.with_file_name("allocations"));
    let output = program.and_then(|program| Command::new(program).output());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect()
}

/// Prints the other engines beside ours.
fn comparison() {
    println!(
        "\n{:24} {:>12} {:>26} {:>26}",
        "nearest equivalent", "irsa-policy", "iam-rs", "cedar-policy"
    );
    for (name, mut ours, theirs) in compared() {
        let Others { mut iam_rs, mut cedar } = theirs;
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
         language: its policies say the same by `like`, `isInRange` and `==`. All requests are prebuilt; the allocator is\n\
         the released binary's."
    );
}
