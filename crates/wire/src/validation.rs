use crate::{Params, WireError};

/// A regular expression of a service model: its text, as AWS prints it, and a function that decides the same.
#[derive(Clone, Copy)]
pub struct Pattern {
    /// The expression as error messages show it.
    pub text: &'static str,
    /// Whether a value satisfies it.
    pub matches: fn(&str) -> bool,
}

/// The expressions that IAM's and STS's models use.
pub mod patterns {
    use super::Pattern;

    fn word(character: char) -> bool {
        character.is_ascii_alphanumeric() || character == '_'
    }

    /// Names of roles, users, policies, and session names.
    pub const NAME: Pattern = Pattern {
        text: r"[\w+=,.@-]+",
        matches: |text| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|character| word(character) || "+=,.@-".contains(character))
        },
    };
    /// Role session names and source identities.
    pub const SESSION_NAME: Pattern = Pattern {
        text: r"[\w+=,.@-]*",
        matches: |text| {
            text.chars()
                .all(|character| word(character) || "+=,.@-".contains(character))
        },
    };
    /// External ids.
    pub const EXTERNAL_ID: Pattern = Pattern {
        text: r"[\w+=,.@:\/-]*",
        matches: |text| {
            text.chars()
                .all(|character| word(character) || "+=,.@:/-".contains(character))
        },
    };
    /// Access key ids.
    pub const ACCESS_KEY_ID: Pattern = Pattern {
        text: r"[\w]+",
        matches: |text| text.chars().all(word),
    };
    /// Paths of roles, users and groups.
    pub const PATH: Pattern = Pattern {
        text: r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)",
        matches: |text| {
            text == "/"
                || text.len() >= 3
                    && text.starts_with('/')
                    && text.ends_with('/')
                    && text.chars().all(|character| ('\u{21}'..='\u{7e}').contains(&character))
        },
    };
    /// Path prefixes of list calls.
    pub const PATH_PREFIX: Pattern = Pattern {
        text: r"\u002F[\u0021-\u007F]*",
        matches: |text| {
            text.starts_with('/') && text.chars().all(|character| ('\u{21}'..='\u{7f}').contains(&character))
        },
    };
    /// Paths of managed policies.
    pub const POLICY_PATH: Pattern = Pattern {
        text: r"((/[A-Za-z0-9\.,\+@=_-]+)*)/",
        matches: |text| {
            let segment = |segment: &str| {
                !segment.is_empty()
                    && segment
                        .chars()
                        .all(|character| word(character) || ".,+@=-".contains(character))
            };
            text == "/"
                || text
                    .strip_prefix('/')
                    .and_then(|rest| rest.strip_suffix('/'))
                    .is_some_and(|inner| inner.split('/').all(segment))
        },
    };
    /// Policy documents and session policies.
    pub const DOCUMENT: Pattern = Pattern {
        text: r"[\u0009\u000A\u000D\u0020-\u00FF]+",
        matches: |text| {
            !text.is_empty()
                && text.chars().all(|character| {
                    matches!(character, '\t' | '\n' | '\r') || ('\u{20}'..='\u{ff}').contains(&character)
                })
        },
    };
    /// Descriptions of roles.
    pub const DESCRIPTION: Pattern = Pattern {
        text: r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*",
        matches: |text| {
            text.chars().all(|character| {
                matches!(character, '\t' | '\n' | '\r')
                    || ('\u{20}'..='\u{7e}').contains(&character)
                    || ('\u{a1}'..='\u{ff}').contains(&character)
            })
        },
    };
    /// Keys of tags.
    pub const TAG_KEY: Pattern = Pattern {
        text: r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+",
        matches: |text| !text.is_empty() && tag(text),
    };
    /// Values of tags.
    pub const TAG_VALUE: Pattern = Pattern {
        text: r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*",
        matches: tag,
    };
    /// Versions of managed policies.
    pub const VERSION_ID: Pattern = Pattern {
        text: r"v[1-9][0-9]*(\.[A-Za-z0-9-]*)?",
        matches: |text| {
            let Some(rest) = text.strip_prefix('v') else {
                return false;
            };
            let (number, tail) = rest
                .split_once('.')
                .map_or((rest, None), |(number, tail)| (number, Some(tail)));
            !number.is_empty()
                && !number.starts_with('0')
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && tail.is_none_or(|tail| tail.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        },
    };
    /// Anything.
    pub const ANY: Pattern = Pattern {
        text: ".*",
        matches: |_| true,
    };

    fn tag(text: &str) -> bool {
        // \p{Z}: separators; White_Space adds the control characters, which are not separators.
        let separator = |character: char| character.is_whitespace() && !character.is_control();
        text.chars().all(|character| {
            character.is_alphabetic()
                || character.is_numeric()
                || separator(character)
                || "_.:/=+-@".contains(character)
        })
    }
}

