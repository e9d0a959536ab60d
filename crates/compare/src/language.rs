//! Is there a text that all of these patterns match and none of those? A search over sets of steps, never written out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::pattern::{Letter, Step, Union};

/// The work that is left. A question that needs more is answered "unknown".
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget(u64);

/// More work would be needed than is allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Exhausted;

impl Budget {
    pub(crate) fn new(steps: u64) -> Self {
        Self(steps)
    }

    pub(crate) fn left(self) -> u64 {
        self.0
    }

    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), Exhausted> {
        match self.0.checked_sub(steps as u64) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => {
                self.0 = 0;
                Err(Exhausted)
            }
        }
    }
}

/// How a union takes part in a search.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// The text must match. A symbol stands for any text.
    Positive,
    /// The text must match, and what matches this pattern's variables is where its symbols stand.
    Kept,
    /// The text must not match. A symbol is matched only where it is matched whatever it stands for.
    Negative,
}

/// A union of patterns and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'u> {
    pub(crate) union: &'u Union,
    pub(crate) role: Role,
}

/// Which part, and where in it.
type Place = (u32, u32);

struct Node {
    state: Vec<Place>,
    parent: usize,
    letter: Option<Letter>,
    depth: u32,
}

/// The shortest text that every positive part matches and no negative one; `None` if there is none.
pub(crate) fn search(parts: &[Part<'_>], budget: &mut Budget) -> Result<Option<Vec<Letter>>, Exhausted> {
    let automaton = Automaton { parts };
    let starts = parts.iter().map(|part| part.union.starts.len().saturating_add(2));
    budget.spend(starts.fold(0, usize::saturating_add))?;
    let Some(first) = automaton.first() else {
        return Ok(None);
    };
    let mut nodes: Vec<Node> = Vec::new();
    let mut queue = BinaryHeap::new();
    // By the positive part of a state, the negative parts that were met with it.
    let mut met: HashMap<Vec<Place>, Vec<Vec<Place>>> = HashMap::new();
    let mut pending = vec![(first, 0_usize, None, 0_u32)];
    loop {
        for (state, parent, letter, depth) in pending.drain(..) {
            let split = state.partition_point(|(part, _)| automaton.role(*part) != Role::Negative);
            let (positive, negative) = state.split_at_checked(split).unwrap_or((&state, &[]));
            let known = met.entry(positive.to_vec()).or_default();
            let mut is_worse = false;
            budget.spend(state.len())?;
            for other in known.iter() {
                budget.spend(other.len())?;
                if automaton.is_within(other, negative) {
                    is_worse = true;
                    break;
                }
            }
            if is_worse {
                continue;
            }
            known.push(negative.to_vec());
            let estimate = depth.saturating_add(automaton.least(&state));
            queue.push(Reverse((estimate, Reverse(depth), Reverse(nodes.len()))));
            nodes.push(Node {
                state,
                parent,
                letter,
                depth,
            });
        }
        let Some(Reverse((_, _, Reverse(number)))) = queue.pop() else {
            return Ok(None);
        };
        let Some(node) = nodes.get(number) else {
            return Ok(None);
        };
        if automaton.accepts(&node.state) {
            return Ok(Some(path(&nodes, number)));
        }
        for letter in automaton.letters(&node.state) {
            budget.spend(node.state.len().saturating_add(4))?;
            if let Some(state) = automaton.next(&node.state, letter, budget)? {
                pending.push((state, number, Some(letter), node.depth.saturating_add(1)));
            }
        }
    }
}

fn path(nodes: &[Node], number: usize) -> Vec<Letter> {
    let mut text = Vec::new();
    let mut node = nodes.get(number);
    while let Some(Node {
        letter: Some(letter),
        parent,
        ..
    }) = node
    {
        text.push(*letter);
        node = nodes.get(*parent);
    }
    text.reverse();
    text
}

/// The parts together. The positive ones come first, so that a state can be split.
struct Automaton<'p> {
    parts: &'p [Part<'p>],
}

