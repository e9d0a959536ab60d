//! The trail: one record a request, none that can be avoided, none that tells a secret, and nothing done when it can't be written.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use irsa_audit::Filter;
use serde_json::{Value, json};

use crate::client::{Key, Request, Signing, connect, encode, exchange};
use crate::harness::{
    ACCOUNT, ALLOW_ALL, Server, allow, cluster, config, log, name, policy, secrets, session_key, web_role, world,
};

fn by_event(server: &Server, event: &str) -> Vec<Value> {
    server.all_records(Filter {
        event_name: Some(event.to_owned()),
        ..Filter::default()
    })
}

/// Waits for what another thread is about to do.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let before = Instant::now();
    while !holds() {
        assert!(before.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn every_request_leaves_exactly_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let root = server.root.clone();
    let nobody = Key {
        id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret: "x".repeat(40),
        token: None,
    };
    let before = server.all_records(Filter::default()).len();
    let mut ids = BTreeSet::new();
    let mut sent = 0;
    let mut count = |response: &crate::client::Response| {
        sent += 1;
        let id = response.request_id().unwrap_or_else(|| panic!("{response:?}"));
        assert!(ids.insert(id.to_owned()), "{id} came twice");
    };
    for key in [&root, &nobody] {
        for (service, action) in [
            ("iam", "ListUsers"),
            ("iam", "CreateUser"),
            ("iam", "Nonsense"),
            ("sts", "GetCallerIdentity"),
            ("sts", "AssumeRole"),
            ("sts", ""),
        ] {
            count(&server.query(key, service, &[("Action", action), ("UserName", "u")]));
        }
        for (service, method, target) in [
            ("eks", "GET", "/clusters"),
            ("eks", "POST", "/clusters"),
            ("eks", "GET", "/clusters/none"),
            ("eks", "PUT", "/nonsense"),
            ("irsa", "GET", "/accounts"),
            ("irsa", "GET", "/nonsense"),
            ("cloudtrail", "POST", "/"),
            ("unknown", "GET", "/"),
        ] {
            count(&server.json(key, service, method, target, &json!({})));
        }
        for (method, target) in [
            ("GET", "/"),
            ("PUT", "/one-bucket"),
            ("PUT", "/one-bucket/key"),
            ("GET", "/one-bucket/key"),
            ("HEAD", "/one-bucket/key"),
            ("GET", "/one-bucket/none"),
            ("GET", "/one-bucket?list-type=2"),
            ("GET", "/one-bucket?policy"),
            ("PATCH", "/one-bucket"),
            ("POST", "/one-bucket?delete"),
            ("DELETE", "/one-bucket/key"),
            ("GET", "/%ff%00"),
        ] {
            count(&server.s3(key, method, target, b"body"));
        }
        let presigned = Request::new("GET", "/?Action=GetCallerIdentity");
        count(&server.send(&presigned.presigned(&server.host, &Signing::new(key, "sts"), "60")));
        let presigned = Request::new("GET", "/one-bucket/key");
        count(&server.send(&presigned.presigned(&server.host, &Signing::new(key, "s3"), "60")));
        count(&server.signed_as(Request::new("GET", "/"), &Signing::new(key, "s3").at(-100_000)));
    }
    for request in [
        Request::form(&[("Action", "AssumeRoleWithWebIdentity")]),
        Request::form(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("WebIdentityToken", "abcd"),
            ("RoleArn", "x"),
        ]),
        Request::form(&[("Action", "ListUsers")]),
        Request::form(&[("Action", "GetCallerIdentity")]).body("a=%zz"),
        Request::form(&[]),
        Request::new("GET", "/?Action=GetCallerIdentity"),
        Request::new("GET", "/clusters"),
        Request::new("GET", "/one-bucket/key"),
        Request::new("HEAD", "/one-bucket"),
        Request::new("PUT", "/one-bucket/key").body("x"),
        Request::new("POST", "/")
            .header("content-type", "application/json")
            .body("{}"),
        Request::new("GET", "/").header("authorization", "nonsense"),
        Request::new("GET", "/?X-Amz-Signature=a&X-Amz-Signature=b"),
        Request::new("POST", "/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(vec![b'a'; (1 << 20) + 1]),
    ] {
        count(&server.send(&request));
    }
    // A request that HTTP can read in two ways is a request all the same: it has an id, and a record.
    let two_hosts = format!(
        "GET /clusters HTTP/1.1\r\nhost: {0}\r\nhost: evil.example\r\nconnection: close\r\n\r\n",
        server.host
    );
    count(&exchange(&server.host, two_hosts.as_bytes(), false).unwrap());
    let foreign = format!(
        "GET http://evil.example/clusters HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        server.host
    );
    count(&exchange(&server.host, foreign.as_bytes(), false).unwrap());

    let records = server.all_records(Filter::default());
    let recorded: Vec<&str> = records[..records.len() - before]
        .iter()
        .map(|record| record["requestID"].as_str().unwrap())
        .collect();
    assert_eq!(recorded.len(), sent);
    for id in &recorded {
        assert!(ids.contains(*id), "a record of {id}, which nobody sent");
    }
    let distinct: BTreeSet<&str> = records
        .iter()
        .map(|record| record["eventID"].as_str().unwrap())
        .collect();
    assert_eq!(distinct.len(), records.len());
    // Pages for everybody leave none.
    assert_eq!(server.send(&Request::new("GET", "/healthz")).status, 200);
    assert_eq!(server.send(&Request::new("GET", "/id/none/keys")).status, 404);
    assert_eq!(server.all_records(Filter::default()).len(), records.len());
    let data = server.folder.clone();
    server.stop();
    let report = irsa_audit::verify(
        &data.audit(),
        &data.key_encryption_key().unwrap().derive("audit journal"),
    )
    .unwrap();
    assert!(report.is_intact(), "{report:?}");
}

#[test]
fn a_change_can_not_outgrow_its_record() {
    let world = world();
    let server = &world.server;
    // Quotes, controls and characters of four bytes: what grows most when it is written as JSON.
    for (what, filler) in [("quotes", "\""), ("tabs", "\t"), ("wide", "\u{ff}")] {
        let role = name("large");
        let document = policy(&format!(
            r#"{{"Sid":"a","Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{{"StringEquals":{{"aws:UserAgent":"{}"}}}}}}"#,
            {
                let filler = if filler == "\"" { "\\\"" } else { filler };
                filler.repeat(60_000)
            }
        ));
        let response = server.iam(
            &world.admin,
            "CreateRole",
            &[("RoleName", &role), ("AssumeRolePolicyDocument", &document)],
        );
        server.record(&response);
        let trust = policy(&format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":"{ACCOUNT}"}},"Action":"sts:AssumeRole"}}"#
        ));
        let description = filler.repeat(1000);
        let path = format!("/{}/", "\"".repeat(500));
        let response = server.iam(
            &world.admin,
            "CreateRole",
            &[
                ("RoleName", &role),
                ("AssumeRolePolicyDocument", &trust),
                ("Description", &description),
                ("Path", &path),
            ],
        );
        assert!(response.status < 500, "{what}: {}", response.text());
        let record = server.record(&response);
        assert_eq!(record["userIdentity"]["userName"], "admin");
    }
    let agent = "\"\\".repeat(15_000);
    let request = Request::form(&[("Action", "CreateUser"), ("UserName", &name("agent"))])
        .header("user-agent", &agent)
        .header("referer", &agent)
        .sign(&server.host, &world.admin, "iam");
    let response = server.send(&request);
    let record = server.record(&response);
    assert!(
        record["userAgent"].as_str().unwrap().len() <= 4096,
        "{}",
        record["userAgent"].as_str().unwrap().len()
    );
    // Bodies of JSON calls are parameters too.
    let tags: serde_json::Map<String, Value> = (0..50).map(|n| (format!("{n}"), json!("\u{1}".repeat(256)))).collect();
    for body in [
        json!({ "name": name("large"), "roleArn": "\u{1}".repeat(100_000), "resourcesVpcConfig": {}, "tags": tags }),
        json!({ "name": name("large"), "roleArn": "r", "resourcesVpcConfig": { "a": ["\u{1}".repeat(150_000)] } }),
        json!({ "name": name("large"), "roleArn": "r", "resourcesVpcConfig": {}, "junk": vec!["\u{1}"; 100_000] }),
    ] {
        let response = server.json(&world.admin, "eks", "POST", "/clusters", &body);
        assert!(response.status < 500, "{}", response.text());
        let record = server.record(&response).to_string();
        assert!(record.len() < 512 * 1024, "{}", record.len());
    }
    let key = format!("/first-bucket/{}", "%01".repeat(1024));
    let response = server.s3(&world.admin, "PUT", &key, b"x");
    assert!(response.status < 500, "{}", response.text());
    server.record(&response);
    let long = format!("/first-bucket?list-type=2&prefix={}", "%01".repeat(18_000));
    let response = server.s3(&world.admin, "GET", &long, b"");
    assert!(response.status < 500, "{}", response.text());
    server.record(&response);
}

