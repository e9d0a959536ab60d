//! Starting, stopping, starting again, and what keeps a server from starting.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;

use irsa_server::DataFolder;
use serde_json::json;

use crate::client::{Request, connect, read_answer};
use crate::harness::{
    ACCOUNT, ALLOW_ALL, Server, allow, cluster, config, name, profile, remember_secret, session_key, web_role, world,
};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn refusal(folder: &Path) -> String {
    match Server::start_with(config(folder)) {
        Ok(_) => panic!("the server started"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn adv_ia_17_what_was_acknowledged_is_there_after_a_stop_and_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let crashed = tempfile::tempdir().unwrap();
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
    let token = server.token(&root, "main", "shop/app");
    let web = session_key(&server.exchange("web", &token, &[]));
    assert_eq!(server.s3(&root, "PUT", "/kept-bucket", b"").status, 200);
    assert_eq!(server.s3(&web, "PUT", "/kept-bucket/object", b"kept").status, 200);
    let made = server.json(
        &root,
        "irsa",
        "POST",
        "/accounts",
        &json!({ "accountId": "444455556666" }),
    );
    assert_eq!(made.status, 200);
    remember_secret(made.json()["accessKey"]["secretAccessKey"].as_str().unwrap());
    let last = server.iam(&root, "CreateUser", &[("UserName", "last")]);
    let last = last.request_id().unwrap().to_owned();

    // What the kernel has when the process is killed.
    copy(folder.path(), crashed.path());
    server.stop();
    for (what, folder) in [("stopped", folder.path()), ("crashed", crashed.path())] {
        let server = Server::start(folder);
        assert!(
            server.running().first_root().is_none(),
            "{what}: a second root key was made"
        );
        assert_eq!(server.running().account().to_string(), ACCOUNT);
        assert_eq!(
            server.iam(&admin, "GetUser", &[("UserName", "last")]).status,
            200,
            "{what}"
        );
        assert_eq!(
            server.sts(&web, "GetCallerIdentity", &[]).status,
            200,
            "{what}: the session is not known any more"
        );
        assert_eq!(
            server.s3(&web, "GET", "/kept-bucket/object", b"").text(),
            "kept",
            "{what}"
        );
        session_key(&server.exchange("web", &token, &[]));
        assert_eq!(server.records(&last).len(), 1, "{what}: the last record is gone");
        let accounts = server.json(&root, "irsa", "GET", "/accounts", &json!({})).json();
        assert_eq!(accounts["accounts"].as_array().unwrap().len(), 2, "{what}");
        let data = server.folder.clone();
        server.stop();
        let key = data.key_encryption_key().unwrap().derive("audit journal");
        let report = irsa_audit::verify(&data.audit(), &key).unwrap();
        assert!(report.is_intact(), "{what}: {report:?}");
    }
}

#[test]
fn two_servers_side_by_side_share_nothing() {
    let world = world();
    let folder = tempfile::tempdir().unwrap();
    let other = Server::start(folder.path());
    // The same account number, another server: neither keys nor sessions nor tokens count.
    let session = world.server.assume(&world.admin, "everything", &[]);
    for key in [&world.server.root, &world.admin, &session] {
        assert_eq!(
            other.sts(key, "GetCallerIdentity", &[]).outcome(),
            "403 InvalidClientTokenId"
        );
    }
    assert_eq!(other.sts(&other.root, "GetCallerIdentity", &[]).status, 200);
    assert_eq!(
        world.server.sts(&other.root, "GetCallerIdentity", &[]).outcome(),
        "403 InvalidClientTokenId"
    );
    let token = world.server.token(&world.server.root, "main", "shop/app");
    assert_eq!(other.exchange("web", &token, &[]).outcome(), "400 InvalidIdentityToken");
    // A request that was signed for the one is none for the other.
    let request = Request::form(&[("Action", "GetCallerIdentity")]).sign(&world.server.host, &other.root, "sts");
    assert_eq!(other.send(&request).outcome(), "403 SignatureDoesNotMatch");
    other.stop();
    assert_eq!(
        world.server.sts(&world.server.root, "GetCallerIdentity", &[]).status,
        200
    );
}

#[test]
fn a_data_folder_has_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let about = fs::read_to_string(server.folder.server_file()).unwrap();
    let error = refusal(folder.path());
    assert!(error.contains("in use") || error.contains("already"), "{error}");
    // The first goes on, and is still the one that the folder names.
    assert_eq!(server.sts(&server.root, "GetCallerIdentity", &[]).status, 200);
    assert_eq!(fs::read_to_string(server.folder.server_file()).unwrap(), about);
    let described: serde_json::Value = serde_json::from_str(&about).unwrap();
    assert_eq!(described["endpoint"], format!("http://{}", server.host));
    assert_eq!(described["account"], ACCOUNT);
    let data = server.folder.clone();
    server.stop();
    assert!(!data.server_file().exists());
    Server::start(folder.path()).stop();
}

#[test]
fn two_first_starts_at_once_make_one_server() {
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let barrier = Barrier::new(2);
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        Server::start_with(config(folder.path()))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let started: Vec<Server> = results.into_iter().filter_map(Result::ok).collect();
        assert_eq!(started.len(), 1, "two servers in one folder");
        for server in started {
            assert_eq!(server.sts(&server.root, "GetCallerIdentity", &[]).status, 200);
            server.stop();
        }
        // What the one sealed opens with the key that is there.
        let server = Server::start(folder.path());
        assert!(server.running().first_root().is_none());
        assert_eq!(server.sts(&server.root, "GetCallerIdentity", &[]).status, 200);
        server.stop();
    }
}

