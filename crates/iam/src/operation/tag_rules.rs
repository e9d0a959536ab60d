//! Which tags an entity may have.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html>. Keys of roles' and users' tags are compared
//! without regard to case; on policies and providers `Team` and `team` are two tags.

use irsa_wire::{Params, Text, Validator, WireError, patterns};

use crate::error::IamError;
use crate::operation::common;
use crate::record::Tag;

const KEY: Text = Text::new(1, 128, patterns::TAG_KEY);
const VALUE: Text = Text::new(0, 256, patterns::TAG_VALUE);
/// The most tags of one request: the model's maximum, whatever the quota is.
const MAX_IN_REQUEST: usize = 50;

/// How tag keys of an entity are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyCase {
    /// Roles and users.
    Ignored,
    /// Policies and providers.
    Significant,
}

impl KeyCase {
    fn same(self, one: &str, other: &str) -> bool {
        match self {
            // Tag keys may hold letters of any language.
            Self::Ignored => one == other || one.to_lowercase() == other.to_lowercase(),
            Self::Significant => one == other,
        }
    }
}

/// Reads the parameter `Tags`; `None` if it was not sent.
pub(crate) fn read(validator: &mut Validator, params: &Params) -> Result<Option<Vec<Tag>>, WireError> {
    let Some(elements) = params.list("Tags")? else {
        return Ok(None);
    };
    validator.count("tags", elements.len(), 0, MAX_IN_REQUEST);
    let mut tags = Vec::with_capacity(elements.len());
    for (element, number) in elements.iter().zip(1_usize..) {
        let mut read = |name: &str, constraint: Text| {
            let member = format!("tags.{number}.member.{}", common::member(name));
            match element.get(name) {
                Some(value) => validator.text(&member, value, constraint).to_owned(),
                None => {
                    validator.missing(&member);
                    String::new()
                }
            }
        };
        let (key, value) = (read("Key", KEY), read("Value", VALUE));
        if !key.is_empty() && key.chars().all(char::is_whitespace) {
            validator.fail(
                &format!("tags.{number}.member.key"),
                &key,
                false,
                "Member must not be blank",
            );
        }
        tags.push(Tag { key, value });
    }
    Ok(Some(tags))
}

/// Reads `Tags` of a create call: absent and empty are the same.
pub(crate) fn read_optional(validator: &mut Validator, params: &Params) -> Result<Vec<Tag>, WireError> {
    Ok(read(validator, params)?.unwrap_or_default())
}

/// Reads `Tags` of a tag call.
pub(crate) fn read_required(validator: &mut Validator, params: &Params) -> Result<Vec<Tag>, WireError> {
    let tags = read(validator, params)?;
    if tags.is_none() {
        validator.missing("tags");
    }
    Ok(tags.unwrap_or_default())
}

/// Reads `TagKeys` of an untag call.
pub(crate) fn read_keys(validator: &mut Validator, params: &Params) -> Result<Vec<String>, WireError> {
    let keys = common::texts(validator, params, "TagKeys", KEY)?;
    match &keys {
        Some(keys) => validator.count("tagKeys", keys.len(), 0, MAX_IN_REQUEST),
        None => validator.missing("tagKeys"),
    }
    Ok(keys.unwrap_or_default())
}

/// Checks the tags of one request against each other and against the reserved prefix.
pub(crate) fn check(tags: &[Tag], case: KeyCase) -> Result<(), IamError> {
    let reserved = |tag: &Tag| {
        tag.key
            .get(..4)
            .is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"))
    };
    if tags.iter().any(reserved) {
        return Err(IamError::InvalidInput(
            "Tag keys beginning with aws: are reserved for system use.".to_owned(),
        ));
    }
    let repeated =
        |(index, tag): (usize, &Tag)| tags.iter().skip(index + 1).any(|other| case.same(&tag.key, &other.key));
    if tags.iter().enumerate().any(repeated) {
        let message = match case {
            KeyCase::Ignored => "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            KeyCase::Significant => "Duplicate tag keys found.",
        };
        return Err(IamError::InvalidInput(message.to_owned()));
    }
    Ok(())
}

/// Checks the tags of a tag call, which must have some.
pub(crate) fn check_some(tags: &[Tag], case: KeyCase) -> Result<(), IamError> {
    if tags.is_empty() {
        return Err(IamError::InvalidInput("The list of tags must not be empty.".to_owned()));
    }
    check(tags, case)
}

/// Writes tags over those that are there. A key in another case replaces the old one where case is ignored, and shows
/// the new case.
pub(crate) fn merge(
    tags: &mut Vec<Tag>,
    new: Vec<Tag>,
    case: KeyCase,
    entity: &str,
    limit: usize,
) -> Result<(), IamError> {
    for tag in new {
        match tags.iter_mut().find(|old| case.same(&old.key, &tag.key)) {
            Some(old) => *old = tag,
            None => tags.push(tag),
        }
    }
    if tags.len() > limit {
        Err(IamError::quota(&format!("TagsPer{entity}"), limit))
    } else {
        Ok(())
    }
}

/// Takes tags away; a key that is not there is none the less gone.
pub(crate) fn remove(tags: &mut Vec<Tag>, keys: &[String], case: KeyCase) {
    tags.retain(|tag| !keys.iter().any(|key| case.same(&tag.key, key)));
}
