use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::Signal;

use crate::clients::{service_account, story};
use crate::support::{Server, read_to_end, signal, wait};

fn write(server: &Server, name: &str, text: &str) -> String {
    let path = server.data.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn containers_run_in_order_with_their_role() {
    let server = Server::start();
    let role = story(&server);
    let account = service_account(&server.data, &role);
    let program = env!("CARGO_BIN_EXE_irsa");
    let deployment = write(
        &server,
        "deployment.yaml",
        &format!(
            "apiVersion: apps/v1
kind: Deployment
metadata: {{name: reader, namespace: app}}
spec:
  replicas: 2
  template:
    spec:
      serviceAccountName: s3-reader
      initContainers:
      - name: first
        command: [sh, -c, 'echo first; test -s $AWS_WEB_IDENTITY_TOKEN_FILE']
      containers:
      - name: app
        image: amazonlinux
        command: [{program}, workload, --bucket, my-bucket, --key, hello.txt]
      - name: other
        env: [{{name: POD, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}]
        command: [sh, -c, 'echo pod $POD; echo aside >&2']
"
        ),
    );
    let ended = server.run(&["run"], &["-f", &account, "-f", &deployment]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], "app/reader-0/first first", "{ended:#?}");
    assert!(lines.contains(&"app/reader-0/other pod reader-0"), "{ended:#?}");
    assert!(
        ended
            .stdout
            .contains("app/reader-0/app {\"step\":\"get\",\"outcome\":{\"text\":\"hello\"}}"),
        "{ended:#?}"
    );
    for line in [
        "Deployment `app/reader` wants 2 pods, one runs here",
        "Deployment `app/reader`, app: no effect here: image",
        "app/reader-0/other aside",
        "app/reader-0/app ended with exit code 0",
    ] {
        assert!(ended.stderr.lines().any(|said| said == line), "`{line}` in {ended:#?}");
    }
}

#[test]
fn a_container_that_fails_fails_the_command() {
    let server = Server::start();
    let job = |command: &str, init: &str| {
        write(
            &server,
            "job.yaml",
            &format!(
                "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: job}}\nspec:\n  template:\n    spec:\n      \
                 initContainers: [{{name: i, command: [sh, -c, '{init}']}}]\n      \
                 containers: [{{name: c, command: [sh, -c, '{command}']}}]\n"
            ),
        )
    };
    let ended = server.run(&["run"], &["-f", &job("exit 3", "true")]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(
        ended.stderr.contains("default/job-0/c ended with exit code 3"),
        "{ended:#?}"
    );
    let ended = server.run(&["run"], &["-f", &job("echo started", "exit 1")]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:#?}");
    server.run(&["run"], &["-f", &job("true", "true")]).done();
}

#[test]
fn a_signal_stops_the_pods() {
    let server = Server::start();
    let pod = write(
        &server,
        "pod.yaml",
        "apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - {name: polite, command: [sh, -c, 'trap \"echo bye; exit 0\" TERM; echo ready; while :; do sleep 0.1; done']}
",
    );
    let mut process = server
        .command(&["run"])
        .args(["-f", &pod])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = read_to_end(process.stderr.take().unwrap());
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "default/p/polite ready\n");
    signal(&process, Signal::TERM);
    line.clear();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "default/p/polite bye\n");
    assert_eq!(wait(&mut process).code(), Some(0), "{:?}", stderr.join());
}

#[test]
fn a_mistake_in_a_manifest_is_shown_in_its_place() {
    let server = Server::start();
    let bad = write(
        &server,
        "bad.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n   labels: {}\n",
    );
    let ended = server.run(&["run"], &["-f", &bad]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:#?}");
    assert!(
        ended
            .stderr
            .starts_with(&format!("error: `{bad}` can't be read: line 5, column ")),
        "{ended:#?}"
    );
    assert!(ended.stderr.contains(" 5 │    labels: {}"), "{ended:#?}");

    let nothing = write(
        &server,
        "nothing.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: []}\n",
    );
    let ended = server.run(&["run"], &["-f", &nothing]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("document 1, Pod `x`: `spec.containers` is empty"),
        "{ended:#?}"
    );

    let image = write(
        &server,
        "image.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: c, image: i}]}\n",
    );
    let ended = server.run(&["run"], &["-f", &image]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("container `c` has no `command`"), "{ended:#?}");
}
