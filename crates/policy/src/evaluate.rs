//! The evaluation logic: one generic function behind both [`decide`] and [`explain`](crate::explain()).
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>.

use crate::action::Action;
use crate::condition::Memo;
use crate::index::{Index, Tree};
use crate::policy::{Policy, PolicyKind, Statement};
use crate::principal::{Caller, Strength};
use crate::request::{Decision, Layer, Layers, Principal, Request, Verdict};

/// Decides a request and names the statement that decided it. Allocates nothing on the usual path.
#[must_use]
pub fn decide(layers: &Layers<'_>, request: &Request<'_>) -> Verdict {
    evaluate(layers, request, &mut Silent).into_verdict(layers)
}

/// Decides a request and says nothing more: the fastest form, without a shared counter.
#[must_use]
pub fn decision(layers: &Layers<'_>, request: &Request<'_>) -> Decision {
    evaluate(layers, request, &mut Silent).decision
}

/// Listens to an evaluation. With the silent one, everything about it is compiled away.
pub(crate) trait Tracer<'a> {
    /// Whether every statement must be looked at, also those that can no longer change the decision.
    const COMPLETE: bool;

    /// A statement was looked at: it matched as strongly as this, or failed first at this part.
    fn statement(
        &mut self,
        place: (Layer, usize),
        policy: &'a Policy,
        statement: &'a Statement,
        result: Result<Strength, Part>,
    );
}

/// The part of a statement that did not match.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Action,
    Resource,
    Principal,
    /// The condition's number in the policy.
    Condition(u32),
}

/// Hears nothing.
struct Silent;

impl<'a> Tracer<'a> for Silent {
    const COMPLETE: bool = false;

    #[inline(always)]
    fn statement(&mut self, _: (Layer, usize), _: &'a Policy, _: &'a Statement, _: Result<Strength, Part>) {}
}

/// A decision with borrowed evidence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) decision: Decision,
    pub(crate) layer: Option<Layer>,
    pub(crate) statement: Option<&'a Statement>,
}

impl Outcome<'_> {
    pub(crate) fn into_verdict(self, layers: &Layers<'_>) -> Verdict {
        Verdict {
            decision: self.decision,
            layer: self.layer,
            statement: self.statement.map(Statement::to_ref),
            trust: layers.resource.is_some_and(|policy| policy.kind() == PolicyKind::Trust),
        }
    }
}

/// The strongest statement of a layer that allows.
type Grant<'a> = Option<(Strength, &'a Statement)>;

/// What is asked, prepared for comparing.
struct Question<'r> {
    request: &'r Request<'r>,
    action: Action<'r>,
    caller: Caller<'r>,
    memo: Memo,
}

/// The answers of one policy's first conditions, each worked out once.
#[derive(Default)]
struct Answers {
    known: u64,
    holding: u64,
}

struct Evaluation<'a, 'r, 't, T> {
    question: Question<'r>,
    tracer: &'t mut T,
    denial: Option<(Layer, &'a Statement)>,
}

pub(crate) fn evaluate<'a, T: Tracer<'a>>(layers: &Layers<'a>, request: &Request<'_>, tracer: &mut T) -> Outcome<'a> {
    let action = Action::new(request.action);
    // Anyone with credentials may ask who they are, whatever the policies say.
    if action.is_of(b"sts:") && action.is("sts:GetCallerIdentity") && request.principal.account().is_some() {
        return Outcome {
            decision: Decision::Allowed,
            layer: None,
            statement: None,
        };
    }
    let mut evaluation = Evaluation {
        question: Question {
            request,
            action,
            caller: Caller {
                principal: &request.principal,
                has_boundary: layers.boundary.is_some(),
            },
            memo: Memo::default(),
        },
        tracer,
        denial: None,
    };
    let outcome = evaluation.run(layers);
    match evaluation.denial {
        Some((layer, statement)) => Outcome {
            decision: Decision::ExplicitlyDenied,
            layer: Some(layer),
            statement: Some(statement),
        },
        None => outcome,
    }
}

