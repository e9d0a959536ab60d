//! The last step: the journal has all of it, in order, and proves it.

use anyhow::Context as _;
use irsa_audit::{Filter, Record, lookup, verify};

use super::Tour;
use super::story::Story;
use crate::commands::audit::table;

/// What happened, and with which result.
const EXPECTED: [(&str, Option<&str>); 13] = [
    ("CreateCluster", None),
    ("CreateOpenIDConnectProvider", None),
    ("CreateBucket", None),
    ("PutObject", None),
    ("CreateRole", None),
    ("CreatePolicy", None),
    ("AttachRolePolicy", None),
    ("CreateServiceAccountToken", None),
    ("AssumeRoleWithWebIdentity", None),
    ("ListObjects", None),
    ("GetObject", None),
    ("PutObject", Some("AccessDenied")),
    ("AssumeRoleWithWebIdentity", Some("AccessDenied")),
];

pub(super) fn all(story: &Story, tour: &Tour) -> anyhow::Result<()> {
    story.command("irsa audit lookup");
    let folder = tour.server.folder();
    let records: Vec<Record> = lookup(&folder.audit(), Filter::default())?.collect::<Result<_, _>>()?;
    story.prints(&table(&records).to_string());
    // The table is newest first, the story the other way round.
    let mut told = records.iter().rev();
    for (name, code) in EXPECTED {
        let found = told.any(|record| record.event["eventName"] == name && record.event["errorCode"].as_str() == code);
        story.expect(found, || {
            format!(
                "`{name}` with {} is not on record in its place",
                code.unwrap_or("success")
            )
        })?;
    }
    for secret in &tour.secrets {
        let is_there = records.iter().any(|record| record.json.contains(secret.as_str()));
        story.expect(!is_there, || "a token or a secret is on record".to_owned())?;
    }
    story.good("every step is there, refusals too; no token and no secret is");

    story.command("irsa audit verify");
    let key = folder.key_encryption_key()?.derive("audit journal");
    let report = verify(&folder.audit(), &key).context("the journal can't be verified")?;
    story.expect(report.is_intact(), || {
        report.problem.map(|problem| problem.to_string()).unwrap_or_default()
    })?;
    story.good(format_args!(
        "{} records, chained: none was changed, removed or moved",
        report.records
    ));
    Ok(())
}
