//! Our own client of AWS, as commands use it, against this server: what it sends is understood, and what it reads is what there is.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use irsa_aws::{Credentials, NewCluster, NewRole, Session};

use crate::client::Request;
use crate::harness::{ACCOUNT, ALLOW_ALL, Server, name};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}"#;
const OTHER_TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:PrincipalTag/a":"50% + ü&=/\"\\"}}}]}"#;

fn session(server: &Server) -> Session {
    let key = &server.root;
    let credentials = Credentials::new(&key.id, &key.secret, None, None, "test");
    Session::of_server(&format!("http://{}", server.host), Some("us-east-1"), credentials, None).unwrap()
}

fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    pairs.collect()
}

#[test]
fn a_role_from_its_making_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let session = session(&server);
    run(async {
        let iam = session.iam().unwrap();
        let identity = session.sts().unwrap().caller_identity().await.unwrap();
        assert_eq!(identity.account.to_string(), ACCOUNT);

        let boundary = format!("arn:aws:iam::{ACCOUNT}:policy/edge");
        server.iam_ok(
            &server.root,
            "CreatePolicy",
            &[("PolicyName", "edge"), ("PolicyDocument", ALLOW_ALL)],
        );
        let role = NewRole {
            name: "app".to_owned(),
            trust: TRUST.to_owned(),
            boundary: Some(boundary.clone()),
            description: "for \"default/app\" [a & b]".to_owned(),
            tags: tags(&[("team", "a b+c"), ("empty", "")]),
        };
        let made = iam.create_role(&role).await.unwrap();
        let error = iam.create_role(&role).await.unwrap_err();
        assert!(error.is_already_there(), "{error}");
        assert!(
            error
                .to_string()
                .starts_with("CreateRole of role `app` in account 111122223333 failed with EntityAlreadyExists: "),
            "{error}"
        );
        iam.put_role_policy("app", "one", ALLOW_ALL).await.unwrap();
        iam.put_role_policy("app", "two", ALLOW_ALL).await.unwrap();
        iam.attach_role_policy("app", &boundary).await.unwrap();
        iam.attach_role_policy("app", &boundary).await.unwrap();
        iam.update_assume_role_policy("app", OTHER_TRUST).await.unwrap();
        iam.tag_role("app", &tags(&[("team", "d"), ("more", "1")]))
            .await
            .unwrap();
        iam.untag_role("app", &["empty".to_owned(), "never".to_owned()])
            .await
            .unwrap();

        let head = iam.role_head("app").await.unwrap().unwrap();
        assert_eq!(
            (&head.id, &head.arn, &head.description),
            (&made.id, &made.arn, &role.description)
        );
        assert_eq!(head.trust, OTHER_TRUST);
        assert_eq!(head.tags, tags(&[("team", "d"), ("more", "1")]));
        assert_eq!(head.boundary.as_ref(), Some(&boundary));
        let one = iam.role("app").await.unwrap().unwrap();
        let all = iam.roles(|_| ()).await.unwrap();
        assert_eq!(all, std::slice::from_ref(&one));
        assert_eq!(one.inline.keys().collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(
            (one.inline["one"].as_str(), one.trust.as_str()),
            (ALLOW_ALL, OTHER_TRUST)
        );
        assert_eq!(one.attached, [boundary.clone()].into());

        let error = iam.delete_role("app").await.unwrap_err();
        assert_eq!(error.service().unwrap().code, "DeleteConflict");
        iam.delete_role_permissions_boundary("app").await.unwrap();
        iam.put_role_permissions_boundary("app", &boundary).await.unwrap();
        iam.detach_role_policy("app", &boundary).await.unwrap();
        assert!(
            iam.detach_role_policy("app", &boundary)
                .await
                .unwrap_err()
                .is_not_found()
        );
        iam.delete_role_policy("app", "one").await.unwrap();
        iam.delete_role_policy("app", "two").await.unwrap();
        assert!(iam.delete_role_policy("app", "two").await.unwrap_err().is_not_found());
        iam.delete_role("app").await.unwrap();
        assert!(iam.delete_role("app").await.unwrap_err().is_not_found());
        assert_eq!(iam.role("app").await.unwrap(), None);
        assert_eq!(iam.role_head("app").await.unwrap(), None);
        assert!(iam.roles(|_| ()).await.unwrap().is_empty());
    });
}

