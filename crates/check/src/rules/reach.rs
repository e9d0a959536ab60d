//! Which service accounts pass the conditions on the subject, decided without trying: the subjects' form and all
//! patterns are run side by side as one automaton.
//!
//! A namespace is named if some pattern spells it out. A subject strays if it passes although nobody named its
//! namespace. What cannot be decided counts as passing in an Allow, and as not denying in a Deny.

use std::cell::Cell;
use std::collections::HashSet;

use irsa_policy::syntax::{Predicate, Token, tokens};

use super::exposure::SERVICE_ACCOUNT;
use super::issuers::Trusted;
use super::trust::{WEB_IDENTITY, is_about};
use crate::rule::Subject;
use crate::tree::{Condition, Item, Statement};

/// Denials of one document that are made use of.
const MOST_DENIALS: usize = 64;

/// Steps that a document is worth, times the words that each takes.
const WORK: usize = 6_000_000;

/// How many more steps are taken.
pub(super) struct Budget(Cell<usize>);

impl Budget {
    pub(super) fn new() -> Self {
        Self(Cell::new(WORK))
    }

    fn take(&self, work: usize) -> bool {
        let left = self.0.get().checked_sub(work);
        self.0.set(left.unwrap_or(0));
        left.is_some()
    }
}

/// Statements that deny AssumeRoleWithWebIdentity.
pub(super) fn denials<'s, 't>(subject: &'s Subject<'_, 't>) -> Vec<&'s Statement<'t>> {
    let statements = subject.tree.statements.iter();
    statements
        .filter(|statement| statement.denies() && is_about(statement, WEB_IDENTITY))
        .take(MOST_DENIALS)
        .collect()
}

/// Which way to err where a value cannot be decided.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Bias {
    Passes,
    Fails,
}

/// One condition on the subject.
enum Test {
    Always(bool),
    /// Whether some pattern matches; they stand in these bits.
    Any {
        negated: bool,
        bits: Bits,
        ends: Bits,
    },
}

type Bits = Vec<u64>;

fn meet(one: &[u64], other: &[u64]) -> bool {
    one.iter().zip(other).any(|(one, other)| one & other != 0)
}

/// A value that more than one subject can match.
pub(super) struct Loose<'s, 't> {
    pub(super) condition: &'s Condition<'t>,
    pub(super) value: &'s Item<'t>,
    pub(super) has_variable: bool,
    bits: Bits,
    end: usize,
}

/// What a search for a subject that strays came to.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Stray {
    /// There is none.
    None,
    /// This one.
    Found(String),
    /// It would take too long to know.
    Unknown,
}

/// The subjects that one statement lets in of one provider's.
pub(super) struct Reach<'s, 't> {
    allow: Vec<Test>,
    denials: Vec<Vec<Test>>,
    pub(super) loose: Vec<Loose<'s, 't>>,
    patterns: Patterns,
    /// The ends of patterns that name whom they are about.
    naming: Bits,
    letters: Vec<u8>,
}

/// One letter, `*` or `?` of a pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Letter(u8),
    One,
    Run,
}

/// All patterns one after the other; a bit is a place before a part, or the end of a pattern.
#[derive(Default)]
struct Patterns {
    parts: Vec<Option<Part>>,
    starts: Vec<usize>,
    /// Places before each letter.
    letters: Vec<(u8, Bits)>,
    one: Bits,
    run: Bits,
}

fn set(bits: &mut Bits, place: usize) {
    let word = place / 64;
    if bits.len() <= word {
        bits.resize(word.saturating_add(1), 0);
    }
    if let Some(word) = bits.get_mut(word) {
        *word |= 1 << (place % 64);
    }
}

impl Patterns {
    /// The places of a new pattern.
    fn add(&mut self, parts: &[Part]) -> std::ops::RangeInclusive<usize> {
        let start = self.parts.len();
        self.starts.push(start);
        for part in parts {
            // One `*` after another adds nothing, and what follows relies on there being none.
            if *part != Part::Run || self.parts.last() != Some(&Some(Part::Run)) {
                self.parts.push(Some(*part));
            }
        }
        let end = self.parts.len();
        self.parts.push(None);
        start..=end
    }

    fn words(&self) -> usize {
        self.parts.len().div_ceil(64)
    }

