//! Small cases from large ones.

use crate::case::Case;
use crate::compare::{Difference, compare};
use crate::evaluator::{Choices, Values};

/// Takes away parts of a case as long as both still differ in the same way. Gives the smallest case found, and its
/// difference.
#[must_use]
pub fn shrink(mut case: Case, mut difference: Box<Difference>, choices: &Choices) -> (Case, Box<Difference>) {
    loop {
        let smaller = smaller(&case).into_iter().find_map(|candidate| {
            if weight(&candidate) >= weight(&case) {
                return None;
            }
            let other = compare(&candidate, choices).err()?;
            other.is_like(&difference).then_some((candidate, other))
        });
        match smaller {
            Some((candidate, other)) => (case, difference) = (candidate, other),
            None => return (case, difference),
        }
    }
}

/// How much there is to read. It shrinks with every step, so the steps end.
fn weight(case: &Case) -> usize {
    let styled = case.drafts().filter(|draft| draft.style != 0).count();
    case.to_json("").len() + styled * 1000
}

/// The cases that lack one part of this one, or have a plainer one.
fn smaller(case: &Case) -> Vec<Case> {
    let mut candidates = Vec::new();
    let mut try_with = |change: &mut dyn FnMut(&mut Case)| {
        let mut candidate = case.clone();
        change(&mut candidate);
        if candidate != *case {
            candidates.push(candidate);
        }
    };
    try_with(&mut |case| case.boundary = None);
    try_with(&mut |case| case.session = None);
    try_with(&mut |case| case.resource = None);
    try_with(&mut |case| case.vpc_endpoint = None);
    try_with(&mut |case| case.identity.clear());
    try_with(&mut |case| case.service_control.clear());
    try_with(&mut |case| case.resource_control.clear());
    for at in 0..case.identity.len() {
        try_with(&mut |case| drop(case.identity.remove(at)));
    }
    for at in 0..case.session.as_ref().map_or(0, Vec::len) {
        try_with(&mut |case| drop(case.session.as_mut().map(|drafts| drafts.remove(at))));
    }
    for at in 0..case.vpc_endpoint.as_ref().map_or(0, Vec::len) {
        try_with(&mut |case| drop(case.vpc_endpoint.as_mut().map(|drafts| drafts.remove(at))));
    }
    for at in 0..case.service_control.len() {
        try_with(&mut |case| drop(case.service_control.remove(at)));
        for place in 0..case.service_control[at].len() {
            try_with(&mut |case| drop(case.service_control[at].remove(place)));
        }
    }
    for at in 0..case.resource_control.len() {
        try_with(&mut |case| drop(case.resource_control.remove(at)));
        for place in 0..case.resource_control[at].len() {
            try_with(&mut |case| drop(case.resource_control[at].remove(place)));
        }
    }
    for (number, draft) in case.drafts().enumerate() {
        let mut change_draft = |change: &mut dyn FnMut(&mut crate::case::Draft)| {
            try_with(&mut |case| {
                if let Some(draft) = case.drafts_mut().nth(number) {
                    change(draft);
                }
            });
        };
        change_draft(&mut |draft| draft.style = 0);
        change_draft(&mut |draft| draft.id = None);
        if let Some(text) = &draft.spoiled {
            for (at, _) in text.char_indices() {
                change_draft(&mut |draft| {
                    if let Some(text) = &mut draft.spoiled {
                        text.remove(at);
                    }
                });
            }
            continue;
        }
        for (at, statement) in draft.statements.iter().enumerate() {
            if draft.statements.len() > 1 {
                change_draft(&mut |draft| drop(draft.statements.remove(at)));
            }
            let mut change = |change: &mut dyn FnMut(&mut crate::case::DraftStatement)| {
                change_draft(&mut |draft| change(&mut draft.statements[at]));
            };
            change(&mut |statement| statement.sid = None);
            change(&mut |statement| statement.action = (false, vec!["*".to_owned()]));
            change(&mut |statement| {
                if let Some(resource) = &mut statement.resource {
                    *resource = (false, vec!["*".to_owned()]);
                }
            });
            change(&mut |statement| {
                if let Some(principal) = &mut statement.principal {
                    *principal = (false, vec![("AWS", "*".to_owned())]);
                }
            });
            for place in 0..statement.action.1.len() {
                change(&mut |statement| drop(statement.action.1.remove(place)));
            }
            for place in 0..statement.resource.as_ref().map_or(0, |(_, entries)| entries.len()) {
                change(&mut |statement| drop(statement.resource.as_mut().map(|(_, entries)| entries.remove(place))));
            }
            for place in 0..statement.principal.as_ref().map_or(0, |(_, entries)| entries.len()) {
                change(&mut |statement| drop(statement.principal.as_mut().map(|(_, entries)| entries.remove(place))));
            }
            for (place, condition) in statement.conditions.iter().enumerate() {
                change(&mut |statement| drop(statement.conditions.remove(place)));
                for value in 0..condition.values.len() {
                    change(&mut |statement| drop(statement.conditions[place].values.remove(value)));
                    for cut in 0..condition.values[value].chars().count() {
                        change(&mut |statement| without_char(&mut statement.conditions[place].values[value], cut));
                    }
                }
            }
        }
    }
    for at in 0..case.bindings.len() {
        try_with(&mut |case| drop(case.bindings.remove(at)));
    }
    try_with(&mut |case| case.request.keys.clear());
    try_with(&mut |case| case.request.resource_account = None);
    for (at, (_, values)) in case.request.keys.iter().enumerate() {
        try_with(&mut |case| drop(case.request.keys.remove(at)));
        match values {
            Values::One(value) => {
                for cut in 0..value.chars().count() {
                    try_with(&mut |case| {
                        if let Values::One(value) = &mut case.request.keys[at].1 {
                            without_char(value, cut);
                        }
                    });
                }
            }
            Values::List(values) => {
                for place in 0..values.len() {
                    try_with(&mut |case| {
                        if let Values::List(values) = &mut case.request.keys[at].1 {
                            values.remove(place);
                        }
                    });
                }
            }
        }
    }
    candidates
}

fn without_char(text: &mut String, number: usize) {
    let at = text.char_indices().nth(number).map(|(at, _)| at);
    if let Some(at) = at {
        text.remove(at);
    }
}
