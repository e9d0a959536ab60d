//! As much DER (X.690) as is needed to walk over certificates and RSA public keys.

/// Tag of a sequence.
pub(crate) const SEQUENCE: u8 = 0x30;
/// Tag of an integer.
pub(crate) const INTEGER: u8 = 0x02;

/// One element: tag, length and content.
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    /// Tag and length included.
    pub(crate) whole: &'a [u8],
    pub(crate) content: &'a [u8],
    /// What follows the element.
    pub(crate) rest: &'a [u8],
}

/// Content of the first element, which must have this tag, and what follows the element.
pub(crate) fn content(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let element = element(der)?;
    (element.tag == tag).then_some((element.content, element.rest))
}

/// The first element; tags of more than one byte and lengths of more than three do not occur in what we read.
pub(crate) fn element(der: &[u8]) -> Option<Element<'_>> {
    let (&[tag, first], mut after) = der.split_first_chunk::<2>()?;
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81..=0x83 => {
            let (digits, rest) = after.split_at_checked(usize::from(first & 0x7f))?;
            after = rest;
            digits
                .iter()
                .fold(0, |length, digit| length * 256 + usize::from(*digit))
        }
        _ => return None,
    };
    let (content, rest) = after.split_at_checked(length)?;
    Some(Element {
        tag,
        whole: der.get(..der.len() - rest.len())?,
        content,
        rest,
    })
}
