use serde_json::Value;

use crate::claims::Claims;
use crate::error::TokenError;

const TAGS: &str = "https://aws.amazon.com/tags";
const FLAT_TAG: &str = "https://aws.amazon.com/tags/principal_tags/";
const FLAT_TRANSITIVE: &str = "https://aws.amazon.com/tags/transitive_tag_keys";
const SOURCE_IDENTITY: &str = "https://aws.amazon.com/source_identity";
const ROLES: &str = "https://aws.amazon.com/roles";

/// The session tags that a token asks for. Number, length and alphabet are not checked here: they are rules of the session.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SessionTags {
    /// Keys and values in the order of the token; keys may differ in case only.
    pub tags: Vec<(String, String)>,
    /// Keys of the tags that follow into chained sessions.
    pub transitive_keys: Vec<String>,
}

impl Claims {
    /// The session tags, from the nested claim `https://aws.amazon.com/tags`, whose values are lists of one string, and from the
    /// flattened claims below that name, whose values are strings or such lists. `None` if the token has neither.
    ///
    /// Source: "Passing session tags using AssumeRoleWithWebIdentity" in the IAM user guide.
    ///
    /// # Errors
    /// [`TokenError::MalformedTags`].
    pub fn session_tags(&self) -> Result<Option<SessionTags>, TokenError> {
        let mut found = None;
        for (name, value) in &self.raw {
            if name == TAGS {
                let Value::Object(claim) = value else {
                    return Err(TokenError::MalformedTags);
                };
                let session = found.get_or_insert_with(SessionTags::default);
                match claim.get("principal_tags") {
                    None => {}
                    Some(Value::Object(tags)) => {
                        for (key, value) in tags {
                            session.tags.push((key.clone(), only(value)?));
                        }
                    }
                    Some(_) => return Err(TokenError::MalformedTags),
                }
                if let Some(keys) = claim.get("transitive_tag_keys") {
                    session.transitive_keys.extend(all(keys)?);
                }
            } else if let Some(key) = name.strip_prefix(FLAT_TAG) {
                let value = match value {
                    Value::String(text) => text.clone(),
                    list => only(list)?,
                };
                found
                    .get_or_insert_with(SessionTags::default)
                    .tags
                    .push((key.to_owned(), value));
            } else if name == FLAT_TRANSITIVE {
                let keys = all(value)?;
                found
                    .get_or_insert_with(SessionTags::default)
                    .transitive_keys
                    .extend(keys);
            }
        }
        Ok(found)
    }

    /// The source identity `https://aws.amazon.com/source_identity`; its length and alphabet are rules of the session.
    ///
    /// # Errors
    /// [`TokenError::WrongType`] if it is not a string.
    pub fn source_identity(&self) -> Result<Option<&str>, TokenError> {
        match self.raw.get(SOURCE_IDENTITY) {
            None => Ok(None),
            Some(Value::String(identity)) => Ok(Some(identity)),
            Some(_) => Err(TokenError::WrongType { claim: SOURCE_IDENTITY }),
        }
    }

    /// What the claim `https://aws.amazon.com/roles` lists: the strings of a list, or the pieces of a string between semicolons.
    /// `None` if the claim is absent or null. Members that are not strings and empty pieces are left out, as STS does; whether
    /// the rest are role ARNs is for the caller to say, and an empty list means that none is.
    ///
    /// # Errors
    /// [`TokenError::MalformedRoles`] for every other type.
    pub fn roles(&self) -> Result<Option<Vec<&str>>, TokenError> {
        Ok(match self.raw.get(ROLES) {
            None | Some(Value::Null) => None,
            Some(Value::Array(values)) => Some(
                values
                    .iter()
                    .filter_map(Value::as_str)
                    .filter(|role| !role.is_empty())
                    .collect(),
            ),
            Some(Value::String(text)) => Some(text.split(';').filter(|role| !role.is_empty()).collect()),
            Some(_) => return Err(TokenError::MalformedRoles),
        })
    }
}

/// The string of a list of exactly one.
fn only(value: &Value) -> Result<String, TokenError> {
    match value.as_array().map(Vec::as_slice) {
        Some([Value::String(text)]) => Ok(text.clone()),
        _ => Err(TokenError::MalformedTags),
    }
}

/// The strings of a list of strings.
fn all(value: &Value) -> Result<Vec<String>, TokenError> {
    value
        .as_array()
        .and_then(|values| values.iter().map(|value| value.as_str().map(str::to_owned)).collect())
        .ok_or(TokenError::MalformedTags)
}
