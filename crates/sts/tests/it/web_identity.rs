//! The exchange that succeeds, and the parameters that do not.

use irsa_core::Timestamp;
use irsa_credentials::{Federated, SessionPrincipal};
use irsa_oidc::{TokenRequest, new_hosted_issuer};
use irsa_store::Transaction;
use irsa_token::{Algorithm, SigningKey};
use irsa_wire::{Params, Service, WireError, query_answer, query_error};
use serde_json::json;

use crate::harness::{DENIED, MAIN, NOW, ROLE, World, ok, shown, text, trust, trust_if};
use crate::issuer::{AUDIENCE, Issuer, SUBJECT};

#[tokio::test]
async fn the_answer() {
    let (world, issuer) = World::new();
    let exchange = world.exchange(&issuer.token(), &[]).await;
    let elements = exchange.outcome.as_ref().unwrap().response_elements.clone().unwrap();
    let answer = ok(exchange);
    insta::assert_snapshot!("answer", shown(&answer));
    insta::assert_snapshot!(
        "response_elements",
        elements.replace(text(&answer, "AccessKeyId"), "[AccessKeyId]")
    );
    let whole = query_answer(Service::Sts, "AssumeRoleWithWebIdentity", Some(&answer), "id-1");
    assert!(
        whole.starts_with("<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>")
    );
}

#[tokio::test]
async fn the_session_in_the_token() {
    let (world, issuer) = World::new();
    let token = issuer.token_with(&json!({ "amr": ["pwd", "mfa"] }));
    let answer = ok(world.exchange(&token, &[]).await);
    let (caller, session) = world.session(&answer);
    assert_eq!(caller.arn(), "arn:aws:sts::111122223333:assumed-role/app/session");
    let role = world.iam.account(MAIN.parse().unwrap()).unwrap().role("app").unwrap();
    assert_eq!(
        session.principal,
        SessionPrincipal::Role {
            role_name: "app".to_owned(),
            role_path: "/".to_owned(),
            role_id: role.record.id.clone(),
            session_name: "session".to_owned(),
        }
    );
    assert_eq!(
        session.federated,
        Some(Federated {
            provider_arn: "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/A".to_owned(),
            issuer: issuer.url.clone(),
            audience: AUDIENCE.to_owned(),
            subject: SUBJECT.to_owned(),
            amr: vec!["pwd".to_owned(), "mfa".to_owned()],
        })
    );
    assert_eq!(session.issued_at, world.now);
    assert_eq!(session.expires_at, Timestamp::from_unix_seconds(NOW + 3600));
    assert!(!session.mfa && !session.chained && session.tags.is_empty() && session.session_policy.is_none());
    // Two exchanges of one token are two sessions.
    let (other, _) = world.session(&ok(world.exchange(&token, &[]).await));
    assert_ne!(other.access_key_id, caller.access_key_id);
}

#[tokio::test]
async fn a_token_of_a_hosted_issuer() {
    let mut world = World::empty();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let cluster = "arn:aws:eks:us-east-1:111122223333:cluster/c";
    let hosted = new_hosted_issuer("https://localhost:4701", cluster, &key, &world.kek, world.now).unwrap();
    world.commit(&hosted.write_to(Transaction::default()));
    let issuer = Issuer::new(hosted.issuer_url(), "none");
    world.provider(MAIN, &issuer, &[AUDIENCE]);
    world.role("app", &trust(&issuer, SUBJECT));
    let request = |name: &str| TokenRequest {
        namespace: "default".to_owned(),
        service_account: name.to_owned(),
        ..TokenRequest::default()
    };
    let issue = |name: &str| {
        let issuer = world.oidc.hosted(hosted.issuer_url()).unwrap();
        issuer.issue(&request(name), world.now).unwrap().token
    };
    let answer = ok(world.exchange(&issue("app"), &[]).await);
    assert_eq!(text(&answer, "SubjectFromWebIdentityToken"), SUBJECT);
    assert_eq!(world.says(&issue("other"), &[]).await, DENIED);
    assert_eq!(world.look_ups(), 0);
}

#[tokio::test]
async fn names_have_the_case_and_path_of_the_role() {
    let (mut world, issuer) = World::new();
    let document = trust(&issuer, SUBJECT);
    let params = [
        ("RoleName", "Deep"),
        ("Path", "/team/a/"),
        ("AssumeRolePolicyDocument", document.as_str()),
    ];
    world.iam(MAIN, "CreateRole", &params);
    let arn = "arn:aws:iam::111122223333:role/team/a/Deep";
    let answer = ok(world.exchange(&issuer.token(), &[("RoleArn", arn)]).await);
    assert_eq!(
        text(&answer, "Arn"),
        "arn:aws:sts::111122223333:assumed-role/Deep/session"
    );
    for other in [
        "arn:aws:iam::111122223333:role/Deep",
        "arn:aws:iam::111122223333:role/team/a/deep",
        "arn:aws:iam::111122223333:role/team/b/Deep",
        "arn:aws:iam::111122223333:role//team/a/Deep",
        "arn:aws-cn:iam::111122223333:role/team/a/Deep",
    ] {
        let said = world.says(&issuer.token(), &[("RoleArn", other)]).await;
        assert_eq!(said, DENIED, "{other}");
    }
}

