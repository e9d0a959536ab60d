//! Wildcards, by the table of all pairs of a pattern's beginning and a text's beginning.

/// One step of a pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// This character.
    Char(char),
    /// Any one character.
    One,
    /// Any characters, also none.
    Any,
    /// Any one character but a colon.
    OneInField,
    /// Any characters but colons, also none.
    AnyInField,
}

/// Whether a pattern matches a text from its beginning to its end.
///
/// In the table, `row[j]` says whether the tokens so far match the first `j` characters.
pub(super) fn matches(pattern: &[Token], text: &[char]) -> bool {
    let mut row = vec![false; text.len() + 1];
    let mut next = row.clone();
    row[0] = true;
    for token in pattern {
        for j in 0..=text.len() {
            next[j] = match token {
                Token::Char(c) => j > 0 && row[j - 1] && text[j - 1] == *c,
                Token::One => j > 0 && row[j - 1],
                Token::OneInField => j > 0 && row[j - 1] && text[j - 1] != ':',
                Token::Any => row[j] || (j > 0 && next[j - 1]),
                Token::AnyInField => row[j] || (j > 0 && next[j - 1] && text[j - 1] != ':'),
            };
        }
        std::mem::swap(&mut row, &mut next);
    }
    row[text.len()]
}

/// A pattern of plain wildcards.
pub(super) fn plain(pattern: &str) -> Vec<Token> {
    pattern
        .chars()
        .map(|c| match c {
            '*' => Token::Any,
            '?' => Token::One,
            c => Token::Char(c),
        })
        .collect()
}

pub(super) fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}
