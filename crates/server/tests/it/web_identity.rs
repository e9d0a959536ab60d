//! AssumeRoleWithWebIdentity from outside: what strangers may send, and what they may learn.

use std::net::TcpListener;

use base64::Engine;
use irsa_audit::Filter;
use irsa_token::{Algorithm, SigningKey};
use serde_json::{Value, json};

use crate::client::{Request, Signing, exchange, form};
use crate::harness::{ACCOUNT, Server, name, now, policy, provider_arn, session_key, web_role, world};

fn claims(issuer: &str, subject: &str) -> Value {
    let now = now().unix_seconds();
    json!({ "iss": issuer, "sub": subject, "aud": "sts.amazonaws.com", "iat": now, "exp": now + 600 })
}

fn unsigned_token(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.AAAA", part(header), part(claims))
}

#[test]
fn a_pod_token_becomes_credentials_and_leaves_one_record() {
    let world = world();
    let server = &world.server;
    let token = server.token(&server.root, "main", "shop/app");
    let response = server.exchange("web", &token, &[]);
    let key = session_key(&response);
    let record = server.record(&response);
    assert_eq!(record["eventName"], "AssumeRoleWithWebIdentity");
    assert_eq!(record["userIdentity"]["type"], "WebIdentityUser");
    assert_eq!(record["userIdentity"]["userName"], "system:serviceaccount:shop:app");
    assert_eq!(record["userIdentity"]["identityProvider"], provider_arn(&world.issuer));
    assert_eq!(record["recipientAccountId"], ACCOUNT);
    assert_eq!(record["responseElements"]["credentials"]["accessKeyId"], key.id);
    assert!(
        record["responseElements"]["credentials"]
            .get("secretAccessKey")
            .is_none()
    );
    assert!(!record.to_string().contains(&token));
    let got = server.s3(&key, "GET", "/first-bucket/hello.txt", b"");
    assert_eq!(got.text(), "hello");
    let record = server.record(&got);
    let context = &record["userIdentity"]["sessionContext"];
    assert_eq!(
        context["webIdFederationData"]["federatedProvider"],
        provider_arn(&world.issuer),
        "{record}"
    );
    assert_eq!(context["sessionIssuer"]["userName"], "web");
}

#[test]
fn adv_wt_60_au_06_strangers_do_not_learn_whether_a_role_exists() {
    let world = world();
    let server = &world.server;
    let closed = name("closed");
    web_role(
        server,
        &server.root,
        &closed,
        &world.issuer,
        "system:serviceaccount:other:other",
        None,
    );
    let token = server.token(&server.root, "main", "shop/app");
    let answer = |arn: &str| {
        let response = server.send(&Server::exchange_request(arn, &token, &[]));
        let record = server.record(&response);
        // Operators see why, callers don't.
        assert!(
            record["additionalEventData"]["irsa"]["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{record}"
        );
        let id = response.request_id().unwrap().to_owned();
        (response.status, response.text().replace(&id, "ID"))
    };
    let denied = answer(&format!("arn:aws:iam::{ACCOUNT}:role/{closed}"));
    assert_eq!(denied.0, 403);
    assert!(
        denied
            .1
            .contains("<Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message>"),
        "{}",
        denied.1
    );
    for role in [
        "nonesuch",
        "everything",
        &closed.to_uppercase(),
        &format!("path/{closed}"),
    ] {
        assert_eq!(answer(&format!("arn:aws:iam::{ACCOUNT}:role/{role}")), denied, "{role}");
    }
    // Before the token is believed, the role is not even looked at.
    let forged = SigningKey::generate(Algorithm::Es256)
        .unwrap()
        .sign(&claims(&world.issuer, "system:serviceaccount:shop:app"))
        .unwrap();
    let refused = |role: &str| {
        let response = server.exchange(role, &forged, &[]);
        let id = response.request_id().unwrap().to_owned();
        (response.status, response.text().replace(&id, "ID"))
    };
    assert_eq!(refused("web"), refused("nonesuch"));
    assert_eq!(refused("web").0, 400);
    // Nor an account: one with and one without accounts behind it give the same words.
    let stranger = |account: &str| {
        let response = server.send(&Server::exchange_request(
            &format!("arn:aws:iam::{account}:role/web"),
            &token,
            &[],
        ));
        let id = response.request_id().unwrap().to_owned();
        server.record(&response);
        (response.status, response.text().replace(&id, "ID"))
    };
    assert_eq!(stranger(crate::harness::OTHER_ACCOUNT), stranger("999999999999"));
}

#[test]
fn adv_wt_61_unknown_issuers_are_never_asked() {
    let world = world();
    let server = &world.server;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    for index in 0..40 {
        let issuer = match index % 4 {
            0 => format!("https://127.0.0.1:{port}/{index}"),
            1 => format!("http://127.0.0.1:{port}"),
            2 => format!("https://localhost:{port}/{index}"),
            _ => format!("https://127.0.0.1:{port}@issuer.test/{index}"),
        };
        let token = key.sign(&claims(&issuer, "s")).unwrap();
        let response = server.exchange("web", &token, &[]);
        assert_eq!(
            response.outcome(),
            "400 InvalidIdentityToken",
            "{issuer}: {}",
            response.text()
        );
        assert_eq!(
            response.message(),
            format!("No OpenIDConnect provider found in your account for {issuer}")
        );
    }
    // Nor does a header of the token say where keys are.
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "a", "jku": format!("https://127.0.0.1:{port}/keys"), "x5u": format!("https://127.0.0.1:{port}/x5u") });
    let token = unsigned_token(&header, &claims(&world.issuer, "s"));
    assert_eq!(server.exchange("web", &token, &[]).status, 400);
    // A registered issuer on a private address is not fetched either, unless the operator says so.
    let issuer = "https://127.0.0.1/private";
    let pairs = [
        ("Url", issuer),
        ("ClientIDList.member.1", "sts.amazonaws.com"),
        ("ThumbprintList.member.1", &"a".repeat(40)),
    ];
    if server.iam(&server.root, "CreateOpenIDConnectProvider", &pairs).status == 200 {
        let response = server.exchange("web", &key.sign(&claims(issuer, "s")).unwrap(), &[]);
        assert_eq!(response.outcome(), "400 InvalidIdentityToken", "{}", response.text());
    }
    let accepted = listener.accept();
    assert!(
        accepted.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
        "somebody was asked"
    );
}

