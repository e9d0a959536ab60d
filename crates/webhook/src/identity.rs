use irsa_core::{AccountId, Arn, partition_of_region};
use serde_json::{Map, Value};

use crate::{RoleArnCheck, Settings, Warning};

/// What applies to the pods of one service account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The role's ARN, injected as it is.
    pub role_arn: String,
    /// The token's audience; empty means the cluster's default.
    pub audience: String,
    /// Whether SDKs are told to use the regional STS endpoint.
    pub regional_sts: bool,
    /// The token's life in seconds, which a pod's own annotation can change.
    pub token_expiration_seconds: i64,
    /// The region to inject instead of [`Settings::default_region`].
    pub region: Option<String>,
    /// The containers to skip, as comma-separated values, where [`Settings::account_lists`] lets the account name them.
    pub skip_containers: Option<String>,
    /// The only containers to inject, in the same form.
    pub include_containers: Option<String>,
}

/// What applies to the pods of a service account that EKS Pod Identity serves: the agent on the node knows the role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContainerIdentity {
    /// Whether SDKs are told to use the regional STS endpoint.
    pub regional_sts: bool,
    /// The token's life in seconds, which a pod's own annotation can change.
    pub token_expiration_seconds: i64,
    /// How many seconds a token of exactly a day lives less than that, 7,200 at most: a random number, so that the tokens of pods that start together
    /// do not end together.
    pub jitter_seconds: i64,
}

impl Identity {
    /// A role with everything else as the settings say: what a service account with no other annotation has.
    #[must_use]
    pub fn new(role_arn: impl Into<String>, settings: &Settings) -> Self {
        Self {
            role_arn: role_arn.into(),
            audience: settings.token_audience.clone(),
            regional_sts: settings.regional_sts,
            token_expiration_seconds: settings.clamp_expiration(settings.token_expiration_seconds),
            region: None,
            skip_containers: None,
            include_containers: None,
        }
    }
}

/// A service account's annotations cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentityError {
    /// The value is not an object with an object `metadata` and, if at all, an object `metadata.annotations`.
    #[error("`{field}` is not an object")]
    NotAnObject {
        /// The field's place in the service account.
        field: &'static str,
    },
    /// The Kubernetes API knows only strings as annotation values; YAML makes a boolean of a bare `true`.
    #[error("annotation `{annotation}` is not a string, put its value in quotes")]
    NotAString {
        /// The annotation's key.
        annotation: String,
    },
}

/// The identity that a ServiceAccount's annotations describe; `None` if they name no role.
///
/// # Errors
/// Annotations that the Kubernetes API would not have taken either: see [`IdentityError`].
pub fn identity_of(service_account: &Value, settings: &Settings) -> Result<Option<Identity>, IdentityError> {
    identity_with_warnings(service_account, settings).map(|(identity, _)| identity)
}

