//! Requests that a server behind the proxy could read as others than those that were decided.

use super::*;

#[test]
fn adv_az_04_paths_that_servers_read_in_two_ways() {
    let authorizer = start();
    let reader = authorizer.user(r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::photos/public/*"}"#);
    let tricks = [
        "/photos/public/../secret",
        "/photos/public/%2e%2e/secret",
        "/photos/public/./a",
        "/photos/public//a",
        "/photos//public/a",
        "//photos/public/a",
        "/photos/public/a%2F..%2F..%2Fsecret",
        "/photos/public/a%2fb",
        "/photos/public/a%5c..%5csecret",
        "/photos/public/..",
        "/photos/public/a%00",
    ];
    for trick in tricks {
        for method in ["GET", "PUT", "DELETE"] {
            let refused = authorizer.ask_nginx(&s3(&reader, method, trick));
            assert_eq!(refused.status, 403, "{method} {trick}: {refused:?}");
            authorizer.record(refused.header("x-irsa-request-id").unwrap());
        }
        let copy = Request::new("PUT", "/photos/public/copy").header("x-amz-copy-source", trick);
        let copy = sent(S3, copy, &Signing::new(&reader, "s3"));
        assert_eq!(authorizer.ask_nginx(&copy).status, 403, "{trick}");
    }
    for plain in [
        "/photos/public/a%20b+c",
        "/photos/public/folder/",
        "/photos/public/a..b/.c",
        "/photos/public/100%25",
    ] {
        assert_eq!(authorizer.ask_nginx(&s3(&reader, "GET", plain)).status, 200, "{plain}");
    }
    // A store that takes keys as they are: then a key is what it is.
    let literal = start_with(AuthorizerConfig {
        literal_keys: true,
        ..settings()
    });
    let reader = literal.user(READ);
    for key in ["/photos/public/../secret", "/photos/public//a", "/photos/public/a%2Fb"] {
        assert_eq!(literal.ask_nginx(&s3(&reader, "GET", key)).status, 200, "{key}");
    }
    for key in ["/photos//public/a", "/photos/public/%zz/../../../x%"] {
        let status = literal.ask_nginx(&s3(&reader, "GET", key)).status;
        let expected = if key.starts_with("/photos/public/") { 200 } else { 403 };
        assert_eq!(status, expected, "{key}");
    }
}