#[test]
fn a_caller_who_hangs_up_does_not_escape_the_record() {
    let world = world();
    let server = &world.server;
    let prefix = format!("/{}/", name("gone"));
    for index in 0..40 {
        let request = Request::form(&[
            ("Action", "CreateUser"),
            ("UserName", &format!("{}-{index}", name("gone"))),
            ("Path", &prefix),
        ])
        .sign(&server.host, &world.admin, "iam");
        let mut stream = connect(&server.host);
        stream.write_all(&request.bytes(&server.host)).unwrap();
        if index % 2 == 0 {
            stream.shutdown(Shutdown::Both).unwrap();
        }
        drop(stream);
    }
    for index in 0..20 {
        let request = Request::new("PUT", &format!("/first-bucket/gone-{index}"))
            .body("x")
            .sign(&server.host, &world.admin, "s3");
        let mut stream = connect(&server.host);
        stream.write_all(&request.bytes(&server.host)).unwrap();
        drop(stream);
    }
    let users = || -> BTreeSet<String> {
        let list = server
            .iam_ok(
                &world.admin,
                "ListUsers",
                &[("PathPrefix", &prefix), ("MaxItems", "1000")],
            )
            .text();
        list.split("<UserName>")
            .skip(1)
            .filter_map(|rest| rest.split('<').next())
            .map(str::to_owned)
            .collect()
    };
    let recorded = |event: &str, member: &str| -> BTreeSet<String> {
        by_event(server, event)
            .iter()
            .filter_map(|record| record["requestParameters"][member].as_str().map(str::to_owned))
            .collect()
    };
    eventually("users were made without a record", || {
        let users = users();
        users.is_subset(&recorded("CreateUser", "userName"))
    });
    let objects = || -> BTreeSet<String> {
        let list = server
            .s3(&world.admin, "GET", "/first-bucket?list-type=2&prefix=gone-", b"")
            .text();
        list.split("<Key>")
            .skip(1)
            .filter_map(|rest| rest.split('<').next())
            .map(str::to_owned)
            .collect()
    };
    eventually("objects were stored without a record", || {
        objects().is_subset(&recorded("PutObject", "key"))
    });
    // The test would be empty if nothing had been done at all.
    eventually("no caller got through", || !users().is_empty());
}