    /// Works out the places of letters, when all patterns are there.
    fn finish(&mut self) {
        let words = self.words();
        (self.one, self.run) = (vec![0; words], vec![0; words]);
        for (place, part) in self.parts.iter().enumerate() {
            match part {
                Some(Part::One) => set(&mut self.one, place),
                Some(Part::Run) => set(&mut self.run, place),
                Some(Part::Letter(letter)) => {
                    let known = self.letters.iter_mut().find(|(known, _)| known == letter);
                    match known {
                        Some((_, bits)) => set(bits, place),
                        None => {
                            let mut bits = vec![0; words];
                            set(&mut bits, place);
                            self.letters.push((*letter, bits));
                        }
                    }
                }
                None => {}
            }
        }
    }

    fn begin(&self) -> Bits {
        let mut bits = vec![0; self.words()];
        for start in &self.starts {
            set(&mut bits, *start);
        }
        self.skip_runs(&mut bits);
        bits
    }

    /// A `*` may stand for nothing.
    fn skip_runs(&self, bits: &mut Bits) {
        let mut carry = 0;
        for (word, run) in bits.iter_mut().zip(&self.run) {
            let at_run = *word & run;
            *word |= (at_run << 1) | carry;
            carry = at_run >> 63;
        }
    }

    /// The places after a letter; only by letters that are spelled out, if so wished.
    fn step(&self, bits: &[u64], letter: u8, only_spelled: bool) -> Bits {
        let spelled = self.letters.iter().find(|(known, _)| *known == letter);
        let spelled = spelled.map(|(_, places)| places);
        let mut carry = 0;
        let mut next = Vec::with_capacity(bits.len().saturating_add(1));
        for (index, word) in bits.iter().enumerate() {
            let of = |places: &Bits| places.get(index).copied().unwrap_or(0);
            let mut moving = *word & spelled.map_or(0, of);
            let mut staying = 0;
            if !only_spelled {
                moving |= *word & of(&self.one);
                staying = *word & of(&self.run);
            }
            next.push((moving << 1) | carry | staying);
            carry = moving >> 63;
        }
        self.skip_runs(&mut next);
        next
    }
}

/// How far into a subject's form.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Phase {
    /// So many bytes of what all subjects begin with.
    Prefix(usize),
    /// In the namespace, after nothing, a hyphen or another character.
    Namespace(Edge),
    Name(Edge),
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Edge {
    Begin,
    Hyphen,
    Inside,
}

impl Phase {
    /// The next phase; `None` if no subject goes on like this.
    fn after(self, letter: u8) -> Option<Self> {
        let inner = |edge: Edge| match letter {
            b'a'..=b'z' | b'0'..=b'9' => Some(Edge::Inside),
            b'-' if edge != Edge::Begin => Some(Edge::Hyphen),
            _ => None,
        };
        match self {
            Self::Prefix(at) => {
                let expected = SERVICE_ACCOUNT.as_bytes().get(at).copied();
                let next = at.saturating_add(1);
                (expected == Some(letter)).then_some(if next == SERVICE_ACCOUNT.len() {
                    Self::Namespace(Edge::Begin)
                } else {
                    Self::Prefix(next)
                })
            }
            Self::Namespace(Edge::Inside) if letter == b':' => Some(Self::Name(Edge::Begin)),
            Self::Namespace(edge) => inner(edge).map(Self::Namespace),
            Self::Name(Edge::Inside) if letter == b'.' => Some(Self::Name(Edge::Begin)),
            Self::Name(edge) => inner(edge).map(Self::Name),
        }
    }
}

#[derive(Clone, Eq, Hash, PartialEq)]
struct State {
    phase: Phase,
    reached: Bits,
    /// Places that were reached with every letter of the namespace spelled out.
    spelled: Bits,
}

/// Collects tests and their patterns.
struct Builder<'s, 't> {
    patterns: Patterns,
    loose: Vec<Loose<'s, 't>>,
    naming: Vec<usize>,
    variables: bool,
}

