//! A policy, compiled once and never changed.

use std::fmt;
use std::sync::Arc;

use crate::action::Actions;
use crate::condition::Condition;
use crate::error::{Fault, PolicyError, PolicyProblem};
use crate::index::Index;
use crate::principal::Principals;
use crate::profile::Profile;
use crate::resource::Resources;
use crate::syntax::{self, Document, Locator, Operator, Version, clip};

/// What a policy is attached to, which fixes the elements it may have and how it is evaluated.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PolicyKind {
    /// Attached to a user, group or role: managed or inline.
    Identity,
    /// A role's trust policy (`AssumeRolePolicyDocument`).
    Trust,
    /// Attached to a resource, such as a bucket.
    Resource,
    /// A permissions boundary.
    Boundary,
    /// Passed when a session is made.
    Session,
    /// A service control policy of an organization.
    ServiceControl,
    /// A resource control policy of an organization.
    ResourceControl,
    /// A VPC endpoint's policy.
    VpcEndpoint,
}

impl PolicyKind {
    /// Whether statements name principals, and must.
    pub(crate) fn has_principal(self) -> bool {
        matches!(
            self,
            Self::Trust | Self::Resource | Self::ResourceControl | Self::VpcEndpoint
        )
    }
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "an identity-based policy",
            Self::Trust => "a role trust policy",
            Self::Resource => "a resource-based policy",
            Self::Boundary => "a permissions boundary",
            Self::Session => "a session policy",
            Self::ServiceControl => "a service control policy",
            Self::ResourceControl => "a resource control policy",
            Self::VpcEndpoint => "a VPC endpoint policy",
        })
    }
}

/// Whether a statement allows or denies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// `Allow`.
    Allow,
    /// `Deny`.
    Deny,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        })
    }
}

/// A compiled policy: immutable, and shared by all the requests that it applies to.
#[derive(Clone, Debug)]
pub struct Policy {
    label: Arc<str>,
    kind: PolicyKind,
    pub(crate) statements: Box<[Statement]>,
    /// The conditions of all statements; one that several statements have stands here once.
    pub(crate) conditions: Box<[Condition]>,
    pub(crate) index: Index,
}

/// How the texts of one policy are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    pub(crate) kind: PolicyKind,
    /// Whether `${…}` means something.
    pub(crate) variables: bool,
    pub(crate) profile: Profile,
}

impl Dialect {
    #[cfg(test)]
    pub(crate) fn for_tests(kind: PolicyKind, variables: bool) -> Self {
        Self {
            kind,
            variables,
            profile: Profile::AWS,
        }
    }
}

impl Policy {
    /// Reads and compiles a policy text.
    ///
    /// Only what evaluation needs is checked: the grammar, and which elements this kind of policy has. The rules that
    /// IAM enforces when a policy is written are [`validate::document`](crate::validate::document). `label` names the
    /// policy in verdicts: its ARN, or ``inline policy `X` ``.
    ///
    /// # Errors
    /// The text is no policy of this kind; nothing of it may then be used, and the request must be denied.
    pub fn parse(label: &str, kind: PolicyKind, text: &str) -> Result<Self, PolicyError> {
        Self::parse_with(label, kind, text, &Profile::AWS)
    }

    /// As [`parse`](Self::parse), with other choices than AWS's where the language leaves some.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(label: &str, kind: PolicyKind, text: &str, profile: &Profile) -> Result<Self, PolicyError> {
        Self::compile(&label.into(), kind, text, profile).map_err(|fault| PolicyError::new(text, fault))
    }

    fn compile(label: &Arc<str>, kind: PolicyKind, text: &str, profile: &Profile) -> Result<Self, Fault> {
        let document = Document::read(text)?;
        let dialect = Dialect {
            kind,
            variables: document.version == Some(Version::V2012),
            profile: *profile,
        };
        let mut conditions = Vec::new();
        let mut locator = Locator::new(text);
        let mut statements = Vec::with_capacity(document.statements.len());
        for (index, node) in document.statements.iter().enumerate() {
            let (line, column) = locator.locate(node.start);
            let (end_line, end_column) = locator.locate(node.end);
            let source = StatementSource {
                label: Arc::clone(label),
                index,
                sid: node.sid.as_deref().map(Into::into),
                line,
                column,
                end_line,
                end_column,
            };
            statements.push(Statement::new(node, &dialect, &mut conditions, source)?);
        }
        Ok(Self {
            label: Arc::clone(label),
            kind,
            index: Index::new(&statements),
            statements: statements.into(),
            conditions: conditions.into(),
        })
    }

    /// The name that was given to [`parse`](Self::parse).
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What kind of policy it is.
    #[must_use]
    pub fn kind(&self) -> PolicyKind {
        self.kind
    }

    /// Binds the user and role ARNs in `Principal` to unique ids: `resolve` gives the id that an ARN has at the time the
    /// policy is saved, or `None` if it names no user or role. A bound ARN no longer matches an entity that was deleted
    /// and made anew under the same name.
    ///
    /// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>.
    pub fn bind_principals(&mut self, mut resolve: impl FnMut(&str) -> Option<String>) {
        for statement in &mut self.statements {
            if let Some(principals) = &mut statement.principals {
                principals.bind(&mut resolve);
            }
        }
    }
}

