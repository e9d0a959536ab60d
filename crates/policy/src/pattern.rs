//! Patterns: wildcards and policy variables compiled once, matched without backtracking and without allocation.
//!
//! Text that a variable brings is literal always: a tag value `*` is an asterisk, never a wildcard.

use crate::context::{Context, Key, Values, same};
use crate::profile::Profile;

/// A compiled pattern. Most are one of the simple forms.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// Matches every text.
    Any,
    Exact(Box<str>),
    Prefix(Box<str>),
    /// Text with `*` between: what stands before the first, between two, and after the last.
    Pieces(Box<[Box<str>]>),
    Tokens {
        tokens: Box<[Token]>,
        variables: usize,
    },
    /// Matches nothing: a broken variable, or one where none may stand.
    Never,
}

/// A part of a pattern.
#[derive(Clone, Debug)]
pub enum Token {
    /// This text.
    Literal(Box<str>),
    /// `?`: one character.
    One,
    /// `?` in one of an ARN's first five fields: one character, but no colon.
    OneInField,
    /// `*`: any run of characters.
    Run,
    /// `*` inside one of an ARN's first five fields: any run without a colon.
    RunInField,
    /// `${key}`: the value of a condition key.
    Variable(Variable),
}

/// A policy variable: `${key}` or `${key, 'default'}`.
#[derive(Clone, Debug)]
pub struct Variable {
    pub(crate) key: Key,
    default: Option<Box<str>>,
    /// Whether an empty value stands, although there is a default.
    keeps_empty: bool,
    /// Its number among the pattern's variables.
    slot: usize,
}

impl Variable {
    /// The condition key whose value stands in its place, literally.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key.text
    }

    /// What stands in its place if the request has no value.
    #[must_use]
    pub fn default(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// The text it stands for; `None` if the request has no single value and the policy no default.
    ///
    /// An empty value with a default given counts as no value (a profile may say otherwise); so does a multivalued key.
    fn resolve<'c>(&'c self, context: &'c Context) -> Option<&'c str> {
        match (context.find(&self.key), &self.default) {
            (Values::Single(""), Some(default)) if !self.keeps_empty => Some(default),
            (Values::Single(value), _) => Some(value),
            (Values::Absent | Values::List(_), default) => default.as_deref(),
        }
    }
}

/// Which signs mean something in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Syntax {
    pub(crate) wildcards: bool,
    pub(crate) variables: bool,
    /// Whether an empty value stands in place of a variable that has a default.
    pub(crate) keeps_empty: bool,
}

impl Syntax {
    /// Wildcards only, as in actions.
    pub(crate) const WILDCARDS: Self = Self::new(true, false, &Profile::AWS);

    pub(crate) const fn new(wildcards: bool, variables: bool, profile: &Profile) -> Self {
        Self {
            wildcards,
            variables,
            keeps_empty: !profile.defaults_replace_empty_values,
        }
    }
}

/// A text split into tokens; `None` if a variable in it is broken.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>.
pub(crate) fn tokenize(text: &str, syntax: Syntax) -> Option<Vec<Token>> {
    let mut tokens = Vec::with_capacity(4);
    let mut literal = String::with_capacity(text.len());
    let mut slot = 0_usize;
    let mut rest = text;
    while let Some(at) = rest.find(['*', '?', '$']) {
        let (before, from_sign) = rest.split_at_checked(at)?;
        literal.push_str(before);
        let after = from_sign.get(1..)?;
        match from_sign.as_bytes().first()? {
            b'$' if syntax.variables && after.starts_with('{') => {
                let (piece, left) = variable(after.get(1..)?, slot, syntax.keeps_empty)?;
                match piece {
                    Piece::Literal(sign) => literal.push(sign),
                    Piece::Variable(variable) => {
                        flush(&mut literal, &mut tokens);
                        tokens.push(Token::Variable(variable));
                        slot = slot.saturating_add(1);
                    }
                }
                rest = left;
                continue;
            }
            b'*' if syntax.wildcards => {
                flush(&mut literal, &mut tokens);
                tokens.push(Token::Run);
            }
            b'?' if syntax.wildcards => {
                flush(&mut literal, &mut tokens);
                tokens.push(Token::One);
            }
            sign => literal.push(char::from(*sign)),
        }
        rest = after;
    }
    literal.push_str(rest);
    flush(&mut literal, &mut tokens);
    Some(tokens)
}

