use quick_xml::Reader;
use quick_xml::events::Event;

/// One element of an answer: AWS's XML without attributes and namespaces, which its answers need nowhere.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Element {
    /// The local name.
    pub name: String,
    /// The text inside, without that of children.
    pub text: String,
    /// The elements inside, in order.
    pub children: Vec<Self>,
}

/// An answer is not XML.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}, at byte {position}")]
pub struct XmlError {
    /// What is wrong.
    pub reason: String,
    /// Where.
    pub position: u64,
}

/// More than any answer of AWS nests.
const MAX_DEPTH: usize = 32;

impl Element {
    /// Reads a document.
    ///
    /// # Errors
    /// A text that is no XML, has no root, or uses a document type, which no answer of AWS does.
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Self> = Vec::new();
        loop {
            let event = reader.read_event();
            let failed = |reason: &str, reader: &Reader<&[u8]>| XmlError {
                reason: reason.to_owned(),
                position: reader.buffer_position(),
            };
            let closed = match event {
                Err(error) => {
                    return Err(XmlError {
                        reason: error.to_string(),
                        position: reader.error_position(),
                    });
                }
                Ok(Event::Start(start)) => {
                    if open.len() >= MAX_DEPTH {
                        return Err(failed("it is nested too deeply", &reader));
                    }
                    open.push(Self::named(start.local_name().as_ref()));
                    continue;
                }
                Ok(Event::Empty(empty)) => Self::named(empty.local_name().as_ref()),
                Ok(Event::End(_)) => open.pop().ok_or_else(|| failed("an end without a start", &reader))?,
                Ok(Event::Text(text)) => {
                    let text = text.decode().map_err(|_| failed("it is not UTF-8", &reader))?;
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text);
                    }
                    continue;
                }
                Ok(Event::CData(text)) => {
                    let text = text.decode().map_err(|_| failed("it is not UTF-8", &reader))?;
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text);
                    }
                    continue;
                }
                Ok(Event::GeneralRef(reference)) => {
                    let character = match reference.resolve_char_ref() {
                        Ok(Some(character)) => Some(character),
                        _ => match reference.decode().ok().as_deref() {
                            Some("amp") => Some('&'),
                            Some("lt") => Some('<'),
                            Some("gt") => Some('>'),
                            Some("quot") => Some('"'),
                            Some("apos") => Some('\''),
                            _ => None,
                        },
                    };
                    let character = character.ok_or_else(|| failed("an entity that XML does not know", &reader))?;
                    if let Some(element) = open.last_mut() {
                        element.text.push(character);
                    }
                    continue;
                }
                Ok(Event::DocType(_)) => return Err(failed("it has a document type", &reader)),
                Ok(Event::Decl(_) | Event::PI(_) | Event::Comment(_)) => continue,
                Ok(Event::Eof) => return Err(failed("it ends too early", &reader)),
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None => return Ok(closed),
            }
        }
    }

    fn named(name: &[u8]) -> Self {
        Self {
            name: String::from_utf8_lossy(name).into_owned(),
            ..Self::default()
        }
    }

    /// The first element at a path of names below this one, such as `Error/Code`.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, |element, name| {
            element.children.iter().find(|child| child.name == name)
        })
    }

    /// The trimmed text of the element at a path.
    #[must_use]
    pub fn text_at(&self, path: &str) -> Option<&str> {
        self.at(path).map(|element| element.text.trim())
    }

    /// The children of the element at a path that have a name: `all("Keys", "member")`; an empty path is this element.
    pub fn all<'a>(&'a self, path: &str, name: &'a str) -> impl Iterator<Item = &'a Self> {
        let parent = if path.is_empty() { Some(self) } else { self.at(path) };
        parent
            .into_iter()
            .flat_map(|parent| &parent.children)
            .filter(move |child| child.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer() {
        let text = r#"<?xml version="1.0"?><ListRolesResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListRolesResult>
            <Roles><member><RoleName>a</RoleName></member><member><RoleName>b &amp; &#x63;</RoleName><Path/></member></Roles>
            </ListRolesResult></ListRolesResponse>"#;
        let root = Element::parse(text).unwrap();
        assert_eq!(root.name, "ListRolesResponse");
        let names: Vec<_> = root
            .all("ListRolesResult/Roles", "member")
            .filter_map(|role| role.text_at("RoleName"))
            .collect();
        assert_eq!(names, ["a", "b & c"]);
        assert_eq!(root.text_at("ListRolesResult/Roles/member/RoleName"), Some("a"));
        assert_eq!(root.text_at("ListRolesResult/Nothing"), None);
    }

    #[test]
    fn what_is_no_xml_is_refused() {
        for text in [
            "",
            "no",
            "<a>",
            "<a></b>",
            "</a>",
            "<a>&bomb;</a>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a/>",
            "{\"__type\":\"x\"}",
        ] {
            assert!(Element::parse(text).is_err(), "{text}");
        }
        assert!(Element::parse(&"<a>".repeat(100_000)).is_err());
    }
}
