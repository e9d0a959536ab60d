use std::collections::BTreeMap;

use irsa_aws::ServiceError;

use super::*;

fn refused(code: &str, message: &str, status: u16) -> TargetErrorKind {
    of_aws(&ClientError::from(ServiceError {
        operation: "CreateRole".to_owned(),
        code: code.to_owned(),
        message: message.to_owned(),
        status,
        ..ServiceError::default()
    }))
    .kind
}

#[test]
fn what_iam_means() {
    assert_eq!(refused("NoSuchEntity", "", 404), TargetErrorKind::Absent);
    assert_eq!(refused("EntityAlreadyExists", "", 409), TargetErrorKind::Present);
    assert_eq!(refused("DeleteConflict", "", 409), TargetErrorKind::Conflict);
    assert_eq!(refused("LimitExceeded", "", 409), TargetErrorKind::Limit);
    assert_eq!(refused("AccessDenied", "", 403), TargetErrorKind::Denied);
    assert_eq!(refused("Throttling", "", 400), TargetErrorKind::Unanswered);
    assert_eq!(refused("ServiceFailure", "", 500), TargetErrorKind::Unanswered);
    assert_eq!(refused("ValidationError", "", 400), TargetErrorKind::Other);
    let principal = "Invalid principal in policy: \"Federated\":\"arn:aws:iam::1:oidc-provider/x\"";
    assert_eq!(
        refused("MalformedPolicyDocument", principal, 400),
        TargetErrorKind::UnknownPrincipal
    );
    assert_eq!(
        refused("MalformedPolicyDocument", "Syntax errors in policy.", 400),
        TargetErrorKind::Other
    );
}

#[test]
fn an_issuer_with_a_port_is_spoken_of() {
    let error = |code: &str| {
        ClientError::from(ServiceError {
            operation: "CreateOpenIDConnectProvider".to_owned(),
            code: code.to_owned(),
            status: 400,
            ..ServiceError::default()
        })
    };
    let provider = |url: &str| Action::CreateProvider {
        arn: String::new(),
        url: url.to_owned(),
        client_ids: Vec::new(),
        tags: BTreeMap::new(),
    };
    let help = |url: &str, code: &str| of_issuer(&provider(url), &error(code));
    let text = help("https://127.0.0.1:6443/x", "InvalidInput").unwrap();
    assert!(text.contains("--allow-private-issuers"), "{text}");
    assert_eq!(help("https://issuer.example/a:b", "InvalidInput"), None);
    assert_eq!(help("https://127.0.0.1:6443", "AccessDenied"), None);
}

#[test]
fn what_kubernetes_means() {
    let kind = |error: CallError| of_kubernetes("blue", &error).kind;
    let refused = |code, reason: &str| {
        kind(CallError::Refused {
            code,
            reason: reason.to_owned(),
            message: String::new(),
        })
    };
    assert_eq!(refused(409, "Conflict"), TargetErrorKind::Conflict);
    assert_eq!(refused(409, "AlreadyExists"), TargetErrorKind::Present);
    assert_eq!(refused(404, "NotFound"), TargetErrorKind::Absent);
    assert_eq!(refused(503, "ServiceUnavailable"), TargetErrorKind::Unanswered);
    assert_eq!(refused(422, "Invalid"), TargetErrorKind::Other);
    let forbidden = CallError::Forbidden {
        verb: "patch",
        resource: "serviceaccounts",
        namespace: Some("apps".to_owned()),
        message: "no".to_owned(),
    };
    let error = of_kubernetes("blue", &forbidden);
    assert_eq!(error.kind, TargetErrorKind::Denied);
    assert!(error.message.starts_with("cluster `blue`: "));
    let help = "`kubectl auth can-i patch serviceaccounts -n apps` says whether it is granted by now";
    assert_eq!(error.help.as_deref(), Some(help));
}
