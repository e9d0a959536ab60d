//! Is there a request of which all of this holds? Clauses over atoms, split case by case, each case checked tape by
//! tape.

use std::rc::Rc;

use crate::atom::Literal;
use crate::language::{Budget, Exhausted};
use crate::tape::{Model, Solution, Tapes};

/// A question about requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problem {
    /// All of these hold.
    pub(crate) base: Vec<Literal>,
    /// Of each of these something does not hold.
    pub(crate) clauses: Vec<Rc<[Literal]>>,
}

/// A request as far as it is known: for every tape a model, if anything is asked of it.
pub(crate) struct Case<'t, 'a> {
    pub(crate) tapes: &'t Tapes<'a>,
    pub(crate) models: &'t [Option<Rc<Model>>],
    pub(crate) literals: &'t [Vec<Literal>],
}

/// How a search ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// A case was accepted.
    Found,
    /// There is no such request.
    Refuted,
    /// No case was accepted, but some could not be refused for certain.
    Undecided,
}

/// How many cases that seem right may turn out wrong.
const DISAPPOINTMENTS: usize = 24;

/// What it costs to write a case out and ask the engine.
const ACCEPTANCE: usize = 10_000;

/// Looks for a request. `accept` is shown every case that seems right, and says whether it is.
pub(crate) fn search(
    problem: &Problem,
    tapes: &mut Tapes<'_>,
    budget: &mut Budget,
    accept: &mut dyn FnMut(&Case<'_, '_>) -> bool,
) -> Result<End, Exhausted> {
    let mut search = Search {
        assigned: vec![None; tapes.atoms.len()],
        literals: vec![Vec::new(); tapes.atoms.tapes()],
        models: vec![None; tapes.atoms.tapes()],
        trail: Vec::new(),
        frames: Vec::new(),
    };
    budget.spend(tapes.atoms.len().saturating_add(tapes.atoms.tapes()))?;
    // Variables have their values whether anything else is asked of them or not.
    for (key, setting) in tapes.settings.iter().enumerate() {
        if setting.is_some() {
            let tape = crate::atom::key_tape(key);
            match tapes.solve(tape, &[], budget)? {
                Solution::Found(model) => search.set_model(tape, Some(model)),
                Solution::Maybe => {}
                Solution::Never => return Ok(End::Refuted),
            }
        }
    }
    for literal in &problem.base {
        if !search.assign(*literal, tapes, budget)? {
            return Ok(End::Refuted);
        }
    }
    let mut disappointments = 0_usize;
    loop {
        match search.choose(problem, tapes, budget)? {
            Choice::Conflict => {}
            Choice::Split(alternatives) => search.frames.push(Frame {
                trail: search.trail.len(),
                alternatives,
                next: 0,
            }),
            Choice::Done => {
                budget.spend(ACCEPTANCE)?;
                let literals = search.refuting(problem, tapes);
                let case = Case {
                    tapes,
                    models: &search.models,
                    literals: &literals,
                };
                if accept(&case) {
                    return Ok(End::Found);
                }
                disappointments = disappointments.saturating_add(1);
                if disappointments >= DISAPPOINTMENTS {
                    return Ok(End::Undecided);
                }
            }
        }
        // The next case: of the last split that has one left.
        loop {
            let Some(frame) = search.frames.last() else {
                return Ok(if disappointments == 0 {
                    End::Refuted
                } else {
                    End::Undecided
                });
            };
            let (trail, number) = (frame.trail, frame.next);
            let alternative = frame.alternatives.get(number).copied();
            let before = number
                .checked_sub(1)
                .and_then(|number| frame.alternatives.get(number).copied());
            search.undo(trail);
            let Some(alternative) = alternative else {
                search.frames.pop();
                continue;
            };
            // The earlier alternatives are done with, so in what follows they do not hold.
            let mut possible = true;
            if let Some(before) = before {
                possible = search.assign(before, tapes, budget)?;
            }
            if let Some(frame) = search.frames.last_mut() {
                frame.next = number.saturating_add(1);
                frame.trail = search.trail.len();
                if !possible {
                    frame.next = frame.alternatives.len();
                }
            }
            if possible && search.assign(alternative.negated(), tapes, budget)? {
                break;
            }
        }
    }
}

struct Search {
    /// By atom.
    assigned: Vec<Option<bool>>,
    /// By tape, what is assumed of it.
    literals: Vec<Vec<Literal>>,
    models: Vec<Option<Rc<Model>>>,
    trail: Vec<Assigned>,
    frames: Vec<Frame>,
}

struct Assigned {
    literal: Literal,
    tape: usize,
    model: Option<Rc<Model>>,
}

/// A clause of which something must not hold.
struct Frame {
    /// How long the trail was.
    trail: usize,
    /// What it may be.
    alternatives: Vec<Literal>,
    next: usize,
}

enum Choice {
    /// Some clause holds whole.
    Conflict,
    /// One of these does not hold.
    Split(Vec<Literal>),
    /// No clause holds whole.
    Done,
}