#[test]
fn a_first_start_that_did_not_end_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataFolder::new(folder.path());
    data.create().unwrap();
    data.key_encryption_key().unwrap();
    fs::write(
        data.credentials_file(),
        "[default]\naws_access_key_id = AKIAOLD\naws_secret_access_key = old\n\n",
    )
    .unwrap();
    let server = Server::start(folder.path());
    let text = fs::read_to_string(server.folder.credentials_file()).unwrap();
    assert!(!text.contains("AKIAOLD"), "{text}");
    assert_eq!(text.matches("[default]").count(), 1, "{text}");
    assert_eq!(server.sts(&server.root, "GetCallerIdentity", &[]).status, 200);
    server.stop();
}

#[test]
fn damage_is_named_and_nothing_is_made_anew_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let root = server.root.clone();
    server.iam_ok(&root, "CreateUser", &[("UserName", "kept")]);
    let data = server.folder.clone();
    server.stop();
    let kek = fs::read(data.kek()).unwrap();
    let database = fs::read(data.database()).unwrap();
    let path = |file: &Path| file.to_str().unwrap().to_owned();

    fs::remove_file(data.kek()).unwrap();
    let error = refusal(folder.path());
    assert!(
        error.contains(&path(&data.kek())) && error.contains("restore"),
        "{error}"
    );
    assert!(!data.kek().exists(), "a new key was made beside an old store");
    fs::write(data.kek(), &kek[..31]).unwrap();
    let error = refusal(folder.path());
    assert!(
        error.contains(&path(&data.kek())) && error.contains("32 bytes"),
        "{error}"
    );
    fs::write(data.kek(), [7; 32]).unwrap();
    let error = refusal(folder.path());
    assert!(error.contains("record") || error.contains("key"), "{error}");
    assert_eq!(fs::read(data.kek()).unwrap(), [7; 32]);
    fs::write(data.kek(), &kek).unwrap();

    for (what, bytes) in [
        ("garbage", b"this is no database".repeat(1000)),
        ("cut", database[..database.len() / 2].to_vec()),
        ("zeros", vec![0; database.len()]),
        ("emptied", Vec::new()),
    ] {
        fs::write(data.database(), &bytes).unwrap();
        let error = refusal(folder.path());
        assert!(
            error.contains(&path(&data.database())) || error.contains("store") || error.contains("account"),
            "{what}: {error}"
        );
        assert!(!error.contains("panicked"), "{what}: {error}");
        assert_eq!(fs::read(data.kek()).unwrap(), kek, "{what}");
    }
    for file in ["store.db-wal", "store.db-shm"] {
        drop(fs::remove_file(folder.path().join(file)));
    }
    fs::write(data.database(), &database).unwrap();
    let server = Server::start(folder.path());
    assert_eq!(server.iam(&root, "GetUser", &[("UserName", "kept")]).status, 200);
    server.stop();

    // What the server keeps for people may be gone without harm.
    fs::write(data.server_file(), "not JSON").unwrap();
    let server = Server::start(folder.path());
    assert!(fs::read_to_string(data.server_file()).unwrap().contains(&server.host));
    server.stop();
}

