//! Patterns as small automata: a step a character, wildcard or variable, and the texts that a set of patterns names.

use irsa_policy::syntax::Token;

/// One step of a pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// This character.
    Char(char),
    /// This ASCII letter (given in lower case) in either case.
    Fold(char),
    /// Any one character.
    One,
    /// Any one character but a colon.
    OneInField,
    /// Any run of characters.
    Run,
    /// Any run of characters without a colon.
    RunInField,
    /// The text of a variable that is not known.
    Symbol(Symbol),
    /// The end of the pattern.
    End,
}

/// An unknown text: the value of a condition key.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Symbol {
    /// The number of the key.
    pub(crate) key: u32,
    /// It stands for the text in any mixture of cases.
    pub(crate) fold: bool,
    /// It is known to hold no colon.
    pub(crate) in_field: bool,
}

/// The key of a symbol of which nothing is known: not even that it is the same text, or a text, wherever it stands.
pub(crate) const ANYTHING: u32 = u32::MAX;

/// What a text is made of, as far as it is known.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Letter {
    Char(char),
    Symbol(Symbol),
}

/// The steps of one pattern, without its end.
pub(crate) type Steps = Vec<Step>;

/// What stands in the place of a variable.
pub(crate) enum Substitute {
    /// This text, literally.
    Text(String),
    /// The unknown value of the key with this number, which holds a colon, or none, or that is not known either.
    Unknown { key: u32, colons: Option<bool> },
    /// There is no value: the pattern matches nothing.
    Nothing,
}

/// Makes steps of tokens. `None` if a variable in them has no value.
pub(crate) fn steps(
    tokens: &[Token],
    fold: bool,
    substitute: &mut dyn FnMut(&irsa_policy::syntax::Variable) -> Substitute,
) -> Option<Steps> {
    let mut steps = Steps::new();
    for token in tokens {
        match token {
            Token::Literal(text) => push_text(&mut steps, text, fold),
            Token::One => steps.push(Step::One),
            Token::OneInField => steps.push(Step::OneInField),
            Token::Run => push_run(&mut steps, Step::Run),
            Token::RunInField => push_run(&mut steps, Step::RunInField),
            Token::Variable(variable) => match substitute(variable) {
                Substitute::Text(text) => push_text(&mut steps, &text, fold),
                Substitute::Unknown { key, colons } => steps.push(Step::Symbol(Symbol {
                    key,
                    fold,
                    in_field: colons == Some(false),
                })),
                Substitute::Nothing => return None,
            },
        }
    }
    Some(steps)
}

/// The steps of a text without wildcards.
pub(crate) fn literal(text: &str, fold: bool) -> Steps {
    let mut steps = Steps::new();
    push_text(&mut steps, text, fold);
    steps
}

fn push_text(steps: &mut Steps, text: &str, fold: bool) {
    steps.extend(text.chars().map(|character| {
        if fold && character.is_ascii_alphabetic() {
            Step::Fold(character.to_ascii_lowercase())
        } else {
            Step::Char(character)
        }
    }));
}

/// Two runs side by side are one, and the wider wins.
fn push_run(steps: &mut Steps, run: Step) {
    match steps.last_mut() {
        Some(last @ (Step::Run | Step::RunInField)) => {
            if run == Step::Run {
                *last = Step::Run;
            }
        }
        _ => steps.push(run),
    }
}

