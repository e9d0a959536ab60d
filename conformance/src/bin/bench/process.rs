//! What the kernel says about a process: CPU time and resident memory.

use std::fs;

use anyhow::{Context as _, Result};

/// `sysconf(_SC_CLK_TCK)` is 100 on every Linux that Rust runs on.
const TICK_MICROSECONDS: f64 = 10_000.0;

/// CPU time of all threads, user and system, in microseconds (steps of 10 ms).
pub(crate) fn cpu_microseconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    // The second field is the command's name in parentheses, which may itself hold blanks: count from its end.
    let (_, rest) = text.rsplit_once(')').context("no command name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |index: usize| -> Result<f64> { Ok(fields.get(index).context("too few fields")?.parse()?) };
    // utime and stime are fields 14 and 15; the first here is field 3.
    Ok((ticks(11)? + ticks(12)?) * TICK_MICROSECONDS)
}

/// Resident memory in MiB.
pub(crate) fn resident_mebibytes(pid: u32) -> Result<f64> {
    mebibytes(pid, "VmRSS:")
}

/// The most resident memory in MiB since [`forget_peak`], or since the process started.
pub(crate) fn peak_mebibytes(pid: u32) -> Result<f64> {
    mebibytes(pid, "VmHWM:")
}

/// Makes the present resident memory the peak.
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("writing {path}"))
}

fn mebibytes(pid: u32, field: &str) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .with_context(|| format!("no {field} in {path}"))?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes / 1024.0)
}
