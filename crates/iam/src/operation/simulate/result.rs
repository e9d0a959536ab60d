//! One action on one resource, under the policies of a simulation.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use irsa_core::AccountId;
use irsa_policy::{
    Context, Decision, Effect, Explanation, Layer, Layers, Policy, PolicyKind, Principal, Request, StatementOutcome,
    StatementTrace, Values, explain,
};

use super::input::Input;
use super::invalid;
use super::principal::{Entity, Kind, entity_arn};
use super::source::Source;
use crate::error::IamError;
use crate::operation::Execution;

/// How much one call may do, in bytes of policies compared with resources of usual length: some tenths of a second, and some tens of
/// megabytes of answer, in the worst case. A call of more actions is answered in pages; one action alone may not take more.
const BUDGET: usize = 8 << 20;
/// Resources up to this length count once.
const USUAL_RESOURCE: usize = 64;
/// The session name of a role that calls.
const SESSION: &str = "simulation";

/// Everything that the actions of a simulation share.
pub(super) struct Simulation<'s> {
    identity: Vec<Source<'s>>,
    boundary: Option<Source<'s>>,
    resource: Option<Source<'s>>,
    pub(super) resources: &'s [String],
    /// Whether the resources were named.
    pub(super) is_explicit: bool,
    identity_policies: Vec<Arc<Policy>>,
    /// The place of an identity policy by its name in verdicts.
    by_label: HashMap<String, usize>,
    levels: Vec<Vec<Arc<Policy>>>,
    /// Stands for resource policies that were not given: it leaves all to the caller's own policies.
    delegation: Policy,
    caller: Caller,
    owner: Option<AccountId>,
    context: Context,
    /// Keys that the policies ask for and the request does not bring.
    pub(super) missing: Vec<String>,
}

/// Who calls in a simulation.
struct Caller {
    kind: Kind,
    account: AccountId,
    arn: String,
    session_arn: String,
    unique_id: String,
}

/// What became of one action on one resource.
pub(super) struct ResourceResult {
    pub(super) decision: Decision,
    pub(super) matched: Vec<Matched>,
    pub(super) within_boundary: Option<bool>,
    pub(super) within_organization: Option<bool>,
    /// How each kind of policy decides; for requests across accounts only.
    pub(super) details: Vec<(&'static str, Decision)>,
}

/// A statement that brought the decision about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Matched {
    /// The kind of its policy.
    pub(super) kind: &'static str,
    /// Which identity policy.
    source: usize,
    pub(super) statement: usize,
    pub(super) denies: bool,
}

/// The names of kinds of policies in answers: those of the reference's examples, and not of its service model.
pub(super) const IAM_POLICY: &str = "IAM Policy";
pub(super) const RESOURCE_POLICY: &str = "Resource Policy";
pub(super) const BOUNDARY_POLICY: &str = "Permissions Boundary Policy";

impl<'s> Simulation<'s> {
    pub(super) fn new(
        input: &'s Input<'s>,
        execution: &'s Execution<'_>,
        entity: Option<&'s Entity>,
    ) -> Result<Self, IamError> {
        let account = execution.account()?;
        let mut identity = entity.map_or_else(Vec::new, |entity| entity.identity_sources(account, &input.exclusions));
        for (index, text) in input.documents.iter().enumerate() {
            let id = format!("PolicyInputList.{}", index.saturating_add(1));
            identity.push(Source::sent(id, PolicyKind::Identity, text)?);
        }
        let boundary = match &input.boundary {
            // A boundary that is sent stands in the place of the entity's own.
            Some(text) => {
                let id = "PermissionsBoundaryPolicyInputList.1".to_owned();
                Some(Source::sent(id, PolicyKind::Boundary, text)?)
            }
            None => entity.and_then(|entity| entity.boundary(account, &input.exclusions)),
        };
        let mut levels = Vec::new();
        for (level, texts) in input.levels.iter().enumerate() {
            let mut policies = Vec::new();
            for (index, text) in texts.iter().enumerate() {
                let id = format!(
                    "OrderedOrganizationPolicyInputList.{}.ServiceControlPolicyInputList.{}",
                    level.saturating_add(1),
                    index.saturating_add(1)
                );
                policies.push(Source::sent(id, PolicyKind::ServiceControl, text)?.policy);
            }
            levels.push(policies);
        }
        let resource = input
            .resource_policy
            .map(|text| Source::sent("ResourcePolicy".to_owned(), PolicyKind::Resource, text))
            .transpose()?;
        let caller = Caller::of(input, account.id, entity)?;
        let delegation = format!(
            r#"{{"Statement": {{"Effect": "Allow", "Principal": {{"AWS": "{}"}}, "Action": "*", "Resource": "*"}}}}"#,
            caller.account
        );
        let delegation = Policy::parse("delegation", PolicyKind::Resource, &delegation)
            .map_err(|error| IamError::Internal(error.to_string()))?;
        let context = context(input, &caller, entity);
        let missing = missing(&context, identity.iter().chain(&boundary).chain(&resource));
        Ok(Self {
            by_label: identity
                .iter()
                .enumerate()
                .map(|(index, source)| (source.policy.label().to_owned(), index))
                .collect(),
            identity_policies: identity.iter().map(|source| Arc::clone(&source.policy)).collect(),
            context,
            is_explicit: input.names_resources(),
            resources: &input.resources,
            owner: input.owner,
            identity,
            boundary,
            resource,
            levels,
            delegation,
            caller,
            missing,
        })
    }

