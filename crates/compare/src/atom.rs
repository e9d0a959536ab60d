//! Atoms: the smallest questions that a policy asks of a request, each about one part of it, and what they mean once
//! the variables' values are assumed.

use std::collections::{BTreeSet, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use irsa_policy::PolicyKind;
use irsa_policy::syntax::{
    AddressBlock, Decimal, Instant, Operator, Predicate, Token, Variable, resource_tokens, tokens,
};

use crate::document::{Condition, Statement};
use crate::pattern::{
    ANYTHING, Steps, Substitute, Union, confine_arn, has_anything, has_symbol, literal, relax, steps,
};
use crate::value::Typed;

/// The number of an atom.
pub(crate) type AtomId = usize;

/// An atom, or that it is not so.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Literal {
    pub(crate) atom: AtomId,
    pub(crate) holds: bool,
}

impl Literal {
    pub(crate) fn negated(self) -> Self {
        Self {
            holds: !self.holds,
            ..self
        }
    }
}

/// What an atom is about. Condition keys come after the two fixed ones.
pub(crate) const ACTION: usize = 0;
pub(crate) const RESOURCE: usize = 1;
const FIRST_KEY: usize = 2;

/// The tape of a condition key.
pub(crate) fn key_tape(key: usize) -> usize {
    key.saturating_add(FIRST_KEY)
}

/// The key of a tape.
pub(crate) fn tape_key(tape: usize) -> Option<usize> {
    tape.checked_sub(FIRST_KEY)
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Source {
    Action(Vec<String>),
    Resource {
        texts: Vec<String>,
        variables: bool,
    },
    Condition {
        operator: [u8; 4],
        values: Vec<String>,
        variables: bool,
        key: usize,
    },
}

#[derive(Clone, Debug)]
struct Atom {
    source: Source,
    tape: usize,
    operator: Option<Operator>,
}

/// A condition key that either policy speaks of.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// As the first to speak of it spells it.
    pub(crate) name: String,
    /// A variable stands for its value.
    pub(crate) is_variable: bool,
    /// Texts that conditions compare it with, if a variable stands for it.
    pub(crate) constants: BTreeSet<String>,
    /// A variable stands for it in an ARN condition, where it matters whether there is a colon in it.
    pub(crate) splits: bool,
}

/// All atoms and keys of two policies.
#[derive(Debug)]
pub(crate) struct Atoms {
    atoms: Vec<Atom>,
    known: HashMap<Source, AtomId>,
    pub(crate) keys: Vec<Key>,
    key_numbers: HashMap<String, usize>,
    kind: PolicyKind,
}

impl Atoms {
    pub(crate) fn new(kind: PolicyKind) -> Self {
        Self {
            atoms: Vec::new(),
            known: HashMap::new(),
            keys: Vec::new(),
            key_numbers: HashMap::new(),
            kind,
        }
    }