impl<'s, 't> Builder<'s, 't> {
    /// What a condition on the subject asks.
    fn test(&mut self, condition: &'s Condition<'t>, bias: Bias) -> Test {
        let undecided = Test::Always(bias == Bias::Passes);
        let Some(operator) = condition.operator else {
            return undecided;
        };
        let negated = operator.negated;
        match operator.predicate {
            // Every token has a subject.
            Predicate::Null => {
                let wanted = condition
                    .values
                    .iter()
                    .any(|value| value.text.eq_ignore_ascii_case("false"));
                return Test::Always(wanted);
            }
            Predicate::StringEquals | Predicate::StringEqualsIgnoreCase | Predicate::StringLike => {}
            // A subject is no number, no date, no address and no ARN.
            Predicate::Numeric(_) | Predicate::Date(_) | Predicate::Bool | Predicate::IpAddress if !negated => {
                return Test::Always(false);
            }
            Predicate::Arn if !negated && condition.values.iter().all(|value| value.text.starts_with("arn:")) => {
                return Test::Always(false);
            }
            Predicate::Numeric(_)
            | Predicate::Date(_)
            | Predicate::Bool
            | Predicate::IpAddress
            | Predicate::Arn
            | Predicate::Binary => return undecided,
        }
        let wildcards = operator.predicate == Predicate::StringLike;
        let fold = operator.predicate == Predicate::StringEqualsIgnoreCase;
        let (mut bits, mut ends) = (Bits::new(), Bits::new());
        for value in &condition.values {
            let Some(tokens) = tokens(&value.text, wildcards, self.variables) else {
                continue;
            };
            let has_variable = tokens.iter().any(|token| matches!(token, Token::Variable(_)));
            // A variable may be anything, where that errs to the right side, else nothing.
            if has_variable && negated == (bias == Bias::Passes) {
                continue;
            }
            let Some(parts) = parts(&tokens, fold) else {
                continue;
            };
            let places = self.patterns.add(&parts);
            let end = *places.end();
            let mut own = Bits::new();
            places.for_each(|place| {
                set(&mut bits, place);
                set(&mut own, place);
            });
            set(&mut ends, end);
            // Who is let in is named where it is compared with; in a Deny, where it is excepted.
            if negated == (bias == Bias::Fails) {
                self.naming.push(end);
            }
            if bias == Bias::Passes && !negated && parts.iter().any(|part| !matches!(part, Part::Letter(_))) {
                self.loose.push(Loose {
                    condition,
                    value,
                    has_variable,
                    bits: own,
                    end,
                });
            }
        }
        Test::Any { negated, bits, ends }
    }
}

/// A pattern letter by letter; `None` if no service account's subject matches it.
fn parts(tokens: &[Token], fold: bool) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    for token in tokens {
        match token {
            Token::Literal(text) => {
                for byte in text.bytes() {
                    let byte = if fold { byte.to_ascii_lowercase() } else { byte };
                    if !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b':') {
                        return None;
                    }
                    parts.push(Part::Letter(byte));
                }
            }
            Token::One | Token::OneInField => parts.push(Part::One),
            Token::Run | Token::RunInField | Token::Variable(_) => parts.push(Part::Run),
        }
    }
    Some(parts)
}

/// Whether a denial is about a provider's tokens, and about nothing but their subject.
fn is_certain(denial: &Statement<'_>, trusted: &Trusted<'_, '_>) -> bool {
    let about = denial.principal.as_ref().is_some_and(|principal| {
        principal.everyone().is_some()
            || principal
                .of("Federated")
                .any(|item| item.text == "*" || item.text == trusted.provider.text)
    });
    let subjects = denial.conditions().filter(|condition| trusted.is_on(condition, "sub"));
    about && subjects.count() == denial.conditions().count()
}

impl<'s, 't> Reach<'s, 't> {
    pub(super) fn new(
        subject: &Subject<'_, 't>,
        trusted: &Trusted<'s, 't>,
        denials: &[&'s Statement<'t>],
        budget: &Budget,
    ) -> Self {
        let mut builder = Builder {
            patterns: Patterns::default(),
            loose: Vec::new(),
            naming: Vec::new(),
            variables: subject.has_variables(),
        };
        let allow = trusted
            .on("sub")
            .map(|condition| builder.test(condition, Bias::Passes))
            .collect();
        let denials = denials
            .iter()
            .filter(|denial| is_certain(denial, trusted))
            .map(|denial| {
                let conditions = denial.conditions();
                conditions
                    .map(|condition| builder.test(condition, Bias::Fails))
                    .collect()
            })
            .collect();
        let Builder {
            mut patterns,
            loose,
            naming: ends,
            ..
        } = builder;
        budget.take(patterns.parts.len());
        patterns.finish();
        let mut naming = vec![0; patterns.words()];
        ends.into_iter().for_each(|end| set(&mut naming, end));
        let used: HashSet<u8> = patterns.letters.iter().map(|(letter, _)| *letter).collect();
        // All letters that no pattern spells are alike.
        let other = (b'a'..=b'z')
            .rev()
            .chain(b'0'..=b'9')
            .find(|letter| !used.contains(letter));
        let mut letters: Vec<u8> = used.into_iter().chain(other).chain(SERVICE_ACCOUNT.bytes()).collect();
        letters.sort_unstable();
        letters.dedup();
        // The letter that is like no pattern's makes the plainest examples.
        letters.sort_by_key(|letter| Some(*letter) != other);
        Self {
            allow,
            denials,
            loose,
            patterns,
            naming,
            letters,
        }
    }