impl<'a, T: Tracer<'a>> Evaluation<'a, '_, '_, T> {
    /// The outcome if nothing denies; a matching `Deny` is left in `denial` and may end this early.
    fn run(&mut self, layers: &Layers<'a>) -> Outcome<'a> {
        let request = self.question.request;
        let principal = &request.principal;
        let account = principal.account();

        let (mut service_control, mut resource_control) = (layers.service_control, layers.resource_control);
        if !(service_control.is_empty() && resource_control.is_empty()) && is_service_linked_role(principal) {
            (service_control, resource_control) = (&[], &[]);
        }
        // Resource control policies: every level allows everything, so only denials count.
        for (level, policies) in resource_control.iter().enumerate() {
            self.layer(Layer::ResourceControl, level, policies.iter().map(|policy| &**policy));
            if self.is_over() {
                return denied(Layer::ResourceControl);
            }
        }
        let mut stopped = None;
        if account.is_some() || !layers.profile.service_control_needs_an_account {
            for (level, policies) in service_control.iter().enumerate() {
                let grant = self.layer(Layer::ServiceControl, level, policies.iter().map(|policy| &**policy));
                if self.is_over() {
                    return denied(Layer::ServiceControl);
                }
                if grant.is_none() {
                    stopped = stopped.or(Some(Layer::ServiceControl));
                }
            }
        }
        if let Some(policies) = layers.vpc_endpoint {
            let grant = self.layer(Layer::VpcEndpoint, 0, policies.iter().map(|policy| &**policy));
            if grant.is_none() {
                stopped = stopped.or(Some(Layer::VpcEndpoint));
            }
        }
        let resource = self.layer(Layer::Resource, 0, layers.resource.into_iter());
        if self.is_over() {
            return denied(Layer::Resource);
        }
        let identity = self.layer(Layer::Identity, 0, layers.identity.iter().map(|policy| &**policy));
        let boundary = layers
            .boundary
            .map(|policy| self.layer(Layer::Boundary, 0, std::iter::once(policy)));
        let session = layers
            .session
            .map(|policies| self.layer(Layer::Session, 0, policies.iter().map(|policy| &**policy)));
        if let Some(layer) = stopped {
            return denied(layer);
        }

        let Some(account) = account else {
            // No identity side: the resource's policy alone decides, and must name the caller.
            return match resource {
                Some((Strength::Direct, statement)) => allowed(Layer::Resource, Some(statement)),
                _ => denied(Layer::Resource),
            };
        };
        let is_root = matches!(principal, Principal::Root { .. });
        let same_account = match request.resource_account {
            Some(owner) => owner == account,
            None => layers.profile.unknown_account_is_the_callers,
        };
        let bounded = boundary.is_none_or(|grant| grant.is_some());
        let within_session = match session {
            Some(grant) => grant.is_some(),
            // A federated user has what its session policy allows, and without one nothing.
            None => !matches!(principal, Principal::FederatedUser { .. }),
        };
        let ceiling = || {
            if bounded {
                denied(Layer::Session)
            } else {
                denied(Layer::Boundary)
            }
        };
        let strict = self.is_strict(layers);
        if same_account {
            match resource {
                Some((Strength::Direct, statement)) => return allowed(Layer::Resource, Some(statement)),
                Some((Strength::Role, statement)) => {
                    return if bounded && within_session {
                        allowed(Layer::Resource, Some(statement))
                    } else {
                        ceiling()
                    };
                }
                Some((Strength::Account, _)) => {}
                None if strict => return denied(Layer::Resource),
                None => {}
            }
            if is_root && !strict {
                return allowed(Layer::Identity, identity.map(|(_, statement)| statement));
            }
        } else if resource.is_none() {
            return denied(Layer::Resource);
        }
        if identity.is_none() && !is_root {
            return denied(Layer::Identity);
        }
        if !bounded || !within_session {
            return ceiling();
        }
        allowed(Layer::Identity, identity.map(|(_, statement)| statement))
    }

    /// Whether the decision stands and nobody wants to hear the rest.
    #[inline]
    fn is_over(&self) -> bool {
        !T::COMPLETE && self.denial.is_some()
    }

    /// A role's trust policy and a KMS key's policy must allow even what is within one account.
    fn is_strict(&self, layers: &Layers<'_>) -> bool {
        let Question { request, action, .. } = &self.question;
        let resource = request.resource;
        let is = |name| action.is(name);
        layers.resource.is_some_and(|policy| policy.kind() == PolicyKind::Trust)
            || (action.is_of(b"sts:")
                && (action.starts_with("sts:AssumeRole")
                    || ((is("sts:TagSession") || is("sts:SetSourceIdentity") || is("sts:SetContext"))
                        && resource.contains(":role/"))))
            || (action.is_of(b"kms:") && resource.contains(":key/"))
    }

    /// Looks at one layer: a denial is kept, the strongest grant returned.
    #[inline]
    fn layer(&mut self, layer: Layer, level: usize, policies: impl Iterator<Item = &'a Policy>) -> Grant<'a> {
        let mut grant: Grant<'a> = None;
        for policy in policies {
            if self.is_over() {
                break;
            }
            self.policy((layer, level), policy, &mut grant);
        }
        grant
    }

    /// Looks at one policy. However its statements are found, the first that denies is kept, and the strongest that
    /// allows, the first of equals.
    #[inline]
    fn policy(&mut self, place: (Layer, usize), policy: &'a Policy, grant: &mut Grant<'a>) {
        match &policy.index {
            Index::Masks(masks) if !T::COMPLETE => {
                // What is granted already cannot be granted more; denials still count.
                if is_direct(grant) && masks.denials == 0 {
                    return;
                }
                let Question { request, action, .. } = &self.question;
                let candidates = masks.candidates(&policy.statements, action, request.resource);
                if candidates != 0 {
                    let (denials, grants) = (candidates & masks.denials, candidates & !masks.denials);
                    self.candidates(place.0, policy, denials, grants, grant);
                }
            }
            Index::Tree(tree) if !T::COMPLETE => {
                self.denial = self.question.large_policy(place.0, policy, tree, grant);
            }
            Index::None | Index::Masks(_) | Index::Tree(_) => self.every_statement(place, policy, grant),
        }
    }

    /// Looks at the statements that are about the action, as bits: first those that deny.
    fn candidates(&mut self, layer: Layer, policy: &'a Policy, denials: u64, grants: u64, grant: &mut Grant<'a>) {
        let mut answers = Answers::default();
        for statement in numbered(&policy.statements, denials) {
            let result = self.question.rest_matches(layer, policy, statement, &mut answers);
            if result.is_ok() {
                self.denial = Some((layer, statement));
                return;
            }
        }
        for statement in numbered(&policy.statements, grants) {
            if is_direct(grant) {
                return;
            }
            let result = self.question.rest_matches(layer, policy, statement, &mut answers);
            strengthen(grant, result, statement);
        }
    }

    /// Looks at one statement after the other.
    fn every_statement(&mut self, place: (Layer, usize), policy: &'a Policy, grant: &mut Grant<'a>) {
        let mut answers = Answers::default();
        for statement in &policy.statements {
            if !T::COMPLETE && !statement.denies() && is_direct(grant) {
                continue;
            }
            let result = self.question.matches(place.0, policy, statement, &mut answers);
            self.tracer.statement(place, policy, statement, result);
            if !statement.denies() {
                strengthen(grant, result, statement);
            } else if result.is_ok() {
                self.denial = self.denial.or(Some((place.0, statement)));
                if !T::COMPLETE {
                    return;
                }
            }
        }
    }
}

impl Question<'_> {
    /// Looks at a policy whose index shows statements in no order: the denial, if there is one; else a stronger grant.
    fn large_policy<'a>(
        &mut self,
        layer: Layer,
        policy: &'a Policy,
        tree: &Tree,
        grant: &mut Grant<'a>,
    ) -> Option<(Layer, &'a Statement)> {
        let mut answers = Answers::default();
        let mut denial: Option<(u32, &Statement)> = None;
        let mut best: Option<(Strength, u32, &Statement)> = None;
        tree.candidates(self.action.hash, self.request.resource, |number| {
            let Some(statement) = policy.statements.get(number as usize) else {
                return;
            };
            let is_settled = match (denial, best) {
                (Some((first, _)), _) => !statement.denies() || first <= number,
                (None, _) if statement.denies() => false,
                (None, Some((Strength::Direct, first, _))) => first <= number,
                (None, _) => is_direct(grant),
            };
            if is_settled {
                return;
            }
            let Ok(strength) = self.matches(layer, policy, statement, &mut answers) else {
                return;
            };
            if statement.denies() {
                denial = Some((number, statement));
            } else if best.is_none_or(|(found, first, _)| found < strength || (found == strength && number < first)) {
                best = Some((strength, number, statement));
            }
        });
        if let Some((strength, _, statement)) = best {
            strengthen(grant, Ok(strength), statement);
        }
        denial.map(|(_, statement)| (layer, statement))
    }

    /// Whether a statement is about this request: the cheapest and most telling parts come first.
    #[inline(always)]
    fn matches(
        &mut self,
        layer: Layer,
        policy: &Policy,
        statement: &Statement,
        answers: &mut Answers,
    ) -> Result<Strength, Part> {
        if !statement.actions.cover(&self.action) {
            return Err(Part::Action);
        }
        self.rest_matches(layer, policy, statement, answers)
    }

    /// Whether a statement that is about the action is about the rest of the request too.
    #[inline(always)]
    fn rest_matches(
        &mut self,
        layer: Layer,
        policy: &Policy,
        statement: &Statement,
        answers: &mut Answers,
    ) -> Result<Strength, Part> {
        let Request { resource, context, .. } = *self.request;
        if let Some(resources) = &statement.resources
            && !resources.cover(resource, context)
        {
            return Err(Part::Resource);
        }
        let strength = match &statement.principals {
            // A statement that names nobody, in a place where it must, grants nothing.
            None if layer == Layer::Resource && !statement.denies() => return Err(Part::Principal),
            None => Strength::Direct,
            Some(principals) => principals
                .covers(&self.caller, statement.effect, policy.kind())
                .ok_or(Part::Principal)?,
        };
        for number in &statement.conditions {
            if !self.condition_holds(policy, *number, answers) {
                return Err(Part::Condition(*number));
            }
        }
        Ok(strength)
    }

    /// A condition's answer, worked out once for all statements that have it.
    #[inline]
    fn condition_holds(&mut self, policy: &Policy, number: u32, answers: &mut Answers) -> bool {
        let bit = 1_u64.checked_shl(number).unwrap_or_default();
        if answers.known & bit != 0 {
            return answers.holding & bit != 0;
        }
        let context = self.request.context;
        let condition = policy.conditions.get(number as usize);
        let holds = condition.is_some_and(|condition| condition.holds(context, &mut self.memo));
        answers.known |= bit;
        if holds {
            answers.holding |= bit;
        }
        holds
    }
}

