//! Callers by name.

use irsa_core::{AccountId, Arn};
use irsa_policy::{Context, Principal, Values};

/// Who calls, named by a text: the owned form of a [`Principal`].
///
/// | text | caller |
/// |---|---|
/// | `anonymous` | nobody: a request without credentials |
/// | `111122223333`, `arn:aws:iam::111122223333:root` | the account's root user |
/// | `arn:aws:iam::111122223333:user/path/ann` | the user |
/// | `arn:aws:sts::111122223333:assumed-role/app/s1` | the role's session |
/// | `arn:aws:iam::111122223333:role/path/app` | a session of the role, named [`Caller::SESSION`] |
/// | `arn:aws:sts::111122223333:federated-user/bob` | the federated user |
/// | `lambda.amazonaws.com` | the AWS service |
/// | `arn:aws:iam::111122223333:oidc-provider/…`, `accounts.google.com` | the bearer of a token of this provider |
/// | `arn:aws:iam::111122223333:saml-provider/…` | the bearer of an assertion of this provider |
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller(Kind);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Kind {
    Anonymous,
    Root {
        account: AccountId,
    },
    User {
        arn: String,
        unique_id: String,
        account: AccountId,
    },
    RoleSession {
        session_arn: String,
        /// With its path if that is known.
        role_arn: String,
        path_is_known: bool,
        role_unique_id: String,
        account: AccountId,
    },
    FederatedUser {
        arn: String,
        user_arn: String,
        account: AccountId,
    },
    WebIdentity {
        provider: String,
    },
    Saml {
        provider: String,
    },
    Service {
        names: Vec<String>,
    },
}

/// The providers that AWS knows by their domains, without an OIDC provider in the account.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>.
const BUILT_IN_PROVIDERS: [&str; 4] = [
    "cognito-identity.amazonaws.com",
    "www.amazon.com",
    "graph.facebook.com",
    "accounts.google.com",
];

/// The text names no caller.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CallerError {
    /// The text has none of the forms.
    #[error("`{0}` names no caller")]
    Unknown(String),
    /// An assumed role's ARN without the session's name.
    #[error("`{0}` names no session: `…:assumed-role/name/session` is needed")]
    NoSession(String),
}

impl CallerError {
    /// What a caller may be named by, for those who got it wrong.
    pub const HELP: &str = "a caller is `anonymous`, an account, a service such as `lambda.amazonaws.com`, or the ARN of a \
        user, a role, a session (`arn:aws:sts::111122223333:assumed-role/app/s1`), a federated user or an identity provider";
}

impl Caller {
    /// The name of the session by which a role that is named itself makes its requests. Policies that name a session of the
    /// role by another name are not about it.
    pub const SESSION: &str = "irsa-simulate";

