//! What a gateway is told at the start.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use irsa_core::AccountId;
use irsa_gateway::RuleBook;
use irsa_upstream::{CredentialSource, Credentials, Deadlines, Endpoint, Trust, Upstream};
use irsa_wire::Service;
use tokio::sync::Semaphore;

use super::credentials::Environment;
use super::{Desk, Gateway, MAX_BODIES_KIB};

/// Services that stand behind the server.
#[derive(Clone, Debug, Default)]
pub struct GatewayConfig {
    /// The services and where they are; empty: there is no gateway.
    pub upstreams: Vec<GatewayUpstream>,
    /// What requests to them are signed with.
    pub credentials: UpstreamCredentials,
    /// A file of rules over the program's own.
    pub rules: Option<PathBuf>,
    /// Whether operations without rules, and those whose resource the rules can't tell exactly, are refused.
    pub strict: bool,
    /// Regions beside the server's own that requests may be signed for.
    pub regions: Vec<String>,
    /// Certificate authorities of upstreams, in PEM, instead of this machine's.
    pub ca: Option<PathBuf>,
}

/// One service behind the server: `[ACCOUNT/]SERVICE=URL`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GatewayUpstream {
    /// The account whose service it is; `None`: the server's first.
    pub account: Option<AccountId>,
    /// The signing name, such as `dynamodb`.
    pub service: String,
    /// `http` or `https`, host and port.
    pub url: String,
}

/// What requests to upstreams are signed with.
#[derive(Clone, Default)]
pub enum UpstreamCredentials {
    /// What the AWS SDK's chain finds in the environment of this process.
    #[default]
    Environment,
    /// Nothing: requests go unsigned.
    None,
    /// These keys.
    Static(Credentials),
}

impl UpstreamCredentials {
    /// Where they come from; `None`: requests go unsigned.
    pub(crate) fn source(&self) -> Option<Arc<dyn CredentialSource>> {
        match self {
            Self::Environment => Some(Arc::new(Environment::default())),
            Self::None => None,
            Self::Static(credentials) => Some(Arc::new(credentials.clone())),
        }
    }
}

impl std::fmt::Debug for UpstreamCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::None => "None",
            Self::Static(_) => "Static",
        })
    }
}

/// Why a gateway can't be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GatewayError {
    /// A text of `--gateway`.
    #[error(
        "`{0}` is no upstream: write `SERVICE=URL`, such as `dynamodb=http://127.0.0.1:8000`, or `ACCOUNT/SERVICE=URL`"
    )]
    Upstream(String),
    /// A URL.
    #[error("{0}")]
    Url(String),
    /// A service that the server itself is.
    #[error("`{0}` can't stand behind the gateway: the server itself is that service")]
    Own(String),
    /// A service without rules.
    #[error("the gateway has no rules for the service `{0}`: add them with --gateway-rules")]
    Unknown(String),
    /// The same service twice.
    #[error("the service `{0}` has two upstreams for the same account")]
    Twice(String),
    /// The file of rules.
    #[error("`{file}`: {reason}")]
    Rules {
        /// The file.
        file: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// The certificate authorities.
    #[error("{0}")]
    Ca(String),
}

impl FromStr for GatewayUpstream {
    type Err = GatewayError;

    fn from_str(text: &str) -> Result<Self, GatewayError> {
        let wrong = || GatewayError::Upstream(text.to_owned());
        let (name, url) = text.split_once('=').ok_or_else(wrong)?;
        let (account, service) = match name.split_once('/') {
            Some((account, service)) => (Some(account.parse().map_err(|_| wrong())?), service),
            None => (None, name),
        };
        if service.is_empty()
            || !service
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        {
            return Err(wrong());
        }
        url.parse::<Endpoint>()
            .map_err(|error| GatewayError::Url(error.to_string()))?;
        Ok(Self {
            account,
            service: service.to_owned(),
            url: url.to_owned(),
        })
    }
}

