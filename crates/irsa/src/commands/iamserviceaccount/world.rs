//! The AWS account, the clusters and their Kubernetes APIs that a command is about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use irsa_aws::{ClusterDescription, Eks, Iam, NewCluster, Service, Session, SessionOptions};
use irsa_core::{AccountId, Arn, partition_of_region};
use irsa_kubernetes::{Cluster as Api, signing_keys};
use irsa_provision::{Live, Observer, Scope, State, Target as _, read};
use irsa_reconcile::actual::{Actual, KubernetesState};
use irsa_reconcile::desired::{Cluster, Issuer};
use irsa_reconcile::plan::{Action, Plan};
use irsa_reconcile::{Problem, ServiceAccount};
use tokio::task::JoinSet;

use super::asked::Asked;
use super::kubernetes::{NowhereError, Reach, contexts};
use super::problems::Problems;
use super::register;
use crate::cli::iamserviceaccount::Access;
use crate::failure::{Failure, Rendered, line};
use crate::output;

/// How many policies are asked for at once.
const POLICIES_AT_ONCE: usize = 8;

/// All that a command speaks to.
pub(super) struct World {
    /// The AWS account.
    pub(super) account: AccountId,
    /// The clusters, in the order asked for.
    pub(super) clusters: Vec<Cluster>,
    /// What plans call them.
    pub(super) labels: Vec<String>,
    pub(super) target: Live,
    iam: Iam,
    found: Vec<Found>,
}

/// A cluster as EKS knows it.
#[derive(Clone)]
struct Found {
    eks: Eks,
    description: ClusterDescription,
    /// Its API, if it was reached.
    api: Option<Api>,
}

/// What a command wants to reach.
pub(super) struct Wanted<'w> {
    pub(super) asked: &'w [Asked],
    pub(super) access: &'w Access,
    /// Kubernetes, too.
    pub(super) kubernetes: bool,
    /// Register clusters that are not there.
    pub(super) register: Option<&'w register::Issuer>,
    /// Registering is allowed.
    pub(super) approve: bool,
    /// Is told what is waited for.
    pub(super) waiting: &'w Waiting,
}

/// What is waited for, for who has waited too long.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<String>);

impl Waiting {
    pub(super) fn now(&self, what: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what.into();
    }

    /// `while asking STS at http://127.0.0.1:4700`, if anything.
    pub(super) fn shown(&self) -> String {
        let what = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match what.is_empty() {
            true => String::new(),
            false => format!(" while asking {what}"),
        }
    }
}

/// A service and where it is.
fn at(session: &Session, service: Service, name: &str) -> String {
    match session.endpoint(service) {
        Some(endpoint) => format!("{name} at {endpoint}"),
        None => format!("{name} of AWS"),
    }
}

impl World {
    /// Who we are, which clusters there are, and how their APIs are reached. Everything that is wrong with any of them is
    /// said at once.
    pub(super) async fn reach(wanted: &Wanted<'_>) -> anyhow::Result<Self> {
        let sessions = Sessions::load(wanted).await?;
        wanted.waiting.now(at(&sessions.first, Service::Sts, "STS"));
        let identity = sessions.first.sts()?.caller_identity().await?;
        let account = identity.account;
        let names: Vec<&str> = wanted.asked.iter().map(|asked| asked.cluster.as_str()).collect();
        let contexts = contexts(&wanted.access.context, &names).map_err(Failure::usage)?;
        let mut tasks = JoinSet::new();
        for (index, (asked, context)) in wanted.asked.iter().zip(contexts).enumerate() {
            let region = sessions.region(asked);
            let looker = Looker {
                eks: sessions.of(&region).eks()?,
                is_aws: sessions.of(&region).is_aws(Service::Eks),
                name: asked.cluster.clone(),
                region,
                context,
                tags: asked
                    .config
                    .as_ref()
                    .map(|config| config.tags.clone())
                    .unwrap_or_default(),
                account,
                access: wanted.access.clone(),
                kubernetes: wanted.kubernetes,
                register: wanted.register.cloned(),
                approve: wanted.approve,
            };
            tasks.spawn(async move { (index, looker.look().await) });
        }
        let eks = at(&sessions.first, Service::Eks, "EKS");
        wanted.waiting.now(match wanted.kubernetes {
            true => format!("{eks} about the clusters, and then their Kubernetes APIs"),
            false => format!("{eks} about the clusters"),
        });
        let mut looked: BTreeMap<usize, (Cluster, Found)> = BTreeMap::new();
        let mut errors: BTreeMap<usize, anyhow::Error> = BTreeMap::new();
        while let Some(done) = tasks.join_next().await {
            match done? {
                (index, Ok(found)) => drop(looked.insert(index, found)),
                (index, Err(error)) => drop(errors.insert(index, error)),
            }
        }
        wanted.waiting.now(match wanted.kubernetes {
            true => format!("{} and the Kubernetes APIs", at(&sessions.first, Service::Iam, "IAM")),
            false => at(&sessions.first, Service::Iam, "IAM"),
        });
        all_of(errors.into_values().collect(), wanted.register.is_none())?;
        let (clusters, found): (Vec<Cluster>, Vec<Found>) = looked.into_values().unzip();
        let labels: Vec<String> = irsa_reconcile::desired::labels(&clusters);
        let iam = sessions.first.iam()?;
        let apis: Vec<_> = labels
            .iter()
            .zip(&found)
            .filter_map(|(label, found)| Some((label.clone(), found.api.clone()?)))
            .collect();
        Ok(Self {
            account,
            target: Live::new(iam.clone(), apis),
            iam,
            clusters,
            labels,
            found,
        })
    }