impl Search {
    fn value(&self, literal: Literal) -> Option<bool> {
        let value = self.assigned.get(literal.atom).copied().flatten()?;
        Some(value == literal.holds)
    }

    fn set_model(&mut self, tape: usize, model: Option<Rc<Model>>) {
        if let Some(place) = self.models.get_mut(tape) {
            *place = model;
        }
    }

    /// Assumes a literal; `false` if it contradicts what is assumed already.
    fn assign(&mut self, literal: Literal, tapes: &mut Tapes<'_>, budget: &mut Budget) -> Result<bool, Exhausted> {
        match self.value(literal) {
            Some(value) => return Ok(value),
            None => {
                let tape = tapes.atoms.tape(literal.atom);
                let Some(literals) = self.literals.get_mut(tape) else {
                    return Ok(false);
                };
                let old = self.models.get(tape).cloned().flatten();
                literals.push(literal);
                self.trail.push(Assigned {
                    literal,
                    tape,
                    model: old.clone(),
                });
                if let Some(value) = self.assigned.get_mut(literal.atom) {
                    *value = Some(literal.holds);
                }
                budget.spend(tapes.weight(literal.atom))?;
                // What is there already may do.
                if old.is_some_and(|model| tapes.evaluate(literal, &model) == Some(true)) {
                    return Ok(true);
                }
                let literals = self.literals.get(tape).map(Vec::as_slice).unwrap_or_default();
                match tapes.solve(tape, literals, budget)? {
                    Solution::Never => return Ok(false),
                    Solution::Found(model) => self.set_model(tape, Some(model)),
                    Solution::Maybe => self.set_model(tape, None),
                }
            }
        }
        Ok(true)
    }

    fn undo(&mut self, trail: usize) {
        while self.trail.len() > trail {
            let Some(last) = self.trail.pop() else { return };
            if let Some(value) = self.assigned.get_mut(last.literal.atom) {
                *value = None;
            }
            if let Some(literals) = self.literals.get_mut(last.tape) {
                literals.pop();
            }
            self.set_model(last.tape, last.model);
        }
    }

    /// By tape, what is assumed, and what of the models refutes the clauses that no assumption does: what may be put in the
    /// place of a model must do as much.
    fn refuting(&self, problem: &Problem, tapes: &Tapes<'_>) -> Vec<Vec<Literal>> {
        let mut all = self.literals.clone();
        for clause in &problem.clauses {
            let is_among = |all: &[Vec<Literal>], literal: &Literal| {
                let tape = tapes.atoms.tape(literal.atom);
                all.get(tape)
                    .is_some_and(|literals| literals.contains(&literal.negated()))
            };
            if clause.iter().any(|literal| is_among(&all, literal)) {
                continue;
            }
            let refuted = clause.iter().find(|literal| {
                let model = self.models.get(tapes.atoms.tape(literal.atom)).and_then(Option::as_ref);
                model.is_some_and(|model| tapes.evaluate(**literal, model) == Some(false))
            });
            if let Some(literal) = refuted
                && let Some(literals) = all.get_mut(tapes.atoms.tape(literal.atom))
            {
                literals.push(literal.negated());
            }
        }
        all
    }

    /// The clause with the fewest ways out, of those that the models do not refute.
    fn choose(&self, problem: &Problem, tapes: &mut Tapes<'_>, budget: &mut Budget) -> Result<Choice, Exhausted> {
        let mut best: Option<Vec<Literal>> = None;
        for clause in &problem.clauses {
            budget.spend(clause.len())?;
            if clause.iter().any(|literal| self.value(*literal) == Some(false)) {
                continue;
            }
            let mut refuted = false;
            for literal in clause.iter().filter(|literal| self.value(**literal).is_none()) {
                let tape = tapes.atoms.tape(literal.atom);
                if let Some(model) = self.models.get(tape).and_then(Option::as_ref) {
                    budget.spend(tapes.weight(literal.atom))?;
                    refuted = tapes.evaluate(*literal, model) == Some(false);
                }
                if refuted {
                    break;
                }
            }
            if refuted {
                continue;
            }
            let mut alternatives = Vec::new();
            for literal in clause.iter().filter(|literal| self.value(**literal).is_none()) {
                let tape = tapes.atoms.tape(literal.atom);
                let mut literals = self.literals.get(tape).cloned().unwrap_or_default();
                literals.push(literal.negated());
                if !matches!(tapes.solve(tape, &literals, budget)?, Solution::Never) {
                    alternatives.push(*literal);
                }
                if best.as_ref().is_some_and(|best| best.len() <= alternatives.len()) {
                    break;
                }
            }
            match alternatives.len() {
                0 => return Ok(Choice::Conflict),
                1 => return Ok(Choice::Split(alternatives)),
                count if best.as_ref().is_none_or(|best| count < best.len()) => best = Some(alternatives),
                _ => {}
            }
        }
        Ok(best.map_or(Choice::Done, Choice::Split))
    }
}
