use std::borrow::Cow;

use crate::WireError;

/// The parameters of one Query call, in the order in which they were sent.
///
/// Names are unique: the same name twice, or in the query string and in the body, is refused, because two readers could
/// disagree about which one counts.
#[derive(Clone, Debug, Default)]
pub struct Params {
    members: Vec<(String, String)>,
}

impl Params {
    /// The largest index of a list; above it the input is refused.
    const MAX_INDEX: usize = 1000;
    /// The gap between two indexes of a list from which AWS refuses it.
    const SPARSE_LIMIT: usize = 11;

    /// Reads a form (`application/x-www-form-urlencoded`): a body or a query string.
    ///
    /// # Errors
    /// Text that is no UTF-8 after decoding, a broken percent escape, or a name that comes twice.
    pub fn parse(form: &[u8]) -> Result<Self, ParamsError> {
        let mut members: Vec<(String, String)> = Vec::new();
        for part in form.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
            let mut halves = part.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            members.push((name, value));
        }
        let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let repeated = names
            .iter()
            .zip(names.iter().skip(1))
            .find(|(one, other)| one == other)
            .map(|(name, _)| *name);
        if let Some(name) = repeated {
            return Err(ParamsError::Repeated(name.chars().take(128).collect()));
        }
        Ok(Self { members })
    }

    /// Makes parameters from pairs: for callers inside the program.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self {
            members: pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }

    /// The value of a plain parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.members
            .iter()
            .find(|(member, _)| member == name)
            .map(|(_, value)| value.as_str())
    }

    /// All pairs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether nothing was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A whole number. AWS takes leading zeros and a plus sign, and nothing else around the digits.
    ///
    /// # Errors
    /// `MalformedInput` if the text is no 32-bit integer.
    pub fn integer(&self, name: &str) -> Result<Option<i32>, WireError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let number = (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse().ok())
            .flatten();
        number
            .map(Some)
            .ok_or_else(|| malformed(format!("Could not parse '{}' as an integer", shorten(text))))
    }

    /// A boolean: `true`, `false`, `1` or `0`.
    ///
    /// # Errors
    /// `MalformedInput` for any other text.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, WireError> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(text) => Err(malformed(format!("Could not parse '{}' as a boolean", shorten(text)))),
        }
    }

    /// The elements of the list `Name.member.N…`, each as parameters of its own: a list of strings has the empty name,
    /// a list of structures the members' names. A small gap in the numbers gives an element without parameters.
    ///
    /// An empty list can be sent as `Name=`, which is why absent (`None`) and empty differ.
    ///
    /// # Errors
    /// `MalformedInput` with AWS's texts for an index that is no number, zero, negative, or far behind the one before.
    pub fn list(&self, name: &str) -> Result<Option<Vec<Self>>, WireError> {
        let mut found: Vec<(usize, String, String)> = Vec::new();
        let mut present = false;
        for (member, value) in &self.members {
            let Some(rest) = member.strip_prefix(name) else {
                continue;
            };
            if rest.is_empty() {
                present = true;
                continue;
            }
            let Some(rest) = rest.strip_prefix(".member.") else {
                continue;
            };
            let (index, tail) = rest.split_once('.').unwrap_or((rest, ""));
            found.push((Self::index(index)?, tail.to_owned(), value.clone()));
        }
        if found.is_empty() {
            return Ok(present.then(Vec::new));
        }
        let mut indexes: Vec<usize> = found.iter().map(|(index, _, _)| *index).collect();
        indexes.sort_unstable();
        let mut previous = 0_usize;
        for index in &indexes {
            let skipped = index.saturating_sub(previous).saturating_sub(1);
            if skipped >= Self::SPARSE_LIMIT.saturating_sub(1) {
                return Err(malformed(format!(
                    "Excessively sparse input would skip {skipped} list elements"
                )));
            }
            previous = *index;
        }
        let mut elements = vec![Self::default(); previous];
        for (index, tail, value) in found {
            if let Some(element) = elements.get_mut(index.saturating_sub(1)) {
                if element.get(&tail).is_some() {
                    return Err(malformed(format!("Duplicate list element {index}")));
                }
                element.members.push((tail, value));
            }
        }
        Ok(Some(elements))
    }

    /// The elements of a list of plain strings; `None` inside stands for a skipped number.
    ///
    /// # Errors
    /// As [`Params::list`].
    pub fn strings(&self, name: &str) -> Result<Option<Vec<Option<String>>>, WireError> {
        let elements = self.list(name)?;
        Ok(elements.map(|elements| {
            elements
                .iter()
                .map(|element| element.get("").map(str::to_owned))
                .collect()
        }))
    }

    fn index(text: &str) -> Result<usize, WireError> {
        if text.starts_with('-') {
            return Err(malformed(format!("Key {} may not have a leading '-'", shorten(text))));
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed("Start of list found where not expected"));
        }
        match text.parse::<usize>() {
            Ok(0) => Err(malformed("0 is not a valid index")),
            Ok(index) if index <= Self::MAX_INDEX => Ok(index),
            _ => Err(malformed(format!("{} is not a valid index", shorten(text)))),
        }
    }
}

