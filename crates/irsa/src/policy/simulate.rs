mod batch;
mod files;
mod known;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use irsa_core::AccountId;
use irsa_policy::{Context, Decision, Explanation, Profile, Request, Values, explain};
use irsa_simulate::{Caller, CallerError, owner, reserved};
use serde_json::{Value, json};

use self::files::Files;
use crate::cli::Output;
use crate::failure::Failure;
use crate::output::{self, BAD, Format, GOOD, shown};
use crate::table::Table;

#[derive(Args, Debug)]
#[command(after_long_help = BATCH)]
pub(crate) struct Simulate {
    /// Decide the cases of a file, or of stdin: a JSON object a line in, one out
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        default_missing_value = "-",
        conflicts_with_all = ["Files", "principal", "action", "resource", "resource_account", "context", "explain"]
    )]
    batch: Option<PathBuf>,
    /// Who asks: `anonymous`, an account, a service, or the ARN of a user, a role, a session or an identity provider
    #[arg(long, alias = "caller-arn", value_name = "ARN", required_unless_present = "batch")]
    principal: Option<String>,
    /// What is asked for, such as `s3:GetObject`
    #[arg(
        long,
        alias = "action-names",
        value_name = "ACTION",
        num_args = 1..,
        required_unless_present = "batch",
        value_parser = action
    )]
    action: Vec<String>,
    /// What it is asked of
    #[arg(long, alias = "resource-arns", value_name = "ARN", num_args = 1.., default_value = "*")]
    resource: Vec<String>,
    /// The account that owns the resource, if its ARN does not say so; the caller's if not given
    #[arg(long, alias = "resource-owner", value_name = "ACCOUNT", value_parser = account)]
    resource_account: Option<AccountId>,
    /// Condition keys of the request; a list are several values, those of a key that AWS knows as one, and `KEY=["VALUE"]`
    #[arg(long, alias = "context-entries", value_name = "KEY=VALUE[,VALUE…]", num_args = 1..)]
    context: Vec<Entry>,
    /// Explain every decision, also if there are several
    #[arg(long)]
    explain: bool,
    /// Do otherwise than AWS at a point that AWS leaves open, such as `digits_are_epoch_seconds=false`
    #[arg(long, value_name = "NAME=BOOL", num_args = 1.., value_parser = setting)]
    setting: Vec<(String, bool)>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    files: Files,
}

const BATCH: &str = r#"Cases of --batch:
  {"id": "c1",
   "policies": {"identity": [DOC…], "boundary": DOC, "session": DOC, "resource": DOC,
                "scp": [[DOC…]…], "rcp": [[DOC…]…], "vpce": [DOC…]},
   "request": {"principal": "arn:aws:sts::111122223333:assumed-role/app/s1",
               "action": "s3:GetObject", "resource": "arn:aws:s3:::bucket/key",
               "resourceAccount": "111122223333",
               "context": {"aws:SourceIp": "10.0.0.1", "aws:TagKeys": ["a", "b"]}}}
Answers, in the order of the cases:
  {"id": "c1", "decision": "Allowed", "reason": "because …"}
  {"id": "c1", "error": "what is wrong with the case"}
Decisions are Allowed, ExplicitlyDenied and ImplicitlyDenied. An error does not end the run."#;

/// Decides requests, and says why. Fails if one of them is denied.
pub(crate) fn run(arguments: &Simulate) -> anyhow::Result<ExitCode> {
    let mut profile = Profile::AWS;
    for (name, value) in &arguments.setting {
        profile.set(name, *value).map_err(|error| {
            let names: Vec<String> = Profile::AWS
                .settings()
                .map(|setting| format!("  {}: {}", setting.name, setting.meaning))
                .collect();
            Failure::usage(error.to_string()).hint(format!("the settings, all true, are\n{}", names.join("\n")))
        })?;
    }
    match &arguments.batch {
        Some(file) => batch::run(file, profile),
        None => decide(arguments, profile),
    }
}