    /// Whether every cluster has a Kubernetes API that was reached.
    pub(super) fn has_kubernetes(&self) -> bool {
        self.found.iter().all(|found| found.api.is_some())
    }

    pub(super) async fn read(&self, scope: Scope, observer: Observer<'_>) -> anyhow::Result<State> {
        match read(&self.target, &self.clusters, scope, observer).await {
            Ok(state) => Ok(state),
            Err(error) => all_of(
                error
                    .errors
                    .into_iter()
                    .map(|error| {
                        let failure = Failure::new(format!("account {}: {}", self.account, error.message));
                        match error.help {
                            Some(help) => failure.hint(help).into(),
                            None => failure.into(),
                        }
                    })
                    .collect(),
                false,
            )
            .map(|()| State::default()),
        }
    }

    /// The managed policies that a plan attaches, or bounds roles by, and that are not there. Whoever may not look finds none.
    pub(super) async fn absent_policies(&self, plan: &Plan, actual: &Actual) -> BTreeSet<String> {
        let in_use: BTreeSet<&String> = actual
            .roles
            .iter()
            .flat_map(|role| role.attached.iter().chain(&role.boundary))
            .collect();
        let arns = plan.steps.iter().filter_map(|step| match &step.action {
            Action::AttachRolePolicy { arn, .. } | Action::PutBoundary { arn, .. } => Some(arn),
            Action::CreateRole { boundary, .. } => boundary.as_ref(),
            _ => None,
        });
        let arns: BTreeSet<String> = arns.filter(|arn| !in_use.contains(arn)).cloned().collect();
        let mut arns = arns.into_iter();
        let mut absent = BTreeSet::new();
        let mut asking = JoinSet::new();
        loop {
            while asking.len() < POLICIES_AT_ONCE
                && let Some(arn) = arns.next()
            {
                let iam = self.iam.clone();
                asking.spawn(async move { (iam.has_policy(&arn).await, arn) });
            }
            match asking.join_next().await {
                Some(Ok((Ok(false), arn))) => drop(absent.insert(arn)),
                Some(_) => {}
                None => return absent,
            }
        }
    }

    /// What the clusters' APIs have, if they are reached soon.
    pub(super) async fn service_accounts(
        &self,
        asked: &[Asked],
        access: &Access,
    ) -> anyhow::Result<Vec<KubernetesState>> {
        let names: Vec<&str> = asked.iter().map(|asked| asked.cluster.as_str()).collect();
        let contexts = contexts(&access.context, &names).map_err(Failure::usage)?;
        let mut apis = Vec::new();
        for (((cluster, label), found), context) in
            self.clusters.iter().zip(&self.labels).zip(&self.found).zip(&contexts)
        {
            let reach = Reach {
                name: &cluster.name,
                description: &found.description,
                issuer: Some(&cluster.issuer),
                context: context.as_deref(),
                access,
                eks: &found.eks,
                patience: Duration::from_secs(3),
            };
            apis.push((label.clone(), reach.connect().await?));
        }
        let target = Live::new(self.iam.clone(), apis);
        let mut states = Vec::new();
        for label in &self.labels {
            states.push(target.kubernetes(label, &|_| {}).await?);
        }
        Ok(states)
    }
}

/// Sessions, one for each region.
struct Sessions {
    first: Session,
    by_region: BTreeMap<String, Session>,
}