#[test]
fn adv_wt_62_a_signature_that_nobody_checks_changes_nothing() {
    let world = world();
    let server = &world.server;
    let token = server.token(&server.root, "main", "shop/app");
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/web");
    let request = || Server::exchange_request(&arn, &token, &[]);
    let forger = crate::client::Key {
        secret: "0".repeat(40),
        ..server.root.clone()
    };
    let zone = Signing::new(&forger, "sts").region("eu-central-1");
    for (what, request) in [
        ("forged", request().signed(&server.host, &zone)),
        ("forged for iam", request().sign(&server.host, &forger, "iam")),
        ("forged for s3", request().sign(&server.host, &forger, "s3")),
        ("expired session", request().sign(&server.host, &world.expired, "sts")),
        (
            "garbage",
            request().header("authorization", "AWS4-HMAC-SHA256 nonsense"),
        ),
        ("a bearer", request().header("authorization", "Bearer abc")),
        ("a stray token", request().header("x-amz-security-token", "abc")),
        ("a good signature", request().sign(&server.host, &world.nobody, "sts")),
    ] {
        let response = server.send(&request);
        assert_eq!(response.status, 200, "{what}: {}", response.text());
        session_key(&response);
        let record = server.record(&response);
        assert_eq!(record["userIdentity"]["type"], "WebIdentityUser", "{what}: {record}");
        assert_eq!(record["recipientAccountId"], ACCOUNT, "{what}");
        assert_eq!(record["awsRegion"], "us-east-1", "{what}: {record}");
    }
    // A region that is only claimed meets no condition.
    let role = name("regional");
    let condition = world.issuer.trim_start_matches("https://");
    let trust = policy(&format!(
        r#"{{"Effect":"Allow","Principal":{{"Federated":"{}"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringEquals":{{"{condition}:sub":"system:serviceaccount:shop:app","aws:RequestedRegion":"eu-central-1"}}}}}}"#,
        provider_arn(&world.issuer)
    ));
    server.iam_ok(
        &server.root,
        "CreateRole",
        &[("RoleName", &role), ("AssumeRolePolicyDocument", &trust)],
    );
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/{role}");
    assert_eq!(server.exchange(&role, &token, &[]).outcome(), "403 AccessDenied");
    let claimed = Server::exchange_request(&arn, &token, &[]).signed(&server.host, &zone);
    assert_eq!(server.send(&claimed).outcome(), "403 AccessDenied");
    // A failure belongs to the account of the role, whoever's key is claimed; and the claimed key has proven nothing.
    let other = crate::client::Key {
        secret: "0".repeat(40),
        ..world.other_root.clone()
    };
    let refused = server.send(&Server::exchange_request(&arn, "not.a.token", &[]).sign(&server.host, &other, "sts"));
    let record = server.record(&refused);
    assert_eq!(record["recipientAccountId"], ACCOUNT, "{record}");
}

