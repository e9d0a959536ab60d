//! Cases from a seed.
//!
//! First a request is made, then policies that are about it: each element is drawn from what the request says, made wider
//! or bent a little, so that most parts of a statement match, and where one does not it often fails by a hair. The
//! reference's own functions steer that share; they have no say in what the engine is asked.

mod access;
mod condition;
mod policy;
mod random;
mod text;
mod words;

pub use random::Random;

use crate::case::Case;
use crate::evaluator::{Caller, Choices, Kind};

/// The choices for the case with this number, where each is taken the other way once in four cases.
#[must_use]
pub fn choices(seed: u64, number: u64) -> Choices {
    let mut random = Random::of_case(!seed, number);
    let mut choices = Choices::AWS;
    for (_, choice) in choices.each() {
        *choice ^= random.one_in(4);
    }
    choices
}

/// Makes the case with this number in the run with this seed.
#[must_use]
pub fn case(seed: u64, number: u64) -> Case {
    let mut random = Random::of_case(seed, number);
    let random = &mut random;
    let request = access::request(random);
    let maker = policy::Maker { request: &request };
    let belongs = request.caller.account().is_some();
    let same_account = match (&request.resource_account, request.caller.account()) {
        (None, Some(_)) => true,
        (owner, account) => owner.as_deref() == account,
    };
    let is_session = matches!(
        request.caller,
        Caller::RoleSession { .. } | Caller::FederatedUser { .. }
    );
    let assumes = request.action.to_ascii_lowercase().starts_with("sts:assumerole");
    let resource_kind = if assumes != random.one_in(30) {
        Kind::Trust
    } else {
        Kind::Resource
    };
    let mut case = Case {
        identity: Vec::new(),
        boundary: None,
        session: None,
        resource: None,
        service_control: Vec::new(),
        resource_control: Vec::new(),
        vpc_endpoint: None,
        bindings: Vec::new(),
        request: request.clone(),
    };
    // Where a side is needed for an answer it is usually there; sides that do not belong are sometimes there too.
    if random.percent(if belongs { 85 } else { 15 }) {
        for _ in 0..=random.below(2) {
            case.identity.push(maker.draft(random, Kind::Identity));
        }
    }
    if random.percent(if belongs { 25 } else { 5 }) {
        case.boundary = Some(maker.draft(random, Kind::Boundary));
    }
    let session = match request.caller {
        Caller::FederatedUser { .. } => 85,
        _ if is_session => 35,
        _ => 5,
    };
    if random.percent(session) {
        let count = if random.one_in(20) { 0 } else { 1 + random.below(2) };
        case.session = Some((0..count).map(|_| maker.draft(random, Kind::Session)).collect());
    }
    let resource = match (belongs, same_account) {
        (false, _) | (true, false) => 90,
        (true, true) if assumes => 90,
        (true, true) => 45,
    };
    if random.percent(resource) {
        case.resource = Some(maker.draft(random, resource_kind));
    }
    if random.percent(25) {
        case.service_control = maker.levels(random, Kind::ServiceControl);
    }
    if random.percent(20) {
        case.resource_control = maker.levels(random, Kind::ResourceControl);
    }
    if random.percent(15) {
        let count = if random.one_in(20) { 0 } else { 1 + random.below(2) };
        case.vpc_endpoint = Some((0..count).map(|_| maker.draft(random, Kind::VpcEndpoint)).collect());
    }
    if random.one_in(6) {
        bind(&mut case, random);
    }
    if random.one_in(8) {
        access::bend(&mut case.request, random);
    }
    case
}

/// Binds the users and roles that the policies name: mostly to the ids that they have, sometimes to those of predecessors.
fn bind(case: &mut Case, random: &mut Random) {
    let mut bindings: Vec<(String, String)> = Vec::new();
    let principals = case
        .drafts()
        .flat_map(|draft| &draft.statements)
        .filter_map(|statement| statement.principal.as_ref());
    for (_, arn) in principals.flat_map(|(_, entries)| entries) {
        let is_entity = arn.contains(":user/") || arn.contains(":role/");
        if is_entity && random.percent(80) && bindings.iter().all(|(bound, _)| bound != arn) {
            // A predecessor of the same name had another id.
            let id = access::unique_id(arn);
            let id = if random.one_in(3) { id.replacen('X', "Y", 1) } else { id };
            bindings.push((arn.clone(), id));
        }
    }
    case.bindings = bindings;
}
