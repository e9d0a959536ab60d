//! Holds the engine against the reference on generated cases.
//!
//! Exits with 0 if they agree on all, 1 if they do not, 2 on wrong usage.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use irsa_reference::compare::compare;
use irsa_reference::coverage::Coverage;
use irsa_reference::evaluator::Choices;
use irsa_reference::generator;
use irsa_reference::shrink::shrink;

const USAGE: &str = "\
usage: policy-diff [--cases N] [--seed S] [--threads T] [--profile aws|random|NAME] [--case NUMBER]

  --cases N      how many cases (default 100000)
  --seed S       what they are made from (default 1)
  --threads T    how many threads (default: one a processor)
  --profile P    aws: the default; random: another one for each case; else the default with this setting turned
  --case NUMBER  only this case of the seed, printed";

/// Cases that a thread takes at once.
const BLOCK: u64 = 500;
/// Differing cases after which it is enough.
const ENOUGH: usize = 200;
/// Differing cases that are made small.
const SHRUNK: usize = 20;

struct Options {
    cases: u64,
    seed: u64,
    threads: usize,
    /// `None` for another profile in each case.
    choices: Option<Choices>,
    only: Option<u64>,
}

fn options() -> Option<Options> {
    let mut options = Options {
        cases: 100_000,
        seed: 1,
        threads: thread::available_parallelism().map_or(1, usize::from),
        choices: Some(Choices::AWS),
        only: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--cases" => options.cases = value.parse().ok()?,
            "--seed" => options.seed = value.parse().ok()?,
            "--threads" => options.threads = value.parse().ok().filter(|threads| *threads > 0)?,
            "--case" => options.only = Some(value.parse().ok()?),
            "--profile" => options.choices = profile(&value)?,
            _ => return None,
        }
    }
    Some(options)
}

/// `Some(None)` for another profile in each case.
fn profile(name: &str) -> Option<Option<Choices>> {
    let mut choices = Choices::AWS;
    match name {
        "aws" => {}
        "random" => return Some(None),
        name => {
            let (_, choice) = choices.each().find(|(known, _)| *known == name)?;
            *choice = !*choice;
        }
    }
    Some(Some(choices))
}

impl Options {
    fn choices(&self, number: u64) -> Choices {
        self.choices.unwrap_or_else(|| generator::choices(self.seed, number))
    }
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    // A panic is a difference like others, and told with its case.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(number) = options.only {
        return one(&options, number);
    }
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|_| scope.spawn(|| work(&options, &next, started)))
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    let mut coverage = Coverage::default();
    let mut differing = Vec::new();
    let mut asked = 0;
    let threads = results.len();
    for (counts, numbers, cases) in results {
        coverage.merge(&counts);
        differing.extend(numbers);
        asked += cases;
    }
    differing.sort_unstable();
    println!("{coverage}");
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{asked} cases of seed {} in {seconds:.1} s, {} differ",
        options.seed,
        differing.len()
    );
    tell(&options, &differing);
    if differing.is_empty() && threads == options.threads {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Takes blocks of cases until there are no more.
fn work(options: &Options, next: &AtomicU64, started: Instant) -> (Coverage, Vec<u64>, u64) {
    let mut coverage = Coverage::default();
    let mut differing = Vec::new();
    let mut asked = 0;
    loop {
        let first = next.fetch_add(BLOCK, Ordering::Relaxed);
        if first >= options.cases || differing.len() >= ENOUGH {
            return (coverage, differing, asked);
        }
        for number in first..options.cases.min(first + BLOCK) {
            let case = generator::case(options.seed, number);
            let choices = options.choices(number);
            match compare(&case, &choices) {
                Ok(agreement) => coverage.record(&case, &agreement, &choices),
                Err(_) => differing.push(number),
            }
            asked += 1;
        }
        if std::io::stderr().is_terminal() {
            let percent = first * 100 / options.cases;
            eprint!("\r\x1b[K{percent} %, {} s", started.elapsed().as_secs());
        }
    }
}

/// Prints the smallest case of each sort of difference.
fn tell(options: &Options, differing: &[u64]) {
    let mut found = Vec::new();
    for &number in differing.iter().take(SHRUNK) {
        let case = generator::case(options.seed, number);
        let choices = options.choices(number);
        if let Err(difference) = compare(&case, &choices) {
            let (case, difference) = shrink(case, difference, &choices);
            found.push((case.to_json(&number.to_string()), difference, choices));
        }
    }
    found.sort_by_key(|(line, ..)| line.len());
    let mut told: Vec<&irsa_reference::compare::Difference> = Vec::new();
    for (line, difference, choices) in &found {
        if told.iter().all(|other| !other.is_like(difference)) {
            println!("\n{difference}");
            if options.choices.is_none() {
                println!("{choices:?}");
            }
            println!("{line}");
            told.push(difference);
        }
    }
}

fn one(options: &Options, number: u64) -> ExitCode {
    let case = generator::case(options.seed, number);
    println!("{}", case.to_json(&number.to_string()));
    match compare(&case, &options.choices(number)) {
        Ok(agreement) => {
            match agreement.decision {
                Some(decision) => println!("both: {decision:?}"),
                None => println!("both refuse a policy"),
            }
            ExitCode::SUCCESS
        }
        Err(difference) => {
            println!("{difference}");
            tell(options, &[number]);
            ExitCode::FAILURE
        }
    }
}