#[test]
fn a_caller_who_hangs_up_before_a_stop_does_not_escape_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let root = server.root.clone();
    for index in 0..10 {
        let pairs = [("Action", "CreateUser"), ("UserName", &format!("gone-{index}"))];
        let request = Request::form(&pairs).sign(&server.host, &root, "iam");
        let mut stream = connect(&server.host);
        stream.write_all(&request.bytes(&server.host)).unwrap();
        drop(stream);
    }
    server.stop();
    let server = Server::start(folder.path());
    let recorded: BTreeSet<String> = by_event(&server, "CreateUser")
        .iter()
        .filter_map(|record| record["requestParameters"]["userName"].as_str().map(str::to_owned))
        .collect();
    let users = server.iam_ok(&root, "ListUsers", &[]).text();
    for user in users
        .split("<UserName>")
        .skip(1)
        .filter_map(|rest| rest.split('<').next())
    {
        assert!(recorded.contains(user), "{user} was made and not recorded");
    }
    server.stop();
}

#[test]
fn adv_au_03_no_secret_stands_anywhere_but_in_its_answer() {
    let world = world();
    let server = &world.server;
    let root = &server.root;
    let user = name("canary");
    let key = server.user(root, &user, Some(ALLOW_ALL));
    let token = server.token(root, "main", "shop/app");
    let web = session_key(&server.exchange("web", &token, &[]));
    let session = server.assume(
        &key,
        "everything",
        &[("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")],
    );
    let own = session_key(&server.sts(&key, "GetSessionToken", &[]));
    let account = server
        .json(root, "irsa", "POST", "/accounts", &json!({ "name": "canary" }))
        .json();
    let account_secret = account["accessKey"]["secretAccessKey"].as_str().unwrap().to_owned();
    let session_token = session.token.clone().unwrap();
    // Each secret by every way in, where it belongs and where it does not.
    for key in [&key, &web, &session, &own, &world.expired] {
        for action in [
            "GetCallerIdentity",
            "GetSessionToken",
            "AssumeRole",
            "GetAccessKeyInfo",
            "Nonsense",
        ] {
            server.sts(key, action, &[]);
            let presigned = Request::new("GET", &format!("/?Action={action}&RoleArn=x&AccessKeyId={}", key.id));
            server.send(&presigned.presigned(&server.host, &Signing::new(key, "sts"), "60"));
        }
        for action in ["ListUsers", "CreateUser", "CreateAccessKey", "TagUser", "Nonsense"] {
            server.iam(key, action, &[]);
            let presigned = Request::new("GET", &format!("/?Action={action}&UserName=x&Version=2010-05-08"));
            server.send(&presigned.presigned(&server.host, &Signing::new(key, "iam"), "60"));
        }
        for (service, target) in [
            ("eks", "/clusters"),
            ("eks", "/nonsense"),
            ("irsa", "/accounts"),
            ("irsa", "/nonsense"),
            ("cloudtrail", "/x"),
        ] {
            server.json(key, service, "GET", target, &json!({}));
            server.send(&Request::new("GET", target).presigned(&server.host, &Signing::new(key, service), "60"));
        }
        for target in [
            "/",
            "/first-bucket",
            "/first-bucket/hello.txt",
            "/none/none",
            "/first-bucket/hello.txt?torrent",
        ] {
            server.s3(key, "GET", target, b"");
            let presigned = Request::new("GET", target).presigned(&server.host, &Signing::new(key, "s3"), "60");
            server.send(&presigned);
            let mut broken = presigned.clone();
            broken.query.push('0');
            server.send(&broken);
            let mut twice = presigned;
            twice.query = format!("{}&{}", twice.query, twice.query);
            server.send(&twice);
        }
    }
    for secret in [&token, &session_token, &key.secret] {
        for role in ["web", "nonesuch"] {
            server.exchange(role, secret, &[]);
        }
        let stray = [
            ("WebIdentityToken", secret.as_str()),
            ("SecretAccessKey", secret),
            ("SessionToken", secret),
            ("X-Amz-Security-Token", secret),
            ("TokenCode", secret),
        ];
        for action in ["AssumeRole", "GetCallerIdentity", "GetSessionToken", "Nonsense"] {
            server.sts(&key, action, &stray);
        }
        for action in ["CreateUser", "ListUsers", "Nonsense"] {
            server.iam(&key, action, &stray);
        }
        for header in [
            format!("Bearer {secret}"),
            format!("AWS4-HMAC-SHA256 {secret}"),
            secret.clone(),
        ] {
            for target in ["/", "/clusters", "/?Action=ListUsers", "/first-bucket/hello.txt"] {
                server.send(&Request::new("GET", target).header("authorization", &header));
                server.send(
                    &Request::new("GET", target)
                        .header("x-amz-security-token", secret)
                        .header("cookie", secret),
                );
                let customer_key = "x-amz-server-side-encryption-customer-key";
                let put = Request::new("PUT", "/first-bucket/canary").header(customer_key, secret);
                server.signed(put, &key, "s3");
            }
        }
        let body = json!({ "token": secret, "name": 1 });
        server.json(root, "eks", "POST", "/clusters", &body);
        server.json(
            root,
            "irsa",
            "POST",
            "/clusters/main/namespaces/shop/serviceaccounts/app/token",
            &body,
        );
        server.send(&Request::new(
            "GET",
            &format!("/?Action=AssumeRoleWithWebIdentity&WebIdentityToken={}", encode(secret)),
        ));
        server.send(
            &Request::new("POST", "/")
                .header("content-type", "text/plain")
                .body(format!("WebIdentityToken={secret}")),
        );
    }
    server.iam_ok(
        root,
        "DeleteAccessKey",
        &[("UserName", &user), ("AccessKeyId", &key.id)],
    );

    let mut secrets = secrets();
    secrets.push(account_secret);
    assert!(secrets.len() > 8);
    let private = [
        server.folder.credentials_file(),
        server.folder.kek(),
        server.folder.tls(),
    ];
    let mut files = Vec::new();
    collect(server.folder.root(), &private, &mut files);
    assert!(
        files.iter().any(|(path, _)| path.starts_with(server.folder.audit())),
        "no journal was read"
    );
    assert!(
        files.iter().any(|(path, _)| path.ends_with("store.db")),
        "no store was read"
    );
    let logged = log();
    assert!(logged.contains("GetCallerIdentity"), "nothing was logged");
    for secret in &secrets {
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
        let forms = [secret.clone(), encoded, hex::encode(secret), encode(secret)];
        for form in &forms {
            for (path, bytes) in &files {
                assert!(
                    !contains(bytes, form.as_bytes()),
                    "a secret stands in {}",
                    path.display()
                );
            }
            if let Some(at) = logged.find(form.as_str()) {
                let line = logged[..at].rsplit('\n').next().unwrap_or_default();
                panic!("a secret was logged after: {line}");
            }
        }
        // A token's signature alone is a secret too.
        if let Some((_, signature)) = secret.rsplit_once('.') {
            assert!(!logged.contains(signature), "a token's signature was logged");
        }
    }
}

