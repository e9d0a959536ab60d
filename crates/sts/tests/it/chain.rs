//! Roles that assume roles: what follows a session, and what ends with it.

use irsa_credentials::Session;
use irsa_iam::Caller;
use serde_json::json;

use crate::harness::{ALL, MAIN, OTHER, World, ok, policy, said, trust_if};

const SECOND: &str = "arn:aws:iam::111122223333:role/second";

fn second_refuses(caller: &Caller, action: &str) -> String {
    format!(
        "AccessDenied 403: User: {} is not authorized to perform: {action} on resource: {SECOND}",
        caller.arn()
    )
}

/// A web identity's session of the role `app`, with tags and a source identity, and the role `second`, which trusts `app` by name with `actions`.
async fn chain(actions: &[&str]) -> (World, Caller) {
    let (mut world, issuer) = World::new();
    world.set_trust("app", &trust_if(&issuer, ALL, &json!({})));
    let statement =
        json!({ "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:role/app" }, "Action": actions });
    world.role("second", &policy(&statement));
    world.iam(
        MAIN,
        "UpdateRole",
        &[("RoleName", "second"), ("MaxSessionDuration", "43200")],
    );
    let token = issuer.token_with(&json!({
        "https://aws.amazon.com/source_identity": "ann",
        "https://aws.amazon.com/tags": { "principal_tags": { "Team": ["a"], "Own": ["x"] }, "transitive_tag_keys": ["team"] },
    }));
    let (caller, _) = world.session(&ok(world.exchange(&token, &[]).await));
    (world, caller)
}

async fn assume(world: &World, caller: &Caller, params: &[(&str, &str)]) -> Result<(Caller, Session), String> {
    let mut all = vec![("RoleArn", SECOND), ("RoleSessionName", "s2")];
    all.retain(|(name, _)| !params.iter().any(|(changed, _)| changed == name));
    all.extend(params);
    let exchange = world.call(Some(&world.again(caller)), "AssumeRole", &all).await;
    match said(&exchange).as_str() {
        "ok" => Ok(world.session(&ok(exchange))),
        said => Err(said.to_owned()),
    }
}

#[tokio::test]
async fn transitive_tags_and_the_source_identity_follow() {
    let (mut world, caller) = chain(ALL).await;
    let tags = [("Tags.member.1.Key", "New"), ("Tags.member.1.Value", "n")];
    let (second, session) = assume(&world, &caller, &tags).await.unwrap();
    assert!(session.chained && session.federated.is_none());
    assert_eq!(
        session.tags,
        [("New".to_owned(), "n".to_owned()), ("Team".to_owned(), "a".to_owned())]
    );
    assert_eq!(session.transitive_tag_keys, ["Team"]);
    assert_eq!(session.source_identity.as_deref(), Some("ann"));
    assert_eq!(session.expires_at, world.now.plus_seconds(3600));
    // And on to the third.
    let statement = json!({ "Effect": "Allow", "Principal": { "AWS": SECOND }, "Action": ALL });
    let third = world.role("third", &policy(&statement));
    let (_, session) = assume(&world, &second, &[("RoleArn", &third)]).await.unwrap();
    assert_eq!(session.tags, [("Team".to_owned(), "a".to_owned())]);
    assert_eq!(session.source_identity.as_deref(), Some("ann"));
}

#[tokio::test]
async fn inherited_tags_can_not_be_set_anew() {
    let (world, caller) = chain(ALL).await;
    for key in ["Team", "TEAM"] {
        let tags = [("Tags.member.1.Key", key), ("Tags.member.1.Value", "b")];
        assert_eq!(
            assume(&world, &caller, &tags).await.map(|_| ()).unwrap_err(),
            "InvalidParameterValue 400: One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the \
             calling session."
        );
    }
    // A tag that is not transitive ends with its session, and may be set again.
    let tags = [("Tags.member.1.Key", "Own"), ("Tags.member.1.Value", "y")];
    let (_, session) = assume(&world, &caller, &tags).await.unwrap();
    assert_eq!(session.tags[0], ("Own".to_owned(), "y".to_owned()));
}

