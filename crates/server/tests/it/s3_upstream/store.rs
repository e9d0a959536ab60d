//! A store that remembers what it was sent, and answers with what it was given.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};
use irsa_core::Timestamp;
use irsa_sigv4::{RequestHead, Rules, presented};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// Whether all of the body came that its head announced.
    pub(super) whole: bool,
}

impl Seen {
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.head.lines().find_map(|line| {
            let (given, value) = line.split_once(": ")?;
            given.eq_ignore_ascii_case(name).then_some(value)
        });
        found.unwrap_or_default()
    }

    /// The signature is one of ours, over every header of Amazon's.
    #[track_caller]
    pub(super) fn verify(&self, secret: &str, region: &str) {
        let mut headers = HeaderMap::new();
        for line in self.head.lines().skip(1) {
            if let Some((name, value)) = line.split_once(": ") {
                headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
        }
        let mut line = self.line().split(' ');
        let (method, target) = (line.next().unwrap(), line.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let head = RequestHead {
            method,
            path,
            query,
            headers: &headers,
        };
        let presented = presented(&head).unwrap().unwrap();
        assert_eq!(presented.scope().region, region);
        let now: Timestamp = std::time::SystemTime::now().into();
        presented.verify(secret.as_bytes(), None, now, &Rules::s3()).unwrap();
        for name in headers.keys().filter(|name| name.as_str().starts_with("x-amz-")) {
            assert!(
                headers["authorization"].to_str().unwrap().contains(name.as_str()),
                "{name} is not signed"
            );
        }
    }
}

/// The store.
pub(super) struct Store {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    listener: TcpListener,
}

impl Store {
    pub(super) fn new(answer: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::streaming(move |seen, stream| stream.write_all(&answer(seen)))
    }

    /// One that writes its answers itself.
    pub(super) fn streaming(
        answer: impl Fn(&Seen, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let store = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            listener: listener.try_clone().unwrap(),
        };
        let (seen, answer) = (Arc::clone(&store.seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let Some(request) = read(&mut stream) else { return };
                    seen.lock().unwrap().push(request.clone());
                    // Whoever asked may be gone.
                    drop(answer(&request, &mut stream));
                });
            }
        });
        store
    }

    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where nobody listens any more.
    pub(super) fn close(self) -> String {
        let url = self.url();
        self.listener.set_nonblocking(true).unwrap();
        // The thread that accepts is woken once, and ends.
        drop(TcpStream::connect(self.address));
        drop(self.listener);
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(10), "it still listens");
            std::thread::yield_now();
        }
        url
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn last(&self) -> Seen {
        self.seen().pop().expect("nothing was sent")
    }

    /// Waits until that many requests have ended here.
    pub(super) fn wait(&self, count: usize) -> Vec<Seen> {
        let begun = Instant::now();
        loop {
            let seen = self.seen();
            if seen.len() >= count {
                return seen;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{} of {count} came",
                seen.len()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<Seen> {
    let (mut bytes, mut block) = (Vec::new(), vec![0; 64 * 1024]);
    let (end, length) = loop {
        let read = stream.read(&mut block).unwrap_or(0);
        if read == 0 {
            return None;
        }
        bytes.extend_from_slice(&block[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]);
        assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        break (end, length.unwrap_or(0_usize));
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        let read = stream.read(&mut block).unwrap_or(0);
        if read == 0 {
            break;
        }
        body.extend_from_slice(&block[..read]);
    }
    let whole = body.len() == length;
    Some(Seen { head, body, whole })
}

/// A good answer.
pub(super) fn ok(headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut answer = head.into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// A bad one, which says more than it should.
pub(super) fn error(status: u16, code: &str) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{}</Message><AWSAccessKeyId>{}</AWSAccessKeyId><RequestId>their-request</RequestId><HostId>their-host</HostId></Error>",
        if code == "AccessDenied" {
            "User arn:aws:iam::999 is not allowed"
        } else {
            "Their words."
        },
        super::UPSTREAM_KEY
    );
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}
