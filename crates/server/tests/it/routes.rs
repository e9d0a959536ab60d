//! Requests that are for one service in one reading, and for another in a second one; and forms that are none.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Request, Signing, connect, encode, exchange, form, read_answer};
use crate::harness::{ALLOW_ALL, Server, name, world};

#[test]
fn a_form_is_run_once_by_the_service_of_its_scope() {
    let world = world();
    let server = &world.server;
    let user = name("confused");
    let create = [
        ("Action", "CreateUser"),
        ("Version", "2010-05-08"),
        ("UserName", user.as_str()),
    ];
    for (what, service, request) in [
        ("signed for sts", "sts", Request::form(&create)),
        ("signed for s3", "s3", Request::form(&create)),
        ("signed for eks", "eks", Request::form(&create)),
        (
            "signed for a service that is none",
            "execute-api",
            Request::form(&create),
        ),
    ] {
        let response = server.signed(request, &world.admin, service);
        assert!(matches!(response.status, 400 | 403), "{what}: {}", response.text());
        let record = server.record(&response);
        assert!(record["errorCode"].is_string(), "{what}: {record}");
    }
    // The parameters of a GET with a body: one list, each name once.
    let query = form(&create);
    let both = Request::new("POST", &format!("/?{query}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("UserName=other");
    let response = server.signed(both, &world.admin, "iam");
    assert_eq!(response.outcome(), "400 MalformedQueryString", "{}", response.text());
    let hidden = Request::new("GET", "/?Action=GetUser&Version=2010-05-08").body(form(&create));
    let response = server.signed(hidden, &world.admin, "iam");
    assert_eq!(response.outcome(), "400 MalformedQueryString", "{}", response.text());
    // The signature of one operation with the words of another.
    for changed in ["Action=CreateUser", "Version=2011-06-15"] {
        let mut request = Request::new(
            "GET",
            &format!("/?{}", form(&[("Action", "ListUsers"), ("Version", "2010-05-08")])),
        )
        .sign(&server.host, &world.admin, "iam");
        request.query = format!("{}&{changed}", request.query);
        let response = server.send(&request);
        assert_ne!(response.status, 200, "{changed}: {}", response.text());
    }
    assert_eq!(
        server.iam(&world.admin, "GetUser", &[("UserName", &user)]).outcome(),
        "404 NoSuchEntity"
    );
}

#[test]
fn an_action_of_one_service_is_unknown_to_the_other() {
    let world = world();
    let server = &world.server;
    for (service, action, version, code) in [
        ("sts", "CreateUser", "2011-06-15", "InvalidAction"),
        ("iam", "GetCallerIdentity", "2010-05-08", "InvalidAction"),
        ("iam", "AssumeRole", "2010-05-08", "InvalidAction"),
        ("iam", "CreateUser", "2011-06-15", "InvalidAction"),
        ("sts", "GetCallerIdentity", "2010-05-08", "InvalidAction"),
        ("sts", "getcalleridentity", "2011-06-15", "InvalidAction"),
        ("sts", "", "2011-06-15", "InvalidAction"),
        ("sts", "GetCallerIdentity\u{0}", "2011-06-15", "InvalidAction"),
        ("sts", "<script>alert(1)</script>", "2011-06-15", "InvalidAction"),
        (
            "sts",
            "\u{1b}[31mred\r\nlevel=ERROR forged",
            "2011-06-15",
            "InvalidAction",
        ),
    ] {
        let response = server.query(&world.admin, service, &[("Action", action), ("Version", version)]);
        assert_eq!(
            response.outcome(),
            format!("400 {code}"),
            "{service} {action}: {}",
            response.text()
        );
        let text = response.text();
        assert!(
            !text
                .chars()
                .any(|character| character.is_control() && !"\n\r\t".contains(character)),
            "{action:?}: {text:?}"
        );
        assert!(!text.contains("<script>"), "{text}");
        server.record(&response);
    }
    for (method, target) in [
        ("GET", "/nodegroups"),
        ("POST", "/clusters/main/node-groups"),
        ("PATCH", "/clusters"),
        ("GET", "/clusters/../accounts"),
        ("GET", "/clusters//main"),
        ("GET", "/clusters/%2e%2e"),
        ("GET", "/clusters/main%2Fother"),
        ("GET", "/clusters/%ff"),
    ] {
        let response = server.json(&server.root, "eks", method, target, &json!({}));
        assert!(
            (400..=404).contains(&response.status),
            "{method} {target}: {}",
            response.text()
        );
        server.record(&response);
    }
    for (method, target) in [
        ("GET", "/clusters"),
        ("DELETE", "/accounts"),
        ("GET", "//accounts"),
        ("GET", "/accounts/"),
        ("POST", "/clusters/main/namespaces/shop/serviceaccounts/app/token/"),
        ("GET", "/clusters/main/namespaces/shop/serviceaccounts/app/token"),
    ] {
        let response = server.json(&server.root, "irsa", method, target, &json!({}));
        assert_eq!(
            response.outcome(),
            "404 UnknownOperationException",
            "{method} {target}: {}",
            response.text()
        );
        server.record(&response);
    }
    let response = server.signed(Request::new("POST", "/"), &world.admin, "cloudtrail");
    assert!((400..=404).contains(&response.status), "{}", response.text());
    server.record(&response);
}

#[test]
fn unsigned_requests_reach_public_pages_and_nothing_else() {
    let world = world();
    let server = &world.server;
    for (method, target, status) in [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/clusters", 403),
        ("GET", "/clusters/main", 403),
        ("POST", "/clusters", 403),
        ("DELETE", "/clusters/main", 403),
        ("GET", "/accounts", 404),
        ("POST", "/cluster-registrations", 501),
        ("GET", "/", 403),
        ("GET", "/metrics", 404),
        ("GET", "/debug/pprof", 404),
        ("GET", "/first-bucket", 403),
        ("PUT", "/new-bucket-of-nobody", 403),
        ("POST", "/first-bucket?delete", 403),
        ("GET", "/id/", 404),
        ("GET", "/id/NOSUCH/keys", 404),
        ("GET", "/id/NOSUCH/.well-known/openid-configuration", 404),
        ("GET", "/id/../accounts", 404),
        ("OPTIONS", "/first-bucket/hello.txt", 403),
        ("TRACE", "/", 403),
        ("BREW", "/first-bucket", 403),
    ] {
        let response = server.send(&Request::new(method, target));
        let fits = response.status == status || (status == 403 && matches!(response.status, 400 | 405 | 501));
        assert!(fits, "{method} {target}: {} {}", response.status, response.text());
        assert!(
            response.header("access-control-allow-origin").is_none(),
            "{method} {target}"
        );
    }
    // The public pages of the issuer that we host, and nothing private in them.
    let id = world.issuer.rsplit('/').next().unwrap();
    let keys = server.send(&Request::new("GET", &format!("/id/{id}/keys")));
    assert_eq!(keys.status, 200);
    let keys = keys.json();
    let key = &keys["keys"][0];
    assert!(
        key["n"].is_string() && key.get("d").is_none() && key.get("p").is_none(),
        "{keys}"
    );
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(
            server.send(&Request::new(method, &format!("/id/{id}/keys"))).status,
            405
        );
    }
    let asterisk = format!(
        "OPTIONS * HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        server.host
    );
    let response = exchange(&server.host, asterisk.as_bytes(), false).unwrap();
    assert!(
        (400..=501).contains(&response.status) && response.status != 500,
        "{}",
        response.text()
    );
    let connect = format!(
        "CONNECT {0} HTTP/1.1\r\nhost: {0}\r\nconnection: close\r\n\r\n",
        server.host
    );
    let response = exchange(&server.host, connect.as_bytes(), false).unwrap();
    assert!(
        (400..=501).contains(&response.status) && response.status != 500,
        "{}",
        response.text()
    );
}

#[test]
fn adv_ia_15_forms_that_are_hostile() {
    let world = world();
    let server = &world.server;
    let post = |body: &str| {
        let request = Request::new("POST", "/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        server.signed(request, &world.admin, "iam")
    };
    for (what, body, code) in [
        ("a broken escape", "Action=ListUsers&a=%zz", "MalformedQueryString"),
        ("no UTF-8", "Action=ListUsers&a=%ff", "MalformedQueryString"),
        (
            "a name twice",
            "Action=ListUsers&Action=CreateUser",
            "MalformedQueryString",
        ),
        (
            "index zero",
            "Action=TagUser&UserName=admin&Tags.member.0.Key=a&Tags.member.0.Value=b",
            "MalformedInput",
        ),
        (
            "index minus one",
            "Action=TagUser&UserName=admin&Tags.member.-1.Key=a&Tags.member.-1.Value=b",
            "MalformedInput",
        ),
        (
            "a huge index",
            "Action=TagUser&UserName=admin&Tags.member.18446744073709551616.Key=a",
            "MalformedInput",
        ),
        (
            "a gap",
            "Action=TagUser&UserName=admin&Tags.member.1.Key=a&Tags.member.1.Value=b&Tags.member.900.Key=c&Tags.member.900.Value=d",
            "MalformedInput",
        ),
        (
            "no number",
            "Action=TagUser&UserName=admin&Tags.member.x.Key=a",
            "MalformedInput",
        ),
    ] {
        let response = post(body);
        assert_eq!(response.outcome(), format!("400 {code}"), "{what}: {}", response.text());
        server.record(&response);
    }
    let many: String = (1..=1001).map(|n| format!("&TagKeys.member.{n}=k{n}")).collect();
    let response = post(&format!("Action=UntagUser&UserName=admin{many}"));
    assert_eq!(response.status, 400, "{}", response.text());

    // The costliest forms of a megabyte, unsigned and signed: answered in a moment, with a record of a sane size.
    let limit = 1 << 20;
    let repeat = |part: &str| part.repeat((limit - 200) / part.len());
    let numbered: String = (0..60_000).map(|n| format!("&n{n}=")).collect();
    let lists: String = (1..=1000).map(|n| format!("&L{n}.member.1000.a=b")).collect();
    for (what, tail) in [
        ("separators", repeat("&")),
        ("names", numbered),
        ("lists", lists),
        ("control characters", format!("&Description={}", repeat("%01"))),
        ("raw control characters", format!("&Description={}", repeat("\u{1}"))),
        ("quotes", format!("&Description={}", repeat("\""))),
        ("a name of a megabyte", format!("&{}=x", repeat("n"))),
    ] {
        for (action, signed) in [
            ("UpdateRoleDescription", true),
            ("UpdateRoleDescription", false),
            ("AssumeRoleWithWebIdentity", false),
        ] {
            let body = format!("Action={action}&RoleName=everything&UserName=admin{tail}");
            let before = Instant::now();
            let response = if signed {
                post(&body)
            } else {
                let request = Request::new("POST", "/")
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(body);
                server.send(&request)
            };
            let took = before.elapsed();
            assert!(took < Duration::from_secs(20), "{what} {action}: {took:?}");
            let expected: &[u16] = if signed { &[200, 400, 404] } else { &[400, 403] };
            assert!(
                expected.contains(&response.status),
                "{what} {action}: {}",
                response.text()
            );
            assert!(
                response.body.len() < 64 * 1024,
                "{what} {action}: {} bytes",
                response.body.len()
            );
            let record = server.record(&response).to_string();
            assert!(
                record.len() < 256 * 1024,
                "{what} {action}: a record of {} bytes",
                record.len()
            );
        }
    }
}

#[test]
fn bodies_above_a_megabyte_are_refused_before_they_are_read() {
    let world = world();
    let server = &world.server;
    for (service, target, content_type) in [
        ("iam", "/", "application/x-www-form-urlencoded"),
        ("eks", "/clusters", "application/json"),
        ("irsa", "/accounts", "application/json"),
    ] {
        let body = vec![b'a'; (1 << 20) + 1];
        let request = Request::new("POST", target)
            .header("content-type", content_type)
            .body(body);
        let response = server.signed(request, &world.admin, service);
        assert_eq!(
            response.outcome(),
            "413 RequestEntityTooLarge",
            "{service}: {}",
            response.text()
        );
        assert_eq!(response.header("connection"), Some("close"));
        server.record(&response);
        // The same in chunks, without a length: no more than a megabyte is taken.
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: {}\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\nauthorization: AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host;x-amz-date, Signature=00\r\nx-amz-date: 20260101T000000Z\r\n\r\n",
            server.host, world.admin.id
        );
        let mut stream = connect(&server.host);
        stream.write_all(head.as_bytes()).unwrap();
        let chunk = [b"10000\r\n".as_slice(), &vec![b'a'; 0x10000], b"\r\n"].concat();
        let mut sent = 0;
        while sent < 64 << 20 && stream.write_all(&chunk).is_ok() {
            sent += chunk.len();
        }
        assert!(sent < 32 << 20, "{service}: {sent} bytes were taken");
        drop(read_answer(&mut stream, false));
    }
    // A length that lies says nothing about memory.
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 18446744073709551615\r\n\r\n",
        server.host
    );
    match exchange(&server.host, head.as_bytes(), false) {
        Ok(response) => assert!((400..=431).contains(&response.status), "{}", response.text()),
        Err(error) => assert!(error.starts_with("no head in"), "{error}"),
    }
}