#[test]
fn adv_wt_63_a_parameter_stands_once() {
    let world = world();
    let server = &world.server;
    let token = server.token(&server.root, "main", "shop/app");
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/web");
    let pairs = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", arn.as_str()),
        ("RoleSessionName", "pod"),
        ("WebIdentityToken", token.as_str()),
    ];
    let other = format!("arn:aws:iam::{ACCOUNT}:role/everything");
    for (name, value) in [
        ("RoleArn", other.as_str()),
        ("WebIdentityToken", "abcd"),
        ("Action", "GetCallerIdentity"),
        ("RoleArn", &arn),
    ] {
        let twice = format!("{}&{}", form(&pairs), form(&[(name, value)]));
        let response = server.send(&Request::form(&[]).body(twice));
        assert_eq!(
            response.outcome(),
            "400 MalformedQueryString",
            "{name}: {}",
            response.text()
        );
        assert!(!response.text().contains(&token));
        server.record(&response);
        let mut split = Request::form(&pairs);
        split.query = form(&[(name, value)]);
        let response = server.send(&split);
        assert_eq!(
            response.outcome(),
            "400 MalformedQueryString",
            "{name} in the query: {}",
            response.text()
        );
        server.record(&response);
    }
    // In the query alone they are taken, as AWS takes them.
    let response = server.send(&Request::new("GET", &format!("/?{}", form(&pairs))));
    session_key(&response);
    let record = server.record(&response).to_string();
    assert!(!record.contains(&token), "{record}");
}

#[test]
fn adv_wt_64_other_ways_to_say_it() {
    let world = world();
    let server = &world.server;
    let token = server.token(&server.root, "main", "shop/app");
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/web");
    let body = String::from_utf8(Server::exchange_request(&arn, &token, &[]).body).unwrap();
    // Chunked is HTTP's own business.
    let chunked = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        server.host,
        body.len()
    );
    session_key(&exchange(&server.host, chunked.as_bytes(), false).unwrap());
    let json = json!({ "RoleArn": arn, "RoleSessionName": "pod", "WebIdentityToken": token }).to_string();
    let multipart =
        "--b\r\nContent-Disposition: form-data; name=\"Action\"\r\n\r\nAssumeRoleWithWebIdentity\r\n--b--\r\n"
            .to_owned();
    for (what, content_type, body) in [
        ("multipart", "multipart/form-data; boundary=b", &multipart),
        ("JSON", "application/x-amz-json-1.1", &json),
        ("text", "text/plain", &body),
        ("nothing", "", &body),
    ] {
        let request = Request::new("POST", "/")
            .header("content-type", content_type)
            .body(body.as_str());
        let response = server.send(&request);
        assert!(
            (400..=501).contains(&response.status) && response.status != 500,
            "{what}: {}",
            response.text()
        );
        let record = server.record(&response).to_string();
        assert!(!record.contains(&token), "{what}: {record}");
    }
    // Compressed bodies are not unpacked: a small bomb stays small.
    let request = Request::new("POST", "/")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("content-encoding", "gzip")
        .body([b"\x1f\x8b\x08\0".as_slice(), &[0; 1000]].concat());
    let response = server.send(&request);
    assert_eq!(response.status, 400, "{}", response.text());
    server.record(&response);
}

