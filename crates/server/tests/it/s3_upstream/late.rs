//! A store that takes its time, and says only in the end what became of it.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use irsa_audit::Filter;
use irsa_server::S3UpstreamConfig;

use super::store::{Store, error};
use super::{start_as, upstream_config, user};
use crate::client::{Request, connect, encode};
use crate::harness::{ALLOW_ALL, Server};

/// Says 200 and blanks, and this when it is told to.
fn slow(end: &'static str) -> (Store, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let store = Store::streaming(move |seen, stream| {
        if seen.line().contains("?uploads=") {
            let text = "<X><UploadId>u</UploadId></X>";
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}",
                text.len()
            );
            return stream.write_all(head.as_bytes());
        }
        if seen.line().starts_with("GET") {
            return stream.write_all(&error(404, "NoSuchKey"));
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"e\"\r\n\r\n<?xml version=\"1.0\"?>\n   ")?;
        let _ = wait.lock().unwrap().recv_timeout(Duration::from_secs(60));
        stream.write_all(end.as_bytes())
    });
    (store, go)
}

fn before_slow(store: &Store) -> (tempfile::TempDir, Server) {
    start_as(S3UpstreamConfig {
        patience: Some(Duration::from_millis(50)),
        ..upstream_config(&[store.url()])
    })
}

/// Reads until the stream has brought this.
fn read_until(stream: &mut std::net::TcpStream, wanted: &str) -> String {
    let (mut bytes, mut block) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut block).unwrap();
        bytes.extend_from_slice(&block[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text.contains(wanted) {
            return text;
        }
        assert!(read > 0, "no {wanted} in {text}");
    }
}

fn id_of(head: &str) -> String {
    let line = head.lines().find_map(|line| line.strip_prefix("x-amz-request-id: "));
    line.unwrap_or_else(|| panic!("no id in {head}")).to_owned()
}

#[test]
fn a_failure_that_comes_late_is_recorded_as_one() {
    let error = "\n<Error><Code>InternalError</Code><Message>Their words.</Message><HostId>their-host</HostId></Error>";
    let (store, go) = slow(error);
    let (_folder, server) = before_slow(&store);
    let admin = user(&server, ALLOW_ALL);
    let id = server
        .s3(&admin, "POST", "/data/k?uploads", b"")
        .element("UploadId")
        .unwrap();
    let complete = Request::new("POST", &format!("/data/k?uploadId={}", encode(&id)))
        .body("<CompleteMultipartUpload></CompleteMultipartUpload>");
    let copy = Request::new("PUT", "/data/k").header("x-amz-copy-source", "data/source");
    for (request, event) in [(complete, "CompleteMultipartUpload"), (copy, "CopyObject")] {
        let mut stream = connect(&server.host);
        stream
            .write_all(&request.sign(&server.host, &admin, "s3").bytes(&server.host))
            .unwrap();
        let head = read_until(&mut stream, "<?xml");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let request_id = id_of(&head);
        assert_eq!(server.records(&request_id).len(), 0, "nothing is known yet");
        go.send(()).unwrap();
        let rest = read_until(&mut stream, "</Error>");
        assert!(rest.contains("<Code>InternalError</Code>"), "{rest}");
        assert!(!rest.contains("their-host") && !rest.contains("<?xml"), "{rest}");
        let [record] = &server.records(&request_id)[..] else {
            panic!("one record")
        };
        assert_eq!(record["eventName"], event);
        assert_eq!(record["errorCode"], "InternalError", "{record}");
    }
}

#[test]
fn a_late_success_is_one_and_who_hangs_up_has_his_record() {
    let (store, go) = slow("<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>");
    let (_folder, server) = before_slow(&store);
    let admin = user(&server, ALLOW_ALL);
    let begin = || {
        let copy = Request::new("PUT", "/data/k").header("x-amz-copy-source", "data/source");
        let mut stream = connect(&server.host);
        stream
            .write_all(&copy.sign(&server.host, &admin, "s3").bytes(&server.host))
            .unwrap();
        let head = read_until(&mut stream, "<?xml");
        (stream, id_of(&head))
    };
    let (mut stream, request_id) = begin();
    go.send(()).unwrap();
    let rest = read_until(&mut stream, "</CopyObjectResult>");
    assert!(!rest.contains("<?xml"), "{rest}");
    let [record] = &server.records(&request_id)[..] else {
        panic!("one record")
    };
    assert_eq!(
        (&record["eventName"], record.get("errorCode")),
        (&"CopyObject".into(), None)
    );
    let (stream, request_id) = begin();
    drop(stream);
    go.send(()).unwrap();
    // A server ends when all that is under way has ended.
    let journal = server.folder.audit();
    server.stop();
    let filter = Filter {
        request_id: Some(request_id),
        ..Filter::default()
    };
    let records: Vec<_> = irsa_audit::lookup(&journal, filter)
        .unwrap()
        .map(|record| record.unwrap().event)
        .collect();
    let [record] = &records[..] else {
        panic!("one record: {records:?}")
    };
    assert_eq!(
        (&record["eventName"], record.get("errorCode")),
        (&"CopyObject".into(), None)
    );
}
