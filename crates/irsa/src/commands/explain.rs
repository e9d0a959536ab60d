use std::process::ExitCode;

use irsa_audit::{Filter, lookup, user_name};
use irsa_server::DataFolder;
use serde_json::Value;

use super::audit::unusable;
use crate::cli::Explain;
use crate::failure::Failure;
use crate::output::{self, BAD, Format, GOOD, STRONG, shown};

/// Says what became of a request, and why.
pub(super) fn run(arguments: &Explain) -> anyhow::Result<ExitCode> {
    let folder = DataFolder::new(&arguments.data.data);
    let filter = Filter {
        request_id: Some(arguments.request_id.clone()),
        limit: Some(1),
        ..Filter::default()
    };
    let journal = lookup(&folder.audit(), filter).map_err(unusable)?;
    let mut unreadable = None;
    for record in journal {
        match record {
            Ok(record) => {
                match arguments.output.output {
                    Format::Json => output::json(&record.event),
                    Format::Table => output::data(explanation(&record.event)),
                }
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) => unreadable = Some(error),
        }
    }
    match unreadable {
        Some(error) => Err(error.into()),
        None => Err(Failure::new(format!(
            "no request `{}` is in the journal",
            shown(&arguments.request_id)
        ))
        .hint("`irsa audit lookup --since 15m` shows the latest requests and their ids")
        .into()),
    }
}

/// Text of several lines: the further ones stand below the first.
fn shown_lines(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(shown).collect();
    lines.join("\n             ")
}

/// The event as text: what was asked, by whom, the answer, and what decided it.
pub(super) fn explanation(event: &Value) -> String {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(shown_lines);
    let mut lines = Vec::new();
    let refused = text("/errorCode");
    let service = text("/eventSource").unwrap_or_default();
    let operation = format!(
        "{STRONG}{}:{}{STRONG:#}",
        service.trim_end_matches(".amazonaws.com"),
        text("/eventName").unwrap_or_default()
    );
    lines.push(match &refused {
        Some(code) => format!("{operation} was {BAD}refused{BAD:#} with {code}"),
        None => format!("{operation} was {GOOD}done{GOOD:#}"),
    });
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            lines.push(format!("  {name:<10} {value}"));
        }
    };
    line("time", text("/eventTime"));
    let user = user_name(event).map(shown);
    line(
        "caller",
        text("/userIdentity/arn")
            .or(user)
            .or_else(|| text("/userIdentity/type")),
    );
    line("key", text("/userIdentity/accessKeyId"));
    line("from", text("/sourceIPAddress"));
    let resources = event
        .pointer("/resources")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    for resource in resources {
        line("resource", resource["ARN"].as_str().map(shown));
    }
    line("answer", text("/errorMessage"));
    let irsa = |name: &str| text(&format!("/additionalEventData/irsa/{name}"));
    line("allowed by", irsa("statement"));
    line("because", irsa("reason"));
    if let Some(claims) = event.pointer("/additionalEventData/irsa/unverifiedClaims") {
        line("claims", Some(format!("{} (not proven)", shown(&claims.to_string()))));
    }
    line("request", text("/requestID"));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_is_explained() {
        let event = json!({
            "eventTime": "2026-11-22T10:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "PutObject",
            "userIdentity": {"type": "AssumedRole", "principalId": "AROA:s", "arn": "arn:aws:sts::1:assumed-role/r/s"},
            "errorCode": "AccessDenied", "errorMessage": "no\u{1b}[2J", "requestID": "R",
            "resources": [{"ARN": "arn:aws:s3:::b/k"}],
            "additionalEventData": {"irsa": {"decision": "refused", "reason": "statement 1\n  Action: no\u{7}\n"}},
        });
        let text = anstream::adapter::strip_str(&explanation(&event)).to_string();
        assert_eq!(
            text,
            "s3:PutObject was refused with AccessDenied\n  time       2026-11-22T10:00:00Z\n  \
             caller     arn:aws:sts::1:assumed-role/r/s\n  resource   arn:aws:s3:::b/k\n  answer     no\\u{1b}[2J\n  \
             because    statement 1\n               Action: no\\u{7}\n  request    R"
        );
    }
}
