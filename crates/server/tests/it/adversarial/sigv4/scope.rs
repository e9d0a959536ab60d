//! When, where and for which service a signature is good.

use serde_json::Value;

use crate::adversarial::routes;
use crate::client::{Key, Request, Response, Signing};
use crate::harness::{name, world};

#[test]
fn adv_sv_12_lifetimes_that_are_none() {
    let world = world();
    let server = &world.server;
    for (service, target) in [
        ("s3", "/first-bucket/hello.txt"),
        ("sts", "/?Action=GetCallerIdentity&Version=2011-06-15"),
    ] {
        let ask = |expires: &str| {
            let request = Request::new("GET", target);
            server.send(&request.presigned(&server.host, &Signing::new(&world.admin, service), expires))
        };
        for expires in ["1", "604800"] {
            assert_eq!(ask(expires).status, 200, "{service} {expires}");
        }
        for expires in [
            "0",
            "-1",
            "604801",
            "1e3",
            "10abc",
            "0x10",
            " 60",
            "60 ",
            "+60",
            "6_0",
            "9223372036854775808",
            "18446744073709551617",
            "",
        ] {
            let response = ask(expires);
            let outcome = response.outcome();
            if service == "s3" {
                assert_eq!(
                    outcome,
                    "400 AuthorizationQueryParametersError",
                    "{expires}: {}",
                    response.text()
                );
            } else {
                assert!(matches!(response.status, 400 | 403), "{expires}: {}", response.text());
            }
            server.record(&response);
        }
    }
}

#[test]
fn adv_sv_13_late_and_early_signatures() {
    let world = world();
    let server = &world.server;
    let code = |seconds: i64| {
        let signing = Signing::new(&world.admin, "sts").at(seconds);
        let response = server.signed_as(Request::form(&[("Action", "GetCallerIdentity")]), &signing);
        (response.outcome(), response.message())
    };
    for seconds in [-880, 0, 880] {
        assert_eq!(code(seconds).0, "200", "{seconds}");
    }
    let (outcome, message) = code(-930);
    assert_eq!(outcome, "403 SignatureDoesNotMatch");
    assert!(message.starts_with("Signature expired: "), "{message}");
    assert!(message.ends_with(" - 15 min.)"), "{message}");
    let (outcome, message) = code(930);
    assert_eq!(outcome, "403 SignatureDoesNotMatch");
    assert!(message.starts_with("Signature not yet current: "), "{message}");

    let s3 = |seconds: i64, expires: &str| {
        let signing = Signing::new(&world.admin, "s3").at(seconds);
        let request = Request::new("GET", "/first-bucket/hello.txt").presigned(&server.host, &signing, expires);
        let response = server.send(&request);
        (response.outcome(), response.message())
    };
    assert_eq!(s3(-100, "120").0, "200");
    assert_eq!(
        s3(-121, "120"),
        ("403 AccessDenied".to_owned(), "Request has expired".to_owned())
    );
    assert_eq!(s3(-604_700, "604800").0, "200");
    assert_eq!(s3(930, "300").0, "403 RequestTimeTooSkewed");
    let signing = Signing::new(&world.admin, "s3").at(-930);
    let response = server.signed_as(Request::new("GET", "/first-bucket/hello.txt"), &signing);
    assert_eq!(response.outcome(), "403 RequestTimeTooSkewed");
    assert_eq!(
        response.message(),
        "The difference between the request time and the current time is too large."
    );
}

