use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::actual::{Actual, KubernetesAccount, KubernetesState, Provider, Role};
use crate::desired::{AUDIENCE, Cluster, Desired, Issuer, Mode, Request};
use crate::list::{Listed, list};
use crate::plan::{Options, plan};
use crate::well_known::WellKnownPolicy;
use crate::{ServiceAccount, ServiceAccountName};

fn cluster() -> Cluster {
    let issuer = Issuer::parse("https://oidc.eks.us-west-2.amazonaws.com/id/A39A2842").unwrap();
    Cluster::new("cluster-13", "us-west-2", "111122223333".parse().unwrap(), issuer)
}

fn listed(namespace: &str, name: &str, arn: &str) -> Listed {
    Listed {
        name: ServiceAccountName::new(namespace, name),
        role_arn: arn.to_owned(),
        stack_name: None,
        tags: BTreeMap::new(),
        well_known: Vec::new(),
    }
}

#[test]
fn tables_have_the_tabs_of_go() {
    let table = list_table(&[listed("app1", "app-cache-access", "arn:aws:iam::1:role/x")]);
    assert_eq!(
        table,
        "NAMESPACE\tNAME\t\t\tROLE ARN\napp1\t\tapp-cache-access\tarn:aws:iam::1:role/x\n"
    );
    let table = list_table(&[listed("a", "b", "arn:\x1b[2J\n\tx")]);
    assert!(table.ends_with("\tarn:\u{fffd}[2J\u{fffd}\u{fffd}x\n"), "{table:?}");
    assert_eq!(list_table(&[]), "No iamserviceaccounts found\n");
}

#[test]
fn lists_for_programs() {
    let mut one = listed("backend-apps", "s3-reader", "arn:aws:iam::111122223333:role/r");
    one.stack_name = Some("eksctl-cluster-13-addon-iamserviceaccount-backend-apps-s3-reader".to_owned());
    one.tags = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
    one.well_known = vec![WellKnownPolicy::AutoScaler];
    assert_eq!(list_json(&[]), "[]");
    insta::assert_snapshot!("list_json", list_json(std::slice::from_ref(&one)));
    insta::assert_snapshot!("list_yaml", list_yaml(&[one]));
}

#[test]
fn task_trees_are_those_of_eksctl() {
    let name = |name: &str| ServiceAccountName::new("default", name);
    let create = |text: &str| create_task(&name(text), true, true);
    assert_eq!(tree(&[], false), "no tasks");
    assert_eq!(
        tree(&[create("a")], false),
        "1 task: { \n    2 sequential sub-tasks: { \n        create IAM role for serviceaccount \"default/a\",\n        create serviceaccount \"default/a\",\n    } }"
    );
    assert_eq!(
        tree(&[create_task(&name("a"), true, false)], false),
        "1 task: { create IAM role for serviceaccount \"default/a\" }"
    );
    assert_eq!(
        tree(&[create("a"), create("b")], true),
        "(plan) \n2 parallel tasks: { \n    2 sequential sub-tasks: { \n        create IAM role for serviceaccount \"default/a\",\n        create serviceaccount \"default/a\",\n    }, \n    2 sequential sub-tasks: { \n        create IAM role for serviceaccount \"default/b\",\n        create serviceaccount \"default/b\",\n    } \n}\n"
    );
    assert_eq!(
        tree(&[update_task(&name("a"))], false),
        "1 task: { 1 task: { update IAMServiceAccount default/a } }"
    );
    assert_eq!(
        tree(&[update_task(&name("a")), update_task(&name("b"))], false),
        "\n2 parallel tasks: { 1 task: { update IAMServiceAccount default/a }, 1 task: { update IAMServiceAccount default/b } \n}\n"
    );
    assert_eq!(
        tree(&[delete_task(&name("a"), true, false)], false),
        "1 task: { \n    2 sequential sub-tasks: { \n        delete IAM role for serviceaccount \"default/a\" [async],\n        delete serviceaccount \"default/a\",\n    } }"
    );
}

fn state() -> (Desired, Actual) {
    let account = |namespace: &str, name: &str| {
        let mut account = ServiceAccount::new(ServiceAccountName::new(namespace, name));
        account.attach_policy_arns = Some(BTreeSet::from(["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
            .parse()
            .unwrap()]));
        account
    };
    let mut changed = account("backend-apps", "cache");
    changed.role_name = Some("cache".to_owned());
    changed.attach_policy = Some(
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}"#.to_owned(),
    );
    changed.tags = Some(BTreeMap::from([("team".to_owned(), "x".to_owned())]));
    let request = Request {
        cluster: cluster(),
        tags: BTreeMap::new(),
        accounts: vec![
            account("backend-apps", "s3-reader"),
            changed,
            account("kube-system", "theirs"),
        ],
    };
    let desired = Desired::new(&[request], Mode::Create).unwrap();
    let mut kubernetes = KubernetesState {
        namespaces: BTreeSet::from(["kube-system".to_owned()]),
        ..KubernetesState::default()
    };
    kubernetes.service_accounts.insert(
        ServiceAccountName::new("kube-system", "theirs"),
        KubernetesAccount::default(),
    );
    let role = Role {
        name: "cache".to_owned(),
        arn: "arn:aws:iam::111122223333:role/cache".to_owned(),
        trust: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#.to_owned(),
        inline: BTreeMap::from([(
            "irsa-attachPolicy".to_owned(),
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/*"}]}"#.to_owned(),
        )]),
        attached: BTreeSet::from(["arn:aws:iam::aws:policy/AdministratorAccess".to_owned()]),
        boundary: Some("arn:aws:iam::111122223333:policy/old".to_owned()),
        tags: BTreeMap::from(
            [
                ("irsa/managed-by", "irsa"),
                ("irsa/cluster", "us-west-2/cluster-13"),
                ("irsa/namespace", "backend-apps"),
                ("irsa/name", "cache"),
                ("team", "y"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        ),
    };
    let actual = Actual {
        roles: vec![role],
        providers: vec![Provider {
            arn: cluster().provider_arn(),
            client_ids: BTreeSet::from([AUDIENCE.to_owned()]),
        }],
        clusters: vec![kubernetes],
    };
    (desired, actual)
}

#[test]
fn a_plan_for_people_and_for_programs() {
    let (desired, actual) = state();
    let plan = plan(&desired, &actual, &Options::default());
    insta::assert_snapshot!("plan_text", text(&plan));
    insta::assert_snapshot!("plan_json", format!("{:#}", value(&plan)));
}

#[test]
fn what_is_listed() {
    let (_, mut actual) = state();
    let given = KubernetesAccount {
        labels: BTreeMap::from([(crate::MANAGED_BY_LABEL.to_owned(), "irsa".to_owned())]),
        annotations: BTreeMap::from([(
            crate::ROLE_ARN_ANNOTATION.to_owned(),
            "arn:aws:iam::111122223333:role/given".to_owned(),
        )]),
        ..KubernetesAccount::default()
    };
    actual.clusters[0]
        .service_accounts
        .insert(ServiceAccountName::new("apps", "given"), given);
    let rows: Vec<String> = list(&cluster(), 0, &actual)
        .iter()
        .map(|one| format!("{} {}", one.name, one.role_arn))
        .collect();
    assert_eq!(
        rows,
        [
            "apps/given arn:aws:iam::111122223333:role/given",
            "backend-apps/cache arn:aws:iam::111122223333:role/cache"
        ]
    );
    let mut other = cluster();
    other.name = "cluster-14".to_owned();
    assert_eq!(list(&other, 1, &actual), []);
}
