//! A small strict JSON reader (RFC 8259) that a policy needs and a general one does not give: it knows where every
//! node stands, keeps the source text of numbers, and refuses a repeated member instead of keeping the last.

use std::borrow::Cow;
use std::collections::HashSet;

/// Nesting that no policy reaches (a condition value stands at depth 7).
const MAX_DEPTH: u32 = 32;
/// From this many members on, repeats are looked up in a set: comparing all pairs would be quadratic.
const SET_FROM: usize = 16;

/// A value and the bytes it stands in.
#[derive(Clone, Debug)]
pub struct Node<'t> {
    /// The byte where it begins.
    pub start: usize,
    /// The byte after its end.
    pub end: usize,
    /// The value.
    pub value: Value<'t>,
}

/// A JSON value.
#[derive(Clone, Debug)]
pub enum Value<'t> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// The number as it was written.
    Number(&'t str),
    /// A string, its escapes resolved.
    Text(Cow<'t, str>),
    /// An array.
    Array(Vec<Node<'t>>),
    /// An object; no name stands in it twice.
    Object(Vec<Member<'t>>),
}

/// A member of an object.
#[derive(Clone, Debug)]
pub struct Member<'t> {
    /// The byte where its name begins.
    pub start: usize,
    /// The byte after its name.
    pub name_end: usize,
    /// Its name.
    pub name: Cow<'t, str>,
    /// Its value.
    pub node: Node<'t>,
}

/// What is wrong with the text, and at which byte.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{fault} at byte {at}")]
pub struct JsonError {
    /// The byte of the fault.
    pub at: usize,
    /// What is wrong there.
    pub fault: JsonFault,
}

/// What is wrong with a text that should be JSON.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JsonFault {
    /// Something else should stand here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// Arrays and objects are nested deeper than a policy ever is.
    #[error("nested too deeply")]
    TooDeep,
    /// A member stands twice in one object.
    #[error("`{0}` stands twice in one object")]
    Repeated(String),
}

impl<'t> Node<'t> {
    /// Reads one JSON value that fills the whole text (RFC 8259), refusing repeated members and deep nesting.
    ///
    /// # Errors
    /// The text is no such value.
    pub fn parse(text: &'t str) -> Result<Self, JsonError> {
        let mut reader = Reader { text, at: 0 };
        let node = reader.value(0)?;
        reader.skip_space();
        if reader.at < text.len() {
            return Err(reader.expected("the end of the document"));
        }
        Ok(node)
    }
}

/// Turns ascending byte offsets into lines and columns in one pass over the text.
#[derive(Clone, Debug)]
pub struct Locator<'t> {
    text: &'t str,
    at: usize,
    line: u32,
    column: u32,
}

impl<'t> Locator<'t> {
    /// Starts at the text's beginning.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            column: 1,
        }
    }

    /// Line and column, both from 1, columns in characters. Offsets must not descend between calls.
    pub fn locate(&mut self, offset: usize) -> (u32, u32) {
        let bytes = self.text.as_bytes().get(self.at..offset).unwrap_or_default();
        let lines = count(bytes, |byte| byte == b'\n');
        let mut line = bytes;
        if lines > 0 {
            let last = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or_default();
            line = bytes.get(last.saturating_add(1)..).unwrap_or_default();
            self.line = self.line.saturating_add(lines);
            self.column = 1;
        }
        // A character's bytes after its first are all of the form 10xxxxxx.
        let characters = count(line, |byte| byte & 0xc0 != 0x80);
        self.column = self.column.saturating_add(characters);
        self.at = self.at.max(offset);
        (self.line, self.column)
    }
}

