//! A server for tests that plays a script: one reply for each request, in order, and all that was sent is kept.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::{Credentials, Retries, Session};

/// What happens to one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// An answer: status, further header lines, body.
    Answer(u16, &'static str, String),
    /// The connection ends without an answer.
    Cut,
    /// The connection stays, and nothing comes.
    Silence,
    /// The connection ends in the middle of an answer.
    CutInside,
    /// An answer, after which the connection is closed though nobody said so.
    AnswerAndClose(String),
}

impl Reply {
    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self::Answer(200, "", body.into())
    }

    /// A refusal of the Query protocol.
    pub(crate) fn refused(status: u16, code: &str, message: &str) -> Self {
        Self::Answer(
            status,
            "",
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>r-1</RequestId></ErrorResponse>"
            ),
        )
    }
}

/// The server; it ends with the runtime of its test.
pub(crate) struct TestServer {
    pub(crate) endpoint: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    script: std::collections::VecDeque<Reply>,
    requests: Vec<String>,
    connections: usize,
}

impl TestServer {
    pub(crate) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen {
            script: script.into_iter().collect(),
            ..Seen::default()
        }));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { endpoint, seen }
    }

    /// A session with this server, whose retries wait next to nothing.
    pub(crate) fn session(&self) -> Session {
        let credentials = Credentials::new("AKIDEXAMPLE", "never-to-be-shown", None, None, "test");
        Session::of_server(&self.endpoint, Some("eu-west-1"), credentials, None)
            .unwrap()
            .with_retries(Retries {
                first_wait: std::time::Duration::from_millis(1),
                first_wait_throttled: std::time::Duration::from_millis(1),
                ..Retries::default()
            })
    }

    /// What was sent, with heads.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// The bodies of what was sent.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.requests()
            .iter()
            .map(|request| request.split_once("\r\n\r\n").unwrap().1.to_owned())
            .collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Seen>>) {
    let mut read = Vec::new();
    while let Some(request) = request(&mut stream, &mut read).await {
        let reply = {
            let mut seen = seen.lock().unwrap();
            seen.requests.push(request);
            // Who asks more often than the script says sees no answer, and the test the number of requests.
            seen.script.pop_front().unwrap_or(Reply::Cut)
        };
        let (status, headers, body, ends) = match reply {
            Reply::Answer(status, headers, body) => (status, headers, body, false),
            Reply::AnswerAndClose(body) => (200, "", body, true),
            Reply::Cut => return,
            Reply::Silence => continue,
            Reply::CutInside => {
                let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<Half>";
                stream.write_all(half.as_bytes()).await.unwrap();
                return;
            }
        };
        let answer = format!(
            "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() || ends {
            return;
        }
    }
}

/// The next request of a connection, head and body.
async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<String> {
    loop {
        let text = String::from_utf8_lossy(read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0_usize);
            if body.len() >= length {
                let whole = head.len() + 4 + length;
                read.drain(..whole);
                return Some(text[..whole].to_owned());
            }
        }
        let mut block = [0; 4096];
        match stream.read(&mut block).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => read.extend_from_slice(&block[..count]),
        }
    }
}
