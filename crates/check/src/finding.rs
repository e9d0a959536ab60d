//! What a check finds, and where.

use std::fmt;

/// How bad a finding is, in the words of IAM Access Analyzer; ascending.
///
/// See <https://docs.aws.amazon.com/access-analyzer/latest/APIReference/API_ValidatePolicyFinding.html>.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum FindingType {
    /// The policy could be better.
    Suggestion,
    /// Something does not do what it seems to do.
    Warning,
    /// More is allowed than was probably meant.
    SecurityWarning,
    /// The policy is refused, or a part of it cannot work.
    Error,
}

impl FindingType {
    /// The name in the API, such as `SECURITY_WARNING`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Suggestion => "SUGGESTION",
            Self::Warning => "WARNING",
            Self::SecurityWarning => "SECURITY_WARNING",
            Self::Error => "ERROR",
        }
    }
}

impl fmt::Display for FindingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that is wrong with a policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// How bad it is.
    pub finding_type: FindingType,
    /// The issue code: Access Analyzer's where it has this check, IAM's where IAM refuses the policy, else one that
    /// begins with `IRSA_`.
    pub code: &'static str,
    /// What is wrong, in a sentence.
    pub message: String,
    /// Where the rule is explained.
    pub learn_more: String,
    /// Where it is in the text.
    pub location: Location,
    /// What to do about it.
    pub fix: Option<Fix>,
}

/// A place in a policy document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Location {
    /// The way to it through the document.
    pub path: Path,
    /// The characters it spans.
    pub span: Span,
}

/// A run of characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// Its first character.
    pub start: Position,
    /// The character after its last one.
    pub end: Position,
}

/// A character of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// Its line, from 1.
    pub line: u32,
    /// Its column in characters, from 1.
    pub column: u32,
    /// How many characters stand before it in the text.
    pub offset: usize,
    /// How many bytes stand before it in the text.
    pub byte: usize,
}

/// What to do about a finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fix {
    /// The advice.
    pub description: String,
    /// The change that carries it out, if it is a mechanical one; else empty. Edits do not overlap, and all of them
    /// belong together.
    pub edits: Vec<Edit>,
}

/// The replacement of a run of characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Edit {
    /// What is replaced; empty for an insertion.
    pub span: Span,
    /// What stands there afterwards.
    pub text: String,
}

/// A way through a document, from its top.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Path(pub Vec<Step>);

/// One step of a [`Path`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// To the value of an object's member.
    Member(String),
    /// To an array's entry, from 0.
    Index(usize),
    /// To the name of an object's member; always the last step.
    Key(String),
}

impl Path {
    /// This way and a member's value.
    pub(crate) fn member(&self, name: impl Into<String>) -> Self {
        self.then(Step::Member(name.into()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    pub(crate) fn key(&self, name: impl Into<String>) -> Self {
        self.then(Step::Key(name.into()))
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Member(name) | Step::Key(name) if is_plain(name) => {
                    write!(f, "{}{name}", if position == 0 { "" } else { "." })?;
                }
                Step::Member(name) | Step::Key(name) => write!(f, "[\"{name}\"]")?,
            }
        }
        Ok(())
    }
}

/// A name that needs no quotes in a path.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_code() {
        let path = Path::default().member("Statement").index(0).member("Condition");
        assert_eq!(path.to_string(), "Statement[0].Condition");
        assert_eq!(
            path.member("StringEquals").key("aws:SourceIp").to_string(),
            "Statement[0].Condition.StringEquals[\"aws:SourceIp\"]"
        );
        assert_eq!(Path::default().to_string(), "");
    }

    #[test]
    fn an_error_is_the_worst() {
        assert!(FindingType::Error > FindingType::SecurityWarning);
        assert!(FindingType::SecurityWarning > FindingType::Warning);
        assert!(FindingType::Warning > FindingType::Suggestion);
    }
}