fn decide(arguments: &Simulate, profile: Profile) -> anyhow::Result<ExitCode> {
    let mut context = Context::new();
    for entry in &arguments.context {
        let set = match &entry.value {
            Given::One(value) if known::is_list(&entry.key) => context.try_set_list(&entry.key, [value]),
            Given::One(value) => context.try_set(&entry.key, value),
            Given::List(values) => context.try_set_list(&entry.key, values),
        };
        set.map_err(|error| Failure::usage(error.to_string()))?;
    }
    let principal = arguments.principal.as_deref().unwrap_or_default();
    let caller = Caller::parse(principal)
        .map_err(|error| Failure::usage(error.to_string()).hint(CallerError::HELP))?
        .informed_by(&context);
    let mut files = arguments.files.read(profile)?;
    let mut answers = Vec::new();
    for action in &arguments.action {
        for resource in &arguments.resource {
            for doubt in known::doubts(action, resource) {
                output::warning(shown(&doubt));
            }
            let (policies, principals) = files.policies(action, resource)?;
            let caller = caller.clone().named_by(principals.iter().map(String::as_str));
            let explanation = caller.lend(|principal| {
                let request = Request {
                    principal,
                    action,
                    resource,
                    resource_account: arguments.resource_account.or_else(|| owner(resource)),
                    context: &context,
                };
                explain(&policies.layers(), &request)
            });
            answers.push(Answer::new(explanation));
        }
    }
    for objection in files.objections() {
        output::warning(format_args!("IAM would refuse {}", shown(objection)));
    }
    let missing: Vec<String> = files
        .context_keys()
        .into_iter()
        .filter(|key| matches!(context.get(key), Values::Absent))
        .collect();
    print(arguments, &answers, &missing);
    let allowed = answers.iter().all(|answer| answer.decision == Decision::Allowed);
    Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A decision and the evidence.
struct Answer {
    decision: Decision,
    reason: String,
    explanation: Explanation,
    /// Policies allow it, but AWS does not.
    overruled: bool,
}

impl Answer {
    fn new(explanation: Explanation) -> Self {
        let ruling = irsa_simulate::Ruling {
            verdict: explanation.verdict.clone(),
            reserved: reserved(&explanation.action, &explanation.resource).filter(|_| explanation.verdict.is_allowed()),
        };
        Self {
            decision: ruling.decision(),
            reason: ruling.reason(&explanation.action),
            overruled: ruling.reserved.is_some(),
            explanation,
        }
    }

    fn json(&self) -> Value {
        let mut json = self.explanation.to_json();
        json["decision"] = self.decision.to_string().into();
        json["reason"] = self.reason.as_str().into();
        json
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if self.overruled {
            text = format!("{} {}, which say:\n", self.decision, self.reason);
        }
        text.push_str(&self.explanation.to_string());
        let (word, style) = match self.decision {
            Decision::Allowed => ("Allowed", GOOD),
            Decision::ExplicitlyDenied => ("ExplicitlyDenied", BAD),
            Decision::ImplicitlyDenied => ("ImplicitlyDenied", BAD),
        };
        let lines: Vec<String> = text.trim_end().lines().map(shown).collect();
        let text = lines.join("\n");
        match text.strip_prefix(word) {
            Some(rest) => format!("{style}{word}{style:#}{rest}"),
            None => text,
        }
    }
}

fn print(arguments: &Simulate, answers: &[Answer], missing: &[String]) {
    if arguments.output.output == Format::Json {
        let evaluations: Vec<Value> = answers.iter().map(Answer::json).collect();
        output::json(&json!({ "evaluations": evaluations, "missingContextKeys": missing }));
        return;
    }
    if arguments.explain || answers.len() == 1 {
        let texts: Vec<String> = answers.iter().map(Answer::text).collect();
        output::data(texts.join("\n\n"));
    } else {
        let mut table = Table::new(&["ACTION", "RESOURCE", "DECISION", "REASON"]);
        for answer in answers {
            table.row(&[
                &answer.explanation.action,
                &answer.explanation.resource,
                &answer.decision.to_string(),
                &answer.reason,
            ]);
        }
        output::data(table);
    }
    if !missing.is_empty() {
        let keys: Vec<String> = missing.iter().map(|key| shown(key)).collect();
        output::data(format_args!(
            "\nkeys that the policies ask for and that were not given:\n  {}",
            keys.join("\n  ")
        ));
    }
}

/// A condition key of the request.
#[derive(Clone, Debug)]
struct Entry {
    key: String,
    value: Given,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Given {
    One(String),
    List(Vec<String>),
}

impl FromStr for Entry {
    type Err = String;

    /// `key=value`, `key=a,b`, `key=["a"]`, and the AWS CLI's `ContextKeyName=…,ContextKeyValues=…,ContextKeyType=…`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("ContextKeyName=") {
            return Self::shorthand(rest);
        }
        let (key, value) = text.split_once('=').ok_or("a condition key is `KEY=VALUE`")?;
        if key.is_empty() {
            return Err("a condition key is `KEY=VALUE`".to_owned());
        }
        let value = if value.starts_with(['[', '"']) {
            match serde_json::from_str(value).map_err(|error| format!("`{key}` is no JSON: {error}"))? {
                Value::String(value) => Given::One(value),
                Value::Array(values) => Given::List(values.iter().map(scalar).collect::<Result<_, _>>()?),
                _ => return Err(format!("`{key}` is a string or a list")),
            }
        } else if value.contains(',') {
            Given::List(value.split(',').map(str::to_owned).collect())
        } else {
            Given::One(value.to_owned())
        };
        Ok(Self {
            key: key.to_owned(),
            value,
        })
    }
}

