//! What cases were made of: how often each part of the language was asked, and with which outcomes.

use std::collections::BTreeMap;
use std::fmt;

use crate::case::Case;
use crate::compare::Agreement;
use crate::evaluator::{
    Answer, Base, Caller, Choices, Condition, Document, Effect, Kind, OPERATORS, Quantifier, Values, closeness, holds,
};

/// How often something came out true, and how often not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the two outcomes")]
pub struct Outcomes {
    pub yes: u64,
    pub no: u64,
}

impl Outcomes {
    fn add(&mut self, outcome: bool) {
        if outcome {
            self.yes += 1;
        } else {
            self.no += 1;
        }
    }

    /// Whether both came out.
    #[must_use]
    pub fn are_both(self) -> bool {
        self.yes > 0 && self.no > 0
    }
}

/// The operators by base and negation, with their qualifiers: set quantifier, and whether there is an `IfExists`.
pub type OperatorKey = (Base, bool, Quantifier, bool);

/// Counts over many cases.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Cases that were decided, by decision.
    pub decisions: BTreeMap<Answer, u64>,
    /// Cases with a policy that both refused.
    pub refused: u64,
    /// Conditions that held or did not, by operator.
    pub operators: BTreeMap<OperatorKey, Outcomes>,
    /// Callers that were allowed or not.
    pub callers: BTreeMap<&'static str, Outcomes>,
    /// Requests with a kind of policy that were allowed or not.
    pub layers: BTreeMap<&'static str, Outcomes>,
    /// Statements with an element that applied or did not.
    pub elements: BTreeMap<&'static str, Outcomes>,
    /// Statements of a kind of policy that applied or did not.
    pub statements: BTreeMap<(Kind, &'static str), Outcomes>,
    /// Requests with a peculiarity that were allowed or not.
    pub features: BTreeMap<&'static str, Outcomes>,
}

impl Coverage {
    /// Counts one case.
    pub fn record(&mut self, case: &Case, agreement: &Agreement, choices: &Choices) {
        let Some(decision) = agreement.decision else {
            self.refused += 1;
            return;
        };
        *self.decisions.entry(decision).or_default() += 1;
        let allowed = decision == Answer::Allowed;
        self.callers
            .entry(caller(&case.request.caller))
            .or_default()
            .add(allowed);
        for (layer, present) in layers(case) {
            if present {
                self.layers.entry(layer).or_default().add(allowed);
            }
        }
        for (feature, present) in features(case) {
            if present {
                self.features.entry(feature).or_default().add(allowed);
            }
        }
        let policies = &agreement.policies;
        let documents = policies
            .identity
            .iter()
            .chain(&policies.boundary)
            .chain(policies.session.iter().flatten())
            .chain(&policies.resource)
            .chain(policies.service_control.iter().flatten())
            .chain(policies.resource_control.iter().flatten())
            .chain(policies.vpc_endpoint.iter().flatten());
        for document in documents {
            self.record_document(document, case, choices);
        }
    }

    fn record_document(&mut self, document: &Document, case: &Case, choices: &Choices) {
        for statement in &document.statements {
            let applies = closeness(document, statement, &case.request, case.boundary.is_some(), choices).is_some();
            let effect = if statement.effect == Effect::Allow {
                "Allow"
            } else {
                "Deny"
            };
            self.statements.entry((document.kind, effect)).or_default().add(applies);
            let mut element = |name| self.elements.entry(name).or_default().add(applies);
            element(if statement.action.negated {
                "NotAction"
            } else {
                "Action"
            });
            match statement.resource.as_ref().map(|names| names.negated) {
                Some(true) => element("NotResource"),
                Some(false) => element("Resource"),
                None => {}
            }
            match statement
                .principal
                .as_ref()
                .map(|names| (names.negated, statement.effect))
            {
                Some((true, Effect::Allow)) => element("NotPrincipal with Allow"),
                Some((true, Effect::Deny)) => element("NotPrincipal with Deny"),
                Some((false, _)) => element("Principal"),
                None => {}
            }
            for condition in &statement.conditions {
                element("Condition");
                let Condition {
                    base,
                    negated,
                    quantifier,
                    if_exists,
                    ..
                } = *condition;
                let outcome = holds(condition, document.has_variables, &case.request.keys, choices);
                let key = (base, negated, quantifier, if_exists);
                self.operators.entry(key).or_default().add(outcome);
            }
        }
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        for (decision, count) in &other.decisions {
            *self.decisions.entry(*decision).or_default() += count;
        }
        self.refused += other.refused;
        merge(&mut self.operators, &other.operators);
        merge(&mut self.callers, &other.callers);
        merge(&mut self.layers, &other.layers);
        merge(&mut self.elements, &other.elements);
        merge(&mut self.statements, &other.statements);
        merge(&mut self.features, &other.features);
    }

