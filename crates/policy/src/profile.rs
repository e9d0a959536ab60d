//! Where AWS documents nothing, a choice had to be made. All of them stand here.

/// The points that AWS leaves open, and what this engine does at each of them.
///
/// The engine reads [`Profile::AWS`]; it is data so that documentation and tools can print it. The sources are the IAM
/// User Guide where it speaks, and published measurements of AWS where somebody made them.
///
/// Choices that are no switch, because they are part of how a value is read:
/// * ARN fields one to five compare case-sensitively, like the sixth.
/// * `StringEqualsIgnoreCase` folds ASCII letters only.
/// * A wildcard in the service half of an action is matched like any other.
/// * Numbers may have a sign and an exponent, but no blanks; they compare exactly at any size.
/// * A binary context value is the bytes of its text; the policy's value is base64.
/// * A resource pattern of fewer than six fields is read as it stands and, in the kinds of policy that pad it, also with
///   the missing fields as `*`.
/// * Operators are read in any case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Profile {
    /// A lone `*` in `ArnLike` and `ArnEquals` matches any text, also one that is no ARN.
    pub lone_star_matches_any_arn: bool,
    /// A multivalued key under an operator without a set qualifier never matches, negated or not.
    pub lists_need_a_set_qualifier: bool,
    /// `ForAllValues` holds for a key whose only value is the empty string.
    pub empty_string_is_an_empty_set: bool,
    /// `ForAnyValue` with `IfExists` does not match an absent key.
    pub for_any_value_needs_a_value: bool,
    /// A policy or request value of the wrong type equals nothing and is less than nothing: positive operators are
    /// false, their negations true.
    pub uncomparable_satisfies_negation: bool,
    /// `${key, 'default'}` uses the default for an empty value too.
    pub defaults_replace_empty_values: bool,
    /// A date of digits only is epoch seconds, even with four digits.
    pub digits_are_epoch_seconds: bool,
    /// An IPv4-mapped IPv6 address is in IPv6 blocks only.
    pub mapped_addresses_are_ipv6: bool,
    /// `NotPrincipal` with `Deny` spares a caller only if its account, its role (for a session) and it itself are listed.
    pub not_principal_needs_the_whole_chain: bool,
    /// `"*"` and `{"AWS": "*"}` allow everyone but callers with a web identity or SAML assertion, who need `Federated`;
    /// in `Deny` they mean everyone.
    pub federated_callers_need_federated: bool,
    /// Service control policies apply to principals of an account only: not to anonymous callers, services or tokens.
    pub service_control_needs_an_account: bool,
    /// A resource whose account is not known is taken to be in the caller's account.
    pub unknown_account_is_the_callers: bool,
}

impl Profile {
    /// What AWS does, as far as anybody knows.
    pub const AWS: Self = Self {
        lone_star_matches_any_arn: true,
        lists_need_a_set_qualifier: true,
        empty_string_is_an_empty_set: true,
        for_any_value_needs_a_value: true,
        uncomparable_satisfies_negation: true,
        defaults_replace_empty_values: true,
        digits_are_epoch_seconds: true,
        mapped_addresses_are_ipv6: true,
        not_principal_needs_the_whole_chain: true,
        federated_callers_need_federated: true,
        service_control_needs_an_account: true,
        unknown_account_is_the_callers: true,
    };
}

/// The profile that the engine is built with.
pub(crate) const PROFILE: Profile = Profile::AWS;