fn collect(folder: &Path, private: &[PathBuf], files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if private.contains(&path) {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&path, private, files);
        } else if let Ok(bytes) = fs::read(&path) {
            files.push((path, bytes));
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = &rest[at..];
        if rest.starts_with(needle) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// A file system of its own in memory, gone with the value.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Result<Self, String> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"])
            .arg(at)
            .output()
            .map_err(|error| error.to_string())?;
        if mounted.status.success() {
            Ok(Self { at: at.to_owned() })
        } else {
            Err(String::from_utf8_lossy(&mounted.stderr).into_owned())
        }
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = fs::File::create(self.at.join("filler")).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            let block = vec![b'x'; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.at.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.at).status());
    }
}

#[expect(
    clippy::print_stderr,
    reason = "whoever reads the test's output must know what was not tested"
)]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Without a journal there is no server: what can be said where nothing may be mounted.
fn no_journal_no_start(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("audit"), b"a file where the journal's folder should be").unwrap();
    let error = Server::start_with(config(folder))
        .err()
        .expect("a server without a journal started")
        .to_string();
    assert!(error.contains("audit"), "{error}");
    fs::remove_file(folder.join("audit")).unwrap();
}

#[test]
fn a_server_without_a_journal_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    no_journal_no_start(folder.path());
    // And nothing that the failed start left keeps the next one from being a first start.
    let server = Server::start(folder.path());
    assert_eq!(server.sts(&server.root, "GetCallerIdentity", &[]).status, 200);
}