    /// What should have come out both ways and did not.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        for answer in [Answer::Allowed, Answer::ExplicitlyDenied, Answer::ImplicitlyDenied] {
            if !self.decisions.contains_key(&answer) {
                gaps.push(format!("{answer:?}"));
            }
        }
        for (name, base, negated) in OPERATORS {
            for (quantifier, if_exists) in QUALIFIERS {
                let outcomes = self.operators.get(&(base, negated, quantifier, if_exists));
                let exists = base != Base::Null || !if_exists;
                if exists && !outcomes.is_some_and(|outcomes| outcomes.are_both()) {
                    gaps.push(format!("{quantifier:?} {name} {if_exists}"));
                }
            }
        }
        let mut look = |names: &[&'static str], counts: &BTreeMap<&'static str, Outcomes>| {
            for name in names {
                if !counts.get(name).is_some_and(|outcomes| outcomes.are_both()) {
                    gaps.push((*name).to_owned());
                }
            }
        };
        look(&CALLERS, &self.callers);
        look(&LAYERS, &self.layers);
        look(&ELEMENTS, &self.elements);
        look(&FEATURES, &self.features);
        for kind in Kind::ALL {
            for effect in ["Allow", "Deny"] {
                let outcomes = self.statements.get(&(kind, effect));
                let exists = kind != Kind::ResourceControl || effect == "Deny";
                if exists && !outcomes.is_some_and(|outcomes| outcomes.are_both()) {
                    gaps.push(format!("{kind:?} {effect}"));
                }
            }
        }
        gaps
    }
}

fn merge<K: Clone + Ord>(into: &mut BTreeMap<K, Outcomes>, from: &BTreeMap<K, Outcomes>) {
    for (key, outcomes) in from {
        let sum = into.entry(key.clone()).or_default();
        sum.yes += outcomes.yes;
        sum.no += outcomes.no;
    }
}

const QUALIFIERS: [(Quantifier, bool); 6] = [
    (Quantifier::Plain, false),
    (Quantifier::Plain, true),
    (Quantifier::ForAllValues, false),
    (Quantifier::ForAllValues, true),
    (Quantifier::ForAnyValue, false),
    (Quantifier::ForAnyValue, true),
];

const CALLERS: [&str; 8] = [
    "anonymous",
    "root user",
    "user",
    "role session",
    "federated user",
    "web identity",
    "SAML",
    "service",
];

fn caller(caller: &Caller) -> &'static str {
    match caller {
        Caller::Anonymous => "anonymous",
        Caller::Root { .. } => "root user",
        Caller::User { .. } => "user",
        Caller::RoleSession { .. } => "role session",
        Caller::FederatedUser { .. } => "federated user",
        Caller::WebIdentity { .. } => "web identity",
        Caller::Saml { .. } => "SAML",
        Caller::Service { .. } => "service",
    }
}

const LAYERS: [&str; 8] = [
    "identity",
    "boundary",
    "session",
    "resource",
    "trust",
    "service control",
    "resource control",
    "VPC endpoint",
];

