//! `irsa policy check`: what is wrong with policies before they are used.

mod json;
mod sarif;
mod text;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use irsa_check::{FindingType, Options, Report};
use irsa_metadata::Metadata;
use irsa_policy::PolicyKind;

use crate::failure::{self, Failure};
use crate::output;

#[derive(Args, Debug)]
pub(crate) struct Check {
    /// Files with one policy document each; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What kind of policy they are; found out from each document if not given
    #[arg(long = "type", value_enum, value_name = "KIND")]
    kind: Option<Kind>,
    /// CloudFormation type of the resource that a resource policy is for, such as AWS::S3::Bucket
    #[arg(long, value_name = "TYPE")]
    resource_type: Option<String>,
    /// Services of your own with their actions, resource types and condition keys, as JSON
    #[arg(long, value_name = "FILE")]
    services: Option<PathBuf>,
    /// The mildest kind of finding that makes the command fail
    #[arg(long, value_enum, default_value_t, value_name = "TYPE")]
    fail_on: Threshold,
    /// What is printed on stdout
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Kind {
    /// A role's trust policy
    Trust,
    /// A policy of a user, group or role
    Identity,
    /// A policy of a resource, such as a bucket
    Resource,
    /// A service control policy
    Scp,
    /// A resource control policy
    Rcp,
    /// A session policy
    Session,
    /// A permissions boundary
    Boundary,
    /// A VPC endpoint's policy
    Vpce,
}

impl From<Kind> for PolicyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Trust => Self::Trust,
            Kind::Identity => Self::Identity,
            Kind::Resource => Self::Resource,
            Kind::Scp => Self::ServiceControl,
            Kind::Rcp => Self::ResourceControl,
            Kind::Session => Self::Session,
            Kind::Boundary => Self::Boundary,
            Kind::Vpce => Self::VpcEndpoint,
        }
    }
}

/// The types of findings, the mildest first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Threshold {
    Suggestion,
    Warning,
    SecurityWarning,
    #[default]
    Error,
}

impl From<Threshold> for FindingType {
    fn from(threshold: Threshold) -> Self {
        match threshold {
            Threshold::Suggestion => Self::Suggestion,
            Threshold::Warning => Self::Warning,
            Threshold::SecurityWarning => Self::SecurityWarning,
            Threshold::Error => Self::Error,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Format {
    /// Findings with the lines they are about, for people
    #[default]
    Text,
    /// An array in the form of Access Analyzer's ValidatePolicy, with the file, the path and the fix
    Json,
    /// SARIF 2.1.0, for code hosts and editors
    Sarif,
}

/// A document and what was found in it.
struct Checked {
    name: String,
    text: String,
    report: Report,
}

pub(crate) fn run(arguments: &Check) -> anyhow::Result<ExitCode> {
    let kind = arguments
        .kind
        .map(PolicyKind::from)
        .or(match arguments.resource_type.as_deref() {
            Some("AWS::IAM::AssumeRolePolicyDocument") => Some(PolicyKind::Trust),
            Some(_) => Some(PolicyKind::Resource),
            None => None,
        });
    let services = arguments.services.as_deref().map(services).transpose()?;
    let options = Options {
        kind,
        resource_type: arguments.resource_type.as_deref(),
        services: services.as_ref().unwrap_or_else(|| Metadata::aws()),
    };
    let mut checked = Vec::with_capacity(arguments.files.len());
    let mut unread = None;
    for file in &arguments.files {
        match read(file, irsa_check::MAX_TEXT_LEN) {
            Ok((name, text)) => checked.push(Checked {
                report: irsa_check::check(&text, &options),
                name,
                text,
            }),
            Err(error) => unread = Some(failure::report(&error)),
        }
    }
    match arguments.output {
        Format::Text => checked.iter().for_each(text::print),
        Format::Json => output::json(&json::findings(&checked)),
        Format::Sarif => output::json(&sarif::log(&checked)),
    }
    for document in &checked {
        output::note(summary(document));
    }
    if let Some(code) = unread {
        return Ok(code);
    }
    let failed = checked
        .iter()
        .filter_map(|document| document.report.worst())
        .any(|worst| worst >= arguments.fail_on.into());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The longest description of services, in bytes: several times that of all of AWS.
const MAX_SERVICES_LEN: usize = 64 << 20;

/// Reads a file, or stdin; answers how to call it, and its text. A text longer than is wished is cut off, but remains
/// longer.
///
/// A file that can't be read is wrong usage: code 1 says that something was found.
fn read(path: &Path, most: usize) -> anyhow::Result<(String, String)> {
    let is_stdin = path == Path::new("-");
    let (name, shown) = if is_stdin {
        ("stdin".to_owned(), "stdin".to_owned())
    } else {
        let name = path.display().to_string();
        let shown = format!("`{name}`");
        (name, shown)
    };
    let fault = |reason: &dyn std::fmt::Display| Failure::usage(format!("{shown} can't be read: {reason}"));
    // So much more that a character which is cut can be left out.
    let most = u64::try_from(most)?.saturating_add(4);
    let mut bytes = Vec::new();
    let read = if is_stdin {
        std::io::stdin().take(most).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    let is_cut = u64::try_from(read.map_err(|error| fault(&error))?)? == most;
    if let Err(error) = std::str::from_utf8(&bytes) {
        if !is_cut || error.error_len().is_some() {
            return Err(fault(&"it is no UTF-8 text").into());
        }
        bytes.truncate(error.valid_up_to());
    }
    let text = String::from_utf8(bytes).map_err(|error| fault(&error))?;
    Ok((name, text))
}

fn services(path: &Path) -> anyhow::Result<Metadata> {
    let (name, text) = read(path, MAX_SERVICES_LEN)?;
    if text.len() > MAX_SERVICES_LEN {
        return Err(Failure::usage(format!("`{name}` has more than {MAX_SERVICES_LEN} bytes")).into());
    }
    Metadata::aws()
        .with_services(&text)
        .map_err(|error| Failure::usage(format!("`{name}` does not describe services: {error}")).into())
}

/// What a document was checked as, and how many findings of which type there are.
fn summary(document: &Checked) -> String {
    let report = &document.report;
    let counts: Vec<String> = [
        FindingType::Error,
        FindingType::SecurityWarning,
        FindingType::Warning,
        FindingType::Suggestion,
    ]
    .into_iter()
    .filter_map(|wanted| {
        let found = report.findings.iter().filter(|finding| finding.finding_type == wanted);
        let count = found.count();
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {}{plural}", text::word(wanted)))
    })
    .collect();
    let found = if counts.is_empty() {
        "nothing found".to_owned()
    } else {
        counts.join(", ")
    };
    let omitted = match report.omitted {
        0 => String::new(),
        omitted => format!(", and {omitted} more of the same kinds"),
    };
    let assumed = if report.kind_is_assumed {
        " (assumed; `--type` says otherwise)"
    } else {
        ""
    };
    format!(
        "{}: {found}{omitted}; checked as {}{assumed}",
        output::shown(&document.name),
        report.kind
    )
}
