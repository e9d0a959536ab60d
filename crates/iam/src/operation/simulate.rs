//! What policies would allow: SimulateCustomPolicy, SimulatePrincipalPolicy, and the condition keys that policies ask for.
//!
//! The engine that answers is the one that decides the server's own requests. Shapes follow the API reference and its examples, texts those that
//! users of AWS have reported; `docs/differences.md` says where ours differ.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>.

mod answer;
mod context;
mod exclusion;
mod handling;
mod input;
mod principal;
mod result;
mod source;

use std::collections::HashSet;

use irsa_wire::Params;

use self::input::Input;
use self::principal::Entity;
use self::result::Simulation;
use crate::authorize::Target;
use crate::error::IamError;
use crate::operation::common;
use crate::operation::page::Page;
use crate::operation::render::Members;
use crate::operation::{Execution, Operation, Outcome, Question, read};

pub(crate) const OPERATIONS: &[Operation] = &[
    read!("SimulateCustomPolicy", custom_targets, simulate_custom),
    read!("SimulatePrincipalPolicy", principal_targets, simulate_principal),
    read!("GetContextKeysForCustomPolicy", custom_keys_targets, custom_keys),
    read!(
        "GetContextKeysForPrincipalPolicy",
        principal_keys_targets,
        principal_keys
    ),
];

fn anything(question: &Question<'_>) -> Vec<Target> {
    vec![Target::new(question.action, "*", question.caller.account)]
}

fn custom_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Input::custom(params)?;
    Ok(anything(question))
}

fn principal_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let input = Input::principal(params)?;
    Ok(vec![principal::target(question, input.source)?])
}

fn custom_keys_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    input::documents(params)?;
    Ok(anything(question))
}

fn principal_keys_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let (source, _) = input::source_and_documents(params)?;
    Ok(vec![principal::target(question, source)?])
}

fn simulate_custom(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let input = Input::custom(params)?;
    let simulation = Simulation::new(&input, execution, None)?;
    answer(params, execution, &input, &simulation)
}

fn simulate_principal(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let input = Input::principal(params)?;
    let entity = Entity::find(execution, input.source)?;
    let simulation = Simulation::new(&input, execution, Some(&entity))?;
    answer(params, execution, &input, &simulation)
}

/// One page of actions, each with all of its resources.
fn answer(
    params: &Params,
    execution: &Execution<'_>,
    input: &Input<'_>,
    simulation: &Simulation<'_>,
) -> Result<Outcome, IamError> {
    let operation = if input.source.is_empty() { "custom" } else { "principal" };
    let page = Page::read(params, execution, &["simulation", operation])?.at_most(simulation.actions_a_page()?);
    let (actions, marker) = page.cut_counted(&input.actions);
    let results = actions
        .into_iter()
        .map(|action| answer::action(simulation, action))
        .collect::<Vec<_>>();
    let answer = Members::new().list("EvaluationResults", results).page(marker);
    Ok(Outcome::read(answer.xml()))
}

fn custom_keys(params: &Params, _: &Execution<'_>) -> Result<Outcome, IamError> {
    let documents = input::documents(params)?;
    keys(documents.iter().map(String::as_str))
}

fn principal_keys(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (source, documents) = input::source_and_documents(params)?;
    let entity = Entity::find(execution, source)?;
    let own = entity.identity_sources(execution.account()?, &[]);
    let own: Vec<&str> = own.iter().map(source::Source::text).collect();
    keys(own.into_iter().chain(documents.iter().map(String::as_str)))
}

/// The keys of documents in the order in which they stand there, each once.
fn keys<'d>(documents: impl Iterator<Item = &'d str>) -> Result<Outcome, IamError> {
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for (index, document) in documents.enumerate() {
        let keys = irsa_simulate::context_keys(document)
            .map_err(|error| source::malformed(&format!("policy {}", index.saturating_add(1)), &error))?;
        names.extend(keys.into_iter().filter(|key| seen.insert(key.to_ascii_lowercase())));
    }
    Ok(Outcome::read(Members::new().texts("ContextKeyNames", names).xml()))
}

/// `InvalidInput`, 400.
fn invalid<T>(message: impl Into<String>) -> Result<T, IamError> {
    Err(IamError::InvalidInput(message.into()))
}

/// The documents of a list, each of a document's form.
fn texts(
    validator: &mut irsa_wire::Validator,
    params: &Params,
    name: &str,
) -> Result<Option<Vec<String>>, irsa_wire::WireError> {
    common::texts(validator, params, name, common::DOCUMENT)
}
