//! Policy documents: which elements they have, and which of them each kind of policy may have.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>.

use super::condition::{self, Condition};
use super::json::{self, Json};

/// What a policy is attached to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "the kinds are named by AWS")]
pub enum Kind {
    Identity,
    Boundary,
    Session,
    Trust,
    Resource,
    ServiceControl,
    ResourceControl,
    VpcEndpoint,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Identity,
        Self::Boundary,
        Self::Session,
        Self::Trust,
        Self::Resource,
        Self::ServiceControl,
        Self::ResourceControl,
        Self::VpcEndpoint,
    ];
}

/// What a statement is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "two words of the language")]
pub enum Effect {
    Allow,
    Deny,
}

/// The list of an element, or of its negation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Names<T> {
    /// Whether the element is the `Not…` form.
    pub negated: bool,
    /// Its entries.
    pub entries: Vec<T>,
}

/// One entry of `Principal` or `NotPrincipal`. `"*"` is read as `{"AWS": "*"}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PrincipalEntry {
    /// `AWS`, `Service`, `Federated` or `CanonicalUser`.
    pub kind: String,
    /// The text.
    pub text: String,
    /// The unique id that the ARN of a user or role had when the policy was saved.
    pub id: Option<String>,
}

/// One statement.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the members are the elements of the language")]
pub struct Statement {
    pub effect: Effect,
    pub principal: Option<Names<PrincipalEntry>>,
    pub action: Names<String>,
    pub resource: Option<Names<String>>,
    pub conditions: Vec<Condition>,
}

/// One policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Document {
    /// What it is attached to.
    pub kind: Kind,
    /// Whether it is of version 2012-10-17, which has policy variables. A document without a version is of 2008-10-17.
    pub has_variables: bool,
    /// Its statements.
    pub statements: Vec<Statement>,
}

impl Document {
    /// Reads a text as a policy of a kind.
    ///
    /// # Errors
    /// The text is none.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, String> {
        let members = object(json::parse(text)?, "the document")?;
        only(&members, &["Version", "Id", "Statement"])?;
        if let Some(id) = member(&members, "Id") {
            text_of(id, "Id")?;
        }
        let version = member(&members, "Version").map(|version| text_of(version, "Version"));
        let has_variables = match version.transpose()?.as_deref() {
            None | Some("2008-10-17") => false,
            Some("2012-10-17") => true,
            Some(other) => return Err(format!("unknown version `{other}`")),
        };
        let statements = match member(&members, "Statement").ok_or("no Statement")? {
            Json::List(list) if list.is_empty() => return Err("no statement".to_owned()),
            Json::List(list) => list.iter().map(|one| statement(kind, one)).collect::<Result<_, _>>()?,
            one => vec![statement(kind, one)?],
        };
        Ok(Self {
            kind,
            has_variables,
            statements,
        })
    }

    /// Binds the ARNs of users and roles in principals to unique ids, as saving a policy does: who is deleted and made
    /// anew under the same name is somebody else.
    ///
    /// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>.
    pub fn bind(&mut self, bindings: &[(String, String)]) {
        for statement in &mut self.statements {
            for entry in statement.principal.iter_mut().flat_map(|names| &mut names.entries) {
                let found = bindings
                    .iter()
                    .find(|(arn, _)| entry.kind == "AWS" && *arn == entry.text);
                entry.id = found.map(|(_, id)| id.clone());
            }
        }
    }
}

fn statement(kind: Kind, json: &Json) -> Result<Statement, String> {
    let members = object(json.clone(), "a statement")?;
    only(
        &members,
        &[
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ],
    )?;
    if let Some(sid) = member(&members, "Sid") {
        text_of(sid, "Sid")?;
    }
    let effect = match text_of(member(&members, "Effect").ok_or("no Effect")?, "Effect")?.as_str() {
        "Allow" => Effect::Allow,
        "Deny" => Effect::Deny,
        other => return Err(format!("unknown effect `{other}`")),
    };
    let statement = Statement {
        effect,
        principal: either(&members, "Principal", "NotPrincipal", principals)?,
        action: either(&members, "Action", "NotAction", texts)?.ok_or("no action")?,
        resource: either(&members, "Resource", "NotResource", texts)?,
        conditions: match member(&members, "Condition") {
            Some(block) => conditions(block)?,
            None => Vec::new(),
        },
    };
    permitted(kind, &statement)?;
    Ok(statement)
}