/// As [`identity_of`], with what its owner should know of the other annotations: a bad token expiration or regional STS
/// value has no effect, an empty audience has one that nobody wants. The role's ARN is looked at by
/// [`mutate`](crate::mutate).
///
/// # Errors
/// As [`identity_of`].
pub fn identity_with_warnings(
    service_account: &Value,
    settings: &Settings,
) -> Result<(Option<Identity>, Vec<Warning>), IdentityError> {
    let object = service_account
        .as_object()
        .ok_or(IdentityError::NotAnObject { field: "" })?;
    let Some(metadata) = child(object, "metadata", "metadata")? else {
        return Ok((None, Vec::new()));
    };
    let Some(annotations) = child(metadata, "annotations", "metadata.annotations")? else {
        return Ok((None, Vec::new()));
    };
    let annotation = |name: &str| {
        let key = format!("{}/{name}", settings.annotation_prefix);
        match annotations.get(&key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            // As the API server decodes it.
            Some(Value::Null) => Ok(Some("")),
            Some(_) => Err(IdentityError::NotAString { annotation: key }),
        }
    };

    let role_arn = match annotation("role-arn")? {
        None | Some("") => return Ok((None, Vec::new())),
        Some(role) => match &settings.role_arn_prefix {
            Some(prefix) if !role.contains("arn:") => format!("{prefix}{role}"),
            _ => role.to_owned(),
        },
    };
    let mut identity = Identity::new(role_arn, settings);
    let mut warnings = Vec::new();
    if let Some(audience) = annotation("audience")? {
        if audience.is_empty() {
            warnings.push(Warning::EmptyAudience);
        }
        audience.clone_into(&mut identity.audience);
    }
    if let Some(word) = annotation("sts-regional-endpoints")? {
        match word {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => identity.regional_sts = true,
            "0" | "f" | "F" | "FALSE" | "false" | "False" => identity.regional_sts = false,
            _ => warnings.push(Warning::RegionalSts { value: word.to_owned() }),
        }
    }
    if let Some(text) = annotation("token-expiration")? {
        let (seconds, warning) = expiration(text, identity.token_expiration_seconds, settings);
        identity.token_expiration_seconds = seconds;
        warnings.extend(warning);
    }
    if let Some(region) = annotation("region")? {
        if is_region(region) {
            identity.region = Some(region.to_owned());
        } else {
            warnings.push(Warning::Region {
                value: region.to_owned(),
            });
        }
    }
    if settings.account_lists {
        identity.skip_containers = annotation("skip-containers")?.map(str::to_owned);
        identity.include_containers = annotation("include-containers")?.map(str::to_owned);
    }
    Ok((Some(identity), warnings))
}

