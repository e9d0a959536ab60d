use std::process::ExitCode;

use irsa_audit::{Filter, Record, origin, user_name};
use irsa_server::DataFolder;
use serde_json::Value;

use super::audit::{key, open};
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
    let mut unreadable = None;
    for record in open(&folder, filter)? {
        match record {
            Ok(record) => {
                match arguments.output.output {
                    Format::Json => output::json(&record.event),
                    Format::Table => {
                        let path = way(&folder, &record);
                        let way: Vec<&Value> = path.iter().map(|record| &record.event).collect();
                        output::data(explanation(&record.event, &way));
                    }
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

/// The calls that lead from a session's call back to the pod that it comes from, as far as the journal still has them.
fn way(folder: &DataFolder, record: &Record) -> Vec<Record> {
    let found = key(folder).and_then(|key| match key {
        Some(key) => Ok(origin(&folder.audit(), &key, record)?),
        None => Ok(Vec::new()),
    });
    found.unwrap_or_else(|error| {
        output::warning(error);
        Vec::new()
    })
}

/// Who stands behind a call: what the token of its session said of the pod.
fn holder(event: &Value, way: &[&Value]) -> (Option<String>, Option<String>) {
    let irsa = |pointer: &str| {
        let of = |event: &&Value| {
            Some(shown(
                event
                    .pointer(&format!("/additionalEventData/irsa/{pointer}"))?
                    .as_str()?,
            ))
        };
        std::iter::once(&event).chain(way).find_map(of)
    };
    let namespace = irsa("kubernetes/namespace");
    let pod = irsa("kubernetes/pod/name").map(|pod| {
        let namespace = namespace.as_ref().map(|namespace| format!("{namespace}/"));
        let uid = irsa("kubernetes/pod/uid").map(|uid| format!(" ({uid})"));
        let node = irsa("kubernetes/node/name").map(|node| format!(" on {node}"));
        [namespace, Some(pod), uid, node].into_iter().flatten().collect()
    });
    let account = match irsa("kubernetes/serviceaccount/name").zip(namespace) {
        Some((account, namespace)) => Some(format!("{namespace}/{account}")),
        None => irsa("subject"),
    };
    (pod, account)
}

/// Text of several lines: the further ones stand below the first.
fn shown_lines(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(shown).collect();
    lines.join("\n             ")
}

/// The event as text: what was asked, by whom, the answer, and what decided it. `way` leads back to where its session comes from.
pub(super) fn explanation(event: &Value, way: &[&Value]) -> String {
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
    let (pod, account) = holder(event, way);
    line("pod", pod);
    line("account", account);
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
    let actions = event
        .pointer("/additionalEventData/irsa/actions")
        .and_then(Value::as_array);
    for action in actions.into_iter().flatten() {
        line("action", action.as_str().map(shown));
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
        let text = anstream::adapter::strip_str(&explanation(&event, &[])).to_string();
        assert_eq!(
            text,
            "s3:PutObject was refused with AccessDenied\n  time       2026-11-22T10:00:00Z\n  \
             caller     arn:aws:sts::1:assumed-role/r/s\n  resource   arn:aws:s3:::b/k\n  answer     no\\u{1b}[2J\n  \
             because    statement 1\n               Action: no\\u{7}\n  request    R"
        );
    }

    #[test]
    fn a_call_is_told_with_the_pod_behind_it() {
        let event = json!({
            "eventTime": "2026-11-22T10:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "HeadObject",
            "userIdentity": {"type": "AssumedRole", "principalId": "AROA:s", "arn": "arn:aws:sts::1:assumed-role/r/s", "accessKeyId": "ASIA1"},
            "requestID": "R",
            "additionalEventData": {"irsa": {"decision": "allowed", "actions": ["s3:GetObject"], "subject": "system:serviceaccount:ns:sa", "statement": "statement 1"}},
        });
        let exchange = json!({
            "additionalEventData": {"irsa": {"kubernetes": {"namespace": "ns", "serviceaccount": {"name": "sa"},
                "pod": {"name": "app-7d9", "uid": "u-1"}, "node": {"name": "node-3"}}}},
        });
        let text = anstream::adapter::strip_str(&explanation(&event, &[&exchange])).to_string();
        assert_eq!(
            text,
            "s3:HeadObject was done\n  time       2026-11-22T10:00:00Z\n  caller     arn:aws:sts::1:assumed-role/r/s\n  \
             pod        ns/app-7d9 (u-1) on node-3\n  account    ns/sa\n  key        ASIA1\n  action     s3:GetObject\n  \
             allowed by statement 1\n  request    R"
        );
        // Without the exchange, which retention may have removed, the token's subject is left.
        let text = anstream::adapter::strip_str(&explanation(&event, &[])).to_string();
        assert!(
            text.contains("account    system:serviceaccount:ns:sa") && !text.contains("  pod "),
            "{text}"
        );
    }
}
