//! XML bodies as a tree: an element is an object of lists, or a text.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::error::GatewayError;
use crate::json::Tree;

const MAX_DEPTH: usize = 32;

/// Reads a document; the root's content is the tree. Attributes and namespaces are passed over; doctypes, entities beyond XML's five and
/// text beside elements are refused.
pub(crate) fn parse(body: &[u8]) -> Result<Tree, GatewayError> {
    let wrong = |reason: &str| GatewayError::Body(reason.to_owned());
    let text = std::str::from_utf8(body).map_err(|_| wrong("it is not UTF-8"))?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = vec![Open::default()];
    loop {
        let event = reader
            .read_event()
            .map_err(|error| wrong(&format!("it is no XML: {error}")))?;
        match event {
            Event::Start(start) => {
                if open.len() > MAX_DEPTH {
                    return Err(wrong("it is too deep"));
                }
                let name =
                    String::from_utf8(start.local_name().as_ref().to_vec()).map_err(|_| wrong("a name is no text"))?;
                open.push(Open {
                    name,
                    ..Open::default()
                });
            }
            Event::Empty(start) => {
                let name =
                    String::from_utf8(start.local_name().as_ref().to_vec()).map_err(|_| wrong("a name is no text"))?;
                if let Some(parent) = open.last_mut() {
                    parent.add(name, Tree::Text(String::new()));
                }
            }
            Event::End(_) => {
                let (Some(done), Some(parent)) = (open.pop(), open.last_mut()) else {
                    return Err(wrong("its elements are not nested"));
                };
                let (name, tree) = done.finish()?;
                parent.add(name, tree);
            }
            Event::Text(piece) => {
                let piece = piece.decode().map_err(|_| wrong("a text is not UTF-8"))?;
                if let Some(place) = open.last_mut() {
                    place.text.push_str(&piece);
                }
            }
            Event::CData(piece) => {
                let piece = piece.decode().map_err(|_| wrong("a text is not UTF-8"))?;
                if let Some(place) = open.last_mut() {
                    place.text.push_str(&piece);
                }
            }
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref() {
                    Ok(Some(character)) => character,
                    Ok(None) => match &*reference {
                        b"lt" => '<',
                        b"gt" => '>',
                        b"amp" => '&',
                        b"apos" => '\'',
                        b"quot" => '"',
                        _ => return Err(wrong("it has an entity that XML does not define")),
                    },
                    Err(_) => return Err(wrong("it has a broken character reference")),
                };
                if let Some(place) = open.last_mut() {
                    place.text.push(character);
                }
            }
            Event::Decl(_) | Event::Comment(_) => {}
            Event::PI(_) | Event::DocType(_) => return Err(wrong("it has a doctype or a processing instruction")),
            Event::Eof => break,
        }
    }
    let (Some(document), None) = (open.pop(), open.pop()) else {
        return Err(wrong("it ends in the middle of an element"));
    };
    match document.finish()? {
        (_, Tree::Object(roots)) => match roots.as_slice() {
            [(_, Tree::List(only))] if only.len() == 1 => Ok(only.first().cloned().unwrap_or(Tree::Nothing)),
            _ => Err(wrong("it has more than one root")),
        },
        _ => Err(wrong("it has no root")),
    }
}

#[derive(Default)]
struct Open {
    name: String,
    text: String,
    members: Vec<(String, Tree)>,
}

impl Open {
    fn add(&mut self, name: String, tree: Tree) {
        match self.members.iter_mut().find(|(known, _)| *known == name) {
            Some((_, Tree::List(list))) => list.push(tree),
            _ => self.members.push((name, Tree::List(vec![tree]))),
        }
    }

    fn finish(self) -> Result<(String, Tree), GatewayError> {
        if self.members.is_empty() {
            return Ok((self.name, Tree::Text(self.text)));
        }
        if self.text.trim().is_empty() {
            return Ok((self.name, Tree::Object(self.members)));
        }
        Err(GatewayError::Body("it has text beside elements".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;

    #[test]
    fn elements_are_lists() {
        let tree = parse(
            br#"<?xml version="1.0"?><R xmlns="x"><Changes><Change><Name>a&amp;b</Name></Change><Change><Name>c&#46;</Name></Change></Changes></R>"#,
        )
        .unwrap();
        let path = Path::parse("Changes[].Change[].Name[]").unwrap();
        assert_eq!(path.texts(&tree).unwrap(), ["a&b", "c."]);
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        for text in [
            "",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<!DOCTYPE a><a/>",
            "<a>&x;</a>",
            "<a>x<b/></a>",
            "x",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse("<a>".repeat(100).as_bytes()).is_err());
    }
}
