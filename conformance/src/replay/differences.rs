//! Where we differ from AWS on purpose: read from `docs/differences.md`, so that the document and the replayer cannot tell different stories.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Case, Outcome};

const DOCUMENT: &str = include_str!("../../../docs/differences.md");
const FENCE: &str = "```replay-differences";

/// One line of the document's list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Matches a case's id; `*` stands for any characters.
    #[serde(default)]
    id: Option<String>,
    /// Stands somewhere in `varies`.
    #[serde(default)]
    varies: Option<String>,
    /// Stands somewhere in the line of the case.
    #[serde(default)]
    contains: Option<String>,
    /// Our outcome: each member must be in the actual one with this value.
    outcome: Map<String, Value>,
    /// Why we differ.
    pub reason: String,
}

impl Difference {
    /// Whether it speaks of a case.
    fn covers(&self, case: &Case) -> bool {
        let id = self.id.as_ref().is_none_or(|pattern| glob(pattern, &case.id));
        let varies = self.varies.as_ref().is_none_or(|part| case.varies.contains(part));
        id && varies && self.contains.as_ref().is_none_or(|part| case.line.contains(part))
    }

    /// Whether an outcome is the promised one.
    pub(super) fn promises(&self, actual: &Outcome) -> bool {
        self.outcome
            .iter()
            .all(|(name, value)| actual.0.get(name) == Some(value))
    }
}

/// All documented differences.
#[derive(Clone, Debug)]
pub struct Differences(Vec<Difference>);

impl Differences {
    /// Those of this repository's `docs/differences.md`.
    pub fn documented() -> Result<Self> {
        Self::parse(DOCUMENT).context("docs/differences.md")
    }

    /// The list in a Markdown text: every line of its fenced blocks named `replay-differences` is a JSON object.
    pub fn parse(markdown: &str) -> Result<Self> {
        let mut differences: Vec<Difference> = Vec::new();
        let mut inside = false;
        for line in markdown.lines() {
            if line.starts_with(FENCE) {
                inside = true;
            } else if line.starts_with("```") {
                inside = false;
            } else if inside && !line.trim().is_empty() {
                differences.push(serde_json::from_str(line).with_context(|| format!("the line {line}"))?);
            }
        }
        if let Some(all) = differences
            .iter()
            .find(|one| one.id.is_none() && one.varies.is_none() && one.contains.is_none())
        {
            bail!("a difference must say which cases it speaks of: {}", all.reason);
        }
        Ok(Self(differences))
    }

    pub(super) fn find<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = &'a Difference> {
        self.0.iter().filter(|difference| difference.covers(case))
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    (0..=text.len())
        .filter_map(|from| text.get(from..))
        .any(|tail| glob(rest, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_of_this_repository_is_readable() {
        assert!(!Differences::documented().unwrap().0.is_empty());
    }

    #[test]
    fn a_difference_covers_what_all_of_its_members_match() {
        let text = "text\n```replay-differences\n{\"id\":\"*-dup*\",\"varies\":\"aud\",\"outcome\":{\"ok\":false},\"reason\":\"r\"}\n```\n";
        let differences = Differences::parse(text).unwrap();
        let covered = |line: &str| differences.find(&Case::parse(line, "x:1").unwrap()).count();
        assert_eq!(covered(r#"{"id":"wi-a-duplicate","varies":"aud twice"}"#), 1);
        assert_eq!(covered(r#"{"id":"wi-a-duplicate","varies":"iss twice"}"#), 0);
        assert_eq!(covered(r#"{"id":"wi-a-other","varies":"aud twice"}"#), 0);
    }

    #[test]
    fn a_difference_that_covers_everything_is_refused() {
        assert!(Differences::parse("```replay-differences\n{\"outcome\":{},\"reason\":\"r\"}\n```").is_err());
    }
}
