//! Settings of buckets on the wire.

mod versioning;

use super::*;

const NAMESPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

async fn send(server: &Server, method: &str, query: &str, body: &str) -> Answer {
    server
        .call(&Script::all(), method, &format!("/my-bucket?{query}"), body)
        .await
}

/// Sends a document that is taken.
async fn put(server: &Server, query: &str, body: &str) {
    let answer = send(server, "PUT", query, body).await;
    assert!(answer.status.is_success(), "{query}: {}", answer.text);
}

/// Status, code and message of a request that is refused.
async fn refused(server: &Server, method: &str, query: &str, body: &str) -> (u16, String, String) {
    let answer = send(server, method, query, body).await;
    let text = |name| answer.element(name).to_owned();
    (answer.status.as_u16(), text("Code"), text("Message"))
}

fn refusal(status: u16, code: &str, message: &str) -> (u16, String, String) {
    (status, code.to_owned(), message.to_owned())
}
