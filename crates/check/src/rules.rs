//! The rules, by topic. A topic's table stands at the head of its file.

mod actions;
mod arns;
mod conditions;
mod elements;
mod exposure;
mod issuers;
mod keys;
mod network;
mod organizations;
mod passing;
mod principals;
mod reach;
mod redundancy;
mod refusal;
mod resources;
mod services;
mod structure;
mod subjects;
mod support;
mod trust;
mod types;
mod values;
mod variables;
mod widths;

use crate::rule::{Kinds, Rule};

pub(crate) use refusal::{TOO_LONG, is_too_long};

/// All tables.
pub(crate) static ALL: [&[Rule]; 22] = [
    refusal::RULES,
    structure::RULES,
    elements::RULES,
    actions::RULES,
    resources::RULES,
    principals::RULES,
    conditions::RULES,
    values::RULES,
    network::RULES,
    keys::RULES,
    variables::RULES,
    organizations::RULES,
    passing::RULES,
    services::RULES,
    arns::RULES,
    types::RULES,
    support::RULES,
    widths::RULES,
    trust::RULES,
    issuers::RULES,
    subjects::RULES,
    redundancy::RULES,
];

/// Where a list of findings begins; it finds nothing.
pub(crate) static FIRST: Rule = Rule::error("", "", Kinds::ALL, |_, _| {});