#[tokio::test]
async fn parameters_that_are_missing_or_malformed() {
    let (world, issuer) = World::new();
    let (token, long) = (issuer.token(), "a".repeat(65));
    let (long_arn, long_token) = (format!("{ROLE}{}", "a".repeat(2015)), "a".repeat(20_001));
    let validation = |text: &str| format!("ValidationError 400: 1 validation error detected: {text}");
    let session_pattern = "at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*";
    for (name, value, expected) in [
        (
            "RoleArn",
            "",
            validation("Value null at 'roleArn' failed to satisfy constraint: Member must not be null"),
        ),
        (
            "WebIdentityToken",
            "",
            validation("Value null at 'webIdentityToken' failed to satisfy constraint: Member must not be null"),
        ),
        (
            "RoleSessionName",
            "",
            validation("Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null"),
        ),
        (
            "RoleSessionName",
            "Session1:2",
            validation(&format!("Value 'Session1:2' {session_pattern}")),
        ),
        (
            "RoleSessionName",
            "a/b",
            validation(&format!("Value 'a/b' {session_pattern}")),
        ),
        (
            "RoleSessionName",
            "ok\nLEVEL=x",
            validation(&format!("Value 'ok\nLEVEL=x' {session_pattern}")),
        ),
        (
            "RoleSessionName",
            "größe",
            validation(&format!("Value 'größe' {session_pattern}")),
        ),
        (
            "RoleSessionName",
            "a",
            validation(
                "Value 'a' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2",
            ),
        ),
        (
            "RoleSessionName",
            &long,
            validation(&format!(
                "Value '{long}' at 'roleSessionName' failed to satisfy constraint: Member must have length less than or equal to 64"
            )),
        ),
        (
            "WebIdentityToken",
            "abc",
            // The token is nobody's to read, so it is not echoed.
            validation(
                "Value at 'webIdentityToken' failed to satisfy constraint: Member must have length greater than or equal to 4",
            ),
        ),
        (
            "WebIdentityToken",
            &long_token,
            validation(
                "Value at 'webIdentityToken' failed to satisfy constraint: Member must have length less than or equal to 20000",
            ),
        ),
        (
            "RoleArn",
            "arn:aws:iam::1",
            validation(
                "Value 'arn:aws:iam::1' at 'roleArn' failed to satisfy constraint: Member must have length greater than or equal to 20",
            ),
        ),
        (
            "RoleArn",
            &long_arn,
            validation(&format!(
                "Value '{}' at 'roleArn' failed to satisfy constraint: Member must have length less than or equal to 2048",
                &long_arn[..1024]
            )),
        ),
        (
            "ProviderId",
            "abc",
            validation(
                "Value 'abc' at 'providerId' failed to satisfy constraint: Member must have length greater than or equal to 4",
            ),
        ),
        (
            "MinimumSessionTokenSize",
            "4097",
            validation(
                "Value '4097' at 'minimumSessionTokenSize' failed to satisfy constraint: Member must have value less than or equal to 4096",
            ),
        ),
        (
            "MinimumSessionTokenSize",
            "-1",
            validation(
                "Value '-1' at 'minimumSessionTokenSize' failed to satisfy constraint: Member must have value greater than or equal to 0",
            ),
        ),
    ] {
        assert_eq!(world.says(&token, &[(name, value)]).await, expected, "{name}={value}");
    }
    let said = world
        .says(&token, &[("RoleSessionName", "a"), ("DurationSeconds", "1")])
        .await;
    assert!(
        said.starts_with("ValidationError 400: 2 validation errors detected: "),
        "{said}"
    );
}

#[tokio::test]
async fn adv_wt_27_a_line_end_behind_the_token_is_the_files() {
    let (world, issuer) = World::new();
    let token = issuer.token();
    for end in ["\n", "\r\n"] {
        ok(world.exchange(&format!("{token}{end}"), &[]).await);
    }
    for text in [
        format!("{token}\n\n"),
        format!("{token} \n"),
        format!("{token}\n\r"),
        format!("\n{token}"),
        format!("{token} "),
        format!("{token}\t"),
        format!("{token}\u{2028}"),
        format!("{token} 11:11:49.123456 1 v3.go:79] EOF\n"),
    ] {
        let error = world.exchange(&text, &[]).await.outcome.unwrap_err();
        assert_eq!(WireError::from(error).code, "InvalidIdentityToken", "{text:?}");
    }
}

