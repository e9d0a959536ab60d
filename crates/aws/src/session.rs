//! One user's way to AWS, or to a server that stands in for it: credentials, region, and where the services are.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::service_config::ServiceConfigKey;
use irsa_core::AccountId;

use crate::chain::reasons;
use crate::endpoints::{Place, Service, Variant, is_aws, of_aws};
use crate::error::Server;
use crate::keys::Keys;
use crate::proxy::Proxy;
use crate::{Client, ClientError, ClusterToken, Eks, Iam, Retries, Sts, cluster_token, sdk_http};

/// The region of requests that need one where none is given; and the partition of all who don't say.
const ANY_REGION: &str = "us-east-1";
/// How long one attempt may take: a page of a thousand roles is the longest.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a user says beside the environment and the configuration files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SessionOptions {
    /// The profile (`--profile`). Its credentials go before those of the environment, as for the AWS CLI.
    pub profile: Option<String>,
    /// The region (`--region`).
    pub region: Option<String>,
}

/// Credentials, region and endpoints, found as every AWS SDK finds them. Clones are the same session: they share
/// credentials, which are renewed when they end, and connections.
///
/// Credentials come from the environment, the profile (static keys, roles, commands, web identities), a web
/// identity token, the container, or the instance. `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_IAM`, `_STS` and `_EKS`, and `endpoint_url`
/// of a profile and its `services` section send calls elsewhere; `AWS_CA_BUNDLE` and `ca_bundle` name who is trusted there, and
/// `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` the way there.
/// See <https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    region: Option<String>,
    /// Endpoints that are configured.
    endpoints: [Option<String>; 3],
    variant: Variant,
    ca: Option<PathBuf>,
    /// Whether the environment's proxies are used.
    takes_proxies: bool,
    keys: Keys,
    retries: Retries,
    account: Arc<OnceLock<AccountId>>,
    clients: [OnceLock<Client>; 3],
}

impl Session {
    /// Reads environment and configuration files. Credentials are looked for at the first call.
    ///
    /// # Errors
    /// Files that can't be read, a profile that is in none of them, and a region that is none.
    pub async fn load(options: &SessionOptions) -> Result<Self, ClientError> {
        let profiles = profiles(options.profile.as_deref()).await?;
        let ca = std::env::var("AWS_CA_BUNDLE").ok().or(profiles.ca);
        let ca = ca.filter(|file| !file.is_empty()).map(PathBuf::from);
        let http = sdk_http::client(ca.as_deref())?;
        let config = config(options, http.clone()).await;
        let configured = |service: Service| {
            let key = ServiceConfigKey::builder()
                .service_id(service.id())
                .env("AWS_ENDPOINT_URL")
                .profile("endpoint_url")
                .build()
                .ok()?;
            let url = config.service_config()?.load_config(key)?;
            Some(url.trim().to_owned()).filter(|url| !url.is_empty())
        };
        let region = config
            .region()
            .map(|region| region.as_ref().trim().to_owned())
            .filter(|region| !region.is_empty());
        if let Some(region) = &region
            && !is_region(region)
        {
            return Err(ClientError::Request {
                reason: format!("`{region}` is no AWS region"),
            });
        }
        let source = Source {
            options: SessionOptions {
                profile: options.profile.clone(),
                region: region.clone(),
            },
            http,
        };
        let session = Self(Arc::new(Inner {
            endpoints: [Service::Iam, Service::Sts, Service::Eks].map(configured),
            region,
            variant: Variant {
                fips: config.use_fips().unwrap_or_default(),
                dual_stack: config.use_dual_stack().unwrap_or_default(),
            },
            ca,
            takes_proxies: true,
            keys: Keys::renewed(SharedCredentialsProvider::new(source)),
            retries: Retries::default(),
            account: Arc::default(),
            clients: Default::default(),
        }));
        Ok(session)
    }