impl Automaton<'_> {
    fn role(&self, part: u32) -> Role {
        self.parts.get(part as usize).map_or(Role::Negative, |part| part.role)
    }

    fn step(&self, (part, at): Place) -> Step {
        self.parts
            .get(part as usize)
            .map_or(Step::End, |part| part.union.step(at))
    }

    fn first(&self) -> Option<Vec<Place>> {
        let mut state = Vec::new();
        let mut set = Vec::new();
        for (number, part) in self.parts.iter().enumerate() {
            for start in &part.union.starts {
                part.union.enter(*start, &mut set);
            }
            state.extend(set.drain(..).map(|at| (crate::pattern::index(number), at)));
        }
        self.settle(state)
    }

    fn next(&self, state: &[Place], letter: Letter, budget: &mut Budget) -> Result<Option<Vec<Place>>, Exhausted> {
        let mut next = Vec::with_capacity(state.len());
        let mut set = Vec::new();
        for (number, at) in state {
            let Some(part) = self.parts.get(*number as usize) else {
                continue;
            };
            match (part.role, letter) {
                (Role::Positive, Letter::Symbol(_)) => part.union.advance_by_anything(*at, &mut set),
                // Symbols stand where the kept pattern has its variables, not in its wildcards.
                (Role::Kept, Letter::Symbol(_)) if !matches!(part.union.step(*at), Step::Symbol(_)) => {}
                _ => part.union.advance(*at, letter, &mut set),
            }
            budget.spend(set.len())?;
            next.extend(set.drain(..).map(|at| (*number, at)));
        }
        Ok(self.settle(next))
    }

    /// Sorts a state and leaves out what adds nothing to it; `None` if it leads nowhere.
    fn settle(&self, mut state: Vec<Place>) -> Option<Vec<Place>> {
        state.sort_unstable();
        state.dedup();
        // From a `*` on, everything that comes before it in the pattern is of no account: the `*` takes it up.
        let mut kept: Vec<Place> = Vec::with_capacity(state.len());
        let mut later: Option<(u32, u32)> = None;
        let mut everything: Option<u32> = None;
        for place in state.iter().rev() {
            let (number, at) = *place;
            let part = self.parts.get(number as usize)?;
            if everything == Some(number) {
                continue;
            }
            let pattern = part.union.pattern.get(at as usize).copied().unwrap_or_default();
            if later == Some((number, pattern)) {
                continue;
            }
            if part.union.step(at) == Step::Run {
                later = Some((number, pattern));
                if part.union.step(at.saturating_add(1)) == Step::End {
                    if part.role == Role::Negative {
                        return None;
                    }
                    // The rest of the text is free, whatever the other patterns of the union say.
                    while kept.last().is_some_and(|(other, _)| *other == number) {
                        kept.pop();
                    }
                    kept.push((number, at.saturating_add(1)));
                    everything = Some(number);
                }
            }
            kept.push(*place);
        }
        kept.reverse();
        let mut alive = kept.iter().map(|(number, _)| *number).peekable();
        for (number, part) in self.parts.iter().enumerate() {
            let number = crate::pattern::index(number);
            let mut found = false;
            while alive.peek() == Some(&number) {
                alive.next();
                found = true;
            }
            if !found && part.role != Role::Negative {
                return None;
            }
        }
        Some(kept)
    }

    fn accepts(&self, state: &[Place]) -> bool {
        let mut accepted = 0_usize;
        let mut last = None;
        for place in state {
            if self.step(*place) != Step::End {
                continue;
            }
            if self.role(place.0) == Role::Negative {
                return false;
            }
            if last != Some(place.0) {
                last = Some(place.0);
                accepted = accepted.saturating_add(1);
            }
        }
        accepted == self.parts.iter().filter(|part| part.role != Role::Negative).count()
    }

    /// How many letters it takes at least from here.
    fn least(&self, state: &[Place]) -> u32 {
        let mut most = 0_u32;
        let mut current: Option<(u32, u32)> = None;
        for (number, at) in state {
            if self.role(*number) == Role::Negative {
                break;
            }
            let least = self
                .parts
                .get(*number as usize)
                .and_then(|part| part.union.least.get(*at as usize))
                .copied()
                .unwrap_or_default();
            current = match current {
                Some((part, found)) if part == *number => Some((part, found.min(least))),
                other => {
                    most = most.max(other.map_or(0, |(_, found)| found));
                    Some((*number, least))
                }
            };
        }
        // A symbol may be worth many letters to a positive part, so the estimate counts it for one; that only costs
        // the shortest path, never an answer.
        most.max(current.map_or(0, |(_, found)| found))
    }

    /// One letter of every kind that the state tells apart.
    fn letters(&self, state: &[Place]) -> Vec<Letter> {
        // A positive part without wildcards leaves little choice.
        let mut narrow: Option<u32> = None;
        let mut current: Option<(u32, bool)> = None;
        for place in state.iter().chain(std::iter::once(&(u32::MAX, 0))) {
            let (number, _) = *place;
            if current.is_none_or(|(part, _)| part != number) {
                if let Some((part, true)) = current
                    && narrow.is_none()
                {
                    narrow = Some(part);
                }
                if self.role(number) == Role::Negative {
                    break;
                }
                current = Some((number, true));
            }
            if !matches!(self.step(*place), Step::Char(_) | Step::Fold(_) | Step::End) {
                current = Some((number, false));
            }
        }
        let mut letters: Vec<Letter> = Vec::new();
        let (mut case_matters, mut colon) = (false, false);
        for place in state {
            if narrow.is_some_and(|part| part != place.0) {
                match self.step(*place) {
                    Step::Char(character) => case_matters |= character.is_ascii_alphabetic(),
                    // A symbol may be whatever the narrow part leaves.
                    Step::Symbol(symbol) if self.role(place.0) == Role::Kept => letters.push(Letter::Symbol(symbol)),
                    _ => {}
                }
                continue;
            }
            match self.step(*place) {
                Step::Char(character) => {
                    case_matters |= character.is_ascii_alphabetic();
                    letters.push(Letter::Char(character));
                }
                Step::Fold(character) => letters.push(Letter::Char(character)),
                Step::OneInField | Step::RunInField => colon = true,
                Step::Symbol(symbol) if self.role(place.0) == Role::Kept => letters.push(Letter::Symbol(symbol)),
                Step::One | Step::Run | Step::Symbol(_) | Step::End => {}
            }
        }
        if case_matters {
            let upper: Vec<Letter> = state
                .iter()
                .filter_map(|place| match self.step(*place) {
                    Step::Fold(character) => Some(Letter::Char(character.to_ascii_uppercase())),
                    _ => None,
                })
                .collect();
            letters.extend(upper);
        }
        if narrow.is_none() && colon {
            letters.push(Letter::Char(':'));
        }
        letters.sort_unstable();
        letters.dedup();
        if narrow.is_none() {
            letters.extend(other(&letters));
        }
        letters
    }

    /// Whether every text that `one` still leads to is also led to by `other`.
    fn is_within(&self, one: &[Place], other: &[Place]) -> bool {
        one.iter().all(|(number, at)| {
            other.binary_search(&(*number, *at)).is_ok()
                || self.parts.get(*number as usize).is_some_and(|part| {
                    let pattern = part.union.pattern.get(*at as usize);
                    let from = other.partition_point(|place| place < &(*number, *at));
                    other
                        .get(from..)
                        .unwrap_or_default()
                        .iter()
                        .take_while(|(part_number, later)| {
                            part_number == number && part.union.pattern.get(*later as usize) == pattern
                        })
                        .any(|(_, later)| part.union.step(*later) == Step::Run)
                })
        })
    }
}

