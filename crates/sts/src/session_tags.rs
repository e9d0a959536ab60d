//! The rules of session tags, from claims and from parameters alike.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html>.

use irsa_credentials::Session;
use irsa_wire::patterns;

use crate::error::StsError;

const MAX_TAGS: usize = 50;

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

    /// Checks counts, characters, the reserved prefix, and that keys are unique without regard to case.
    ///
    /// # Errors
    /// [`StsError::SessionTags`] or [`StsError::Validation`] in AWS's words.
    pub(crate) fn check(&self) -> Result<(), StsError> {
        if self.tags.len() > MAX_TAGS || self.transitive_keys.len() > MAX_TAGS {
            let member = if self.tags.len() > MAX_TAGS {
                "tags"
            } else {
                "transitiveTagKeys"
            };
            return Err(StsError::Validation(format!(
                "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have length less than or equal \
                 to {MAX_TAGS}"
            )));
        }
        for (key, value) in &self.tags {
            let key_fits = (1..=128).contains(&key.chars().count()) && (patterns::TAG_KEY.matches)(key);
            let value_fits = value.chars().count() <= 256 && (patterns::TAG_VALUE.matches)(value);
            if !key_fits || !value_fits {
                let (member, text) = if key_fits { ("value", value) } else { ("key", key) };
                let shown: String = text.chars().take(300).collect();
                return Err(StsError::Validation(format!(
                    "1 validation error detected: Value '{shown}' at 'tags.{member}' failed to satisfy constraint: Member must satisfy \
                     regular expression pattern: {}",
                    patterns::TAG_KEY.text
                )));
            }
            if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
                return Err(StsError::Validation(
                    "Tag keys beginning with aws: are reserved for system use.".to_owned(),
                ));
            }
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
    pub(crate) fn inherit(mut self, caller: Option<&Session>) -> Result<Self, StsError> {
        let Some(caller) = caller else { return Ok(self) };
        for key in &caller.transitive_tag_keys {
            let inherited = caller.tags.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(key));
            let Some(inherited) = inherited else { continue };
            if self.tags.iter().any(|(tag, _)| tag.eq_ignore_ascii_case(key)) {
                return Err(StsError::SessionTags(
                    "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling \
                     session."
                        .to_owned(),
                ));
            }
            self.tags.push(inherited.clone());
            self.transitive_keys.push(inherited.0.clone());
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)], transitive: &[&str]) -> SessionTags {
        SessionTags {
            tags: pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            transitive_keys: transitive.iter().map(|key| (*key).to_owned()).collect(),
        }
    }

    #[test]
    fn adv_wt_57_rules_of_session_tags() {
        assert_eq!(tags(&[("Team", "a"), ("Größe", "5 m")], &["team"]).check(), Ok(()));
        let many: Vec<(String, String)> = (0..51).map(|index| (format!("k{index}"), String::new())).collect();
        let many = SessionTags {
            tags: many,
            transitive_keys: Vec::new(),
        };
        let (long_key, long_value) = ("k".repeat(129), "v".repeat(257));
        for bad in [
            many,
            tags(&[(long_key.as_str(), "")], &[]),
            tags(&[("k", long_value.as_str())], &[]),
            tags(&[("AWS:x", "")], &[]),
            tags(&[("Team", "a"), ("team", "b")], &[]),
            tags(&[("Team", "a")], &["other"]),
            tags(&[("a*b", "")], &[]),
            tags(&[("", "")], &[]),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
