use crate::support::{Ended, irsa};

const COMMANDS: [&[&str]; 31] = [
    &[],
    &["quickstart"],
    &["up"],
    &["env"],
    &["cluster", "register"],
    &["cluster", "list"],
    &["token", "create"],
    &["exec"],
    &["run"],
    &["audit", "lookup"],
    &["audit", "verify"],
    &["explain"],
    &["policy"],
    &["policy", "check"],
    &["policy", "diff"],
    &["policy", "simulate"],
    &["create"],
    &["create", "iamserviceaccount"],
    &["create", "cluster"],
    &["get"],
    &["get", "iamserviceaccount"],
    &["update", "iamserviceaccount"],
    &["delete"],
    &["delete", "iamserviceaccount"],
    &["apply"],
    &["diff"],
    &["utils"],
    &["utils", "associate-iam-oidc-provider"],
    &["admin"],
    &["admin", "create-account"],
    &["admin", "list-accounts"],
];

#[test]
fn help() {
    let mut all = String::new();
    for command in COMMANDS {
        let help = Ended::of(irsa().args(command).arg("--help")).done();
        all.push_str(&format!("$ irsa {} --help\n{help}\n", command.join(" ")));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [
        &[][..],
        &["nonsense"],
        &["up", "--nonsense"],
        &["up", "--listen", "here"],
        &["up", "--account", "12"],
        &["up", "--region", "us east"],
        &["token", "create", "--cluster", "c"],
        &["token", "create", "--cluster", "c", "--serviceaccount", "reader"],
        &[
            "token",
            "create",
            "--cluster",
            "c",
            "--serviceaccount",
            "app/reader",
            "--duration",
            "long",
        ],
        &["exec", "--serviceaccount", "app/reader"],
        &["exec", "--serviceaccount", "App/reader", "--", "true"],
        &["run"],
        &["explain"],
        &["cluster", "register", "--name", "c", "--jwks", "x"],
        &["audit", "lookup", "--since", "yesterday"],
        &["env", "-o", "yaml"],
        &["apply"],
        &["diff"],
        &["create", "iamserviceaccount", "--timeout", "soon"],
        &["create", "iamserviceaccount", "-f", "x.yaml", "--name", "reader"],
        &["get", "iamserviceaccount"],
        &["delete", "iamserviceaccount", "--cluster", "c"],
    ] {
        let ended = Ended::of(irsa().args(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:#?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn without_a_server_a_command_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for arguments in [
        &["env"][..],
        &["cluster", "list"],
        &["admin", "list-accounts"],
        &["token", "create", "--cluster", "c", "--serviceaccount", "app/reader"],
        &["exec", "--serviceaccount", "app/reader", "--", "true"],
    ] {
        let mut command = irsa();
        let (options, rest) = arguments.split_at(
            arguments
                .iter()
                .position(|word| *word == "--")
                .unwrap_or(arguments.len()),
        );
        let ended = Ended::of(command.args(options).args(["--data", data]).args(rest));
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert_eq!(
            ended.stderr,
            format!(
                "error: no server is running over `{data}`\n\
                 hint: start one with `irsa up`, or name the folder of a running one with `--data DIR`\n"
            )
        );
    }
    for arguments in [&["audit", "lookup"][..], &["audit", "verify"], &["explain", "x"]] {
        let ended = Ended::of(irsa().args(arguments).args(["--data", data]));
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert_eq!(
            ended.stderr,
            "error: the data folder has no audit journal\nhint: name the folder of a server with `--data DIR`\n"
        );
    }
    assert_eq!(std::fs::read_dir(data).unwrap().count(), 0, "nothing is made by asking");
}