#[test]
fn tokens_without_a_good_signature_and_parameters_out_of_bounds() {
    let world = world();
    let server = &world.server;
    let good = server.token(&server.root, "main", "shop/app");
    let parts: Vec<&str> = good.split('.').collect();
    let key = SigningKey::generate(Algorithm::Rs256).unwrap();
    let public = server.send(&Request::new(
        "GET",
        &format!("/id/{}/keys", world.issuer.rsplit('/').next().unwrap()),
    ));
    let kid = public.json()["keys"][0]["kid"].as_str().unwrap().to_owned();
    let subject = "system:serviceaccount:shop:app";
    let tokens = [
        (
            "none",
            unsigned_token(&json!({ "alg": "none" }), &claims(&world.issuer, subject)),
        ),
        (
            "none with a kid",
            unsigned_token(&json!({ "alg": "none", "kid": kid }), &claims(&world.issuer, subject)),
        ),
        (
            "HMAC with the public key",
            unsigned_token(&json!({ "alg": "HS256", "kid": kid }), &claims(&world.issuer, subject)),
        ),
        ("another key under this id", {
            let token = key.sign(&claims(&world.issuer, subject)).unwrap();
            let (_, rest) = token.split_once('.').unwrap();
            let header = json!({ "alg": "RS256", "kid": kid, "typ": "JWT" }).to_string();
            format!(
                "{}.{rest}",
                base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header)
            )
        }),
        ("another key", key.sign(&claims(&world.issuer, subject)).unwrap()),
        ("an embedded key", {
            let header = json!({ "alg": "RS256", "jwk": key.public_jwk(), "typ": "JWT" }).to_string();
            let token = key.sign(&claims(&world.issuer, subject)).unwrap();
            let (_, rest) = token.split_once('.').unwrap();
            format!(
                "{}.{rest}",
                base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header)
            )
        }),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("five parts", format!("{good}.a.b")),
        ("other claims", {
            let claims =
                base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims(&world.issuer, subject).to_string());
            format!("{}.{claims}.{}", parts[0], parts[2])
        }),
        ("padded", format!("{good}=")),
        ("a space", format!(" {good}")),
        ("two newlines", format!("{good}\n\n")),
    ];
    for (what, token) in &tokens {
        let response = server.exchange("web", token, &[]);
        assert_eq!(
            response.outcome(),
            "400 InvalidIdentityToken",
            "{what}: {}",
            response.text()
        );
        let record = server.record(&response);
        assert_eq!(record["errorCode"], "InvalidIdentityToken", "{what}");
        assert!(record["responseElements"].is_null(), "{what}: {record}");
        assert!(!record.to_string().contains(parts[2]), "{what}: {record}");
    }
    for (what, name, value) in [
        ("a short name", "RoleSessionName", "a".to_owned()),
        ("a long name", "RoleSessionName", "a".repeat(65)),
        ("a name with a slash", "RoleSessionName", "a/b".to_owned()),
        ("a name with a line", "RoleSessionName", "ab\nLEVEL=ERROR".to_owned()),
        ("a name of others", "RoleSessionName", "\u{430}\u{431}".to_owned()),
        (
            "a role of a user",
            "RoleArn",
            format!("arn:aws:iam::{ACCOUNT}:user/admin"),
        ),
        ("a wildcard", "RoleArn", format!("arn:aws:iam::{ACCOUNT}:role/*")),
        (
            "another partition",
            "RoleArn",
            format!("arn:aws-cn:iam::{ACCOUNT}:role/web"),
        ),
        ("upper case", "RoleArn", format!("ARN:aws:iam::{ACCOUNT}:role/web")),
        (
            "a trailing space",
            "RoleArn",
            format!("arn:aws:iam::{ACCOUNT}:role/web "),
        ),
        (
            "a long ARN",
            "RoleArn",
            format!("arn:aws:iam::{ACCOUNT}:role/{}", "a".repeat(2048)),
        ),
        ("a short life", "DurationSeconds", "899".to_owned()),
        ("a long life", "DurationSeconds", "43201".to_owned()),
        ("longer than the role", "DurationSeconds", "7200".to_owned()),
        ("no number", "DurationSeconds", "3600.0".to_owned()),
        ("negative", "DurationSeconds", "-1".to_owned()),
        ("no policy", "Policy", "{".to_owned()),
        (
            "a long policy",
            "Policy",
            format!("{}{}", " ".repeat(2048), crate::harness::ALLOW_ALL),
        ),
        ("another provider", "ProviderId", "www.example.com".to_owned()),
    ] {
        let mut pairs = vec![
            ("Action", "AssumeRoleWithWebIdentity".to_owned()),
            ("Version", "2011-06-15".to_owned()),
            ("RoleArn", format!("arn:aws:iam::{ACCOUNT}:role/web")),
            ("RoleSessionName", "pod".to_owned()),
            ("WebIdentityToken", good.clone()),
        ];
        pairs.retain(|(known, _)| *known != name);
        pairs.push((name, value));
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let response = server.send(&Request::form(&pairs));
        assert!(matches!(response.status, 400 | 403), "{what}: {}", response.text());
        assert!(!response.text().contains(&good), "{what}: the token came back");
        let record = server.record(&response).to_string();
        assert!(!record.contains(parts[2]), "{what}: {record}");
    }
}

