//! One direction of a comparison: the questions that it comes to, and their answers put together.

use std::collections::BTreeSet;
use std::rc::Rc;

use irsa_policy::{Effect, PolicyKind};

use crate::atom::{Atoms, Literal, Setting};
use crate::caller::{Candidate, Strength, candidates};
use crate::document::Document;
use crate::language::Budget;
use crate::search::{End, Problem, search};
use crate::tape::Tapes;
use crate::witness::Judge;
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
    let mut budget = Budget::new(options.budget);
    for settings in &settings {
        let mut tapes = Tapes::new(&atoms, settings);
        for candidate in &candidates {
            let sides = Sides {
                old: &old_parts,
                new: &new_parts,
                candidate,
                kind: new.kind(),
            };
            for mut asked in sides.problems(question) {
                if candidate.caller.account().is_some() {
                    asked.problem.base.push(Literal {
                        atom: free,
                        holds: false,
                    });
                }
                let judge = Judge {
                    old,
                    new,
                    candidate,
                    strength: asked.strength,
                    question,
                    options,
                };
                // One hard question leaves something for the others.
                let share = budget.left() / 3;
                let mut slice = Budget::new(share);
                let mut witness = None;
                let end = search(&asked.problem, &mut tapes, &mut slice, &mut |case| {
                    witness = judge.witness(case);
                    witness.is_some()
                });
                let spent = share.saturating_sub(slice.left()).saturating_add(64);
                let _ = budget.spend(usize::try_from(spent).unwrap_or(usize::MAX));
                match (end, witness) {
                    (Ok(End::Found), Some(witness)) => return Answer::Witness(Box::new(witness)),
                    (Ok(End::Refuted), _) => {}
                    (Ok(_), _) => {
                        reasons.insert(why(&atoms, settings, &tapes));
                    }
                    (Err(_), _) => {
                        reasons.insert(Why::TooLarge);
                    }
                }
                if budget.left() == 0 {
                    reasons.insert(Why::TooLarge);
                    return Answer::Unknown(reasons.into_iter().collect());
                }
            }
        }
    }
    if reasons.is_empty() {
        Answer::None
    } else {
        Answer::Unknown(reasons.into_iter().collect())
    }
}

/// The likeliest reason why a question was left open.
fn why(atoms: &Atoms, settings: &[Option<Setting>], tapes: &Tapes<'_>) -> Why {
    let mixed = tapes.mixed_keys();
    let unknown: Vec<String> = atoms
        .keys
        .iter()
        .zip(settings)
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
                product.checked_mul(key.constants.len().saturating_add(3))
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
                    .map(|key| key.is_variable.then_some(Setting::Other))
                    .collect(),
            ],
            false,
        );
    }
    for key in &atoms.keys {
        let mut choices = vec![None];
        if key.is_variable {
            choices = vec![Some(Setting::Other)];
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

/// Both policies for one caller.
struct Sides<'s> {
    old: &'s [Part],
    new: &'s [Part],
    candidate: &'s Candidate,
    kind: PolicyKind,
}

/// A question, and how strongly the new policy would name the caller.
struct Asked {
    problem: Problem,
    strength: Strength,
}

impl<'s> Sides<'s> {
    /// The statements of one effect that are about the caller, and how strongly.
    fn about(&self, parts: &'s [Part], skip: usize, effect: Effect) -> Vec<(&'s Part, Strength)> {
        parts
            .iter()
            .zip(self.candidate.strengths.iter().skip(skip))
            .filter(|(part, _)| part.effect == effect)
            .filter_map(|(part, strength)| Some((part, (*strength)?)))
            .collect()
    }

    fn problems(&self, question: Question) -> Vec<Asked> {
        let after = self.old.len();
        let old_denials = self.about(self.old, 0, Effect::Deny);
        let old_grants = self.about(self.old, 0, Effect::Allow);
        let spared: Vec<Rc<[Literal]>> = self
            .about(self.new, after, Effect::Deny)
            .iter()
            .map(|(part, _)| Rc::clone(&part.literals))
            .collect();
        // In a resource control policy everything is allowed that is not denied.
        let mut grants = vec![(None, Strength::Direct)];
        if question == Question::Gained && self.kind != PolicyKind::ResourceControl {
            grants = self
                .about(self.new, after, Effect::Allow)
                .into_iter()
                .map(|(part, strength)| (Some(part), strength))
                .collect();
        }
        let mut asked = Vec::new();
        for (grant, strength) in grants {
            let base: Vec<Literal> = grant.map(|part| part.literals.to_vec()).unwrap_or_default();
            let mut ask = |base: Vec<Literal>, clauses: Vec<Rc<[Literal]>>| {
                // What is written in both needs no thought.
                if !clauses
                    .iter()
                    .any(|clause| clause.iter().all(|literal| base.contains(literal)))
                {
                    asked.push(Asked {
                        problem: Problem { base, clauses },
                        strength,
                    });
                }
            };
            if grant.is_some() {
                let mut clauses = spared.clone();
                clauses.extend(
                    old_grants
                        .iter()
                        .filter(|(_, theirs)| *theirs >= strength)
                        .map(|(part, _)| Rc::clone(&part.literals)),
                );
                ask(base.clone(), clauses);
            }
            for (denial, _) in &old_denials {
                let mut base = base.clone();
                base.extend(denial.literals.iter().copied());
                ask(base, spared.clone());
            }
        }
        asked
    }
}
