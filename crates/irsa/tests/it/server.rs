use std::io::{Read, Seek, SeekFrom, Write};
use std::process::Command;

use serde_json::Value;

use crate::support::{ACCOUNT, Ended, Server, irsa};

#[test]
fn a_second_start_finds_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let first = Server::over(&data, &["--account", ACCOUNT]);
    let issuer = first.run(&["cluster", "register"], &["--name", "my-cluster"]).done();
    let (id, secret) = first.root_key();
    let (status, said) = first.stop();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("the root key of account {ACCOUNT}")), "{said}");
    assert!(
        said.contains(&id) && said.contains(&secret),
        "the first start shows the key"
    );
    assert!(said.contains("\nready: http://127.0.0.1:"), "{said}");
    assert!(
        !data.join("server.json").exists(),
        "a stopped server leaves no addresses"
    );

    let second = Server::over(&data, &[]);
    assert_eq!(second.ready["account"], ACCOUNT);
    let clusters = second.run(&["cluster", "list"], &[]).done();
    assert!(clusters.contains(issuer.trim()), "{clusters}");
    let token = second.run(
        &["token", "create"],
        &["--cluster", "my-cluster", "--serviceaccount", "app/s3-reader"],
    );
    assert_eq!(token.done().trim().split('.').count(), 3);
    let (status, said) = second.stop();
    assert_eq!(status.code(), Some(0));
    assert!(!said.contains(&secret), "the key is shown once: {said}");
}

#[test]
fn servers_run_side_by_side() {
    let (one, other) = (Server::start(), Server::start());
    one.run(&["cluster", "register"], &["--name", "of-one"]).done();
    assert!(one.run(&["cluster", "list"], &[]).done().contains("of-one"));
    assert!(!other.run(&["cluster", "list"], &[]).done().contains("of-one"));

    let twice = Ended::of(
        irsa()
            .args(["up", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--data"])
            .arg(&one.data),
    );
    assert_eq!(twice.code, Some(1), "{twice:#?}");
    assert!(twice.stderr.contains("is in use by another process"), "{twice:#?}");
    let port = one.endpoint().trim_start_matches("http://");
    let folder = tempfile::tempdir().unwrap();
    let taken = Ended::of(
        irsa()
            .args(["up", "--listen", port, "--tls-listen", "127.0.0.1:0", "--data"])
            .arg(folder.path()),
    );
    assert_eq!(taken.code, Some(1), "{taken:#?}");
    assert!(taken.stderr.contains("choose another with --listen"), "{taken:#?}");
}

#[test]
fn the_exports_work_in_a_shell() {
    let server = Server::start();
    let exports = server.run(&["env"], &[]).done();
    let shell = Ended::of(
        Command::new("sh")
            .args(["-c", &format!("{exports}\nenv")])
            .env("AWS_ACCESS_KEY_ID", "AKIAINHERITEDEXAMPLE")
            .env("AWS_ROLE_ARN", "arn:aws:iam::1:role/inherited")
            .env("AWS_PROFILE", "inherited"),
    )
    .done();
    let credentials = server.data.join("credentials");
    for (name, value) in [
        ("AWS_ENDPOINT_URL", server.endpoint()),
        ("AWS_ENDPOINT_URL_STS", server.endpoint()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ] {
        assert!(
            shell.lines().any(|line| line == format!("{name}={value}")),
            "{name} in {shell}"
        );
    }
    assert!(!shell.contains("inherited") && !shell.contains("INHERITED"), "{shell}");

    let json: Value = serde_json::from_str(&server.run(&["env"], &["-o", "json"]).done()).unwrap();
    assert_eq!(json["AWS_ENDPOINT_URL"], server.endpoint());
    assert_eq!(json["AWS_PROFILE"], Value::Null);
}

#[test]
fn a_server_that_was_killed_is_not_exported() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(Server::over(&data, &[]));
    let ended = Ended::of(irsa().args(["env", "--data"]).arg(&data));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("is not there any more"), "{ended:#?}");
    let ended = Ended::of(irsa().args(["cluster", "list", "--data"]).arg(&data));
    assert!(
        ended
            .stderr
            .ends_with("hint: is the server running? start it with `irsa up`\n"),
        "{ended:#?}"
    );
    // And it starts again.
    Server::over(&data, &[]).run(&["cluster", "list"], &[]).done();
}

#[test]
fn tampering_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::over(&data, &[]);
    server.run(&["cluster", "register"], &["--name", "my-cluster"]).done();
    server.run(&["cluster", "list"], &[]).done();
    let proof = server.run(&["audit", "verify"], &[]).done();
    assert!(proof.starts_with("intact: 3 records"), "{proof}");
    server.stop();
    let verify = |format: &str| Ended::of(irsa().args(["audit", "verify", "-o", format, "--data"]).arg(&data));
    let json: Value = serde_json::from_str(&verify("json").done()).unwrap();
    assert_eq!((&json["intact"], &json["records"]), (&Value::Bool(true), &3.into()));

    let journal = std::fs::read_dir(data.join("audit"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let segment = journal
        .max_by_key(|path| std::fs::metadata(path).unwrap().len())
        .unwrap();
    let mut file = std::fs::File::options().read(true).write(true).open(segment).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    let at = text.find("ListClusters").unwrap();
    file.seek(SeekFrom::Start(u64::try_from(at).unwrap())).unwrap();
    file.write_all(b"LostClusters").unwrap();
    let ended = verify("table");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(
        ended
            .stderr
            .starts_with("error: audit record 2 is not as it was written"),
        "{ended:#?}"
    );
    let ended = verify("json");
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (ended.code, &json["intact"], &json["problem"]["sequence"]),
        (Some(1), &Value::Bool(false), &2.into())
    );
}

#[test]
fn accounts() {
    let server = Server::start();
    let made = server.run(
        &["admin", "create-account"],
        &["--account", "444455556666", "--name", "two", "-o", "json"],
    );
    let made: Value = serde_json::from_str(&made.done()).unwrap();
    assert_eq!(made["account"]["id"], "444455556666");
    assert_eq!(made["accessKey"]["secretAccessKey"].as_str().unwrap().len(), 40);
    let list = server.run(&["admin", "list-accounts"], &[]).done();
    assert_eq!(
        list,
        format!("ACCOUNT       NAME\n{ACCOUNT}  first\n444455556666  two\n")
    );
    let again = server.run(&["admin", "create-account"], &["--account", "444455556666"]);
    assert_eq!(again.code, Some(1));
    assert!(
        again
            .stderr
            .contains("ResourceInUseException: The account 444455556666 exists already"),
        "{again:#?}"
    );
}