/// A character that none of these is, in any case, and no colon. They must be sorted.
fn other(letters: &[Letter]) -> Option<Letter> {
    let is_there = |character: char| letters.binary_search(&Letter::Char(character)).is_ok();
    ('a'..='x')
        .rev()
        .chain("zy0123456789-_./".chars())
        .chain('\u{a1}'..)
        .find(|candidate| !is_there(*candidate) && !is_there(candidate.to_ascii_uppercase()))
        .map(Letter::Char)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use irsa_policy::syntax::tokens;
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::{Substitute, letters, steps};

    fn union(patterns: &[String], fold: bool) -> Union {
        let patterns: Vec<_> = patterns
            .iter()
            .map(|pattern| {
                let tokens = tokens(pattern, true, false).unwrap();
                steps(&tokens, fold, &mut |_| Substitute::Nothing).unwrap()
            })
            .collect();
        Union::new(&patterns)
    }

    fn text(letters: &[Letter]) -> String {
        letters
            .iter()
            .map(|letter| match letter {
                Letter::Char(character) => *character,
                Letter::Symbol(_) => '§',
            })
            .collect()
    }

    fn find(positive: &[Vec<String>], negative: &[Vec<String>], fold: bool) -> Option<String> {
        let unions: Vec<(Union, Role)> = positive
            .iter()
            .map(|patterns| (union(patterns, fold), Role::Positive))
            .chain(negative.iter().map(|patterns| (union(patterns, false), Role::Negative)))
            .collect();
        let parts: Vec<Part<'_>> = unions.iter().map(|(union, role)| Part { union, role: *role }).collect();
        search(&parts, &mut Budget::new(10_000_000))
            .unwrap()
            .map(|found| text(&found))
    }

    fn one(positive: &str, negative: &[&str]) -> Option<String> {
        find(
            &[vec![positive.to_owned()]],
            &[negative.iter().map(|text| (*text).to_owned()).collect()],
            false,
        )
    }

    #[test]
    fn the_shortest_text_outside() {
        assert_eq!(one("abc", &[]).as_deref(), Some("abc"));
        assert_eq!(one("abc", &["a*"]), None);
        assert_eq!(one("a*", &["a"]).as_deref(), Some("ax"));
        assert_eq!(one("a*", &["a", "a?", "a??*"]), None);
        assert_eq!(one("*", &["a*", "*a", "?"]).as_deref(), Some(""));
        assert_eq!(one("?*", &["?"]).as_deref(), Some("xx"));
        assert_eq!(one("*a*b*", &["*b*a*b*", "*ab*"]).as_deref(), Some("axb"));
        assert_eq!(one("*x*", &["*x*"]), None);
        assert_eq!(one("*a*b*", &["*a*"]), None);
    }

    #[test]
    fn many_infixes_end() {
        let infixes: Vec<String> = (0..12)
            .map(|number| format!("*k{}*m{}*", char::from(b'a' + number), char::from(b'a' + number)))
            .collect();
        let names: Vec<&str> = infixes.iter().map(String::as_str).collect();
        assert!(one("*k?m?*", &names).is_some());
        assert_eq!(one("*kamb*", &["*k*m*"]), None);
    }

    proptest! {
        /// Against every text over the patterns' letters up to a length that the patterns cannot tell apart.
        #[test]
        fn agrees_with_enumeration(
            positive in prop::collection::vec(prop::collection::vec("[ab*?]{0,4}", 1..3), 1..3),
            negative in prop::collection::vec(prop::collection::vec("[aB*?]{0,4}", 1..3), 0..3),
            fold in any::<bool>(),
        ) {
            let found = find(&positive, &negative, fold);
            let accepts = |text: &str| {
                let text = letters(text);
                positive.iter().all(|patterns| union(patterns, fold).matches(&text))
                    && !negative.iter().any(|patterns| union(patterns, false).matches(&text))
            };
            match found {
                Some(text) => prop_assert!(accepts(&text), "{text}"),
                None => {
                    let mut texts: HashSet<String> = HashSet::from([String::new()]);
                    for _ in 0..5 {
                        for text in &texts {
                            prop_assert!(!accepts(text), "{text}");
                        }
                        texts = texts.iter().flat_map(|text| "aAbBx".chars().map(move |next| format!("{text}{next}"))).collect();
                    }
                }
            }
        }
    }
}
