//! Keys and session tokens that are bent, borrowed or over.

use serde_json::json;

use crate::client::{Key, Request};
use crate::harness::{ACCOUNT, ALLOW_ALL, allow, mint, name, now, role_session, session_key, world};

#[test]
fn adv_sv_22_keys_and_tokens_that_do_not_belong_together() {
    let world = world();
    let server = &world.server;
    let one = server.assume(&world.admin, "everything", &[]);
    let other = server.assume(&world.admin, "everything", &[]);
    let with = |key: &Key, token: Option<&str>| Key {
        token: token.map(str::to_owned),
        ..key.clone()
    };
    let cases = [
        ("no token", with(&one, None)),
        ("another's token", with(&one, other.token.as_deref())),
        ("a token for a user's key", with(&world.admin, one.token.as_deref())),
        ("an empty token", with(&one, Some(""))),
        (
            "an unknown key",
            Key {
                id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
                ..world.admin.clone()
            },
        ),
        (
            "a short key",
            Key {
                id: "AKIA".to_owned(),
                ..world.admin.clone()
            },
        ),
        (
            "a long key",
            Key {
                id: "A".repeat(128),
                ..world.admin.clone()
            },
        ),
        (
            "a lower-case key",
            Key {
                id: world.admin.id.to_ascii_lowercase(),
                ..world.admin.clone()
            },
        ),
    ];
    for (what, key) in &cases {
        let response = server.sts(key, "GetCallerIdentity", &[]);
        assert_eq!(
            response.outcome(),
            "403 InvalidClientTokenId",
            "{what}: {}",
            response.text()
        );
        assert_eq!(
            response.message(),
            "The security token included in the request is invalid.",
            "{what}"
        );
        server.record(&response);
        assert_eq!(
            server.iam(key, "ListUsers", &[]).outcome(),
            "403 InvalidClientTokenId",
            "{what}"
        );
        let response = server.json(key, "eks", "GET", "/clusters", &json!({}));
        assert_eq!(response.outcome(), "403 UnrecognizedClientException", "{what}");
        let response = server.s3(key, "GET", "/first-bucket/hello.txt", b"");
        assert!(matches!(response.status, 400 | 403), "{what}: {}", response.text());
    }
    let words = |key: &Key| server.s3(key, "GET", "/first-bucket/hello.txt", b"").outcome();
    assert_eq!(words(&cases[0].1), "403 InvalidAccessKeyId");
    assert_eq!(words(&cases[1].1), "400 InvalidToken");
    assert_eq!(words(&cases[4].1), "403 InvalidAccessKeyId");
}

#[test]
fn adv_sv_23_session_tokens_that_were_touched() {
    let world = world();
    let server = &world.server;
    let session = server.assume(&world.admin, "everything", &[]);
    let token = session.token.clone().unwrap();
    let tries = |token: String| {
        let key = Key {
            token: Some(token),
            ..session.clone()
        };
        server.sts(&key, "GetCallerIdentity", &[]).outcome()
    };
    assert_eq!(tries(token.clone()), "200");
    for at in (0..token.len()).step_by(7).chain([token.len() - 1]) {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let bent = String::from_utf8(bytes).unwrap();
        assert_eq!(tries(bent), "403 InvalidClientTokenId", "byte {at} of {}", token.len());
    }
    for length in [1, 4, 5, token.len() / 2, token.len() - 1] {
        assert_eq!(
            tries(token[..length].to_owned()),
            "403 InvalidClientTokenId",
            "cut to {length}"
        );
    }
    assert_eq!(tries(format!("{token}A")), "403 InvalidClientTokenId");
    assert_eq!(tries("A".repeat(15_000)), "403 InvalidClientTokenId");
}

#[test]
fn adv_sv_25_a_session_token_is_nothing_else() {
    let world = world();
    let server = &world.server;
    let session = server.assume(&world.admin, "everything", &[]);
    let token = session.token.clone().unwrap();
    for target in [
        "/accounts",
        "/clusters",
        "/first-bucket/hello.txt",
        "/?Action=GetCallerIdentity",
    ] {
        let request = Request::new("GET", target).header("authorization", &format!("Bearer {token}"));
        let response = server.send(&request);
        assert!(matches!(response.status, 400 | 403), "{target}: {}", response.text());
        let request = Request::new("GET", target).header("x-amz-security-token", &token);
        let response = server.send(&request);
        let no_bucket = response.code() == "NoSuchBucket";
        assert!(response.status == 403 || no_bucket, "{target}: {}", response.text());
    }
    let response = server.exchange("web", &token, &[]);
    assert_eq!(response.outcome(), "400 InvalidIdentityToken", "{}", response.text());
    assert_eq!(
        response.message(),
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
    );
    // And a web identity token is no session token.
    let web = server.token(&server.root, "main", "shop/app");
    let key = Key {
        token: Some(web),
        ..session
    };
    assert_eq!(
        server.sts(&key, "GetCallerIdentity", &[]).outcome(),
        "403 InvalidClientTokenId"
    );
}