    /// A session with one server for all services, whose certificate may be signed by the authorities of the file `ca`.
    ///
    /// # Errors
    /// An endpoint that is none, and a file without certificates.
    pub fn of_server(
        endpoint: &str,
        region: Option<&str>,
        credentials: Credentials,
        ca: Option<&Path>,
    ) -> Result<Self, ClientError> {
        let session = Self(Arc::new(Inner {
            region: region.map(ToOwned::to_owned),
            endpoints: std::array::from_fn(|_| Some(endpoint.to_owned())),
            variant: Variant::default(),
            ca: ca.map(Path::to_path_buf),
            takes_proxies: false,
            keys: Keys::Fixed(credentials),
            retries: Retries::default(),
            account: Arc::default(),
            clients: Default::default(),
        }));
        session.client(Service::Sts)?;
        Ok(session)
    }

    /// The same with other retries, and with connections of its own.
    #[must_use]
    pub fn with_retries(&self, retries: Retries) -> Self {
        let inner = &self.0;
        Self(Arc::new(Inner {
            region: inner.region.clone(),
            endpoints: inner.endpoints.clone(),
            variant: inner.variant,
            ca: inner.ca.clone(),
            takes_proxies: inner.takes_proxies,
            keys: inner.keys.clone(),
            retries,
            account: Arc::clone(&inner.account),
            clients: Default::default(),
        }))
    }

    /// The region, if one is given anywhere.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.0.region.as_deref()
    }

    /// The account of the credentials, once [`Sts::caller_identity`] has told it.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        self.0.account.get().copied()
    }

    /// The endpoint of a service that environment or profile name; `None` means AWS's own.
    #[must_use]
    pub fn endpoint(&self, service: Service) -> Option<&str> {
        self.0.endpoints[index(service)].as_deref()
    }

    /// Whether a service is AWS's own, wherever its endpoint was named.
    #[must_use]
    pub fn is_aws(&self, service: Service) -> bool {
        self.endpoint(service).is_none_or(is_aws)
    }

    /// IAM.
    ///
    /// # Errors
    /// An endpoint or a certificate authority that can't be used.
    pub fn iam(&self) -> Result<Iam, ClientError> {
        let client = self.client(Service::Iam)?;
        Ok(Iam { client })
    }

    /// STS.
    ///
    /// # Errors
    /// As [`Self::iam`].
    pub fn sts(&self) -> Result<Sts, ClientError> {
        let (client, session) = (self.client(Service::Sts)?, self.clone());
        Ok(Sts { client, session })
    }

    /// EKS.
    ///
    /// # Errors
    /// As [`Self::iam`]; and no region is given though clusters are AWS's.
    pub fn eks(&self) -> Result<Eks, ClientError> {
        let (client, session) = (self.client(Service::Eks)?, self.clone());
        Ok(Eks { client, session })
    }

    /// A bearer token for the API of an EKS cluster: what `aws eks get-token` makes. It is a request to STS, signed and
    /// not sent, that tells the cluster who holds it. `name` is the cluster's name, or the `id` of one that has one.
    ///
    /// # Errors
    /// There are no credentials.
    pub async fn cluster_token(&self, name: &str) -> Result<ClusterToken, ClientError> {
        let credentials = self.0.keys.credentials().await?;
        let credentials = credentials.ok_or_else(|| ClientError::Credentials {
            reason: "this session has none".to_owned(),
        })?;
        let place = self.place(
            Service::Sts,
            // The hosts that clusters take are the plain ones.
            Variant {
                dual_stack: false,
                ..self.0.variant
            },
        )?;
        let now = self.client(Service::Sts)?.now();
        cluster_token::sign(&place, name, &credentials, now)
    }

    pub(crate) fn set_account(&self, account: AccountId) {
        // The credentials of a session are of one account, so whoever was first was right.
        let _ = self.0.account.set(account);
    }

    fn place(&self, service: Service, variant: Variant) -> Result<Place, ClientError> {
        let region = self.region();
        if let Some(url) = self.endpoint(service) {
            return Ok(Place {
                url: url.to_owned(),
                region: region.unwrap_or(ANY_REGION).to_owned(),
            });
        }
        match (service, region) {
            (Service::Eks, None) => Err(ClientError::Region),
            (_, region) => Ok(of_aws(service, region.unwrap_or(ANY_REGION), variant)),
        }
    }

    fn client(&self, service: Service) -> Result<Client, ClientError> {
        let known = &self.0.clients[index(service)];
        if let Some(client) = known.get() {
            return Ok(client.clone());
        }
        let place = self.place(service, self.0.variant)?;
        let server = if is_aws(&place.url) {
            Server::Aws
        } else {
            Server::Configured
        };
        let mut client = Client::anonymous(&place.url, &place.region)?
            .with_keys(self.0.keys.clone())
            .named(server, Arc::clone(&self.0.account))
            .with_deadline(DEADLINE);
        if self.0.takes_proxies {
            let proxy = Proxy::of_environment(client.endpoint())?;
            client = client.with_proxy(proxy);
        }
        if let Some(file) = &self.0.ca {
            client = client.with_ca(file)?;
        }
        let client = client.with_retries(self.0.retries);
        Ok(known.get_or_init(|| client).clone())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("region", &self.0.region)
            .field("endpoints", &self.0.endpoints)
            .finish_non_exhaustive()
    }
}

