//! The replayer: re-creates recorded calls of AWS, each with keys, an https issuer, an account and a role of its own, against the built binary, and
//! compares what comes with what AWS answered.
//!
//! The files hold one JSON object a line; `cases/README.md` describes their members. A line with `jwt` is a recorded AssumeRoleWithWebIdentity, one with
//! `document` a recorded write of a trust policy.

mod differences;
mod resolve;
mod trust_policy;
mod web_identity;

use std::{fmt, path::Path, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::{Answer, Client, Credentials, Issuer, Server, StartOptions};

pub use differences::{Difference, Differences};

/// How many cases run at a time: enough to keep a small machine busy, and to share the store's commits.
const CONCURRENCY: usize = 8;

/// One line of a file.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its `id`, or file and line if it has none.
    pub id: String,
    /// What `varies` says.
    pub varies: String,
    line: String,
    members: Value,
}

impl Case {
    /// Reads a line; `place` names it if it has no `id`.
    pub fn parse(line: &str, place: &str) -> Result<Self> {
        let members: Value = serde_json::from_str(line).with_context(|| format!("{place} is not JSON"))?;
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            id: text("id").unwrap_or_else(|| place.to_owned()),
            varies: text("varies").unwrap_or_default(),
            line: line.to_owned(),
            members,
        })
    }

    /// All cases of a file.
    pub fn read(path: &Path) -> Result<Vec<Self>> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        text.lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(index, line)| Self::parse(line, &format!("{}:{}", path.display(), index + 1)))
            .collect()
    }

    /// Why the case cannot be re-created here, if it cannot.
    fn skipped(&self) -> Option<&'static str> {
        if self.members.get("group").and_then(Value::as_str) == Some("propagation") {
            return Some("AWS's eventual consistency is not a rule; changes are visible at once here");
        }
        if self.members.pointer("/outcome/code").and_then(Value::as_str) == Some("IDPRejectedClaim") {
            return Some("AWS asked another company's identity provider");
        }
        if self.members.pointer("/jwt/claims/sub").is_some_and(Value::is_null) {
            return Some("an internal failure of AWS");
        }
        None
    }
}

/// An answer, reduced to what the recordings hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome(pub Map<String, Value>);

impl Outcome {
    /// A success without further members.
    fn success() -> Self {
        Self(Map::from_iter([("ok".to_owned(), true.into())]))
    }

    /// The error that an answer carries.
    fn failure(answer: &Answer) -> Self {
        Self(Map::from_iter([
            ("ok".to_owned(), false.into()),
            ("code".to_owned(), answer.error_code().into()),
            ("message".to_owned(), answer.error_message().into()),
        ]))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Value::Object(self.0.clone()))
    }
}

/// What became of a case.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The answer is AWS's.
    Passed,
    /// The answer is another one than AWS's, and the one that `docs/differences.md` promises, for this reason.
    Differs(String),
    /// Not run, for this reason.
    Skipped(&'static str),
    /// The answer is wrong.
    Failed {
        /// What AWS answered, placeholders filled in where they are known.
        expected: String,
        /// What came.
        actual: String,
    },
}

/// A case and what became of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The case's id.
    pub id: String,
    /// What `varies` says.
    pub varies: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// Runs all cases of `files` against a server of their own; reports come in the files' order.
pub async fn run(binary: Option<PathBuf>, files: &[PathBuf]) -> Result<Vec<Report>> {
    let mut cases = Vec::new();
    for file in files {
        cases.extend(Case::read(file)?);
    }
    let issuer = Issuer::start()?;
    let authority = issuer.authority().to_string_lossy().into_owned();
    let server = Server::start_with(&StartOptions {
        binary,
        arguments: ["--allow-private-issuers", "--issuer-ca", &authority]
            .map(str::to_owned)
            .to_vec(),
        ..StartOptions::default()
    })?;
    let world = Arc::new(World {
        root: server.root()?,
        issuer,
        differences: Differences::documented()?,
    });
    let places = Arc::new(Semaphore::new(CONCURRENCY));
    let mut running = Vec::new();
    for (index, case) in cases.into_iter().enumerate() {
        let (world, places) = (Arc::clone(&world), Arc::clone(&places));
        running.push(tokio::spawn(async move {
            let _place = places.acquire().await?;
            anyhow::Ok(world.report(index, case).await)
        }));
    }
    let mut reports = Vec::with_capacity(running.len());
    for one in running {
        reports.push(one.await.context("a case ended in a panic")??);
    }
    Ok(reports)
}