#[test]
fn adv_au_01_nothing_leaves_and_nothing_changes_when_the_journal_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let disk = match SmallDisk::mount(&folder.path().join("audit"), "24m") {
        Ok(disk) => disk,
        Err(reason) => {
            say(&format!(
                "no file system could be mounted ({reason}), so only the start without a journal is tested"
            ));
            let other = tempfile::tempdir().unwrap();
            return no_journal_no_start(other.path());
        }
    };
    let server = Server::start(folder.path());
    let root = server.root.clone();
    let issuer = cluster(&server, &root, "main");
    web_role(
        &server,
        &root,
        "web",
        &issuer,
        "system:serviceaccount:shop:app",
        Some(&allow("s3:*")),
    );
    let admin = server.user(&root, "admin", Some(ALLOW_ALL));
    server.role(&root, "taken", Some(ALLOW_ALL));
    assert_eq!(server.s3(&root, "PUT", "/full-bucket", b"").status, 200);
    assert_eq!(
        server.s3(&root, "PUT", "/full-bucket/secret.txt", b"the object").status,
        200
    );
    let token = server.token(&root, "main", "shop/app");
    assert_eq!(server.send(&Request::new("GET", "/readyz")).status, 200);

    disk.fill();
    // What is held for records takes some; long before it is used up, nothing is changed any more.
    let fat = [("Policy", "x".repeat(2000))];
    let fat = [(fat[0].0, fat[0].1.as_str()), ("DurationSeconds", "3600")];
    let mut taken = 0;
    let mut last_change = 0;
    while server.exchange("web", "not.a.token", &fat).status != 500 {
        taken += 1;
        assert!(taken < 4000, "a full journal took {taken} records");
        if taken % 20 == 0
            && server
                .iam(&root, "CreateUser", &[("UserName", &format!("recorded-{taken}"))])
                .status
                == 200
        {
            last_change = taken;
        }
    }
    assert!(last_change < taken, "changes were made until nothing could be recorded");
    // Smaller records fit for a while longer.
    while server.sts(&root, "GetCallerIdentity", &[]).status == 200 {
        taken += 1;
        assert!(taken < 5000, "a full journal took {taken} records");
    }
    for round in 0..3 {
        let refused = server.exchange("web", &token, &[]);
        assert_eq!(refused.status, 500, "{round}: {}", refused.text());
        assert!(
            !refused.text().contains("SecretAccessKey") && !refused.text().contains("ASIA"),
            "{}",
            refused.text()
        );
        assert!(
            !refused.text().contains("journal") && !refused.text().contains("audit"),
            "{}",
            refused.text()
        );
        for response in [
            server.sts(
                &admin,
                "AssumeRole",
                &[
                    ("RoleArn", &format!("arn:aws:iam::{ACCOUNT}:role/taken")),
                    ("RoleSessionName", "full"),
                ],
            ),
            server.sts(&admin, "GetSessionToken", &[]),
            server.iam(&root, "CreateAccessKey", &[("UserName", "admin")]),
            server.iam(&root, "ListUsers", &[]),
            server.json(&root, "irsa", "POST", "/accounts", &json!({})),
            server.json(
                &root,
                "irsa",
                "POST",
                "/clusters/main/namespaces/shop/serviceaccounts/app/token",
                &json!({ "spec": { "audiences": ["a"] } }),
            ),
            server.s3(&root, "GET", "/full-bucket/secret.txt", b""),
            server.s3(&root, "GET", "/full-bucket?list-type=2", b""),
            server.s3(&root, "HEAD", "/full-bucket/secret.txt", b""),
            server.send(&Request::new("GET", "/full-bucket/secret.txt")),
        ] {
            assert_eq!(response.status, 500, "{round}: {}", response.text());
            let text = response.text();
            for leak in [
                "SecretAccessKey",
                "secretAccessKey",
                "the object",
                "secret.txt</Key>",
                "eyJ",
                "<UserName>",
            ] {
                assert!(!text.contains(leak), "{round}: {text}");
            }
        }
        for (action, pairs) in [
            ("CreateUser", vec![("UserName", "unrecorded")]),
            (
                "PutUserPolicy",
                vec![
                    ("UserName", "admin"),
                    ("PolicyName", "unrecorded"),
                    ("PolicyDocument", ALLOW_ALL),
                ],
            ),
            (
                "DeleteRolePolicy",
                vec![("RoleName", "taken"), ("PolicyName", "inline")],
            ),
        ] {
            assert_eq!(server.iam(&root, action, &pairs).status, 500, "{action}");
        }
        assert_eq!(server.s3(&root, "PUT", "/full-bucket/unrecorded", b"x").status, 500);
        assert_eq!(server.s3(&root, "DELETE", "/full-bucket/secret.txt", b"").status, 500);
        assert_eq!(server.s3(&root, "PUT", "/unrecorded-bucket", b"").status, 500);
    }
    let ready = server.send(&Request::new("GET", "/readyz")).status;
    assert_eq!(server.send(&Request::new("GET", "/healthz")).status, 200);

    disk.free();
    eventually("the server does not come back", || {
        server.sts(&root, "GetCallerIdentity", &[]).status == 200
    });
    eventually("the server is not ready again", || {
        server.send(&Request::new("GET", "/readyz")).status == 200
    });
    session_key(&server.exchange("web", &token, &[]));
    assert_eq!(
        server.s3(&root, "GET", "/full-bucket/secret.txt", b"").text(),
        "the object"
    );
    // Whatever was refused was not done: no change without a record.
    let recorded: BTreeSet<String> = by_event(&server, "CreateUser")
        .iter()
        .filter_map(|record| record["requestParameters"]["userName"].as_str().map(str::to_owned))
        .collect();
    let users = server.iam_ok(&root, "ListUsers", &[("MaxItems", "1000")]).text();
    for user in users
        .split("<UserName>")
        .skip(1)
        .filter_map(|rest| rest.split('<').next())
    {
        assert!(recorded.contains(user), "{user} was made and not recorded");
    }
    let user = server.iam(&root, "GetUser", &[("UserName", "unrecorded")]);
    assert_eq!(user.outcome(), "404 NoSuchEntity", "a user was made and not recorded");
    let policies = server.iam_ok(&root, "ListUserPolicies", &[("UserName", "admin")]);
    assert!(
        !policies.text().contains("unrecorded"),
        "a policy was put and not recorded"
    );
    let policies = server.iam_ok(&root, "ListRolePolicies", &[("RoleName", "taken")]);
    assert!(
        policies.text().contains("inline"),
        "a policy was removed and not recorded"
    );
    let keys = server.iam_ok(&root, "ListAccessKeys", &[("UserName", "admin")]).text();
    assert_eq!(
        keys.matches("<AccessKeyId>").count(),
        1,
        "a key was made and not recorded: {keys}"
    );
    let accounts = server.json(&root, "irsa", "GET", "/accounts", &json!({})).json();
    assert_eq!(
        accounts["accounts"].as_array().unwrap().len(),
        1,
        "an account was made and not recorded"
    );
    assert_eq!(
        server.s3(&root, "GET", "/full-bucket/unrecorded", b"").status,
        404,
        "an object was stored and not recorded"
    );
    assert_eq!(
        server.s3(&root, "HEAD", "/unrecorded-bucket", b"").status,
        404,
        "a bucket was made and not recorded"
    );
    assert_eq!(ready, 503, "a server that can do nothing says that it is ready");
    let data = server.folder.clone();
    server.stop();
    let report = irsa_audit::verify(
        &data.audit(),
        &data.key_encryption_key().unwrap().derive("audit journal"),
    )
    .unwrap();
    assert!(report.is_intact(), "{report:?}");
    drop(disk);
}