    fn begin(&self) -> State {
        let places = self.patterns.begin();
        State {
            phase: Phase::Prefix(0),
            reached: places.clone(),
            spelled: places,
        }
    }

    fn step(&self, state: &State, letter: u8) -> Option<State> {
        let phase = state.phase.after(letter)?;
        let in_namespace = matches!(state.phase, Phase::Namespace(_)) && letter != b':';
        Some(State {
            phase,
            reached: self.patterns.step(&state.reached, letter, false),
            spelled: self.patterns.step(&state.spelled, letter, in_namespace),
        })
    }

    /// Whether a condition that must be met still can be.
    fn is_alive(&self, state: &State, through: Option<&Loose<'_, '_>>) -> bool {
        let all = self.allow.iter().all(|test| match test {
            Test::Always(answer) => *answer,
            Test::Any { negated: true, .. } => true,
            Test::Any { bits, .. } => meet(&state.reached, bits),
        });
        all && through.is_none_or(|loose| meet(&state.reached, &loose.bits))
    }

    /// Whether the subject that ends here passes, although nobody named its namespace.
    fn strays(&self, state: &State) -> bool {
        let holds = |test: &Test| match test {
            Test::Always(answer) => *answer,
            Test::Any { negated, ends, .. } => meet(&state.reached, ends) != *negated,
        };
        state.phase == Phase::Name(Edge::Inside)
            && self.allow.iter().all(holds)
            && !self.denials.iter().any(|denial| denial.iter().all(holds))
            && !meet(&state.spelled, &self.naming)
    }

    /// Whether a subject passes that nobody named.
    pub(super) fn lets_stray(&self, subject: &str) -> bool {
        let mut state = self.begin();
        for letter in subject.bytes() {
            let Some(next) = self.step(&state, letter) else {
                return false;
            };
            state = next;
        }
        self.strays(&state)
    }

    /// Looks for the shortest subject that strays, among all, or among those that a value matches.
    pub(super) fn stray(&self, through: Option<&Loose<'_, '_>>, budget: &Budget) -> Stray {
        let mut known: HashSet<State> = HashSet::new();
        // Each with the number of the one before, and the letter between.
        let mut queue: Vec<(State, usize, u8)> = vec![(self.begin(), 0, 0)];
        let mut at = 0_usize;
        while let Some((state, ..)) = queue.get(at) {
            let state = state.clone();
            let ends_well = through.is_none_or(|loose| {
                state
                    .reached
                    .get(loose.end / 64)
                    .is_some_and(|word| word >> (loose.end % 64) & 1 == 1)
            });
            if ends_well && self.strays(&state) {
                return Stray::Found(spell(&queue, at));
            }
            for letter in &self.letters {
                let Some(next) = self.step(&state, *letter) else {
                    continue;
                };
                if !budget.take(self.patterns.words().saturating_add(1)) {
                    return Stray::Unknown;
                }
                if self.is_alive(&next, through) && known.insert(next.clone()) {
                    queue.push((next, at, *letter));
                }
            }
            at = at.saturating_add(1);
        }
        Stray::None
    }
}

/// The letters on the way to a place of the queue.
fn spell(queue: &[(State, usize, u8)], mut at: usize) -> String {
    let mut letters = Vec::new();
    while let Some((_, before, letter)) = queue.get(at).filter(|_| at > 0) {
        letters.push(char::from(*letter));
        at = *before;
    }
    letters.into_iter().rev().collect()
}