    /// Reads a caller's name.
    ///
    /// A role's path and the unique ids are not in every name: [`informed_by`](Self::informed_by) takes them from elsewhere.
    /// A federated user is taken to be made by the IAM user of the same name, unless the context says otherwise.
    ///
    /// # Errors
    /// The text names nobody.
    pub fn parse(text: &str) -> Result<Self, CallerError> {
        let unknown = || CallerError::Unknown(text.chars().take(256).collect());
        if text == "anonymous" {
            return Ok(Self(Kind::Anonymous));
        }
        if let Ok(account) = text.parse() {
            return Ok(Self(Kind::Root { account }));
        }
        if BUILT_IN_PROVIDERS.contains(&text) {
            return Ok(Self(Kind::WebIdentity {
                provider: text.to_owned(),
            }));
        }
        if is_service(text) {
            return Ok(Self(Kind::Service {
                names: vec![text.to_owned()],
            }));
        }
        let arn: Arn = text.parse().map_err(|_| unknown())?;
        let account = arn
            .account_id()
            .filter(|_| arn.region().is_empty())
            .ok_or_else(unknown)?;
        let (kind, rest) = match arn.resource().split_once('/') {
            Some((kind, rest)) if !rest.is_empty() && !rest.ends_with('/') => (kind, rest),
            None if arn.resource() == "root" && arn.service() == "iam" => {
                return Ok(Self(Kind::Root { account }));
            }
            _ => return Err(unknown()),
        };
        let caller = match (arn.service(), kind) {
            ("iam", "user") => Kind::User {
                arn: text.to_owned(),
                unique_id: String::new(),
                account,
            },
            ("iam", "role") => Kind::RoleSession {
                session_arn: format!(
                    "arn:{}:sts::{account}:assumed-role/{}/{}",
                    arn.partition(),
                    arn.resource_name(),
                    Self::SESSION
                ),
                role_arn: text.to_owned(),
                path_is_known: true,
                role_unique_id: String::new(),
                account,
            },
            ("sts", "assumed-role") => {
                let (role, session) = rest
                    .split_once('/')
                    .ok_or_else(|| CallerError::NoSession(text.chars().take(256).collect()))?;
                if role.is_empty() || session.contains('/') {
                    return Err(unknown());
                }
                Kind::RoleSession {
                    session_arn: text.to_owned(),
                    role_arn: format!("arn:{}:iam::{account}:role/{role}", arn.partition()),
                    path_is_known: false,
                    role_unique_id: String::new(),
                    account,
                }
            }
            ("sts", "federated-user") => Kind::FederatedUser {
                arn: text.to_owned(),
                user_arn: format!("arn:{}:iam::{account}:user/{rest}", arn.partition()),
                account,
            },
            ("iam", "oidc-provider") => Kind::WebIdentity {
                provider: text.to_owned(),
            },
            ("iam", "saml-provider") => Kind::Saml {
                provider: text.to_owned(),
            },
            _ => return Err(unknown()),
        };
        Ok(Self(caller))
    }

    /// Takes what the name does not say from the request's condition keys: the role's path, or the user behind a federated
    /// user, from `aws:PrincipalArn`; unique ids from `aws:userid`; a service's other names from
    /// `aws:PrincipalServiceNamesList`. A key that is about somebody else says nothing.
    #[must_use]
    pub fn informed_by(mut self, context: &Context) -> Self {
        let single = |key| match context.get(key) {
            Values::Single(value) => Some(value),
            Values::List(_) | Values::Absent => None,
        };
        let unique_id = |prefix: &str| {
            let id = single("aws:userid")?.split(':').next()?;
            id.starts_with(prefix).then(|| id.to_owned())
        };
        match &mut self.0 {
            Kind::User { unique_id: id, .. } => *id = unique_id("AIDA").unwrap_or_default(),
            Kind::RoleSession { role_unique_id, .. } => {
                *role_unique_id = unique_id("AROA").unwrap_or_default();
                if let Some(arn) = single("aws:PrincipalArn") {
                    self.0.learn_path(arn);
                }
            }
            Kind::FederatedUser { user_arn, account, .. } => {
                let user = single("aws:PrincipalArn")
                    .and_then(|text| text.parse::<Arn>().ok())
                    .filter(|arn| arn.service() == "iam" && arn.account_id() == Some(*account))
                    .filter(|arn| arn.resource_of_kind("user").is_some());
                if let Some(user) = user {
                    user.as_str().clone_into(user_arn);
                }
            }
            Kind::Service { names } => {
                let more = match context.get("aws:PrincipalServiceNamesList") {
                    Values::Absent => Vec::new(),
                    Values::Single(name) => vec![name.to_owned()],
                    Values::List(list) => list.iter().map(str::to_owned).collect(),
                };
                // A list without the name that the request was made by is another service's.
                if more.contains(&names.concat()) {
                    *names = more;
                }
            }
            Kind::Anonymous | Kind::Root { .. } | Kind::WebIdentity { .. } | Kind::Saml { .. } => {}
        }
        self
    }