/// What a text parameter must satisfy; lengths count characters.
#[derive(Clone, Copy)]
pub struct Text {
    /// The least length.
    pub min: usize,
    /// The greatest length.
    pub max: usize,
    /// The model's expression.
    pub pattern: Pattern,
    /// Never echoed in messages: tokens.
    pub sensitive: bool,
}

impl Text {
    /// A constraint on a text that may be shown.
    #[must_use]
    pub const fn new(min: usize, max: usize, pattern: Pattern) -> Self {
        Self {
            min,
            max,
            pattern,
            sensitive: false,
        }
    }
}

/// Collects what is wrong with the parameters of one call and says it as AWS does: all at once, in one `ValidationError`.
#[derive(Default)]
pub struct Validator {
    failures: Vec<String>,
}

impl Validator {
    /// A validator that has found nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A text that must be there. The member's name in messages is the parameter's with a small first letter.
    pub fn required<'a>(&mut self, params: &'a Params, name: &str, text: Text) -> &'a str {
        match params.get(name) {
            Some(value) => self.text(&member(name), value, text),
            None => {
                self.missing(&member(name));
                ""
            }
        }
    }

    /// A text that may be absent.
    pub fn optional<'a>(&mut self, params: &'a Params, name: &str, text: Text) -> Option<&'a str> {
        params.get(name).map(|value| self.text(&member(name), value, text))
    }

    /// Checks one text under the name that messages use; gives it back.
    pub fn text<'a>(&mut self, member: &str, value: &'a str, text: Text) -> &'a str {
        let length = value.chars().count();
        if length > text.max {
            self.fail(
                member,
                value,
                text.sensitive,
                &format!("Member must have length less than or equal to {}", text.max),
            );
        }
        if length < text.min {
            self.fail(
                member,
                value,
                text.sensitive,
                &format!("Member must have length greater than or equal to {}", text.min),
            );
        }
        if !(text.pattern.matches)(value) {
            let constraint = format!("Member must satisfy regular expression pattern: {}", text.pattern.text);
            self.fail(member, value, text.sensitive, &constraint);
        }
        value
    }

    /// A number within bounds that may be absent.
    ///
    /// # Errors
    /// `MalformedInput` at once if the text is no number; a number out of bounds is collected.
    pub fn integer(&mut self, params: &Params, name: &str, min: i32, max: i32) -> Result<Option<i32>, WireError> {
        let Some(number) = params.integer(name)? else {
            return Ok(None);
        };
        if number > max {
            self.fail(
                &member(name),
                &number.to_string(),
                false,
                &format!("Member must have value less than or equal to {max}"),
            );
        }
        if number < min {
            self.fail(
                &member(name),
                &number.to_string(),
                false,
                &format!("Member must have value greater than or equal to {min}"),
            );
        }
        Ok(Some(number))
    }

    /// A word of a fixed set that may be absent.
    pub fn choice<'a>(&mut self, params: &'a Params, name: &str, words: &[&str]) -> Option<&'a str> {
        let value = params.get(name)?;
        if !words.contains(&value) {
            self.fail(
                &member(name),
                value,
                false,
                &format!("Member must satisfy enum value set: [{}]", words.join(", ")),
            );
        }
        Some(value)
    }

    /// A member that must be there and is not.
    pub fn missing(&mut self, member: &str) {
        self.failures.push(format!(
            "Value null at '{member}' failed to satisfy constraint: Member must not be null"
        ));
    }

    /// A list of more or fewer elements than it may have.
    pub fn count(&mut self, member: &str, count: usize, min: usize, max: usize) {
        let constraint = if count > max {
            format!("Member must have length less than or equal to {max}")
        } else if count < min {
            format!("Member must have length greater than or equal to {min}")
        } else {
            return;
        };
        self.failures.push(format!(
            "Value at '{member}' failed to satisfy constraint: {constraint}"
        ));
    }

    /// Any other failed constraint.
    pub fn fail(&mut self, member: &str, value: &str, sensitive: bool, constraint: &str) {
        // AWS echoes the value; a long one would only fill logs.
        let shown: String = value.chars().take(1024).collect();
        self.failures.push(if sensitive {
            format!("Value at '{member}' failed to satisfy constraint: {constraint}")
        } else {
            format!("Value '{shown}' at '{member}' failed to satisfy constraint: {constraint}")
        });
    }

    /// The end of the checks.
    ///
    /// # Errors
    /// One `ValidationError` that lists every failure.
    pub fn finish(self) -> Result<(), WireError> {
        match self.failures.len() {
            0 => Ok(()),
            1 => Err(WireError::validation(format!(
                "1 validation error detected: {}",
                self.failures.join("; ")
            ))),
            count => Err(WireError::validation(format!(
                "{count} validation errors detected: {}",
                self.failures.join("; ")
            ))),
        }
    }
}

