//! An API server for tests: answers that are written down, and what was asked.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::{Cluster, ClusterOptions, Location};

/// One answer.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A body with its status; the connection ends after it.
    Json(u16, Value),
    /// The same with one more header.
    Headed(u16, &'static str, Value),
    /// Lines, after which the connection stays open.
    Open(Vec<Value>),
    /// The connection ends without a word.
    Hangs,
}

/// Every request: its method and target, and its body.
pub(crate) type Requests = Arc<Mutex<Vec<(String, String)>>>;

/// Starts it; it ends with the test. `answer` gets each request's method and target, and its body.
pub(crate) async fn api_server(answer: impl FnMut(&str, &str) -> Reply + Send + 'static) -> (Cluster, Requests) {
    api_server_with(ClusterOptions::default(), answer).await
}

/// The same for a cluster with other options.
pub(crate) async fn api_server_with(
    options: ClusterOptions,
    mut answer: impl FnMut(&str, &str) -> Reply + Send + 'static,
) -> (Cluster, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Requests::default();
    let asked = Arc::clone(&requests);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (head, body) = read(&mut stream).await;
            let reply = answer(&head, &body);
            asked.lock().unwrap().push((head, body));
            tokio::spawn(write(stream, reply));
        }
    });
    let options = ClusterOptions {
        location: Location::Anonymous,
        server: Some(format!("http://{address}")),
        ..options
    };
    (Cluster::connect(&options).await.unwrap(), requests)
}

async fn read(stream: &mut TcpStream) -> (String, String) {
    let mut text = Vec::new();
    loop {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).await.unwrap();
        text.extend_from_slice(&part[..length]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = whole.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
                return (line.to_owned(), body.to_owned());
            }
        }
        assert_ne!(length, 0, "the request ends early: {whole}");
    }
}

async fn write(mut stream: TcpStream, reply: Reply) {
    match reply {
        Reply::Json(status, body) => write_json(stream, status, "X-Plain: 1", &body).await,
        Reply::Headed(status, header, body) => write_json(stream, status, header, &body).await,
        Reply::Open(lines) => {
            let mut text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n".to_owned();
            for line in lines {
                text.push_str(&line.to_string());
                text.push('\n');
            }
            stream.write_all(text.as_bytes()).await.unwrap();
            // Until the other side leaves.
            let _ = stream.read(&mut [0]).await;
        }
        Reply::Hangs => {}
    }
}

async fn write_json(mut stream: TcpStream, status: u16, header: &str, body: &Value) {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{header}\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
}

/// A refusal, as API servers write it.
pub(crate) fn refusal(code: u16, reason: &str) -> Value {
    serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason})
}
