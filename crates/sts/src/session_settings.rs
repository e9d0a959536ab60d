//! The parameters that shape a session, which AssumeRole and AssumeRoleWithWebIdentity share.

use irsa_core::{AccountId, Arn};
use irsa_policy::PolicyKind;
use irsa_wire::{Params, Pattern, Text, Validator, patterns};

use crate::error::StsError;

/// Source identities, from parameters and claims alike.
pub(crate) const SOURCE_IDENTITY: Text = Text::new(2, 64, patterns::SESSION_NAME);
const ARN: Text = Text::new(20, 2048, patterns::ANY);
const SESSION_NAME: Text = Text::new(2, 64, patterns::SESSION_NAME);
const POLICY: Text = Text::new(1, 2048, patterns::DOCUMENT);
const SERIAL_NUMBER: Text = Text::new(
    9,
    256,
    Pattern {
        text: r"[\w+=/:,.@-]*",
        matches: |text| {
            text.chars()
                .all(|character| character.is_ascii_alphanumeric() || "_+=/:,.@-".contains(character))
        },
    },
);
const TOKEN_CODE: Text = Text {
    min: 6,
    max: 6,
    pattern: Pattern {
        text: r"[\d]*",
        matches: |text| text.bytes().all(|byte| byte.is_ascii_digit()),
    },
    sensitive: true,
};
const MAX_POLICY_ARNS: usize = 10;

/// What a caller asked of its session, checked for form.
pub(crate) struct SessionSettings {
    pub(crate) role: RoleArn,
    pub(crate) session_name: String,
    pub(crate) policy: Option<String>,
    pub(crate) policy_arns: Vec<String>,
    pub(crate) duration_seconds: Option<i32>,
    /// Characters that the session token must have at least.
    pub(crate) minimum_token_size: usize,
}

/// The ARN of a role, as sent.
#[derive(Clone, Debug)]
pub(crate) struct RoleArn {
    pub(crate) text: String,
    pub(crate) account: AccountId,
    /// The name without its path.
    pub(crate) name: String,
}

impl SessionSettings {
    /// Reads the shared parameters. `validator` has collected what is wrong with the others.
    ///
    /// # Errors
    /// `ValidationError`, `MalformedInput` or `MalformedPolicyDocument`.
    pub(crate) fn read(params: &Params, mut validator: Validator) -> Result<Self, StsError> {
        let role = validator.required(params, "RoleArn", ARN).to_owned();
        let session_name = validator.required(params, "RoleSessionName", SESSION_NAME).to_owned();
        let policy = validator.optional(params, "Policy", POLICY).map(str::to_owned);
        let duration_seconds = validator.integer(params, "DurationSeconds", 900, 43_200)?;
        let minimum_token_size = minimum_token_size(params, &mut validator)?;
        let mut policy_arns = Vec::new();
        if let Some(elements) = params.list("PolicyArns")? {
            validator.count("policyArns", elements.len(), 0, MAX_POLICY_ARNS);
            for (element, number) in elements.iter().zip(1_usize..) {
                let member = format!("policyArns.{number}.member.arn");
                // An element that is passed over would leave a session without the limit that its maker meant.
                match element.get("arn") {
                    Some(arn) => policy_arns.push(validator.text(&member, arn, ARN).to_owned()),
                    None => validator.missing(&member),
                }
            }
        }
        validator.finish()?;
        let role = RoleArn::parse(&role)?;
        if let Some(policy) = &policy {
            irsa_policy::validate::document(PolicyKind::Session, policy)
                .map_err(|malformed| StsError::MalformedPolicy(malformed.message))?;
        }
        for arn in &policy_arns {
            let parsed: Option<Arn> = arn.parse().ok();
            let parsed = parsed.filter(|arn| arn.service() == "iam" && arn.resource_of_kind("policy").is_some());
            let parsed = parsed.ok_or_else(|| StsError::Validation(format!("{arn} is invalid")))?;
            if parsed.account() != "aws" && parsed.account_id() != Some(role.account) {
                return Err(StsError::Validation(format!(
                    "{arn} is invalid: session policies must be of the role's account"
                )));
            }
        }
        Ok(Self {
            role,
            session_name,
            policy,
            policy_arns,
            duration_seconds,
            minimum_token_size,
        })
    }
}

/// Reads `MinimumSessionTokenSize`, in characters.
pub(crate) fn minimum_token_size(params: &Params, validator: &mut Validator) -> Result<usize, StsError> {
    let size = validator.integer(params, "MinimumSessionTokenSize", 0, 4096)?;
    Ok(size.and_then(|size| usize::try_from(size).ok()).unwrap_or_default())
}

/// Whether the caller shows a second factor.
pub(crate) fn second_factor(params: &Params, validator: &mut Validator) -> bool {
    let serial_number = validator.optional(params, "SerialNumber", SERIAL_NUMBER);
    let code = validator.optional(params, "TokenCode", TOKEN_CODE);
    serial_number.is_some() || code.is_some()
}

/// Whether a text begins with the prefix that AWS keeps for itself.
pub(crate) fn is_reserved(text: &str) -> bool {
    text.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"))
}

impl RoleArn {
    fn parse(text: &str) -> Result<Self, StsError> {
        let invalid = || StsError::Validation(format!("{} is invalid", text.chars().take(2048).collect::<String>()));
        let arn: Arn = text.parse().map_err(|_| invalid())?;
        let printable = |character: char| ('\u{21}'..='\u{7e}').contains(&character);
        let is_role = arn.service() == "iam"
            && arn.region().is_empty()
            && arn.resource_of_kind("role").is_some_and(|rest| !rest.is_empty());
        if !is_role || !text.chars().all(printable) {
            return Err(invalid());
        }
        let account = arn.account_id().ok_or_else(invalid)?;
        Ok(Self {
            account,
            name: arn.resource_name().to_owned(),
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adv_wt_66_role_arns() {
        let parse = |text: &str| {
            RoleArn::parse(text)
                .map(|role| role.name)
                .map_err(|error| error.to_string())
        };
        assert_eq!(parse("arn:aws:iam::111122223333:role/team/app").as_deref(), Ok("app"));
        for bad in [
            "arn:aws:iam::111122223333:user/app",
            "arn:aws:iam::111122223333:instance-profile/app",
            "ARN:AWS:IAM::111122223333:ROLE/APP",
            "arn:aws:iam::111122223333:role/app ",
            "arn:aws:iam::11112222333:role/app",
            "arn:aws:iam:us-east-1:111122223333:role/app",
            "arn:aws:iam::111122223333:role/",
            "not an arn at all, really",
        ] {
            assert_eq!(parse(bad), Err(format!("{bad} is invalid")), "{bad}");
        }
    }
}
