//! `irsa webhook`: the admission server.

mod backstop;
mod cluster;
mod flags;
mod imds;
mod policy;

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use irsa_admission::{
    CertificateFiles, IdentitiesFile, OnRefusal, Options, Rules, Server, ServingCertificate, Sources, TlsOptions,
    cipher_suites, min_version,
};
use irsa_core::{AccountId, partition_of_region};
use irsa_webhook::{ContainerCredentials, EnvFrom, RoleArnCheck, SessionName, Settings, WindowsDetection};
use rustix::process::Signal;

use self::flags::{Flags, Parsed};
use crate::{failure, output, signals};

/// What the reference ends with when it cannot start.
const FATAL: u8 = 255;
/// Where a pod finds the name of its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Whether the words ask for debug messages.
pub(crate) fn is_verbose(words: &[String]) -> bool {
    matches!(flags::parse(words), Ok(Parsed::Flags(flags)) if flags.number("v") >= 4)
}

/// Runs the words after `irsa webhook`.
pub(crate) async fn run(words: &[String]) -> anyhow::Result<ExitCode> {
    if let Some((first, rest)) = words.split_first()
        && first == "policy"
    {
        return policy::run(rest).await;
    }
    let flags = match flags::parse(words) {
        Ok(Parsed::Flags(flags)) => flags,
        Ok(Parsed::Help) => {
            output::data(flags::help().trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => {
            output::note(format_args!("{error}"));
            output::hint("`irsa webhook --help` lists all flags");
            return Ok(ExitCode::from(2));
        }
    };
    if flags.switch("version") {
        output::data(concat!("v", env!("CARGO_PKG_VERSION")));
        return Ok(ExitCode::SUCCESS);
    }
    match serve(&flags).await {
        Ok(code) => Ok(code),
        Err(error) => {
            failure::report(&error);
            Ok(ExitCode::from(FATAL))
        }
    }
}

async fn serve(flags: &Flags) -> anyhow::Result<ExitCode> {
    // From now on no signal ends us in the middle of something.
    let mut stop = signals::stop_signals()?;
    let settings = settings(flags).await?;
    let served = flags.text("watch-container-credentials-config");
    let sources = Arc::new(Sources::new(
        settings,
        flags.switch("watch-config-map"),
        !served.is_empty(),
    ));
    let certificate = Arc::new(ServingCertificate::default());
    if !flags.switch("in-cluster") {
        let (pair, key) = (flags.text("tls-cert"), flags.text("tls-key"));
        let files = CertificateFiles::open(Path::new(pair), Path::new(key), Arc::clone(&certificate))?;
        tokio::spawn(files.watch());
    }
    if !served.is_empty() {
        tokio::spawn(IdentitiesFile::open(Path::new(served), Arc::clone(&sources)).watch());
    }
    let options = options(flags)?;
    let exempt = options.rules.exempt_namespaces.clone();
    let cluster = cluster::start(
        cluster::options(flags, exempt),
        Arc::clone(&sources),
        Arc::clone(&certificate),
    )
    .await?;
    let server = Server::bind(options, sources, cluster, certificate).await?;
    let (reviews, metrics) = server.addresses()?;
    tracing::info!(%reviews, %metrics, version = env!("CARGO_PKG_VERSION"), "the webhook is up");
    let (first, asked) = tokio::sync::oneshot::channel();
    let mut first = Some(first);
    let serving = server.run(async {
        // Without a sender there is nobody who could ask.
        let _ = asked.await;
    });
    tokio::pin!(serving);
    loop {
        tokio::select! {
            () = &mut serving => return Ok(ExitCode::SUCCESS),
            signal = stop.recv() => match (signal, first.take()) {
                // A terminal that is gone is no reason to leave a cluster without webhook.
                (Some(Signal::HUP), unused) => first = unused,
                (Some(_), Some(first)) => drop(first.send(())),
                _ => return Ok(ExitCode::FAILURE),
            },
        }
    }
}

async fn settings(flags: &Flags) -> anyhow::Result<Settings> {
    let text = |name: &str| flags.text(name).to_owned();
    let role_arn_prefix = if flags.switch("compose-role-arn") {
        Some(role_arn_prefix(flags).await?)
    } else {
        None
    };
    Ok(Settings {
        annotation_prefix: text("annotation-prefix"),
        token_audience: text("token-audience"),
        token_mount_path: text("token-mount-path"),
        token_expiration_seconds: flags.number("token-expiration"),
        max_token_expiration_seconds: flags.number("max-token-expiration"),
        default_region: Some(text("aws-default-region")).filter(|region| !region.is_empty()),
        regional_sts: flags.switch("sts-regional-endpoint"),
        role_arn_prefix,
        role_arn_check: match flags.text("role-arn-check") {
            "refuse" => RoleArnCheck::Refuse,
            _ => RoleArnCheck::Warn,
        },
        windows_detection: match flags.text("windows-detection") {
            "declared" => WindowsDetection::Declared,
            _ => WindowsDetection::NodeSelector,
        },
        account_lists: flags.switch("account-lists"),
        session_name: match flags.text("session-name") {
            "pod" => SessionName::Pod,
            _ => SessionName::Sdk,
        },
        env_from: match flags.text("env-from") {
            "config-maps" => EnvFrom::ConfigMaps,
            "all" => EnvFrom::All,
            _ => EnvFrom::Ignore,
        },
        container_credentials: ContainerCredentials {
            audience: text("container-credentials-audience"),
            token_mount_path: text("container-credentials-token-mount-path"),
            token_volume_name: text("container-credentials-token-volume-name"),
            token_path: text("container-credentials-token-path"),
            full_uri: text("container-credentials-full-uri"),
        },
    })
}

/// What stands before a role's name: from flags, else from the instance's metadata.
async fn role_arn_prefix(flags: &Flags) -> anyhow::Result<String> {
    let (mut account, mut region) = (
        flags.text("role-arn-account").to_owned(),
        flags.text("role-arn-region").to_owned(),
    );
    if region.is_empty() {
        flags.text("aws-default-region").clone_into(&mut region);
    }
    if account.is_empty() || region.is_empty() {
        let instance = imds::instance().await.context("--compose-role-arn")?;
        if account.is_empty() {
            account = instance.account_id;
        }
        if region.is_empty() {
            region = instance.region;
        }
    }
    let account: AccountId = account.parse().context("the account for --compose-role-arn")?;
    Ok(format!("arn:{}:iam::{account}:role/", partition_of_region(&region)))
}

fn options(flags: &Flags) -> anyhow::Result<Options> {
    let port = |name: &str| {
        let port = flags.number(name);
        u16::try_from(port).with_context(|| format!("--{name}: `{port}` is no port"))
    };
    let (min_version, is_raised) = min_version(flags.text("tls-min-version"))?;
    if is_raised {
        tracing::warn!("--tls-min-version: versions below 1.2 are not served");
    }
    let suites = flags.text("tls-cipher-suites");
    let (cipher_suites, not_served) = cipher_suites(suites)?;
    if !not_served.is_empty() {
        tracing::warn!(suites = ?not_served, "--tls-cipher-suites: these are not served");
    }
    let only_tls13 = cipher_suites.is_empty() && !not_served.is_empty();
    if only_tls13 {
        tracing::warn!("--tls-cipher-suites: none of them is served, so there is TLS 1.3 alone");
    }
    let own = std::fs::read_to_string(NAMESPACE_FILE).unwrap_or_default();
    let exempt_namespaces = [flags.text("namespace"), own.trim()]
        .into_iter()
        .chain(flags.text("exempt-namespaces").split(',').map(str::trim))
        .filter(|namespace| !namespace.is_empty())
        .map(str::to_owned)
        .collect();
    let address: Option<IpAddr> = match flags.text("bind-address") {
        "" => None,
        address => Some(
            address
                .parse()
                .with_context(|| format!("--bind-address: `{address}` is no IP address"))?,
        ),
    };
    let connections = flags.number("max-connections");
    Ok(Options {
        address,
        port: port("port")?,
        metrics_port: port("metrics-port")?,
        debug: flags.switch("enable-debugging-handlers"),
        tls: TlsOptions {
            min_version: if only_tls13 {
                irsa_admission::MinVersion::Tls13
            } else {
                min_version
            },
            cipher_suites,
            client_ca: Some(flags.text("client-ca-file"))
                .filter(|path| !path.is_empty())
                .map(Into::into),
        },
        drain: flags.duration("drain-period"),
        max_connections: usize::try_from(connections)
            .ok()
            .filter(|connections| (1..=65_536).contains(connections))
            .with_context(|| format!("--max-connections: `{connections}` is not between 1 and 65536"))?,
        rules: Rules {
            on_refusal: match flags.text("on-refusal") {
                "warn" => OnRefusal::Warn,
                _ => OnRefusal::Deny,
            },
            grace: flags.duration("service-account-lookup-grace-period"),
            association_grace: flags.duration("association-grace-period"),
            exempt_namespaces,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(words: &[&str]) -> Flags {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match flags::parse(&words).unwrap() {
            Parsed::Flags(flags) => flags,
            Parsed::Help => panic!("help"),
        }
    }

    #[tokio::test]
    async fn without_flags_the_settings_are_the_defaults() {
        assert_eq!(settings(&flags(&[])).await.unwrap(), Settings::default());
        let options = options(&flags(&[])).unwrap();
        assert_eq!((options.port, options.metrics_port), (443, 9999));
        assert_eq!(options.rules.exempt_namespaces.first().map(String::as_str), Some("eks"));
    }

    #[tokio::test]
    async fn role_names_become_arns_of_an_account_and_partition() {
        let flags = flags(&[
            "--compose-role-arn",
            "--role-arn-account=111122223333",
            "--role-arn-region=cn-north-1",
        ]);
        let settings = settings(&flags).await.unwrap();
        assert_eq!(
            settings.role_arn_prefix.as_deref(),
            Some("arn:aws-cn:iam::111122223333:role/")
        );
    }

    #[test]
    fn values_that_make_no_sense_are_fatal() {
        for words in [
            ["--port=70000"],
            ["--port=-1"],
            ["--max-connections=0"],
            ["--tls-min-version=1.4"],
            ["--tls-cipher-suites=X"],
            ["--bind-address=localhost"],
        ] {
            assert!(options(&flags(&words)).is_err(), "{words:?}");
        }
        let only_weak = options(&flags(&["--tls-cipher-suites=TLS_RSA_WITH_AES_128_CBC_SHA"])).unwrap();
        assert_eq!(only_weak.tls.min_version, irsa_admission::MinVersion::Tls13);
    }
}
