//! A policy, compiled once and never changed.

use std::fmt;
use std::sync::Arc;

use crate::condition::Condition;
use crate::context::{Context, key_hash, same_name};
use crate::error::{Fault, PolicyError, PolicyProblem};
use crate::pattern::{Pattern, Syntax};
use crate::principal::Principals;
use crate::resource::ResourcePattern;
use crate::syntax::Locator;
use crate::syntax::Operator;
use crate::syntax::{self, Document, Version, clip};

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
        let label: Arc<str> = label.into();
        Self::compile(&label, kind, text).map_err(|fault| PolicyError::new(text, fault))
    }

    fn compile(label: &Arc<str>, kind: PolicyKind, text: &str) -> Result<Self, Fault> {
        let document = Document::read(text)?;
        let variables = document.version == Some(Version::V2012);
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
            statements.push(Statement::new(node, kind, variables, source)?);
        }
        Ok(Self {
            label: Arc::clone(label),
            kind,
            statements: statements.into(),
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
    /// `None` in trust policies: the role is the resource.
    pub(crate) resources: Option<Resources>,
    /// `None` in identity-based policies: the holder is the principal.
    pub(crate) principals: Option<Principals>,
    pub(crate) conditions: Box<[Condition]>,
    pub(crate) source: Arc<StatementSource>,
}

#[derive(Clone, Debug)]
pub(crate) struct Actions {
    pub(crate) negated: bool,
    pub(crate) patterns: Box<[ActionPattern]>,
}

/// One entry of `Action` or `NotAction`.
#[derive(Clone, Debug)]
pub(crate) struct ActionPattern {
    /// The hash of the text: most entries name one operation, and are told apart by a number.
    hash: u32,
    pattern: Pattern,
    pub(crate) text: Box<str>,
}

impl ActionPattern {
    fn new(text: &str) -> Self {
        let syntax = Syntax {
            wildcards: true,
            variables: false,
        };
        Self {
            hash: key_hash(text.as_bytes()),
            pattern: Pattern::new(text, syntax),
            text: text.into(),
        }
    }

    /// Whether the action matches. Actions compare without regard to ASCII case, both halves.
    #[inline]
    pub(crate) fn matches(&self, action: &Action<'_>, context: &Context) -> bool {
        match &self.pattern {
            Pattern::Any => true,
            Pattern::Exact(exact) => self.hash == action.hash && same_name(exact.as_bytes(), action.text.as_bytes()),
            pattern => pattern.matches_ignoring_case(action.text, context),
        }
    }
}

/// The action of a request, prepared for comparing.
pub(crate) struct Action<'r> {
    pub(crate) text: &'r str,
    hash: u32,
}

impl<'r> Action<'r> {
    pub(crate) fn new(text: &'r str) -> Self {
        Self {
            text,
            hash: key_hash(text.as_bytes()),
        }
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.text.eq_ignore_ascii_case(name)
    }

    pub(crate) fn starts_with(&self, prefix: &str) -> bool {
        self.text
            .as_bytes()
            .get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Resources {
    pub(crate) negated: bool,
    pub(crate) patterns: Box<[ResourcePattern]>,
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
        kind: PolicyKind,
        variables: bool,
        source: StatementSource,
    ) -> Result<Self, Fault> {
        let missing = |element| Fault::new(node.start, PolicyProblem::Missing(element));
        let barred = |at, element| Fault::new(at, PolicyProblem::NotAllowed { element, kind });
        let effect = match &node.effect {
            Some(effect) if effect.value == "Allow" => Effect::Allow,
            Some(effect) if effect.value == "Deny" => Effect::Deny,
            Some(effect) => return Err(Fault::new(effect.start, PolicyProblem::BadEffect(clip(&effect.value)))),
            None => return Err(missing("Effect")),
        };
        let actions = match (&node.action, &node.not_action) {
            (Some(element), _) => Actions {
                negated: false,
                patterns: element.value.iter().map(|text| ActionPattern::new(text)).collect(),
            },
            (None, Some(element)) if kind == PolicyKind::ResourceControl => {
                return Err(barred(element.at, "NotAction"));
            }
            (None, Some(element)) => Actions {
                negated: true,
                patterns: element.value.iter().map(|text| ActionPattern::new(text)).collect(),
            },
            (None, None) => return Err(missing("Action")),
        };
        let resources = match (&node.resource, &node.not_resource) {
            (Some(element), _) | (None, Some(element)) if kind == PolicyKind::Trust => {
                return Err(barred(element.at, "Resource"));
            }
            (None, None) if kind == PolicyKind::Trust => None,
            (None, None) => return Err(missing("Resource")),
            (Some(element), _) | (None, Some(element)) => Some(Resources {
                negated: node.resource.is_none(),
                patterns: element
                    .value
                    .iter()
                    .map(|text| ResourcePattern::new(text, kind, variables))
                    .collect(),
            }),
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
            (Some(element), _) => Some(Principals::new(element, false)?),
            (None, Some(element)) => Some(Principals::new(element, true)?),
        };
        let mut conditions = Vec::new();
        for condition in node.conditions.iter().flatten() {
            let operator = Operator::parse(&condition.operator).ok_or_else(|| {
                Fault::new(
                    condition.operator.start,
                    PolicyProblem::UnknownOperator(clip(&condition.operator)),
                )
            })?;
            conditions.push(Condition::new(condition, operator, variables));
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

    pub(crate) fn to_ref(&self) -> StatementRef {
        StatementRef(Arc::clone(&self.source))
    }
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
