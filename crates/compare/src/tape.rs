//! One part of a request at a time: is there an action, a resource, a value of this key of which all this holds?

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use irsa_policy::syntax::Quantifier;

use crate::atom::{ACTION, AtomId, Atoms, Literal, RESOURCE, Setting, Test, TextTest, ValueTest, tape_key};
use crate::find::find_text;
use crate::language::{Budget, Exhausted};
use crate::pattern::{Letter, Step, Steps, Union, letters, literal};
use crate::value::{Typed, candidates};

/// A text, perhaps with unknown variables in it.
pub(crate) type Text = Vec<Letter>;

/// A part of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Model {
    /// An action, or a resource but for `*`.
    Text(Text),
    /// The resource `*`.
    Star,
    /// The key is absent.
    Absent,
    /// The key has one value.
    Single(Text),
    /// The key has a list of values.
    List(Vec<Text>),
}

/// Whether a part of a request can be as it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Solution {
    /// It cannot.
    Never,
    /// It can, and is this, if its unknown variables can be such.
    Found(Rc<Model>),
    /// Nothing was found, but that proves nothing.
    Maybe,
}

/// All parts of a request under one setting of the variables.
pub(crate) struct Tapes<'a> {
    pub(crate) atoms: &'a Atoms,
    pub(crate) tests: Vec<Test>,
    pub(crate) settings: &'a [Option<Setting>],
    /// By key, what `Setting::Other` leaves out.
    excluded: Vec<Option<Union>>,
    /// By key, what `Setting::Other` must match.
    required: Vec<Option<ValueTest>>,
    known: HashMap<(usize, Vec<Literal>), Solution>,
    /// By atom, what it costs to evaluate it.
    weights: Vec<usize>,
    empty: Union,
    star: Union,
}

/// How one value of a key is asked for.
struct Wanted<'t> {
    test: &'t ValueTest,
    matches: bool,
}

impl<'a> Tapes<'a> {
    pub(crate) fn new(atoms: &'a Atoms, settings: &'a [Option<Setting>]) -> Self {
        let colon = || vec![Step::Run, Step::Char(':'), Step::Run];
        let (mut excluded, mut required) = (Vec::new(), Vec::new());
        for (key, setting) in atoms.keys.iter().zip(settings) {
            let Some(Setting::Other { colons }) = setting else {
                excluded.push(None);
                required.push(None);
                continue;
            };
            let mut without: Vec<Steps> = key.constants.iter().map(|text| literal(text, false)).collect();
            without.extend((*colons == Some(false)).then(colon));
            excluded.push((!without.is_empty()).then(|| Union::new(&without)));
            required.push((*colons == Some(true)).then(|| ValueTest::Text(Box::new(TextTest::one(colon())))));
        }
        let tests = atoms.compile(settings);
        Self {
            atoms,
            weights: tests.iter().map(weight).collect(),
            tests,
            settings,
            excluded,
            required,
            known: HashMap::new(),
            empty: Union::new([&Vec::new()]),
            star: Union::new([&literal("*", false)]),
        }
    }

    /// A tape on which all of these literals hold. They must be about this tape.
    pub(crate) fn solve(
        &mut self,
        tape: usize,
        literals: &[Literal],
        budget: &mut Budget,
    ) -> Result<Solution, Exhausted> {
        let mut sorted = literals.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        budget.spend(sorted.len())?;
        if sorted
            .windows(2)
            .any(|pair| matches!(pair, [one, other] if one.atom == other.atom))
        {
            return Ok(Solution::Never);
        }
        let place = (tape, sorted);
        if let Some(solution) = self.known.get(&place) {
            return Ok(solution.clone());
        }
        let solution = match tape {
            ACTION => self.text(&place.1, None, budget)?,
            RESOURCE => self.resource(&place.1, budget)?,
            _ => self.key(tape, &place.1, budget)?,
        };
        self.known.insert(place, solution.clone());
        Ok(solution)
    }

