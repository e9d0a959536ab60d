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

const HEAD: &str = "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: c, region: us-west-2}\n";

fn one_account(fields: &str) -> String {
    format!(
        "{HEAD}iam:\n  withOIDC: true\n  serviceAccounts:\n  - metadata: {{name: a}}\n    wellKnownPolicies: {{autoScaler: true}}\n{fields}"
    )
}

#[test]
fn files_that_are_made_to_be_too_much() {
    for depth in [60, 500, 100_000] {
        for open in ["[", "{a: ", "- "] {
            let text = format!("{HEAD}nodeGroups:\n  {}\n", open.repeat(depth));
            assert!(read([("f", text.as_str())]).has_errors(), "{open}");
        }
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let text = one_account(&format!("    attachPolicy: {{Statement: {open}{close}}}\n"));
        let told = shown(&read([("f", text.as_str())]));
        assert!(
            told.contains("`f` is no YAML: lists and maps stand more than 32 deep in each other"),
            "{told}"
        );
    }
    let mut bomb = format!("{HEAD}nodeGroups:\n- &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(",");
        writeln!(bomb, "- &a{level} [{aliases}]").unwrap();
    }
    let told = shown(&read([("f", bomb.as_str())]));
    assert!(told.contains("`f` is no YAML: its aliases come to too much"), "{told}");
}

#[test]
fn what_eksctl_reads_of_yaml() {
    let merged = format!(
        "{HEAD}iam:\n  withOIDC: yes\n  serviceAccounts:\n  - &base\n    metadata: {{name: a}}\n    wellKnownPolicies: &w {{autoScaler: on}}\n  - <<: *base\n    metadata: {{name: b}}\n    wellKnownPolicies: *w\n"
    );
    let configuration = read([("f", merged.as_str())]);
    assert_eq!(shown(&configuration), "");
    let accounts = configuration.clusters[0].service_accounts.as_deref().unwrap();
    assert_eq!(accounts.len(), 2);
    assert_eq!(accounts[1].well_known_policies, accounts[0].well_known_policies);
    for text in [format!("\u{feff}{HEAD}"), HEAD.replace('\n', "\r\n")] {
        assert_eq!(shown(&read([("f", text.as_str())])), "");
    }
    for (fields, told) in [
        ("\tattachPolicy: {}\n", "tabs"),
        (
            "    tags: {cost: 12}\n",
            "tags.cost must be a string, not a number\n    help: quotes make it one\n",
        ),
        (
            "    attachPolicy: '{\"Version\":\"2012-10-17\",\"Statement\":[]}'\n",
            "attachPolicy must be a policy document, not a string\n    help: write the document itself, not its text in quotes\n",
        ),
        ("    \"t\\u0061gs\": {}\n    tags: {}\n", "duplicate mapping key: tags"),
    ] {
        let text = one_account(fields);
        let all = shown(&read([("f", text.as_str())]));
        assert!(all.contains(told), "{fields}: {all}");
    }
}

#[test]
fn tags_that_say_whose_a_role_is_are_nobodys_to_set() {
    for tags in ["irsa/name: x", "IRSA/Managed-By: x"] {
        let account = one_account(&format!("    tags: {{{tags}}}\n"));
        let cluster = one_account("").replace("region: us-west-2}", &format!("region: us-west-2, tags: {{{tags}}}}}"));
        for text in [account, cluster] {
            let told = shown(&read([("f", text.as_str())]));
            assert!(
                told.contains("cannot be set: it says whose the role is"),
                "{text}: {told}"
            );
        }
    }
    // Keys that differ only in case are one key to IAM, wherever they come from.
    let text =
        one_account("    tags: {team: x}\n").replace("region: us-west-2}", "region: us-west-2, tags: {Team: z}}");
    let told = shown(&read([("f", text.as_str())]));
    assert!(
        told.contains("tags `team` and `Team` of metadata.tags differ only in case"),
        "{told}"
    );
}

#[test]
fn nothing_in_a_file_steers_a_terminal() {
    let text = one_account("    roleName: \"\\e[2J\\u202e\\u009b\\x07\"\n    \"\\e]0;x\": y\n");
    let configuration = read([("f", text.as_str())]);
    assert_eq!(configuration.problems.len(), 2);
    for problem in &configuration.problems {
        for text in [Some(&problem.message), problem.help.as_ref()].into_iter().flatten() {
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\u{7}']), "{text:?}");
        }
    }
    // What the parser refuses is shown beside its line.
    let raw = format!("{HEAD}iam: \u{1b}[2J\u{202e}\n");
    let configuration = read([("f", raw.as_str())]);
    let mut shown = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .render_report(&mut shown, &configuration.problems[0])
        .unwrap();
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
}

#[test]
fn what_the_scanner_refuses_is_shown_where_it_stands() {
    let text = format!("{HEAD}iam:\n\twithOIDC: true\n");
    let configuration = read([("f", text.as_str())]);
    let place = configuration.problems[0].place.as_ref().unwrap();
    assert_eq!((place.line, place.column), (5, 2));
    assert_eq!(&text[place.offset..place.offset + 4], "with");
    let mut told = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .render_report(&mut told, &configuration.problems[0])
        .unwrap();
    assert!(told.contains("[f:5:"), "{told}");
}

#[test]
fn a_policy_is_told_of_once_and_measured_as_what_it_is() {
    let wrong = one_account(
        "    attachPolicy: {Version: '2012-10-17', Statement: [{Effect: Alow, Action: 's3:*', Resource: '*'}]}\n",
    );
    let told = shown(&read([("f", wrong.as_str())]));
    assert_eq!(told.matches("error:").count(), 1, "{told}");
    let of_size = |count: usize| {
        let resources: Vec<String> = (0..count)
            .map(|number| format!("'arn:aws:s3:::bucket-{number:020}/*'"))
            .collect();
        let policy = format!(
            "{{Version: '2012-10-17', Statement: [{{Effect: Allow, Action: 's3:GetObject', Resource: [{}]}}]}}",
            resources.join(", ")
        );
        shown(&read([(
            "f",
            one_account(&format!("    attachPolicy: {policy}\n")).as_str(),
        )]))
    };
    assert_eq!(of_size(180), "", "between the quotas of managed and of inline policies");
    let told = of_size(300);
    assert_eq!(told.matches("error:").count(), 1, "{told}");
    assert!(told.contains("of at most 10240"), "{told}");
}
