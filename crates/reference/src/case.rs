//! One case: policies as they were written, and a request.

use std::fmt::Write as _;

use crate::evaluator::{Caller, Effect, Keys, Kind, Request, Values};
use crate::generator::Random;

/// A policy before it is text, so that parts of it can be taken away.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Draft {
    /// What it is attached to.
    pub kind: Kind,
    /// `Version`, if it is there.
    pub version: Option<&'static str>,
    /// `Id`, if it is there.
    pub id: Option<String>,
    /// Its statements.
    pub statements: Vec<DraftStatement>,
    /// The seed of its blanks, escapes and order of members; 0 is the plainest text.
    pub style: u64,
    /// A text that is taken in place of all this.
    pub spoiled: Option<String>,
}

/// An element or its negation, with its entries.
pub type Element<T> = (bool, Vec<T>);

/// A statement before it is text.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the members are the elements of the language")]
pub struct DraftStatement {
    pub sid: Option<String>,
    pub effect: Effect,
    pub principal: Option<Element<(&'static str, String)>>,
    pub action: Element<String>,
    pub resource: Option<Element<String>>,
    pub conditions: Vec<DraftCondition>,
}

/// One key under one operator, before it is text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DraftCondition {
    /// The operator with its qualifiers, as it is written.
    pub operator: String,
    /// The key, as it is written.
    pub key: String,
    /// The values; those that look like a JSON number or boolean may be written as one.
    pub values: Vec<String>,
}

/// Policies and a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the kinds of policies, as AWS names them")]
pub struct Case {
    pub identity: Vec<Draft>,
    pub boundary: Option<Draft>,
    pub session: Option<Vec<Draft>>,
    pub resource: Option<Draft>,
    pub service_control: Vec<Vec<Draft>>,
    pub resource_control: Vec<Vec<Draft>>,
    pub vpc_endpoint: Option<Vec<Draft>>,
    /// What the ARNs of users and roles in principals were when the policies were saved: ARN and unique id.
    pub bindings: Vec<(String, String)>,
    pub request: Request,
}

impl Case {
    /// All its policies.
    pub fn drafts(&self) -> impl Iterator<Item = &Draft> {
        self.identity
            .iter()
            .chain(&self.boundary)
            .chain(self.session.iter().flatten())
            .chain(&self.resource)
            .chain(self.service_control.iter().flatten())
            .chain(self.resource_control.iter().flatten())
            .chain(self.vpc_endpoint.iter().flatten())
    }

    /// All its policies, to change.
    pub fn drafts_mut(&mut self) -> impl Iterator<Item = &mut Draft> {
        self.identity
            .iter_mut()
            .chain(&mut self.boundary)
            .chain(self.session.iter_mut().flatten())
            .chain(&mut self.resource)
            .chain(self.service_control.iter_mut().flatten())
            .chain(self.resource_control.iter_mut().flatten())
            .chain(self.vpc_endpoint.iter_mut().flatten())
    }

    /// The case as one line of a batch for `irsa policy simulate`. What a batch cannot say stands in the members `caller` and
    /// `bindings`, which it ignores.
    #[must_use]
    pub fn to_json(&self, id: &str) -> String {
        // Between the parts of JSON a line break is a blank; inside of strings there is none.
        let text = |draft: &Draft| draft.text().replace(['\n', '\r'], " ");
        let one = |draft: &Option<Draft>| draft.as_ref().map_or("null".to_owned(), text);
        let list = |drafts: &[Draft]| format!("[{}]", joined(drafts.iter().map(text)));
        let some = |drafts: &Option<Vec<Draft>>| drafts.as_deref().map_or("null".to_owned(), list);
        let levels = |levels: &[Vec<Draft>]| format!("[{}]", joined(levels.iter().map(|level| list(level))));
        let request = &self.request;
        let account = request.resource_account.as_deref().map_or("null".to_owned(), quoted);
        let context = request
            .keys
            .iter()
            .map(|(key, values)| format!("{}:{}", quoted(key), values_json(values)));
        format!(
            "{{\"id\":{},\"policies\":{{\"identity\":{},\"boundary\":{},\"session\":{},\"resource\":{},\"scp\":{},\"rcp\":{},\"vpce\":{}}},\
             \"request\":{{\"principal\":{},\"action\":{},\"resource\":{},\"resourceAccount\":{},\"context\":{{{}}}}},\"caller\":{},\"bindings\":{{{}}}}}",
            quoted(id),
            list(&self.identity),
            one(&self.boundary),
            some(&self.session),
            one(&self.resource),
            levels(&self.service_control),
            levels(&self.resource_control),
            some(&self.vpc_endpoint),
            quoted(&principal(&request.caller)),
            quoted(&request.action),
            quoted(&request.resource),
            account,
            joined(context),
            quoted(&format!("{:?}", request.caller)),
            joined(
                self.bindings
                    .iter()
                    .map(|(arn, id)| format!("{}:{}", quoted(arn), quoted(id)))
            ),
        )
    }
}

fn principal(caller: &Caller) -> String {
    match caller {
        Caller::Anonymous => "anonymous".to_owned(),
        Caller::Root { account } => format!("arn:aws:iam::{account}:root"),
        Caller::User { arn, .. } | Caller::RoleSession { arn, .. } | Caller::FederatedUser { arn, .. } => arn.clone(),
        Caller::WebIdentity { provider } | Caller::Saml { provider } => provider.clone(),
        Caller::Service { names } => names.first().cloned().unwrap_or_default(),
    }
}