#[test]
fn more_roles_than_a_page_holds() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let session = session(&server);
    run(async {
        let iam = session.iam().unwrap();
        let making: Vec<_> = (0..1010)
            .map(|number| {
                let iam = iam.clone();
                tokio::spawn(async move {
                    let role = NewRole {
                        name: format!("role-{number}"),
                        trust: TRUST.to_owned(),
                        ..NewRole::default()
                    };
                    iam.create_role(&role).await.unwrap()
                })
            })
            .collect();
        for made in making {
            made.await.unwrap();
        }
        let mut told = Vec::new();
        let roles = iam.roles(|count| told.push(count)).await.unwrap();
        let names: std::collections::BTreeSet<&str> = roles.iter().map(|role| role.name.as_str()).collect();
        assert_eq!((roles.len(), names.len()), (1010, 1010));
        assert!(told.len() > 1 && told.last() == Some(&1010), "{told:?}");
        let quotas = iam.account_summary().await.unwrap();
        assert_eq!(quotas.roles, Some(1010));
        assert!(
            quotas.trust_policy.is_some() && quotas.inline_policies.is_some() && quotas.attached_policies.is_some()
        );
    });
}

#[test]
fn a_cluster_its_provider_and_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let session = session(&server);
    let cluster = name("cluster");
    let token = run(async {
        let (iam, eks) = (session.iam().unwrap(), session.eks().unwrap());
        let error = eks.describe_cluster(&cluster).await.unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert!(
            error.to_string().starts_with("DescribeCluster of cluster `cluster-"),
            "{error}"
        );
        let new = NewCluster {
            name: cluster.clone(),
            role_arn: format!("arn:aws:iam::{ACCOUNT}:role/cluster"),
            tags: tags(&[("k", "v")]),
            ..NewCluster::default()
        };
        let made = eks.create_cluster(&new).await.unwrap();
        assert!(eks.create_cluster(&new).await.unwrap_err().is_already_there());
        assert_eq!(eks.describe_cluster(&cluster).await.unwrap(), made);
        assert_eq!(made.name, cluster);
        let issuer = made.issuer.unwrap();

        let audiences = ["sts.amazonaws.com".to_owned()];
        let arn = iam
            .create_provider(&issuer, &audiences, &tags(&[("k", "v")]))
            .await
            .unwrap();
        let again = iam.create_provider(&issuer, &audiences, &tags(&[])).await.unwrap_err();
        assert!(again.is_already_there(), "{again}");
        iam.add_client_id(&arn, "other").await.unwrap();
        iam.add_client_id(&arn, "other").await.unwrap();
        let provider = iam.provider(&arn).await.unwrap().unwrap();
        assert_eq!(
            provider.client_ids,
            ["other".to_owned(), "sts.amazonaws.com".to_owned()].into()
        );
        assert_eq!(format!("https://{}", provider.url), issuer);
        assert_eq!(provider.tags, tags(&[("k", "v")]));
        assert_eq!(iam.provider(&format!("{arn}x")).await.unwrap(), None);
        eks.cluster_token(&cluster).await.unwrap()
    });
    // What the cluster's authenticator does with it.
    let url = token.as_str().strip_prefix("k8s-aws-v1.").unwrap();
    let url = String::from_utf8(URL_SAFE_NO_PAD.decode(url).unwrap()).unwrap();
    let target = url.strip_prefix(&format!("http://{}", server.host)).unwrap();
    let asked = |cluster: &str| {
        let request = Request::new("GET", target)
            .header("host", &server.host)
            .header("x-k8s-aws-id", cluster);
        server.send(&request)
    };
    let answer = asked(&cluster);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.element("Account").as_deref(), Some(ACCOUNT));
    assert_eq!(asked("another").status, 403);
}

#[test]
fn an_end_that_is_told_by_account_and_resource() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let user = server.user(&server.root, "reader", None);
    let credentials = Credentials::new(&user.id, &user.secret, None, None, "test");
    let session = Session::of_server(&format!("http://{}", server.host), None, credentials, None).unwrap();
    run(async {
        session.sts().unwrap().caller_identity().await.unwrap();
        let error = session
            .iam()
            .unwrap()
            .put_role_policy("app", "p", ALLOW_ALL)
            .await
            .unwrap_err();
        assert!(error.is_denied(), "{error}");
        let shown = error.to_string();
        assert!(
            shown.starts_with(
                "PutRolePolicy of policy `p` of role `app` in account 111122223333 failed with AccessDenied: "
            ),
            "{shown}"
        );
        assert!(shown.contains("iam:PutRolePolicy"), "{shown}");
        assert!(error.hint().unwrap().starts_with("`irsa explain "), "{error:?}");
        assert!(!format!("{error:?}").contains(&user.secret));
    });
}