enum Piece {
    Literal(char),
    Variable(Variable),
}

/// What follows `${`, and the text after the closing brace.
fn variable(body: &str, slot: usize, keeps_empty: bool) -> Option<(Piece, &str)> {
    for sign in ['*', '?', '$'] {
        if let Some(left) = body.strip_prefix(sign).and_then(|rest| rest.strip_prefix('}')) {
            return Some((Piece::Literal(sign), left));
        }
    }
    let end = body.find([',', '}'])?;
    let name = body.get(..end)?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '$' | '*' | '?' | '\'')) {
        return None;
    }
    let rest = body.get(end..)?;
    let (default, left) = match rest.strip_prefix('}') {
        Some(left) => (None, left),
        None => {
            // The quoted text is read before the brace is looked for: a default may hold one.
            let quoted = rest.strip_prefix(',')?.trim_start_matches(' ').strip_prefix('\'')?;
            let (default, left) = quoted.split_once('\'')?;
            (Some(default), left.trim_start_matches(' ').strip_prefix('}')?)
        }
    };
    let variable = Variable {
        key: Key::new(name),
        default: default.map(Into::into),
        keeps_empty,
        slot,
    };
    Some((Piece::Variable(variable), left))
}

fn flush(literal: &mut String, tokens: &mut Vec<Token>) {
    if !literal.is_empty() {
        tokens.push(Token::Literal(literal.as_str().into()));
        literal.clear();
    }
}

impl Pattern {
    /// Compiles `text`.
    pub(crate) fn new(text: &str, syntax: Syntax) -> Self {
        // What most texts are is seen at once.
        match text.find(['*', '?', '$']) {
            None => Self::Exact(text.into()),
            Some(0) if text == "*" && syntax.wildcards => Self::Any,
            Some(at) if at.saturating_add(1) == text.len() && syntax.wildcards && text.ends_with('*') => {
                Self::Prefix(text.get(..at).unwrap_or_default().into())
            }
            Some(_) => tokenize(text, syntax).map_or(Self::Never, Self::of),
        }
    }

    /// Picks the simplest form for the tokens.
    pub(crate) fn of(mut tokens: Vec<Token>) -> Self {
        // A run beside a run adds nothing, and the wider one wins.
        tokens.dedup_by(|next, previous| match (previous, &*next) {
            (Token::Run, Token::Run | Token::RunInField) | (Token::RunInField, Token::RunInField) => true,
            (previous @ Token::RunInField, Token::Run) => {
                *previous = Token::Run;
                true
            }
            _ => false,
        });
        let is_plain = tokens
            .iter()
            .all(|token| matches!(token, Token::Literal(_) | Token::Run));
        match tokens.as_mut_slice() {
            [] => Self::Exact("".into()),
            [Token::Run] => Self::Any,
            [Token::Literal(text)] => Self::Exact(std::mem::take(text)),
            [Token::Literal(text), Token::Run] => Self::Prefix(std::mem::take(text)),
            _ if is_plain => {
                let mut pieces: Vec<Box<str>> = vec!["".into()];
                for token in tokens {
                    match (token, pieces.last_mut()) {
                        (Token::Literal(text), Some(last)) => *last = format!("{last}{text}").into(),
                        _ => pieces.push("".into()),
                    }
                }
                Self::Pieces(pieces.into())
            }
            _ => Self::of_tokens(tokens),
        }
    }

    /// Leaves the tokens as they are.
    pub(crate) fn of_tokens(mut tokens: Vec<Token>) -> Self {
        let mut variables = 0_usize;
        for token in &mut tokens {
            if let Token::Variable(variable) = token {
                variable.slot = variables;
                variables = variables.saturating_add(1);
            }
        }
        Self::Tokens {
            tokens: tokens.into_boxed_slice(),
            variables,
        }
    }

