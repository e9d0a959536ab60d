//! What a refusal tells of roles: nothing.

use irsa_wire::{Service, WireError, query_error};
use serde_json::json;

use crate::harness::{MAIN, OTHER, ROLE, World, policy, trust};
use crate::issuer::{AUDIENCE, SUBJECT};

/// The whole body of an error.
fn body(exchange: irsa_sts::Exchange) -> (u16, String) {
    let error = WireError::from(exchange.outcome.map(|_| ()).unwrap_err());
    (error.status, query_error(Service::Sts, &error, "id-1"))
}

#[tokio::test]
async fn adv_wt_60_no_answer_tells_whether_a_role_exists() {
    let (mut world, issuer) = World::new();
    world.provider(OTHER, &issuer, &[AUDIENCE]);
    world.give_keys(OTHER, &issuer);
    world.role("closed", &trust(&issuer, "system:serviceaccount:default:other"));
    let deny = json!([
        { "Effect": "Allow", "Principal": { "Federated": "*" }, "Action": "sts:AssumeRoleWithWebIdentity" },
        { "Effect": "Deny", "Principal": { "Federated": "*" }, "Action": "sts:AssumeRoleWithWebIdentity" },
    ]);
    world.role("denied", &policy(&deny));
    let document = trust(&issuer, "other").replace(MAIN, OTHER);
    let params = [("RoleName", "theirs"), ("AssumeRolePolicyDocument", document.as_str())];
    world.iam(OTHER, "CreateRole", &params);
    let tagged = issuer.token_with(&json!({ "https://aws.amazon.com/source_identity": "me" }));
    let (plain, mut bodies) = (issuer.token(), Vec::new());
    for (token, role) in [
        (&plain, "arn:aws:iam::111122223333:role/missing"),
        (&plain, "arn:aws:iam::111122223333:role/closed"),
        (&plain, "arn:aws:iam::111122223333:role/denied"),
        (&plain, "arn:aws:iam::444455556666:role/missing"),
        (&plain, "arn:aws:iam::444455556666:role/theirs"),
        // The role exists and trusts, but not with a source identity.
        (&tagged, ROLE),
        (&tagged, "arn:aws:iam::111122223333:role/missing"),
    ] {
        let changes = [("RoleArn", role), ("DurationSeconds", "43200")];
        let exchange = world.exchange(token, &changes).await;
        // Operators see the difference.
        let reason = WireError::from(exchange.outcome.clone().map(|_| ()).unwrap_err())
            .reason
            .unwrap();
        assert_eq!(reason.contains("does not exist"), role.ends_with("missing"), "{reason}");
        bodies.push(body(exchange));
    }
    assert!(
        bodies[0]
            .1
            .contains("<Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message>")
    );
    assert_eq!(bodies[0].0, 403);
    assert!(bodies.iter().all(|other| *other == bodies[0]), "{bodies:#?}");
}

#[tokio::test]
async fn adv_wt_60_an_account_that_does_not_exist_is_one_without_the_provider() {
    let (world, issuer) = World::new();
    let ask = async |role: &str| body(world.exchange(&issuer.token(), &[("RoleArn", role)]).await);
    assert_eq!(
        ask("arn:aws:iam::444455556666:role/app").await,
        ask("arn:aws:iam::999999999999:role/app").await
    );
}

#[tokio::test]
async fn adv_wt_60_a_bad_signature_is_told_before_anything_of_the_role() {
    let (world, issuer) = World::new();
    let forger = crate::issuer::Issuer::new(&issuer.url, &issuer.key_id);
    let unknown = crate::issuer::Issuer::new(&issuer.url, "other");
    for token in [forger.token(), unknown.token()] {
        let there = body(world.exchange(&token, &[]).await);
        let missing = [("RoleArn", "arn:aws:iam::111122223333:role/missing")];
        assert_eq!(there, body(world.exchange(&token, &missing).await));
    }
}

#[tokio::test]
async fn adv_wt_60_assume_role_tells_as_little() {
    let (mut world, issuer) = World::new();
    world.role("closed", &trust(&issuer, SUBJECT));
    let assume = policy(&json!({ "Effect": "Allow", "Action": "sts:*", "Resource": "*" }));
    let allowed = world.user(MAIN, "ann", Some(&assume));
    let powerless = world.user(MAIN, "bob", None);
    for caller in [&allowed, &powerless] {
        let mut bodies = Vec::new();
        for role in [
            "arn:aws:iam::111122223333:role/closed",
            "arn:aws:iam::111122223333:role/absent",
            "arn:aws:iam::444455556666:role/closed",
            "arn:aws:iam::999999999999:role/closed",
        ] {
            let params = [
                ("RoleArn", role),
                ("RoleSessionName", "s1"),
                ("DurationSeconds", "43200"),
            ];
            let (status, text) = body(world.call(Some(caller), "AssumeRole", &params).await);
            let expected = format!(
                "<Message>User: {} is not authorized to perform: sts:AssumeRole on resource: {role}</Message>",
                caller.arn()
            );
            assert!(text.contains(&expected), "{text}");
            bodies.push((status, text.replace(role, "ROLE")));
        }
        assert!(bodies.iter().all(|other| *other == bodies[0]), "{bodies:#?}");
    }
}
