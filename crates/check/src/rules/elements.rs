//! Versions, Sids, effects, and which elements a statement has.

use std::collections::HashMap;

use irsa_policy::PolicyKind;

use crate::finding::FindingType;
use crate::rule::{Findings, Kinds, Rule, Subject, clip};
use crate::tree::{Item, List};

const VERSION_PAGE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html";

pub(super) static RULES: &[Rule] = &[
    Rule::error(
        "INVALID_VERSION",
        "an unknown version of the language",
        Kinds::ALL,
        invalid_version,
    ),
    Rule::warning(
        "MISSING_VERSION",
        "a policy without a version",
        Kinds::ALL,
        missing_version,
    ),
    Rule::own(
        FindingType::Suggestion,
        "IRSA_OLD_VERSION",
        "the version without policy variables",
        VERSION_PAGE,
        Kinds::ALL,
        old_version,
    ),
    Rule::error(
        "MISSING_EFFECT",
        "a statement without an effect",
        Kinds::ALL,
        missing_effect,
    ),
    Rule::error(
        "INVALID_EFFECT",
        "an effect other than Allow and Deny",
        Kinds::ALL,
        invalid_effect,
    ),
    Rule::error(
        "UNSUPPORTED_SID",
        "a Sid with other characters than letters and digits",
        Kinds::HELD,
        unsupported_sid,
    ),
    Rule::suggestion("EMPTY_SID_VALUE", "an empty Sid", Kinds::ALL, empty_sid),
    Rule::error(
        "UNIQUE_SIDS_REQUIRED",
        "two statements with one Sid, where that is refused",
        Kinds::IAM.and(Kinds::RESOURCE),
        unique_sids,
    ),
    Rule::warning(
        "UNIQUE_SIDS_RECOMMENDED",
        "two statements with one Sid",
        Kinds::ALL.without(Kinds::IAM).without(Kinds::RESOURCE),
        unique_sids,
    ),
    Rule::error(
        "MISSING_ACTION",
        "a statement without actions",
        Kinds::ALL,
        missing_action,
    ),
    Rule::error(
        "MISSING_RESOURCE",
        "a statement without resources",
        Kinds::ALL.without(Kinds::TRUST),
        missing_resource,
    ),
    Rule::error(
        "MISSING_PRINCIPAL",
        "a statement without principals",
        Kinds::NAMING.and(Kinds::RESOURCE_CONTROL),
        missing_principal,
    ),
    Rule::error(
        "UNSUPPORTED_ELEMENT_COMBINATION",
        "an element and its negation in one statement",
        Kinds::ALL,
        unsupported_combination,
    ),
    Rule::error(
        "UNSUPPORTED_PRINCIPAL",
        "principals in a policy whose holder is the principal",
        Kinds::HELD,
        unsupported_principal,
    ),
    Rule::suggestion(
        "EMPTY_ARRAY_ACTION",
        "an empty list of actions",
        Kinds::ALL,
        empty_actions,
    ),
    Rule::suggestion(
        "EMPTY_ARRAY_RESOURCE",
        "an empty list of resources",
        Kinds::ALL,
        empty_resources,
    ),
    Rule::suggestion(
        "EMPTY_ARRAY_PRINCIPAL",
        "an empty list of principals",
        Kinds::ALL,
        empty_principals,
    ),
    Rule::suggestion(
        "EMPTY_OBJECT_PRINCIPAL",
        "an empty principal object",
        Kinds::ALL,
        empty_principal_object,
    ),
    Rule::suggestion(
        "EMPTY_OBJECT_CONDITION",
        "an empty condition block",
        Kinds::ALL,
        empty_condition_object,
    ),
];

fn invalid_version(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let Some(version) = &subject.tree.version else {
        return;
    };
    let only_new = subject.kind == PolicyKind::ResourceControl;
    match &*version.text {
        "2012-10-17" => {}
        "2008-10-17" if !only_new => {}
        other => {
            findings
                .at(version, format!("there is no version `{}` here", clip(other)))
                .fix("write `2012-10-17`")
                .retext(&version.bytes, "2012-10-17");
        }
    }
}