    /// The literal text that it begins with.
    pub(crate) fn beginning(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text,
            Self::Pieces(pieces) => pieces.first().map_or("", |piece| piece),
            Self::Tokens { tokens, .. } => match tokens.first() {
                Some(Token::Literal(text)) => text,
                _ => "",
            },
            Self::Any | Self::Never => "",
        }
    }

    /// Whether the whole of `text` matches, case-sensitively.
    #[inline]
    pub(crate) fn matches(&self, text: &str, context: &Context) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => same(exact.as_bytes(), text.as_bytes()),
            Self::Prefix(prefix) => starts_with::<false>(text.as_bytes(), prefix),
            Self::Pieces(pieces) => in_order::<false>(pieces, text.as_bytes()),
            Self::Tokens { tokens, variables } => scan::<false>(tokens, *variables, text, context),
            Self::Never => false,
        }
    }

    /// As [`matches`](Self::matches), but ASCII letters match in either case.
    pub(crate) fn matches_ignoring_case(&self, text: &str, context: &Context) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact.eq_ignore_ascii_case(text),
            Self::Prefix(prefix) => starts_with::<true>(text.as_bytes(), prefix),
            Self::Pieces(pieces) => in_order::<true>(pieces, text.as_bytes()),
            Self::Tokens { tokens, variables } => scan::<true>(tokens, *variables, text, context),
            Self::Never => false,
        }
    }

    /// As [`matches_ignoring_case`](Self::matches_ignoring_case), for all letters that have a lower case. Of the tokens,
    /// literals and variables only: the one operator that ignores case knows no wildcards.
    pub(crate) fn matches_folded(&self, text: &str, context: &Context) -> bool {
        let folded = |text| str::chars(text).flat_map(char::to_lowercase);
        match self {
            Self::Exact(exact) => folded(exact).eq(folded(text)),
            Self::Tokens { tokens, .. } => {
                let mut pieces = Vec::with_capacity(tokens.len());
                for token in tokens {
                    match token {
                        Token::Literal(literal) => pieces.push(&**literal),
                        Token::Variable(variable) => match variable.resolve(context) {
                            Some(value) => pieces.push(value),
                            None => return false,
                        },
                        Token::One | Token::OneInField | Token::Run | Token::RunInField => return false,
                    }
                }
                pieces.into_iter().flat_map(folded).eq(folded(text))
            }
            Self::Any | Self::Prefix(_) | Self::Pieces(_) | Self::Never => false,
        }
    }

    /// Whether an ARN matches, each of its six fields for itself, the fields being those of the pattern with its variables
    /// replaced.
    pub(crate) fn matches_fields(&self, arn: &str, context: &Context) -> bool {
        let Self::Tokens { tokens, variables } = self else {
            return false;
        };
        with_values(tokens, *variables, context, |values| {
            sixth_field(tokens, values).is_some_and(|sixth| glob::<false>(tokens, values, arn, (0, 0), sixth))
        })
    }

    /// The pattern as text with the request's values in it, for people; `None` if it holds no variable.
    pub(crate) fn resolved(&self, context: &Context) -> Option<String> {
        let Self::Tokens { tokens, variables: 1.. } = self else {
            return None;
        };
        let mut text = String::new();
        for token in tokens {
            match token {
                Token::Literal(literal) => text.push_str(literal),
                Token::One | Token::OneInField => text.push('?'),
                Token::Run | Token::RunInField => text.push('*'),
                Token::Variable(variable) => match variable.resolve(context) {
                    Some(value) => text.push_str(value),
                    None => {
                        text.push_str("<no value for ");
                        text.push_str(&variable.key.text);
                        text.push('>');
                    }
                },
            }
        }
        Some(text)
    }
}

/// Whether a text begins with the first piece, ends with the last, and has the others between them in their order. The
/// leftmost place of each is as good as any other.
#[inline(never)]
fn in_order<const FOLD: bool>(pieces: &[Box<str>], text: &[u8]) -> bool {
    let [first, middle @ .., last] = pieces else {
        return false;
    };
    if text.len() < first.len().saturating_add(last.len())
        || !starts_with::<FOLD>(text, first)
        || !ends_with::<FOLD>(text, last)
    {
        return false;
    }
    let end = text.len().saturating_sub(last.len());
    let mut rest = text.get(first.len()..end).unwrap_or_default();
    for piece in middle {
        let Some(at) = find::<FOLD>(rest, piece) else {
            return false;
        };
        rest = rest.get(at.saturating_add(piece.len())..).unwrap_or_default();
    }
    true
}

/// How many variables are resolved without a heap.
const FEW: usize = 4;