/// `RoleName` → `roleName`; `OpenIDConnectProviderArn` → `openIDConnectProviderArn`.
fn member(name: &str) -> String {
    let mut characters = name.chars();
    characters
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(characters)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Text = Text::new(2, 64, patterns::SESSION_NAME);

    fn complaint(pairs: &[(&str, &str)]) -> String {
        let params = Params::from_pairs(pairs.iter().copied());
        let mut validator = Validator::new();
        validator.required(&params, "RoleSessionName", SESSION);
        validator
            .finish()
            .map_or_else(|error| error.message, |()| "fine".to_owned())
    }

    #[test]
    fn messages_are_awss() {
        assert_eq!(complaint(&[("RoleSessionName", "app-1")]), "fine");
        assert_eq!(
            complaint(&[("RoleSessionName", "Session1:2")]),
            "1 validation error detected: Value 'Session1:2' at 'roleSessionName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [\\w+=,.@-]*"
        );
        assert_eq!(
            complaint(&[]),
            "1 validation error detected: Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null"
        );
        assert!(complaint(&[("RoleSessionName", ":")]).starts_with("2 validation errors detected: "));
    }

    #[test]
    fn adv_wt_65_session_names() {
        let (long, longest) = ("a".repeat(65), "a".repeat(64));
        for bad in ["a", long.as_str(), "a/b", "a\nb", "größe", "x LEVEL=", "a b"] {
            assert_ne!(complaint(&[("RoleSessionName", bad)]), "fine", "{bad}");
        }
        assert_eq!(complaint(&[("RoleSessionName", longest.as_str())]), "fine");
    }

    #[test]
    fn paths_and_versions() {
        for (path, good) in [
            ("/", true),
            ("//", false),
            ("/a//b/", true),
            ("/a", false),
            ("a/", false),
            ("/é/", false),
            ("/a b/", false),
        ] {
            assert_eq!((patterns::PATH.matches)(path), good, "{path}");
        }
        for (path, good) in [
            ("/", true),
            ("/a/b/", true),
            ("//", false),
            ("/a//b/", false),
            ("/a/../b/", true),
        ] {
            assert_eq!((patterns::POLICY_PATH.matches)(path), good, "{path}");
        }
        for (version, good) in [
            ("v1", true),
            ("v10.a-b", true),
            ("v0", false),
            ("1", false),
            ("v", false),
            ("v1x", false),
        ] {
            assert_eq!((patterns::VERSION_ID.matches)(version), good, "{version}");
        }
    }

    #[test]
    fn tags_take_letters_of_any_language_but_no_controls() {
        assert!((patterns::TAG_VALUE.matches)("größe 5_.:/=+-@"));
        assert!(!(patterns::TAG_VALUE.matches)("a\nb"));
        assert!(!(patterns::TAG_VALUE.matches)("a*b"));
    }
}