#[test]
fn damaged_certificates_are_named_or_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let data = server.folder.clone();
    server.stop();
    let files: Vec<_> = fs::read_dir(data.tls())
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert!(!files.is_empty());
    for file in &files {
        let whole = fs::read(file).unwrap();
        for bytes in [b"".as_slice(), b"garbage", &whole[..whole.len() / 2]] {
            fs::write(file, bytes).unwrap();
            match Server::start_with(config(folder.path())) {
                Ok(server) => {
                    assert_eq!(server.sts(&server.root, "GetCallerIdentity", &[]).status, 200);
                    server.stop();
                }
                Err(error) => {
                    let error = error.to_string();
                    assert!(
                        error.contains(data.tls().to_str().unwrap()),
                        "{}: {error}",
                        file.display()
                    );
                }
            }
            fs::write(file, &whole).unwrap();
        }
    }
    Server::start(folder.path()).stop();
}

#[test]
fn the_default_profile_is_the_first_accounts_or_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    // The operator has put the root key in a safe place, and taken it from here.
    fs::remove_file(server.folder.credentials_file()).unwrap();
    let made = server.json(&server.root, "irsa", "POST", "/accounts", &json!({ "name": "second" }));
    assert_eq!(made.status, 200, "{}", made.text());
    let made = made.json();
    let text = fs::read_to_string(server.folder.credentials_file()).unwrap();
    let id = made["account"]["id"].as_str().unwrap();
    assert!(profile(&text, &format!("account-{id}")).is_some());
    let default = profile(&text, "default");
    assert!(
        default.is_none_or(|default| default.id != made["accessKey"]["accessKeyId"]),
        "the second account's root became the default"
    );
    server.stop();
}

#[test]
fn wrong_settings_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut on_taken = config(folder.path());
    on_taken.listen = taken.local_addr().unwrap();
    let error = Server::start_with(on_taken).err().unwrap().to_string();
    assert!(
        error.contains(&taken.local_addr().unwrap().to_string()) && error.contains("--listen"),
        "{error}"
    );
    // The failed start was a first one all the same: its key is in the file, and works.
    let server = Server::start(folder.path());
    assert_eq!(server.sts(&server.root, "GetCallerIdentity", &[]).status, 200);
    server.stop();
    let mut other = config(folder.path());
    other.account = Some("999988887777".parse().unwrap());
    let error = Server::start_with(other).err().unwrap().to_string();
    assert!(error.contains(ACCOUNT) && error.contains("999988887777"), "{error}");
    for bytes in [b"".as_slice(), b"not a certificate"] {
        let file = folder.path().join("ca.pem");
        fs::write(&file, bytes).unwrap();
        let mut settings = config(folder.path());
        settings.issuer_ca = vec![file.clone()];
        let error = Server::start_with(settings).err().unwrap().to_string();
        assert!(error.contains(file.to_str().unwrap()), "{error}");
    }
    for url in [
        "http://issuer.test",
        "issuer.test",
        "https://issuer.test/?q",
        "https://",
    ] {
        let mut settings = config(folder.path());
        settings.issuer_url = Some(url.to_owned());
        // Either the start says so, or nothing is hosted under it.
        if let Ok(server) = Server::start_with(settings) {
            let body = json!({ "name": name("bad"), "roleArn": "r", "resourcesVpcConfig": {} });
            let made = server.json(&server.root, "eks", "POST", "/clusters", &body);
            assert!(made.status >= 400, "{url}: {}", made.text());
            server.stop();
        }
    }
}

