//! The policies that the arguments name.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use irsa_policy::{Policy, PolicyKind, Profile};
use irsa_simulate::{Parsed, Place, PolicySet, context_keys, parse};

use crate::yaml;

#[derive(Args, Debug)]
#[command(next_help_heading = "Policies: files, `-` for stdin, or JSON")]
pub(super) struct Files {
    /// The caller's identity-based policies
    #[arg(long, alias = "policy-input-list", value_name = "FILE", num_args = 1..)]
    policy: Vec<Source>,
    /// The caller's permissions boundary
    #[arg(long, alias = "permissions-boundary-policy-input-list", value_name = "FILE")]
    boundary: Option<Source>,
    /// The session's policies, which allow as one
    #[arg(long, value_name = "FILE", num_args = 1..)]
    session_policy: Vec<Source>,
    /// The resource's own policy
    #[arg(long, value_name = "FILE", conflicts_with = "trust_policy")]
    resource_policy: Option<Source>,
    /// The role's trust policy, if a role is to be assumed
    #[arg(long, alias = "assume-role-policy-document", value_name = "FILE")]
    trust_policy: Option<Source>,
    /// Service control policies: one argument a level, from the root down; those of one level with commas between
    #[arg(long, value_name = "FILE[,FILE…]", num_args = 1..)]
    scp: Vec<Level>,
    /// Resource control policies, as with `--scp`
    #[arg(long, value_name = "FILE[,FILE…]", num_args = 1..)]
    rcp: Vec<Level>,
    /// The policies of the VPC endpoint that the request comes through
    #[arg(long, value_name = "FILE", num_args = 1..)]
    vpc_endpoint_policy: Vec<Source>,
}

/// Where a policy's text is.
#[derive(Clone, Debug)]
pub(super) enum Source {
    File(String),
    Text(String),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text.trim_start().starts_with('{') {
            Self::Text(text.to_owned())
        } else {
            // As the AWS CLI names files.
            Self::File(text.strip_prefix("file://").unwrap_or(text).to_owned())
        })
    }
}

/// The policies of one level of an organization.
#[derive(Clone, Debug)]
pub(super) struct Level(pub(super) Vec<Source>);

impl FromStr for Level {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let texts: Vec<&str> = if text.trim_start().starts_with('{') {
            vec![text]
        } else {
            text.split(',').collect()
        };
        Ok(Self(texts.into_iter().map(str::parse).collect::<Result<_, _>>()?))
    }
}

/// What the files hold.
pub(super) struct Texts {
    /// All but the resource's policy.
    policies: PolicySet,
    /// Is read anew for each request, because a role's is another kind if the role is assumed.
    resource: Option<Text>,
    /// The resource's policy is a trust policy whatever is asked.
    trust: bool,
    texts: Vec<Text>,
    principals: Vec<String>,
    objections: Vec<String>,
}

#[derive(Clone)]
struct Text {
    name: String,
    text: String,
}

impl Files {
    /// Reads and compiles them.
    pub(super) fn read(&self, profile: Profile) -> anyhow::Result<Texts> {
        let mut texts = Texts {
            policies: PolicySet {
                profile,
                ..PolicySet::default()
            },
            resource: None,
            trust: self.trust_policy.is_some(),
            texts: Vec::new(),
            principals: Vec::new(),
            objections: Vec::new(),
        };
        let mut policies = PolicySet {
            identity: texts.all("--policy", PolicyKind::Identity, &self.policy)?,
            service_control: texts.levels("--scp", PolicyKind::ServiceControl, &self.scp)?,
            resource_control: texts.levels("--rcp", PolicyKind::ResourceControl, &self.rcp)?,
            ..texts.policies.clone()
        };
        if let Some(source) = &self.boundary {
            policies.boundary = Some(texts.one("--boundary", PolicyKind::Boundary, source)?);
        }
        if !self.session_policy.is_empty() {
            policies.session = Some(texts.all("--session-policy", PolicyKind::Session, &self.session_policy)?);
        }
        if !self.vpc_endpoint_policy.is_empty() {
            let sources = &self.vpc_endpoint_policy;
            policies.vpc_endpoint = Some(texts.all("--vpc-endpoint-policy", PolicyKind::VpcEndpoint, sources)?);
        }
        let resource = [
            ("--resource-policy", &self.resource_policy),
            ("--trust-policy", &self.trust_policy),
        ];
        for (option, source) in resource {
            if let Some(source) = source {
                let text = read(option, source)?;
                texts.texts.push(text.clone());
                texts.resource = Some(text);
            }
        }
        texts.policies = policies;
        Ok(texts)
    }
}

impl Texts {
    /// The policies of a request, and the ARNs that they name as principals.
    pub(super) fn policies(&mut self, action: &str, resource: &str) -> anyhow::Result<(PolicySet, Vec<String>)> {
        let mut policies = self.policies.clone();
        let mut principals = self.principals.clone();
        if let Some(text) = &self.resource {
            let kind = if self.trust {
                PolicyKind::Trust
            } else {
                Place::of_resource(action, resource).kind()
            };
            let parsed = compile(text, kind, &self.policies.profile)?;
            principals.extend(parsed.principals);
            if let Some(objection) = parsed.objection {
                let objection = format!("`{}`: {objection}", text.name);
                if !self.objections.contains(&objection) {
                    self.objections.push(objection);
                }
            }
            policies.resource = Some(Arc::new(parsed.policy));
        }
        Ok((policies, principals))
    }

    /// What IAM would say against documents that could be read nevertheless.
    pub(super) fn objections(&self) -> &[String] {
        &self.objections
    }

    /// The condition keys that the policies ask for.
    pub(super) fn context_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for Text { text, .. } in &self.texts {
            for key in context_keys(text).unwrap_or_default() {
                if !keys.iter().any(|known| known.eq_ignore_ascii_case(&key)) {
                    keys.push(key);
                }
            }
        }
        keys
    }

    fn one(&mut self, option: &str, kind: PolicyKind, source: &Source) -> anyhow::Result<Arc<Policy>> {
        let text = read(option, source)?;
        let parsed = compile(&text, kind, &self.policies.profile)?;
        self.principals.extend(parsed.principals);
        if let Some(objection) = parsed.objection {
            self.objections.push(format!("`{}`: {objection}", text.name));
        }
        self.texts.push(text);
        Ok(Arc::new(parsed.policy))
    }

    fn all(&mut self, option: &str, kind: PolicyKind, sources: &[Source]) -> anyhow::Result<Vec<Arc<Policy>>> {
        sources.iter().map(|source| self.one(option, kind, source)).collect()
    }

    fn levels(&mut self, option: &str, kind: PolicyKind, levels: &[Level]) -> anyhow::Result<Vec<Vec<Arc<Policy>>>> {
        levels.iter().map(|level| self.all(option, kind, &level.0)).collect()
    }
}

fn read(option: &str, source: &Source) -> anyhow::Result<Text> {
    Ok(match source {
        Source::Text(text) => Text {
            name: option.to_owned(),
            text: text.clone(),
        },
        Source::File(path) => {
            let (name, text) = yaml::read(Path::new(path))?;
            // Windows editors begin with it; the language does not know it.
            let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
            Text { name, text }
        }
    })
}

fn compile(text: &Text, kind: PolicyKind, profile: &Profile) -> anyhow::Result<Parsed> {
    parse(&text.name, kind, &text.text, profile).map_err(|error| {
        let place = (u64::from(error.line()), u64::from(error.column()));
        yaml::mistake(&text.name, &text.text, &error.problem().to_string(), Some(place)).into()
    })
}
