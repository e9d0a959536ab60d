//! A text that some sets of patterns match and others do not, whatever unknown variables stand in them.

use crate::atom::TextTest;
use crate::language::{Budget, Exhausted, Part, Role, search};
use crate::pattern::Union;
use crate::tape::Text;

/// The shortest text that matches these tests and not those. With unknown variables, what is found is what there would
/// be if they matched nothing by chance; that nothing is found is certain.
///
/// A text that a pattern with an unknown variable matches has the variable's value in a known place, which becomes a
/// symbol. What of the other patterns must match is then taken for more than it is, and what must not for less: so a
/// true answer is never lost. Which pattern it is must be tried.
pub(crate) fn find_text(
    tests: &[(&TextTest, bool)],
    without: &[&Union],
    budget: &mut Budget,
) -> Result<Option<Text>, Exhausted> {
    let positive: Vec<&TextTest> = tests
        .iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(test, _)| *test)
        .collect();
    let refused: Vec<&TextTest> = tests
        .iter()
        .filter(|(_, wanted)| !*wanted)
        .map(|(test, _)| *test)
        .collect();
    let negative: Vec<&Union> = refused
        .iter()
        .map(|test| test.certain())
        .chain(without.iter().copied())
        .collect();
    let mut ask = |kept: Option<(usize, &Union)>| {
        let mut parts: Vec<Part<'_>> = Vec::with_capacity(tests.len());
        for (number, test) in positive.iter().enumerate() {
            parts.push(match kept {
                Some((at, union)) if at == number => Part {
                    union,
                    role: Role::Kept,
                },
                Some((at, _)) if at < number => Part {
                    union: test.possible(),
                    role: Role::Positive,
                },
                _ => Part {
                    union: &test.plain,
                    role: Role::Positive,
                },
            });
        }
        parts.extend(negative.iter().map(|union| Part {
            union,
            role: Role::Negative,
        }));
        divided(&parts, budget)
    };
    for (number, test) in positive.iter().enumerate() {
        for (pattern, symbolic) in test.symbolic.iter().enumerate() {
            // What is to match a pattern and not to match it is nothing, however little is known of it.
            if refused.iter().any(|other| test.shares(pattern, other)) {
                continue;
            }
            if let Some(text) = ask(Some((number, symbolic)))? {
                return Ok(Some(text));
            }
        }
    }
    ask(None)
}

/// Searches for all patterns at once, and where that is too much for a pattern at a time: most lie within one that is
/// ruled out, which is quickly seen.
fn divided(parts: &[Part<'_>], budget: &mut Budget) -> Result<Option<Text>, Exhausted> {
    const QUICK: u64 = 20_000;
    let limited = |parts: &[Part<'_>], most: u64, budget: &mut Budget| {
        let mut slice = Budget::new(most.min(budget.left()));
        let before = slice.left();
        let found = search(parts, &mut slice);
        let spent = before.saturating_sub(slice.left());
        budget.spend(usize::try_from(spent).unwrap_or(usize::MAX))?;
        Ok::<_, Exhausted>(found.ok())
    };
    let first = (budget.left() / 8).max(QUICK);
    if let Some(found) = limited(parts, first, budget)? {
        return Ok(found);
    }
    let widest = parts
        .iter()
        .enumerate()
        .filter(|(_, part)| part.role == Role::Positive && part.union.starts.len() > 1)
        .max_by_key(|(_, part)| part.union.starts.len());
    let Some((number, widest)) = widest else {
        return search(parts, budget);
    };
    let refused: Vec<Union> = parts
        .iter()
        .filter(|part| part.role == Role::Negative)
        .flat_map(|part| part.union.singles())
        .collect();
    'patterns: for pattern in widest.union.singles() {
        let wanted = Part {
            union: &pattern,
            role: Role::Positive,
        };
        for union in &refused {
            let pair = [
                wanted,
                Part {
                    union,
                    role: Role::Negative,
                },
            ];
            if matches!(limited(&pair, QUICK, budget)?, Some(None)) {
                continue 'patterns;
            }
        }
        let mut parts = parts.to_vec();
        if let Some(part) = parts.get_mut(number) {
            *part = wanted;
        }
        if let Some(text) = search(&parts, budget)? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}