/// Whether a text can be a region's name: it becomes part of host names.
fn is_region(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The seconds that a token expiration annotation means, on a service account or a pod: the fallback if it is no number.
pub(crate) fn expiration(text: &str, fallback: i64, settings: &Settings) -> (i64, Option<Warning>) {
    let used = match text.parse::<i64>() {
        Ok(seconds) => {
            let used = settings.clamp_expiration(seconds);
            if used == seconds {
                return (used, None);
            }
            used
        }
        Err(_) => fallback,
    };
    (
        used,
        Some(Warning::TokenExpiration {
            value: text.to_owned(),
            used,
        }),
    )
}

/// What is wrong with a role ARN, if anything. `Err` if nothing may be injected because of it.
pub(crate) fn check_role_arn(
    role_arn: &str,
    region: Option<&str>,
    settings: &Settings,
) -> Result<Option<Warning>, Warning> {
    let warning = match (role_partition(role_arn), region.map(partition_of_region)) {
        (None, _) => Warning::RoleArn {
            role_arn: role_arn.to_owned(),
        },
        (Some(partition), Some(expected)) if partition != expected => Warning::ForeignPartition {
            role_arn: role_arn.to_owned(),
            expected,
        },
        _ => return Ok(None),
    };
    match settings.role_arn_check {
        RoleArnCheck::Warn => Ok(Some(warning)),
        RoleArnCheck::Refuse => Err(warning),
    }
}

/// The partition, if the text is a role's ARN: `arn:aws…:iam::<12 digits>:role/<path and name>`.
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html> for the characters.
fn role_partition(text: &str) -> Option<String> {
    let arn: Arn = text.parse().ok()?;
    let partition = arn.partition().strip_prefix("aws")?;
    let role = arn.resource_of_kind("role")?;
    let well_formed = partition
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && arn.service() == "iam"
        && arn.region().is_empty()
        && arn.account().len() == 12
        && arn.account().parse::<AccountId>().is_ok()
        && !role.is_empty()
        && role
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-/.@+=,".contains(&byte));
    well_formed.then(|| arn.partition().to_owned())
}

fn child<'a>(
    object: &'a Map<String, Value>,
    key: &str,
    field: &'static str,
) -> Result<Option<&'a Map<String, Value>>, IdentityError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(child)) => Ok(Some(child)),
        Some(_) => Err(IdentityError::NotAnObject { field }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/S3ReadRole";

    fn account(annotations: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "s3-reader", "annotations": annotations}})
    }

    fn read(annotations: &Value) -> (Identity, Vec<Warning>) {
        let (identity, warnings) = identity_with_warnings(&account(annotations), &Settings::default()).unwrap();
        (identity.unwrap(), warnings)
    }

    #[test]
    fn the_defaults_of_the_reference() {
        let (identity, warnings) = read(&json!({"eks.amazonaws.com/role-arn": ROLE}));
        let expected = Identity {
            role_arn: ROLE.into(),
            audience: "sts.amazonaws.com".into(),
            regional_sts: false,
            token_expiration_seconds: 86_400,
            region: None,
            skip_containers: None,
            include_containers: None,
        };
        assert_eq!((identity, warnings), (expected, vec![]));
    }

    #[test]
    fn no_role_is_no_identity() {
        for service_account in [
            json!({}),
            json!({"metadata": null}),
            json!({"metadata": {"annotations": null}}),
            account(&json!({})),
            account(&json!({"eks.amazonaws.com/role-arn": ""})),
            account(&json!({"eks.amazonaws.com/role-arn": null})),
            account(&json!({"eks.amazonaws.com/audience": "x", "other.example/role-arn": ROLE})),
        ] {
            let settings = Settings {
                role_arn_prefix: Some("arn:aws:iam::111122223333:role/".into()),
                ..Settings::default()
            };
            assert_eq!(identity_of(&service_account, &settings), Ok(None), "{service_account}");
        }
    }

    #[test]
    fn token_expirations() {
        for (text, expected, warns) in [
            ("3600", 3600, false),
            ("600", 600, false),
            ("+700", 700, false),
            ("599", 600, true),
            ("0", 600, true),
            ("-1", 600, true),
            ("100000", 100_000, false),
            ("4294967296", 4_294_967_296, false),
            ("4294967297", 4_294_967_296, true),
            ("9223372036854775807", 4_294_967_296, true),
            ("9223372036854775808", 86_400, true),
            ("1e9", 86_400, true),
            ("", 86_400, true),
            (" 3600", 86_400, true),
            ("3_600", 86_400, true),
        ] {
            let (identity, warnings) =
                read(&json!({"eks.amazonaws.com/role-arn": ROLE, "eks.amazonaws.com/token-expiration": text}));
            assert_eq!(identity.token_expiration_seconds, expected, "{text:?}");
            assert_eq!(!warnings.is_empty(), warns, "{text:?}");
        }
    }

    #[test]
    fn the_expiration_flag_has_the_same_minimum() {
        let settings = Settings {
            token_expiration_seconds: 5,
            ..Settings::default()
        };
        assert_eq!(Identity::new(ROLE, &settings).token_expiration_seconds, 600);
    }

    #[test]
    fn a_lower_maximum_is_the_operators_choice() {
        let settings = Settings {
            max_token_expiration_seconds: 3600,
            ..Settings::default()
        };
        assert_eq!(expiration("7200", 600, &settings).0, 3600);
        let senseless = Settings {
            max_token_expiration_seconds: i64::MIN,
            ..Settings::default()
        };
        assert_eq!(expiration("7200", 600, &senseless).0, 600);
    }

    #[test]
    fn regional_sts_words() {
        for (word, expected) in [("true", true), ("1", true), ("T", true), ("false", false), ("F", false)] {
            let settings = Settings {
                regional_sts: !expected,
                ..Settings::default()
            };
            let annotations =
                json!({"eks.amazonaws.com/role-arn": ROLE, "eks.amazonaws.com/sts-regional-endpoints": word});
            let identity = identity_of(&account(&annotations), &settings).unwrap().unwrap();
            assert_eq!(identity.regional_sts, expected, "{word}");
        }
        for word in ["", "yes", "tRUE", " true"] {
            let (identity, warnings) =
                read(&json!({"eks.amazonaws.com/role-arn": ROLE, "eks.amazonaws.com/sts-regional-endpoints": word}));
            assert!(!identity.regional_sts);
            assert_eq!(warnings, [Warning::RegionalSts { value: word.into() }]);
        }
    }

    #[test]
    fn an_empty_audience_is_kept_and_warned_of() {
        let (identity, warnings) = read(&json!({"eks.amazonaws.com/role-arn": ROLE, "eks.amazonaws.com/audience": ""}));
        assert_eq!(identity.audience, "");
        assert_eq!(warnings, [Warning::EmptyAudience]);
    }

    #[test]
    fn the_prefix_is_configurable() {
        let settings = Settings {
            annotation_prefix: "irsa.example".into(),
            ..Settings::default()
        };
        let identity = identity_of(&account(&json!({"irsa.example/role-arn": ROLE})), &settings).unwrap();
        assert_eq!(identity.unwrap().role_arn, ROLE);
    }

    #[test]
    fn a_role_name_is_composed_only_on_request() {
        let name = account(&json!({"eks.amazonaws.com/role-arn": "team/app"}));
        assert_eq!(
            identity_of(&name, &Settings::default()).unwrap().unwrap().role_arn,
            "team/app"
        );
        let settings = Settings {
            role_arn_prefix: Some("arn:aws-cn:iam::111122223333:role/".into()),
            ..Settings::default()
        };
        let composed = identity_of(&name, &settings).unwrap().unwrap();
        assert_eq!(composed.role_arn, "arn:aws-cn:iam::111122223333:role/team/app");
        let whole = identity_of(&account(&json!({"eks.amazonaws.com/role-arn": ROLE})), &settings)
            .unwrap()
            .unwrap();
        assert_eq!(whole.role_arn, ROLE);
    }

    #[test]
    fn annotations_that_are_not_strings() {
        let boolean =
            account(&json!({"eks.amazonaws.com/role-arn": ROLE, "eks.amazonaws.com/sts-regional-endpoints": true}));
        let error = identity_of(&boolean, &Settings::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "annotation `eks.amazonaws.com/sts-regional-endpoints` is not a string, put its value in quotes"
        );
        for odd in [
            json!(null),
            json!([]),
            json!({"metadata": 1}),
            json!({"metadata": {"annotations": []}}),
        ] {
            assert!(identity_of(&odd, &Settings::default()).is_err(), "{odd}");
        }
    }

    #[test]
    fn role_arns() {
        for good in [
            ROLE,
            "arn:aws-cn:iam::111122223333:role/s3-reader",
            "arn:aws-us-gov:iam::111122223333:role/a/b/c_d.e@f+g=h,i",
        ] {
            assert_eq!(check_role_arn(good, None, &Settings::default()), Ok(None), "{good}");
        }
        for bad in [
            "",
            "S3ReadRole",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:instance-profile/S3ReadRole",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:iam::12345678901:role/x",
            "arn:aws:iam::1234567890123:role/x",
            "arn:aws:iam:us-east-1:123456789012:role/x",
            "arn:aws:sts::123456789012:role/x",
            "arn:azure:iam::123456789012:role/x",
            "arn:awsX:iam::123456789012:role/x",
            " arn:aws:iam::123456789012:role/x",
            "arn:aws:iam::123456789012:role/x ",
            "arn:aws:iam::123456789012:role/x\n",
            "arn:aws:iam::123456789012:role/x:y",
            "arn:aws:iam::123456789012:role/rôle",
        ] {
            let warning = Warning::RoleArn { role_arn: bad.into() };
            assert_eq!(
                check_role_arn(bad, None, &Settings::default()),
                Ok(Some(warning.clone())),
                "{bad}"
            );
            let strict = Settings {
                role_arn_check: RoleArnCheck::Refuse,
                ..Settings::default()
            };
            assert_eq!(check_role_arn(bad, None, &strict), Err(warning), "{bad}");
        }
    }

    #[test]
    fn a_role_of_another_partition_than_the_region() {
        let settings = Settings {
            default_region: Some("cn-north-1".into()),
            ..Settings::default()
        };
        assert!(matches!(
            check_role_arn(ROLE, settings.region(), &settings),
            Ok(Some(Warning::ForeignPartition { expected: "aws-cn", .. }))
        ));
        assert_eq!(
            check_role_arn("arn:aws-cn:iam::111122223333:role/x", settings.region(), &settings),
            Ok(None)
        );
    }
}
