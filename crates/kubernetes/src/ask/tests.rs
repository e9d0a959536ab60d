use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::ClusterOptions;
use crate::fake::{Reply, Requests, api_server_with, refusal};

fn options() -> ClusterOptions {
    ClusterOptions {
        deadline: Duration::from_secs(5),
        patience: Duration::from_secs(20),
        ..ClusterOptions::default()
    }
}

/// What comes of one question that meets these answers, and then `{}` for good.
async fn asked(options: ClusterOptions, answers: Vec<Reply>) -> (Result<Value, CallError>, Requests) {
    let mut answers = answers.into_iter();
    let (cluster, requests) = api_server_with(options, move |_, _| {
        answers.next().unwrap_or_else(|| Reply::Json(200, json!({})))
    })
    .await;
    let ask = Ask::get("list", "serviceaccounts", Some("app"), "/api/v1/x?y=z".to_owned());
    let answer = cluster.ask(&ask).await;
    (answer.map(|answer| answer.read().unwrap()), requests)
}

fn count(requests: &Requests) -> usize {
    requests.lock().unwrap().len()
}

#[tokio::test]
async fn a_lost_connection_and_a_busy_server_are_asked_again() {
    let answers = vec![
        Reply::Hangs,
        Reply::Json(503, refusal(503, "ServiceUnavailable")),
        Reply::Json(502, json!("no Status, but what a proxy says")),
        Reply::Hangs,
    ];
    let (answer, requests) = asked(options(), answers).await;
    assert_eq!(answer, Ok(json!({})));
    assert_eq!(count(&requests), 5);
}

#[tokio::test]
async fn nobody_is_asked_sooner_than_they_say() {
    let started = std::time::Instant::now();
    let busy = Reply::Headed(429, "Retry-After: 1", refusal(429, "TooManyRequests"));
    let (answer, requests) = asked(options(), vec![busy]).await;
    assert_eq!(answer, Ok(json!({})));
    assert_eq!(count(&requests), 2);
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn whoever_asks_for_more_time_than_there_is_has_refused() {
    let options = ClusterOptions {
        patience: Duration::from_secs(2),
        ..options()
    };
    let busy = Reply::Headed(429, "Retry-After: 86400", refusal(429, "TooManyRequests"));
    let (answer, requests) = asked(options, vec![busy]).await;
    assert_eq!(
        answer.unwrap_err().to_string(),
        "the API server says 429: TooManyRequests"
    );
    assert_eq!(count(&requests), 1);
}

#[tokio::test]
async fn an_error_of_its_own_is_tried_a_few_times_and_then_told() {
    let broken = Reply::Json(500, refusal(500, "InternalError"));
    let (answer, requests) = asked(options(), vec![broken; 9]).await;
    assert!(
        matches!(answer, Err(CallError::Refused { code: 500, .. })),
        "{answer:?}"
    );
    assert_eq!(count(&requests), 4);
}

#[tokio::test]
async fn no_answer_at_all_is_a_deadline_and_asked_again() {
    let options = ClusterOptions {
        deadline: Duration::from_millis(300),
        ..options()
    };
    let (answer, requests) = asked(options, vec![Reply::Open(Vec::new())]).await;
    assert_eq!(answer, Ok(json!({})));
    assert_eq!(count(&requests), 2);
}

#[tokio::test]
async fn what_would_be_refused_again_is_asked_once() {
    for code in [400, 401, 403, 404, 405, 409, 410, 422] {
        let (answer, requests) = asked(options(), vec![Reply::Json(code, refusal(code, "No"))]).await;
        assert!(answer.is_err(), "{code}");
        assert_eq!(count(&requests), 1, "{code}");
    }
}

#[tokio::test]
async fn a_server_that_never_answered_is_given_up_soon() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let options = ClusterOptions::from_flags("", &format!("http://{address}"));
    let cluster = Cluster::connect(&options).await.unwrap();
    let ask = Ask::get("list", "namespaces", None, "/api/v1/namespaces".to_owned());
    let started = std::time::Instant::now();
    let error = cluster.ask(&ask).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Unreachable(text) if text.contains("refused")),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn refusals_say_what_is_missing() {
    let words = async |code: u16, body: Value| {
        let (answer, _) = asked(options(), vec![Reply::Json(code, body)]).await;
        answer.unwrap_err().to_string()
    };
    assert_eq!(
        words(
            403,
            json!({"reason": "Forbidden", "message": "User \"x\" cannot list resource"})
        )
        .await,
        "no permission to list serviceaccounts in the namespace `app`: User \"x\" cannot list resource"
    );
    // The verb that is missing is not always the one that was asked for.
    let message = "serviceaccounts \"a\" is forbidden: User \"x\" cannot create resource \"serviceaccounts\" in API group \"\" in the namespace \"app\"";
    assert_eq!(
        words(403, json!({"reason": "Forbidden", "message": message})).await,
        format!("no permission to create serviceaccounts in the namespace `app`: {message}")
    );
    let message = "users \"y\" is forbidden: User \"x\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope";
    assert!(
        words(403, json!({"reason": "Forbidden", "message": message}))
            .await
            .starts_with("no permission to impersonate users: ")
    );
    let message = "serviceaccounts \"a\" is forbidden: ";
    assert!(
        words(403, json!({"reason": "Forbidden", "message": message}))
            .await
            .starts_with("no permission to create serviceaccounts in the namespace `app`: ")
    );
    // No permission would help here.
    let message = "admission webhook \"w\" denied the request: no labels";
    assert_eq!(
        words(403, json!({"reason": "Forbidden", "message": message})).await,
        format!("the API server says 403: {message}")
    );
    assert!(
        words(401, refusal(401, "Unauthorized"))
            .await
            .starts_with("the API server does not accept the credentials (401): Unauthorized")
    );
    let causes = json!({"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]});
    assert_eq!(
        words(403, json!({"reason": "Forbidden", "message": "m", "details": causes})).await,
        "the namespace `app` is being deleted: wait until it is gone, then run this again"
    );
    // Of something that is no API server.
    assert_eq!(
        words(404, json!("<html>nothing here</html>")).await,
        "the API server says 404: \"<html>nothing here</html>\""
    );
}