fn is_direct(grant: &Grant<'_>) -> bool {
    matches!(grant, Some((Strength::Direct, _)))
}

/// Keeps the strongest statement, and the first of equals.
fn strengthen<'a>(grant: &mut Grant<'a>, result: Result<Strength, Part>, statement: &'a Statement) {
    if let Ok(strength) = result
        && grant.is_none_or(|(found, _)| found < strength)
    {
        *grant = Some((strength, statement));
    }
}

/// The statements whose bits are set, in order.
fn numbered(statements: &[Statement], mut bits: u64) -> impl Iterator<Item = &Statement> {
    std::iter::from_fn(move || {
        let number = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        statements.get(number as usize)
    })
}

/// Roles that AWS services make for themselves, under a path that nobody else may use, stand outside of the control
/// policies of organizations.
///
/// See <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html>.
fn is_service_linked_role(principal: &Principal<'_>) -> bool {
    let Principal::RoleSession { role_arn, .. } = principal else {
        return false;
    };
    // Another role's path may hold anything, so only the place right after the fifth colon counts.
    let mut colons = 0_u32;
    let name = role_arn.bytes().position(|byte| {
        colons = colons.saturating_add(u32::from(byte == b':'));
        colons == 5
    });
    let name = name.and_then(|at| role_arn.as_bytes().get(at..));
    name.is_some_and(|name| name.starts_with(b":role/aws-service-role/"))
}

fn allowed(layer: Layer, statement: Option<&Statement>) -> Outcome<'_> {
    Outcome {
        decision: Decision::Allowed,
        layer: Some(layer),
        statement,
    }
}

fn denied<'a>(layer: Layer) -> Outcome<'a> {
    Outcome {
        decision: Decision::ImplicitlyDenied,
        layer: Some(layer),
        statement: None,
    }
}

#[cfg(test)]
mod tests;