impl Sessions {
    async fn load(wanted: &Wanted<'_>) -> anyhow::Result<Self> {
        let load = async |region: Option<String>| {
            let profile = wanted.access.profile.clone();
            Session::load(&SessionOptions { profile, region }).await
        };
        let first = wanted.asked.first().and_then(|asked| asked.region.clone());
        let first = load(first).await?;
        let Some(default) = first.region().map(str::to_owned) else {
            return Err(Failure::usage(
                "AWS Region must be set, please set the AWS Region in AWS config file or as environment variable",
            )
            .hint("or give `--region`")
            .into());
        };
        let mut by_region = BTreeMap::from([(default.clone(), first.clone())]);
        let mut problems = Problems::default();
        let partition = partition_of_region(&default);
        for asked in wanted.asked {
            let region = asked.region.as_ref().unwrap_or(&default);
            if partition_of_region(region) != partition {
                problems.usage(format!(
                    "the regions `{default}` and `{region}` are in two partitions, which no credentials are for"
                ));
            }
            if asked.config.is_none() {
                of_partition(&asked.accounts, region, &mut problems);
            }
            if !by_region.contains_key(region) {
                by_region.insert(region.clone(), load(Some(region.clone())).await?);
            }
        }
        problems.check(wanted.access.verbose)?;
        Ok(Self { first, by_region })
    }

    fn region(&self, asked: &Asked) -> String {
        let default = || self.first.region().unwrap_or_default().to_owned();
        asked.region.clone().unwrap_or_else(default)
    }

    fn of(&self, region: &str) -> &Session {
        self.by_region.get(region).unwrap_or(&self.first)
    }
}

/// ARNs of flags, now that the region is known.
fn of_partition(accounts: &[ServiceAccount], region: &str, problems: &mut Problems) {
    let partition = partition_of_region(region);
    let of = |account: &ServiceAccount| {
        let all = account.attach_policy_arns.iter().flatten();
        let all = all.chain(&account.attach_role_arn).chain(&account.permissions_boundary);
        all.cloned().collect::<Vec<Arn>>()
    };
    for arn in accounts.iter().flat_map(of).filter(|arn| arn.partition() != partition) {
        problems.usages(vec![Problem::error(format!(
            "`{arn}` is of the partition `{}`, the region {region} of `{partition}`",
            arn.partition()
        ))]);
    }
}

/// Looks one cluster up.
struct Looker {
    eks: Eks,
    /// EKS is AWS's own.
    is_aws: bool,
    name: String,
    region: String,
    context: Option<String>,
    tags: BTreeMap<String, String>,
    account: AccountId,
    access: Access,
    kubernetes: bool,
    register: Option<register::Issuer>,
    approve: bool,
}

impl Looker {
    async fn look(self) -> anyhow::Result<(Cluster, Found)> {
        let description = match self.eks.describe_cluster(&self.name).await {
            Ok(description) => description,
            Err(error) if error.is_not_found() && self.register.is_some() => self.register().await?,
            Err(error) => {
                let (name, region) = (&self.name, &self.region);
                let failure = match error.is_not_found() {
                    true => Failure::new(format!("account {} has no cluster `{name}` in {region}", self.account)),
                    false => Failure::new(format!(
                        "unable to describe cluster control plane of `{name}` in {region}"
                    )),
                };
                return Err(failure.caused_by(error).into());
            }
        };
        self.can_operate(&description)?;
        let Some(url) = description.issuer.as_deref() else {
            return Err(Failure::new(format!("cluster `{}` has no OIDC issuer", self.name))
                .hint(match description.is_connected {
                    true => "it is only connected to EKS, which does not know who signs its tokens",
                    false => {
                        "an EKS cluster has one as soon as it is active; look at it with `aws eks describe-cluster`"
                    }
                })
                .into());
        };
        let issuer = Issuer::parse(url)?;
        let cluster = Cluster::new(&self.name, &self.region, self.account, issuer);
        let api = match self.kubernetes {
            true => self.api(&description, &cluster).await?,
            false => None,
        };
        let found = Found {
            eks: self.eks,
            description,
            api,
        };
        Ok((cluster, found))
    }

    /// A cluster that is not ready has no API, and one that is only connected to EKS has no issuer there.
    fn can_operate(&self, description: &ClusterDescription) -> anyhow::Result<()> {
        let (name, region, status) = (&self.name, &self.region, description.status.as_str());
        if matches!(status, "CREATING" | "DELETING" | "FAILED" | "PENDING") {
            return Err(Failure::new(format!(
                "cannot perform Kubernetes API operations on cluster \"{name}\" in \"{region}\" region due to status \"{status}\""
            ))
            .hint(format!("look at it with `aws eks describe-cluster --name {name} --region {region}`"))
            .into());
        }
        Ok(())
    }