fn layers(case: &Case) -> [(&'static str, bool); 8] {
    let is_resource = |kind| case.resource.as_ref().is_some_and(|draft| draft.kind == kind);
    [
        ("identity", !case.identity.is_empty()),
        ("boundary", case.boundary.is_some()),
        ("session", case.session.is_some()),
        ("resource", is_resource(Kind::Resource)),
        ("trust", is_resource(Kind::Trust)),
        ("service control", !case.service_control.is_empty()),
        ("resource control", !case.resource_control.is_empty()),
        ("VPC endpoint", case.vpc_endpoint.is_some()),
    ]
}

const ELEMENTS: [&str; 8] = [
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Principal",
    "NotPrincipal with Allow",
    "NotPrincipal with Deny",
    "Condition",
];

const FEATURES: [&str; 14] = [
    "bound principal",
    "same account",
    "another account",
    "account unknown",
    "version 2012-10-17",
    "version 2008-10-17",
    "no version",
    "variable",
    "default",
    "escape",
    "short ARN",
    "no resource",
    "list of values",
    "empty value",
];

fn features(case: &Case) -> [(&'static str, bool); 14] {
    let request = &case.request;
    let owner = request.resource_account.as_deref();
    let version = |version| case.drafts().any(|draft| draft.version == version);
    let texts = || {
        let statements = case.drafts().flat_map(|draft| &draft.statements);
        statements.flat_map(|statement| {
            let resources = statement.resource.iter().flat_map(|(_, entries)| entries);
            resources.chain(statement.conditions.iter().flat_map(|condition| &condition.values))
        })
    };
    let resources = || {
        let statements = case.drafts().flat_map(|draft| &draft.statements);
        statements.flat_map(|statement| statement.resource.iter().flat_map(|(_, entries)| entries))
    };
    let has = |part: &str| texts().any(|text| text.contains(part));
    let is_variable = |text: &String| {
        text.split("${")
            .skip(1)
            .any(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()) && rest.contains('}'))
    };
    [
        ("bound principal", !case.bindings.is_empty()),
        ("same account", owner.is_some() && owner == request.caller.account()),
        (
            "another account",
            owner.is_some() && request.caller.account().is_some_and(|own| Some(own) != owner),
        ),
        ("account unknown", owner.is_none()),
        ("version 2012-10-17", version(Some("2012-10-17"))),
        ("version 2008-10-17", version(Some("2008-10-17"))),
        ("no version", version(None)),
        ("variable", texts().any(is_variable)),
        ("default", has(", '")),
        ("escape", has("${*}") || has("${?}") || has("${$}")),
        (
            "short ARN",
            resources().any(|text| text != "*" && text.matches(':').count() < 5),
        ),
        ("no resource", request.resource == "*"),
        (
            "list of values",
            request
                .keys
                .iter()
                .any(|(_, values)| matches!(values, Values::List(list) if list.len() > 1)),
        ),
        (
            "empty value",
            request
                .keys
                .iter()
                .any(|(_, values)| *values == Values::One(String::new())),
        ),
    ]
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "decisions")?;
        for (decision, count) in &self.decisions {
            writeln!(f, "  {:<28}{count:>12}", format!("{decision:?}"))?;
        }
        writeln!(f, "  {:<28}{:>12}", "refused by both", self.refused)?;
        writeln!(f, "\noperators: held/did not")?;
        write!(f, "  {:<26}", "")?;
        for title in [
            "plain",
            "IfExists",
            "ForAllValues",
            "… IfExists",
            "ForAnyValue",
            "… IfExists",
        ] {
            write!(f, "{title:>16}")?;
        }
        writeln!(f)?;
        for (name, base, negated) in OPERATORS {
            write!(f, "  {name:<26}")?;
            for (quantifier, if_exists) in QUALIFIERS {
                match self.operators.get(&(base, negated, quantifier, if_exists)) {
                    Some(outcomes) => write!(f, "{:>16}", format!("{}/{}", outcomes.yes, outcomes.no))?,
                    None => write!(f, "{:>16}", "-")?,
                }
            }
            writeln!(f)?;
        }
        let mut table = |title: &str, rows: Vec<(String, Outcomes)>| {
            writeln!(f, "\n{title}")?;
            rows.iter()
                .try_for_each(|(name, outcomes)| writeln!(f, "  {name:<28}{:>12}{:>12}", outcomes.yes, outcomes.no))
        };
        let named = |counts: &BTreeMap<&'static str, Outcomes>| {
            counts
                .iter()
                .map(|(name, outcomes)| ((*name).to_owned(), *outcomes))
                .collect()
        };
        table("callers: allowed, denied", named(&self.callers))?;
        table("kinds of policy: allowed, denied", named(&self.layers))?;
        table("features: allowed, denied", named(&self.features))?;
        table("elements: statement applies, does not", named(&self.elements))?;
        let statements = self
            .statements
            .iter()
            .map(|((kind, effect), outcomes)| (format!("{kind:?} {effect}"), *outcomes));
        table("statements: applies, does not", statements.collect())
    }
}