#[test]
fn adv_pe_a_session_policy_only_takes_away() {
    let world = world();
    let server = &world.server;
    let token = server.token(&server.root, "main", "shop/app");
    let narrow =
        policy(r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::first-bucket/hello.txt"}"#);
    let key = session_key(&server.exchange("web", &token, &[("Policy", &narrow)]));
    assert_eq!(server.s3(&key, "GET", "/first-bucket/hello.txt", b"").status, 200);
    assert_eq!(
        server.s3(&key, "PUT", "/first-bucket/narrow", b"x").outcome(),
        "403 AccessDenied"
    );
    let wide = session_key(&server.exchange("web", &token, &[("Policy", crate::harness::ALLOW_ALL)]));
    assert_eq!(server.iam(&wide, "ListUsers", &[]).outcome(), "403 AccessDenied");
}

#[test]
fn adv_au_04_what_strangers_write_stays_inside_of_its_field() {
    let world = world();
    let server = &world.server;
    let evil = "x\",\"errorCode\":null,\"forged\":\"y\r\nlevel=ERROR forged=1\u{1b}[2J\u{0}\u{85}\u{2028}";
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/web");
    let token = unsigned_token(&json!({ "alg": "RS256", "kid": evil }), &claims(evil, evil));
    let request = Server::exchange_request(&arn, &token, &[])
        .header("user-agent", "agent \\\" forged=\"1\" \t{}")
        .header("referer", "http://\"quoted\"");
    let mut pairs = Request::form(&[("Action", evil), ("Version", evil), ("RoleArn", evil)]);
    pairs.headers.clone_from(&request.headers);
    let before = server.all_records(Filter::default()).len();
    for request in [request, pairs] {
        let response = server.send(&request);
        assert!((400..=403).contains(&response.status), "{}", response.text());
        let record = server.record(&response);
        assert!(record.get("forged").is_none(), "{record}");
        assert!(record["errorCode"].is_string(), "{record}");
        assert_eq!(record["userAgent"], "agent \\\" forged=\"1\" \t{}");
    }
    let after = server.all_records(Filter::default());
    assert!(after.len() >= before + 2);
    for line in crate::harness::log().lines() {
        assert!(!line.starts_with("level=ERROR"), "{line:?}");
        assert!(!line.contains('\u{1b}') && !line.contains('\u{0}'), "{line:?}");
    }
}

#[test]
fn who_may_make_tokens_for_one_namespace_makes_them_for_that_one() {
    let world = world();
    let server = &world.server;
    let statement = format!(
        r#"{{"Effect":"Allow","Action":"irsa:CreateServiceAccountToken","Resource":"arn:aws:eks:us-east-1:{ACCOUNT}:cluster/main","Condition":{{"StringEquals":{{"irsa:Namespace":"shop"}}}}}}"#
    );
    let key = server.user(&server.root, &name("tokens"), Some(&policy(&statement)));
    let second = name("second");
    crate::harness::cluster(server, &server.root, &second);
    let ask = |cluster: &str, namespace: &str, service_account: &str, spec: Value| {
        let target = format!("/clusters/{cluster}/namespaces/{namespace}/serviceaccounts/{service_account}/token");
        server.json(&key, "irsa", "POST", &target, &json!({ "spec": spec }))
    };
    let spec = || json!({ "audiences": ["sts.amazonaws.com"], "expirationSeconds": 3600 });
    assert_eq!(ask("main", "shop", "app", spec()).status, 200);
    for (cluster, namespace, service_account) in [
        ("main", "kube-system", "app"),
        ("main", "SHOP", "app"),
        ("main", "shop%2F..%2Fkube-system", "app"),
        ("main", "shop:kube-system", "app"),
        ("main", "shop", "app:shop"),
        ("main", "%73hop", "app"),
        (second.as_str(), "shop", "app"),
        ("MAIN", "shop", "app"),
        ("*", "shop", "app"),
        ("main?", "shop", "app"),
    ] {
        let response = ask(cluster, namespace, service_account, spec());
        assert!(
            (400..=404).contains(&response.status),
            "{cluster} {namespace} {service_account}: {}",
            response.text()
        );
        assert!(
            !response.text().contains("eyJ"),
            "{cluster} {namespace} {service_account}"
        );
        server.record(&response);
    }
    for spec in [
        json!({ "audiences": ["sts.amazonaws.com"], "expirationSeconds": 0 }),
        json!({ "audiences": ["sts.amazonaws.com"], "expirationSeconds": 1 }),
        json!({ "audiences": ["sts.amazonaws.com"], "expirationSeconds": i64::MAX }),
        json!({ "audiences": ["sts.amazonaws.com"], "expirationSeconds": i64::MIN }),
        json!({ "audiences": [""] }),
        json!({ "audiences": ["a".repeat(100_000)] }),
        json!({ "audiences": vec!["a"; 10_000] }),
        json!({ "audiences": [1] }),
    ] {
        let response = ask("main", "shop", "app", spec.clone());
        assert_eq!(
            response.status,
            400,
            "{}: {}",
            spec.to_string().chars().take(100).collect::<String>(),
            response.text()
        );
        server.record(&response);
    }
    // A token for somebody else opens nothing here.
    let other = ask("main", "shop", "app", json!({ "audiences": ["https://vault.example"] }));
    let other = other.json()["status"]["token"].as_str().unwrap().to_owned();
    crate::harness::remember_secret(&other);
    let response = server.exchange("web", &other, &[]);
    assert_eq!(response.outcome(), "400 InvalidIdentityToken", "{}", response.text());
    assert!(
        response
            .message()
            .starts_with("The web identity token provided could not be validated."),
        "{}",
        response.message()
    );
    // Several audiences, of which one is registered, are none.
    let both = ask(
        "main",
        "shop",
        "app",
        json!({ "audiences": ["sts.amazonaws.com", "https://vault.example"] }),
    );
    let both = both.json()["status"]["token"].as_str().unwrap().to_owned();
    crate::harness::remember_secret(&both);
    assert_eq!(server.exchange("web", &both, &[]).outcome(), "400 InvalidIdentityToken");
}

#[test]
fn the_tokens_of_a_cluster_end_with_it() {
    let world = world();
    let server = &world.server;
    let cluster = name("ends");
    let issuer = crate::harness::cluster(server, &server.root, &cluster);
    let role = name("ends");
    web_role(
        server,
        &server.root,
        &role,
        &issuer,
        "system:serviceaccount:shop:app",
        None,
    );
    let token = server.token(&server.root, &cluster, "shop/app");
    assert_eq!(server.exchange(&role, &token, &[]).status, 200);
    let deleted = server.json(
        &server.root,
        "eks",
        "DELETE",
        &format!("/clusters/{cluster}"),
        &json!({}),
    );
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    let refused = server.exchange(&role, &token, &[]);
    assert_eq!(refused.status, 400, "{}", refused.text());
    let id = issuer.rsplit('/').next().unwrap();
    assert_eq!(server.send(&Request::new("GET", &format!("/id/{id}/keys"))).status, 404);
    // One of the same name is another one.
    let body =
        json!({ "name": cluster, "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/eks"), "resourcesVpcConfig": {} });
    let made = server.json(&server.root, "eks", "POST", "/clusters", &body);
    assert_eq!(made.status, 200, "{}", made.text());
    assert_ne!(made.json()["cluster"]["identity"]["oidc"]["issuer"], issuer.as_str());
    assert_eq!(server.exchange(&role, &token, &[]).status, 400);
    let fresh = server.token(&server.root, &cluster, "shop/app");
    assert_eq!(
        server.exchange(&role, &fresh, &[]).outcome(),
        "400 InvalidIdentityToken"
    );
}

#[test]
fn keys_of_an_unregistered_cluster_do_not_open_a_role() {
    let world = world();
    let server = &world.server;
    let root = &server.root;
    let role = name("foreign");
    web_role(
        server,
        root,
        &role,
        &world.issuer,
        "system:serviceaccount:shop:app",
        None,
    );
    // A second cluster has the same namespace and service account.
    let second = name("second");
    let issuer = crate::harness::cluster(server, root, &second);
    assert_ne!(provider_arn(&issuer), provider_arn(&world.issuer));
    let token = server.token(root, &second, "shop/app");
    let response = server.exchange(&role, &token, &[]);
    assert_eq!(response.outcome(), "403 AccessDenied", "{}", response.text());
    let token = server.token(root, "main", "shop/app");
    assert_eq!(server.exchange(&role, &token, &[]).status, 200);
}
