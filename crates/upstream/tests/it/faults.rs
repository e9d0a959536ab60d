//! Upstreams that die, dawdle or lie: every exchange ends, with an error, and the next one is not touched by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{answer, send, upstream};

/// What a server does once it has read a request.
#[derive(Clone)]
enum Behaviour {
    /// Sends these bytes, and then nothing, without hanging up.
    Stalls(Vec<u8>),
    /// Sends these bytes, and hangs up.
    Ends(Vec<u8>),
    /// Sends the bytes again and again, a piece every while.
    Drips(&'static [u8]),
}

/// A server; gives its URL, and how many connections it had.
async fn server(behaviours: Vec<Behaviour>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let connections = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let number = connections.fetch_add(1, Ordering::SeqCst);
            let behaviour = behaviours[number.min(behaviours.len() - 1)].clone();
            tokio::spawn(serve(stream, behaviour));
        }
    });
    (url, count)
}

async fn serve(mut stream: TcpStream, behaviour: Behaviour) {
    let mut block = [0; 4096];
    // Until the body `{}` is there.
    let mut read = Vec::new();
    while !read.ends_with(b"{}") {
        let count = stream.read(&mut block).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        read.extend_from_slice(&block[..count]);
    }
    match behaviour {
        Behaviour::Stalls(bytes) => {
            drop(stream.write_all(&bytes).await);
            // Until the other side hangs up.
            while stream.read(&mut block).await.unwrap_or(0) > 0 {}
        }
        Behaviour::Ends(bytes) => drop(stream.write_all(&bytes).await),
        Behaviour::Drips(bytes) => {
            while stream.write_all(bytes).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn good() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()
}

#[tokio::test]
async fn adv_up_06_every_exchange_ends() {
    let head = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}").into_bytes();
    let many: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    let huge = format!("x: {}\r\n\r\n", "y".repeat(300 << 10));
    let late = "the upstream took too long for the beginning of its answer";
    let stopped = "body: the upstream took too long for the next piece of its answer";
    let broken = "the exchange with the upstream broke off: ";
    let cut = "body: the exchange with the upstream broke off: ";
    for (what, behaviour, expected) in [
        ("no answer", Behaviour::Stalls(Vec::new()), late),
        ("half a head", Behaviour::Stalls(head("Content-Le")), late),
        ("a head in drops", Behaviour::Drips(b"HTTP/1.1 200 OK\r\nx: y\r\n"), ""),
        (
            "endless hints",
            Behaviour::Drips(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
            late,
        ),
        (
            "a body that stops",
            Behaviour::Stalls(head("Content-Length: 9\r\n\r\nabc")),
            stopped,
        ),
        (
            "chunks that stop",
            Behaviour::Stalls(head("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")),
            stopped,
        ),
        ("hanging up", Behaviour::Ends(Vec::new()), broken),
        (
            "half a head, then hanging up",
            Behaviour::Ends(head("Content-")),
            broken,
        ),
        (
            "a short body",
            Behaviour::Ends(head("Content-Length: 9\r\n\r\nabc")),
            cut,
        ),
        (
            "chunks without an end",
            Behaviour::Ends(head("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")),
            cut,
        ),
        (
            "a size that is no number",
            Behaviour::Ends(head("Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n")),
            cut,
        ),
        (
            "a size beyond all bounds",
            Behaviour::Ends(head("Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n")),
            cut,
        ),
        (
            "a chunk longer than said",
            Behaviour::Ends(head("Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n")),
            cut,
        ),
        ("huge headers", Behaviour::Ends(head(&huge)), broken),
        (
            "too many headers",
            Behaviour::Ends(head(&format!("{many}\r\n"))),
            broken,
        ),
        (
            "another protocol",
            Behaviour::Ends(b"SSH-2.0-x\r\n\r\n".to_vec()),
            broken,
        ),
        (
            "two lengths",
            Behaviour::Ends(head("Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc")),
            broken,
        ),
        (
            "no number for a length",
            Behaviour::Ends(head("Content-Length: -1\r\n\r\nabc")),
            broken,
        ),
        (
            "a header with a line in it",
            Behaviour::Ends(head("x\r\ny: z\r\nContent-Length: 0\r\n\r\n")),
            broken,
        ),
        (
            "another protocol from here on",
            Behaviour::Stalls(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec(),
            ),
            broken,
        ),
    ] {
        let (url, connections) = server(vec![behaviour, Behaviour::Ends(good())]).await;
        let upstream = upstream(&url, None);
        let waited = tokio::time::timeout(Duration::from_secs(60), answer(&upstream)).await;
        let error = waited.unwrap_or_else(|_| panic!("{what}: no end")).unwrap_err();
        assert!(error.starts_with(expected), "{what}: {error}");
        // The next request has a connection of its own, and the right answer.
        let (status, body) = answer(&upstream)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((status, body.as_ref()), (200, b"ok".as_slice()), "{what}");
        assert_eq!(connections.load(Ordering::SeqCst), 2, "{what}");
    }
}

#[tokio::test]
async fn adv_up_07_an_answer_that_nobody_asked_for_is_nobodys() {
    let mut two = good();
    two.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
    let (url, connections) = server(vec![Behaviour::Stalls(two), Behaviour::Stalls(good())]).await;
    let upstream = upstream(&url, None);
    assert_eq!(answer(&upstream).await.unwrap().1.as_ref(), b"ok");
    assert_eq!(answer(&upstream).await.unwrap().1.as_ref(), b"ok");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_answer_that_is_left_half_read_ends_its_connection() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".to_vec();
    let (url, connections) = server(vec![Behaviour::Stalls(half), Behaviour::Stalls(good())]).await;
    let upstream = upstream(&url, None);
    let mut response = send(&upstream).await.unwrap();
    let frame = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap().as_ref(), b"abc");
    drop(response);
    assert_eq!(answer(&upstream).await.unwrap().1.as_ref(), b"ok");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn nobody_there_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = answer(&upstream(&url, None)).await.unwrap_err();
    assert!(error.starts_with("the upstream can't be reached: "), "{error}");
    let error = answer(&upstream("http://name.invalid", None)).await.unwrap_err();
    assert!(error.starts_with("the upstream can't be reached: "), "{error}");
}