#[test]
fn adv_sv_14_a_signature_is_good_for_one_service() {
    let world = world();
    let server = &world.server;
    let services = ["s3", "sts", "iam", "eks", "irsa", "cloudtrail", "ec2", "S3", ""];
    for (service, request) in routes() {
        for scope in services.iter().filter(|scope| **scope != service) {
            let response = server.signed(request.clone(), &world.admin, scope);
            let line = format!("{} {} of {service} signed for `{scope}`", request.method, request.path);
            // A JSON or S3 path is whatever its scope says: there it is no operation, or an S3 request like any other.
            let same_words = matches!(
                (service, *scope),
                ("eks" | "irsa" | "s3", "eks" | "irsa" | "s3" | "cloudtrail")
            );
            if !same_words {
                assert!(
                    response.status == 400 || response.status == 403 || response.status == 404,
                    "{line}: {}",
                    response.text()
                );
            }
            assert!(
                !(response.text().contains("<Arn>") || response.text().contains("accounts")) || response.status >= 400,
                "{line}: {}",
                response.text()
            );
            server.record(&response);
        }
    }
    let response = server.signed(Request::form(&[("Action", "ListUsers")]), &world.admin, "sts");
    assert_eq!(response.outcome(), "400 InvalidAction", "{}", response.text());
    let response = server.signed(Request::form(&[("Action", "ListUsers")]), &world.admin, "s3");
    assert_eq!(response.outcome(), "403 SignatureDoesNotMatch", "{}", response.text());
    assert_eq!(
        response.message(),
        "Credential should be scoped to correct service: 'iam'. "
    );

    let mut signing = Signing::new(&world.admin, "sts");
    signing.scope_day = Some("20200101".to_owned());
    let response = server.signed_as(Request::form(&[("Action", "GetCallerIdentity")]), &signing);
    assert_eq!(response.outcome(), "403 SignatureDoesNotMatch", "{}", response.text());
    assert!(
        response
            .message()
            .starts_with("Date in Credential scope does not match"),
        "{}",
        response.message()
    );
    let request = Request::form(&[("Action", "GetCallerIdentity")]).sign(&server.host, &world.admin, "sts");
    let bent = request.get("authorization").replace("aws4_request", "aws5_request");
    let response = server.send(&request.replace("authorization", &bent));
    assert_eq!(response.outcome(), "403 SignatureDoesNotMatch", "{}", response.text());
    assert!(
        response.message().contains("valid terminator"),
        "{}",
        response.message()
    );
}

#[test]
fn adv_sv_29_a_captured_change_is_good_for_its_quarter_of_an_hour_and_as_it_is() {
    let world = world();
    let server = &world.server;
    let role = name("sv-29");
    server.role(&server.root, &role, None);
    let pairs = [
        ("Action", "DeleteRole"),
        ("Version", "2010-05-08"),
        ("RoleName", role.as_str()),
    ];
    let captured =
        |seconds: i64| Request::form(&pairs).signed(&server.host, &Signing::new(&server.root, "iam").at(seconds));
    let first = captured(0);
    assert_eq!(server.send(&first).status, 200);
    // There is no cache of requests, as there is none at AWS: within its time the same request is run again, and finds what it did.
    let again = server.send(&first);
    assert_eq!(again.outcome(), "404 NoSuchEntity", "{}", again.text());
    // Each run is in the journal under an id of its own.
    assert_ne!(server.record(&again)["requestID"], Value::Null);
    server.role(&server.root, &role, None);
    // Afterwards it is nothing,
    let late = server.send(&captured(-901));
    assert_eq!(late.outcome(), "403 SignatureDoesNotMatch", "{}", late.text());
    assert!(late.message().starts_with("Signature expired"), "{}", late.message());
    // a new date does not make it younger, and it is good for no other change.
    let younger = captured(-901);
    let date = Signing::new(&server.root, "iam").date;
    assert_eq!(
        server.send(&younger.replace("x-amz-date", &date)).outcome(),
        "403 SignatureDoesNotMatch"
    );
    let other = first.body(crate::client::form(&[
        ("Action", "DeleteRole"),
        ("Version", "2010-05-08"),
        ("RoleName", "everything"),
    ]));
    assert_eq!(server.send(&other).outcome(), "403 SignatureDoesNotMatch");
    for name in [role.as_str(), "everything"] {
        server.iam_ok(&server.root, "GetRole", &[("RoleName", name)]);
    }
}