fn missing_version(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let tree = subject.tree;
    if !tree.is_object || tree.has_version || tree.statement.is_none() {
        return;
    }
    let open = tree.bytes.start..tree.bytes.start.saturating_add(1);
    let finding = findings.add(
        &subject.tree_path(),
        &open,
        "without a version the language is that of 2008: policy variables are plain text",
    );
    if matches!(subject.kind, PolicyKind::Identity | PolicyKind::Boundary) {
        finding.as_type(FindingType::Error);
        finding.message = "IAM no longer takes a policy without `\"Version\": \"2012-10-17\"`".to_owned();
    }
    let after = open.end..open.end;
    finding
        .fix("add `\"Version\": \"2012-10-17\"`")
        .edit(&after, subject.member_text(open.end, "\"Version\": \"2012-10-17\""));
}

fn old_version(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let Some(version) = subject
        .tree
        .version
        .as_ref()
        .filter(|version| version.text == "2008-10-17")
    else {
        return;
    };
    let finding = findings.at(version, "version 2008-10-17 has no policy variables");
    if matches!(subject.kind, PolicyKind::Identity | PolicyKind::Boundary) {
        finding.as_type(FindingType::Error);
        finding.message = "IAM no longer takes policies of version 2008-10-17 here".to_owned();
    }
    finding.fix("write `2012-10-17`").retext(&version.bytes, "2012-10-17");
}

fn missing_effect(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in subject.tree.statements.iter().filter(|statement| !statement.has_effect) {
        findings
            .add(
                &statement.path,
                &(statement.bytes.start..statement.bytes.start.saturating_add(1)),
                "the statement has no `Effect`",
            )
            .fix("add an `Effect`: `Allow` or `Deny`");
    }
}

fn invalid_effect(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for effect in subject
        .tree
        .statements
        .iter()
        .filter_map(|statement| statement.effect.as_ref())
    {
        if matches!(&*effect.text, "Allow" | "Deny") {
            continue;
        }
        let finding = findings.at(
            effect,
            format!("`{}` is neither `Allow` nor `Deny`", clip(&effect.text)),
        );
        let meant = ["Allow", "Deny"]
            .into_iter()
            .find(|word| word.eq_ignore_ascii_case(effect.text.trim()));
        match meant {
            Some(word) => finding.fix(format!("write `{word}`")).retext(&effect.bytes, word),
            None => finding.fix("write `Allow` or `Deny`"),
        };
    }
}

fn unsupported_sid(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for sid in sids(subject) {
        let fits = |byte: u8| byte.is_ascii_alphanumeric();
        if sid.text.bytes().all(fits) {
            continue;
        }
        let plain: String = sid.text.chars().filter(char::is_ascii_alphanumeric).collect();
        let finding = findings.at(
            sid,
            format!(
                "the Sid `{}` has other characters than A-Z, a-z and 0-9",
                clip(&sid.text)
            ),
        );
        if plain.is_empty() || sids(subject).any(|other| other.text == *plain) {
            finding.fix("choose another Sid");
        } else {
            finding
                .fix(format!("write `{}`", clip(&plain)))
                .retext(&sid.bytes, &plain);
        }
    }
}

fn sids<'s, 't>(subject: &'s Subject<'_, 't>) -> impl Iterator<Item = &'s Item<'t>> {
    subject
        .tree
        .statements
        .iter()
        .filter_map(|statement| statement.sid.as_ref())
}

fn empty_sid(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for sid in sids(subject).filter(|sid| sid.text.is_empty()) {
        findings
            .at(sid, "the Sid is empty")
            .fix("give the statement a name, or remove the Sid");
    }
}

fn unique_sids(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (number, statement) in subject.tree.statements.iter().enumerate() {
        let Some(sid) = statement.sid.as_ref().filter(|sid| !sid.text.is_empty()) else {
            continue;
        };
        match first.get(&*sid.text) {
            Some(before) => {
                findings
                    .at(
                        sid,
                        format!(
                            "statement {before} has the Sid `{}`, too (counted from 0)",
                            clip(&sid.text)
                        ),
                    )
                    .fix("give each statement a Sid of its own");
            }
            None => {
                first.insert(&sid.text, number);
            }
        }
    }
}