/// How many bytes are such. Sums of bytes, in blocks too short to overflow, are added up many at once.
fn count(bytes: &[u8], is_such: impl Fn(u8) -> bool) -> u32 {
    bytes
        .chunks(255)
        .map(|block| {
            let sum = |sum: u8, byte: &u8| sum.wrapping_add(u8::from(is_such(*byte)));
            u32::from(block.iter().fold(0_u8, sum))
        })
        .fold(0, u32::saturating_add)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn value(&mut self, depth: u32) -> Result<Node<'t>, JsonError> {
        self.skip_space();
        let start = self.at;
        if depth >= MAX_DEPTH {
            return Err(JsonError {
                at: start,
                fault: JsonFault::TooDeep,
            });
        }
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            _ => return Err(self.expected("a value")),
        };
        Ok(Node {
            start,
            end: self.at,
            value,
        })
    }

    fn object(&mut self, depth: u32) -> Result<Value<'t>, JsonError> {
        self.advance(1);
        let mut members: Vec<Member<'t>> = Vec::new();
        let mut names: HashSet<String> = HashSet::new();
        self.skip_space();
        if self.eat(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.expected("a member name"));
            }
            let name = self.string()?;
            let name_end = self.at;
            let repeated = if members.len() < SET_FROM {
                members.iter().any(|member| member.name == name)
            } else {
                if names.is_empty() {
                    names.extend(members.iter().map(|member| member.name.to_string()));
                }
                !names.insert(name.to_string())
            };
            if repeated {
                return Err(JsonError {
                    at: start,
                    fault: JsonFault::Repeated(name.into_owned()),
                });
            }
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.expected("`:`"));
            }
            let node = self.value(depth.saturating_add(1))?;
            members.push(Member {
                start,
                name_end,
                name,
                node,
            });
            self.skip_space();
            if self.eat(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.eat(b',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn array(&mut self, depth: u32) -> Result<Value<'t>, JsonError> {
        self.advance(1);
        let mut nodes = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Ok(Value::Array(nodes));
        }
        loop {
            nodes.push(self.value(depth.saturating_add(1))?);
            self.skip_space();
            if self.eat(b']') {
                return Ok(Value::Array(nodes));
            }
            if !self.eat(b',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    /// A string literal; borrowed unless it holds an escape.
    fn string(&mut self) -> Result<Cow<'t, str>, JsonError> {
        self.advance(1);
        let mut owned = String::new();
        let mut chunk = self.at;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            self.advance(plain.unwrap_or(rest.len()));
            match self.peek() {
                Some(b'"') => {
                    let tail = self.text.get(chunk..self.at).unwrap_or_default();
                    self.advance(1);
                    if owned.is_empty() {
                        return Ok(Cow::Borrowed(tail));
                    }
                    owned.push_str(tail);
                    return Ok(Cow::Owned(owned));
                }
                Some(b'\\') => {
                    owned.push_str(self.text.get(chunk..self.at).unwrap_or_default());
                    owned.push(self.escape()?);
                    chunk = self.at;
                }
                Some(0..=0x1f) => return Err(self.expected("no control character in a string")),
                Some(_) => self.advance(1),
                None => return Err(self.expected("the end of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.advance(1);
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.advance(1);
                let high = self.hex()?;
                let code = if (0xd800..0xdc00).contains(&high) {
                    if !(self.eat(b'\\') && self.eat(b'u')) {
                        return Err(self.expected("the second half of a surrogate pair"));
                    }
                    let low = self.hex()?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(self.expected("the second half of a surrogate pair"));
                    }
                    0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                } else {
                    high
                };
                return char::from_u32(code).ok_or_else(|| self.expected("a Unicode scalar value"));
            }
            _ => return Err(self.expected("an escape")),
        };
        self.advance(1);
        Ok(character)
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at.saturating_add(4)).unwrap_or_default();
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.expected("four hexadecimal digits"));
        }
        self.advance(4);
        u32::from_str_radix(digits, 16).map_err(|_| self.expected("four hexadecimal digits"))
    }

    fn number(&mut self) -> Result<&'t str, JsonError> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.expected("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.advance(1);
        }
        Ok(())
    }

    fn word(&mut self, word: &'static str, value: Value<'t>) -> Result<Value<'t>, JsonError> {
        if !self.text.get(self.at..).unwrap_or_default().starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.advance(word.len());
        Ok(value)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.advance(1);
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.advance(1);
        }
        found
    }

    fn advance(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn expected(&self, what: &'static str) -> JsonError {
        JsonError {
            at: self.at,
            fault: JsonFault::Expected(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (usize, JsonFault) {
        let error = Node::parse(text).unwrap_err();
        (error.at, error.fault)
    }

    #[test]
    fn strings_with_escapes() {
        let node = Node::parse(r#" "a\u00e9\ud83d\ude00\n\"" "#).unwrap();
        assert!(matches!(node.value, Value::Text(text) if text == "aé😀\n\""));
        let empty_after_escape = Node::parse(r#""\t""#).unwrap();
        assert!(matches!(empty_after_escape.value, Value::Text(text) if text == "\t"));
    }

    #[test]
    fn numbers_keep_their_text() {
        let node = Node::parse("[-0.10, 1e5, 9007199254740993]").unwrap();
        let Value::Array(nodes) = node.value else { panic!() };
        let texts: Vec<&str> = nodes
            .iter()
            .map(|node| match node.value {
                Value::Number(text) => text,
                _ => "",
            })
            .collect();
        assert_eq!(texts, ["-0.10", "1e5", "9007199254740993"]);
    }

    #[test]
    fn a_repeated_member_is_refused_at_its_place() {
        assert_eq!(fault(r#"{"a":1,"a":2}"#), (7, JsonFault::Repeated("a".into())));
        assert_eq!(fault(r#"{"a":1,"\u0061":2}"#).1, JsonFault::Repeated("a".into()));
        let many: Vec<String> = (0..40).map(|n| format!("\"k{n}\":0")).collect();
        assert!(Node::parse(&format!("{{{}}}", many.join(","))).is_ok());
        assert_eq!(
            fault(&format!("{{{},\"k3\":1}}", many.join(","))).1,
            JsonFault::Repeated("k3".into())
        );
    }

    #[test]
    fn what_is_not_json() {
        for bad in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "+1",
            "1.",
            ".5",
            "1e",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"a\nb\"",
            "\"abc",
            "nul",
            "{} {}",
            "\u{feff}{}",
            "NaN",
            "'a'",
            "\"\\u00g0\"",
        ] {
            assert!(Node::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(Node::parse(&format!("{}{}", "[".repeat(31), "]".repeat(31))).is_ok());
        assert_eq!(fault(&"[".repeat(1_000_000)).1, JsonFault::TooDeep);
    }

    #[test]
    fn lines_and_columns_count_characters() {
        let text = "é\n  x";
        let mut locator = Locator::new(text);
        assert_eq!(locator.locate(2), (1, 2));
        assert_eq!(locator.locate(5), (2, 3));
    }
}
