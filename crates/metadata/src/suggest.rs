//! Names that are near a misspelt one.

/// At most this many suggestions.
const MOST: usize = 3;

/// No name of the table is longer, and a longer text is no slip of the pen.
const LONGEST: usize = 256;

/// How many slips are forgiven: two, in short names fewer.
fn tolerance(length: usize) -> usize {
    match length {
        0 | 1 => 0,
        2..=4 => 1,
        _ => 2,
    }
}

/// The candidates nearest to a text, nearest first, then by name.
pub(crate) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let most = tolerance(text.len());
    if most == 0 || text.len() > LONGEST {
        return Vec::new();
    }
    let lower: Vec<u8> = text.bytes().map(|byte| byte.to_ascii_lowercase()).collect();
    let mut found: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(text.len()) <= most)
        .filter_map(|candidate| Some((distance(&lower, candidate, most)?, candidate)))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(MOST).map(|(_, candidate)| candidate).collect()
}

/// Insertions, deletions, changes and swaps of neighbours between two texts, ASCII letters whatever the case (`text`
/// is lower-cased); `None` if there are more than `most`.
fn distance(text: &[u8], candidate: &str, most: usize) -> Option<usize> {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=text.len()).collect();
    let mut last = None;
    for byte in candidate.bytes().map(|byte| byte.to_ascii_lowercase()) {
        let mut next = Vec::with_capacity(row.len());
        let mut left = row.first().copied().unwrap_or_default().saturating_add(1);
        next.push(left);
        let mut previous = None;
        let swaps = [usize::MAX].into_iter().chain(before.iter().copied());
        for ((sign, corner), swap) in text
            .iter()
            .zip(row.windows(2))
            .zip(swaps.chain(std::iter::repeat(usize::MAX)))
        {
            let [diagonal, up] = corner else { continue };
            let mut cost = diagonal.saturating_add(usize::from(*sign != byte));
            cost = cost.min(up.saturating_add(1)).min(left.saturating_add(1));
            if previous == Some(byte) && last == Some(*sign) {
                cost = cost.min(swap.saturating_add(1));
            }
            next.push(cost);
            left = cost;
            previous = Some(*sign);
        }
        if next.iter().min().is_none_or(|least| *least > most) {
            return None;
        }
        before = std::mem::replace(&mut row, next);
        last = Some(byte);
    }
    row.last().copied().filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let names = ["GetObject", "GetObjectAcl", "PutObject", "ListBucket"];
        assert_eq!(nearest("getobjekt", names), ["GetObject"]);
        assert_eq!(nearest("GteObject", names), ["GetObject"]);
        assert_eq!(nearest("GetObjec", names), ["GetObject"]);
        assert_eq!(nearest("GutObject", names), ["GetObject", "PutObject"]);
        assert!(nearest("Frobnicate", names).is_empty());
        assert!(nearest("", names).is_empty());
        assert!(nearest(&"a".repeat(100_000), names).is_empty());
        assert_eq!(nearest("s4", ["s3", "es", "ec2"]), ["s3"]);
    }

    /// The textbook's recursion.
    fn naive(a: &[u8], b: &[u8]) -> usize {
        let (Some((last_a, rest_a)), Some((last_b, rest_b))) = (a.split_last(), b.split_last()) else {
            return a.len().max(b.len());
        };
        let mut least = naive(rest_a, rest_b) + usize::from(last_a != last_b);
        least = least.min(naive(rest_a, b) + 1).min(naive(a, rest_b) + 1);
        if let ([.., a2, _], [.., b2, _]) = (a, b)
            && a2 == last_b
            && last_a == b2
        {
            least = least.min(naive(&a[..a.len() - 2], &b[..b.len() - 2]) + 1);
        }
        least
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(a in "[abc]{0,6}", b in "[abc]{0,6}") {
            let exact = naive(a.as_bytes(), b.as_bytes());
            prop_assert_eq!(distance(a.as_bytes(), &b, 2), Some(exact).filter(|distance| *distance <= 2));
        }
    }
}
