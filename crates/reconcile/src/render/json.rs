//! A plan for programs.

use serde_json::{Map, Value, json};

use super::Summary;
use crate::plan::{Change, Gain, Part, Plan, RefusalKind, Resource, Sign, State};

/// A plan as a JSON value; the names of its keys are an interface.
#[must_use]
pub fn value(plan: &Plan) -> Value {
    let summary = Summary::new(plan);
    let accounts = plan.accounts.iter().map(|account| {
        json!({
            "cluster": account.cluster,
            "namespace": account.name.namespace,
            "name": account.name.name,
            "roleARN": account.role_arn,
            "state": state(account.state),
            "changes": account.changes.iter().map(change).collect::<Vec<_>>(),
            "notes": account.notes,
        })
    });
    let refusals = plan.refusals.iter().map(|refusal| {
        json!({
            "cluster": refusal.cluster,
            "namespace": refusal.account.namespace,
            "name": refusal.account.name,
            "reason": reason(refusal.kind),
            "message": refusal.message,
            "help": refusal.help,
        })
    });
    let steps = plan.steps.iter().map(|step| {
        json!({
            "id": step.id,
            "action": step.action.to_string(),
            "after": step.after,
        })
    });
    json!({
        "summary": {
            "create": summary.create,
            "change": summary.change,
            "delete": summary.delete,
            "unchanged": summary.unchanged,
            "missing": summary.missing,
            "refused": summary.refused,
        },
        "shared": plan.shared.iter().map(change).collect::<Vec<_>>(),
        "accounts": accounts.collect::<Vec<_>>(),
        "refusals": refusals.collect::<Vec<_>>(),
        "steps": steps.collect::<Vec<_>>(),
    })
}

fn state(state: State) -> &'static str {
    match state {
        State::Create => "create",
        State::Change => "change",
        State::Unchanged => "unchanged",
        State::Delete => "delete",
        State::Missing => "missing",
        State::Refused => "refused",
    }
}

fn reason(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::NoProvider => "noProvider",
        RefusalKind::ForeignRole => "foreignRole",
        RefusalKind::OtherOwner => "otherOwner",
        RefusalKind::ReferenceTool => "eksctl",
        RefusalKind::ForeignServiceAccount => "foreignServiceAccount",
        RefusalKind::Quota => "quota",
        RefusalKind::Trust => "trustPolicy",
    }
}

fn operation(sign: Sign) -> &'static str {
    match sign {
        Sign::Add => "add",
        Sign::Remove => "remove",
        Sign::Replace => "replace",
    }
}

fn change(change: &Change) -> Value {
    let mut all = Map::new();
    all.insert("operation".to_owned(), operation(change.sign).into());
    let resource = match &change.resource {
        Resource::Provider(arn) => json!({"kind": "provider", "arn": arn}),
        Resource::Role(name) => json!({"kind": "role", "name": name}),
        Resource::Namespace { cluster, name } => json!({"kind": "namespace", "cluster": cluster, "name": name}),
        Resource::ServiceAccount { cluster, name } => {
            json!({"kind": "serviceAccount", "cluster": cluster, "namespace": name.namespace, "name": name.name})
        }
    };
    all.insert("resource".to_owned(), resource);
    let (part, key) = match &change.part {
        Part::Whole => (None, None),
        Part::Audience => (Some("audience"), None),
        Part::Trust => (Some("trustPolicy"), None),
        Part::InlinePolicy(name) => (Some("inlinePolicy"), Some(name)),
        Part::ManagedPolicy => (Some("managedPolicy"), None),
        Part::Boundary => (Some("permissionsBoundary"), None),
        Part::Tag(key) => (Some("tag"), Some(key)),
        Part::Label(key) => (Some("label"), Some(key)),
        Part::Annotation(key) => (Some("annotation"), Some(key)),
    };
    all.extend(part.map(|part| ("part".to_owned(), part.into())));
    all.extend(key.map(|key| ("key".to_owned(), key.clone().into())));
    all.extend(change.before.clone().map(|before| ("before".to_owned(), before.into())));
    all.extend(change.after.clone().map(|after| ("after".to_owned(), after.into())));
    if !change.statements.is_empty() {
        let statements = change.statements.iter().map(|statement| {
            let parsed: Value = serde_json::from_str(&statement.text).unwrap_or_default();
            json!({"operation": operation(statement.sign), "statement": parsed})
        });
        all.insert("statements".to_owned(), statements.collect());
    }
    if let Some(access) = &change.access {
        let gain = |gain: &Gain| match gain {
            Gain::Nothing => json!({"known": true}),
            Gain::Example(request) => json!({"known": true, "example": request}),
            Gain::Unknown => json!({"known": false}),
        };
        all.insert("gains".to_owned(), gain(&access.gained));
        all.insert("loses".to_owned(), gain(&access.lost));
    }
    Value::Object(all)
}
