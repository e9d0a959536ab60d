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
    let mut flip = |choice: bool| choice != random.one_in(4);
    let aws = Choices::AWS;
    Choices {
        lone_star_matches_any_arn: flip(aws.lone_star_matches_any_arn),
        lists_need_a_set_qualifier: flip(aws.lists_need_a_set_qualifier),
        empty_string_is_an_empty_set: flip(aws.empty_string_is_an_empty_set),
        for_any_value_needs_a_value: flip(aws.for_any_value_needs_a_value),
        uncomparable_satisfies_negation: flip(aws.uncomparable_satisfies_negation),
        defaults_replace_empty_values: flip(aws.defaults_replace_empty_values),
        digits_are_epoch_seconds: flip(aws.digits_are_epoch_seconds),
        numbers_may_have_exponents: flip(aws.numbers_may_have_exponents),
        numbers_may_have_blanks: flip(aws.numbers_may_have_blanks),
        mapped_addresses_are_ipv6: flip(aws.mapped_addresses_are_ipv6),
        only_ascii_letters_fold: flip(aws.only_ascii_letters_fold),
        short_arns_are_padded: flip(aws.short_arns_are_padded),
        not_principal_needs_the_whole_chain: flip(aws.not_principal_needs_the_whole_chain),
        federated_callers_need_federated: flip(aws.federated_callers_need_federated),
        service_control_needs_an_account: flip(aws.service_control_needs_an_account),
        unknown_account_is_the_callers: flip(aws.unknown_account_is_the_callers),
    }
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
    if random.one_in(8) {
        access::bend(&mut case.request, random);
    }
    case
}
