//! `irsa webhook policy`: the mutation as a MutatingAdmissionPolicy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use irsa_webhook::policy::{PolicyOptions, PolicyVersion, policy_objects};
use serde_json::{Value, json};

use super::flags::{self, Flags, Parsed};
use super::settings;
use crate::output;

const HELP: &str = "\
Print the mutation as a MutatingAdmissionPolicy, for API servers that have it: they do it themselves, and no webhook runs

Usage: irsa webhook policy [FLAGS] | kubectl apply -f -

  -o, --output yaml|json       How to print it [yaml]
      --name NAME              The name of its objects [pod-identity-webhook]
      --api-version VERSION    v1 for Kubernetes 1.36 and later, v1beta1 for 1.34 and 1.35 [v1]
      --account-labels LIST    Look only at service accounts with these labels: KEY=VALUE,KEY=VALUE

The flags that say what is injected are those of `irsa webhook`: --annotation-prefix, --token-audience, --token-mount-path, --token-expiration,
--max-token-expiration, --aws-default-region, --sts-regional-endpoint, --compose-role-arn with --role-arn-account and --role-arn-region,
--role-arn-check, --session-name, --windows-detection, --account-lists, --exempt-namespaces.

A policy knows roles from annotations of service accounts only, and cannot warn: docs/webhook.md says what else differs.";

/// Flags of the webhook that need a webhook.
const WITHOUT_EFFECT: [(&str, &str); 3] = [
    ("env-from", "a policy cannot read ConfigMaps and Secrets of pods"),
    ("watch-config-map", "a policy cannot read roles from a ConfigMap"),
    (
        "watch-container-credentials-config",
        "a policy cannot read what EKS Pod Identity serves",
    ),
];

/// What stands at the head of the YAML.
const COMMENT: &str = "\
# Made by `irsa webhook policy`: roles for service accounts, injected by the API server itself.
#
# A pod gets what the webhook would give it, but:
#  * roles come from annotations of service accounts alone: no ConfigMap, no EKS Pod Identity;
#  * nobody is warned. A container in which another volume is in the token's place goes without credentials in silence, unless the pod fails closed;
#  * a mount path with `..` in it is not resolved, and a list of containers that goes over several lines is read to the end of its first line;
#  * a token expiration of more than 18 digits counts as none, and session names of pods with more than 64 characters are cut without a digest;
#  * an account that was made in the same moment as its pod may not be seen yet. Pods with the label eks.amazonaws.com/pod-identity-fail-closed
#    are refused then, and when their account has no role.";