#[inline(never)]
fn scan<const FOLD: bool>(tokens: &[Token], variables: usize, text: &str, context: &Context) -> bool {
    // Most patterns begin with literal text, and most texts do not begin with it.
    let start = match tokens.first() {
        Some(Token::Literal(prefix)) if starts_with::<FOLD>(text.as_bytes(), prefix) => (1, prefix.len()),
        Some(Token::Literal(_)) => return false,
        _ => (0, 0),
    };
    if variables == 0 {
        return glob::<FOLD>(tokens, &[], text, start, 0);
    }
    with_values(tokens, variables, context, |values| {
        glob::<FOLD>(tokens, values, text, start, 0)
    })
}

/// Asks `matches` with the values of the variables by their slots; false if one has none.
fn with_values(tokens: &[Token], variables: usize, context: &Context, matches: impl FnOnce(&[&str]) -> bool) -> bool {
    let mut few = [""; FEW];
    let mut many = Vec::new();
    let values: &mut [&str] = if variables <= FEW {
        &mut few
    } else {
        many.resize(variables, "");
        &mut many
    };
    for token in tokens {
        if let Token::Variable(variable) = token {
            let (Some(slot), Some(value)) = (values.get_mut(variable.slot), variable.resolve(context)) else {
                return false;
            };
            *slot = value;
        }
    }
    matches(values)
}

/// The number of the first token after the fifth colon; `None` if there are fewer colons.
pub(crate) fn sixth_field(tokens: &[Token], values: &[&str]) -> Option<usize> {
    let mut colons = 0_usize;
    for (number, token) in (1..).zip(tokens) {
        let text = match token {
            Token::Literal(text) => text,
            Token::Variable(variable) => values.get(variable.slot).copied().unwrap_or_default(),
            Token::One | Token::OneInField | Token::Run | Token::RunInField => "",
        };
        colons = colons.saturating_add(text.bytes().filter(|byte| *byte == b':').count());
        if colons >= 5 {
            return Some(number);
        }
    }
    None
}

/// Matches with two places to come back to and no stack: the last `*`, and the last `*` confined to its ARN field
/// after it.
///
/// The leftmost match up to a `*` is as good as any later one, because the `*` takes up the difference; so an earlier
/// `*` is never tried again. A confined one is always followed by its field's colon or stands before a `*` that is, so
/// the same holds within a field. Time is bounded by (length of text) × (length of pattern).
///
/// It begins with the token and the byte of `start`. Wildcards of tokens before number `free` are confined, as they are
/// written or not.
fn glob<const FOLD: bool>(tokens: &[Token], values: &[&str], text: &str, start: (usize, usize), free: usize) -> bool {
    let bytes = text.as_bytes();
    let (mut index, mut at) = start;
    // What follows the `*`, and where that was last tried.
    let mut run: Option<(usize, usize)> = None;
    let mut field: Option<(usize, usize)> = None;
    loop {
        let taken = match tokens.get(index) {
            None if at == bytes.len() => return true,
            None => None,
            Some(Token::Run) if index >= free => {
                index = index.saturating_add(1);
                let rest = bytes.get(at..).unwrap_or_default();
                match tokens.get(index..).unwrap_or_default() {
                    [] => return true,
                    [Token::Literal(last)] => return ends_with::<FOLD>(rest, last),
                    [Token::Literal(next), ..] => match find::<FOLD>(rest, next) {
                        Some(skip) => at = at.saturating_add(skip),
                        None => return false,
                    },
                    _ => {}
                }
                run = Some((index, at));
                field = None;
                continue;
            }
            Some(Token::Run | Token::RunInField) => {
                index = index.saturating_add(1);
                field = Some((index, at));
                // Of a `*` that ends its field, there is one end only.
                match tokens.get(index) {
                    Some(Token::Literal(next)) if next.starts_with(':') => {
                        field = None;
                        let rest = bytes.get(at..).unwrap_or_default();
                        match rest.iter().position(|byte| *byte == b':') {
                            Some(skip) => at = at.saturating_add(skip),
                            None => at = bytes.len(),
                        }
                    }
                    _ => {}
                }
                continue;
            }
            Some(Token::One) if index >= free => one(bytes, at, false),
            Some(Token::One | Token::OneInField) => one(bytes, at, true),
            Some(Token::Literal(literal)) => literal_at::<FOLD>(bytes, at, literal),
            Some(Token::Variable(variable)) => {
                literal_at::<FOLD>(bytes, at, values.get(variable.slot).copied().unwrap_or_default())
            }
        };
        if let Some(length) = taken {
            at = at.saturating_add(length);
            index = index.saturating_add(1);
            continue;
        }
        if let Some((after, from)) = field {
            if bytes.get(from).is_some_and(|byte| *byte != b':') {
                (index, at) = (after, from.saturating_add(1));
                field = Some((index, at));
                continue;
            }
            field = None;
        }
        let Some((after, from)) = run else {
            return false;
        };
        let from = from.saturating_add(1);
        let Some(rest) = bytes.get(from..) else {
            return false;
        };
        // Go straight to the next place of the literal after the `*`.
        let skip = match tokens.get(after) {
            Some(Token::Literal(literal)) => match find::<FOLD>(rest, literal) {
                Some(skip) => skip,
                None => return false,
            },
            _ => 0,
        };
        (index, at) = (after, from.saturating_add(skip));
        run = Some((index, at));
    }
}

