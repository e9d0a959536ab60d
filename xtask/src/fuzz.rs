//! `cargo xtask fuzz`: the fuzz targets one after the other.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::root;
use crate::step::run;

/// Every file of `fuzz/fuzz_targets` is a target.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        if let (Some("rs"), Some(name)) = (
            path.extension().and_then(|extension| extension.to_str()),
            path.file_stem().and_then(|stem| stem.to_str()),
        ) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Runs the named targets, or all, for `--seconds` each. A found input ends it and stays in `fuzz/artifacts`.
pub(crate) fn fuzz(words: &[std::ffi::OsString]) -> Result<()> {
    let known = targets()?;
    let mut seconds = 600_u64;
    let mut chosen = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let word = &word.to_string_lossy().into_owned();
        if word == "--seconds" {
            let value = words.next().context("`--seconds` needs a number")?.to_string_lossy();
            seconds = value
                .parse()
                .with_context(|| format!("`{value}` is no number of seconds"))?;
        } else if known.contains(word) {
            chosen.push(word.clone());
        } else {
            bail!("`{word}` is no fuzz target; there are {}", known.join(", "));
        }
    }
    if chosen.is_empty() {
        chosen = known;
    }
    for target in chosen {
        eprintln!("fuzzing {target} for {seconds} s");
        let folder = root().join("fuzz");
        let corpus = folder.join("corpus").join(&target);
        std::fs::create_dir_all(&corpus)?;
        let mut command = Command::new("cargo");
        command
            .current_dir(&folder)
            .args(["+nightly", "fuzz", "run", &target])
            .arg(&corpus);
        let seeds = folder.join("seeds").join(&target);
        if seeds.is_dir() {
            command.arg(seeds);
        }
        command.arg("--").arg(format!("-max_total_time={seconds}")).args([
            "-dict=policy.dict",
            "-max_len=4096",
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
        ]);
        run(&mut command).with_context(|| {
            format!("target `{target}`; `cargo install cargo-fuzz` and a nightly compiler are needed")
        })?;
    }
    Ok(())
}
