//! Which statements of a policy can be about a request: built when the policy is compiled, so that a decision touches
//! nothing else.
//!
//! Three forms, by size. A handful of statements is looked at one by one. Up to 64, every distinct action pattern
//! has a mask of the statements that it stands in, so one look-up gives the candidates as a number. Beyond that, a
//! statement is found by the text its resources begin with, or by its actions, whichever is rarer in the policy.

mod radix;
mod tree;

pub(crate) use self::tree::Tree;
use crate::action::{Action, ActionForm, ActionPattern, Beginning, Fit};
use crate::context::same_name;
use crate::policy::Statement;
use radix::Radix;

/// Up to this many statements are looked at one by one.
const FEW: usize = 2;
/// From more candidates than this on, resources are asked too.
const RESOURCES_FROM: u32 = 3;
/// Up to this many have a bit in a mask.
const MASKED: usize = 64;

#[derive(Clone, Debug)]
pub(crate) enum Index {
    /// Every statement is a candidate.
    None,
    Masks(Box<Masks>),
    Tree(Box<Tree>),
}

impl Index {
    pub(crate) fn new(statements: &[Statement]) -> Self {
        if statements.len() <= FEW {
            Self::None
        } else if statements.len() <= MASKED {
            Self::Masks(Box::new(Masks::new(statements)))
        } else {
            Self::Tree(Box::new(Tree::new(statements)))
        }
    }
}

/// Statements by action, exactly: a bit is set if and only if the statement's `Action` or `NotAction` is about the
/// action. Of more than a few, those are left out then whose resources begin otherwise than the request's.
#[derive(Clone, Debug)]
pub(crate) struct Masks {
    /// The statements with `Deny`.
    pub(crate) denials: u64,
    /// The statements with `NotAction`.
    negated: u64,
    /// The statements that name `*`.
    any: u64,
    /// A bit for the hash of every exact action, so that most other actions need no look.
    hashes: u64,
    /// By hash.
    exact: Box<[Exact]>,
    /// What all patterns with wildcards begin with: often the name of one service.
    common: Beginning,
    wild: Box<[Wild]>,
    resources: Option<ByResource>,
}

#[derive(Clone, Debug)]
struct ByResource {
    radix: Radix,
    /// The statements that may be about any resource.
    others: u64,
}

#[derive(Clone, Debug)]
struct Exact {
    hash: u32,
    place: Place,
    mask: u64,
}

#[derive(Clone, Debug)]
struct Wild {
    beginning: Beginning,
    place: Place,
    mask: u64,
}

/// Where the pattern stands first.
#[derive(Clone, Copy, Debug)]
struct Place {
    statement: u32,
    pattern: u32,
}

impl Masks {
    fn new(statements: &[Statement]) -> Self {
        let (mut denials, mut negated, mut any, mut hashes) = (0_u64, 0_u64, 0_u64, 0_u64);
        let (mut exact, mut wild): (Vec<Exact>, Vec<Wild>) = (Vec::new(), Vec::new());
        for (number, statement) in (0_u32..).zip(statements) {
            let bit = 1_u64.checked_shl(number).unwrap_or_default();
            if statement.denies() {
                denials |= bit;
            }
            if statement.actions.negated {
                negated |= bit;
            }
            for (entry, pattern) in (0_u32..).zip(&statement.actions.patterns) {
                let place = Place {
                    statement: number,
                    pattern: entry,
                };
                match &pattern.form {
                    ActionForm::Any => any |= bit,
                    ActionForm::Exact => {
                        hashes |= hash_bit(pattern.hash);
                        exact.push(Exact {
                            hash: pattern.hash,
                            place,
                            mask: bit,
                        });
                    }
                    ActionForm::Wild(form) => wild.push(Wild {
                        beginning: form.beginning,
                        place,
                        mask: bit,
                    }),
                }
            }
        }
        let text = |place: &Place| {
            let pattern = pattern_at(statements, *place);
            pattern.map_or(&[][..], |pattern| pattern.text.as_bytes())
        };
        // The sort is stable, so of equal patterns the first stands for all.
        exact.sort_by_key(|entry| entry.hash);
        exact.dedup_by(|next, first| {
            let same = next.hash == first.hash && same_name(text(&next.place), text(&first.place));
            if same {
                first.mask |= next.mask;
            }
            same
        });
        wild.sort_by(|one, other| text(&one.place).cmp(text(&other.place)));
        wild.dedup_by(|next, first| {
            let same = text(&next.place) == text(&first.place);
            if same {
                first.mask |= next.mask;
            }
            same
        });
        Self {
            denials,
            negated,
            any,
            hashes,
            exact: exact.into(),
            common: Beginning::common(wild.iter().map(|entry| entry.beginning)),
            wild: wild.into(),
            resources: ByResource::new(statements),
        }
    }

    /// The statements that can be about a request, the first in the lowest bit: about the action they are.
    pub(crate) fn candidates(&self, statements: &[Statement], action: &Action<'_>, resource: &str) -> u64 {
        let about = self.about(statements, action);
        match &self.resources {
            Some(resources) if about.count_ones() > RESOURCES_FROM => about & resources.candidates(resource),
            _ => about,
        }
    }

    /// The statements whose `Action` or `NotAction` is about `action`, the first in the lowest bit.
    #[inline]
    fn about(&self, statements: &[Statement], action: &Action<'_>) -> u64 {
        let mut named = self.any;
        if self.hashes & hash_bit(action.hash) != 0 {
            let first = self.exact.partition_point(|entry| entry.hash < action.hash);
            for entry in self.exact.get(first..).unwrap_or_default() {
                if entry.hash != action.hash {
                    break;
                }
                if matches(statements, entry.place, action) {
                    named |= entry.mask;
                }
            }
        }
        if self.common.fits(action) == Fit::No {
            return named ^ self.negated;
        }
        for entry in &self.wild {
            let matches = match entry.beginning.fits(action) {
                Fit::No => false,
                Fit::Yes => true,
                Fit::Perhaps => entry.mask & !named != 0 && matches(statements, entry.place, action),
            };
            if matches {
                named |= entry.mask;
            }
        }
        named ^ self.negated
    }
}

impl ByResource {
    fn new(statements: &[Statement]) -> Option<Self> {
        let (mut entries, mut others) = (Vec::new(), 0_u64);
        for (number, statement) in (0_u32..).zip(statements) {
            match tree::beginnings(statement) {
                Some(texts) => entries.extend(texts.into_iter().map(|text| (text, number))),
                None => others |= 1_u64.checked_shl(number).unwrap_or_default(),
            }
        }
        let found = statements.len().saturating_sub(others.count_ones() as usize);
        (found > RESOURCES_FROM as usize).then(|| Self {
            radix: Radix::new(entries),
            others,
        })
    }

    #[inline]
    fn candidates(&self, resource: &str) -> u64 {
        let mut candidates = self.others;
        self.radix.walk(resource, |numbers| {
            for number in numbers {
                candidates |= 1_u64.checked_shl(*number).unwrap_or_default();
            }
        });
        candidates
    }
}

fn hash_bit(hash: u32) -> u64 {
    1_u64.checked_shl(hash >> 26).unwrap_or_default()
}

fn pattern_at(statements: &[Statement], place: Place) -> Option<&ActionPattern> {
    let statement = statements.get(place.statement as usize)?;
    statement.actions.patterns.get(place.pattern as usize)
}

#[inline]
fn matches(statements: &[Statement], place: Place, action: &Action<'_>) -> bool {
    pattern_at(statements, place).is_some_and(|pattern| pattern.matches(action))
}

#[cfg(test)]
mod tests;