#[test]
fn adv_op_04_a_full_disk_stops_writes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let disk = match SmallDisk::mount(&folder.path().join("data"), "48m") {
        Ok(disk) => disk,
        Err(reason) => {
            say(&format!(
                "no file system could be mounted ({reason}), so only the start without a journal is tested"
            ));
            let other = tempfile::tempdir().unwrap();
            return no_journal_no_start(other.path());
        }
    };
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let root = server.root.clone();
    assert_eq!(server.s3(&root, "PUT", "/full-bucket", b"").status, 200);
    server.user(&root, "before", None);
    disk.fill();
    for round in 0..5 {
        let made = server.iam(&root, "CreateUser", &[("UserName", &format!("during-{round}"))]);
        let put = server.s3(&root, "PUT", &format!("/full-bucket/{round}"), &vec![b'x'; 100_000]);
        assert!(matches!(made.status, 200 | 500), "{}", made.text());
        assert!(matches!(put.status, 500 | 503), "{}", put.text());
        for text in [made.text(), put.text()] {
            assert!(
                !text.contains("/") || !text.contains(data.to_str().unwrap()),
                "a path was told: {text}"
            );
        }
    }
    assert_eq!(server.send(&Request::new("GET", "/healthz")).status, 200);
    disk.free();
    eventually("the server does not come back", || {
        server.iam(&root, "CreateUser", &[("UserName", "after")]).outcome() != "500 ServiceFailure"
            && server.iam(&root, "GetUser", &[("UserName", "after")]).status == 200
    });
    let users = server.iam_ok(&root, "ListUsers", &[]).text();
    let recorded: BTreeSet<String> = by_event(&server, "CreateUser")
        .iter()
        .filter_map(|record| record["requestParameters"]["userName"].as_str().map(str::to_owned))
        .collect();
    for user in users
        .split("<UserName>")
        .skip(1)
        .filter_map(|rest| rest.split('<').next())
    {
        assert!(recorded.contains(user), "{user} was made and not recorded");
    }
    server.stop();
    // Everything that was acknowledged is there after the next start.
    let server = Server::start(&data);
    for user in ["before", "after"] {
        assert_eq!(
            server.iam(&root, "GetUser", &[("UserName", user)]).status,
            200,
            "{user}"
        );
    }
    server.stop();
    drop(disk);
}