fn missing(
    subject: &Subject<'_, '_>,
    findings: &mut Findings,
    lacks: impl Fn(&crate::tree::Statement<'_>) -> bool,
    message: &str,
    fix: &str,
) {
    for statement in subject.tree.statements.iter().filter(|statement| lacks(statement)) {
        let open = statement.bytes.start..statement.bytes.start.saturating_add(1);
        findings.add(&statement.path, &open, message).fix(fix);
    }
}

fn missing_action(subject: &Subject<'_, '_>, findings: &mut Findings) {
    missing(
        subject,
        findings,
        |statement| statement.action_lists().next().is_none(),
        "the statement has no `Action` and no `NotAction`",
        "add an `Action`",
    );
}

fn missing_resource(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let unnamed = subject.names_no_resource();
    missing(
        subject,
        findings,
        |statement| statement.resource_lists().next().is_none() && !unnamed,
        "the statement has no `Resource` and no `NotResource`",
        "add a `Resource`: ARNs, or `\"*\"`",
    );
}

fn missing_principal(subject: &Subject<'_, '_>, findings: &mut Findings) {
    missing(
        subject,
        findings,
        |statement| statement.principals().next().is_none(),
        "the statement has no `Principal`",
        "add a `Principal`, such as `{\"AWS\": \"111122223333\"}`",
    );
}

fn unsupported_combination(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in &subject.tree.statements {
        let principals = statement.principal.as_ref().zip(statement.not_principal.as_ref());
        let actions = statement.action.as_ref().zip(statement.not_action.as_ref());
        let resources = statement.resource.as_ref().zip(statement.not_resource.as_ref());
        let pairs = [
            principals.map(|(one, other)| (&one.name, &other.name)),
            actions.map(|(one, other)| (&one.name, &other.name)),
            resources.map(|(one, other)| (&one.name, &other.name)),
        ];
        for (one, other) in pairs.into_iter().flatten() {
            findings
                .at_name(other, format!("`{}` and `{}` exclude each other", one.text, other.text))
                .fix("remove one of the two, or make two statements");
        }
    }
}

fn unsupported_principal(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for statement in &subject.tree.statements {
        for principal in statement.principals() {
            findings
                .at_name(
                    &principal.name,
                    format!("{} names no principal: it is whoever holds the policy", subject.kind),
                )
                .fix(format!("remove `{}`", principal.name.text));
        }
    }
}

fn empty_list(findings: &mut Findings, list: &List<'_>, what: &str) {
    if list.entries == Some(0) {
        findings
            .add(
                &list.name.path,
                &list.value,
                format!("the statement lists no {what}, so it does nothing"),
            )
            .fix(format!("list {what}, or remove the statement"));
    }
}

fn empty_actions(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for list in subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.action_lists())
    {
        empty_list(findings, list, "actions");
    }
}

fn empty_resources(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for list in subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.resource_lists())
    {
        empty_list(findings, list, "resources");
    }
}

fn empty_principals(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for principal in subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.principals())
    {
        for list in &principal.typed {
            empty_list(findings, list, "principals");
        }
    }
}

fn empty_principal_object(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for principal in subject
        .tree
        .statements
        .iter()
        .flat_map(|statement| statement.principals())
    {
        if principal.text.is_none() && principal.typed.is_empty() {
            findings
                .add(
                    &principal.name.path,
                    &principal.value,
                    "the statement names no principal, so it does nothing",
                )
                .fix("name principals, or remove the statement");
        }
    }
}

fn empty_condition_object(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for block in subject
        .tree
        .statements
        .iter()
        .filter_map(|statement| statement.condition.as_ref())
    {
        let nothing = "here is no condition, so nothing is restricted";
        if block.entries == 0 {
            findings
                .add(&block.name.path, &block.value, nothing)
                .fix("add conditions, or remove `Condition`");
        }
        for (operator, bytes, keys) in &block.operators {
            if *keys == 0 {
                findings
                    .add(&operator.path, bytes, nothing)
                    .fix(format!("add condition keys, or remove `{}`", clip(&operator.text)));
            }
        }
    }
}
