//! One direction of a comparison: the questions that it comes to, and their answers put together.

use std::collections::BTreeSet;
use std::rc::Rc;

use irsa_policy::{Effect, PolicyKind};

use crate::atom::{AtomId, Atoms, Literal, Setting};
use crate::caller::{Candidate, Strength, candidates};
use crate::document::Document;
use crate::language::{Budget, Exhausted};
use crate::search::{End, Problem, search};
use crate::tape::Tapes;
use crate::witness::{Judge, Witness};
use crate::{Answer, Options, Why};

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Question {
    /// Does the new policy allow what the old one does not?
    Gained,
    /// Does the old policy deny what the new one does not?
    Undenied,
}

/// Needs no permission, so nobody gains or loses it.
const FREE_ACTION: &str = "sts:GetCallerIdentity";

pub(crate) fn difference(old: &Document, new: &Document, question: Question, options: &Options<'_>) -> Answer {
    if old.kind() != new.kind() {
        return Answer::Unknown(vec![Why::Kinds]);
    }
    let mut atoms = Atoms::new(new.kind());
    let free = atoms.action(FREE_ACTION);
    let mut parts = |document: &Document| -> Vec<Part> {
        document
            .statements
            .iter()
            .map(|statement| Part {
                effect: statement.effect,
                literals: atoms.statement(statement).into(),
            })
            .collect()
    };
    let (old_parts, new_parts) = (parts(old), parts(new));
    atoms.find_variables();
    let mut reasons: BTreeSet<Why> = BTreeSet::new();
    let (settings, all) = settings(&mut atoms);
    if !all {
        reasons.insert(Why::TooMany);
    }
    let (candidates, all) = candidates(old, new);
    if !all {
        reasons.insert(Why::TooMany);
    }
    let mut inquiry = Inquiry {
        old,
        new,
        question,
        options,
        free,
        atoms: &atoms,
        budget: Budget::new(options.budget),
        reasons,
    };
    for settings in &settings {
        match inquiry.under(settings, &candidates, &old_parts, &new_parts) {
            Ok(Some(witness)) => return Answer::Witness(Box::new(witness)),
            Ok(None) => {}
            Err(Exhausted) => {
                inquiry.reasons.insert(Why::TooLarge);
                break;
            }
        }
    }
    if inquiry.reasons.is_empty() {
        Answer::None
    } else {
        Answer::Unknown(inquiry.reasons.into_iter().collect())
    }
}

/// What is asked, and what has been found out so far.
struct Inquiry<'i> {
    old: &'i Document,
    new: &'i Document,
    question: Question,
    options: &'i Options<'i>,
    free: AtomId,
    atoms: &'i Atoms,
    budget: Budget,
    reasons: BTreeSet<Why>,
}

impl Inquiry<'_> {
    /// A witness under one setting of the variables, for any caller.
    fn under(
        &mut self,
        settings: &[Option<Setting>],
        candidates: &[Candidate],
        old: &[Part],
        new: &[Part],
    ) -> Result<Option<Witness>, Exhausted> {
        self.budget.spend(self.atoms.size())?;
        let mut tapes = Tapes::new(self.atoms, settings);
        for candidate in candidates {
            self.budget.spend(candidate.strengths.len().saturating_mul(2))?;
            let after = old.len();
            let old_denials = about(old, candidate, 0, Effect::Deny);
            let old_grants = about(old, candidate, 0, Effect::Allow);
            let spared = about(new, candidate, after, Effect::Deny);
            // In a resource control policy everything is allowed that is not denied.
            let mut grants = vec![(None, Strength::Direct)];
            if self.question == Question::Gained && self.new.kind() != PolicyKind::ResourceControl {
                let all = about(new, candidate, after, Effect::Allow);
                grants = all.into_iter().map(|(part, strength)| (Some(part), strength)).collect();
            }
            for (grant, strength) in grants {
                let mut base: Vec<Literal> = grant.map(|part| part.literals.to_vec()).unwrap_or_default();
                if candidate.caller.account().is_some() {
                    base.push(Literal {
                        atom: self.free,
                        holds: false,
                    });
                }
                // Either nothing of the old policy allows it, or something of it denies it.
                let refused = old_grants.iter().filter(|(_, theirs)| *theirs >= strength);
                let alone = grant.map(|_| Problem {
                    base: base.clone(),
                    clauses: clauses(spared.iter().chain(refused)),
                });
                let denied = old_denials.iter().map(|(part, _)| Problem {
                    base: base.iter().chain(part.literals.iter()).copied().collect(),
                    clauses: clauses(spared.iter()),
                });
                for problem in alone.into_iter().chain(denied) {
                    let found = self.ask(&problem, &mut tapes, candidate, strength)?;
                    if found.is_some() {
                        return Ok(found);
                    }
                }
            }
        }
        Ok(None)
    }

    fn ask(
        &mut self,
        problem: &Problem,
        tapes: &mut Tapes<'_>,
        candidate: &Candidate,
        strength: Strength,
    ) -> Result<Option<Witness>, Exhausted> {
        // What is written in both needs no thought.
        self.budget.spend(problem.clauses.len().saturating_add(16))?;
        for clause in &problem.clauses {
            if clause.iter().all(|literal| problem.base.contains(literal)) {
                return Ok(None);
            }
        }
        let judge = Judge {
            old: self.old,
            new: self.new,
            candidate,
            strength,
            question: self.question,
            options: self.options,
        };
        // One hard question leaves something for the others.
        let share = self.budget.left() / 3;
        let mut slice = Budget::new(share);
        let mut witness = None;
        let end = search(problem, tapes, &mut slice, &mut |case| {
            witness = judge.witness(case);
            witness.is_some()
        });
        let spent = share.saturating_sub(slice.left());
        self.budget.spend(usize::try_from(spent).unwrap_or(usize::MAX))?;
        match end {
            Ok(End::Found) => return Ok(witness),
            Ok(End::Refuted) => {}
            Ok(End::Undecided) => {
                self.reasons.insert(why(self.atoms, tapes));
            }
            Err(Exhausted) => {
                self.reasons.insert(Why::TooLarge);
            }
        }
        Ok(None)
    }
}

