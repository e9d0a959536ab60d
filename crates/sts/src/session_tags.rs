//! The rules of session tags, from claims and from parameters alike.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html>.

use irsa_credentials::Session;
use irsa_token::Claims;
use irsa_wire::{Params, Text, Validator, patterns};

use crate::error::StsError;
use crate::session_settings::is_reserved;

const MAX_TAGS: usize = 50;
const KEY: Text = Text::new(1, 128, patterns::TAG_KEY);
const VALUE: Text = Text::new(0, 256, patterns::TAG_VALUE);

/// Tags that one exchange asks for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct SessionTags {
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) transitive_keys: Vec<String>,
}

impl SessionTags {
    pub(crate) fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.transitive_keys.is_empty()
    }

    /// The tags that a token's claims ask for.
    ///
    /// # Errors
    /// [`StsError::TagsClaim`] for claims of another shape, else as [`check_form`](Self::check_form) and [`check_rules`](Self::check_rules).
    pub(crate) fn claimed(claims: &Claims) -> Result<Self, StsError> {
        let Some(claimed) = claims.session_tags()? else {
            return Ok(Self::default());
        };
        let tags = Self {
            tags: claimed.tags,
            transitive_keys: claimed.transitive_keys,
        };
        let mut validator = Validator::new();
        tags.check_form(&mut validator);
        validator.finish()?;
        tags.check_rules()?;
        Ok(tags)
    }

    /// The tags that the parameters of AssumeRole ask for; what is wrong with their form is in `validator` afterwards.
    ///
    /// # Errors
    /// `MalformedInput` for lists that can't be read.
    pub(crate) fn requested(params: &Params, validator: &mut Validator) -> Result<Self, StsError> {
        let mut tags = Self::default();
        for (element, number) in params.list("Tags")?.unwrap_or_default().iter().zip(1_usize..) {
            let mut member = |name: &str, member: &str| {
                let value = element.get(name);
                if value.is_none() {
                    validator.missing(&format!("tags.{number}.member.{member}"));
                }
                value.map(str::to_owned)
            };
            if let (Some(key), Some(value)) = (member("Key", "key"), member("Value", "value")) {
                tags.tags.push((key, value));
            }
        }
        let keys = params.strings("TransitiveTagKeys")?.unwrap_or_default();
        for (key, number) in keys.into_iter().zip(1_usize..) {
            match key {
                Some(key) => tags.transitive_keys.push(key),
                None => validator.missing(&format!("transitiveTagKeys.{number}.member")),
            }
        }
        tags.check_form(validator);
        Ok(tags)
    }

    /// Checks counts, lengths and characters.
    fn check_form(&self, validator: &mut Validator) {
        validator.count("tags", self.tags.len(), 0, MAX_TAGS);
        validator.count("transitiveTagKeys", self.transitive_keys.len(), 0, MAX_TAGS);
        // The first ones tell enough if there are too many.
        for ((key, value), number) in self.tags.iter().take(MAX_TAGS).zip(1_usize..) {
            validator.text(&format!("tags.{number}.member.key"), key, KEY);
            validator.text(&format!("tags.{number}.member.value"), value, VALUE);
        }
        for (key, number) in self.transitive_keys.iter().take(MAX_TAGS).zip(1_usize..) {
            validator.text(&format!("transitiveTagKeys.{number}.member"), key, KEY);
        }
    }

    /// Checks the reserved prefix, that keys are unique without regard to case, and that transitive keys are keys of tags.
    ///
    /// # Errors
    /// [`StsError::SessionTags`] or [`StsError::Validation`] in AWS's words.
    pub(crate) fn check_rules(&self) -> Result<(), StsError> {
        if self.tags.iter().any(|(key, _)| is_reserved(key)) {
            return Err(StsError::Validation(
                "Tag keys beginning with aws: are reserved for system use.".to_owned(),
            ));
        }
        let mut keys: Vec<String> = self.tags.iter().map(|(key, _)| key.to_lowercase()).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(StsError::SessionTags(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.".to_owned(),
            ));
        }
        let included = |transitive: &String| keys.binary_search(&transitive.to_lowercase()).is_ok();
        if !self.transitive_keys.iter().all(included) {
            return Err(StsError::SessionTags(
                "The specified transitive tag key must be included in the requested tags.".to_owned(),
            ));
        }
        Ok(())
    }

    /// Adds what the calling session hands on: its transitive tags, which can't be set anew.
    ///
    /// # Errors
    /// [`StsError::SessionTags`] if a requested tag has the key of an inherited one.
    pub(crate) fn inherit(mut self, caller: &Session) -> Result<Self, StsError> {
        for transitive in &caller.transitive_tag_keys {
            let inherited = caller.tags.iter().find(|(key, _)| is_same_key(key, transitive));
            let Some((key, value)) = inherited else { continue };
            if self.tags.iter().any(|(requested, _)| is_same_key(requested, key)) {
                return Err(StsError::SessionTags(
                    "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling \
                     session."
                        .to_owned(),
                ));
            }
            self.tags.push((key.clone(), value.clone()));
            self.transitive_keys.push(key.clone());
        }
        Ok(self)
    }
}

/// Tag keys may hold letters of any language; none of them counts by its case.
fn is_same_key(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}
