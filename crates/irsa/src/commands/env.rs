use std::process::ExitCode;

use serde_json::{Map, Value};

use crate::child::no_proxy;
use crate::cli::Env;
use crate::instance::Instance;
use crate::output::{self, Format, shell_word};

/// What would lead an SDK to other credentials or another server, whether it is set now or not.
const UNSET: [&str; 16] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
];

/// Prints the exports for a shell. The user's AWS config file is put aside: a role, a profile or an endpoint in it would
/// go before what is exported here.
pub(super) fn run(arguments: &Env) -> anyhow::Result<ExitCode> {
    let instance = Instance::find(&arguments.data.data)?;
    instance.is_there()?;
    let credentials = instance.folder.credentials_file();
    let mut exports: Vec<(&str, String)> = vec![
        ("AWS_ENDPOINT_URL", instance.endpoint.clone()),
        // The Go SDK exchanges a pod's token before it has read the line above.
        ("AWS_ENDPOINT_URL_STS", instance.endpoint.clone()),
        ("AWS_REGION", instance.region.clone()),
        ("AWS_DEFAULT_REGION", instance.region.clone()),
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.display().to_string()),
        ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ];
    exports.extend(no_proxy(&instance.endpoint));
    // Endpoints of single services, `AWS_ENDPOINT_URL_S3` and the like, go before the one for all.
    let services = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| {
            name.starts_with("AWS_ENDPOINT_URL_")
                && exports.iter().all(|(exported, _)| exported != name)
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
    let unset: Vec<String> = UNSET.iter().map(ToString::to_string).chain(services).collect();
    match arguments.output.output {
        Format::Table => {
            for (name, value) in &exports {
                output::data(format_args!("export {name}={}", shell_word(value)));
            }
            output::data(format_args!("unset {}", unset.join(" ")));
        }
        Format::Json => {
            let mut variables: Map<String, Value> = exports
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            variables.extend(unset.into_iter().map(|name| (name, Value::Null)));
            output::json(&variables.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}
