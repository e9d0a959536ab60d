use std::sync::Arc;

use super::*;
use crate::{Context, Decision, Layers, Policy, PolicyKind, Principal, Request, decision};

const ACCOUNT: &str = "111122223333";

fn user() -> Principal<'static> {
    Principal::User {
        arn: "arn:aws:iam::111122223333:user/ann",
        unique_id: "AIDAEXAMPLE1234567890",
        account: ACCOUNT.parse().unwrap(),
    }
}

fn parse(kind: PolicyKind, statement: &str, profile: &Profile) -> Arc<Policy> {
    let text = format!(r#"{{"Version": "2012-10-17", "Statement": {statement}}}"#);
    Arc::new(Policy::parse_with("p", kind, &text, profile).unwrap())
}

fn ask(layers: &Layers<'_>, principal: Principal<'_>, context: &Context) -> bool {
    let request = Request {
        principal,
        action: "s3:GetObject",
        resource: "arn:aws:s3:::bucket/key",
        resource_account: None,
        context,
    };
    decision(layers, &request) == Decision::Allowed
}

/// Whether a statement with this condition allows, for the value of `k` that `set` gives.
fn condition(condition: &str, profile: &Profile, set: impl Fn(&mut Context)) -> bool {
    let statement = format!(r#"{{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {{{condition}}}}}"#);
    let identity = [parse(PolicyKind::Identity, &statement, profile)];
    let mut context = Context::new();
    context.set("one", "1");
    context.set("empty", "");
    set(&mut context);
    let layers = Layers {
        identity: &identity,
        ..Layers::default()
    };
    ask(&layers, user(), &context)
}

fn with(name: &str, value: bool) -> Profile {
    let mut profile = Profile::AWS;
    profile.set(name, value).unwrap();
    profile
}

#[test]
fn settings_are_listed_and_set_by_name() {
    let names: Vec<&str> = Profile::AWS.settings().map(|setting| setting.name).collect();
    assert_eq!(names.len(), 16);
    for name in names {
        let value = Profile::AWS
            .settings()
            .find(|setting| setting.name == name)
            .unwrap()
            .value;
        let changed = with(name, !value);
        assert_ne!(changed, Profile::AWS, "{name}");
        let different: Vec<&str> = changed
            .settings()
            .zip(Profile::AWS.settings())
            .filter(|(mine, aws)| mine != aws)
            .map(|(mine, _)| mine.name)
            .collect();
        assert_eq!(different, [name]);
    }
    let setting = Profile::AWS.settings().next().unwrap();
    assert!(
        setting.meaning.starts_with("A lone `*` in `ArnLike`"),
        "{}",
        setting.meaning
    );
    assert!(Profile::AWS.settings().all(|setting| setting.meaning.ends_with('.')));
    assert!(Profile::default().set("nonsense", true).is_err());
    assert_eq!(Profile::default(), Profile::AWS);
}

/// Every choice about conditions: it decides one case each way.
#[test]
fn each_setting_of_conditions_decides() {
    let text = |value: &'static str| move |context: &mut Context| context.set("k", value);
    let list = |context: &mut Context| context.set_list("k", ["a", "b"]);
    let nothing = |_: &mut Context| ();
    // Setting, condition, value of the key, and whether it allows with the setting on.
    let check = |name: &str, text: &str, set: &dyn Fn(&mut Context), on: bool| {
        assert_eq!(condition(text, &with(name, true), set), on, "{name} on");
        assert_eq!(condition(text, &with(name, false), set), !on, "{name} off");
    };
    check(
        "lone_star_matches_any_arn",
        r#""ArnLike": {"k": "*"}"#,
        &text("no arn"),
        true,
    );
    check(
        "lists_need_a_set_qualifier",
        r#""StringEquals": {"k": "a"}"#,
        &list,
        false,
    );
    check(
        "empty_string_is_an_empty_set",
        r#""ForAllValues:StringEquals": {"k": "a"}"#,
        &text(""),
        true,
    );
    check(
        "for_any_value_needs_a_value",
        r#""ForAnyValue:StringEqualsIfExists": {"k": "a"}"#,
        &nothing,
        false,
    );
    check(
        "uncomparable_satisfies_negation",
        r#""NumericNotEquals": {"k": "1"}"#,
        &text("x"),
        true,
    );
    check(
        "defaults_replace_empty_values",
        r#""StringEquals": {"k": "${empty, 'd'}"}"#,
        &text("d"),
        true,
    );
    check(
        "digits_are_epoch_seconds",
        r#""DateEquals": {"k": "2026-01-01"}"#,
        &text("2026"),
        false,
    );
    check(
        "digits_are_epoch_seconds",
        r#""DateEquals": {"k": "1970-01-01T00:33:46Z"}"#,
        &text("2026"),
        true,
    );
    check(
        "numbers_may_have_exponents",
        r#""NumericEquals": {"k": "1000"}"#,
        &text("1e3"),
        true,
    );
    check(
        "numbers_may_have_exponents",
        r#""NumericEquals": {"k": "1E3"}"#,
        &text("1000"),
        true,
    );
    check(
        "numbers_may_have_blanks",
        r#""NumericEquals": {"k": "1"}"#,
        &text(" 1 "),
        true,
    );
    check(
        "numbers_may_have_blanks",
        r#""NumericEquals": {"k": " 1 "}"#,
        &text("1"),
        true,
    );
    check(
        "mapped_addresses_are_ipv6",
        r#""IpAddress": {"k": "10.0.0.0/8"}"#,
        &text("::ffff:10.0.0.1"),
        false,
    );
    check(
        "only_ascii_letters_fold",
        r#""StringEqualsIgnoreCase": {"k": "É${one}"}"#,
        &text("é1"),
        false,
    );
    check(
        "only_ascii_letters_fold",
        r#""StringNotEqualsIgnoreCase": {"k": "É"}"#,
        &text("é"),
        true,
    );
}

#[test]
fn short_arns() {
    let allows = |profile: &Profile| {
        let statement = r#"{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3"}"#;
        let identity = [parse(PolicyKind::Identity, statement, profile)];
        let layers = Layers {
            identity: &identity,
            ..Layers::default()
        };
        ask(&layers, user(), &Context::new())
    };
    assert!(allows(&Profile::AWS));
    assert!(!allows(&with("short_arns_are_padded", false)));
}

#[test]
fn principals() {
    let decide = |kind, statement: &str, caller, profile: &Profile| {
        let open = parse(
            kind,
            r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}"#,
            profile,
        );
        let identity = [parse(
            PolicyKind::Identity,
            r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#,
            profile,
        )];
        let resource = if statement.is_empty() {
            open
        } else {
            parse(kind, statement, profile)
        };
        let layers = Layers {
            identity: &identity,
            resource: Some(&resource),
            ..Layers::default()
        };
        ask(&layers, caller, &Context::new())
    };
    let listed = r#"{"Effect": "Deny", "Action": "*", "Resource": "*", "NotPrincipal": {"AWS": "arn:aws:iam::111122223333:user/ann"}}"#;
    assert!(!decide(PolicyKind::Resource, listed, user(), &Profile::AWS));
    assert!(decide(
        PolicyKind::Resource,
        listed,
        user(),
        &with("not_principal_needs_the_whole_chain", false)
    ));
    let token = Principal::WebIdentity {
        provider: "arn:aws:iam::111122223333:oidc-provider/x",
    };
    assert!(!decide(PolicyKind::Resource, "", token, &Profile::AWS));
    assert!(decide(
        PolicyKind::Resource,
        "",
        token,
        &with("federated_callers_need_federated", false)
    ));
}

/// The choices about no single policy come from the layers.
#[test]
fn layers() {
    let everybody = parse(
        PolicyKind::Resource,
        r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}"#,
        &Profile::AWS,
    );
    let closed = [vec![parse(
        PolicyKind::ServiceControl,
        r#"{"Effect": "Deny", "Action": "*", "Resource": "*"}"#,
        &Profile::AWS,
    )]];
    let identity = [parse(
        PolicyKind::Identity,
        r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#,
        &Profile::AWS,
    )];
    let anonymous = |profile| {
        let layers = Layers {
            resource: Some(&everybody),
            service_control: &closed,
            profile,
            ..Layers::default()
        };
        ask(&layers, Principal::Anonymous, &Context::new())
    };
    assert!(anonymous(Profile::AWS));
    assert!(!anonymous(with("service_control_needs_an_account", false)));
    let of_nobody = |profile| {
        let layers = Layers {
            identity: &identity,
            profile,
            ..Layers::default()
        };
        ask(&layers, user(), &Context::new())
    };
    assert!(of_nobody(Profile::AWS));
    assert!(!of_nobody(with("unknown_account_is_the_callers", false)));
}