fn values_json(values: &Values) -> String {
    match values {
        Values::One(value) => quoted(value),
        Values::List(values) => format!("[{}]", joined(values.iter().map(|value| quoted(value)))),
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    quote(text, None, &mut out);
    out
}

/// Writes a JSON string; with a random source, some characters as escapes that need none.
fn quote(text: &str, mut random: Option<&mut Random>, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        let escape = random.as_deref_mut().is_some_and(|random| random.one_in(40));
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' if escape => out.push_str("\\/"),
            c if c < ' ' || escape => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // A String takes every text.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

impl Draft {
    /// The policy as it is sent.
    #[must_use]
    pub fn text(&self) -> String {
        if let Some(text) = &self.spoiled {
            return text.clone();
        }
        let mut writer = Writer {
            random: (self.style != 0).then(|| Random::new(self.style)),
        };
        let statements: Vec<String> = self
            .statements
            .iter()
            .map(|statement| writer.statement(statement))
            .collect();
        let mut members = Vec::new();
        members.extend(self.version.map(|version| ("Version", quoted(version))));
        members.extend(self.id.as_ref().map(|id| ("Id", quoted(id))));
        members.push(("Statement", writer.list(statements)));
        writer.object(members)
    }
}

/// Writes drafts as JSON.
struct Writer {
    random: Option<Random>,
}

impl Writer {
    fn chance(&mut self, n: u64) -> bool {
        self.random.as_mut().is_some_and(|random| random.one_in(n))
    }

    fn blank(&mut self) -> &'static str {
        match &mut self.random {
            Some(random) => random.pick(&["", "", "", "", "", " ", "\n", "\t", "\r\n  "]),
            None => "",
        }
    }

    fn string(&mut self, text: &str) -> String {
        let mut out = String::new();
        quote(text, self.random.as_mut(), &mut out);
        out
    }

    fn object(&mut self, mut members: Vec<(&str, String)>) -> String {
        if let Some(random) = &mut self.random {
            random.shuffle(&mut members);
        }
        let mut out = String::from("{");
        for (at, (name, value)) in members.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(self.blank());
            out.push_str(&self.string(name));
            out.push_str(self.blank());
            out.push(':');
            out.push_str(self.blank());
            out.push_str(value);
        }
        out.push_str(self.blank());
        out.push('}');
        out
    }

    /// A list; one entry alone may stand without brackets.
    fn list(&mut self, entries: Vec<String>) -> String {
        if entries.len() == 1 && !self.chance(4) {
            return entries.into_iter().next().unwrap_or_default();
        }
        let blank = self.blank();
        let mut out = String::from("[");
        out.push_str(blank);
        out.push_str(&entries.join(","));
        out.push_str(blank);
        out.push(']');
        out
    }

    fn strings(&mut self, texts: &[String]) -> String {
        let texts = texts.iter().map(|text| self.string(text)).collect();
        self.list(texts)
    }

    fn statement(&mut self, statement: &DraftStatement) -> String {
        let mut members = Vec::new();
        if let Some(sid) = &statement.sid {
            members.push(("Sid", self.string(sid)));
        }
        members.push((
            "Effect",
            quoted(if statement.effect == Effect::Allow {
                "Allow"
            } else {
                "Deny"
            }),
        ));
        if let Some((negated, entries)) = &statement.principal {
            let name = if *negated { "NotPrincipal" } else { "Principal" };
            members.push((name, self.principal(entries)));
        }
        let (negated, entries) = &statement.action;
        members.push((if *negated { "NotAction" } else { "Action" }, self.strings(entries)));
        if let Some((negated, entries)) = &statement.resource {
            members.push((if *negated { "NotResource" } else { "Resource" }, self.strings(entries)));
        }
        if !statement.conditions.is_empty() || self.chance(20) {
            members.push(("Condition", self.conditions(&statement.conditions)));
        }
        self.object(members)
    }

    fn principal(&mut self, entries: &[(&'static str, String)]) -> String {
        if matches!(entries, [("AWS", text)] if text == "*") && !self.chance(2) {
            return quoted("*");
        }
        let mut members = Vec::new();
        for name in ["AWS", "Service", "Federated", "CanonicalUser"] {
            let texts: Vec<String> = entries
                .iter()
                .filter(|(kind, _)| *kind == name)
                .map(|(_, text)| text.clone())
                .collect();
            if !texts.is_empty() {
                members.push((name, self.strings(&texts)));
            }
        }
        self.object(members)
    }

    fn conditions(&mut self, conditions: &[DraftCondition]) -> String {
        let mut operators: Vec<&str> = Vec::new();
        for condition in conditions {
            if !operators.contains(&condition.operator.as_str()) {
                operators.push(&condition.operator);
            }
        }
        let mut members = Vec::new();
        for operator in operators {
            let mut keys = Vec::new();
            for condition in conditions.iter().filter(|condition| condition.operator == operator) {
                let values = condition.values.iter().map(|value| self.value(value)).collect();
                keys.push((condition.key.as_str(), self.list(values)));
            }
            members.push((operator, self.object(keys)));
        }
        self.object(members)
    }

    /// A value; numbers and booleans may stand without quotes.
    fn value(&mut self, value: &str) -> String {
        if (value == "true" || value == "false" || is_json_number(value)) && self.chance(2) {
            value.to_owned()
        } else {
            self.string(value)
        }
    }
}

fn is_json_number(text: &str) -> bool {
    matches!(text.as_bytes().first(), Some(b'-' | b'0'..=b'9'))
        && serde_json::from_str::<serde_json::Number>(text).is_ok()
}

/// Gives a key of a request other values, or takes it away.
pub fn set_key(keys: &mut Keys, name: &str, values: Option<Values>) {
    keys.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    keys.extend(values.map(|values| (name.to_owned(), values)));
}