    async fn api(&self, description: &ClusterDescription, cluster: &Cluster) -> anyhow::Result<Option<Api>> {
        let reach = Reach {
            issuer: Some(&cluster.issuer),
            ..self.reach_of(description)
        };
        match reach.connect().await {
            Ok(api) => Ok(Some(api)),
            // A cluster of ours need not have one.
            Err(error) if self.register.is_some() && error.is::<NowhereError>() => {
                if self.access.verbose >= 2 {
                    output::warning(format_args!("{}: only roles are made", line(&error)));
                }
                Ok(None)
            }
            Err(error) if error.is::<NowhereError>() => Err(Failure::new(line(&error))
                .hint("`--kubeconfig` and `--context` say how to reach it; `--role-only` leaves Kubernetes alone")
                .into()),
            Err(error) => Err(error),
        }
    }

    fn reach_of<'r>(&'r self, description: &'r ClusterDescription) -> Reach<'r> {
        Reach {
            name: &self.name,
            description,
            issuer: None,
            context: self.context.as_deref(),
            access: &self.access,
            eks: &self.eks,
            patience: Duration::from_secs(60),
        }
    }

    /// Makes the cluster known to a server of ours, with the issuer that its API server has.
    async fn register(&self) -> anyhow::Result<ClusterDescription> {
        let (name, region) = (&self.name, &self.region);
        if self.is_aws {
            return Err(
                Failure::new(format!("account {} has no cluster `{name}` in {region}", self.account))
                    .hint(
                        "irsa makes no clusters at AWS, it registers them with its own server: `eval \"$(irsa env)\"` \
                     points here; a cluster of AWS is made with `eksctl create cluster` or `aws eks create-cluster`",
                    )
                    .into(),
            );
        }
        let mut issuer = self.register.clone().unwrap_or_default();
        if self.kubernetes {
            let unknown = ClusterDescription::default();
            // Who says whose tokens they are is held to it before the server believes it.
            let expected = issuer.url.as_deref().map(Issuer::parse).transpose()?;
            let reach = Reach {
                issuer: expected.as_ref(),
                ..self.reach_of(&unknown)
            };
            match reach.connect().await {
                Ok(api) if issuer.url.is_none() => {
                    let url = irsa_kubernetes::issuer(&api).await?;
                    issuer.keys = Some(signing_keys(&api).await?);
                    issuer.url = Some(url);
                }
                Ok(_) => {}
                Err(error) if error.is::<NowhereError>() => {}
                Err(error) => return Err(error),
            }
        }
        if !self.approve {
            return Err(Failure::new(format!(
                "cluster `{name}` is not registered, and what follows depends on its issuer"
            ))
            .hint("without `--approve=false` it is registered and the file applied")
            .into());
        }
        let new = NewCluster {
            name: name.clone(),
            // EKS wants a role and a network; a cluster that runs elsewhere has neither.
            role_arn: format!("arn:aws:iam::{}:role/cluster", self.account),
            version: None,
            tags: self.tags.clone(),
            issuer: issuer.url,
            keys: issuer.keys,
        };
        let description = self.eks.create_cluster(&new).await?;
        if self.access.verbose >= 3 {
            let issuer = description.issuer.as_deref().unwrap_or_default();
            output::note(format_args!(
                "registered cluster \"{name}\" in \"{region}\", issuer {issuer}"
            ));
        }
        Ok(description)
    }
}

/// One error, or several said one after the other; `untouched`: nothing can have been changed before.
fn all_of(mut errors: Vec<anyhow::Error>, untouched: bool) -> anyhow::Result<()> {
    match errors.len() {
        0 => Ok(()),
        1 => Err(errors.remove(0)),
        _ => {
            let mut texts: Vec<String> = Vec::new();
            for error in &errors {
                let text = crate::failure::text(error);
                // Several clusters may fail for one reason.
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
            let end = match (texts.len(), untouched) {
                (1, _) => String::new(),
                (count, true) => format!("\n{count} errors; nothing was changed"),
                (count, false) => format!("\n{count} errors"),
            };
            Err(Failure::new("")
                .caused_by(Rendered(format!("{}{end}", texts.join("\n"))))
                .into())
        }
    }
}