    /// Takes a role's path from ARNs that stand in policies, if nothing else has told it. Names of roles are unique in an
    /// account, whatever their paths and case: an ARN of this name is this role.
    ///
    /// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>.
    #[must_use]
    pub fn named_by<'a>(mut self, arns: impl IntoIterator<Item = &'a str>) -> Self {
        for arn in arns {
            self.0.learn_path(arn);
        }
        self
    }

    /// The account the caller belongs to, if it belongs to one.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match &self.0 {
            Kind::Root { account }
            | Kind::User { account, .. }
            | Kind::RoleSession { account, .. }
            | Kind::FederatedUser { account, .. } => Some(*account),
            Kind::Anonymous | Kind::WebIdentity { .. } | Kind::Saml { .. } | Kind::Service { .. } => None,
        }
    }

    /// Hands the caller to `ask` in the engine's form.
    pub fn lend<T>(&self, ask: impl FnOnce(Principal<'_>) -> T) -> T {
        match &self.0 {
            Kind::Anonymous => ask(Principal::Anonymous),
            Kind::Root { account } => ask(Principal::Root { account: *account }),
            Kind::User {
                arn,
                unique_id,
                account,
            } => ask(Principal::User {
                arn,
                unique_id,
                account: *account,
            }),
            Kind::RoleSession {
                session_arn,
                role_arn,
                role_unique_id,
                account,
                ..
            } => ask(Principal::RoleSession {
                session_arn,
                role_arn,
                role_unique_id,
                account: *account,
            }),
            Kind::FederatedUser { arn, user_arn, account } => ask(Principal::FederatedUser {
                arn,
                user_arn,
                account: *account,
            }),
            Kind::WebIdentity { provider } => ask(Principal::WebIdentity { provider }),
            Kind::Saml { provider } => ask(Principal::Saml { provider }),
            Kind::Service { names } => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                ask(Principal::Service { names: &names })
            }
        }
    }
}

impl Kind {
    /// Takes a role's ARN as this session's, if its path is not known and it has the same partition, account and name.
    fn learn_path(&mut self, text: &str) {
        let Self::RoleSession {
            role_arn,
            path_is_known: path_is_known @ false,
            ..
        } = self
        else {
            return;
        };
        let (Ok(mine), Ok(arn)) = (role_arn.parse::<Arn>(), text.parse::<Arn>()) else {
            return;
        };
        let same = arn.service() == "iam"
            && arn.region().is_empty()
            && arn.partition() == mine.partition()
            && arn.account() == mine.account()
            && arn.resource_of_kind("role").is_some()
            && arn.resource_name().eq_ignore_ascii_case(mine.resource_name());
        if same {
            text.clone_into(role_arn);
            *path_is_known = true;
        }
    }
}

