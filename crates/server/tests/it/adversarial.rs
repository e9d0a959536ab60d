//! The catalogue of attacks, a named test a row: `cargo test adv_sv` is all of the signature's, `cargo test adv_s3` all of S3's.
//!
//! Each attack stands beside the honest request that it was bent from, which goes through.

mod audit;
mod s3;
mod sigv4;

use irsa_s3::{Marker, ResourceKind};

use crate::client::{Key, Request};
use crate::harness::{Server, name, policy};

/// The words for bodies in chunks.
const STREAMING: [&str; 3] = [
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
];

/// One harmless request for each way into the server.
fn routes() -> Vec<(&'static str, Request)> {
    let json = |method: &str, target: &str| Request::new(method, target).header("content-type", "application/json");
    vec![
        (
            "sts",
            Request::form(&[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]),
        ),
        (
            "iam",
            Request::form(&[("Action", "ListUsers"), ("Version", "2010-05-08")]),
        ),
        ("iam", Request::new("GET", "/?Action=ListUsers&Version=2010-05-08")),
        ("eks", json("GET", "/clusters")),
        ("eks", json("DELETE", "/clusters/none")),
        ("irsa", json("GET", "/accounts")),
        ("s3", Request::new("GET", "/")),
        ("s3", Request::new("GET", "/first-bucket")),
        ("s3", Request::new("GET", "/first-bucket/hello.txt")),
        ("s3", Request::new("PUT", "/first-bucket/forged").body("x")),
        ("s3", Request::new("PUT", "/forged-bucket")),
        ("s3", Request::new("POST", "/first-bucket?delete").body("<Delete/>")),
        ("s3", Request::new("DELETE", "/first-bucket/hello.txt")),
    ]
}

/// One request for each operation that S3 has here, to things that are there.
fn s3_operations() -> Vec<(&'static str, Request)> {
    let rows = irsa_s3::operations().map(|row| {
        let path = match row.resource {
            ResourceKind::Service => "/",
            ResourceKind::NewBucket => "/forged-bucket",
            ResourceKind::Bucket | ResourceKind::Keys => "/first-bucket",
            ResourceKind::Object | ResourceKind::Copy | ResourceKind::Tagged => "/first-bucket/hello.txt",
        };
        let mut request = Request::new(row.method, path);
        for marker in row.markers {
            let (name, value) = match *marker {
                Marker::Query("partNumber") => ("partNumber", "1"),
                Marker::Query(name) => (name, ""),
                Marker::QueryIs(name, value) => (name, value),
                Marker::Header(name) => {
                    request = request.header(name, "first-bucket/hello.txt");
                    continue;
                }
            };
            let separator = if request.query.is_empty() { "" } else { "&" };
            request.query = format!("{}{separator}{name}={value}", request.query);
        }
        (row.name, request)
    });
    rows.collect()
}

/// A new user with these statements.
fn user(server: &Server, statements: &str) -> Key {
    server.user(&server.root, &name("adv"), Some(&policy(statements)))
}