    /// The keys that conditions take both for text and for a number, date or address.
    pub(crate) fn mixed_keys(&self) -> Vec<String> {
        let mut families: Vec<BTreeSet<u8>> = vec![BTreeSet::new(); self.atoms.tapes()];
        for (atom, test) in self.tests.iter().enumerate() {
            let Test::Condition { test, .. } = test else { continue };
            if let Some(family) = families.get_mut(self.atoms.tape(atom)) {
                family.insert(match test {
                    ValueTest::Text(_) => 0,
                    ValueTest::Typed(Typed::Number(..)) => 1,
                    ValueTest::Typed(Typed::Date(..)) => 2,
                    ValueTest::Typed(Typed::Address(_)) => 3,
                });
            }
        }
        families
            .iter()
            .enumerate()
            .filter(|(_, family)| family.len() > 1)
            .filter_map(|(tape, _)| Some(self.atoms.keys.get(tape_key(tape)?)?.name.clone()))
            .collect()
    }

    /// What it costs to evaluate an atom.
    pub(crate) fn weight(&self, atom: AtomId) -> usize {
        self.weights.get(atom).copied().unwrap_or_default()
    }

    fn test(&self, literal: Literal) -> Option<&Test> {
        self.tests.get(literal.atom)
    }

    fn text(&self, literals: &[Literal], without: Option<&Union>, budget: &mut Budget) -> Result<Solution, Exhausted> {
        let tests: Vec<(&TextTest, bool)> = literals
            .iter()
            .filter_map(|literal| match self.test(*literal)? {
                Test::Action(test) | Test::Resource { test, .. } => Some((test, literal.holds)),
                Test::Condition { .. } | Test::Null(_) => None,
            })
            .collect();
        let found = find_text(&tests, without.as_slice(), budget)?;
        Ok(found.map_or(Solution::Never, |text| Solution::Found(Rc::new(Model::Text(text)))))
    }

    fn resource(&self, literals: &[Literal], budget: &mut Budget) -> Result<Solution, Exhausted> {
        let found = self.text(literals, Some(&self.star), budget)?;
        if !matches!(found, Solution::Never) {
            return Ok(found);
        }
        let star = literals.iter().all(|literal| match self.test(*literal) {
            Some(Test::Resource { everything, .. }) => *everything == literal.holds,
            _ => true,
        });
        Ok(if star {
            Solution::Found(Rc::new(Model::Star))
        } else {
            Solution::Never
        })
    }

    /// Tries every shape that a key can have: absent, one value, a list.
    fn key(&self, tape: usize, literals: &[Literal], budget: &mut Budget) -> Result<Solution, Exhausted> {
        let key = tape_key(tape).unwrap_or_default();
        let setting = self
            .settings
            .get(key)
            .and_then(Option::as_ref)
            .filter(|setting| **setting != Setting::Any);
        let mut undecided = false;
        let mut settle = |found: Solution| match found {
            Solution::Never => None,
            Solution::Maybe => {
                undecided = true;
                None
            }
            found @ Solution::Found(_) => Some(found),
        };
        if matches!(setting, None | Some(Setting::Unresolved)) && self.constant(literals, &Model::Absent) {
            return Ok(Solution::Found(Rc::new(Model::Absent)));
        }
        match setting {
            Some(Setting::Value(value)) => {
                let model = Model::Single(letters(value));
                return Ok(self.fixed(literals, model));
            }
            Some(Setting::Empty) => return Ok(self.fixed(literals, Model::Single(Vec::new()))),
            None | Some(Setting::Other { .. }) => {
                if let Some(found) = settle(self.single(key, literals, budget)?) {
                    return Ok(found);
                }
                if setting.is_none()
                    && let Some(found) = settle(self.fixed(literals, Model::Single(Vec::new())))
                {
                    return Ok(found);
                }
            }
            Some(Setting::Unresolved | Setting::Any) => {}
        }
        if matches!(setting, None | Some(Setting::Unresolved)) {
            if let Some(found) = settle(self.list(literals, budget)?) {
                return Ok(found);
            }
            if let Some(found) = settle(self.fixed(literals, Model::List(vec![Vec::new()]))) {
                return Ok(found);
            }
        }
        Ok(if undecided { Solution::Maybe } else { Solution::Never })
    }

    /// The answer for a model that leaves no choice.
    fn fixed(&self, literals: &[Literal], model: Model) -> Solution {
        // Where unknown variables have a say, the model stands and the engine will tell.
        if literals
            .iter()
            .any(|literal| self.evaluate(*literal, &model) == Some(false))
        {
            return Solution::Never;
        }
        Solution::Found(Rc::new(model))
    }

