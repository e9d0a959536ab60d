//! Processes that stand for pods: their environment, and how they ended.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use anyhow::Context as _;
use irsa_webhook::process::LocalProcess;
use tokio::process::Command;

use crate::failure::Failure;

/// Where AWS is, for a process.
#[derive(Clone, Debug)]
pub(crate) struct AwsEnvironment {
    pub(crate) endpoint: String,
    pub(crate) region: String,
}

impl AwsEnvironment {
    /// The variables that lead to the server, and to no credentials: no file of the user's, and no instance's.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            // The Go SDK exchanges the token before it has read the line above.
            ("AWS_ENDPOINT_URL_STS", self.endpoint.clone()),
            ("AWS_REGION", self.region.clone()),
            ("AWS_DEFAULT_REGION", self.region.clone()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ]
    }
}

/// The command of a container: this process's environment without anything of AWS's in it, then what leads to the server,
/// then what the container says.
pub(crate) fn command(process: &LocalProcess, aws: &AwsEnvironment) -> anyhow::Result<Command> {
    let (program, arguments) = process
        .argv
        .split_first()
        .with_context(|| format!("container `{}` has no command", process.container))?;
    let mut command = Command::new(program);
    command.args(arguments);
    for name in std::env::vars_os().map(|(name, _)| name).filter(is_of_aws) {
        command.env_remove(name);
    }
    command.envs(aws.variables());
    command.envs(no_proxy(&aws.endpoint));
    command.envs(process.env.iter().map(|(name, value)| (name, value)));
    if let Some(folder) = &process.working_dir {
        command.current_dir(folder);
    }
    Ok(command)
}

/// Whether a variable is one that AWS SDKs and tools read: none of a parent's may reach a pod.
fn is_of_aws(name: &OsString) -> bool {
    name.as_encoded_bytes().to_ascii_uppercase().starts_with(b"AWS_")
}

/// Where this process has a proxy, the server must be reached without it.
pub(crate) fn no_proxy(endpoint: &str) -> Vec<(&'static str, String)> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let has_proxy = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        .into_iter()
        .any(|name| set(name).is_some());
    let host = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let host = host
        .rsplit_once(':')
        .map_or(host, |(host, _)| host)
        .trim_matches(['[', ']']);
    if !has_proxy {
        return Vec::new();
    }
    let known = set("no_proxy").or_else(|| set("NO_PROXY")).unwrap_or_default();
    if known.split(',').any(|known| known.trim() == host) {
        return Vec::new();
    }
    let list = if known.is_empty() {
        host.to_owned()
    } else {
        format!("{known},{host}")
    };
    vec![("no_proxy", list.clone()), ("NO_PROXY", list)]
}

/// A program that could not be started, as a shell would say it.
pub(crate) fn not_started(program: &str, error: std::io::Error) -> anyhow::Error {
    let failure = match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new(format!("`{program}` is not found"))
            .hint("there are no images here: the program must be on this machine"),
        _ => Failure::new(format!("`{program}` can't be started: {error}")),
    };
    failure.into()
}

/// A shell's number for how a process ended: its own code, or 128 and the signal.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| signal.saturating_add(128)));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(exit_code(ExitStatus::from_raw(15)), 143);
    }

    #[test]
    fn names_of_aws() {
        for name in [
            "AWS_ACCESS_KEY_ID",
            "aws_profile",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_ENDPOINT_URL_S3",
        ] {
            assert!(is_of_aws(&name.into()), "{name}");
        }
        for name in ["PATH", "MYAWS_X", "AWS", "HOME"] {
            assert!(!is_of_aws(&name.into()), "{name}");
        }
    }
}