#[test]
fn answers_may_wait_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(folder.path());
    settings.audit_durability = irsa_server::AuditDurability::Disk;
    let server = Server::start_with(settings).unwrap();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| server.sts(&server.root, "GetCallerIdentity", &[]).status))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200; 20]);
    let last = server.sts(&server.root, "GetCallerIdentity", &[]);
    server.record(&last);
    server.stop();
    // A data folder that can't be one is named.
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = refusal(&file);
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

#[test]
fn what_is_private_is_readable_by_its_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let server = Server::start(&folder);
    assert_eq!(server.s3(&server.root, "PUT", "/private-bucket", b"").status, 200);
    assert_eq!(
        server
            .s3(&server.root, "PUT", "/private-bucket/object", b"private")
            .status,
        200
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    // A certificate is for everybody, and a lock is empty.
    let public = |path: &Path| {
        let content = fs::read(path).unwrap();
        content.is_empty() || content.starts_with(b"-----BEGIN CERTIFICATE") && !contains_text(&content, "PRIVATE KEY")
    };
    let (mut folders, mut files, mut open) = (vec![folder.clone()], 0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            if mode(&path) & 0o077 != 0 && !public(&path) {
                open.push(format!("{} has mode {:o}", path.display(), mode(&path)));
            }
        }
    }
    assert!(open.is_empty(), "{open:#?}");
    assert!(files > 5, "{files} files");
    server.stop();
    // A folder that others may look into is the operator's choice; the secrets in it are not.
    let open = parent.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::start(&open);
    for file in [
        server.folder.kek(),
        server.folder.credentials_file(),
        server.folder.database(),
    ] {
        assert_eq!(mode(&file) & 0o077, 0, "{}", file.display());
    }
    server.stop();
}