    /// The statement's parts, all of which must hold for it to match. Its principals are not among them.
    pub(crate) fn statement(&mut self, statement: &Statement) -> Vec<Literal> {
        let actions = statement
            .actions
            .texts
            .iter()
            .map(|text| text.to_ascii_lowercase())
            .collect();
        let mut parts = vec![Literal {
            atom: self.intern(Source::Action(sorted(actions)), ACTION, None),
            holds: !statement.actions.negated,
        }];
        if let Some(resources) = &statement.resources {
            let source = Source::Resource {
                texts: sorted(resources.texts.clone()),
                variables: statement.variables && has_variable(&resources.texts),
            };
            parts.push(Literal {
                atom: self.intern(source, RESOURCE, None),
                holds: !resources.negated,
            });
        }
        for condition in &statement.conditions {
            parts.push(self.condition(condition, statement.variables));
        }
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    /// That the action is this one.
    pub(crate) fn action(&mut self, name: &str) -> AtomId {
        self.intern(Source::Action(vec![name.to_ascii_lowercase()]), ACTION, None)
    }

    fn condition(&mut self, condition: &Condition, variables: bool) -> Literal {
        let key = self.key(&condition.key);
        let operator = condition.operator;
        let source = Source::Condition {
            operator: code(operator),
            values: sorted(condition.values.clone()),
            variables: variables && has_variable(&condition.values),
            key,
        };
        Literal {
            atom: self.intern(source, key_tape(key), Some(operator)),
            holds: true,
        }
    }

    fn key(&mut self, name: &str) -> usize {
        let folded = name.to_ascii_lowercase();
        if let Some(key) = self.key_numbers.get(&folded) {
            return *key;
        }
        let key = self.keys.len();
        self.keys.push(Key {
            name: name.to_owned(),
            is_variable: false,
            constants: BTreeSet::new(),
            splits: false,
        });
        self.key_numbers.insert(folded, key);
        key
    }

    fn intern(&mut self, source: Source, tape: usize, operator: Option<Operator>) -> AtomId {
        if let Some(atom) = self.known.get(&source) {
            return *atom;
        }
        let number = self.atoms.len();
        self.known.insert(source.clone(), number);
        self.atoms.push(Atom { source, tape, operator });
        number
    }

    /// Finds the keys that variables stand for, once all statements are in.
    pub(crate) fn find_variables(&mut self) {
        let mut names = Vec::new();
        for atom in &self.atoms {
            let is_arn = atom
                .operator
                .is_some_and(|operator| operator.predicate == Predicate::Arn);
            let mut note = |tokens: Vec<Token>| {
                for token in tokens {
                    if let Token::Variable(variable) = token {
                        names.push((variable.key().to_owned(), is_arn));
                    }
                }
            };
            match &atom.source {
                Source::Resource { texts, variables: true } => {
                    for text in texts {
                        resource_tokens(text, self.kind, true)
                            .into_iter()
                            .flatten()
                            .for_each(&mut note);
                    }
                }
                Source::Condition {
                    values,
                    variables: true,
                    ..
                } => {
                    for text in values {
                        tokens(text, true, true).into_iter().for_each(&mut note);
                    }
                }
                _ => {}
            }
        }
        for (name, is_arn) in names {
            let key = self.key(&name);
            if let Some(key) = self.keys.get_mut(key) {
                key.is_variable = true;
                key.splits |= is_arn;
            }
        }
        for atom in &self.atoms {
            let (Source::Condition { values, key, .. }, Some(operator)) = (&atom.source, atom.operator) else {
                continue;
            };
            let wildcards = matches!(operator.predicate, Predicate::StringLike | Predicate::Arn);
            let is_text = wildcards
                || matches!(
                    operator.predicate,
                    Predicate::StringEquals | Predicate::StringEqualsIgnoreCase | Predicate::Bool
                );
            if let Some(key) = self.keys.get_mut(*key)
                && is_text
                && key.is_variable
            {
                let plain = |text: &&String| {
                    !text.is_empty() && !text.contains("${") && (!wildcards || !text.contains(['*', '?']))
                };
                key.constants.extend(values.iter().filter(plain).cloned());
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.atoms.len()
    }

    /// How long all texts are together.
    pub(crate) fn size(&self) -> usize {
        let texts = self.atoms.iter().flat_map(|atom| match &atom.source {
            Source::Action(texts) | Source::Resource { texts, .. } | Source::Condition { values: texts, .. } => texts,
        });
        texts.fold(self.atoms.len(), |sum, text| sum.saturating_add(text.len()))
    }

    pub(crate) fn tapes(&self) -> usize {
        key_tape(self.keys.len())
    }

    pub(crate) fn tape(&self, atom: AtomId) -> usize {
        self.atoms.get(atom).map_or(ACTION, |atom| atom.tape)
    }

    /// The meaning of every atom under a setting of the variables.
    pub(crate) fn compile(&self, settings: &[Option<Setting>]) -> Vec<Test> {
        self.atoms.iter().map(|atom| self.test(atom, settings)).collect()
    }

    fn test(&self, atom: &Atom, settings: &[Option<Setting>]) -> Test {
        let mut substitute = |variable: &Variable| -> Substitute {
            let key = self.key_numbers.get(&variable.key().to_ascii_lowercase());
            let default = || variable.default().map(str::to_owned);
            match key.and_then(|key| Some((key, settings.get(*key)?.as_ref()?))) {
                Some((_, Setting::Value(value))) => Substitute::Text(value.clone()),
                Some((_, Setting::Empty)) => Substitute::Text(default().unwrap_or_default()),
                Some((key, Setting::Other { colons })) => Substitute::Unknown {
                    key: crate::pattern::index(*key),
                    colons: *colons,
                },
                Some((_, Setting::Any)) => Substitute::Unknown {
                    key: ANYTHING,
                    colons: None,
                },
                Some((_, Setting::Unresolved)) | None => default().map_or(Substitute::Nothing, Substitute::Text),
            }
        };
        match &atom.source {
            Source::Action(texts) => {
                let patterns = texts.iter().filter_map(|text| {
                    let tokens = tokens(text, true, false)?;
                    steps(&tokens, true, &mut |_| Substitute::Nothing)
                });
                Test::Action(TextTest::new(patterns.collect(), Vec::new()))
            }
            Source::Resource { texts, variables } => {
                let patterns = texts
                    .iter()
                    .filter_map(|text| resource_tokens(text, self.kind, *variables))
                    .flatten()
                    .filter_map(|tokens| steps(&tokens, false, &mut substitute));
                Test::Resource {
                    everything: texts.iter().any(|text| text == "*"),
                    test: TextTest::new(patterns.collect(), Vec::new()),
                }
            }
            Source::Condition { values, variables, .. } => {
                let Some(operator) = atom.operator else {
                    return Test::Null(Vec::new());
                };
                condition(operator, values, *variables, &mut substitute)
            }
        }
    }
}

fn condition(
    operator: Operator,
    values: &[String],
    variables: bool,
    substitute: &mut dyn FnMut(&Variable) -> Substitute,
) -> Test {
    let mut text = |wildcards: bool, fold: bool| {
        let patterns = values.iter().filter_map(|value| {
            let tokens = tokens(value, wildcards, variables)?;
            steps(&tokens, fold, &mut *substitute)
        });
        ValueTest::Text(Box::new(TextTest::new(patterns.collect(), Vec::new())))
    };
    let test = match operator.predicate {
        Predicate::Null => return Test::Null(values.iter().filter_map(|value| boolean(value)).collect()),
        Predicate::StringEquals => text(false, false),
        Predicate::StringLike => text(true, false),
        Predicate::StringEqualsIgnoreCase => text(false, true),
        Predicate::Numeric(comparison) => ValueTest::Typed(Typed::Number(
            comparison,
            values
                .iter()
                .filter(|value| Decimal::parse(value).is_some())
                .cloned()
                .collect(),
        )),
        Predicate::Date(comparison) => ValueTest::Typed(Typed::Date(
            comparison,
            values.iter().filter_map(|value| Instant::parse(value)).collect(),
        )),
        Predicate::IpAddress => ValueTest::Typed(Typed::Address(
            values.iter().filter_map(|value| AddressBlock::parse(value)).collect(),
        )),
        Predicate::Binary => {
            // The request's value is compared by the bytes of its text, so bytes that are no text match nothing.
            let patterns = values.iter().filter_map(|value| {
                let bytes = STANDARD.decode(value).ok()?;
                // The base64 text itself is taken, too.
                let decoded = String::from_utf8(bytes).ok();
                Some(
                    decoded
                        .into_iter()
                        .chain([value.clone()])
                        .map(|text| literal(&text, false)),
                )
            });
            ValueTest::Text(Box::new(TextTest::new(patterns.flatten().collect(), Vec::new())))
        }
        Predicate::Bool => {
            let (mut known, mut possible) = (Vec::new(), Vec::new());
            for value in values {
                if let Some(constant) = boolean(value) {
                    known.push(literal(if constant { "true" } else { "false" }, true));
                } else if variables && value.contains("${") {
                    let Some(steps) =
                        tokens(value, false, true).and_then(|tokens| steps(&tokens, true, &mut *substitute))
                    else {
                        continue;
                    };
                    // Only `true` and `false` are compared with; what an unknown text will be is either.
                    let both = [literal("true", true), literal("false", true)];
                    if has_symbol(&steps) {
                        possible.extend(both);
                    } else {
                        known.extend(both.into_iter().filter(|word| *word == steps));
                    }
                }
            }
            ValueTest::Text(Box::new(TextTest::new(known, possible)))
        }
        Predicate::Arn => {
            let patterns = values.iter().filter_map(|value| {
                if value == "*" {
                    let any = vec![crate::pattern::Step::Run];
                    return Some((any.clone(), Some(any)));
                }
                confine_arn(&tokens(value, true, variables)?, &mut *substitute)
            });
            ValueTest::Text(Box::new(TextTest::between(patterns.collect(), Vec::new())))
        }
    };
    Test::Condition { operator, test }
}

/// What is assumed of a key that a variable stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Setting {
    /// It has one value, not empty and none of the key's constants.
    Other {
        /// Whether a colon is in it, if that is assumed either way.
        colons: Option<bool>,
    },
    /// It has this one value.
    Value(String),
    /// Its one value is the empty text.
    Empty,
    /// It is absent or has a list of values.
    Unresolved,
    /// Nothing is assumed: there are too many variables to follow this one.
    Any,
}

/// The meaning of an atom.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Action(TextTest),
    Resource {
        /// `*` stands among the patterns, which alone matches the resource `*`.
        everything: bool,
        test: TextTest,
    },
    Condition {
        operator: Operator,
        test: ValueTest,
    },
    /// Whether the key may be absent, present or either.
    Null(Vec<bool>),
}

/// The meaning of a condition for one value, before negation.
#[derive(Clone, Debug)]
pub(crate) enum ValueTest {
    Text(Box<TextTest>),
    Typed(Typed),
}

/// A set of patterns, of which some may have variables of unknown value.
#[derive(Clone, Debug)]
pub(crate) struct TextTest {
    /// What is matched, or may be, by patterns without unknown variables.
    pub(crate) plain: Union,
    /// Each pattern with an unknown variable: the most that it matches.
    pub(crate) symbolic: Vec<Union>,
    /// For each of these the steps of the most and the least that it matches, which together tell patterns apart.
    bounds: Vec<(Steps, Option<Steps>)>,
    /// What may be matched at all, if that is more than `plain`.
    possible: Option<Union>,
    /// What is matched whatever the unknown variables are, if that is not just `plain`.
    certain: Option<Union>,
}

impl TextTest {
    fn new(patterns: Vec<Steps>, possible: Vec<Steps>) -> Self {
        let same = |steps: Steps| (steps.clone(), Some(steps));
        Self::between(patterns.into_iter().map(same).collect(), possible)
    }

