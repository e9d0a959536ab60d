use std::io::Read;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use irsa_compare::{Answer, Comparison, ContextValue, Document, Options, Strength, Why, Witness, compare, kind_of};
use irsa_metadata::Metadata;
use irsa_policy::{Decision, Explanation, PolicyKind, StatementOutcome, syntax};
use serde_json::{Map, Value, json};

use crate::cli::Output;
use crate::failure::Failure;
use crate::output::{self, BAD, FAINT, Format, GOOD, STRONG, WARNING, shown};

#[derive(Args, Debug)]
#[command(after_long_help = CODES)]
pub(crate) struct Diff {
    /// The policy as it was: a file, or `-` for stdin
    old: String,
    /// The policy as it will be
    new: String,
    /// What kind of policy both are [default: by their principals and resources]
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    kind: Option<Kind>,
    #[command(flatten)]
    output: Output,
}

const CODES: &str = "\
Exit codes:
  0  no new access: every request that NEW allows, OLD allows too
  1  new access: the request that is printed is allowed by NEW and not by OLD (or a file is no policy)
  2  wrong usage
  3  unknown: no new access was found, but that there is none could not be proved";

/// Could not be found out.
const UNKNOWN: u8 = 3;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Attached to a user, group or role
    Identity,
    /// A role's trust policy
    Trust,
    /// Attached to a resource, such as a bucket
    Resource,
    /// A permissions boundary
    Boundary,
    /// Passed when a session is made
    Session,
    /// A service control policy
    Scp,
    /// A resource control policy
    Rcp,
    /// A VPC endpoint's policy
    Vpce,
}

impl From<Kind> for PolicyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Identity => Self::Identity,
            Kind::Trust => Self::Trust,
            Kind::Resource => Self::Resource,
            Kind::Boundary => Self::Boundary,
            Kind::Session => Self::Session,
            Kind::Scp => Self::ServiceControl,
            Kind::Rcp => Self::ResourceControl,
            Kind::Vpce => Self::VpcEndpoint,
        }
    }
}

/// Compares two policies by what they allow.
pub(crate) fn run(arguments: &Diff) -> anyhow::Result<ExitCode> {
    if arguments.old == "-" && arguments.new == "-" {
        return Err(Failure::usage("only one of the policies can come from stdin").into());
    }
    let (old_text, new_text) = (read(&arguments.old)?, read(&arguments.new)?);
    let kind = match arguments.kind {
        Some(kind) => kind.into(),
        None => match (kind_of(&old_text), kind_of(&new_text)) {
            (Some(one), Some(other)) if one != other => {
                return Err(Failure::usage(format!(
                    "`{}` looks like {one}, `{}` like {other}",
                    arguments.old, arguments.new
                ))
                .hint("say with `--type` what both are")
                .into());
            }
            (one, other) => one.or(other).unwrap_or(PolicyKind::Identity),
        },
    };
    let document = |name: &str, text: &str| {
        Document::parse(name, kind, text)
            .map_err(|error| anyhow::Error::from(Failure::new(format!("`{name}` is not {kind}: {error}"))))
    };
    let (old, new) = (
        document(&arguments.old, &old_text)?,
        document(&arguments.new, &new_text)?,
    );
    let resources = [resources(&old_text), resources(&new_text)].concat();
    // Best an action that is done to what the policies speak of.
    let known = |is_right: &dyn Fn(&str) -> bool| {
        let right = || {
            Metadata::aws()
                .actions_matching("*")
                .filter(|action| is_right(&action.to_string()))
        };
        right()
            .find(|action| resources.iter().any(|resource| action.accepts_resource(resource)))
            .or_else(|| right().next())
            .map(|action| action.to_string())
    };
    let comparison = compare(
        &old,
        &new,
        &Options {
            actions: Some(&known),
            ..Options::default()
        },
    );
    if arguments.output.output == Format::Json {
        output::json(&to_json(&comparison));
    } else {
        print(&comparison);
    }
    Ok(match comparison.gained {
        Answer::None => ExitCode::SUCCESS,
        Answer::Witness(_) => ExitCode::FAILURE,
        Answer::Unknown(_) => ExitCode::from(UNKNOWN),
    })
}

