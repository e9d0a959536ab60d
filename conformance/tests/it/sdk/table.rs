//! `docs/compatibility.md`: its table and its notes are made of what the clients did.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    STEPS,
    clients::{ALL, Sdk},
};

/// Rows are written by tests that run at the same time.
static WRITING: Mutex<()> = Mutex::new(());

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility.md")
}

/// The row of a client.
fn row(sdk: &Sdk, version: &str) -> String {
    let mut row = format!("| {} | {version} |", sdk.name);
    for step in STEPS {
        let known = sdk.known.iter().any(|known| known.step == step);
        row += match (known, step) {
            (true, _) => " no |".to_owned(),
            (false, "objects") => format!(" {} |", sdk.checksum),
            (false, _) => " yes |".to_owned(),
        }
        .as_str();
    }
    row
}

fn notes(sdk: &Sdk) -> Vec<String> {
    let known = sdk.known.iter();
    known
        .map(|known| format!("* {}, {}: {}.", sdk.name, known.step, known.reason))
        .collect()
}

/// Which lines of the page are of a client.
fn is_of(line: &str, sdk: &Sdk) -> bool {
    line.starts_with(&format!("| {} |", sdk.name)) || line.starts_with(&format!("* {}, ", sdk.name))
}

/// Holds the page to what a client did, whose steps have all ended as they are known to; or writes it.
pub(super) fn hold(sdk: &Sdk, version: &str) -> Result<()> {
    let _one = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let page = fs::read_to_string(file())?;
    let wanted: Vec<String> = std::iter::once(row(sdk, version)).chain(notes(sdk)).collect();
    let found: Vec<&str> = page.lines().filter(|line| is_of(line, sdk)).collect();
    if found == wanted {
        return Ok(());
    }
    ensure!(
        std::env::var_os("IRSA_WRITE_COMPATIBILITY").is_some(),
        "docs/compatibility.md says\n{}\nwhere the run gives\n{}\n(IRSA_WRITE_COMPATIBILITY=1 writes it)",
        found.join("\n"),
        wanted.join("\n")
    );
    let kept = page.lines().filter(|line| !is_of(line, sdk)).map(str::to_owned);
    let mut lines: Vec<String> = kept.collect();
    // Behind the last line of the clients before this one, or at the head of its block.
    let (row, notes) = (&wanted[..1], &wanted[1..]);
    for (block, head) in [(row, "| --- |"), (notes, "<!-- notes -->")] {
        let mark = block.first().map_or("", |line| &line[..2]);
        let earlier = ALL.iter().take_while(|other| other.name != sdk.name);
        let earlier: Vec<_> = earlier.collect();
        let last = lines
            .iter()
            .rposition(|line| line.starts_with(mark) && earlier.iter().any(|other| is_of(line, other)));
        let Some(place) = last.or_else(|| lines.iter().position(|line| line.starts_with(head))) else {
            anyhow::bail!("docs/compatibility.md has no line `{head}`");
        };
        lines.splice(place + 1..place + 1, block.iter().cloned());
    }
    Ok(fs::write(file(), lines.join("\n") + "\n")?)
}

#[test]
fn the_page_has_the_rows_of_all_clients_and_no_others() -> Result<()> {
    let page = fs::read_to_string(file())?;
    let (page, _) = page.split_once("## The steps").context("a page of another form")?;
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| --- |"));
    let names: Vec<&str> = rows
        .filter_map(|line| line.split(" |").next())
        .map(|name| &name[2..])
        .collect();
    let wanted: Vec<&str> = std::iter::once("Client")
        .chain(ALL.iter().map(|sdk| sdk.name))
        .collect();
    ensure!(names == wanted, "{names:?}");
    let head = page
        .lines()
        .find(|line| line.starts_with("| Client |"))
        .unwrap_or_default();
    ensure!(head.matches('|').count() == STEPS.len() + 3, "{head}");
    Ok(())
}
