use super::*;

fn cluster(name: &str, region: &str) -> Cluster {
    let issuer = Issuer::parse(&format!(
        "https://oidc.eks.{region}.amazonaws.com/id/{}",
        name.to_uppercase()
    ))
    .unwrap();
    Cluster::new(name, region, "111122223333".parse().unwrap(), issuer)
}

fn request(cluster: Cluster, accounts: &[ServiceAccount]) -> Request {
    Request {
        cluster,
        tags: BTreeMap::from([("team".to_owned(), "a".to_owned())]),
        accounts: accounts.to_vec(),
    }
}

fn account(name: &str) -> ServiceAccount {
    let mut account = ServiceAccount::new(ServiceAccountName::new("apps", name));
    account.well_known_policies = Some(BTreeSet::from([WellKnownPolicy::EbsCsiController]));
    account
}

#[test]
fn names_are_readable_short_and_never_the_same() {
    let of = |cluster: &Cluster, namespace: &str, name: &str| {
        let name = derived_role_name(cluster, &ServiceAccountName::new(namespace, name));
        assert!(crate::names::role_name(&name).is_ok(), "{name}");
        name.to_lowercase()
    };
    let prod = cluster("prod", "us-west-2");
    assert_eq!(
        of(&prod, "backend-apps", "s3-reader"),
        "irsa-prod-backend-apps-s3-reader-phhqnxdp35"
    );
    let long = "x".repeat(253);
    let names = BTreeSet::from([
        of(&prod, "a-b", "c"),
        of(&prod, "a", "b-c"),
        of(&cluster("Prod", "us-west-2"), "a", "b-c"),
        of(&cluster("prod", "us-east-1"), "a", "b-c"),
        of(&cluster("prod-a", "us-west-2"), "b", "c"),
        of(&prod, "a", &long),
        of(&prod, "a", &long[1..]),
    ]);
    assert_eq!(names.len(), 7);
    assert_eq!(of(&prod, "backend-applications", &long).len(), 64);
    assert!(of(&prod, "backend-applications", &long).starts_with("irsa-prod-backend-applications-xxx"));
}

#[test]
fn issuers() {
    for (url, resource) in [
        (
            "https://oidc.eks.us-west-2.amazonaws.com/id/A",
            "oidc.eks.us-west-2.amazonaws.com/id/A",
        ),
        ("https://issuer.example:443/x", "issuer.example/x"),
        ("https://localhost:4701/id/A", "localhost:4701/id/A"),
        ("https://issuer.example", "issuer.example"),
    ] {
        assert_eq!(Issuer::parse(url).unwrap().resource(), resource);
    }
    for bad in [
        "http://a",
        "https://",
        "a",
        "https:///x",
        "https://a?b",
        "https://a b",
        "https://u@a",
        "https://a/\"",
        "https://a/*",
    ] {
        assert!(Issuer::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_not_given_is_empty_or_left() {
    let asked = [request(cluster("c", "cn-north-1"), &[account("a")])];
    let created = Desired::new(&asked, Mode::Create).unwrap();
    let [role] = &created.roles[..] else { panic!("one role") };
    assert_eq!(
        role.permissions.well_known,
        Some(vec![Expansion::Managed(
            "arn:aws-cn:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy".to_owned()
        )])
    );
    assert_eq!(role.permissions.inline, Some(None));
    assert_eq!(role.permissions.boundary, Some(None));
    assert_eq!(created.accounts[0].labels, Some(BTreeMap::new()));
    let updated = Desired::new(&asked, Mode::Update).unwrap();
    assert_eq!(updated.roles[0].permissions.inline, None);
    assert_eq!(updated.roles[0].permissions.attach, None);
    assert_eq!(updated.accounts[0].labels, None);
    assert_eq!(
        created.clusters[0].provider_arn(),
        "arn:aws-cn:iam::111122223333:oidc-provider/oidc.eks.cn-north-1.amazonaws.com/id/C"
    );
}

#[test]
fn one_role_for_several() {
    let mut shared = account("a");
    shared.role_name = Some("shared".to_owned());
    let clusters = [cluster("blue", "us-west-2"), cluster("green", "us-west-2")];
    let both = clusters
        .clone()
        .map(|cluster| request(cluster, std::slice::from_ref(&shared)));
    let desired = Desired::new(&both, Mode::Create).unwrap();
    assert_eq!(desired.roles.len(), 1);
    let bound: Vec<usize> = desired.roles[0]
        .bindings
        .iter()
        .map(|binding| binding.cluster)
        .collect();
    assert_eq!(bound, [0, 1]);
    assert_eq!(desired.accounts.len(), 2);

    let mut other = shared.clone();
    other.tags = Some(BTreeMap::from([("team".to_owned(), "b".to_owned())]));
    other.name.name = "b".to_owned();
    let problems = Desired::new(&[request(clusters[0].clone(), &[shared, other])], Mode::Create).unwrap_err();
    assert_eq!(
        problems[0].message,
        "`apps/a` and `apps/b` share the role `shared`, with other permissions, boundary or tags"
    );
    let unnamed = clusters.map(|cluster| request(cluster, &[account("a")]));
    let problems = Desired::new(&unnamed, Mode::Create).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("needs a name that is none of theirs"));
}

#[test]
fn a_pattern_stands_for_the_name() {
    let mut pattern = account("a");
    pattern.subject_pattern = Some("s3-*".to_owned());
    let desired = Desired::new(&[request(cluster("c", "us-west-2"), &[pattern])], Mode::Create).unwrap();
    let subject = &desired.roles[0].bindings[0].subject;
    assert_eq!(
        (subject.text.as_str(), subject.is_pattern),
        ("system:serviceaccount:apps:s3-*", true)
    );
}