fn malformed(message: impl Into<String>) -> WireError {
    WireError::new("MalformedInput", 400, message)
}

fn shorten(text: &str) -> Cow<'_, str> {
    if text.chars().count() > 64 {
        text.chars().take(64).collect()
    } else {
        Cow::Borrowed(text)
    }
}

/// Decodes one name or value of a form: `+` is a space, `%XX` a byte.
fn decode(text: &[u8]) -> Result<String, ParamsError> {
    if !text.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return String::from_utf8(text.to_vec()).map_err(|_| ParamsError::NotUtf8);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |digit: Option<&u8>| digit.and_then(|digit| char::from(*digit).to_digit(16));
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(ParamsError::Escape);
                };
                bytes.push(u8::try_from(high * 16 + low).map_err(|_| ParamsError::Escape)?);
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| ParamsError::NotUtf8)
}

/// Why a form can't be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParamsError {
    /// A percent sign without two hexadecimal digits.
    #[error("a percent escape is broken")]
    Escape,
    /// The decoded text is no UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The same name twice.
    #[error("the parameter `{0}` is there twice")]
    Repeated(String),
}

impl From<ParamsError> for WireError {
    fn from(error: ParamsError) -> Self {
        Self::new(
            "MalformedQueryString",
            400,
            format!("The query string is malformed: {error}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_error(form: &str) -> String {
        Params::parse(form.as_bytes()).unwrap().list("L").unwrap_err().message
    }

    #[test]
    fn forms_are_decoded() {
        let params = Params::parse(b"Action=CreateRole&Text=a+b%20%C3%A9%2B&Empty=&Bare&&").unwrap();
        assert_eq!(params.get("Action"), Some("CreateRole"));
        assert_eq!(params.get("Text"), Some("a b é+"));
        assert_eq!(params.get("Empty"), Some(""));
        assert_eq!(params.get("Bare"), Some(""));
    }

    #[test]
    fn bad_forms_are_refused() {
        assert_eq!(Params::parse(b"a=%zz").unwrap_err(), ParamsError::Escape);
        assert_eq!(Params::parse(b"a=%f").unwrap_err(), ParamsError::Escape);
        assert_eq!(Params::parse(b"a=%ff").unwrap_err(), ParamsError::NotUtf8);
    }

    #[test]
    fn adv_wt_63_a_name_may_come_once() {
        let error = Params::parse(b"RoleArn=a&x=1&RoleArn=b").unwrap_err();
        assert_eq!(error, ParamsError::Repeated("RoleArn".to_owned()));
        // The same name in another spelling of its escapes is the same name.
        assert!(Params::parse(b"RoleArn=a&Role%41rn=b").is_err());
    }

    #[test]
    fn lists_are_read_by_their_numbers() {
        let params = Params::parse(b"L.member.2.Key=b&L.member.01.Key=a&L.member.1.Value=v").unwrap();
        let list = params.list("L").unwrap().unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(
            (list[0].get("Key"), list[0].get("Value"), list[1].get("Key")),
            (Some("a"), Some("v"), Some("b"))
        );
        let strings = Params::parse(b"L.member.1=x&L.member.3=z")
            .unwrap()
            .strings("L")
            .unwrap()
            .unwrap();
        assert_eq!(strings, [Some("x".to_owned()), None, Some("z".to_owned())]);
        assert_eq!(
            Params::parse(b"").unwrap().list("L").unwrap().map(|list| list.len()),
            None
        );
        assert_eq!(
            Params::parse(b"L=").unwrap().list("L").unwrap().map(|list| list.len()),
            Some(0)
        );
    }

    #[test]
    fn adv_ia_15_lists_with_bad_numbers_are_refused_in_awss_words() {
        assert_eq!(list_error("L.member.one=a"), "Start of list found where not expected");
        assert_eq!(list_error("L.member.%2B1=a"), "Start of list found where not expected");
        assert_eq!(list_error("L.member.0=a"), "0 is not a valid index");
        assert_eq!(list_error("L.member.-1=a"), "Key -1 may not have a leading '-'");
        assert_eq!(
            list_error("L.member.1=a&L.member.13=b"),
            "Excessively sparse input would skip 11 list elements"
        );
        assert!(list_error("L.member.99999999999999999999=a").ends_with("is not a valid index"));
    }

    #[test]
    fn integers_as_aws_reads_them() {
        let read = |text: &str| Params::from_pairs([("N", text)]).integer("N");
        for (text, number) in [("01", 1), ("+1", 1), ("0900", 900), ("-5", -5)] {
            assert_eq!(read(text).unwrap(), Some(number), "{text}");
        }
        for text in [" 1 ", "1.0", "1e0", "2147483648", "", "+", "--1"] {
            assert_eq!(read(text).unwrap_err().code, "MalformedInput", "{text}");
        }
    }
}