#[test]
fn adv_sv_31_a_presigned_get_caller_identity_proves_who_signed_it() {
    let world = world();
    let server = &world.server;
    let session = server.assume(&world.admin, "everything", &[]);
    // As the Kubernetes authenticator makes it: the cluster's name is a signed header.
    let presigned = |key: &Key, seconds: i64, expires: &str| {
        Request::new("GET", "/?Action=GetCallerIdentity&Version=2011-06-15")
            .header("x-k8s-aws-id", "main")
            .presigned(&server.host, &Signing::new(key, "sts").at(seconds), expires)
    };
    let response = server.send(&presigned(&session, 0, "60"));
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(
        response.element("Arn").as_deref(),
        Some("arn:aws:sts::111122223333:assumed-role/everything/test")
    );
    server.record(&response);
    // Another cluster, no cluster, another host, another operation, later than fifteen minutes whatever it asked for.
    let other = presigned(&session, 0, "60").replace("x-k8s-aws-id", "other");
    assert_eq!(server.send(&other).outcome(), "403 SignatureDoesNotMatch");
    let none = presigned(&session, 0, "60").without("x-k8s-aws-id");
    assert!(matches!(server.send(&none).status, 400 | 403));
    let moved = presigned(&session, 0, "60").header("host", "evil.example");
    assert_eq!(server.send(&moved).outcome(), "403 SignatureDoesNotMatch");
    let mut operation = presigned(&session, 0, "60");
    operation.query = operation.query.replace("GetCallerIdentity", "GetSessionToken");
    assert_eq!(server.send(&operation).outcome(), "403 SignatureDoesNotMatch");
    let late = server.send(&presigned(&session, -920, "604800"));
    assert_eq!(late.outcome(), "403 SignatureDoesNotMatch", "{}", late.text());
    assert!(late.message().starts_with("Signature expired"), "{}", late.message());
    assert_eq!(
        server.send(&presigned(&session, -70, "60")).outcome(),
        "403 SignatureDoesNotMatch"
    );
    // A body that was not signed does not change what is asked.
    let body = presigned(&session, 0, "60")
        .body("Action=GetSessionToken")
        .header("content-length", "22");
    assert_ne!(server.send(&body).status, 200);
    // The unsigned one is asked for its signature.
    let response = server.send(&Request::new("GET", "/?Action=GetCallerIdentity&Version=2011-06-15"));
    assert_eq!(response.outcome(), "403 MissingAuthenticationToken");
    assert_eq!(response.message(), "Request is missing Authentication Token");
    // JSON services take them too, S3's words are S3's.
    let clusters = Request::new("GET", "/clusters").presigned(&server.host, &Signing::new(&world.admin, "eks"), "60");
    assert_eq!(server.send(&clusters).status, 200);
}

#[test]
fn adv_sv_34_unknown_keys_tell_nothing_but_that() {
    let world = world();
    let server = &world.server;
    let wrong = Key {
        secret: "x".repeat(40),
        ..world.admin.clone()
    };
    let response = server.sts(&wrong, "GetCallerIdentity", &[]);
    assert_eq!(response.outcome(), "403 SignatureDoesNotMatch");
    assert!(
        response
            .message()
            .starts_with("The request signature we calculated does not match the signature you provided."),
        "{}",
        response.message()
    );
    let record = server.record(&response);
    // Nobody was proven to be admin.
    assert_eq!(record["userIdentity"]["type"], "Unknown", "{record}");
    assert!(record["userIdentity"].get("userName").is_none(), "{record}");

    // A key that never was, one that is gone, and one that comes without its token: to strangers they are one, whatever the signature says.
    let root = &server.root;
    let gone_user = name("sv-34");
    let gone = server.user(root, &gone_user, None);
    server.iam_ok(
        root,
        "DeleteAccessKey",
        &[("UserName", &gone_user), ("AccessKeyId", &gone.id)],
    );
    let with_id = |id: &str| Key {
        id: id.to_owned(),
        ..wrong.clone()
    };
    let session = server.assume(&world.admin, "everything", &[]);
    let strangers = [
        with_id("AKIAIOSFODNN7EXAMPLE"),
        with_id(&gone.id),
        gone,
        with_id(&session.id),
    ];
    let shown = |response: &Response| {
        let id = response.request_id().unwrap_or_default().to_owned();
        let host_id = response.header("x-amz-id-2").unwrap_or("none").to_owned();
        response.text().replace(&id, "ID").replace(&host_id, "HOST")
    };
    let first = server.sts(&strangers[0], "GetCallerIdentity", &[]);
    assert_eq!(first.outcome(), "403 InvalidClientTokenId");
    let first_of_s3 = server.s3(&strangers[0], "GET", "/first-bucket/hello.txt", b"");
    assert_eq!(first_of_s3.outcome(), "403 InvalidAccessKeyId");
    for key in &strangers {
        let response = server.sts(key, "GetCallerIdentity", &[]);
        assert_eq!(
            (response.status, shown(&response)),
            (first.status, shown(&first)),
            "{}",
            key.id
        );
        // S3 tells back the key id that was sent, and nothing about it.
        let response = server.s3(key, "GET", "/first-bucket/hello.txt", b"");
        let (ours, theirs) = (
            shown(&response).replace(&key.id, "KEY"),
            shown(&first_of_s3).replace(&strangers[0].id, "KEY"),
        );
        assert_eq!((response.status, ours), (first_of_s3.status, theirs), "{}", key.id);
    }
}
