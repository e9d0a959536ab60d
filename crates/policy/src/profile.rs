//! Where AWS documents nothing, a choice had to be made. All of them stand here.

/// One switch of a [`Profile`], for documentation and tools.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Setting {
    /// The name of the profile's field.
    pub name: &'static str,
    /// What the engine does if it is on.
    pub meaning: &'static str,
    /// Whether it is on.
    pub value: bool,
}

/// A name that no setting has.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no profile setting is called `{0}`")]
pub struct UnknownSettingError(String);

macro_rules! profile {
    ($($(#[doc = $line:literal])+ $name:ident: $aws:literal,)+) => {
        /// The points that AWS leaves open, and what the engine does at each of them.
        ///
        /// A profile is chosen when a policy is compiled ([`Policy::parse_with`](crate::Policy::parse_with)), so that
        /// it costs nothing when requests are decided; the choices that are about no single policy are taken from
        /// [`Layers::profile`](crate::Layers::profile). The default is [`Profile::AWS`]. The sources are the IAM User
        /// Guide where it speaks, and published measurements of AWS where somebody made them.
        ///
        /// Choices that are no switch, because they are part of how a text is read:
        /// * ARN fields one to five compare case-sensitively, like the sixth.
        /// * A wildcard in the service half of an action is matched like any other.
        /// * Numbers compare exactly at any size.
        /// * A binary context value is the bytes of its text, or base64 of them; the policy's value is base64.
        /// * A date's fraction of a second counts to nine digits.
        /// * Operators are read in any case.
        /// * A multivalued key in a policy variable counts as no value.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub struct Profile {
            $($(#[doc = $line])+ pub $name: bool,)+
        }

        impl Profile {
            /// What AWS does, as far as anybody knows.
            pub const AWS: Self = Self { $($name: $aws,)+ };

            /// Every setting with its meaning and value.
            pub fn settings(&self) -> impl ExactSizeIterator<Item = Setting> + use<> {
                [$(Setting {
                    name: stringify!($name),
                    meaning: concat!($($line),+).trim_ascii_start(),
                    value: self.$name,
                },)+]
                .into_iter()
            }

            /// Turns the setting of this name on or off.
            ///
            /// # Errors
            /// There is none of this name.
            pub fn set(&mut self, name: &str, value: bool) -> Result<(), UnknownSettingError> {
                match name {
                    $(stringify!($name) => self.$name = value,)+
                    _ => return Err(UnknownSettingError(name.chars().take(128).collect())),
                }
                Ok(())
            }
        }
    };
}

profile! {
    /// A lone `*` in `ArnLike` and `ArnEquals` matches any text, also one that is no ARN.
    lone_star_matches_any_arn: true,
    /// A multivalued key under an operator without a set qualifier never matches, negated or not.
    lists_need_a_set_qualifier: true,
    /// `ForAllValues` holds for a key whose only value is the empty string.
    empty_string_is_an_empty_set: true,
    /// `ForAnyValue` with `IfExists` does not match an absent key.
    for_any_value_needs_a_value: true,
    /// A policy or request value of the wrong type equals nothing and is less than nothing: positive operators are
    /// false, their negations true.
    uncomparable_satisfies_negation: true,
    /// `${key, 'default'}` uses the default for an empty value too.
    defaults_replace_empty_values: true,
    /// A date of digits only is epoch seconds, even with four digits; else four digits are a year.
    digits_are_epoch_seconds: true,
    /// A number may have an exponent: `1e3` is 1000.
    numbers_may_have_exponents: true,
    /// Blanks around a number are overlooked.
    numbers_may_have_blanks: false,
    /// An IPv4-mapped IPv6 address is in IPv6 blocks only; else it is read as the IPv4 address.
    mapped_addresses_are_ipv6: true,
    /// `StringEqualsIgnoreCase` folds ASCII letters only; else all letters that have a lower case.
    only_ascii_letters_fold: true,
    /// A resource pattern of fewer than six fields is read as it stands and also, in the kinds of policy that do so,
    /// with the missing fields as `*`; else only as it stands.
    short_arns_are_padded: true,
    /// `NotPrincipal` with `Deny` spares a caller only if its account, its role (for a session) and it itself are listed.
    not_principal_needs_the_whole_chain: true,
    /// `"*"` and `{"AWS": "*"}` allow everyone but callers with a web identity or SAML assertion, who need `Federated`;
    /// in `Deny` and in policies of VPC endpoints they mean everyone.
    federated_callers_need_federated: true,
    /// Service control policies apply to principals of an account only: not to anonymous callers, services or tokens.
    service_control_needs_an_account: true,
    /// A resource whose account is not known is taken to be in the caller's account.
    unknown_account_is_the_callers: true,
}

impl Default for Profile {
    fn default() -> Self {
        Self::AWS
    }
}

#[cfg(test)]
mod tests;