    /// Of patterns that are known only as the most and the least that they match. These differ only if there are unknown
    /// variables in them.
    fn between(patterns: Vec<(Steps, Option<Steps>)>, mut possible: Vec<Steps>) -> Self {
        let mut plain: Vec<Steps> = Vec::new();
        let mut bounds = Vec::new();
        for (most, least) in patterns {
            if has_anything(&most) {
                possible.push(relax(&most));
            } else if has_symbol(&most) {
                bounds.push((most, least));
            } else {
                plain.push(most);
            }
        }
        let (symbolic, least): (Vec<&Steps>, Vec<Option<&Steps>>) =
            bounds.iter().map(|(most, least)| (most, least.as_ref())).unzip();
        let certain = (!symbolic.is_empty() || !possible.is_empty())
            .then(|| Union::new(plain.iter().chain(least.iter().copied().flatten())));
        let relaxed: Vec<Steps> = symbolic.iter().map(|steps| relax(steps)).collect();
        Self {
            possible: (!symbolic.is_empty()).then(|| Union::new(plain.iter().chain(&possible).chain(&relaxed))),
            plain: Union::new(plain.iter().chain(&possible)),
            symbolic: symbolic.iter().map(|steps| Union::new([*steps])).collect(),
            certain,
            bounds,
        }
    }