/// The steps of an ARN condition's value, whose wildcards stay in their fields up to the fifth colon. `None` if there are
/// fewer than six fields, or a variable has no value.
///
/// The colons of variables' values count, so where one of these is not known neither are the fields after it: then the
/// first steps match at least what the pattern does, and the second, if any, at most that.
pub(crate) fn confine_arn(
    tokens: &[Token],
    substitute: &mut dyn FnMut(&irsa_policy::syntax::Variable) -> Substitute,
) -> Option<(Steps, Option<Steps>)> {
    let (mut most, mut least) = (Steps::new(), Steps::new());
    let mut colons = 0_usize;
    let mut unsure = false;
    for token in tokens {
        let confined = colons < 5;
        match token {
            Token::Literal(text) => {
                colons = colons.saturating_add(text.matches(':').count());
                push_text(&mut most, text, false);
                push_text(&mut least, text, false);
            }
            Token::One | Token::OneInField => {
                most.push(if confined && !unsure {
                    Step::OneInField
                } else {
                    Step::One
                });
                least.push(if confined { Step::OneInField } else { Step::One });
            }
            Token::Run | Token::RunInField => {
                push_run(
                    &mut most,
                    if confined && !unsure {
                        Step::RunInField
                    } else {
                        Step::Run
                    },
                );
                push_run(&mut least, if confined { Step::RunInField } else { Step::Run });
            }
            Token::Variable(variable) => match substitute(variable) {
                Substitute::Text(text) => {
                    colons = colons.saturating_add(text.matches(':').count());
                    push_text(&mut most, &text, false);
                    push_text(&mut least, &text, false);
                }
                Substitute::Unknown { key, colons } => {
                    unsure |= colons != Some(false);
                    let symbol = Step::Symbol(Symbol {
                        key,
                        fold: false,
                        in_field: colons == Some(false),
                    });
                    most.push(symbol);
                    least.push(symbol);
                }
                Substitute::Nothing => return None,
            },
        }
    }
    let certain = colons >= 5;
    (certain || unsure).then_some((most, certain.then_some(least)))
}

/// Whether a variable of unknown value stands in the pattern.
pub(crate) fn has_symbol(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Symbol(_)))
}

/// Whether something stands in the pattern of which nothing is known.
pub(crate) fn has_anything(steps: &[Step]) -> bool {
    steps
        .iter()
        .any(|step| matches!(step, Step::Symbol(symbol) if symbol.key == ANYTHING))
}

/// The pattern with any text in the place of its unknown variables, which are not empty if anything is known of them.
pub(crate) fn relax(steps: &[Step]) -> Steps {
    let mut relaxed = Steps::new();
    for step in steps {
        match step {
            Step::Symbol(Symbol { key: ANYTHING, .. }) => push_run(&mut relaxed, Step::Run),
            Step::Symbol(Symbol { in_field: true, .. }) => relaxed.extend([Step::OneInField, Step::RunInField]),
            Step::Symbol(_) => relaxed.extend([Step::One, Step::Run]),
            Step::Run | Step::RunInField => push_run(&mut relaxed, *step),
            step => relaxed.push(*step),
        }
    }
    relaxed
}

/// Several patterns as one automaton: it accepts what any of them matches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Union {
    /// All patterns in a row, each with its end.
    pub(crate) steps: Vec<Step>,
    /// Which pattern a step belongs to.
    pub(crate) pattern: Vec<u32>,
    /// How many letters it takes at least from a step to the end of its pattern.
    pub(crate) least: Vec<u32>,
    /// Where each pattern begins.
    pub(crate) starts: Vec<u32>,
}

