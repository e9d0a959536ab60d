//! A plan for people.

use std::fmt::{self, Write as _};

use crate::OWNERSHIP_TAGS;
use crate::plan::{AccountPlan, Change, Gain, Part, Plan, Resource, Sign, State};

/// How many accounts a plan does what to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// To be made.
    pub create: usize,
    /// To be changed.
    pub change: usize,
    /// To be deleted.
    pub delete: usize,
    /// As they should be.
    pub unchanged: usize,
    /// Not there.
    pub missing: usize,
    /// That cannot be done.
    pub refused: usize,
}

impl Summary {
    /// Counts.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut summary = Self::default();
        for account in &plan.accounts {
            let count = match account.state {
                State::Create => &mut summary.create,
                State::Change => &mut summary.change,
                State::Delete => &mut summary.delete,
                State::Unchanged => &mut summary.unchanged,
                State::Missing => &mut summary.missing,
                State::Refused => &mut summary.refused,
            };
            *count = count.saturating_add(1);
        }
        summary
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.create, "to create"),
            (self.change, "to change"),
            (self.delete, "to delete"),
            (self.unchanged, "unchanged"),
            (self.missing, "not there"),
            (self.refused, "refused"),
        ];
        let told: Vec<String> = all
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        match told.is_empty() {
            true => f.write_str("no accounts"),
            false => f.write_str(&told.join(", ")),
        }
    }
}

fn mark(sign: Sign) -> char {
    match sign {
        Sign::Add => '+',
        Sign::Remove => '-',
        Sign::Replace => '~',
    }
}

/// A plan as text. A line that begins (behind its blanks) with `+`, `-`, `~` or `!` may be coloured.
#[must_use]
pub fn text(plan: &Plan) -> String {
    let mut text = String::new();
    for change in &plan.shared {
        line(&mut text, 0, &format!("{} {}", mark(change.sign), subject(change)));
    }
    let mut cluster = None;
    for account in &plan.accounts {
        let is_quiet = account.state == State::Unchanged && account.notes.is_empty();
        if is_quiet {
            continue;
        }
        if cluster != Some(&account.cluster) {
            line(&mut text, 0, &format!("cluster {}", account.cluster));
            cluster = Some(&account.cluster);
        }
        self::account(&mut text, plan, account);
    }
    line(&mut text, 0, &Summary::new(plan).to_string());
    text
}

fn line(text: &mut String, indent: usize, words: &str) {
    // What others wrote into tags and annotations must not steer a terminal. Writing to a string cannot fail.
    let _ = writeln!(text, "{:indent$}{}", "", crate::place::shown(words));
}

fn subject(change: &Change) -> String {
    match (&change.part, &change.resource) {
        (Part::Whole, Resource::Namespace { cluster, name }) => format!("namespace {name} of cluster {cluster}"),
        (Part::Whole, resource) => resource.to_string(),
        (part, resource) => format!("{resource}: {part} {}", change.after.as_deref().unwrap_or_default()),
    }
}

fn account(text: &mut String, plan: &Plan, account: &AccountPlan) {
    let sign = match account.state {
        State::Create => '+',
        State::Change => '~',
        State::Delete => '-',
        State::Refused => '!',
        State::Unchanged | State::Missing => '=',
    };
    line(text, 2, &format!("{sign} {}", account.name));
    let refusals = plan
        .refusals
        .iter()
        .filter(|refusal| refusal.cluster == account.cluster && refusal.account == account.name);
    for refusal in refusals {
        line(text, 6, &format!("! {}", refusal.message));
        line(text, 6, &format!("  {}", refusal.help));
    }
    let mut resources: Vec<&Resource> = Vec::new();
    for change in &account.changes {
        if !resources.contains(&&change.resource) {
            resources.push(&change.resource);
        }
    }
    for resource in resources {
        let changes: Vec<&Change> = account
            .changes
            .iter()
            .filter(|change| change.resource == *resource)
            .collect();
        let whole = changes.iter().find(|change| change.part == Part::Whole);
        let sign = whole.map_or('~', |change| mark(change.sign));
        line(text, 6, &format!("{sign} {resource}"));
        let is_ownership =
            |change: &&&Change| matches!(&change.part, Part::Tag(key) if OWNERSHIP_TAGS.contains(&key.as_str()));
        for change in changes
            .iter()
            .filter(|change| change.part != Part::Whole && !is_ownership(change))
        {
            part(text, change);
        }
        let whose: Vec<&str> = changes
            .iter()
            .filter(is_ownership)
            .filter_map(|change| match &change.part {
                Part::Tag(key) => Some(key.as_str()),
                _ => None,
            })
            .collect();
        if !whose.is_empty() && whole.is_none() {
            line(text, 10, &format!("~ tags that say whose it is: {}", whose.join(", ")));
        }
    }
    for note in &account.notes {
        line(text, 6, &format!("note: {note}"));
    }
}

fn part(text: &mut String, change: &Change) {
    let (before, after) = (change.before.as_deref(), change.after.as_deref());
    let value = match (&change.part, before, after) {
        // Told statement by statement.
        (Part::Trust | Part::InlinePolicy(_), ..) => String::new(),
        (_, Some(before), Some(after)) => format!(" {before} → {after}"),
        (_, Some(value), None) | (_, None, Some(value)) => format!(" {value}"),
        _ => String::new(),
    };
    line(text, 10, &format!("{} {}{value}", mark(change.sign), change.part));
    for statement in &change.statements {
        line(text, 14, &format!("{} {}", mark(statement.sign), statement.text));
    }
    if let Some(access) = &change.access {
        for (gain, what) in [(&access.gained, "allows"), (&access.lost, "no longer allows")] {
            match gain {
                Gain::Nothing => {}
                Gain::Example(request) => line(text, 14, &format!("{what}, for example: {request}")),
                Gain::Unknown => line(text, 14, &format!("{what}: could not be found out")),
            }
        }
    }
}