    /// How many actions fit one call.
    pub(super) fn actions_a_page(&self) -> Result<usize, IamError> {
        let policies = self.identity.iter().chain(&self.boundary).chain(&self.resource);
        let bytes = policies
            .map(|source| source.text().len())
            .sum::<usize>()
            .saturating_add(1024);
        let lengths = self
            .resources
            .iter()
            .map(|resource| resource.len().div_ceil(USUAL_RESOURCE))
            .sum::<usize>();
        let cost = bytes.saturating_mul(lengths);
        if cost > BUDGET {
            return invalid("The simulation is too large: send fewer or shorter policies, or fewer resources.");
        }
        Ok((BUDGET / cost.max(1)).max(1))
    }

    /// Decides one action on one resource.
    pub(super) fn decide(&self, action: &str, resource: &str) -> ResourceResult {
        let owner = self.owner.or_else(|| resource.split(':').nth(4)?.parse().ok());
        let owner = self.resource.as_ref().and(owner).unwrap_or(self.caller.account);
        let given = self.resource.as_ref().map(|source| &*source.policy);
        let layers = Layers {
            identity: &self.identity_policies,
            boundary: self.boundary.as_ref().map(|source| &*source.policy),
            resource: Some(given.unwrap_or(&self.delegation)),
            service_control: &self.levels,
            ..Layers::default()
        };
        let request = Request {
            principal: self.caller.principal(),
            action,
            resource,
            resource_account: Some(owner),
            context: &self.context,
        };
        let explanation = explain(&layers, &request);
        let within_boundary = self
            .boundary
            .as_ref()
            .map(|_| layer_decision(&explanation, Layer::Boundary) == Decision::Allowed);
        let organization = (!self.levels.is_empty()).then(|| self.organization_decision(&explanation));
        if let Some(decision) = organization.filter(|decision| *decision != Decision::Allowed) {
            // What an organization denies is not looked at any further.
            return ResourceResult {
                decision,
                matched: Vec::new(),
                within_boundary,
                within_organization: Some(false),
                details: Vec::new(),
            };
        }
        let decision = explanation.verdict.decision;
        let mut details = Vec::new();
        if given.is_some() && owner != self.caller.account {
            details.push((IAM_POLICY, layer_decision(&explanation, Layer::Identity)));
            details.push((RESOURCE_POLICY, layer_decision(&explanation, Layer::Resource)));
            if self.boundary.is_some() {
                details.push((BOUNDARY_POLICY, layer_decision(&explanation, Layer::Boundary)));
            }
        }
        ResourceResult {
            decision,
            matched: match decision {
                // Across accounts one side may allow what the other does not.
                Decision::ImplicitlyDenied if details.is_empty() => Vec::new(),
                Decision::ExplicitlyDenied => self.matched(&explanation, Effect::Deny),
                Decision::Allowed | Decision::ImplicitlyDenied => self.matched(&explanation, Effect::Allow),
            },
            within_boundary,
            within_organization: organization.map(|_| true),
            details,
        }
    }

    /// Every level must allow.
    fn organization_decision(&self, explanation: &Explanation) -> Decision {
        let of_level = |level: usize| {
            let traces = explanation.statements.iter();
            combined(traces.filter(move |trace| trace.layer == Layer::ServiceControl && trace.level == level))
        };
        (0..self.levels.len()).map(of_level).fold(Decision::Allowed, strictest)
    }

    /// The matching statements of an effect, in the order of their policies.
    fn matched(&self, explanation: &Explanation, effect: Effect) -> Vec<Matched> {
        let traces = explanation.statements.iter();
        let matching = traces.filter(|trace| trace.effect == effect && has_matched(trace));
        matching.filter_map(|trace| self.found(trace)).collect()
    }

    fn found(&self, trace: &StatementTrace) -> Option<Matched> {
        let denies = trace.effect == Effect::Deny;
        let (kind, source) = match trace.layer {
            Layer::Identity => (IAM_POLICY, *self.by_label.get(trace.statement.label())?),
            Layer::Resource if self.resource.is_some() => (RESOURCE_POLICY, 0),
            // What a boundary allows, it does not grant.
            Layer::Boundary if denies => (BOUNDARY_POLICY, 0),
            _ => return None,
        };
        Some(Matched {
            kind,
            source,
            statement: trace.statement.index(),
            denies,
        })
    }

    /// The source of a matched statement.
    pub(super) fn source(&self, matched: &Matched) -> Option<&Source<'s>> {
        match matched.kind {
            IAM_POLICY => self.identity.get(matched.source),
            BOUNDARY_POLICY => self.boundary.as_ref(),
            _ => self.resource.as_ref(),
        }
    }
}