#[test]
fn adv_au_02_a_trail_that_was_touched_is_noticed_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let root = server.root.clone();
    for user in ["first", "second", "third"] {
        server.iam_ok(&root, "CreateUser", &[("UserName", user)]);
    }
    let data = server.folder.clone();
    server.stop();
    let key = data.key_encryption_key().unwrap().derive("audit journal");
    assert!(irsa_audit::verify(&data.audit(), &key).unwrap().is_intact());
    let segment = fs::read_dir(data.audit())
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("second")))
        .unwrap();
    let whole = fs::read(&segment).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    assert!(lines.len() >= 3);
    let text = String::from_utf8(whole.clone()).unwrap();
    for (what, bytes) in [
        ("changed", text.replacen("second", "secoNd", 1).into_bytes()),
        ("removed", [&lines[..1], &lines[2..]].concat().concat()),
        ("swapped", [&[lines[1], lines[0]], &lines[2..]].concat().concat()),
        ("cut off", lines[..lines.len() - 1].concat()),
        ("doubled", [&lines[..1], &lines[..]].concat().concat()),
        ("emptied", Vec::new()),
    ] {
        fs::write(&segment, &bytes).unwrap();
        let intact = irsa_audit::verify(&data.audit(), &key).is_ok_and(|report| report.is_intact());
        assert!(!intact, "{what}: nobody noticed");
    }
    // Its end is what a start looks at.
    fs::write(&segment, lines[..lines.len() - 1].concat()).unwrap();
    let error = Server::start_with(config(folder.path()))
        .err()
        .expect("a cut journal was continued")
        .to_string();
    assert!(error.contains("audit"), "{error}");
    fs::write(&segment, &whole).unwrap();
    let server = Server::start(folder.path());
    assert_eq!(server.iam(&root, "GetUser", &[("UserName", "third")]).status, 200);
}