impl Union {
    pub(crate) fn new<'s>(patterns: impl IntoIterator<Item = &'s Steps>) -> Self {
        let mut union = Self::default();
        for (number, pattern) in patterns.into_iter().enumerate() {
            union.starts.push(index(union.steps.len()));
            let mut left = index(
                pattern
                    .iter()
                    .filter(|step| !matches!(step, Step::Run | Step::RunInField))
                    .count(),
            );
            for step in pattern.iter().chain(std::iter::once(&Step::End)) {
                union.steps.push(*step);
                union.pattern.push(index(number));
                union.least.push(left);
                if !matches!(step, Step::Run | Step::RunInField) {
                    left = left.saturating_sub(1);
                }
            }
        }
        union
    }

    /// Each pattern as a union of its own.
    pub(crate) fn singles(&self) -> impl Iterator<Item = Self> {
        let ends = self.starts.iter().skip(1).copied().chain([index(self.steps.len())]);
        self.starts.iter().zip(ends).map(|(start, end)| {
            let steps = self.steps.get(*start as usize..(end as usize).saturating_sub(1));
            Self::new([&steps.unwrap_or_default().to_vec()])
        })
    }

    pub(crate) fn step(&self, at: u32) -> Step {
        self.steps.get(at as usize).copied().unwrap_or(Step::End)
    }

    /// Whether what is known of `text` is enough to say that a pattern matches it, whatever its symbols stand for.
    pub(crate) fn matches(&self, text: &[Letter]) -> bool {
        let mut set: Vec<u32> = Vec::new();
        for start in &self.starts {
            self.enter(*start, &mut set);
        }
        let mut next = Vec::new();
        for letter in text {
            for at in &set {
                self.advance(*at, *letter, &mut next);
            }
            next.sort_unstable();
            next.dedup();
            std::mem::swap(&mut set, &mut next);
            next.clear();
            if set.is_empty() {
                return false;
            }
        }
        set.iter().any(|at| self.step(*at) == Step::End)
    }

    /// Adds a step to a set, and what comes after it if it may match nothing.
    pub(crate) fn enter(&self, at: u32, set: &mut Vec<u32>) {
        set.push(at);
        if matches!(self.step(at), Step::Run | Step::RunInField) {
            set.push(at.saturating_add(1));
        }
    }

    /// Adds the steps that follow `at` after `letter`.
    #[inline]
    pub(crate) fn advance(&self, at: u32, letter: Letter, set: &mut Vec<u32>) {
        let step = self.step(at);
        let after = || self.step(at.saturating_add(1));
        let passes = match (step, letter) {
            // An unknown text is never empty, so it is enough for a character and a run, in either order.
            (Step::Run, Letter::Symbol(_)) if after() == Step::One => {
                self.enter(at.saturating_add(2), set);
                return self.enter(at, set);
            }
            (Step::One, Letter::Symbol(_)) => after() == Step::Run,
            (Step::Run, _) => return self.enter(at, set),
            (Step::RunInField, Letter::Char(character)) if character != ':' => return self.enter(at, set),
            (Step::RunInField, Letter::Symbol(symbol)) if symbol.in_field => return self.enter(at, set),
            (Step::Char(mine), Letter::Char(theirs)) => mine == theirs,
            (Step::Fold(mine), Letter::Char(theirs)) => mine == theirs.to_ascii_lowercase(),
            (Step::One, Letter::Char(_)) => true,
            (Step::OneInField, Letter::Char(character)) => character != ':',
            (Step::Symbol(mine), Letter::Symbol(theirs)) => mine.key == theirs.key && (mine.fold || !theirs.fold),
            _ => false,
        };
        if passes {
            self.enter(at.saturating_add(1), set);
        }
    }

    /// Adds every step from `at` on: what may follow after any text.
    pub(crate) fn advance_by_anything(&self, at: u32, set: &mut Vec<u32>) {
        let mut at = at;
        loop {
            set.push(at);
            if self.step(at) == Step::End {
                return;
            }
            at = at.saturating_add(1);
        }
    }
}

/// A position: no policy text is 4 GiB long.
pub(crate) fn index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// The letters of a text.
pub(crate) fn letters(text: &str) -> Vec<Letter> {
    text.chars().map(Letter::Char).collect()
}

#[cfg(test)]
mod tests {
    use irsa_policy::PolicyKind;
    use irsa_policy::syntax::{resource_tokens, tokens};

    use super::*;

    fn union(pattern: &str) -> Union {
        let tokens = tokens(pattern, true, false).unwrap();
        Union::new([&steps(&tokens, false, &mut |_| Substitute::Nothing).unwrap()])
    }

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-", false),
            ("*a**b", "xab", true),
            ("?", "é", true),
            ("?", "", false),
            ("a?*", "a", false),
            ("a?*", "ab:c", true),
        ] {
            assert_eq!(union(pattern).matches(&letters(text)), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn confined_wildcards() {
        let union = |pattern: &str| {
            let readings = resource_tokens(pattern, PolicyKind::Identity, false).unwrap();
            let patterns: Vec<Steps> = readings
                .iter()
                .map(|tokens| steps(tokens, false, &mut |_| Substitute::Nothing).unwrap())
                .collect();
            Union::new(&patterns)
        };
        for (pattern, text, expected) in [
            ("arn:aws:x:us-*-1:1:r", "arn:aws:x:us-east-1:1:r", true),
            ("arn:aws:x:us-*-1:r", "arn:aws:x:us-east:1-1:r", false),
            ("arn:aws:x:*:r", "arn:aws:x:a:b:r", true),
            ("arn:aws:s3", "arn:aws:s3:::b", true),
            ("arn:aws:s3:::b/?", "arn:aws:s3:::b/:", true),
            ("arn:aws:s?:::b", "arn:aws:s::::b", false),
        ] {
            assert_eq!(union(pattern).matches(&letters(text)), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn folding() {
        let union = Union::new([&literal("S3:Get-é", true)]);
        assert!(union.matches(&letters("s3:GET-é")));
        assert!(!union.matches(&letters("s3:GET-É")));
    }
}
