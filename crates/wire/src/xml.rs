use std::fmt::{Display, Write};

use quick_xml::escape::escape;

/// Writes XML elements into one string.
///
/// Element names are the program's own; texts are escaped, and characters that XML 1.0 can't hold become U+FFFD.
#[derive(Debug, Default)]
pub struct Xml {
    text: String,
}

impl Xml {
    /// An empty document.
    #[must_use]
    pub fn new() -> Self {
        // Most answers fit, so the text grows at most once or twice.
        Self {
            text: String::with_capacity(1024),
        }
    }

    /// `<name>value</name>`.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.open(name);
        let plain = |byte: u8| (0x20..0x7f).contains(&byte) && !matches!(byte, b'<' | b'>' | b'&' | b'\'' | b'"');
        if value.bytes().all(plain) {
            self.text.push_str(value);
        } else if value.chars().all(allowed) {
            self.text.push_str(&escape(value));
        } else {
            let cleaned: String = value
                .chars()
                .map(|character| if allowed(character) { character } else { '\u{fffd}' })
                .collect();
            self.text.push_str(&escape(cleaned.as_str()));
        }
        self.close(name)
    }

    /// `<name>value</name>` for numbers and booleans.
    pub fn value(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.open(name);
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{value}");
        self.close(name)
    }

    /// The element if there is a value.
    pub fn maybe(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    /// `<name>…</name>` around what the closure writes; an empty element is written as such.
    pub fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) -> &mut Self {
        self.open(name);
        content(self);
        self.close(name)
    }

    /// `<name><member>…</member>…</name>`: a list, present even when empty, because SDKs tell the two apart.
    pub fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut content: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.element(name, |xml| {
            for item in items {
                xml.element("member", |xml| content(xml, item));
            }
        })
    }

    /// `<name><member>text</member>…</name>`.
    pub fn texts<'a>(&mut self, name: &str, items: impl IntoIterator<Item = &'a str>) -> &mut Self {
        self.element(name, |xml| {
            for item in items {
                xml.text("member", item);
            }
        })
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn open(&mut self, name: &str) {
        self.text.push('<');
        self.text.push_str(name);
        self.text.push('>');
    }

    fn close(&mut self, name: &str) -> &mut Self {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
        self
    }
}

/// XML 1.0's `Char` production (<https://www.w3.org/TR/xml/#charsets>).
fn allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_nest_and_texts_are_escaped() {
        let mut xml = Xml::new();
        xml.element("Role", |xml| {
            xml.text("Path", "/<a>&\"'\u{0}/")
                .value("Max", 3600)
                .maybe("Nothing", None);
            xml.list("Tags", [("k", "v")], |xml, (key, value)| {
                xml.text("Key", key).text("Value", value);
            });
            xml.texts("Names", []);
        });
        assert_eq!(
            xml.finish(),
            "<Role><Path>/&lt;a&gt;&amp;&quot;&apos;\u{fffd}/</Path><Max>3600</Max>\
             <Tags><member><Key>k</Key><Value>v</Value></member></Tags><Names></Names></Role>"
        );
    }
}