/// Which elements each kind of policy must have and must not have.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html> and
/// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps_syntax.html>.
fn permitted(kind: Kind, statement: &Statement) -> Result<(), String> {
    let negates_principal = statement.principal.as_ref().is_some_and(|names| names.negated);
    match kind {
        Kind::Identity | Kind::Boundary | Kind::Session | Kind::ServiceControl => {
            if statement.principal.is_some() {
                return Err("names a principal".to_owned());
            }
        }
        Kind::Trust | Kind::Resource | Kind::ResourceControl | Kind::VpcEndpoint => {
            if statement.principal.is_none() {
                return Err("names no principal".to_owned());
            }
        }
    }
    if kind == Kind::Trust && negates_principal {
        return Err("NotPrincipal in a trust policy".to_owned());
    }
    match (kind, &statement.resource) {
        (Kind::Trust, Some(_)) => return Err("a resource in a trust policy".to_owned()),
        // The policy of some resources, such as repositories, is about that resource.
        (Kind::Trust | Kind::Resource, None) => {}
        (_, None) => return Err("no resource".to_owned()),
        (_, Some(_)) => {}
    }
    if kind == Kind::ResourceControl && (negates_principal || statement.action.negated) {
        return Err("a negation that a resource control policy must not have".to_owned());
    }
    Ok(())
}

fn object(json: Json, what: &str) -> Result<Vec<(String, Json)>, String> {
    match json {
        Json::Object(members) => Ok(members),
        _ => Err(format!("{what} is no object")),
    }
}

fn member<'m>(members: &'m [(String, Json)], name: &str) -> Option<&'m Json> {
    members
        .iter()
        .find(|(member, _)| member == name)
        .map(|(_, value)| value)
}

fn only(members: &[(String, Json)], known: &[&str]) -> Result<(), String> {
    match members.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => Err(format!("unknown element `{name}`")),
        None => Ok(()),
    }
}

fn text_of(json: &Json, what: &str) -> Result<String, String> {
    match json {
        Json::Text(text) => Ok(text.clone()),
        _ => Err(format!("`{what}` is no string")),
    }
}

/// An element, its negation, or neither; both at once is an error.
fn either<T>(
    members: &[(String, Json)],
    name: &str,
    negation: &str,
    read: fn(&Json) -> Result<Vec<T>, String>,
) -> Result<Option<Names<T>>, String> {
    let (negated, json) = match (member(members, name), member(members, negation)) {
        (Some(_), Some(_)) => return Err(format!("`{name}` and `{negation}`")),
        (Some(json), None) => (false, json),
        (None, Some(json)) => (true, json),
        (None, None) => return Ok(None),
    };
    let entries = read(json)?;
    Ok(Some(Names { negated, entries }))
}

/// A string, or a list of strings.
fn texts(json: &Json) -> Result<Vec<String>, String> {
    match json {
        Json::List(list) => list.iter().map(|one| text_of(one, "an entry")).collect(),
        one => Ok(vec![text_of(one, "an entry")?]),
    }
}

/// `"*"`, or an object from the types of principals to a string or a list of strings.
fn principals(json: &Json) -> Result<Vec<PrincipalEntry>, String> {
    if *json == Json::Text("*".to_owned()) {
        return Ok(vec![entry("AWS", "*")]);
    }
    let members = object(json.clone(), "Principal")?;
    only(&members, &["AWS", "Service", "Federated", "CanonicalUser"])?;
    let mut entries = Vec::new();
    for (name, value) in &members {
        for text in texts(value)? {
            // `*` alone is everyone; it is no part of a name.
            if text.is_empty() || (text != "*" && text.contains(['*', '?'])) {
                return Err(format!("`{text}` is no principal"));
            }
            entries.push(entry(name, &text));
        }
    }
    if entries.is_empty() {
        return Err("no principal".to_owned());
    }
    Ok(entries)
}

fn entry(kind: &str, text: &str) -> PrincipalEntry {
    PrincipalEntry {
        kind: kind.to_owned(),
        text: text.to_owned(),
        id: None,
    }
}

fn conditions(block: &Json) -> Result<Vec<Condition>, String> {
    let mut conditions = Vec::new();
    for (operator, keys) in object(block.clone(), "Condition")? {
        let operator = condition::operator(&operator).ok_or_else(|| format!("unknown operator `{operator}`"))?;
        for (key, values) in object(keys, "an operator")? {
            let values = match &values {
                Json::List(list) => list.iter().map(value).collect::<Result<_, _>>()?,
                one => vec![value(one)?],
            };
            let (quantifier, base, negated, if_exists) = operator;
            conditions.push(Condition {
                quantifier,
                base,
                negated,
                if_exists,
                key,
                values,
            });
        }
    }
    Ok(conditions)
}

/// A value of a condition: numbers and booleans stand for their text.
fn value(json: &Json) -> Result<String, String> {
    match json {
        Json::Text(text) | Json::Number(text) => Ok(text.clone()),
        Json::Bool(true) => Ok("true".to_owned()),
        Json::Bool(false) => Ok("false".to_owned()),
        _ => Err("a value is neither string, number nor boolean".to_owned()),
    }
}