fn read(name: &str) -> anyhow::Result<String> {
    // What is longer is no policy, and need not be read to its end.
    const LONGEST: u64 = 1 << 20;
    let mut text = String::new();
    let read = if name == "-" {
        std::io::stdin().take(LONGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(name).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::new(format!("cannot read `{name}`")).caused_by(error))?;
    Ok(text)
}

/// The resources that a policy speaks of.
fn resources(text: &str) -> Vec<String> {
    let statements = syntax::Document::parse(text).map_or_else(|_| Vec::new(), |document| document.statements);
    statements
        .iter()
        .flat_map(|statement| &statement.resource)
        .flat_map(|element| element.value.iter().map(|text| text.value.to_string()))
        .collect()
}

fn print(comparison: &Comparison) {
    match (&comparison.gained, &comparison.lost) {
        (Answer::None, Answer::None) => {
            output::data(format_args!(
                "{GOOD}no new access{GOOD:#}: OLD and NEW allow the same requests"
            ));
        }
        (Answer::None, _) => {
            output::data(format_args!(
                "{GOOD}no new access{GOOD:#}: what NEW allows, OLD allows too"
            ));
        }
        (Answer::Witness(witness), _) => {
            output::data(format_args!("{BAD}new access{BAD:#}: NEW allows what OLD does not"));
            show(witness, "NEW", "OLD");
        }
        (Answer::Unknown(reasons), _) => {
            output::data(format_args!(
                "{WARNING}unknown{WARNING:#}: whether NEW allows what OLD does not could not be found out"
            ));
            why(reasons);
        }
    }
    match &comparison.lost {
        Answer::None => {}
        Answer::Witness(witness) => {
            output::data(format_args!(
                "\n{STRONG}access taken away{STRONG:#}: OLD allows what NEW does not"
            ));
            show(witness, "OLD", "NEW");
        }
        Answer::Unknown(reasons) => {
            output::data("\nunknown: whether OLD allows what NEW does not could not be found out");
            why(reasons);
        }
    }
    // The denial says nothing that the new access does not say already.
    if let (Answer::Witness(witness), Answer::None | Answer::Unknown(_)) = (&comparison.undenied, &comparison.gained) {
        output::data(format_args!(
            "\n{STRONG}no longer denied{STRONG:#}: NEW does not allow this, but another policy may, and OLD denies it"
        ));
        request(witness);
        if let Some(statement) = &witness.under_old.verdict.statement {
            output::data(format_args!("  denied by   {}", shown(&statement.to_string())));
        }
    }
}

fn why(reasons: &[Why]) {
    for reason in reasons {
        output::data(format_args!("  {}", shown(&reason.to_string())));
    }
}

fn request(witness: &Witness) {
    if let Some(caller) = &witness.caller {
        let bounded = if witness.has_boundary {
            ", who has a permissions boundary"
        } else {
            ""
        };
        output::data(format_args!("  principal   {}{bounded}", shown(&caller.to_string())));
    }
    output::data(format_args!("  action      {}", shown(&witness.action)));
    output::data(format_args!("  resource    {}", shown(&witness.resource)));
    for (number, (key, value)) in witness.context.iter().enumerate() {
        let label = if number == 0 { "context" } else { "" };
        let value = match value {
            ContextValue::Single(value) => json!(value),
            ContextValue::List(values) => json!(values),
        };
        output::data(format_args!(
            "  {label:<11} {} = {}",
            shown(key),
            shown(&value.to_string())
        ));
    }
}

fn show(witness: &Witness, more: &str, less: &str) {
    request(witness);
    if let Some(statement) = matching(&witness.under_new).first() {
        output::data(format_args!("  {more} by      {}", shown(statement)));
    }
    output::data(format_args!(
        "  {less} not     {FAINT}{}{FAINT:#}",
        shown(&refusal(witness))
    ));
}

/// The statements that allow, as the engine names them.
fn matching(explanation: &Explanation) -> Vec<String> {
    explanation
        .statements
        .iter()
        .filter(|trace| matches!(trace.outcome, StatementOutcome::Matched { .. }))
        .map(|trace| trace.statement.to_string())
        .collect()
}

/// Why a policy does not allow the witness.
fn refusal(witness: &Witness) -> String {
    let explanation = &witness.under_old;
    let verdict = &explanation.verdict;
    if let (Decision::ExplicitlyDenied, Some(statement)) = (verdict.decision, &verdict.statement) {
        return format!("{statement} denies it");
    }
    if let Some(statement) = matching(explanation).first() {
        let than = match witness.strength {
            Strength::Direct => "names the caller's role or account, not the caller itself",
            Strength::Role | Strength::Account => "only delegates to the caller's account",
        };
        return format!("{statement} {than}");
    }
    match explanation.nearest_miss() {
        Some((trace, miss)) => format!("nearest is {}: {miss}", trace.statement),
        None => "no statement allows it".to_owned(),
    }
}

fn to_json(comparison: &Comparison) -> Value {
    let verdict = match comparison.gained {
        Answer::None => "noNewAccess",
        Answer::Witness(_) => "newAccess",
        Answer::Unknown(_) => "unknown",
    };
    json!({
        "verdict": verdict,
        "equivalent": comparison.is_equivalent(),
        "gained": answer(&comparison.gained),
        "lost": answer(&comparison.lost),
        "noLongerDenied": answer(&comparison.undenied),
    })
}

fn answer(answer: &Answer) -> Value {
    match answer {
        Answer::None => json!({ "found": false }),
        Answer::Unknown(reasons) => {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            json!({ "found": null, "reasons": reasons })
        }
        Answer::Witness(witness) => {
            let context: Map<String, Value> = witness
                .context
                .iter()
                .map(|(key, value)| {
                    let value = match value {
                        ContextValue::Single(value) => json!(value),
                        ContextValue::List(values) => json!(values),
                    };
                    (key.clone(), value)
                })
                .collect();
            json!({
                "found": true,
                "request": {
                    "principal": witness.caller.as_ref().map(ToString::to_string),
                    "hasPermissionsBoundary": witness.has_boundary,
                    "action": witness.action,
                    "resource": witness.resource,
                    "context": context,
                },
                "why": refusal(witness),
                "under": witness.under_new.to_json(),
                "notUnder": witness.under_old.to_json(),
            })
        }
    }
}
