//! GetCallerIdentity, GetSessionToken, GetAccessKeyInfo, and operations that do not exist.

use irsa_core::AccessKeyId;
use irsa_credentials::SessionPrincipal;
use irsa_iam::{Caller, RequestFacts, authorize};
use irsa_sts::{Call, OPERATIONS};
use irsa_wire::{Access, Params};
use serde_json::json;

use crate::harness::{MAIN, OTHER, World, ok, policy, said, shown, text};

async fn identity(world: &World, caller: &Caller) -> [String; 3] {
    let answer = ok(world.call(Some(caller), "GetCallerIdentity", &[]).await);
    ["Account", "Arn", "UserId"].map(|name| text(&answer, name).to_owned())
}

#[tokio::test]
async fn everybody_may_ask_who_they_are() {
    let (mut world, issuer) = World::new();
    let deny = policy(&json!({ "Effect": "Deny", "Action": "*", "Resource": "*" }));
    let ann = world.user(MAIN, "ann", Some(&deny));
    let root = world.root(MAIN);
    assert_eq!(
        identity(&world, &root).await,
        [MAIN, "arn:aws:iam::111122223333:root", MAIN]
    );
    let id = ann.user_id().to_owned();
    assert!(id.starts_with("AIDA"));
    let expected = [MAIN, "arn:aws:iam::111122223333:user/ann", &id];
    assert_eq!(identity(&world, &ann).await, expected);
    // A user's own session is the user.
    let (session, _) = world.session(&ok(world.call(Some(&ann), "GetSessionToken", &[]).await));
    assert_eq!(identity(&world, &session).await, expected);
    let (session, _) = world.session(&ok(world.call(Some(&root), "GetSessionToken", &[]).await));
    assert_eq!(
        identity(&world, &session).await,
        [MAIN, "arn:aws:iam::111122223333:root", MAIN]
    );
    let (pod, _) = world.session(&ok(world.exchange(&issuer.token(), &[]).await));
    let role = world.iam.account(MAIN.parse().unwrap()).unwrap().role("app").unwrap();
    assert_eq!(
        identity(&world, &pod).await,
        [
            MAIN,
            "arn:aws:sts::111122223333:assumed-role/app/session",
            &format!("{}:session", role.record.id)
        ]
    );
    let answer = ok(world.call(Some(&ann), "GetCallerIdentity", &[]).await);
    insta::assert_snapshot!("caller_identity", answer.replace(&id, "[UserId]").replace("><", ">\n<"));
}

#[tokio::test]
async fn sessions_of_users_and_root() {
    let mut world = World::empty();
    let (ann, root) = (world.user(MAIN, "ann", None), world.root(MAIN));
    let seconds = async |caller: &Caller, asked: &str| {
        let params = [("DurationSeconds", asked)];
        let params = if asked.is_empty() { &[][..] } else { &params };
        let (_, session) = world.session(&ok(world.call(Some(caller), "GetSessionToken", params).await));
        session.expires_at.unix_seconds() - world.now.unix_seconds()
    };
    for (asked, user, of_root) in [
        ("", 43_200, 3600),
        ("900", 900, 900),
        ("3600", 3600, 3600),
        ("3601", 3601, 3600),
        ("129600", 129_600, 3600),
    ] {
        assert_eq!(seconds(&ann, asked).await, user, "{asked}");
        assert_eq!(seconds(&root, asked).await, of_root, "{asked}");
    }
    for asked in ["899", "129601"] {
        let said = said(
            &world
                .call(Some(&ann), "GetSessionToken", &[("DurationSeconds", asked)])
                .await,
        );
        assert!(
            said.starts_with("ValidationError 400: 1 validation error detected: "),
            "{said}"
        );
    }
    let exchange = world
        .call(Some(&ann), "GetSessionToken", &[("MinimumSessionTokenSize", "1000")])
        .await;
    let answer = ok(exchange);
    insta::assert_snapshot!("session_token", shown(&answer));
    let (_, session) = world.session(&answer);
    assert!(matches!(session.principal, SessionPrincipal::User { ref user_name, .. } if user_name == "ann"));
    assert!(!session.mfa);
    for params in [
        [
            ("SerialNumber", "arn:aws:iam::111122223333:mfa/ann"),
            ("TokenCode", "123456"),
        ],
        [("TokenCode", "123456"), ("DurationSeconds", "900")],
    ] {
        assert_eq!(
            said(&world.call(Some(&ann), "GetSessionToken", &params).await),
            "AccessDenied 403: MultiFactorAuthentication failed with invalid MFA one time pass code."
        );
    }
}

