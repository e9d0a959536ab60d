//! Keys: the one that was allowed is the one that is stored.

use proptest::prelude::*;

use crate::adversarial::sigv4::paths::{keys, runner};
use crate::adversarial::user;
use crate::client::{decode, encode};
use crate::harness::world;

#[test]
fn adv_s3_05_the_key_that_was_allowed_is_the_key_that_is_stored() {
    let world = world();
    let server = &world.server;
    // May write below `allowed/` only, and may read and list all.
    let writer = user(
        server,
        r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::first-bucket/allowed/*"}"#,
    );
    for (path, decoded, allowed) in [
        ("allowed/a", "allowed/a", true),
        ("allowed/../outside", "allowed/../outside", true),
        ("allowed/%2e%2e/outside", "allowed/../outside", true),
        ("allowed/..%2foutside", "allowed/../outside", true),
        ("allowed//double", "allowed//double", true),
        ("allowed/%2Fslash", "allowed//slash", true),
        ("allowed/a%20b%2Bc+d", "allowed/a b+c+d", true),
        ("allowed/%E2%98%83", "allowed/\u{2603}", true),
        ("allowed/%3Fquery%23fragment", "allowed/?query#fragment", true),
        ("allowed/%25", "allowed/%", true),
        ("allowed/%252e", "allowed/%2e", true),
        ("%61llowed/b", "allowed/b", true),
        ("allowed%2Fc", "allowed/c", true),
        ("Allowed/a", "Allowed/a", false),
        ("/allowed/a", "/allowed/a", false),
        ("./allowed/a", "./allowed/a", false),
        ("x/../allowed/a", "x/../allowed/a", false),
        ("allowed", "allowed", false),
        ("allowe%64x/a", "allowedx/a", false),
    ] {
        let response = server.s3(&writer, "PUT", &format!("/first-bucket/{path}"), path.as_bytes());
        if !allowed {
            assert_eq!(response.outcome(), "403 AccessDenied", "{path}: {}", response.text());
            continue;
        }
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        let record = server.record(&response);
        assert_eq!(record["requestParameters"]["key"], decoded, "{path}");
        assert_eq!(
            record["resources"][0]["ARN"],
            format!("arn:aws:s3:::first-bucket/{decoded}"),
            "{path}: {record}"
        );
        let got = server.s3(&world.admin, "GET", &format!("/first-bucket/{path}"), b"");
        assert_eq!(got.status, 200, "{path}: {}", got.text());
    }
    let outside = server.s3(&world.admin, "GET", "/first-bucket/outside", b"");
    assert_eq!(
        outside.outcome(),
        "404 NoSuchKey",
        "an object was stored outside of its prefix"
    );
    // The two spellings of the dots name one object, since dots mean nothing.
    let dots = server.s3(&world.admin, "GET", "/first-bucket/allowed/../outside", b"");
    assert_eq!(dots.text(), "allowed/..%2foutside");

    // Keys that can't be: refused, without a trace on the disk.
    for (what, path) in [
        ("1025 bytes", "a".repeat(1025)),
        ("no UTF-8", "%ff%fe".to_owned()),
        ("a broken escape", "%zz".to_owned()),
        ("a long escape", "%F0%9F%98%80".repeat(300)),
    ] {
        let response = server.s3(&world.admin, "PUT", &format!("/first-bucket/{path}"), b"x");
        assert!(
            (400..=403).contains(&response.status) || response.status == 200,
            "{what}: {}",
            response.text()
        );
        if what != "a broken escape" {
            assert_ne!(response.status, 200, "{what}");
        }
        server.record(&response);
    }
    // NUL and other controls are characters like any other, in the store and in the listing.
    for path in [
        "allowed/nul%00x",
        "allowed/bell%07",
        "allowed/line%0Abreak",
        "allowed/%3Cxml%3E",
    ] {
        let response = server.s3(&world.admin, "PUT", &format!("/first-bucket/{path}"), b"x");
        assert!(
            response.status == 200 || response.status == 400,
            "{path}: {}",
            response.text()
        );
        server.record(&response);
    }
    let list = server.s3(&world.admin, "GET", "/first-bucket?list-type=2&prefix=allowed", b"");
    assert_eq!(list.status, 200, "{}", list.text());
    let raw = list.text();
    assert!(
        !raw.chars().any(|character| character.is_control() && character != '\n'),
        "{raw:?}"
    );
    assert!(!raw.contains("<xml>"), "{raw}");
    // Nothing but objects lies where objects lie: no file has the name of a key.
    let mut folders = vec![server.folder.objects()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            assert!(!file.contains("outside") && !file.contains("double"), "{file}");
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    assert!(!server.folder.root().join("outside").exists());
}

#[test]
fn adv_s3_05_a_prefix_is_a_prefix_of_the_key_as_it_is_stored() {
    let world = world();
    let server = &world.server;
    let writer = user(
        server,
        r#"{"Effect":"Allow","Action":["s3:PutObject","s3:GetObject"],"Resource":"arn:aws:s3:::first-bucket/s3-05/in/*"}"#,
    );
    let outcome = runner(120).run(&(any::<bool>(), keys()), |(inside, path)| {
        let path = if inside {
            format!("s3-05/in/{path}")
        } else {
            format!("s3-05/{path}")
        };
        let key = String::from_utf8(decode(&path)).unwrap();
        let allowed = key.starts_with("s3-05/in/");
        let put = server.s3(&writer, "PUT", &format!("/first-bucket/{path}"), key.as_bytes());
        prop_assert_eq!(put.status, if allowed { 200 } else { 403 }, "{}: {}", path, put.text());
        let get = server.s3(&world.admin, "GET", &format!("/first-bucket/{}", encode(&key)), b"");
        if allowed {
            prop_assert_eq!(get.body, key.as_bytes());
        } else {
            prop_assert_eq!(get.outcome(), "404 NoSuchKey", "{}", path);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    // The listing knows every key that was written, and none outside of the prefix.
    let list = server.s3(
        &world.admin,
        "GET",
        "/first-bucket?list-type=2&prefix=s3-05/&encoding-type=url",
        b"",
    );
    let text = list.text();
    let listed: Vec<&str> = text
        .split("<Key>")
        .skip(1)
        .filter_map(|rest| rest.split("</Key>").next())
        .collect();
    assert!(!listed.is_empty());
    for key in listed {
        assert!(decode(key).starts_with(b"s3-05/in/"), "{key}");
    }
}

#[test]
fn adv_s3_05_a_key_has_1024_bytes_at_most() {
    let world = world();
    let server = &world.server;
    let files = || crate::s3_multipart::files(server);
    for (what, character, bytes) in [("letters", "a", 1), ("snowmen", "%E2%98%83", 3), ("slashes", "%2F", 1)] {
        let path = |length: usize| {
            format!(
                "/first-bucket/{}{}",
                character.repeat(length / bytes),
                "a".repeat(length % bytes)
            )
        };
        let put = server.s3(&world.admin, "PUT", &path(1024), what.as_bytes());
        assert_eq!(put.status, 200, "{what}: {}", put.text());
        assert_eq!(server.s3(&world.admin, "GET", &path(1024), b"").text(), what);
        for length in [1025, 1026, 4000] {
            for (method, query) in [
                ("PUT", ""),
                ("GET", ""),
                ("DELETE", ""),
                ("POST", "?uploads"),
                ("PUT", "?tagging"),
            ] {
                let response = server.s3(&world.admin, method, &format!("{}{query}", path(length)), b"x");
                assert_eq!(
                    response.outcome(),
                    "400 KeyTooLongError",
                    "{what} {length} {method}: {}",
                    response.text()
                );
                server.record(&response);
            }
        }
        // Neither as the source of a copy nor in a batch.
        let copy = crate::client::Request::new("PUT", "/first-bucket/s3-05-copy")
            .header("x-amz-copy-source", &format!("first-bucket/{}", "a".repeat(1025)));
        let response = server.signed(copy, &world.admin, "s3");
        assert!(matches!(response.status, 400 | 404), "{}", response.text());
        assert_eq!(server.s3(&world.admin, "DELETE", &path(1024), b"").status, 204);
    }
    let batch = format!("<Delete><Object><Key>{}</Key></Object></Delete>", "a".repeat(1025));
    let response = server.s3(&world.admin, "POST", "/first-bucket?delete", batch.as_bytes());
    assert!(
        response.status == 400 || response.text().contains("<Error>"),
        "{}",
        response.text()
    );
    assert!(files() > 0);
}