#[tokio::test]
async fn adv_wt_66_role_arns_that_name_no_role() {
    let (world, issuer) = World::new();
    for arn in [
        "arn:aws:iam::111122223333:user/app",
        "arn:aws:iam::111122223333:instance-profile/app",
        "ARN:AWS:IAM::111122223333:ROLE/APP",
        "arn:aws:iam::111122223333:role/app ",
        " arn:aws:iam::111122223333:role/app",
        "arn:aws:iam::111122223333:role/app\u{0}",
        "arn:aws:iam::11112222333:role/app",
        "arn:aws:iam:us-east-1:111122223333:role/app",
        "arn:aws:sts::111122223333:assumed-role/app/s",
        "arn:aws:iam::111122223333:role/",
        "not an arn at all, really",
    ] {
        let said = world.says(&issuer.token(), &[("RoleArn", arn)]).await;
        assert_eq!(said, format!("ValidationError 400: {arn} is invalid"));
    }
    // Wildcards are characters that no role's name has.
    for arn in ["arn:aws:iam::111122223333:role/*", "arn:aws:iam::111122223333:role/ap?"] {
        assert_eq!(world.says(&issuer.token(), &[("RoleArn", arn)]).await, DENIED);
    }
}

#[tokio::test]
async fn adv_wt_69_provider_ids() {
    let (world, issuer) = World::new();
    for (provider, expected) in [
        (
            "www.amazon.com",
            "InvalidIdentityToken 400: Provided Token is not a Login With Amazon token",
        ),
        (
            "graph.facebook.com",
            "IDPRejectedClaim 403: graph.facebook.com rejected OAuth token with response \"Bad signature\" and code 190",
        ),
        (
            "accounts.google.com",
            "AccessDenied 403: Unrecognized OAuth provider. Do not include a provider parameter when submitting OpenIDConnect ID tokens",
        ),
        (
            "oidc.example/id/A",
            "AccessDenied 403: Unrecognized OAuth provider. Do not include a provider parameter when submitting OpenIDConnect ID tokens",
        ),
    ] {
        assert_eq!(world.says(&issuer.token(), &[("ProviderId", provider)]).await, expected);
    }
}

#[tokio::test]
async fn adv_wt_62_a_signature_changes_nothing() {
    let (mut world, issuer) = World::new();
    let administrator = world.user(
        MAIN,
        "ann",
        Some(&crate::harness::policy(
            &json!({ "Effect": "Allow", "Action": "*", "Resource": "*" }),
        )),
    );
    world.role("closed", &trust(&issuer, "system:serviceaccount:default:other"));
    let call = async |role: &str| {
        let token = issuer.token();
        let params = [
            ("RoleArn", role),
            ("RoleSessionName", "session"),
            ("WebIdentityToken", token.as_str()),
        ];
        let exchange = world
            .call(Some(&administrator), "AssumeRoleWithWebIdentity", &params)
            .await;
        crate::harness::said(&exchange)
    };
    assert_eq!(call(ROLE).await, "ok");
    assert_eq!(call("arn:aws:iam::111122223333:role/closed").await, DENIED);
}

#[test]
fn adv_wt_63_a_parameter_comes_once() {
    for form in [
        "Action=AssumeRoleWithWebIdentity&WebIdentityToken=a&WebIdentityToken=b",
        "Action=AssumeRoleWithWebIdentity&RoleArn=a&RoleArn=a",
        "Action=AssumeRoleWithWebIdentity&Action=AssumeRoleWithWebIdentity",
    ] {
        let error = WireError::from(Params::parse(form.as_bytes()).unwrap_err());
        assert_eq!(error.status, 400);
    }
}

#[tokio::test]
async fn adv_wt_47_the_authorized_party_is_the_audience() {
    let (mut world, issuer) = World::new();
    world.iam(
        MAIN,
        "AddClientIDToOpenIDConnectProvider",
        &[
            (
                "OpenIDConnectProviderArn",
                "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/A",
            ),
            ("ClientID", "party"),
        ],
    );
    let condition =
        json!({ "StringEquals": { "oidc.example/id/A:aud": "party", "oidc.example/id/A:oaud": "elsewhere" } });
    world.set_trust(
        "app",
        &trust_if(&issuer, &["sts:AssumeRoleWithWebIdentity"], &condition),
    );
    let token = issuer.token_with(&json!({ "azp": "party", "aud": "elsewhere" }));
    let answer = ok(world.exchange(&token, &[]).await);
    assert_eq!(text(&answer, "Audience"), "party");
    let (_, session) = world.session(&answer);
    assert_eq!(session.federated.unwrap().audience, "party");
    // Without a party the same audience is nobody's.
    let token = issuer.token_with(&json!({ "aud": "elsewhere" }));
    assert_eq!(world.says(&token, &[]).await, crate::harness::NOT_VALIDATED);
    // A registered audience does not help a party that is not.
    let token = issuer.token_with(&json!({ "azp": "stranger" }));
    assert_eq!(world.says(&token, &[]).await, crate::harness::NOT_VALIDATED);
}

#[tokio::test]
async fn errors_leave_in_the_envelope_of_the_protocol() {
    let (world, issuer) = World::new();
    let exchange = world.exchange(&issuer.token_with(&json!({ "sub": "x" })), &[]).await;
    let error = WireError::from(exchange.outcome.unwrap_err());
    insta::assert_snapshot!("error", query_error(Service::Sts, &error, "id-1"));
}