fn contains_text(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

#[test]
fn accounts_made_at_the_same_time_all_keep_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let answers: Vec<serde_json::Value> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|index| {
                let server = &server;
                scope.spawn(move || {
                    let body = json!({ "name": format!("account {index}") });
                    let made = server.json(&server.root, "irsa", "POST", "/accounts", &body);
                    assert_eq!(made.status, 200, "{}", made.text());
                    made.json()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let text = fs::read_to_string(server.folder.credentials_file()).unwrap();
    let mut numbers = BTreeSet::new();
    for answer in &answers {
        let id = answer["account"]["id"].as_str().unwrap();
        assert!(numbers.insert(id));
        let key = profile(&text, &format!("account-{id}")).unwrap_or_else(|| panic!("{id} has no profile"));
        assert_eq!(key.secret, answer["accessKey"]["secretAccessKey"], "{id}");
        assert_eq!(
            server.sts(&key, "GetCallerIdentity", &[]).element("Account").as_deref(),
            Some(id)
        );
    }
    // The same number twice: one of them.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    server
                        .json(
                            &server.root,
                            "irsa",
                            "POST",
                            "/accounts",
                            &json!({ "accountId": "777788889999" }),
                        )
                        .status
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 409).count(),
        3,
        "{statuses:?}"
    );
    let names = [
        "",
        "a\r\n[default]\naws_access_key_id = AKIAEVIL",
        &"x".repeat(129),
        "\u{1f600}",
    ];
    for name in names {
        let made = server.json(&server.root, "irsa", "POST", "/accounts", &json!({ "name": name }));
        assert!(matches!(made.status, 200 | 400), "{name:?}: {}", made.text());
    }
    let text = fs::read_to_string(server.folder.credentials_file()).unwrap();
    assert!(!text.contains("AKIAEVIL"), "{text}");
    assert_eq!(text.matches("[default]").count(), 1);
    server.stop();
}

#[test]
fn a_stop_finishes_what_is_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let root = server.root.clone();
    assert_eq!(server.s3(&root, "PUT", "/stop-bucket", b"").status, 200);
    // An upload of which half has come, a call whose body has not come, and a connection that waits for its next request.
    let object = vec![b'o'; 300_000];
    let upload = Request::new("PUT", "/stop-bucket/object")
        .body(object.clone())
        .sign(&server.host, &root, "s3")
        .bytes(&server.host);
    let call = Request::form(&[("Action", "CreateUser"), ("UserName", "under-way")]).sign(&server.host, &root, "iam");
    let call_bytes = call.bytes(&server.host);
    let mut uploading = connect(&server.host);
    uploading.write_all(&upload[..upload.len() / 2]).unwrap();
    let mut calling = connect(&server.host);
    calling.write_all(&call_bytes[..call_bytes.len() - 5]).unwrap();
    let mut waiting = connect(&server.host);
    waiting
        .write_all(format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", server.host).as_bytes())
        .unwrap();
    let mut first = [0; 12];
    waiting.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    // All three are in the server's hands: it answered the last of them.
    assert_eq!(server.sts(&root, "GetCallerIdentity", &[]).status, 200);

    let stopped = server.begin_stop();
    // The waiting connection is closed, which says that the stop has begun.
    let mut rest = Vec::new();
    waiting.read_to_end(&mut rest).unwrap();
    uploading.write_all(&upload[upload.len() / 2..]).unwrap();
    calling.write_all(&call_bytes[call_bytes.len() - 5..]).unwrap();
    let answer = read_answer(&mut calling, false).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.request_id().unwrap().to_owned();
    let answer = read_answer(&mut uploading, false).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    server.wait(stopped);
    assert!(
        std::net::TcpStream::connect(&server.host).is_err(),
        "a stopped server listens"
    );
    assert_eq!(server.records(&id).len(), 1);
    drop(server);

    let server = Server::start(folder.path());
    assert_eq!(server.iam(&root, "GetUser", &[("UserName", "under-way")]).status, 200);
    assert!(server.s3(&root, "GET", "/stop-bucket/object", b"").body == object);
    server.stop();
}

#[test]
fn concurrent_changes_are_all_made_or_all_refused() {
    let world = world();
    let server = &world.server;
    // IA-06: forty writers on one role; each acknowledged tag is there.
    let role = name("busy");
    server.role(&server.root, &role, None);
    let done: Vec<(usize, u16)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..40)
            .map(|index| {
                let role = role.as_str();
                scope.spawn(move || {
                    let pairs = [
                        ("RoleName", role),
                        ("Tags.member.1.Key", &format!("k{index}")),
                        ("Tags.member.1.Value", "v"),
                    ];
                    (index, server.iam(&world.admin, "TagRole", &pairs).status)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let tags = server
        .iam_ok(&server.root, "ListRoleTags", &[("RoleName", &role)])
        .text();
    for (index, status) in done {
        assert!(matches!(status, 200 | 409), "{index}: {status}");
        assert_eq!(
            status == 200,
            tags.contains(&format!("<Key>k{index}</Key>")),
            "{index}: {status}"
        );
    }
    // One name, many makers: one is first.
    let user = name("race");
    let made: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|index| {
                let user = if index % 2 == 0 {
                    user.clone()
                } else {
                    user.to_uppercase()
                };
                scope.spawn(move || server.iam(&world.admin, "CreateUser", &[("UserName", &user)]).status)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|status| **status == 200).count(), 1, "{made:?}");
}
