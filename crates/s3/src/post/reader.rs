use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

use super::{malformed, refusal};
use crate::question::S3Refusal;

/// What may come before the file: 20 KB.
const MAX_HEAD: usize = 20 * 1024;

/// Reads a form as it comes. Fields are kept, the bytes of the file are handed on.
#[derive(Debug)]
pub struct FormReader {
    /// `CRLF--boundary`.
    delimiter: Vec<u8>,
    buffer: BytesMut,
    state: State,
    /// Bytes before the file that were read.
    head: usize,
    fields: Vec<(String, String)>,
    filename: String,
}

#[derive(Debug)]
enum State {
    /// At the first delimiter.
    Start,
    /// After a delimiter.
    Next,
    Headers,
    Field(String),
    File,
    End,
}

/// What there is of the file.
#[derive(Debug, Eq, PartialEq)]
pub enum FormFile {
    /// Its next bytes.
    Bytes(Bytes),
    /// Nothing before more of the body comes.
    Wait,
    /// It is whole.
    End,
    /// It ends in what is no end of a part.
    Malformed,
}

impl FormReader {
    /// For a body with this boundary.
    #[must_use]
    pub fn new(boundary: &str) -> Self {
        // So that the first delimiter is as the others.
        let mut buffer = BytesMut::new();
        buffer.extend_from_slice(b"\r\n");
        Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            buffer,
            state: State::Start,
            head: 0,
            fields: Vec::new(),
            filename: String::new(),
        }
    }

    /// Takes the next bytes of the body; whether the file has begun, and with it all fields are known.
    ///
    /// # Errors
    /// It is no form, or one with too much before its file, or without a file.
    pub fn push(&mut self, bytes: &[u8]) -> Result<bool, S3Refusal> {
        self.buffer.extend_from_slice(bytes);
        // An empty boundary, or a longer one than may be.
        if !(5..=74).contains(&self.delimiter.len()) {
            return Err(malformed());
        }
        loop {
            match self.step()? {
                Step::Again => {}
                Step::File => return Ok(true),
                Step::Wait => {
                    if self.head.saturating_add(self.buffer.len()) > MAX_HEAD {
                        return Err(too_much());
                    }
                    return Ok(false);
                }
            }
        }
    }

    /// The fields before the file, in order; names in lower case, each once.
    #[must_use]
    pub fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// The name that the browser gives to the file, without folders.
    #[must_use]
    pub fn filename(&self) -> &str {
        &self.filename
    }

    /// What there is of the file, after [`FormReader::push`] said that it has begun.
    pub fn file(&mut self) -> FormFile {
        if !matches!(self.state, State::File) {
            return FormFile::End;
        }
        match memmem::find(&self.buffer, &self.delimiter) {
            Some(0) => {
                let after = self.delimiter.len();
                match self.buffer.get(after..after.saturating_add(2)) {
                    None => FormFile::Wait,
                    // What comes after the file means nothing.
                    Some(b"--" | b"\r\n") => {
                        self.state = State::End;
                        self.buffer.clear();
                        FormFile::End
                    }
                    Some(_) => FormFile::Malformed,
                }
            }
            Some(at) => FormFile::Bytes(self.buffer.split_to(at).freeze()),
            None => {
                // What is left may be the beginning of the delimiter.
                let kept = self.delimiter.len().saturating_sub(1);
                match self.buffer.len().checked_sub(kept) {
                    None | Some(0) => FormFile::Wait,
                    Some(ready) => FormFile::Bytes(self.buffer.split_to(ready).freeze()),
                }
            }
        }
    }

    fn step(&mut self) -> Result<Step, S3Refusal> {
        match &self.state {
            State::Start => {
                let seen = self.buffer.len().min(self.delimiter.len());
                if self.buffer.get(..seen) != self.delimiter.get(..seen) {
                    return Err(malformed());
                }
                if seen < self.delimiter.len() {
                    return Ok(Step::Wait);
                }
                self.consume(seen);
                self.state = State::Next;
            }
            State::Next => match self.buffer.get(..2) {
                None => return Ok(Step::Wait),
                Some(b"\r\n") => {
                    self.consume(2);
                    self.state = State::Headers;
                }
                Some(b"--") => {
                    return Err(refusal(
                        400,
                        "InvalidArgument",
                        "POST requires exactly one file upload per request.",
                    ));
                }
                Some(_) => return Err(malformed()),
            },
            State::Headers => {
                let Some(length) = memmem::find(&self.buffer, b"\r\n\r\n") else {
                    return Ok(Step::Wait);
                };
                let headers = self.buffer.get(..length).unwrap_or_default();
                let headers = std::str::from_utf8(headers).map_err(|_| malformed())?;
                let (name, filename) = disposition(headers).ok_or_else(malformed)?;
                self.consume(length.saturating_add(4));
                if name == "file" {
                    let base = filename.rsplit(['/', '\\']).next().unwrap_or_default();
                    base.clone_into(&mut self.filename);
                    self.state = State::File;
                } else {
                    self.state = State::Field(name);
                }
            }
            State::Field(name) => {
                let Some(length) = memmem::find(&self.buffer, &self.delimiter) else {
                    return Ok(Step::Wait);
                };
                let value = self.buffer.get(..length).unwrap_or_default();
                let value = std::str::from_utf8(value).map_err(|_| malformed())?.to_owned();
                if self.fields.iter().any(|(known, _)| known == name) {
                    return Err(refusal(
                        400,
                        "InvalidArgument",
                        format!("The form has more than one field `{name}`."),
                    ));
                }
                let name = name.clone();
                self.fields.push((name, value));
                self.consume(length.saturating_add(self.delimiter.len()));
                self.state = State::Next;
            }
            State::File | State::End => return Ok(Step::File),
        }
        if self.head > MAX_HEAD {
            return Err(too_much());
        }
        Ok(Step::Again)
    }

    fn consume(&mut self, length: usize) {
        self.head = self.head.saturating_add(length);
        self.buffer.advance(length.min(self.buffer.len()));
    }
}

