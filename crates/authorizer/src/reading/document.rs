//! Documents that every reader of XML reads alike: elements that S3 knows, each where it belongs and as often as it may, texts and the
//! references that XML itself defines. What readers are known to differ in (CDATA, comments, declarations, other encodings, prefixes, elements
//! that nobody knows, spaces around a value) is refused.

use super::{Part, Read, refused};

/// The namespace that S3's documents have.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// The children of an element, and whether there may be several; `None`: it has a text.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>, `API_PutObjectTagging.html` and `API_CreateBucket.html`
/// beside it.
fn children(element: &str) -> Option<&'static [(&'static str, bool)]> {
    Some(match element {
        "CreateBucketConfiguration" => &[("LocationConstraint", false)],
        "Delete" => &[("Object", true), ("Quiet", false)],
        "Object" => &[
            ("Key", false),
            ("VersionId", false),
            ("ETag", false),
            ("LastModifiedTime", false),
            ("Size", false),
        ],
        "TagSet" => &[("Tag", true)],
        "Tag" => &[("Key", false), ("Value", false)],
        "Tagging" => &[("TagSet", false)],
        _ => return None,
    })
}

/// Checks the document of an operation whose targets it names. An empty one is none.
///
/// # Errors
/// It has another reading.
pub fn document(body: &[u8]) -> Read {
    if body.is_empty() {
        return Ok(());
    }
    let Ok(text) = std::str::from_utf8(body) else {
        return refused(Part::Document, "it is not UTF-8");
    };
    let mut reader = Reader { rest: text };
    reader.declaration()?;
    reader.spaces();
    let (root, is_empty) = reader.start(true)?;
    if !matches!(root, "CreateBucketConfiguration" | "Delete" | "Tagging") {
        return refused(Part::Document, "it is none of S3's that name a target");
    }
    if !is_empty {
        reader.content(root)?;
    }
    reader.spaces();
    match reader.rest {
        "" => Ok(()),
        _ => refused(Part::Document, "something follows it"),
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn spaces(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// What stands before a text, which is taken away with it.
    fn until(&mut self, end: &str) -> Result<&'a str, super::TwoReadings> {
        let (before, rest) = self.rest.split_once(end).ok_or(super::TwoReadings {
            part: Part::Document,
            reason: "it has no end",
        })?;
        self.rest = rest;
        Ok(before)
    }

    /// The declaration of XML, if there is one: version 1.0 in UTF-8.
    fn declaration(&mut self) -> Read {
        if !self.take("<?xml") {
            return Ok(());
        }
        let inside = self.until("?>")?;
        let inside = inside.replace('\'', "\"");
        let words: Vec<&str> = inside.split_ascii_whitespace().collect();
        let harmless = |word: &&str| {
            matches!(
                word.to_ascii_lowercase().as_str(),
                "version=\"1.0\"" | "encoding=\"utf-8\"" | "standalone=\"yes\"" | "standalone=\"no\""
            )
        };
        match words.iter().all(harmless) && inside.starts_with([' ', '\t', '\r', '\n']) {
            true => Ok(()),
            false => refused(Part::Document, "its declaration is not that of XML 1.0 in UTF-8"),
        }
    }

    /// A start of an element: its name, and whether it is its end, too.
    fn start(&mut self, is_root: bool) -> Result<(&'a str, bool), super::TwoReadings> {
        let wrong = |reason| super::TwoReadings {
            part: Part::Document,
            reason,
        };
        if !self.take("<") {
            return Err(wrong("a text stands between elements"));
        }
        let inside = self.until(">")?;
        let (inside, is_empty) = match inside.strip_suffix('/') {
            Some(inside) => (inside, true),
            None => (inside, false),
        };
        let end = inside.find([' ', '\t', '\r', '\n']).unwrap_or(inside.len());
        let (name, attributes) = inside.split_at_checked(end).unwrap_or((inside, ""));
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(wrong("it has something else than elements"));
        }
        let namespace = attributes.trim_matches([' ', '\t', '\r', '\n']).replace('\'', "\"");
        let is_known = is_root && namespace == format!("xmlns=\"{NAMESPACE}\"");
        if !is_known && !namespace.is_empty() {
            return Err(wrong("an element has an attribute"));
        }
        Ok((name, is_empty))
    }

    /// What stands between start and end of an element, and its end. No deeper than what is known.
    fn content(&mut self, name: &str) -> Read {
        let Some(known) = children(name) else {
            return self.text(name);
        };
        let mut seen: Vec<&str> = Vec::new();
        loop {
            self.spaces();
            if self.take("</") {
                return self.end(name);
            }
            let (child, is_empty) = self.start(false)?;
            let Some((_, repeats)) = known.iter().find(|(known, _)| *known == child) else {
                return refused(Part::Document, "it has an element that nobody knows there");
            };
            if !repeats {
                if seen.contains(&child) {
                    return refused(Part::Document, "it has an element twice");
                }
                seen.push(child);
            }
            if !is_empty {
                self.content(child)?;
            }
        }
    }

    fn end(&mut self, name: &str) -> Read {
        let found = self.until(">")?;
        match found.trim_end_matches([' ', '\t', '\r', '\n']) == name {
            true => Ok(()),
            false => refused(Part::Document, "its elements do not end in their order"),
        }
    }

    /// The text of an element, and its end.
    fn text(&mut self, name: &str) -> Read {
        let raw = self.until("<")?;
        if !self.take("/") {
            return refused(Part::Document, "it has something else than a text in an element");
        }
        self.end(name)?;
        if raw.contains("]]>")
            || raw
                .chars()
                .any(|sign| sign.is_control() && sign != '\n' && sign != '\t')
        {
            return refused(Part::Document, "a text has characters that readers change");
        }
        let mut value = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some((before, reference)) = rest.split_once('&') {
            let Some((reference, after)) = reference.split_once(';') else {
                return refused(Part::Document, "an ampersand refers to nothing");
            };
            let Some(sign) = referred(reference) else {
                return refused(Part::Document, "it refers to what XML does not define");
            };
            value.push_str(before);
            value.push(sign);
            rest = after;
        }
        value.push_str(rest);
        match value.trim() == value {
            true => Ok(()),
            false => refused(
                Part::Document,
                "a value begins or ends with spaces, which some servers cut off",
            ),
        }
    }
}

/// The character of a reference.
fn referred(reference: &str) -> Option<char> {
    let number = match reference {
        "amp" => return Some('&'),
        "apos" => return Some('\''),
        "gt" => return Some('>'),
        "lt" => return Some('<'),
        "quot" => return Some('"'),
        _ => reference.strip_prefix('#')?,
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || digits.len() > 7 || !digits.chars().all(|sign| sign.is_digit(radix)) {
        return None;
    }
    let sign = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
    // The others are no characters of XML.
    (!matches!(sign, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')).then_some(sign)
}