/// What all cases share.
struct World {
    root: Client,
    issuer: Issuer,
    differences: Differences,
}

impl World {
    async fn report(&self, index: usize, case: Case) -> Report {
        let verdict = match case.skipped() {
            Some(reason) => Verdict::Skipped(reason),
            None => self.judge(index, &case).await,
        };
        Report {
            id: case.id,
            varies: case.varies,
            verdict,
        }
    }

    async fn judge(&self, index: usize, case: &Case) -> Verdict {
        let run = if case.members.get("jwt").is_some() {
            web_identity::run(self, index, case).await
        } else if case.members.get("document").is_some() {
            trust_policy::run(self, index, case).await
        } else {
            Err(anyhow::anyhow!(
                "neither a token nor a policy document is recorded: not a case of a known kind"
            ))
        };
        let Comparison {
            expected,
            actual,
            equal,
        } = match run {
            Ok(comparison) => comparison,
            Err(error) => {
                let expected = case.members.get("outcome").map(Value::to_string).unwrap_or_default();
                return Verdict::Failed {
                    expected,
                    actual: format!("the case could not be run: {error:#}"),
                };
            }
        };
        if equal {
            return Verdict::Passed;
        }
        match self
            .differences
            .find(case)
            .find(|difference| difference.promises(&actual))
        {
            Some(difference) => Verdict::Differs(difference.reason.clone()),
            None => Verdict::Failed {
                expected,
                actual: actual.to_string(),
            },
        }
    }

    /// A new account: its id and a client with its root key.
    async fn account(&self) -> Result<(String, Client)> {
        let answer = self.root.json("irsa", "POST", "/accounts", Some(&json!({}))).await?;
        let value = answer.value()?;
        let text = |pointer: &str| {
            let found = value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            found.with_context(|| format!("an account could not be made: {value}"))
        };
        let credentials = Credentials {
            access_key_id: text("/accessKey/accessKeyId")?,
            secret_access_key: text("/accessKey/secretAccessKey")?,
            session_token: None,
        };
        Ok((text("/account/id")?, self.root.with(Some(credentials))))
    }
}

/// A recorded and an actual outcome.
struct Comparison {
    expected: String,
    actual: Outcome,
    equal: bool,
}

/// The member of an object, or an error that names it.
fn member<'a>(value: &'a Value, name: &str) -> Result<&'a Value> {
    value.get(name).with_context(|| format!("the case has no `{name}`"))
}

/// The texts of an array.
fn texts(value: &Value) -> Result<Vec<&str>> {
    let Some(values) = value.as_array() else {
        bail!("not an array: {value}")
    };
    values
        .iter()
        .map(|value| value.as_str().with_context(|| format!("not a text: {value}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_cases_are_readable_and_of_a_known_kind() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
        for (file, lines) in [("webidentity.jsonl", 73), ("trust_validation.jsonl", 191)] {
            let cases = Case::read(&folder.join(file)).unwrap();
            assert!(cases.len() >= lines, "{file} has {} cases", cases.len());
            assert!(
                cases
                    .iter()
                    .all(|case| case.members.get("jwt").is_some() || case.members.get("document").is_some())
            );
        }
    }

    #[test]
    fn what_cannot_be_re_created_is_skipped_with_a_reason() {
        let skipped = |line: &str| Case::parse(line, "x:1").unwrap().skipped();
        assert!(skipped(r#"{"group":"propagation","jwt":{}}"#).is_some());
        assert!(
            skipped(r#"{"jwt":{"claims":{"sub":null}},"outcome":{"ok":false,"code":"InternalFailure"}}"#).is_some()
        );
        assert!(skipped(r#"{"jwt":{"claims":{"sub":"null"}},"outcome":{"ok":true}}"#).is_none());
    }
}