    /// Whether all literals hold for a model without text.
    fn constant(&self, literals: &[Literal], model: &Model) -> bool {
        literals
            .iter()
            .all(|literal| self.evaluate(*literal, model) == Some(true))
    }

    fn single(&self, key: usize, literals: &[Literal], budget: &mut Budget) -> Result<Solution, Exhausted> {
        let mut wanted = Vec::new();
        for literal in literals {
            match self.test(*literal) {
                Some(Test::Null(absences)) if absences.contains(&false) != literal.holds => {
                    return Ok(Solution::Never);
                }
                Some(Test::Condition { operator, test }) => wanted.push(Wanted {
                    test,
                    matches: literal.holds != operator.negated,
                }),
                _ => {}
            }
        }
        wanted.extend(
            self.required
                .get(key)
                .and_then(Option::as_ref)
                .map(|test| Wanted { test, matches: true }),
        );
        let excluded = self.excluded.get(key).and_then(Option::as_ref);
        Ok(match self.value(&wanted, true, excluded, budget)? {
            Found::Text(text) => Solution::Found(Rc::new(Model::Single(text))),
            Found::Nothing => Solution::Never,
            Found::Unsure => Solution::Maybe,
        })
    }

    /// A list that is not the one empty text.
    fn list(&self, literals: &[Literal], budget: &mut Budget) -> Result<Solution, Exhausted> {
        let mut every: Vec<Wanted<'_>> = Vec::new();
        let mut some: Vec<Wanted<'_>> = Vec::new();
        for literal in literals {
            match self.test(*literal) {
                Some(Test::Null(absences)) if absences.contains(&false) != literal.holds => {
                    return Ok(Solution::Never);
                }
                Some(Test::Condition { operator, test }) => {
                    let wanted = Wanted {
                        test,
                        matches: literal.holds != operator.negated,
                    };
                    match (operator.quantifier, literal.holds) {
                        (Quantifier::None, false) => {}
                        (Quantifier::None, true) => return Ok(Solution::Never),
                        (Quantifier::All, true) | (Quantifier::Any, false) => every.push(wanted),
                        (Quantifier::All, false) | (Quantifier::Any, true) => some.push(wanted),
                    }
                }
                _ => {}
            }
        }
        let mut values: Vec<Text> = Vec::new();
        let rounds = some.len().max(1);
        let mut unsure = false;
        for _ in 0..rounds {
            // One value that is as every one must be, and as one of them must be.
            let one = some.pop();
            let count = every.len();
            every.extend(one);
            let found = self.value(&every, false, None, budget)?;
            every.truncate(count);
            match found {
                Found::Text(text) if values.contains(&text) => {}
                Found::Text(text) => values.push(text),
                Found::Nothing => return Ok(Solution::Never),
                Found::Unsure => unsure = true,
            }
        }
        if unsure {
            return Ok(Solution::Maybe);
        }
        // The list of one empty text counts as no values at all; two of them do not.
        if let [only] = values.as_slice()
            && only.is_empty()
        {
            values.push(Vec::new());
        }
        Ok(Solution::Found(Rc::new(Model::List(values))))
    }