/// Where a literal, which is never empty, stands first.
fn find<const FOLD: bool>(bytes: &[u8], literal: &str) -> Option<usize> {
    let mut from = 0_usize;
    loop {
        let rest = bytes.get(from..)?;
        let at = match literal.as_bytes() {
            [first, ..] if FOLD => rest.iter().position(|byte| byte.eq_ignore_ascii_case(first)),
            [first, second, ..] => position(rest, *first, *second),
            [first] => rest.iter().position(|byte| byte == first),
            [] => Some(0),
        }?;
        if starts_with::<FOLD>(rest.get(at..)?, literal) {
            return Some(from.saturating_add(at));
        }
        from = from.saturating_add(at).saturating_add(1);
    }
}

/// Where two bytes stand side by side, or a place before, looking at eight places at once.
fn position(bytes: &[u8], first: u8, second: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The high bit of every byte that is zero, and of some that follow one.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (firsts, seconds) = (
        u64::from(first).wrapping_mul(ONES),
        u64::from(second).wrapping_mul(ONES),
    );
    let Some(last) = bytes.len().checked_sub(9) else {
        return bytes.windows(2).position(|pair| pair == [first, second]);
    };
    let mut at = 0_usize;
    loop {
        let [head @ .., _] = bytes.get(at..)?.first_chunk::<9>()?;
        let [_, tail @ ..] = bytes.get(at..)?.first_chunk::<9>()?;
        let found = zeros(u64::from_le_bytes(*head) ^ firsts) & zeros(u64::from_le_bytes(*tail) ^ seconds);
        if found != 0 {
            return Some(at.saturating_add(found.trailing_zeros() as usize / 8));
        }
        if at == last {
            return None;
        }
        // The last look overlaps the one before.
        at = at.saturating_add(8).min(last);
    }
}

fn ends_with<const FOLD: bool>(bytes: &[u8], literal: &str) -> bool {
    let start = bytes.len().checked_sub(literal.len());
    start.is_some_and(|start| starts_with::<FOLD>(bytes.get(start..).unwrap_or_default(), literal))
}

/// The length of the character at `at`; `None` inside a character, at the end, and at a colon if that is barred.
fn one(bytes: &[u8], at: usize, bar_colon: bool) -> Option<usize> {
    match *bytes.get(at)? {
        b':' if bar_colon => None,
        0..=0x7f => Some(1),
        0x80..=0xbf => None,
        0xc0..=0xdf => Some(2),
        0xe0..=0xef => Some(3),
        0xf0.. => Some(4),
    }
}

fn literal_at<const FOLD: bool>(bytes: &[u8], at: usize, literal: &str) -> Option<usize> {
    starts_with::<FOLD>(bytes.get(at..)?, literal).then_some(literal.len())
}

#[inline]
pub(crate) fn starts_with<const FOLD: bool>(bytes: &[u8], literal: &str) -> bool {
    if FOLD {
        bytes
            .get(..literal.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(literal.as_bytes()))
    } else {
        bytes
            .get(..literal.len())
            .is_some_and(|head| same(head, literal.as_bytes()))
    }
}

#[cfg(test)]
mod tests;