#[test]
fn records_tell_who_it_was_and_whose_trail_it_is() {
    let world = world();
    let server = &world.server;
    let session = server.assume(&world.admin, "everything", &[("SourceIdentity", "alice")]);
    let response = server.iam(&session, "GetRole", &[("RoleName", "nonesuch")]);
    let record = server.record(&response);
    assert_eq!(record["errorCode"], "NoSuchEntityException");
    assert_eq!(
        record["userIdentity"]["arn"],
        format!("arn:aws:sts::{ACCOUNT}:assumed-role/everything/test")
    );
    assert_eq!(record["userIdentity"]["accessKeyId"], session.id);
    assert_eq!(
        record["userIdentity"]["sessionContext"]["sourceIdentity"], "alice",
        "{record}"
    );
    // A wrong signature in the name of another proves nothing about them, whatever it asks for.
    let forged = Key {
        secret: "0".repeat(40),
        ..world.other_root.clone()
    };
    let response = server.iam(&forged, "CreateUser", &[("UserName", "forged")]);
    let record = server.record(&response);
    assert_eq!(record["userIdentity"]["type"], "Unknown");
    assert!(
        record["userIdentity"].get("arn").is_none() && record["userIdentity"].get("userName").is_none(),
        "{record}"
    );
    // The tail of a record is on one line, whatever was sent.
    let mut text = String::new();
    let entries = fs::read_dir(server.folder.audit()).unwrap().flatten();
    // The indexes have a folder of their own beside the journal.
    for entry in entries.filter(|entry| entry.path().is_file()) {
        let mut file = fs::File::open(entry.path()).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    let id = response.request_id().unwrap();
    assert_eq!(text.matches(&format!("\"requestID\":\"{id}\"")).count(), 1);
}