impl Entry {
    fn shorthand(text: &str) -> Result<Self, String> {
        const FORM: &str =
            "a context entry is `ContextKeyName=KEY,ContextKeyValues=VALUE[,VALUE…],ContextKeyType=TYPE`";
        let (key, rest) = text.split_once(",ContextKeyValues=").ok_or(FORM)?;
        let (values, kind) = rest.rsplit_once(",ContextKeyType=").ok_or(FORM)?;
        let values: Vec<String> = values
            .trim_matches(['[', ']'])
            .split(',')
            .map(|value| value.trim_matches('"').to_owned())
            .collect();
        let value = match values.as_slice() {
            [value] if !kind.ends_with("List") => Given::One(value.clone()),
            _ => Given::List(values),
        };
        Ok(Self {
            key: key.to_owned(),
            value,
        })
    }
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err("values are strings, numbers and booleans".to_owned()),
    }
}

fn action(text: &str) -> Result<String, String> {
    if irsa_simulate::is_operation(text) {
        Ok(text.to_owned())
    } else {
        Err("an action is `service:Operation`, without wildcards".to_owned())
    }
}

fn setting(text: &str) -> Result<(String, bool), String> {
    text.split_once('=')
        .and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .ok_or_else(|| "a setting is `NAME=true` or `NAME=false`".to_owned())
}

/// An account's number, or the ARN of its root user as the AWS CLI has it.
fn account(text: &str) -> Result<AccountId, String> {
    let number = text
        .strip_suffix(":root")
        .and_then(|arn| arn.rsplit(':').next())
        .unwrap_or(text);
    number
        .parse()
        .map_err(|error: irsa_core::AccountIdError| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::files::Level;
    use super::*;

    #[test]
    fn context_entries() {
        let read = |text: &str| text.parse::<Entry>().map(|entry| (entry.key, entry.value));
        let one = |value: &str| Given::One(value.to_owned());
        let list = |values: &[&str]| Given::List(values.iter().map(|value| (*value).to_owned()).collect());
        for (text, key, value) in [
            ("aws:SourceIp=10.0.0.1", "aws:SourceIp", one("10.0.0.1")),
            ("aws:RequestTag/a=b=c", "aws:RequestTag/a", one("b=c")),
            ("k=", "k", one("")),
            ("k=a,b", "k", list(&["a", "b"])),
            ("k=[\"a\"]", "k", list(&["a"])),
            ("k=[1.5,true]", "k", list(&["1.5", "true"])),
            ("k=\"a,b\"", "k", one("a,b")),
            (
                "ContextKeyName=aws:x,ContextKeyValues=a,ContextKeyType=string",
                "aws:x",
                one("a"),
            ),
            (
                "ContextKeyName=aws:x,ContextKeyValues=a,ContextKeyType=stringList",
                "aws:x",
                list(&["a"]),
            ),
            (
                "ContextKeyName=aws:x,ContextKeyValues=[\"a\",\"b\"],ContextKeyType=stringList",
                "aws:x",
                list(&["a", "b"]),
            ),
        ] {
            assert_eq!(read(text), Ok((key.to_owned(), value)), "{text}");
        }
        for text in ["k", "=v", "k=[", "k=[[]]", "ContextKeyName=k,ContextKeyValues=v"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn accounts() {
        assert_eq!(account("111122223333").unwrap().to_string(), "111122223333");
        assert_eq!(
            account("arn:aws:iam::111122223333:root").unwrap().to_string(),
            "111122223333"
        );
        assert!(account("root").is_err());
    }

    #[test]
    fn a_level_may_hold_several_files() {
        assert_eq!("a.json,b.json".parse::<Level>().unwrap().0.len(), 2);
        assert_eq!(r#"{"a":1,"b":2}"#.parse::<Level>().unwrap().0.len(), 1);
    }
}