/// `name.amazonaws.com`, in any of AWS's domains for services.
fn is_service(text: &str) -> bool {
    let name = ["amazonaws.com", "amazonaws.com.cn", "amazon.com"]
        .iter()
        .find_map(|domain| text.strip_suffix(domain)?.strip_suffix('.'));
    name.is_some_and(|name| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debug(text: &str, context: &Context) -> String {
        Caller::parse(text)
            .unwrap()
            .informed_by(context)
            .lend(|principal| format!("{principal:?}"))
    }

    #[test]
    fn every_form() {
        let none = Context::default();
        let is = |text: &str, start: &str| {
            let shown = debug(text, &none);
            assert!(shown.starts_with(start), "{text}: {shown}");
        };
        is("anonymous", "Anonymous");
        is("111122223333", "Root");
        is("arn:aws:iam::111122223333:root", "Root");
        is("arn:aws:iam::111122223333:user/a/b/ann", "User");
        is(
            "arn:aws:iam::111122223333:role/a/b/app",
            "RoleSession { session_arn: \"arn:aws:sts::111122223333:assumed-role/app/irsa-simulate\", role_arn: \
             \"arn:aws:iam::111122223333:role/a/b/app\"",
        );
        is(
            "arn:aws-cn:sts::111122223333:assumed-role/app/s1",
            "RoleSession { session_arn: \"arn:aws-cn:sts::111122223333:assumed-role/app/s1\", role_arn: \
             \"arn:aws-cn:iam::111122223333:role/app\"",
        );
        is("arn:aws:sts::111122223333:federated-user/bob", "FederatedUser");
        is(
            "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A",
            "WebIdentity",
        );
        is("cognito-identity.amazonaws.com", "WebIdentity");
        is("arn:aws:iam::111122223333:saml-provider/corp", "Saml");
        is("lambda.amazonaws.com", "Service");
        is("ec2.amazonaws.com.cn", "Service");
        is("logs.eu-west-1.amazonaws.com", "Service");
    }

    #[test]
    fn what_names_nobody() {
        for text in [
            "",
            "*",
            "Anonymous",
            "11112222333",
            "ann",
            ".amazonaws.com",
            "amazonaws.com",
            "a b.amazonaws.com",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:user",
            "arn:aws:iam::111122223333:group/g",
            "arn:aws:iam::x:user/ann",
            "arn:aws:iam:us-east-1:111122223333:user/ann",
            "arn:aws:s3:::bucket/key",
            "arn:aws:sts::111122223333:assumed-role//s",
            "arn:aws:sts::111122223333:assumed-role/app/s/t",
            "arn:aws:sts::111122223333:root",
        ] {
            assert!(
                matches!(Caller::parse(text), Err(CallerError::Unknown(_))),
                "{text}: {:?}",
                Caller::parse(text)
            );
        }
        assert!(matches!(
            Caller::parse("arn:aws:sts::111122223333:assumed-role/app"),
            Err(CallerError::NoSession(_))
        ));
    }

    #[test]
    fn the_context_completes_a_session() {
        let mut context = Context::new();
        context.set("aws:PrincipalArn", "arn:aws:iam::111122223333:role/team/app");
        context.set("aws:userid", "AROAEXAMPLE:s1");
        let session = "arn:aws:sts::111122223333:assumed-role/app/s1";
        let shown = debug(session, &context);
        assert!(shown.contains("role/team/app\""), "{shown}");
        assert!(shown.contains("role_unique_id: \"AROAEXAMPLE\""), "{shown}");
        for stranger in [
            "arn:aws:iam::444455556666:role/team/app",
            "arn:aws:iam::111122223333:role/team/other",
            "arn:aws:iam::111122223333:user/app",
            "nonsense",
        ] {
            context.set("aws:PrincipalArn", stranger);
            let shown = debug(session, &context);
            assert!(shown.contains("111122223333:role/app\""), "{stranger}: {shown}");
        }
    }

    #[test]
    fn a_role_that_is_named_itself_has_the_path_of_its_name() {
        let mut context = Context::new();
        context.set("aws:PrincipalArn", "arn:aws:iam::111122223333:role/x/app");
        let shown = debug("arn:aws:iam::111122223333:role/app", &context);
        assert!(shown.contains(":role/app\""), "{shown}");
    }

    #[test]
    fn policies_complete_a_session_that_nothing_else_does() {
        let caller = || Caller::parse("arn:aws:sts::111122223333:assumed-role/app/s1").unwrap();
        let arns = [
            "arn:aws:iam::111122223333:role/other",
            "arn:aws:iam::111122223333:role/x/app",
            "arn:aws:iam::111122223333:role/y/app",
        ];
        let shown = caller().named_by(arns).lend(|principal| format!("{principal:?}"));
        assert!(shown.contains("role/x/app\""), "{shown}");
        let mut context = Context::new();
        context.set("aws:PrincipalArn", "arn:aws:iam::111122223333:role/z/app");
        let told = caller().informed_by(&context).named_by(arns);
        let shown = told.lend(|principal| format!("{principal:?}"));
        assert!(shown.contains("role/z/app\""), "{shown}");
    }

    #[test]
    fn a_service_by_all_its_names() {
        let mut context = Context::new();
        context.set_list(
            "aws:PrincipalServiceNamesList",
            ["logs.amazonaws.com", "logs.eu-west-1.amazonaws.com"],
        );
        assert!(debug("logs.amazonaws.com", &context).contains("eu-west-1"));
        assert!(!debug("s3.amazonaws.com", &context).contains("eu-west-1"));
    }
}
