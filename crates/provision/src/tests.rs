mod chaos;
mod meddling;
mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use irsa_reconcile::actual::{Actual, KubernetesAccount, Role};
use irsa_reconcile::desired::{Cluster, Desired, Issuer, Mode, Request};
use irsa_reconcile::plan::{self, Deletion, Plan};
use irsa_reconcile::{ServiceAccount, ServiceAccountName};

use crate::world::World;
use crate::{Event, Job, Options, Outcome, Scope, Stop, carry_out, read};

const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}"#;

fn cluster(name: &str) -> Cluster {
    let issuer = Issuer::parse(&format!("https://oidc.eks.us-west-2.amazonaws.com/id/{name}")).unwrap();
    Cluster::new(name, "us-west-2", "111122223333".parse().unwrap(), issuer)
}

fn account(name: &str) -> ServiceAccount {
    let mut account = ServiceAccount::new(ServiceAccountName::new("apps", name));
    account.attach_policy_arns = Some(BTreeSet::from(["arn:aws:iam::aws:policy/One".parse().unwrap()]));
    account
}

/// What somebody wants.
struct Wish {
    clusters: Vec<Cluster>,
    kind: Kind,
    options: plan::Options,
}

enum Kind {
    Apply(Box<Desired>),
    Delete(Vec<(usize, ServiceAccountName)>),
}

impl Wish {
    fn apply(asked: &[(&str, &[ServiceAccount])]) -> Self {
        let requests: Vec<Request> = asked
            .iter()
            .map(|(name, accounts)| Request {
                cluster: cluster(name),
                tags: BTreeMap::new(),
                accounts: accounts.to_vec(),
            })
            .collect();
        Self {
            clusters: requests.iter().map(|request| request.cluster.clone()).collect(),
            kind: Kind::Apply(Box::new(Desired::new(&requests, Mode::Create).unwrap())),
            options: plan::Options {
                create_providers: true,
                ..plan::Options::default()
            },
        }
    }

    fn delete(asked: &[(&str, &[&str])]) -> Self {
        let accounts = asked.iter().enumerate().flat_map(|(index, (_, names))| {
            let names = names.iter();
            names.map(move |name| (index, ServiceAccountName::new("apps", *name)))
        });
        Self {
            clusters: asked.iter().map(|(name, _)| cluster(name)).collect(),
            kind: Kind::Delete(accounts.collect()),
            options: plan::Options::default(),
        }
    }

    fn plan(&self, actual: &Actual) -> Plan {
        match &self.kind {
            Kind::Apply(desired) => plan::plan(desired, actual, &self.options),
            Kind::Delete(accounts) => {
                let deletion = Deletion {
                    clusters: self.clusters.clone(),
                    accounts: accounts.clone(),
                };
                plan::delete(&deletion, actual, &self.options)
            }
        }
    }
}

/// Reads, plans and carries out; what was told, in words.
async fn run_told(world: &World, wish: &Wish, options: &Options, stop: &Stop) -> (Outcome, Vec<String>) {
    let told = Mutex::new(Vec::new());
    let observer = |event: Event<'_>| {
        let words = match event {
            Event::Started { step } => format!("started {}", step.id),
            Event::Ended { step, result, .. } => format!("ended {} {result:?}", step.id),
            Event::Retrying { step, tries, .. } => format!("retrying {} {tries}", step.id),
            other => format!("{other:?}").chars().take(40).collect(),
        };
        told.lock().unwrap().push(words);
    };
    let state = read(world, &wish.clusters, Scope::default(), &observer).await.unwrap();
    let plan = wish.plan(&state.actual);
    let planner = |actual: &Actual| wish.plan(actual);
    let job = Job {
        clusters: &wish.clusters,
        actual: &state.actual,
        plan: &plan,
        planner: &planner,
    };
    let outcome = carry_out(world, &job, options, stop, &observer).await;
    (outcome, told.into_inner().unwrap())
}

async fn run(world: &World, wish: &Wish) -> Outcome {
    run_told(world, wish, &Options::default(), &Stop::default()).await.0
}

#[track_caller]
fn assert_success(outcome: &Outcome) {
    let failures: Vec<String> = outcome.failures().map(|(_, failure)| failure.to_string()).collect();
    assert!(outcome.is_success(), "{failures:?} {outcome:#?}");
}

/// A role of somebody else's.
fn strange_role(name: &str) -> Role {
    Role {
        name: name.to_owned(),
        arn: format!("arn:aws:iam::111122223333:role/{name}"),
        trust: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#.to_owned(),
        ..Role::default()
    }
}

fn strange_account() -> KubernetesAccount {
    KubernetesAccount {
        uid: "theirs".to_owned(),
        labels: BTreeMap::from([("theirs".to_owned(), "x".to_owned())]),
        ..KubernetesAccount::default()
    }
}

/// Two clusters, a role that they share, and every part that a role can have.
fn rich() -> Wish {
    let mut whole = account("whole");
    whole.attach_policy = Some(POLICY.to_owned());
    whole.permissions_boundary = Some("arn:aws:iam::111122223333:policy/b".parse().unwrap());
    whole.tags = Some(BTreeMap::from([("team".to_owned(), "x".to_owned())]));
    whole.labels = Some(BTreeMap::from([("aws-usage".to_owned(), "app".to_owned())]));
    let mut shared = account("shared");
    shared.role_name = Some("shared".to_owned());
    let mut elsewhere = account("elsewhere");
    elsewhere.name = ServiceAccountName::new("other", "elsewhere");
    Wish::apply(&[("blue", &[whole, shared.clone(), elsewhere]), ("green", &[shared])])
}

/// The same, with other permissions and fields.
fn rich_changed() -> Wish {
    let mut whole = account("whole");
    whole.attach_policy_arns = Some(BTreeSet::from(["arn:aws:iam::aws:policy/Two".parse().unwrap()]));
    whole.attach_policy = Some(POLICY.replace("GetObject", "PutObject"));
    whole.tags = Some(BTreeMap::from([("cost".to_owned(), "y".to_owned())]));
    whole.annotations = Some(BTreeMap::from([("note".to_owned(), "n".to_owned())]));
    let mut shared = account("shared");
    shared.role_name = Some("shared".to_owned());
    shared.subject_pattern = Some("shared*".to_owned());
    Wish::apply(&[("blue", &[whole, shared.clone()]), ("green", &[shared])])
}

fn rich_world() -> World {
    let world = World::new(&[cluster("blue"), cluster("green")]);
    world.edit(|actual| {
        actual.roles.push(strange_role("strange"));
        let strange = ServiceAccountName::new("default", "strange");
        actual.clusters[0].namespaces.insert("default".to_owned());
        actual.clusters[0].service_accounts.insert(strange, strange_account());
    });
    world
}