impl Gateway {
    /// Makes the gateway of a server in a region, whose first account is `account`.
    pub(crate) fn new(config: &GatewayConfig, region: &str, account: AccountId) -> Result<Self, GatewayError> {
        // Also where no upstream needs it: a name that is mistyped would only be noticed when one does.
        if let Some(ca) = &config.ca {
            Trust::new(Some(ca)).map_err(|error| GatewayError::Ca(error.to_string()))?;
        }
        let book = rules(config.rules.as_deref())?;
        let source = config.credentials.source();
        let mut upstreams: HashMap<&'static str, HashMap<AccountId, Upstream>> = HashMap::new();
        for of in &config.upstreams {
            if Service::from_signing_name(&of.service).is_some() {
                return Err(GatewayError::Own(of.service.clone()));
            }
            if book.services(&of.service).next().is_none() {
                return Err(GatewayError::Unknown(of.service.clone()));
            }
            let endpoint: Endpoint = of.url.parse().map_err(|error| GatewayError::Url(format!("{error}")))?;
            let upstream = Upstream::new(endpoint, source.clone(), config.ca.as_deref(), Deadlines::default());
            let upstream = upstream.map_err(|error| GatewayError::Ca(error.to_string()))?;
            // Metrics want names that live as long as the program does, and so do these.
            let known = upstreams.keys().find(|known| **known == of.service).copied();
            let name = known.unwrap_or_else(|| Box::leak(of.service.clone().into_boxed_str()));
            let owner = of.account.unwrap_or(account);
            if upstreams.entry(name).or_default().insert(owner, upstream).is_some() {
                return Err(GatewayError::Twice(of.service.clone()));
            }
        }
        let mut regions = vec![region.to_owned()];
        regions.extend(config.regions.iter().cloned());
        Ok(Self {
            desk: Desk {
                book,
                strict: config.strict,
                regions,
            },
            upstreams,
            memory: Arc::new(Semaphore::new(
                usize::try_from(MAX_BODIES_KIB).unwrap_or(usize::MAX >> 3),
            )),
        })
    }
}

fn rules(file: Option<&Path>) -> Result<RuleBook, GatewayError> {
    let wrong = |file: &Path, reason: String| GatewayError::Rules {
        file: file.display().to_string(),
        reason,
    };
    let own = RuleBook::built_in().map_err(|error| wrong(Path::new("the program's own rules"), error.to_string()))?;
    let Some(file) = file else { return Ok(own) };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(file, error.to_string()))?;
    own.with(&text).map_err(|error| wrong(file, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_written_in_one_way() {
        let of = |text: &str| text.parse::<GatewayUpstream>();
        let plain = of("dynamodb=http://127.0.0.1:8000").unwrap();
        assert_eq!((plain.service.as_str(), plain.account), ("dynamodb", None));
        assert!(of("111122223333/sqs=https://queues").unwrap().account.is_some());
        for text in [
            "",
            "dynamodb",
            "=http://x",
            "1/sqs=http://x",
            "sqs=x",
            "sqs=http://x/path",
            "a b=http://x",
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_can_not_stand_behind_the_gateway_is_told() {
        let of = |texts: &[&str]| {
            let config = GatewayConfig {
                upstreams: texts.iter().map(|text| text.parse().unwrap()).collect(),
                ..GatewayConfig::default()
            };
            Gateway::new(&config, "us-east-1", "111122223333".parse().unwrap()).map(|_| ())
        };
        let config = GatewayConfig {
            upstreams: vec!["dynamodb=http://x".parse().unwrap()],
            ca: Some(PathBuf::from("/nowhere/ca.pem")),
            ..GatewayConfig::default()
        };
        let refused = Gateway::new(&config, "us-east-1", "111122223333".parse().unwrap()).map(|_| ());
        assert!(matches!(refused, Err(GatewayError::Ca(_))), "{refused:?}");
        assert_eq!(of(&["dynamodb=http://x", "444455556666/dynamodb=http://y"]), Ok(()));
        assert_eq!(of(&["sts=http://x"]), Err(GatewayError::Own("sts".to_owned())));
        assert_eq!(
            of(&["kinesis=http://x"]),
            Err(GatewayError::Unknown("kinesis".to_owned()))
        );
        assert_eq!(
            of(&["sqs=http://x", "111122223333/sqs=http://y"]),
            Err(GatewayError::Twice("sqs".to_owned()))
        );
    }
}
