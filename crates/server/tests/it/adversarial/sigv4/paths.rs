//! Paths, queries and headers that can be written in many ways: the verifier and the router read the same.

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::client::{Request, Signing, decode, encode, exchange};
use crate::harness::world;

/// Runs a property with the same cases each time.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Paths below a bucket that mean different things to different readers.
pub(crate) fn keys() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("a"),
        Just("/"),
        Just("//"),
        Just("."),
        Just(".."),
        Just("../"),
        Just("%2F"),
        Just("%2f"),
        Just("%2E%2e"),
        Just("%252F"),
        Just("%25"),
        Just("+"),
        Just("%2B"),
        Just("%20"),
        Just("%C3%A9"),
        Just("\u{e9}"),
        Just("e%CC%81"),
        Just("%3F"),
        Just("%23"),
        Just("%3B"),
        Just(";"),
        Just("&"),
        Just("="),
        Just("~"),
        Just("%7E"),
        Just("*"),
        Just("%2A"),
        Just("'"),
        Just("%41"),
        Just("%"),
        Just("%4"),
        Just("\\"),
        Just("%5C"),
        Just(":"),
        Just("@"),
    ];
    prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn adv_sv_17_verifier_and_router_see_the_same_key() {
    let world = world();
    let server = &world.server;
    let outcome = runner(120).run(&keys(), |path| {
        let target = format!("/first-bucket/sv-17/{path}");
        let signed = Request::new("PUT", &target)
            .body(path.as_bytes())
            .sign(&server.host, &world.admin, "s3");
        let response = server.send(&signed);
        prop_assert_eq!(response.status, 200, "{}: {}", path, response.text());
        // The key that was decided and recorded is the path, decoded once.
        let key = String::from_utf8(decode(&path)).unwrap();
        let record = server.record(&response);
        prop_assert_eq!(&record["requestParameters"]["key"], &format!("sv-17/{key}"));
        prop_assert_eq!(
            &record["resources"][0]["ARN"],
            &format!("arn:aws:s3:::first-bucket/sv-17/{key}")
        );
        // It is stored under that key: the strictest spelling of it finds it.
        let got = server.s3(
            &world.admin,
            "GET",
            &format!("/first-bucket/sv-17/{}", encode(&key)),
            b"",
        );
        prop_assert_eq!(got.body, path.as_bytes());
        // The signature is good for that key in any spelling,
        let mut spelled = signed.clone();
        spelled.path = format!("/first-bucket/sv-17%2F{}", encode(&key));
        prop_assert_eq!(server.send(&spelled).status, 200, "{} as {}", path, spelled.path);
        // and opens no other path that some reader may take for the same.
        for other in [
            path.replace("%2F", "/"),
            path.replace("//", "/"),
            path.replace('+', "%20"),
            path.replace("../", ""),
            format!("{path}/"),
            path.replace("%25", "%"),
        ] {
            if decode(&other) == decode(&path) {
                continue;
            }
            let mut moved = signed.clone();
            moved.path = format!("/first-bucket/sv-17/{other}");
            let response = server.send(&moved);
            prop_assert_eq!(
                response.outcome(),
                "403 SignatureDoesNotMatch",
                "{} as {}: {}",
                path,
                other,
                response.text()
            );
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    // Other services take paths in their simplest form, and nothing that only looks like it.
    for target in ["/clusters", "//clusters", "/./clusters", "/x/../clusters"] {
        let response = server.signed(
            Request::new("GET", target).header("content-type", "application/json"),
            &world.admin,
            "eks",
        );
        assert!(
            target == "/clusters" && response.status == 200 || response.status >= 400,
            "{target}: {}",
            response.text()
        );
    }
}

#[test]
fn adv_sv_18_queries_in_any_order_and_no_others() {
    let world = world();
    let server = &world.server;
    let lists = |query: &str, signed_as: &str| {
        let mut request =
            Request::new("GET", &format!("/first-bucket?{signed_as}")).sign(&server.host, &world.admin, "s3");
        request.query = query.to_owned();
        server.send(&request).outcome()
    };
    let signed = "list-type=2&prefix=hello.txt&delimiter=%2F&max-keys=1";
    // One query in other spellings.
    for same in [
        "max-keys=1&delimiter=%2F&prefix=hello.txt&list-type=2",
        "list-type=2&prefix=hello%2Etxt&delimiter=/&max-keys=%31",
        "%6cist-type=2&prefix=hello.txt&delimiter=%2f&max-keys=1",
        "&&list-type=2&prefix=hello.txt&delimiter=%2F&max-keys=1&",
    ] {
        let outcome = lists(same, signed);
        assert!(
            outcome == "200" || outcome.starts_with("400") || outcome.starts_with("501"),
            "{same}: {outcome}"
        );
        assert_ne!(outcome, "403 SignatureDoesNotMatch", "{same}");
    }
    assert_eq!(lists(signed, signed), "200");
    // Other queries.
    for other in [
        "list-type=2&prefix=hello.txt&delimiter=%2F",
        "list-type=2&prefix=hello.txt&delimiter=%2F&max-keys=1000",
        "list-type=2&prefix=&delimiter=%2F&max-keys=1",
        "list-type=2&prefix=hello.txt&delimiter=%252F&max-keys=1",
        "list-type=2&prefix=hello.txt&delimiter=%2F&max-keys=1&uploads",
        "list-type=2&prefix=hello.txt&delimiter=%2F&max-keys=1&uploads=",
        "List-Type=2&prefix=hello.txt&delimiter=%2F&max-keys=1",
        "list-type=2&prefix=hello.txt&delimiter=%2F&max-keys=1&prefix=",
        "",
    ] {
        assert_eq!(lists(other, signed), "403 SignatureDoesNotMatch", "{other}");
    }
    // A name without a value and one with an empty one are the same to the signature, and to us.
    for (sent, signed) in [("uploads", "uploads="), ("uploads=", "uploads")] {
        assert_eq!(lists(sent, signed), "200", "{sent}");
    }
}

#[test]
fn adv_sv_16_header_values_in_any_spelling_and_no_others() {
    let world = world();
    let server = &world.server;
    let key = "/first-bucket/sv-16";
    let signing = Signing::new(&world.admin, "s3");
    let request = Request::new("PUT", key)
        .header("x-amz-meta-note", "one two three")
        .body("x");
    let signed = request.signed(&server.host, &signing);
    let send = |lines: &[u8]| {
        let mut bytes = format!(
            "PUT {key} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: 1\r\n",
            server.host
        )
        .into_bytes();
        for (name, value) in signed.headers.iter().filter(|(name, _)| name != "x-amz-meta-note") {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(lines);
        bytes.extend_from_slice(b"\r\nx");
        exchange(&server.host, &bytes, false)
    };
    // The name in another case, spaces around, runs of spaces inside: the same canonical line.
    for same in [
        &b"x-amz-meta-note: one two three\r\n"[..],
        b"X-AMZ-Meta-NOTE:one two three\r\n",
        b"x-amz-meta-note:   one two three   \r\n",
        b"x-amz-meta-note: one   two  three\r\n",
    ] {
        let response = send(same).unwrap();
        assert_eq!(
            response.status,
            200,
            "{}: {}",
            String::from_utf8_lossy(same),
            response.text()
        );
    }
    for other in [
        &b"x-amz-meta-note: one two Three\r\n"[..],
        b"x-amz-meta-note: one\ttwo three\r\n",
        b"x-amz-meta-note: onetwo three\r\n",
        b"x-amz-meta-note: one two three\r\nx-amz-meta-note: four\r\n",
        b"x-amz-meta-note: one two three\r\nx-amz-meta-note: one two three\r\n",
        b"x-amz-meta-note: one two three,\r\n",
        b"x-amz-meta-note: one two three\xc3\xa9\r\n",
        b"x-amz-meta-note: one two three\xff\r\n",
        b"x-amz-meta-note: one two\r\n three\r\n",
        b"x-amz-meta-note: one two three\0\r\n",
        b"x-amz-meta-note:\r\n",
        b"",
    ] {
        let shown = String::from_utf8_lossy(other).into_owned();
        match send(other) {
            Ok(response) => assert!(
                matches!(response.status, 400 | 403),
                "{shown:?}: {} {}",
                response.status,
                response.text()
            ),
            Err(error) => assert!(error.starts_with("no head in"), "{shown:?}: {error}"),
        }
    }
    // Values of one name in two lines are one value with a comma, in their order.
    let two = |first: &str, second: &str, signed_as: &str| {
        let signed = Request::new("GET", "/first-bucket/hello.txt")
            .header("x-amz-optional-object-attributes", signed_as)
            .signed(&server.host, &signing)
            .without("x-amz-optional-object-attributes")
            .header("x-amz-optional-object-attributes", first)
            .header("x-amz-optional-object-attributes", second);
        server.send(&signed).outcome()
    };
    assert_eq!(two("a", "b", "b,a"), "403 SignatureDoesNotMatch");
    assert_ne!(two("a", "b", "a,b"), "403 SignatureDoesNotMatch");
    // Bytes that are no ASCII, signed as what they are.
    let snowman = Request::new("PUT", "/first-bucket/sv-16-snowman")
        .header("x-amz-meta-note", "\u{2603}")
        .body("x");
    let response = server.signed_as(snowman, &signing);
    assert!(matches!(response.status, 200 | 400), "{}", response.text());
}
