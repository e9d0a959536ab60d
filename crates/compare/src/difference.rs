//! One direction of a comparison: the questions that it comes to, and their answers put together.

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use irsa_policy::{Effect, PolicyKind};

use crate::atom::{AtomId, Atoms, Key, Literal, Setting};
use crate::caller::{Candidate, Strength};
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

pub(crate) fn difference(
    old: &Document,
    new: &Document,
    question: Question,
    options: &Options<'_>,
    candidates: impl FnOnce() -> (Vec<Candidate>, bool),
) -> Answer {
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
    // Where nothing is granted that was not, and nothing denied that is not still, there is nothing to ask.
    let grants = question == Question::Gained && new.kind() != PolicyKind::ResourceControl;
    if are_among((old, &old_parts), (new, &new_parts), Effect::Deny)
        && (!grants || are_among((new, &new_parts), (old, &old_parts), Effect::Allow))
    {
        return Answer::None;
    }
    atoms.find_variables();
    let mut reasons: BTreeSet<Why> = BTreeSet::new();
    let settings = settings(&mut atoms);
    let (candidates, all) = candidates();
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
            let statements = candidate.old.len().saturating_add(candidate.new.len());
            self.budget.spend(statements.saturating_mul(2))?;
            let old_denials = about(old, &candidate.old, Effect::Deny);
            let old_grants = about(old, &candidate.old, Effect::Allow);
            let spared = about(new, &candidate.new, Effect::Deny);
            // In a resource control policy everything is allowed that is not denied.
            let mut grants = vec![(None, Strength::Direct)];
            if self.question == Question::Gained && self.new.kind() != PolicyKind::ResourceControl {
                let all = about(new, &candidate.new, Effect::Allow);
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
fn about<'p>(parts: &'p [Part], strengths: &[Option<Strength>], effect: Effect) -> Vec<(&'p Part, Strength)> {
    parts
        .iter()
        .zip(strengths)
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

/// Whether every statement of this effect stands in the other policy, too, word for word or nearly.
fn are_among(these: (&Document, &[Part]), others: (&Document, &[Part]), effect: Effect) -> bool {
    let all = |(document, parts): (&'_ Document, &'_ [Part])| {
        document
            .statements
            .iter()
            .zip(parts)
            .filter(|(statement, _)| statement.effect == effect)
            .map(|(statement, part)| {
                let named = (statement.not_principal, statement.principals.clone());
                (named, Rc::clone(&part.literals))
            })
            .collect::<HashSet<_>>()
    };
    all(these).is_subset(&all(others))
}

/// How many combinations of settings are looked at.
const MANY: usize = 300;

/// Every combination of what the variables' keys may be.
fn settings(atoms: &mut Atoms) -> Vec<Vec<Option<Setting>>> {
    let choices = |key: &Key| key.constants.len().saturating_add(if key.splits { 4 } else { 3 });
    let all = |keys: &[Key]| {
        keys.iter()
            .filter(|key| key.is_variable)
            .try_fold(1_usize, |product, key| product.checked_mul(choices(key)))
    };
    if all(&atoms.keys).is_none_or(|count| count > MANY) {
        // The constants are then part of "any other text", which is less exact and no less true.
        for key in &mut atoms.keys {
            key.constants.clear();
        }
    }
    let mut all: Vec<Vec<Option<Setting>>> = vec![Vec::new()];
    for key in &atoms.keys {
        let choices = if !key.is_variable {
            vec![None]
        } else if all.len().saturating_mul(choices(key)) > MANY {
            // And of these nothing is assumed at all.
            vec![Some(Setting::Any)]
        } else {
            let colons: &[Option<bool>] = if key.splits {
                &[Some(false), Some(true)]
            } else {
                &[None]
            };
            let others = colons.iter().map(|colons| Setting::Other { colons: *colons });
            let values = key.constants.iter().cloned().map(Setting::Value);
            let all = others.chain(values).chain([Setting::Unresolved, Setting::Empty]);
            all.map(Some).collect()
        };
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
    all
}

/// A statement as the conjunction that it is.
struct Part {
    effect: Effect,
    literals: Rc<[Literal]>,
}
