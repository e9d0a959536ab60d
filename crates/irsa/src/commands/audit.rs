use std::ops::Deref;
use std::process::ExitCode;
use std::time::SystemTime;

use irsa_audit::{
    AuditError, Filter, Lookup, Record, Verdict, lookup as lookup_all, search, user_name, verify as prove,
};
use irsa_core::Timestamp;
use irsa_server::DataFolder;
use serde_json::{Value, json};

use crate::cli::{self, AuditLookup, AuditVerify};
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::table::Table;

/// Prints the events that pass the filter, newest first.
pub(super) fn lookup(arguments: &AuditLookup) -> anyhow::Result<ExitCode> {
    let now = Timestamp::from(SystemTime::now());
    let filter = Filter {
        event_id: arguments.event_id.clone(),
        event_name: arguments.event_name.clone(),
        action: arguments.action.clone(),
        verdict: arguments.verdict.map(|verdict| match verdict {
            cli::Verdict::Allowed => Verdict::Allowed,
            cli::Verdict::Denied => Verdict::Denied,
            cli::Verdict::Failed => Verdict::Failed,
        }),
        role: arguments.role.clone(),
        pod: arguments.pod.clone(),
        service_account: arguments.service_account.clone(),
        account: arguments.account,
        event_source: arguments.event_source.clone(),
        user: arguments.user.clone(),
        access_key_id: arguments.access_key_id.clone(),
        request_id: arguments.request_id.clone(),
        error_code: arguments.error_code.clone(),
        resource: arguments.resource.clone(),
        start: arguments.since.map(|since| since.before(now)),
        end: arguments.until.map(|until| until.before(now)),
        limit: Some(arguments.limit),
        ..Filter::default()
    };
    let folder = DataFolder::new(&arguments.data.data);
    let mut damaged = 0_u32;
    let mut records = Vec::new();
    for record in open(&folder, filter)? {
        match record {
            Ok(record) => records.push(record),
            Err(error) => {
                damaged += 1;
                output::warning(error);
            }
        }
    }
    match arguments.output.output {
        Format::Json => {
            let events: Vec<&Value> = records.iter().map(|record| &record.event).collect();
            output::json(&json!({ "Records": events }));
        }
        Format::Table => output::data(table(&records)),
    }
    if damaged > 0 {
        return Err(Failure::new("some of the journal can't be read")
            .hint("`irsa audit verify` says what is wrong with it")
            .into());
    }
    Ok(ExitCode::SUCCESS)
}

/// The key of the journal; none for a copy of a journal without the folder's key, which is read as a whole then: its indexes can't be checked.
pub(super) fn key(folder: &DataFolder) -> anyhow::Result<Option<impl Deref<Target = [u8; 32]>>> {
    if !folder.kek().exists() {
        return Ok(None);
    }
    Ok(Some(folder.key_encryption_key()?.derive("audit journal")))
}

/// Searches the journal of a data folder.
pub(super) fn open(folder: &DataFolder, filter: Filter) -> anyhow::Result<Lookup> {
    let found = match key(folder)? {
        Some(key) => search(&folder.audit(), &key, filter),
        None => lookup_all(&folder.audit(), filter),
    };
    found.map_err(unusable)
}

/// Proves the journal, and fails if it is not whole.
pub(super) fn verify(arguments: &AuditVerify) -> anyhow::Result<ExitCode> {
    let folder = DataFolder::new(&arguments.data.data);
    // Asked first, because a folder without a server gets a key of its own when it is asked for one.
    if !folder.audit().exists() {
        return Err(no_journal().into());
    }
    let key = folder.key_encryption_key()?.derive("audit journal");
    let report = prove(&folder.audit(), &key).map_err(unusable)?;
    let problem = report.problem.as_ref();
    match arguments.output.output {
        Format::Json => output::json(&json!({
            "intact": report.is_intact(),
            "records": report.records,
            "files": report.segments,
            "durable": report.durable,
            "unfinished": report.unfinished,
            "removed": report.cut.map(|cut| json!({
                "lastSequence": cut.last_removed,
                "newest": cut.newest_removed.map(Timestamp::iso8601),
                "at": cut.removed_at.iso8601(),
                "reason": cut.reason.as_str(),
            })),
            "problem": problem.map(|problem| json!({
                "file": problem.file.display().to_string(),
                "line": problem.line,
                "sequence": problem.sequence,
                "text": problem.to_string(),
            })),
        })),
        Format::Table if problem.is_none() => {
            let files = u64::try_from(report.segments).unwrap_or(u64::MAX);
            output::data(format_args!(
                "intact: {} in {}",
                count(report.records, "record"),
                count(files, "file")
            ));
            if let Some(cut) = report.cut {
                output::data(format_args!(
                    "begins after record {}: older ones were removed at {} by retention ({})",
                    cut.last_removed,
                    cut.removed_at,
                    cut.reason.as_str()
                ));
            }
        }
        Format::Table => {}
    }
    match problem {
        None => Ok(ExitCode::SUCCESS),
        Some(problem) => Err(Failure::new(problem.to_string())
            .hint("keep the data folder as it is: it is evidence, and a backup may have the records")
            .into()),
    }
}

/// Why the journal can't be used.
pub(super) fn unusable(error: AuditError) -> anyhow::Error {
    match error {
        AuditError::Missing { .. } => no_journal().into(),
        error => error.into(),
    }
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn no_journal() -> Failure {
    Failure::new("the data folder has no audit journal").hint("name the folder of a server with `--data DIR`")
}

/// Events as people read them: when, what, who, with what result.
pub(super) fn table(records: &[Record]) -> Table {
    let mut table = Table::new(&["TIME", "SERVICE", "EVENT", "USER", "RESULT", "REQUEST ID"]);
    for record in records {
        let text = |name: &str| record.event[name].as_str().unwrap_or_default();
        let service = text("eventSource").trim_end_matches(".amazonaws.com");
        let user = user_name(&record.event)
            .or_else(|| record.event.pointer("/userIdentity/type").and_then(Value::as_str))
            .unwrap_or_default();
        let result = match text("errorCode") {
            "" => "ok",
            code => code,
        };
        table.row(&[
            text("eventTime"),
            service,
            text("eventName"),
            user,
            result,
            text("requestID"),
        ]);
    }
    table
}
