use crate::PolicyKind;
use crate::syntax::{JsonError, JsonFault, Locator};

/// A policy text that cannot be evaluated: what is wrong, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct PolicyError {
    line: u32,
    column: u32,
    problem: PolicyProblem,
}

impl PolicyError {
    pub(crate) fn new(text: &str, fault: Fault) -> Self {
        let (line, column) = Locator::new(text).locate(fault.at.min(text.len()));
        Self {
            line,
            column,
            problem: fault.problem,
        }
    }

    /// The line of the fault, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The column of the fault in characters, from 1.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.column
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &PolicyProblem {
        &self.problem
    }
}

/// What can be wrong with a policy text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyProblem {
    /// The text is larger than any API takes.
    #[error("the document is longer than {0} bytes")]
    TooLong(usize),
    /// The text is not JSON.
    #[error("not JSON: expected {0}")]
    NotJson(&'static str),
    /// Arrays and objects are nested deeper than a policy ever is.
    #[error("nested too deeply")]
    TooDeep,
    /// A member stands twice in one object.
    #[error("`{0}` stands twice in one object")]
    RepeatedMember(String),
    /// A member that the language does not have.
    #[error("unknown element `{0}`")]
    UnknownElement(String),
    /// An element of the wrong JSON type.
    #[error("`{element}` must be {expected}")]
    WrongType {
        /// The element.
        element: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A required element is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// An element and its negation in one statement.
    #[error("`{0}` and `{1}` exclude each other")]
    Both(&'static str, &'static str),
    /// The version is none of the two that exist.
    #[error("unknown version `{0}`")]
    BadVersion(String),
    /// The effect is neither `Allow` nor `Deny`.
    #[error("unknown effect `{0}`")]
    BadEffect(String),
    /// A condition operator that does not exist.
    #[error("unknown condition operator `{0}`")]
    UnknownOperator(String),
    /// The principal has no such form.
    #[error("`{0}` is not a principal")]
    BadPrincipal(String),
    /// An element that this kind of policy must not have.
    #[error("`{element}` is not allowed in {kind}")]
    NotAllowed {
        /// The element.
        element: &'static str,
        /// The kind of policy.
        kind: PolicyKind,
    },
}

/// A problem at a byte offset; becomes a [`PolicyError`] once the offset is a line and a column.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) problem: PolicyProblem,
}

impl Fault {
    pub(crate) fn new(at: usize, problem: PolicyProblem) -> Self {
        Self { at, problem }
    }
}

impl From<JsonError> for Fault {
    fn from(error: JsonError) -> Self {
        let problem = match error.fault {
            JsonFault::Expected(what) => PolicyProblem::NotJson(what),
            JsonFault::TooDeep => PolicyProblem::TooDeep,
            JsonFault::Repeated(name) => PolicyProblem::RepeatedMember(name),
        };
        Self::new(error.at, problem)
    }
}
