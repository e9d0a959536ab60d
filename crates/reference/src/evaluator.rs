//! The policy language, written out plainly.
//!
//! Every function is a sentence of the documentation. Nothing is prepared, cached or indexed: a policy is read from its
//! text, and each question is answered from the strings in it.

mod action;
mod address;
mod arn;
pub(crate) mod binary;
mod condition;
mod date;
mod decision;
mod document;
mod glob;
mod json;
mod number;
mod pattern;
mod principal;
mod resource;

pub(crate) use condition::OPERATORS;
pub use condition::{Base, Condition, Quantifier, holds};
pub use decision::{Answer, Organization, Policies, closeness, decide, is_asked};
pub use document::{Document, Effect, Kind, Names, PrincipalEntry, Statement};
pub use principal::{Caller, Link};

/// The values that a request has for one key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Values {
    /// One value of a single-valued key.
    One(String),
    /// The values of a multivalued key, however many.
    List(Vec<String>),
}

/// The condition keys of a request, in the order they were given.
pub type Keys = Vec<(String, Values)>;

/// What is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// Who calls.
    pub caller: Caller,
    /// `service:Operation`.
    pub action: String,
    /// An ARN, or `*` for an action without resources.
    pub resource: String,
    /// The account of the resource, if it has one.
    pub resource_account: Option<String>,
    /// The condition keys.
    pub keys: Keys,
}

/// Looks a condition key up. Key names do not distinguish case; a key without values is as good as none.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html>.
#[must_use]
pub fn value_of<'k>(keys: &'k Keys, name: &str) -> Option<&'k Values> {
    let (_, values) = keys.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    match values {
        Values::List(list) if list.is_empty() => None,
        values => Some(values),
    }
}

macro_rules! choices {
    ($($name:ident: $aws:literal,)+) => {
        /// The points that AWS leaves open, each with the answer that the engine's profile gives by default.
        ///
        /// The names are those of the engine's profile, where each is explained.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[expect(missing_docs, reason = "the names are those of the engine's profile, which explains them")]
        pub struct Choices {
            $(pub $name: bool,)+
        }

        impl Choices {
            /// The default answers.
            pub const AWS: Self = Self { $($name: $aws,)+ };

            /// Every choice, to read or to change.
            pub fn each(&mut self) -> impl Iterator<Item = (&'static str, &mut bool)> {
                [$((stringify!($name), &mut self.$name),)+].into_iter()
            }
        }
    };
}

choices! {
    lone_star_matches_any_arn: true,
    lists_need_a_set_qualifier: true,
    empty_string_is_an_empty_set: true,
    for_any_value_needs_a_value: true,
    uncomparable_satisfies_negation: true,
    defaults_replace_empty_values: true,
    digits_are_epoch_seconds: true,
    numbers_may_have_exponents: true,
    numbers_may_have_blanks: false,
    mapped_addresses_are_ipv6: true,
    only_ascii_letters_fold: true,
    short_arns_are_padded: true,
    not_principal_needs_the_whole_chain: true,
    federated_callers_need_federated: true,
    service_control_needs_an_account: true,
    unknown_account_is_the_callers: true,
}