/// Runs the words after `irsa webhook policy`.
pub(super) async fn run(words: &[String]) -> anyhow::Result<ExitCode> {
    let own = match Own::take(words) {
        Ok(own) => own,
        Err(message) => return Ok(misused(&message)),
    };
    let flags = match flags::parse(&own.rest) {
        Ok(Parsed::Flags(flags)) => flags,
        Ok(Parsed::Help) => {
            output::data(HELP);
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Ok(misused(&error.to_string())),
    };
    for (name, why) in WITHOUT_EFFECT {
        if !flags.is_default(name) {
            return Ok(misused(&format!("--{name}: {why}")));
        }
    }
    output::data(print(&own, &flags).await?);
    Ok(ExitCode::SUCCESS)
}

fn misused(message: &str) -> ExitCode {
    output::note(message);
    output::hint("`irsa webhook policy --help` lists what there is");
    ExitCode::from(2)
}

async fn print(own: &Own, flags: &Flags) -> anyhow::Result<String> {
    let settings = settings(flags).await?;
    let exempt = flags.text("exempt-namespaces").split(',').map(str::trim);
    let options = PolicyOptions {
        name: own.name.clone(),
        version: own.version,
        account_labels: own.account_labels.clone(),
        exempt_namespaces: exempt.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
    };
    let objects = policy_objects(&settings, &options);
    if own.as_json {
        return Ok(format!(
            "{:#}",
            json!({"apiVersion": "v1", "kind": "List", "items": objects})
        ));
    }
    let mut text = COMMENT.to_owned();
    for object in &objects {
        write!(text, "\n---\n{}", yaml(object)?)?;
        text.truncate(text.trim_end().len());
    }
    Ok(text)
}

/// YAML with texts of several lines as they are.
fn yaml(object: &Value) -> anyhow::Result<String> {
    serde_saphyr::to_string(object).context("the policy can't be written as YAML")
}

/// The words that are ours; the others are the webhook's.
#[derive(Debug)]
struct Own {
    as_json: bool,
    name: String,
    version: PolicyVersion,
    account_labels: BTreeMap<String, String>,
    rest: Vec<String>,
}

impl Own {
    fn take(words: &[String]) -> Result<Self, String> {
        let defaults = PolicyOptions::default();
        let mut own = Self {
            as_json: false,
            name: defaults.name,
            version: defaults.version,
            account_labels: defaults.account_labels,
            rest: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            if !["-o", "--output", "--name", "--api-version", "--account-labels"].contains(&name) {
                own.rest.push(word.clone());
                continue;
            }
            let Some(value) = value.or_else(|| words.next().cloned()) else {
                return Err(format!("{name} needs a value"));
            };
            own.set(name, &value)?;
        }
        Ok(own)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match (name, value) {
            ("-o" | "--output", "yaml") => self.as_json = false,
            ("-o" | "--output", "json") => self.as_json = true,
            ("-o" | "--output", _) => return Err(format!("{name}: `{value}` is neither yaml nor json")),
            ("--api-version", "v1") => self.version = PolicyVersion::V1,
            ("--api-version", "v1beta1") => self.version = PolicyVersion::V1Beta1,
            ("--api-version", _) => return Err(format!("--api-version: `{value}` is neither v1 nor v1beta1")),
            // With room for what is appended.
            ("--name", _) if is_name(value) && value.len() <= 240 => value.clone_into(&mut self.name),
            ("--name", _) => return Err(format!("--name: `{value}` is no object's name")),
            _ => {
                for label in value.split(',') {
                    let (key, value) = label
                        .split_once('=')
                        .filter(|(key, _)| !key.is_empty())
                        .ok_or_else(|| format!("--account-labels: `{label}` is not KEY=VALUE"))?;
                    self.account_labels.insert(key.to_owned(), value.to_owned());
                }
            }
        }
        Ok(())
    }
}

/// Whether it is a DNS subdomain, as names of objects are.
fn is_name(text: &str) -> bool {
    text.split('.').all(|part| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        part.bytes().all(|byte| plain(byte) || byte == b'-')
            && part.bytes().next().is_some_and(plain)
            && part.bytes().last().is_some_and(plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    async fn printed(of: &[&str]) -> String {
        let own = Own::take(&words(of)).unwrap();
        let Ok(Parsed::Flags(flags)) = flags::parse(&own.rest) else {
            panic!("{of:?}");
        };
        print(&own, &flags).await.unwrap()
    }

    #[tokio::test]
    async fn yaml_and_json_are_the_same_objects() {
        let flags = [
            "--annotation-prefix",
            "irsa.example",
            "--session-name=pod",
            "--name",
            "mine",
            "--api-version=v1beta1",
        ];
        let json: Value = serde_json::from_str(&printed(&[&flags[..], &["-o=json"]].concat()).await).unwrap();
        let yaml = printed(&[&flags[..], &["-o", "yaml"]].concat()).await;
        assert!(yaml.starts_with("# Made by"), "{yaml}");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
        let documents: Vec<&Value> = documents.iter().filter(|document| !document.is_null()).collect();
        assert_eq!(json!(documents), json["items"]);
        assert_eq!(documents.len(), 6);
        assert_eq!(documents[0]["metadata"]["name"], "mine");
        assert_eq!(documents[0]["apiVersion"], "admissionregistration.k8s.io/v1beta1");
        assert!(documents[0].to_string().contains("irsa.example/role-arn"));
    }

    #[tokio::test]
    async fn the_webhooks_flags_choose_what_is_injected() {
        let text = printed(&[
            "--aws-default-region=eu-west-1",
            "--exempt-namespaces=a, b",
            "--account-labels=k=v,l=",
        ])
        .await;
        assert!(text.contains("eu-west-1"), "{text}");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let documents = json!(documents).to_string();
        assert!(
            documents.contains(r#"["kube-system","kube-public","kube-node-lease","a","b"]"#),
            "{documents}"
        );
        assert!(documents.contains(r#"{"matchLabels":{"k":"v","l":""}}"#), "{documents}");
    }

    #[test]
    fn words_that_make_no_sense() {
        for wrong in [
            &["-o", "xml"][..],
            &["-o"],
            &["--api-version=v2"],
            &["--name=A_b"],
            &["--name="],
            &["--name=a..b"],
            &["--account-labels=x"],
            &["--account-labels==v"],
        ] {
            assert!(Own::take(&words(wrong)).is_err(), "{wrong:?}");
        }
        assert_eq!(Own::take(&words(&["--port=1", "x"])).unwrap().rest, ["--port=1", "x"]);
    }
}
