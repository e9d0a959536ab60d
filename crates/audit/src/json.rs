use std::fmt::Write;

/// Writes one JSON object, member by member, into one line: no line break, control character or separator of a caller's text survives
/// unescaped.
///
/// ```
/// use irsa_audit::ObjectWriter;
/// let mut parameters = ObjectWriter::new();
/// parameters.text("roleSessionName", "a\n\"b\"").number("durationSeconds", 3600);
/// assert_eq!(parameters.finish(), r#"{"roleSessionName":"a\u000a\"b\"","durationSeconds":3600}"#);
/// ```
#[derive(Debug)]
pub struct ObjectWriter {
    text: String,
    depth: usize,
}

impl Default for ObjectWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl ObjectWriter {
    /// An object without members.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(256)
    }

    /// An object that will take about `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Self { text, depth: 1 }
    }

    /// Adds a string.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        quote(&mut self.text, value);
        self
    }

    /// Adds a string, if there is one.
    pub fn text_if(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    /// Adds a string made of something that can be written without a control character, quote or backslash: a number, an account, an
    /// instant.
    pub(crate) fn plain(&mut self, name: &str, value: impl std::fmt::Display) -> &mut Self {
        self.name(name);
        // A String takes everything.
        _ = write!(self.text, "\"{value}\"");
        self
    }

    /// Adds a number.
    pub fn number(&mut self, name: &str, value: i64) -> &mut Self {
        self.name(name);
        _ = write!(self.text, "{value}");
        self
    }

    /// Adds `true` or `false`.
    pub fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        self.raw(name, if value { "true" } else { "false" })
    }

    /// Adds a list of strings.
    pub fn list<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) -> &mut Self {
        self.name(name);
        self.text.push('[');
        for (place, value) in values.into_iter().enumerate() {
            if place > 0 {
                self.text.push(',');
            }
            quote(&mut self.text, value);
        }
        self.text.push(']');
        self
    }

    /// Adds a value that is JSON already. The caller answers for its form; line breaks between its tokens become spaces.
    pub fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        self.name(name);
        raw(&mut self.text, json);
        self
    }

    /// Opens an object as a member; [`ObjectWriter::close`] ends it.
    pub fn open(&mut self, name: &str) -> &mut Self {
        self.name(name);
        self.text.push('{');
        self.depth += 1;
        self
    }

    /// Ends the object that was opened last.
    pub fn close(&mut self) -> &mut Self {
        if self.depth > 1 {
            self.text.push('}');
            self.depth -= 1;
        }
        self
    }

    /// Adds a list of objects, each written by a call of `each`.
    pub(crate) fn objects<T>(&mut self, name: &str, values: &[T], each: impl Fn(&mut Self, &T)) -> &mut Self {
        self.name(name);
        self.text.push('[');
        for (place, value) in values.iter().enumerate() {
            self.text.push_str(if place > 0 { ",{" } else { "{" });
            each(self, value);
            self.text.push('}');
        }
        self.text.push(']');
        self
    }

    /// The object's text, with all that is open closed.
    #[must_use]
    pub fn finish(mut self) -> String {
        for _ in 0..self.depth {
            self.text.push('}');
        }
        self.text
    }

    fn name(&mut self, name: &str) {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        quote(&mut self.text, name);
        self.text.push(':');
    }
}

/// Appends a JSON string.
fn quote(to: &mut String, text: &str) {
    to.push('"');
    // Almost no text needs escapes. The whole is looked at without a branch, so that the compiler can take many bytes at once.
    let suspicious = text.bytes().fold(false, |found, byte| {
        found | (byte < 0x20) | matches!(byte, b'"' | b'\\' | 0x7f | 0xc2 | 0xd8 | 0xe2 | 0xef)
    });
    if suspicious {
        escape(to, text);
    } else {
        to.push_str(text);
    }
    to.push('"');
}

fn escape(to: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            // Control characters, separators of lines and paragraphs, marks of writing direction, the byte order mark: whatever may end
            // a line, move a cursor or turn text around where a record is shown.
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => {
                _ = write!(to, "\\u{:04x}", u32::from(character));
            }
            other => to.push(other),
        }
    }
}

/// Appends JSON. In valid JSON a control character can only stand between tokens, so a space does as well.
fn raw(to: &mut String, json: &str) {
    if json.bytes().fold(false, |found, byte| found | (byte < 0x20)) {
        to.extend(
            json.chars()
                .map(|character| if character < ' ' { ' ' } else { character }),
        );
    } else {
        to.push_str(json);
    }
}

/// The longest prefix of at most `bytes` bytes.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    proptest! {
        #[test]
        fn any_text_comes_back_and_stays_in_its_line(name in any::<String>(), value in any::<String>()) {
            let mut object = ObjectWriter::new();
            object.text(&name, &value).list("list of values", [value.as_str(), ""]);
            let text = object.finish();
            prop_assert!(!text.contains(char::is_control));
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read[&name], &Value::from(value.clone()));
            prop_assert_eq!(&read["list of values"][0], &Value::from(value));
        }
    }

    #[test]
    fn what_can_end_a_line_or_turn_text_around_is_escaped() {
        for bad in [
            '\0', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{61c}', '\u{200e}', '\u{2028}', '\u{2029}',
            '\u{202e}', '\u{2066}', '\u{2069}', '\u{feff}',
        ] {
            let mut object = ObjectWriter::new();
            object.text("a", &format!("before{bad}after"));
            let text = object.finish();
            assert!(!text.contains(bad), "{bad:?}");
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read["a"], format!("before{bad}after"));
        }
        let mut object = ObjectWriter::new();
        object.text("a", "Zürich \u{20ac} \u{65e5}\u{672c} \u{1f600}");
        assert_eq!(
            object.finish(),
            "{\"a\":\"Zürich \u{20ac} \u{65e5}\u{672c} \u{1f600}\"}",
            "text is left readable"
        );
    }

    #[test]
    fn objects_nest() {
        let mut object = ObjectWriter::new();
        object
            .open("a")
            .open("b")
            .close()
            .close()
            .close()
            .flag("c", true)
            .raw("d", "[1,\n 2]")
            .open("e");
        assert_eq!(object.finish(), r#"{"a":{"b":{}},"c":true,"d":[1,  2],"e":{}}"#);
        assert_eq!(ObjectWriter::new().finish(), "{}");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("a", 9), "a");
    }
}
