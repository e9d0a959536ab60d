//! The evaluation logic: one generic function behind both [`decide`] and [`explain`](crate::explain()).
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>.

use crate::policy::{Action, Effect, Policy, PolicyKind, Statement};
use crate::principal::{Caller, Strength};
use crate::profile::PROFILE;
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
    fn statement(&mut self, layer: Layer, level: usize, statement: &'a Statement, result: Result<Strength, Part>);
}

/// The part of a statement that did not match.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Action,
    Resource,
    Principal,
    /// The condition's number in the statement.
    Condition(usize),
}

/// Hears nothing.
struct Silent;

impl<'a> Tracer<'a> for Silent {
    const COMPLETE: bool = false;

    #[inline(always)]
    fn statement(&mut self, _: Layer, _: usize, _: &'a Statement, _: Result<Strength, Part>) {}
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

struct Evaluation<'a, 'r, 't, T> {
    request: &'r Request<'r>,
    action: Action<'r>,
    caller: Caller<'r>,
    tracer: &'t mut T,
    denial: Option<(Layer, &'a Statement)>,
}

pub(crate) fn evaluate<'a, T: Tracer<'a>>(layers: &Layers<'a>, request: &Request<'_>, tracer: &mut T) -> Outcome<'a> {
    let action = Action::new(request.action);
    // Anyone with credentials may ask who they are, whatever the policies say.
    if action.is("sts:GetCallerIdentity") && request.principal.account().is_some() {
        return Outcome {
            decision: Decision::Allowed,
            layer: None,
            statement: None,
        };
    }
    let mut evaluation = Evaluation {
        request,
        action,
        caller: Caller {
            principal: &request.principal,
            has_boundary: layers.boundary.is_some(),
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
        let principal = &self.request.principal;
        let account = principal.account();

        // Resource control policies: every level allows everything, so only denials count.
        for (level, policies) in layers.resource_control.iter().enumerate() {
            self.layer(Layer::ResourceControl, level, policies.iter().map(|policy| &**policy));
            if self.is_over() {
                return denied(Layer::ResourceControl);
            }
        }
        let mut stopped = None;
        if account.is_some() || !PROFILE.service_control_needs_an_account {
            for (level, policies) in layers.service_control.iter().enumerate() {
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
        let same_account = match self.request.resource_account {
            Some(owner) => owner == account,
            None => PROFILE.unknown_account_is_the_callers,
        };
        // A permissions boundary never limits the root user, who cannot have one.
        let bounded = boundary.is_none_or(|grant| grant.is_some()) || is_root;
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
        let resource = self.request.resource;
        let is = |name| self.action.is(name);
        layers.resource.is_some_and(|policy| policy.kind() == PolicyKind::Trust)
            || (self.action.starts_with("sts:")
                && (self.action.starts_with("sts:AssumeRole")
                    || ((is("sts:TagSession") || is("sts:SetSourceIdentity") || is("sts:SetContext"))
                        && resource.contains(":role/"))))
            || (self.action.starts_with("kms:") && resource.contains(":key/"))
    }

    /// Looks at one layer: a denial is kept, the strongest grant returned.
    #[inline]
    fn layer(&mut self, layer: Layer, level: usize, policies: impl Iterator<Item = &'a Policy>) -> Grant<'a> {
        let mut grant: Grant<'a> = None;
        for policy in policies {
            for statement in &policy.statements {
                if !T::COMPLETE {
                    if self.denial.is_some() {
                        return grant;
                    }
                    // What is granted already cannot be granted more; denials still count.
                    if statement.effect == Effect::Allow && matches!(grant, Some((Strength::Direct, _))) {
                        continue;
                    }
                }
                let result = self.statement(layer, statement, policy.kind());
                self.tracer.statement(layer, level, statement, result);
                let Ok(strength) = result else {
                    continue;
                };
                match statement.effect {
                    Effect::Deny => self.denial = self.denial.or(Some((layer, statement))),
                    Effect::Allow if grant.is_none_or(|(found, _)| found < strength) => {
                        grant = Some((strength, statement));
                    }
                    Effect::Allow => {}
                }
            }
        }
        grant
    }

    /// Whether a statement is about this request: the cheapest and most telling parts come first.
    #[inline]
    fn statement(&self, layer: Layer, statement: &Statement, kind: PolicyKind) -> Result<Strength, Part> {
        let Request { resource, context, .. } = *self.request;
        let actions = &statement.actions;
        let named = actions
            .patterns
            .iter()
            .any(|pattern| pattern.matches(&self.action, context));
        if named == actions.negated {
            return Err(Part::Action);
        }
        if let Some(resources) = &statement.resources {
            let named = resources
                .patterns
                .iter()
                .any(|pattern| pattern.matches(resource, context));
            if named == resources.negated {
                return Err(Part::Resource);
            }
        }
        let strength = match &statement.principals {
            // A statement that names nobody, in a place where it must, grants nothing.
            None if layer == Layer::Resource && statement.effect == Effect::Allow => return Err(Part::Principal),
            None => Strength::Direct,
            Some(principals) => principals
                .covers(&self.caller, statement.effect, kind)
                .ok_or(Part::Principal)?,
        };
        for (index, condition) in statement.conditions.iter().enumerate() {
            if !condition.holds(context) {
                return Err(Part::Condition(index));
            }
        }
        Ok(strength)
    }
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