enum Step {
    Again,
    File,
    Wait,
}

fn too_much() -> S3Refusal {
    refusal(
        400,
        "MaxPostPreDataLengthExceeded",
        "Your POST request fields preceding the upload file was too large.",
    )
}

/// The name of a part, in lower case, and that of its file.
fn disposition(headers: &str) -> Option<(String, String)> {
    let mut found = headers.split("\r\n").filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let (Some(value), None) = (found.next(), found.next()) else {
        return None;
    };
    let (kind, mut rest) = value.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut name, mut filename) = (None, String::new());
    loop {
        let (parameter, value) = rest.split_once('=')?;
        let (text, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (text, after) = value.split_at(value.find(';').unwrap_or(value.len()));
                (text.trim().to_owned(), after)
            }
        };
        match parameter.trim().to_ascii_lowercase().as_str() {
            "name" if name.is_none() => name = Some(text),
            "name" => return None,
            "filename" => filename = text,
            _ => {}
        }
        match after.trim_start().strip_prefix(';') {
            Some(more) => rest = more,
            None if after.trim().is_empty() => break,
            None => return None,
        }
    }
    let name = name.filter(|name| !name.is_empty())?;
    Some((name.to_ascii_lowercase(), filename))
}

/// A quoted text up to its closing quote, and what follows. Only a quote needs its backslash: some browsers send Windows paths.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut unquoted = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((unquoted, text.get(at.saturating_add(1)..)?)),
            '\\' if characters.peek().is_some_and(|(_, next)| *next == '"') => {
                characters.next();
                unquoted.push('"');
            }
            other => unquoted.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(fields: &[(&str, &str)], file: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in fields {
            body.extend_from_slice(
                format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes(),
            );
        }
        body.extend_from_slice(
            b"--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\dir\\a \\\"b.txt\"\r\nContent-Type: text/plain\r\n\r\n",
        );
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--xx--\r\n");
        body
    }

    /// Fields, name and content of the file, and whether it is whole.
    type Read = (Vec<(String, String)>, String, Vec<u8>, bool);

    fn read(body: &[u8], piece: usize) -> Result<Read, S3Refusal> {
        let mut reader = FormReader::new("xx");
        let (mut file, mut whole) = (Vec::new(), false);
        for bytes in body.chunks(piece.max(1)) {
            if whole {
                break;
            }
            if reader.push(bytes)? {
                loop {
                    match reader.file() {
                        FormFile::Bytes(bytes) => file.extend_from_slice(&bytes),
                        FormFile::Wait => break,
                        FormFile::End => {
                            whole = true;
                            break;
                        }
                        FormFile::Malformed => return Err(malformed()),
                    }
                }
            }
        }
        Ok((reader.fields().to_vec(), reader.filename().to_owned(), file, whole))
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_form_is_the_same(
            file in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'x'), any::<u8>()], 0..200),
            piece in 1_usize..64,
        ) {
            let delimiter = memmem::find(&[b"\r\n", file.as_slice()].concat(), b"\r\n--xx").is_some();
            prop_assume!(!delimiter);
            let body = form(&[("Key", "a/${filename}"), ("x-amz-meta-a", "")], &file);
            let (fields, name, content, whole) = read(&body, piece).unwrap();
            prop_assert_eq!(fields, vec![
                ("key".to_owned(), "a/${filename}".to_owned()),
                ("x-amz-meta-a".to_owned(), String::new()),
            ]);
            prop_assert_eq!(name, "a \"b.txt");
            prop_assert_eq!(content, file);
            prop_assert!(whole);
        }

        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..64) {
            let _ = read(&body, piece);
        }
    }

    #[test]
    fn bodies_that_are_no_form() {
        let code = |body: &[u8]| read(body, 7).map(drop).unwrap_err().code;
        assert_eq!(code(b"hello, this is no form"), "MalformedPOSTRequest");
        assert_eq!(code(b"--xx\r\nA: b\r\n\r\nx\r\n--xx--\r\n"), "MalformedPOSTRequest");
        assert_eq!(code(b"--xxy\r\n"), "MalformedPOSTRequest");
        assert_eq!(code(b"--xx--\r\n"), "InvalidArgument");
        let twice = form(&[("key", "a"), ("KEY", "b")], b"x");
        assert_eq!(code(&twice), "InvalidArgument");
        let large = form(&[("key", &"a".repeat(MAX_HEAD))], b"x");
        assert_eq!(code(&large), "MaxPostPreDataLengthExceeded");
        assert_eq!(
            code(&[b"--xx\r\n", vec![b'a'; MAX_HEAD].as_slice()].concat()),
            "MaxPostPreDataLengthExceeded"
        );
        assert_eq!(code(&form(&[("key", "a")], b"con\r\n--xxtent")), "MalformedPOSTRequest");
        // A file that breaks off is not whole.
        let body = form(&[("key", "a")], b"content");
        let (_, _, content, whole) = read(&body[..body.len() - 8], 5).unwrap();
        assert!(!whole && content.len() < 7);
    }
}