impl Caller {
    fn of(input: &Input<'_>, account: AccountId, entity: Option<&Entity>) -> Result<Self, IamError> {
        let arn = match (input.caller_arn, entity) {
            (Some(arn), _) => arn,
            (None, Some(entity)) => entity.arn(),
            (None, None) if input.resource_policy.is_some() => {
                return invalid("CallerArn is required if you include a ResourcePolicy.");
            }
            (None, None) => {
                return Ok(Self {
                    kind: Kind::User,
                    account,
                    arn: String::new(),
                    session_arn: String::new(),
                    unique_id: String::new(),
                });
            }
        };
        let (kind, parsed) = entity_arn(arn)?;
        let Some(account) = parsed.account_id() else {
            return invalid(format!(
                "Invalid Entity Arn: {arn} does not clearly define entity type and name."
            ));
        };
        let unique_id = entity.filter(|entity| entity.arn() == arn).map(Entity::unique_id);
        Ok(Self {
            kind,
            account,
            session_arn: format!(
                "arn:{}:sts::{account}:assumed-role/{}/{SESSION}",
                parsed.partition(),
                parsed.resource_name()
            ),
            arn: arn.to_owned(),
            unique_id: unique_id.unwrap_or_default().to_owned(),
        })
    }

    fn principal(&self) -> Principal<'_> {
        match self.kind {
            Kind::Role => Principal::RoleSession {
                session_arn: &self.session_arn,
                role_arn: &self.arn,
                role_unique_id: &self.unique_id,
                account: self.account,
            },
            // No policy can name a group, nor an empty ARN: what is left of such a caller is its account.
            Kind::User | Kind::Group => Principal::User {
                arn: &self.arn,
                unique_id: &self.unique_id,
                account: self.account,
            },
        }
    }
}

/// What the request says, over what the server would say by itself of a request of this caller. Only the principal whose policies are simulated is
/// looked up: of another caller no more is known than its ARN.
fn context(input: &Input<'_>, caller: &Caller, entity: Option<&Entity>) -> Context {
    let mut context = Context::new();
    if !caller.arn.is_empty() {
        context.set("aws:PrincipalAccount", caller.account.to_string());
        context.set("aws:PrincipalArn", caller.arn.as_str());
        match caller.kind {
            Kind::User => {
                context.set("aws:PrincipalType", "User");
                context.set("aws:username", caller.arn.rsplit('/').next().unwrap_or_default());
            }
            Kind::Role => context.set("aws:PrincipalType", "AssumedRole"),
            Kind::Group => {}
        }
    }
    if let Some(entity) = entity.filter(|entity| entity.arn() == caller.arn) {
        if matches!(entity, Entity::User(_)) {
            context.set("aws:userid", entity.unique_id());
        }
        for tag in entity.tags() {
            context.set(&format!("aws:PrincipalTag/{}", tag.key), tag.value.as_str());
        }
    }
    for entry in &input.entries {
        match (entry.values.as_slice(), entry.is_list) {
            ([value], false) => context.set(&entry.key, value),
            (values, _) => context.set_list(&entry.key, values),
        }
    }
    context
}

/// The keys that policies ask for and the context does not have, in the order of the policies.
fn missing<'d>(context: &Context, sources: impl Iterator<Item = &'d Source<'d>>) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut missing = Vec::new();
    for source in sources {
        // Every source compiled, so its keys can be read.
        let keys = irsa_simulate::context_keys(source.text()).unwrap_or_default();
        let is_missing =
            |key: &String| matches!(context.get(key), Values::Absent) && seen.insert(key.to_ascii_lowercase());
        missing.extend(keys.into_iter().filter(is_missing));
    }
    missing
}

fn has_matched(trace: &StatementTrace) -> bool {
    matches!(trace.outcome, StatementOutcome::Matched { .. })
}

/// What the statements of one kind of policy come to, by themselves.
fn layer_decision(explanation: &Explanation, layer: Layer) -> Decision {
    combined(explanation.statements.iter().filter(|trace| trace.layer == layer))
}

fn combined<'t>(traces: impl Iterator<Item = &'t StatementTrace>) -> Decision {
    let mut decision = Decision::ImplicitlyDenied;
    for trace in traces.filter(|trace| has_matched(trace)) {
        match trace.effect {
            Effect::Deny => return Decision::ExplicitlyDenied,
            Effect::Allow => decision = Decision::Allowed,
        }
    }
    decision
}

/// The one that allows less.
pub(super) fn strictest(one: Decision, other: Decision) -> Decision {
    match (one, other) {
        (Decision::ExplicitlyDenied, _) | (_, Decision::ExplicitlyDenied) => Decision::ExplicitlyDenied,
        (Decision::ImplicitlyDenied, _) | (_, Decision::ImplicitlyDenied) => Decision::ImplicitlyDenied,
        (Decision::Allowed, Decision::Allowed) => Decision::Allowed,
    }
}