/// One compiled statement.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) effect: Effect,
    pub(crate) actions: Actions,
    /// `None` where what the policy is attached to is the resource: the role of a trust policy, or any other.
    pub(crate) resources: Option<Resources>,
    /// `None` in identity-based policies: the holder is the principal.
    pub(crate) principals: Option<Principals>,
    /// Numbers of the policy's conditions.
    pub(crate) conditions: Box<[u32]>,
    pub(crate) source: Arc<StatementSource>,
}

/// Where a statement stands.
#[derive(Debug)]
pub(crate) struct StatementSource {
    label: Arc<str>,
    index: usize,
    sid: Option<Box<str>>,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
}

impl Statement {
    fn new(
        node: &syntax::Statement<'_>,
        dialect: &Dialect,
        known: &mut Vec<Condition>,
        source: StatementSource,
    ) -> Result<Self, Fault> {
        let kind = dialect.kind;
        let missing = |element| Fault::new(node.start, PolicyProblem::Missing(element));
        let barred = |at, element| Fault::new(at, PolicyProblem::NotAllowed { element, kind });
        let effect = match &node.effect {
            Some(effect) if effect.value == "Allow" => Effect::Allow,
            Some(effect) if effect.value == "Deny" => Effect::Deny,
            Some(effect) => return Err(Fault::new(effect.start, PolicyProblem::BadEffect(clip(&effect.value)))),
            None => return Err(missing("Effect")),
        };
        let actions = match (&node.action, &node.not_action) {
            (Some(element), _) => Actions::new(element.value.iter().map(|text| &**text), false),
            (None, Some(element)) if kind == PolicyKind::ResourceControl => {
                return Err(barred(element.at, "NotAction"));
            }
            (None, Some(element)) => Actions::new(element.value.iter().map(|text| &**text), true),
            (None, None) => return Err(missing("Action")),
        };
        let resources = match (&node.resource, &node.not_resource) {
            (Some(element), _) | (None, Some(element)) if kind == PolicyKind::Trust => {
                return Err(barred(element.at, "Resource"));
            }
            // A resource's policy may leave its resource out, as those of ECR repositories do.
            (None, None) if matches!(kind, PolicyKind::Trust | PolicyKind::Resource) => None,
            (None, None) => return Err(missing("Resource")),
            (Some(element), _) | (None, Some(element)) => Some(Resources::new(
                element.value.iter().map(|text| &**text),
                node.resource.is_none(),
                dialect,
            )),
        };
        let principals = match (&node.principal, &node.not_principal) {
            (Some(element), _) | (None, Some(element)) if !kind.has_principal() => {
                return Err(barred(element.at, "Principal"));
            }
            (None, Some(element)) if matches!(kind, PolicyKind::Trust | PolicyKind::ResourceControl) => {
                return Err(barred(element.at, "NotPrincipal"));
            }
            (None, None) if kind.has_principal() => return Err(missing("Principal")),
            (None, None) => None,
            (Some(element), _) => Some(Principals::new(element, false, &dialect.profile)?),
            (None, Some(element)) => Some(Principals::new(element, true, &dialect.profile)?),
        };
        let mut conditions = Vec::new();
        for condition in node.conditions.iter().flatten() {
            let operator = Operator::parse(&condition.operator).ok_or_else(|| {
                Fault::new(
                    condition.operator.start,
                    PolicyProblem::UnknownOperator(clip(&condition.operator)),
                )
            })?;
            conditions.push(number_of(condition, operator, dialect, known));
        }
        Ok(Self {
            effect,
            actions,
            resources,
            principals,
            conditions: conditions.into(),
            source: Arc::new(source),
        })
    }

    /// Whether it denies.
    pub(crate) fn denies(&self) -> bool {
        self.effect == Effect::Deny
    }

    pub(crate) fn to_ref(&self) -> StatementRef {
        StatementRef(Arc::clone(&self.source))
    }
}

/// How many conditions of a policy are found again if they are written again: those whose answer an evaluation keeps.
const KEPT: usize = 64;

/// The number of a condition in the policy's list, where it is entered if it is new. A document has room for far fewer
/// than 2^32.
fn number_of(node: &syntax::Condition<'_>, operator: Operator, dialect: &Dialect, known: &mut Vec<Condition>) -> u32 {
    let written = known.iter().take(KEPT).position(|condition| condition.is_written(node));
    let number = written.unwrap_or_else(|| {
        known.push(Condition::new(node, operator, dialect));
        known.len().saturating_sub(1)
    });
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A statement by name and place; cheap to keep.
#[derive(Clone)]
pub struct StatementRef(Arc<StatementSource>);

impl StatementRef {
    /// The label of its policy.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// Its number in the policy, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// Its `Sid`, if it has one.
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.0.sid.as_deref()
    }

    /// The line where it begins, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.0.line
    }

    /// The column where it begins, in characters from 1.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.0.column
    }

    /// The line and column after its end.
    #[must_use]
    pub fn end(&self) -> (u32, u32) {
        (self.0.end_line, self.0.end_column)
    }
}

impl PartialEq for StatementRef {
    fn eq(&self, other: &Self) -> bool {
        (self.label(), self.index(), self.line(), self.column())
            == (other.label(), other.index(), other.line(), other.column())
    }
}

impl Eq for StatementRef {}

impl fmt::Display for StatementRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement {}", self.index().saturating_add(1))?;
        if let Some(sid) = self.sid() {
            write!(f, " (`{sid}`)")?;
        }
        write!(
            f,
            " of {}, line {}, column {}",
            self.label(),
            self.line(),
            self.column()
        )
    }
}

impl fmt::Debug for StatementRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