#[tokio::test]
async fn a_session_gets_no_session() {
    let (mut world, issuer) = World::new();
    let ann = world.user(MAIN, "ann", None);
    let (own, _) = world.session(&ok(world.call(Some(&ann), "GetSessionToken", &[]).await));
    let (pod, _) = world.session(&ok(world.exchange(&issuer.token(), &[]).await));
    for caller in [own, pod] {
        assert_eq!(
            said(&world.call(Some(&caller), "GetSessionToken", &[]).await),
            "AccessDenied 403: Cannot call GetSessionToken with session credentials"
        );
    }
}

#[tokio::test]
async fn the_account_of_a_key() {
    let (mut world, issuer) = World::new();
    let ann = world.user(OTHER, "ann", None);
    let key = ann.access_key_id.to_string();
    let root = world.root(MAIN);
    let account = async |world: &World, id: &str| {
        let exchange = world
            .call(Some(&root), "GetAccessKeyInfo", &[("AccessKeyId", id)])
            .await;
        match said(&exchange).as_str() {
            "ok" => text(&ok(exchange), "Account").to_owned(),
            said => said.to_owned(),
        }
    };
    assert_eq!(account(&world, &key).await, OTHER);
    // Whatever its state.
    let inactive = [("UserName", "ann"), ("AccessKeyId", &key), ("Status", "Inactive")];
    world.iam(OTHER, "UpdateAccessKey", &inactive);
    assert_eq!(account(&world, &key).await, OTHER);
    world.iam(OTHER, "DeleteAccessKey", &inactive[..2]);
    assert_eq!(account(&world, &key).await, OTHER);
    let temporary = ok(world.exchange(&issuer.token(), &[]).await);
    assert_eq!(account(&world, text(&temporary, "AccessKeyId")).await, MAIN);
    let of_nobody = AccessKeyId::long_term("999999999999".parse().unwrap(), [9; 5]);
    assert_eq!(account(&world, of_nobody.as_str()).await, "999999999999");
    assert_eq!(
        account(&world, "AKIA_NOT_OF_THIS_FORM").await,
        "ValidationError 400: The access key id AKIA_NOT_OF_THIS_FORM belongs to no account"
    );
    for bad in ["AKIA", "AKIA/AAAAAAAAAAAAAAA", ""] {
        let said = account(&world, bad).await;
        assert!(said.starts_with("ValidationError 400: "), "{said}");
    }
}

#[tokio::test]
async fn asking_for_an_account_needs_permission() {
    let mut world = World::empty();
    let may = policy(&json!({ "Effect": "Allow", "Action": "sts:GetAccessKeyInfo", "Resource": "*" }));
    let (ann, bob) = (world.user(MAIN, "ann", Some(&may)), world.user(MAIN, "bob", None));
    let call = Call::new(Params::from_pairs([("Action", "GetAccessKeyInfo")])).unwrap();
    let facts = RequestFacts {
        source_ip: [192, 0, 2, 1].into(),
        secure_transport: true,
        user_agent: "",
        referer: None,
        region: "us-east-1",
        now: world.now,
    };
    let allowed = |caller: &Caller| {
        let targets = call.targets(caller);
        assert_eq!(targets.len(), 1);
        authorize(&world.iam, caller, &facts, &targets[0], None).is_allowed()
    };
    assert!(allowed(&ann) && !allowed(&bob));
}

#[test]
fn operations_and_who_may_call_them() {
    let rows: Vec<String> = OPERATIONS
        .iter()
        .map(|spec| format!("{} {} {:?}", spec.name, spec.action, spec.access))
        .collect();
    insta::assert_snapshot!("operations", rows.join("\n"));
    for spec in &OPERATIONS {
        let call = Call::new(Params::from_pairs([("Action", spec.name)])).unwrap();
        assert_eq!(call.spec().name, spec.name);
        let world = World::empty();
        let questions = call.targets(&world.root(MAIN)).len();
        assert_eq!(
            questions,
            usize::from(spec.access == Access::Authorized),
            "{}",
            spec.name
        );
    }
    let long = "x".repeat(1000);
    for (action, version, shown) in [
        ("AssumeEverything", "2011-06-15", "AssumeEverything"),
        ("assumerole", "2011-06-15", "assumerole"),
        ("AssumeRole", "2010-05-08", "AssumeRole"),
        ("", "2011-06-15", ""),
        (&long, "2011-06-15", &long[..128]),
    ] {
        let params = Params::from_pairs([("Action", action), ("Version", version)]);
        let error = Call::new(params).err().unwrap();
        assert_eq!((error.code.as_ref(), error.status), ("InvalidAction", 400));
        assert_eq!(
            error.message,
            format!("Could not find operation {shown} for version {version}")
        );
    }
}
