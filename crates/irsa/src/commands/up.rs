use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use irsa_server::{AuditDurability, AuthorizerConfig, GatewayConfig, S3UpstreamConfig, ServerConfig, start};
use serde_json::json;

use crate::cli::{Durability, Up};
use crate::failure::Failure;
use crate::output::{self, Format, STRONG};
use crate::signals;

/// Runs a server until a signal stops it.
pub(super) async fn run(arguments: Up) -> anyhow::Result<ExitCode> {
    // Before the start, so that a signal during it is not lost.
    let mut stop = signals::stop_signals().context("signals can't be listened for")?;
    let region = arguments.region.clone();
    let format = arguments.output.output;
    let data = arguments.data.data.clone();
    let config = ServerConfig {
        listen: arguments.listen,
        tls_listen: arguments.tls_listen,
        metrics_listen: arguments.metrics_listen,
        account: arguments.account,
        region: arguments.region,
        issuer_url: arguments.issuer_url,
        issuer_ca: arguments.issuer_ca,
        allow_private_issuers: arguments.allow_private_issuers,
        audit_durability: match arguments.audit_durability {
            Durability::Kernel => AuditDurability::Kernel,
            Durability::Disk => AuditDurability::Disk,
        },
        audit_retention: irsa_audit::Retention {
            age: arguments.audit_retention,
            bytes: arguments.audit_max_size.map(|size| size.saturating_mul(1 << 20)),
        },
        trusted_proxies: arguments.trusted_proxy,
        upload_lifetime: (arguments.upload_lifetime > 0)
            .then(|| Duration::from_secs(u64::from(arguments.upload_lifetime) * 24 * 60 * 60)),
        gateway: GatewayConfig {
            upstreams: arguments.gateway,
            credentials: arguments.gateway_options.gateway_credentials.into(),
            rules: arguments.gateway_options.gateway_rules,
            strict: arguments.gateway_options.gateway_strict,
            regions: arguments.gateway_options.gateway_region,
            ca: arguments.gateway_options.gateway_ca,
        },
        s3_upstream: S3UpstreamConfig {
            upstreams: arguments.s3_upstream,
            credentials: arguments.s3_upstream_options.s3_upstream_credentials.into(),
            region: arguments.s3_upstream_options.s3_upstream_region,
            ca: arguments.s3_upstream_options.s3_upstream_ca,
            literal_keys: arguments.s3_upstream_options.s3_upstream_literal_keys,
            patience: None,
        },
        authorizer: arguments.authorizer.map(|listen| AuthorizerConfig {
            listen,
            client_ca: arguments.authorizer_options.authorizer_client_ca,
            services: arguments.authorizer_options.authorizer_for,
            literal_keys: arguments.authorizer_options.authorizer_literal_keys,
            strip_credentials: arguments.authorizer_options.authorizer_strip_credentials,
        }),
        ..ServerConfig::new(data.clone())
    };
    let server = start(config).await.context("the server can't start")?;
    if let Some(root) = server.first_root() {
        output::note(format_args!(
            "{STRONG}first start: the root key of account {}{STRONG:#}",
            root.account
        ));
        output::note(format_args!("  AWS_ACCESS_KEY_ID      {}", root.access_key_id));
        output::note(format_args!(
            "  AWS_SECRET_ACCESS_KEY  {}",
            root.secret_access_key.expose()
        ));
        output::note(format_args!(
            "  shown this once; `{}` keeps it as a profile",
            server.folder().credentials_file().display()
        ));
    }
    output::note(format_args!(
        "ready: {} (AWS API), {} (TLS: issuers, AWS API)",
        server.endpoint(),
        server.tls_endpoint()
    ));
    let authorizer = server.authorizer().map(ToString::to_string);
    if let Some(authorizer) = &authorizer {
        output::note(format_args!("proxies ask {authorizer}"));
    }
    if format == Format::Json {
        let mut about = json!({
            "ready": true,
            "endpoint": server.endpoint(),
            "tlsEndpoint": server.tls_endpoint(),
            "region": region,
            "account": server.account().to_string(),
        });
        if let Some(authorizer) = authorizer {
            about["authorizer"] = authorizer.into();
        }
        output::data(about);
    } else {
        let data = output::shell_word(&data.display().to_string());
        let option = if data == "./irsa-data" {
            String::new()
        } else {
            format!(" --data {data}")
        };
        output::hint(format_args!("in another shell: eval \"$(irsa env{option})\""));
    }
    let signal = stop.recv().await;
    tracing::info!(?signal, "stopping");
    let stopping = server.stop();
    tokio::select! {
        () = stopping => {}
        // Whoever asks twice does not want to wait for what is under way.
        _ = stop.recv() => return Err(Failure::new("stopped before requests under way were answered").into()),
    }
    Ok(ExitCode::SUCCESS)
}