#[test]
fn heads_without_measure_are_refused() {
    let server = &world().server;
    for head in [
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000)),
        format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(5000)),
        format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "b".repeat(200_000)),
        "GET / HTTP/3.0\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ] {
        match exchange(&server.host, head.as_bytes(), false) {
            Ok(response) => assert!((400..=505).contains(&response.status), "{}", response.text()),
            Err(error) => assert!(error.starts_with("no head in"), "{error}"),
        }
    }
    assert_eq!(server.send(&Request::new("GET", "/healthz")).status, 200);
}

#[test]
fn json_bodies_that_are_hostile() {
    let world = world();
    let server = &world.server;
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep_tags = format!(r#"{{"name":"x","tags":{deep}}}"#);
    for (service, target) in [
        ("eks", "/clusters"),
        ("eks", "/cluster-registrations"),
        ("irsa", "/accounts"),
        ("irsa", "/clusters/main/namespaces/shop/serviceaccounts/app/token"),
    ] {
        for (what, body) in [
            ("deep", deep.as_str()),
            ("deep inside", &deep_tags),
            ("no JSON", "{"),
            ("an array", "[]"),
            ("a number", "1e999"),
            ("no UTF-8 is tested by the bytes", "\u{0}"),
            ("types", r#"{"name":1,"accountId":2,"spec":[],"oidc":7,"tags":[]}"#),
            (
                "types inside",
                r#"{"name":"x-y","spec":{"audiences":{},"expirationSeconds":"1"},"oidc":{"issuer":[]},"accountId":"1","tags":{"a":{}}}"#,
            ),
            (
                "numbers",
                r#"{"name":"x-y","oidc":{},"accountId":"99999999999999999999","spec":{"audiences":["a"],"expirationSeconds":9223372036854775807}}"#,
            ),
            (
                "no seconds",
                r#"{"name":"","accountId":"","spec":{"audiences":["a"],"expirationSeconds":-9223372036854775808}}"#,
            ),
        ] {
            let request = Request::new("POST", target)
                .header("content-type", "application/json")
                .body(body);
            let response = server.signed(request, &server.root, service);
            // What a TokenRequest does not say has defaults, and what it says beside its `spec` is not asked for.
            if target.ends_with("/token") && what == "deep inside" {
                continue;
            }
            assert!(
                (400..=403).contains(&response.status),
                "{target} {what}: {} {}",
                response.status,
                response.text()
            );
            assert!(!response.code().is_empty(), "{target} {what}");
            server.record(&response);
        }
    }
    for path in [
        "/clusters/main/namespaces/UPPER/serviceaccounts/app/token",
        "/clusters/main/namespaces/a%2Fb/serviceaccounts/app/token",
        "/clusters/main/namespaces/shop:x/serviceaccounts/app/token",
        "/clusters/main/namespaces//serviceaccounts//token",
        "/clusters/main/namespaces/shop/serviceaccounts/app:admin/token",
        "/clusters/nope/namespaces/shop/serviceaccounts/app/token",
    ] {
        let body = json!({ "spec": { "audiences": ["sts.amazonaws.com"] } });
        let response = server.json(&server.root, "irsa", "POST", path, &body);
        assert!((400..=404).contains(&response.status), "{path}: {}", response.text());
        server.record(&response);
    }
}

#[test]
fn cluster_permissions_are_no_keys_to_other_issuers() {
    let world = world();
    let server = &world.server;
    // Someone who may make clusters, and nothing else, brings keys of their own for an issuer that the account trusts already.
    let maker = server.user(
        &server.root,
        &name("maker"),
        Some(&crate::harness::policy(r#"{"Effect":"Allow","Action":["eks:CreateCluster","eks:RegisterCluster","eks:DeleteCluster"],"Resource":"*"}"#)),
    );
    let key = irsa_token::SigningKey::generate(irsa_token::Algorithm::Es256).unwrap();
    let keys = irsa_token::SigningKey::jwk_set(&[&key]);
    let issuer = format!("https://ci.example/{}", name("issuer"));
    let pairs = [
        ("Url", issuer.as_str()),
        ("ClientIDList.member.1", "sts.amazonaws.com"),
        ("ThumbprintList.member.1", &"a".repeat(40)),
    ];
    server.iam_ok(&server.root, "CreateOpenIDConnectProvider", &pairs);
    let role = name("ci");
    crate::harness::web_role(server, &server.root, &role, &issuer, "repo:admin", Some(ALLOW_ALL));
    let now = crate::harness::now().unix_seconds();
    let forge = |issuer: &str, subject: &str| {
        key.sign(&json!({ "iss": issuer, "sub": subject, "aud": "sts.amazonaws.com", "iat": now, "exp": now + 600 }))
            .unwrap()
    };
    for (path, cluster) in [("/clusters", name("thief")), ("/cluster-registrations", name("thief"))] {
        let body = json!({ "name": cluster, "roleArn": "arn:aws:iam::111122223333:role/eks", "resourcesVpcConfig": {}, "oidc": { "issuer": issuer, "keys": keys } });
        let made = server.json(&maker, "eks", "POST", path, &body);
        assert!(made.status >= 400, "{path}: {}", made.text());
        server.record(&made);
        let response = server.exchange(&role, &forge(&issuer, "repo:admin"), &[]);
        assert_ne!(response.status, 200, "{path}: a cluster's maker became {role}");
    }
    // The hosted issuer of another cluster.
    let body = json!({ "name": name("thief"), "roleArn": "arn:aws:iam::111122223333:role/eks", "resourcesVpcConfig": {}, "oidc": { "issuer": world.issuer, "keys": keys } });
    drop(server.json(&maker, "eks", "POST", "/clusters", &body));
    let response = server.exchange("web", &forge(&world.issuer, "system:serviceaccount:shop:app"), &[]);
    assert_ne!(response.status, 200, "a cluster's maker became web");
    let honest = server.token(&server.root, "main", "shop/app");
    assert_eq!(server.exchange("web", &honest, &[]).status, 200);

    // Nor keys in store for the day on which the account will trust an issuer.
    let issuer = format!("https://tomorrow.example/{}", name("issuer"));
    for path in ["/clusters", "/cluster-registrations"] {
        let body = json!({ "name": name("early"), "roleArn": "arn:aws:iam::111122223333:role/eks", "resourcesVpcConfig": {}, "oidc": { "issuer": issuer, "keys": keys } });
        drop(server.json(&maker, "eks", "POST", path, &body));
    }
    let pairs = [
        ("Url", issuer.as_str()),
        ("ClientIDList.member.1", "sts.amazonaws.com"),
        ("ThumbprintList.member.1", &"a".repeat(40)),
    ];
    server.iam_ok(&server.root, "CreateOpenIDConnectProvider", &pairs);
    let role = name("tomorrow");
    crate::harness::web_role(server, &server.root, &role, &issuer, "s", Some(ALLOW_ALL));
    let response = server.exchange(&role, &forge(&issuer, "s"), &[]);
    assert_ne!(
        response.status, 200,
        "keys that were given before the provider was made open its roles"
    );

    // The operator brings keys for an issuer of its own; a second cluster does not take them over, and its end does not end them.
    let issuer = format!("https://own.example/{}", name("issuer"));
    let first = name("own");
    let body = json!({ "name": first, "roleArn": "arn:aws:iam::111122223333:role/eks", "resourcesVpcConfig": {}, "oidc": { "issuer": issuer, "keys": keys } });
    let made = server.json(&server.root, "eks", "POST", "/clusters", &body);
    assert_eq!(made.status, 200, "{}", made.text());
    let pairs = [
        ("Url", issuer.as_str()),
        ("ClientIDList.member.1", "sts.amazonaws.com"),
        ("ThumbprintList.member.1", &"a".repeat(40)),
    ];
    server.iam_ok(&server.root, "CreateOpenIDConnectProvider", &pairs);
    let role = name("own");
    crate::harness::web_role(server, &server.root, &role, &issuer, "s", None);
    assert_eq!(server.exchange(&role, &forge(&issuer, "s"), &[]).status, 200);
    let other = irsa_token::SigningKey::generate(irsa_token::Algorithm::Es256).unwrap();
    let second = name("second");
    for keys in [json!(null), irsa_token::SigningKey::jwk_set(&[&other])] {
        let body = json!({ "name": second, "roleArn": "arn:aws:iam::111122223333:role/eks", "resourcesVpcConfig": {}, "oidc": { "issuer": issuer, "keys": keys } });
        drop(server.json(&maker, "eks", "POST", "/clusters", &body));
        drop(server.json(&maker, "eks", "DELETE", &format!("/clusters/{second}"), &json!({})));
        assert_eq!(
            server.exchange(&role, &forge(&issuer, "s"), &[]).status,
            200,
            "keys {keys}"
        );
    }
}

#[test]
fn a_slow_head_and_a_slow_body_hold_nobody_else_up() {
    let server = &world().server;
    // Many callers who never finish: each holds one connection, and others are answered.
    let mut slow: Vec<_> = (0..50)
        .map(|index| {
            let mut stream = connect(&server.host);
            let head: &[u8] = match index % 3 {
                0 => b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nAction=",
                1 => b"GET / HTT",
                _ => b"PUT /first-bucket/slow HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nabc",
            };
            stream.write_all(head).unwrap();
            stream
        })
        .collect();
    let before = Instant::now();
    for _ in 0..20 {
        let response = server.sts(&server.root, "GetCallerIdentity", &[]);
        assert_eq!(response.status, 200);
    }
    assert!(before.elapsed() < Duration::from_secs(10));
    // The upload that nobody signed was answered without its body.
    let answer = read_answer(&mut slow[2], false).unwrap();
    assert_eq!(answer.outcome(), "403 AccessDenied", "{}", answer.text());
}

#[test]
fn many_requests_on_one_connection_are_answered_in_their_order() {
    let world = world();
    let server = &world.server;
    let request = |expected: &str, close: bool| {
        let key = match expected {
            "admin" => &world.admin,
            _ => &world.nobody,
        };
        let request = Request::form(&[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")])
            .header("connection", if close { "close" } else { "keep-alive" })
            .signed(
                &server.host,
                &Signing {
                    unsigned: vec!["connection"],
                    ..Signing::new(key, "sts")
                },
            );
        request.bytes(&server.host)
    };
    let order = ["admin", "nobody", "admin", "nobody", "nobody"];
    let mut bytes = Vec::new();
    for (index, who) in order.iter().enumerate() {
        bytes.extend_from_slice(&request(who, index + 1 == order.len()));
    }
    let mut stream = connect(&server.host);
    stream.write_all(&bytes).unwrap();
    let mut answers = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut answers).unwrap();
    let answers = String::from_utf8(answers).unwrap();
    let users: Vec<&str> = answers
        .split(":user/")
        .skip(1)
        .filter_map(|rest| rest.split('<').next())
        .collect();
    assert_eq!(users, order);
}

#[test]
fn content_types_and_methods_that_nobody_means() {
    let world = world();
    let server: &Server = &world.server;
    let body = form(&[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]);
    for content_type in [
        "application/json",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/x-amz-json-1.1",
        "",
    ] {
        let unsigned = Request::new("POST", "/")
            .header("content-type", content_type)
            .body(body.as_str());
        let response = server.send(&unsigned);
        assert!(
            (400..=501).contains(&response.status) && response.status != 500,
            "{content_type}: {}",
            response.text()
        );
        server.record(&response);
        // Signed for sts, the scope says what it is.
        let response = server.signed(unsigned, &world.admin, "sts");
        assert!(
            response.status == 200 || response.status == 400,
            "{content_type}: {}",
            response.text()
        );
        server.record(&response);
    }
    let compressed = Request::form(&[("Action", "GetCallerIdentity")]).header("content-encoding", "gzip");
    let response = server.signed(compressed, &world.admin, "sts");
    assert!(response.status < 500, "{}", response.text());
    let encoded = Request::form(&[("Action", &encode("GetCallerIdentity%00"))]);
    assert_eq!(
        server.signed(encoded, &world.admin, "sts").outcome(),
        "400 InvalidAction"
    );
}
