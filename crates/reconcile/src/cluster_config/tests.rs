use std::fmt::Write as _;

use super::*;
use crate::ServiceAccountName;

const SEED: &str = include_str!("tests/seed.yaml");

fn shown(configuration: &Configuration) -> String {
    let mut text = String::new();
    for problem in &configuration.problems {
        let severity = format!("{:?}", problem.severity).to_lowercase();
        writeln!(text, "{severity}: {}", problem.located()).unwrap();
        if let Some(help) = &problem.help {
            writeln!(text, "    help: {help}").unwrap();
        }
    }
    text
}

#[test]
fn the_example_of_the_documentation() {
    let configuration = read([("cluster.yaml", SEED)]);
    assert_eq!(
        shown(&configuration),
        "advice: cluster.yaml:44:1: left alone, as not about service accounts: `nodeGroups`\n"
    );
    let [cluster] = &configuration.clusters[..] else {
        panic!("one cluster")
    };
    assert_eq!(
        (cluster.name.as_str(), cluster.region.as_str()),
        ("cluster-13", "us-west-2")
    );
    assert!(cluster.implies_aws_node);
    let accounts = cluster.service_accounts.as_deref().unwrap();
    let names: Vec<String> = accounts.iter().map(|account| account.name.to_string()).collect();
    assert_eq!(
        names,
        [
            "backend-apps/s3-reader",
            "backend-apps/cache-access",
            "kube-system/cluster-autoscaler"
        ]
    );
    assert_eq!(accounts[0].labels.as_ref().unwrap()["aws-usage"], "application");
    assert_eq!(accounts[1].attach_policy_arns.as_ref().unwrap().len(), 2);
    let policy = accounts[2].attach_policy.as_ref().unwrap();
    assert!(
        policy.starts_with(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["auto"#),
        "{policy}"
    );
    assert_eq!(accounts[2].place.as_ref().unwrap().line, 27);
}

#[test]
fn all_mistakes_at_once_each_in_its_place() {
    let configuration = read([("bad.yaml", include_str!("tests/bad.yaml"))]);
    assert!(configuration.has_errors());
    insta::assert_snapshot!(shown(&configuration));
}

#[test]
fn a_mistake_is_shown_beside_its_line() {
    let text = SEED.replace(
        "attachPolicyARNs:\n    - \"arn:aws:iam::aws:policy/AmazonS3",
        "attachPolicies:\n    - \"",
    );
    let configuration = read([("cluster.yaml", text.as_str())]);
    let problem = configuration
        .problems
        .iter()
        .find(|problem| problem.message.starts_with("unknown"))
        .unwrap();
    let mut shown = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .render_report(&mut shown, problem)
        .unwrap();
    insta::assert_snapshot!(shown);
}

#[test]
fn several_documents_and_files() {
    let small = |name: &str| {
        format!(
            "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {{name: {name}, region: us-west-2}}\n\
             iam: {{withOIDC: true, serviceAccounts: [{{metadata: {{name: a}}, wellKnownPolicies: {{autoScaler: true}}}}]}}\n"
        )
    };
    let one = format!("---\n{}---\n{}", small("blue"), small("green"));
    let json = r#"{"apiVersion": "eksctl.io/v1alpha5", "kind": "ClusterConfig", "metadata": {"name": "red", "region": "eu-west-1"}}"#;
    let configuration = read([("one.yaml", one.as_str()), ("two.json", json)]);
    assert_eq!(shown(&configuration), "");
    let names: Vec<&str> = configuration
        .clusters
        .iter()
        .map(|cluster| cluster.name.as_str())
        .collect();
    assert_eq!(names, ["blue", "green", "red"]);
    assert_eq!(configuration.clusters[2].service_accounts, None);
    assert_eq!(
        configuration.clusters[1].service_accounts.as_ref().unwrap()[0].name,
        ServiceAccountName::new("default", "a")
    );
    let again = read([("one.yaml", one.as_str()), ("two.yaml", small("green").as_str())]);
    assert_eq!(
        shown(&again),
        "error: two.yaml:1:1: cluster `green` of region `us-west-2` is described twice\n    help: the first time at one.yaml:7:1\n"
    );
}

#[test]
fn what_is_no_yaml_or_nothing() {
    for (text, expected) in [
        ("", "error: `f` holds no ClusterConfig\n"),
        ("# only a comment\n", "error: `f` holds no ClusterConfig\n"),
        ("[]", "error: f:1:1: the document must be a map, not a list\n"),
        ("a: 1\na: 2\n", "error: f:2:1: `f` is no YAML: "),
        ("a: [1\n", "`f` is no YAML: "),
        (
            "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\n",
            "error: f:1:1: metadata must be set\n",
        ),
        (
            "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {}\n",
            "error: f:3:1: metadata.name must be set\nerror: f:3:1: metadata.region must be set\n",
        ),
    ] {
        let configuration = read([("f", text)]);
        assert!(
            shown(&configuration).contains(expected),
            "{text:?}: {}",
            shown(&configuration)
        );
        assert!(configuration.has_errors());
    }
    // The example as the archived page has it, with lines lost.
    let lost: String = SEED
        .lines()
        .filter(|line| !line.trim_end().ends_with(':'))
        .fold(String::new(), |all, line| all + line + "\n");
    assert!(read([("lost.yaml", lost.as_str())]).has_errors());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z:{}\\[\\]\\-&*\" \n#|>!?,0-9]{0,200}") {
        let _ = read([("f", text.as_str())]);
    }

    #[test]
    fn no_cut_makes_it_panic(at in 0..SEED.len(), with in "[a-z:{}\\[\\]\\-\" \n]{0,4}") {
        let mut text = SEED.to_owned();
        text.insert_str(at, &with);
        let _ = read([("f", text.as_str())]);
    }
}