fn clauses<'p>(parts: impl Iterator<Item = &'p (&'p Part, Strength)>) -> Vec<Rc<[Literal]>> {
    parts.map(|(part, _)| Rc::clone(&part.literals)).collect()
}

/// The statements of one effect that are about the caller, and how strongly.
fn about<'p>(parts: &'p [Part], candidate: &Candidate, skip: usize, effect: Effect) -> Vec<(&'p Part, Strength)> {
    parts
        .iter()
        .zip(candidate.strengths.iter().skip(skip))
        .filter(|(part, _)| part.effect == effect)
        .filter_map(|(part, strength)| Some((part, (*strength)?)))
        .collect()
}

/// The likeliest reason why a question was left open.
fn why(atoms: &Atoms, tapes: &Tapes<'_>) -> Why {
    let mixed = tapes.mixed_keys();
    let unknown: Vec<String> = atoms
        .keys
        .iter()
        .zip(tapes.settings)
        .filter(|(_, setting)| setting.is_some())
        .map(|(key, _)| key.name.clone())
        .collect();
    if !unknown.is_empty() {
        Why::Variables(unknown)
    } else if mixed.is_empty() {
        Why::Unconfirmed
    } else {
        Why::MixedTypes(mixed)
    }
}

/// How many combinations of settings are looked at.
const MANY: usize = 300;

/// Every combination of what the variables' keys may be; and whether that is all.
fn settings(atoms: &mut Atoms) -> (Vec<Vec<Option<Setting>>>, bool) {
    let combinations = |atoms: &Atoms| {
        atoms
            .keys
            .iter()
            .filter(|key| key.is_variable)
            .try_fold(1_usize, |product, key| {
                product.checked_mul(key.constants.len().saturating_add(if key.splits { 4 } else { 3 }))
            })
            .unwrap_or(usize::MAX)
    };
    if combinations(atoms) > MANY {
        // The constants are then part of "any other text", which is less exact and no less true.
        for key in &mut atoms.keys {
            key.constants.clear();
        }
    }
    let mut all: Vec<Vec<Option<Setting>>> = vec![Vec::new()];
    if combinations(atoms) > MANY {
        // Too many variables: none of them is followed, and the caller says so.
        return (
            vec![
                atoms
                    .keys
                    .iter()
                    .map(|key| key.is_variable.then_some(Setting::Other { colons: None }))
                    .collect(),
            ],
            false,
        );
    }
    for key in &atoms.keys {
        let mut choices = vec![None];
        if key.is_variable {
            choices = if key.splits {
                [false, true]
                    .map(|colons| Some(Setting::Other { colons: Some(colons) }))
                    .to_vec()
            } else {
                vec![Some(Setting::Other { colons: None })]
            };
            choices.extend(key.constants.iter().map(|text| Some(Setting::Value(text.clone()))));
            choices.extend([Some(Setting::Unresolved), Some(Setting::Empty)]);
        }
        all = choices
            .iter()
            .flat_map(|choice| {
                all.iter().map(move |settings| {
                    let mut settings = settings.clone();
                    settings.push(choice.clone());
                    settings
                })
            })
            .collect();
    }
    (all, true)
}

/// A statement as the conjunction that it is.
struct Part {
    effect: Effect,
    literals: Rc<[Literal]>,
}