#[tokio::test]
async fn what_is_inherited_needs_permission_like_what_is_new() {
    for (actions, expected) in [
        (&["sts:AssumeRole"][..], Some("sts:TagSession")),
        (&["sts:AssumeRole", "sts:TagSession"], Some("sts:SetSourceIdentity")),
        (&["sts:AssumeRole", "sts:SetSourceIdentity"], Some("sts:TagSession")),
        (&["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], None),
    ] {
        let (world, caller) = chain(actions).await;
        let refusal = assume(&world, &caller, &[]).await.map(|_| ()).err();
        assert_eq!(
            refusal,
            expected.map(|action| second_refuses(&caller, action)),
            "{actions:?}"
        );
    }
}

#[tokio::test]
async fn adv_wt_59_the_source_identity_can_not_be_changed() {
    let (world, caller) = chain(ALL).await;
    assert!(assume(&world, &caller, &[("SourceIdentity", "ann")]).await.is_ok());
    for identity in ["bob", "Ann"] {
        let refusal = assume(&world, &caller, &[("SourceIdentity", identity)])
            .await
            .map(|_| ());
        assert_eq!(refusal.unwrap_err(), second_refuses(&caller, "sts:SetSourceIdentity"));
    }
    // That it can't be changed tells nothing of the role.
    let changed = async |role: &str| {
        let params = [("RoleArn", role), ("SourceIdentity", "bob")];
        assume(&world, &caller, &params)
            .await
            .map(|_| ())
            .unwrap_err()
            .replace(role, "ROLE")
    };
    assert_eq!(
        changed(SECOND).await,
        changed("arn:aws:iam::111122223333:role/missing").await
    );
}

#[tokio::test]
async fn adv_wt_67_a_chain_lasts_an_hour() {
    let (world, caller) = chain(ALL).await;
    let (_, session) = assume(&world, &caller, &[("DurationSeconds", "3600")]).await.unwrap();
    assert_eq!(session.expires_at, world.now.plus_seconds(3600));
    for seconds in ["3601", "43200"] {
        let refusal = assume(&world, &caller, &[("DurationSeconds", seconds)])
            .await
            .map(|_| ());
        assert_eq!(
            refusal.unwrap_err(),
            "ValidationError 400: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        );
    }
}

#[tokio::test]
async fn a_users_own_session_is_no_chain() {
    let (mut world, _) = World::new();
    let ann = world.user(MAIN, "ann", None);
    world.role(
        "second",
        &policy(&json!({ "Effect": "Allow", "Principal": { "AWS": ann.arn() }, "Action": "sts:AssumeRole" })),
    );
    world.iam(
        MAIN,
        "UpdateRole",
        &[("RoleName", "second"), ("MaxSessionDuration", "43200")],
    );
    let (session, _) = world.session(&ok(world.call(Some(&ann), "GetSessionToken", &[]).await));
    let (_, assumed) = assume(&world, &session, &[("DurationSeconds", "43200")]).await.unwrap();
    assert!(!assumed.chained);
}

#[tokio::test]
async fn trust_in_a_role_is_trust_in_that_role() {
    let (mut world, caller) = chain(ALL).await;
    let trust =
        |principal: &str| policy(&json!({ "Effect": "Allow", "Principal": { "AWS": principal }, "Action": ALL }));
    let role_id = caller.user_id().split(':').next().unwrap().to_owned();
    for (principal, trusted) in [
        ("arn:aws:iam::111122223333:role/app", true),
        (role_id.as_str(), true),
        ("arn:aws:sts::111122223333:assumed-role/app/session", true),
        ("arn:aws:sts::111122223333:assumed-role/app/other", false),
        (SECOND, false),
        // Trust in the account needs a policy, which the role does not have.
        ("arn:aws:iam::111122223333:root", false),
    ] {
        world.set_trust("second", &trust(principal));
        assert_eq!(assume(&world, &caller, &[]).await.is_ok(), trusted, "{principal}");
    }
    // Another role under the old name, with a session of its own.
    world.set_trust("second", &trust("arn:aws:iam::111122223333:role/app"));
    let document = policy(&json!({ "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": ALL }));
    world.iam(MAIN, "DeleteRole", &[("RoleName", "app")]);
    world.role("app", &document);
    let ann = world.user(MAIN, "ann", None);
    let params = [
        ("RoleArn", "arn:aws:iam::111122223333:role/app"),
        ("RoleSessionName", "session"),
    ];
    let (usurper, _) = world.session(&ok(world.call(Some(&ann), "AssumeRole", &params).await));
    assert_eq!(usurper.arn(), caller.arn());
    assert_eq!(
        assume(&world, &usurper, &[]).await.map(|_| ()).unwrap_err(),
        second_refuses(&usurper, "sts:AssumeRole")
    );
}

#[tokio::test]
async fn limits_of_the_calling_session_count() {
    let (mut world, issuer) = World::new();
    let everything = policy(&json!({ "Effect": "Allow", "Action": "*", "Resource": "*" }));
    world.iam(
        MAIN,
        "PutRolePolicy",
        &[
            ("RoleName", "app"),
            ("PolicyName", "all"),
            ("PolicyDocument", &everything),
        ],
    );
    let trust = |principal: &str| {
        policy(&json!({ "Effect": "Allow", "Principal": { "AWS": principal }, "Action": "sts:AssumeRole" }))
    };
    world.role("second", &trust(MAIN));
    let reads = policy(&json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" }));
    let (limited, _) = world.session(&ok(world.exchange(&issuer.token(), &[("Policy", &reads)]).await));
    let (unlimited, _) = world.session(&ok(world.exchange(&issuer.token(), &[]).await));
    for (principal, both) in [
        (MAIN, false),
        ("arn:aws:iam::111122223333:role/app", false),
        ("*", true),
    ] {
        world.set_trust("second", &trust(principal));
        assert!(assume(&world, &unlimited, &[]).await.is_ok(), "{principal}");
        // A session policy limits what is granted to the account or the role; a grant to everybody is one to the session itself.
        assert_eq!(assume(&world, &limited, &[]).await.is_ok(), both, "{principal}");
    }
}

#[tokio::test]
async fn across_accounts_both_sides_decide() {
    let (mut world, caller) = chain(ALL).await;
    let trust = policy(
        &json!({ "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:role/app" }, "Action": ALL }),
    );
    let params = [("RoleName", "theirs"), ("AssumeRolePolicyDocument", trust.as_str())];
    world.iam(OTHER, "CreateRole", &params);
    let theirs = "arn:aws:iam::444455556666:role/theirs";
    let ask = [("RoleArn", theirs)];
    let refusal = assume(&world, &caller, &ask).await.map(|_| ()).unwrap_err();
    assert!(
        refusal.ends_with(&format!("sts:AssumeRole on resource: {theirs}")),
        "{refusal}"
    );
    let allow = policy(&json!({ "Effect": "Allow", "Action": "sts:*", "Resource": theirs }));
    world.iam(
        MAIN,
        "PutRolePolicy",
        &[("RoleName", "app"), ("PolicyName", "p"), ("PolicyDocument", &allow)],
    );
    let (there, session) = assume(&world, &caller, &ask).await.unwrap();
    assert_eq!(there.arn(), "arn:aws:sts::444455556666:assumed-role/theirs/s2");
    assert_eq!(session.account.to_string(), OTHER);
}