#[test]
fn adv_sv_26_sessions_and_keys_that_are_over() {
    let world = world();
    let server = &world.server;
    let root = &server.root;
    let expired = server.sts(&world.expired, "GetCallerIdentity", &[]);
    assert_eq!(expired.outcome(), "403 ExpiredToken", "{}", expired.text());
    assert_eq!(
        expired.message(),
        "The security token included in the request is expired"
    );
    server.record(&expired);
    assert_eq!(
        server.iam(&world.expired, "ListUsers", &[]).outcome(),
        "403 ExpiredToken"
    );
    let eks = server.json(&world.expired, "eks", "GET", "/clusters", &json!({}));
    assert_eq!(eks.outcome(), "403 ExpiredTokenException");
    let s3 = server.s3(&world.expired, "GET", "/first-bucket/hello.txt", b"");
    assert_eq!(s3.outcome(), "400 ExpiredToken");
    assert_eq!(s3.message(), "The provided token has expired.");

    // One that ends while it is used: the same token is good before, and over after.
    let mut short = role_session(ACCOUNT, "everything", &world.everything_id);
    let end = now().plus_seconds(3);
    short.expires_at = end;
    let short = mint(&world.epoch, &short);
    assert_eq!(server.sts(&short, "GetCallerIdentity", &[]).outcome(), "200");

    // A key that is switched off, and on again.
    let user = name("sv-26");
    let key = server.user(root, &user, Some(ALLOW_ALL));
    let status = |status: &str| {
        let pairs = [
            ("UserName", user.as_str()),
            ("AccessKeyId", &key.id),
            ("Status", status),
        ];
        server.iam_ok(root, "UpdateAccessKey", &pairs);
    };
    let own = session_key(&server.sts(&key, "GetSessionToken", &[]));
    assert_eq!(server.s3(&own, "GET", "/first-bucket/hello.txt", b"").status, 200);
    status("Inactive");
    assert_eq!(
        server.sts(&key, "GetCallerIdentity", &[]).outcome(),
        "403 InvalidClientTokenId"
    );
    let s3 = server.s3(&key, "GET", "/first-bucket/hello.txt", b"");
    assert_eq!(s3.outcome(), "403 InvalidAccessKeyId", "{}", s3.text());
    status("Active");
    assert_eq!(server.sts(&key, "GetCallerIdentity", &[]).outcome(), "200");
    let pairs = [("UserName", user.as_str()), ("AccessKeyId", &key.id)];
    server.iam_ok(root, "DeleteAccessKey", &pairs);
    assert_eq!(
        server.sts(&key, "GetCallerIdentity", &[]).outcome(),
        "403 InvalidClientTokenId"
    );
    let pairs = [("UserName", user.as_str()), ("PolicyName", "inline")];
    server.iam_ok(root, "DeleteUserPolicy", &pairs);
    assert_eq!(
        server.s3(&own, "GET", "/first-bucket/hello.txt", b"").outcome(),
        "403 AccessDenied"
    );
    server.iam_ok(root, "DeleteUser", &[("UserName", &user)]);
    assert_eq!(
        server.sts(&own, "GetCallerIdentity", &[]).outcome(),
        "403 InvalidClientTokenId"
    );

    // IA-08: the session of a role that is gone, and of one that was made again under its name.
    let role = name("sv-26");
    server.role(root, &role, Some(&allow("s3:*")));
    let session = server.assume(&world.admin, &role, &[]);
    assert_eq!(server.s3(&session, "GET", "/first-bucket/hello.txt", b"").status, 200);
    let pairs = [("RoleName", role.as_str()), ("PolicyName", "inline")];
    server.iam_ok(root, "DeleteRolePolicy", &pairs);
    assert_eq!(
        server.s3(&session, "GET", "/first-bucket/hello.txt", b"").outcome(),
        "403 AccessDenied"
    );
    server.iam_ok(root, "DeleteRole", &[("RoleName", &role)]);
    assert_eq!(
        server.sts(&session, "GetCallerIdentity", &[]).outcome(),
        "403 InvalidClientTokenId"
    );
    server.role(root, &role, Some(&allow("s3:*")));
    assert_eq!(
        server.sts(&session, "GetCallerIdentity", &[]).outcome(),
        "403 InvalidClientTokenId"
    );
    let s3 = server.s3(&session, "GET", "/first-bucket/hello.txt", b"");
    assert!(matches!(s3.status, 400 | 403), "{}", s3.text());

    while now() < end {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(
        server.sts(&short, "GetCallerIdentity", &[]).outcome(),
        "403 ExpiredToken"
    );
}