    /// Whether this pattern with unknown variables is among those of `other`, too.
    pub(crate) fn shares(&self, number: usize, other: &Self) -> bool {
        self.bounds
            .get(number)
            .is_some_and(|bounds| other.bounds.contains(bounds))
    }

    /// Of a single pattern without variables.
    pub(crate) fn one(pattern: Steps) -> Self {
        Self::new(vec![pattern], Vec::new())
    }

    pub(crate) fn possible(&self) -> &Union {
        self.possible.as_ref().unwrap_or(&self.plain)
    }

    pub(crate) fn certain(&self) -> &Union {
        self.certain.as_ref().unwrap_or(&self.plain)
    }

    /// Whether unknown variables have no part in it.
    pub(crate) fn is_exact(&self) -> bool {
        self.certain.is_none()
    }
}

fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

fn has_variable(texts: &[String]) -> bool {
    texts.iter().any(|text| text.contains("${"))
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// An operator as something that can be looked up.
fn code(operator: Operator) -> [u8; 4] {
    use irsa_policy::syntax::{Comparison, Quantifier};
    let comparison = |comparison| match comparison {
        Comparison::Equal => 0,
        Comparison::Less => 1,
        Comparison::LessOrEqual => 2,
        Comparison::Greater => 3,
        Comparison::GreaterOrEqual => 4,
    };
    let predicate = match operator.predicate {
        Predicate::StringEquals => 0,
        Predicate::StringEqualsIgnoreCase => 1,
        Predicate::StringLike => 2,
        Predicate::Bool => 3,
        Predicate::Binary => 4,
        Predicate::IpAddress => 5,
        Predicate::Arn => 6,
        Predicate::Null => 7,
        Predicate::Numeric(which) => 10 + comparison(which),
        Predicate::Date(which) => 20 + comparison(which),
    };
    let quantifier = match operator.quantifier {
        Quantifier::None => 0,
        Quantifier::All => 1,
        Quantifier::Any => 2,
    };
    [
        predicate,
        quantifier,
        u8::from(operator.negated),
        u8::from(operator.if_exists),
    ]
}
