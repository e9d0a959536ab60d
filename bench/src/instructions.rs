//! Instructions by valgrind, which a virtual machine allows and other work on the machine does not disturb.

use std::io;
use std::process::Command;

use irsa_bench::Run;

/// Prints the instructions of every run: those of many runs less those of none, divided.
pub(crate) fn print(runs: &[Run]) -> io::Result<()> {
    const TIMES: u64 = 1_000;
    println!("{:>12}", "instructions");
    for (number, run) in runs.iter().enumerate() {
        let (many, none) = (count(number, TIMES)?, count(number, 0)?);
        println!("{:>12}  {}", many.saturating_sub(none) / TIMES, run.name);
    }
    Ok(())
}

fn count(number: usize, times: u64) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--count", &number.to_string(), &times.to_string()])
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("valgrind does not start: {error}")))?;
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok())
        .ok_or_else(|| io::Error::other(format!("valgrind counted nothing: {text}")))
}