    fn value(
        &self,
        wanted: &[Wanted<'_>],
        not_empty: bool,
        excluded: Option<&Union>,
        budget: &mut Budget,
    ) -> Result<Found, Exhausted> {
        let mut texts: Vec<(&TextTest, bool)> = Vec::new();
        let mut typed: Vec<(&Typed, bool)> = Vec::new();
        for wanted in wanted {
            match wanted.test {
                ValueTest::Text(test) => texts.push((test, wanted.matches)),
                ValueTest::Typed(test) => typed.push((test, wanted.matches)),
            }
        }
        let mut without: Vec<&Union> = excluded.into_iter().collect();
        if not_empty {
            without.push(&self.empty);
        }
        let Some(found) = find_text(&texts, &without, budget)? else {
            return Ok(Found::Nothing);
        };
        if typed.is_empty() {
            return Ok(Found::Text(found));
        }
        let tests: Vec<&Typed> = typed.iter().map(|(test, _)| *test).collect();
        let (values, complete) = candidates(&tests);
        let work = tests
            .iter()
            .fold(1_usize, |sum, test| sum.saturating_add(test.weight()));
        budget.spend(values.len().saturating_mul(work))?;
        let is_typed = |value: &str| typed.iter().all(|(test, matches)| test.accepts(value) == *matches);
        let is_text = |value: &str| {
            let value = letters(value);
            texts.iter().all(|(test, matches)| {
                if *matches {
                    test.possible().matches(&value)
                } else {
                    !test.certain().matches(&value)
                }
            }) && !without.iter().any(|union| union.matches(&value))
        };
        let right: Vec<&String> = values.iter().filter(|value| is_typed(value)).collect();
        if right.is_empty() && complete {
            return Ok(Found::Nothing);
        }
        if let Some(value) = right.into_iter().find(|value| is_text(value)) {
            return Ok(Found::Text(letters(value)));
        }
        // Each kind of question alone can be answered. For both together, the first few texts are tried: mostly there
        // are not more.
        let mut tried: Vec<Union> = Vec::new();
        let mut next = Some(found);
        for _ in 0..16 {
            let Some(text) = next else {
                return Ok(Found::Nothing);
            };
            let Some(value) = plain(&text) else {
                return Ok(Found::Unsure);
            };
            if is_typed(&value) {
                return Ok(Found::Text(text));
            }
            tried.push(Union::new([&literal(&value, false)]));
            let without: Vec<&Union> = without.iter().copied().chain(&tried).collect();
            next = find_text(&texts, &without, budget)?;
        }
        Ok(Found::Unsure)
    }

    /// Whether a literal holds for a part of a request; `None` where it depends on unknown variables.
    pub(crate) fn evaluate(&self, literal: Literal, model: &Model) -> Option<bool> {
        let value = match (self.test(literal)?, model) {
            (Test::Action(test) | Test::Resource { test, .. }, Model::Text(text)) => matched(test, text)?,
            (Test::Resource { everything, .. }, Model::Star) => *everything,
            (Test::Null(absences), model) => absences.contains(&matches!(model, Model::Absent)),
            (Test::Condition { operator, test }, model) => {
                let satisfied = |text: &Text| -> Option<bool> {
                    let matches = match test {
                        ValueTest::Text(test) => matched(test, text)?,
                        ValueTest::Typed(test) => test.accepts(&plain(text)?),
                    };
                    Some(matches != operator.negated)
                };
                match (operator.quantifier, model) {
                    (Quantifier::None, Model::Absent) => operator.negated || operator.if_exists,
                    (Quantifier::All, Model::Absent) => true,
                    (Quantifier::Any, Model::Absent) | (Quantifier::None, Model::List(_)) => false,
                    (Quantifier::All, Model::Single(text)) if text.is_empty() => true,
                    (_, Model::Single(text)) => satisfied(text)?,
                    (Quantifier::All, Model::List(values)) => match values.as_slice() {
                        [only] if only.is_empty() => true,
                        values => {
                            let mut all = Some(true);
                            for value in values {
                                match satisfied(value) {
                                    Some(true) => {}
                                    Some(false) => return Some(!literal.holds),
                                    None => all = None,
                                }
                            }
                            all?
                        }
                    },
                    (Quantifier::Any, Model::List(values)) => {
                        let mut any = Some(false);
                        for value in values {
                            match satisfied(value) {
                                Some(true) => return Some(literal.holds),
                                Some(false) => {}
                                None => any = None,
                            }
                        }
                        any?
                    }
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(value == literal.holds)
    }
}

fn weight(test: &Test) -> usize {
    match test {
        Test::Action(test) | Test::Resource { test, .. } => test.possible().starts.len(),
        Test::Condition { test, .. } => match test {
            ValueTest::Text(test) => test.possible().starts.len(),
            ValueTest::Typed(test) => test.weight(),
        },
        Test::Null(absences) => absences.len(),
    }
    .saturating_add(4)
}

enum Found {
    Text(Text),
    Nothing,
    Unsure,
}

/// A text without unknown variables.
pub(crate) fn plain(text: &Text) -> Option<String> {
    text.iter()
        .map(|letter| match letter {
            Letter::Char(character) => Some(*character),
            Letter::Symbol(_) => None,
        })
        .collect()
}

/// Whether a text is matched; `None` if that hangs on unknown variables.
fn matched(test: &TextTest, text: &Text) -> Option<bool> {
    if test.certain().matches(text) {
        return Some(true);
    }
    let is_known = text.iter().all(|letter| matches!(letter, Letter::Char(_)));
    (is_known && (test.is_exact() || !test.possible().matches(text))).then_some(false)
}