/// Whether a text can be a region: it becomes a part of a host's name.
fn is_region(text: &str) -> bool {
    text.len() <= 63
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn index(service: Service) -> usize {
    match service {
        Service::Iam => 0,
        Service::Sts => 1,
        Service::Eks => 2,
    }
}

struct Profiles {
    ca: Option<String>,
}

/// Looks whether the profile is there, which the SDK would only say in a log.
async fn profiles(named: Option<&str>) -> Result<Profiles, ClientError> {
    let unreadable = |error: &dyn std::error::Error| ClientError::Profile {
        reason: format!("the AWS configuration files can't be read: {}", reasons(error)),
        known: Vec::new(),
    };
    let named = named.map(|name| Cow::Owned(name.to_owned()));
    let is_named = named.is_some();
    let found = aws_config::profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), named)
        .await
        .map_err(|error| unreadable(&error))?;
    let name = found.selected_profile();
    let profile = found.get_profile(name);
    // `default` need not be there, unless somebody says it.
    if profile.is_none() && (is_named || name != "default") {
        let mut known: Vec<String> = found.profiles().map(ToOwned::to_owned).collect();
        known.sort();
        return Err(ClientError::Profile {
            reason: format!("there is no AWS profile `{name}`"),
            known,
        });
    }
    Ok(Profiles {
        ca: profile
            .and_then(|profile| profile.get("ca_bundle"))
            .map(ToOwned::to_owned),
    })
}

async fn config(options: &SessionOptions, http: Option<SharedHttpClient>) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
    if let Some(http) = http {
        loader = loader.http_client(http);
    }
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    loader.load().await
}

/// The chain, run anew each time: files may have changed since.
#[derive(Debug)]
struct Source {
    options: SessionOptions,
    http: Option<SharedHttpClient>,
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            if let Some(profile) = &self.options.profile {
                // A role of the profile is assumed through STS of some region.
                let region = self.options.region.clone().unwrap_or_else(|| ANY_REGION.to_owned());
                let mut config = ProviderConfig::without_region().with_region(Some(Region::new(region)));
                if let Some(http) = &self.http {
                    config = config.with_http_client(http.clone());
                }
                return ProfileFileCredentialsProvider::builder()
                    .configure(&config)
                    .profile_name(profile)
                    .build()
                    .provide_credentials()
                    .await;
            }
            let config = config(&self.options, self.http.clone()).await;
            let provider = config
                .credentials_provider()
                .ok_or_else(|| CredentialsError::not_loaded("there is no provider"))?;
            provider.provide_credentials().await
        })
    }
}
