//! What is connected to, what is asked, and what is accepted as an answer.

use std::sync::Arc;
use std::time::Duration;

use irsa_oidc::{FetchError, FetchOptions, Trusted};

use crate::issuer::{Authority, DISCOVERY, Issuer, KEYS, Reply, Resolver, account, at, fetch_once, key, options};

#[tokio::test]
async fn keys_of_a_registered_issuer() {
    let (authority, key) = (Authority::new(), key());
    let issuer = Issuer::start(&authority, &[&key]).await;
    let keys = fetch_once(options(&authority), &issuer).await.unwrap();
    assert!(keys.contains(key.key_id()));
    assert_eq!((issuer.count(DISCOVERY), issuer.count(KEYS)), (1, 1));
}

#[tokio::test]
async fn a_path_and_a_trailing_slash_are_part_of_the_issuer() {
    let (authority, key) = (Authority::new(), key());
    let issuer = Issuer::start(&authority, &[&key]).await;
    for path in ["/id/A", "/id/A/"] {
        let url = format!("{}{path}", issuer.url);
        issuer.reply(
            &format!("/id/A{DISCOVERY}"),
            issuer.discovery(&url, &format!("{}{KEYS}", issuer.url)),
        );
        let trusted = Trusted::new(options(&authority)).unwrap();
        trusted.keys(account(1), &url, &[], None, at(0)).await.unwrap();
    }
}

#[tokio::test]
async fn jk_01_another_issuers_document_is_refused() {
    let (authority, key) = (Authority::new(), key());
    let issuer = Issuer::start(&authority, &[&key]).await;
    issuer.reply(
        DISCOVERY,
        issuer.discovery("https://other.example", &format!("{}{KEYS}", issuer.url)),
    );
    let refused = fetch_once(options(&authority), &issuer).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "the discovery document of `{}` names the issuer `https://other.example`",
            issuer.url
        )
    );
    assert_eq!(issuer.count(KEYS), 0);
}

#[tokio::test]
async fn jk_02_keys_are_fetched_over_https_only() {
    let (authority, key) = (Authority::new(), key());
    let issuer = Issuer::start(&authority, &[&key]).await;
    for uri in [
        "http://issuer.test/keys",
        "file:///etc/passwd",
        "gopher://issuer.test/",
        "/keys",
        "https://a@issuer.test/keys",
        "",
    ] {
        issuer.reply(DISCOVERY, issuer.discovery(&issuer.url, uri));
        let refused = fetch_once(options(&authority), &issuer).await.unwrap_err();
        assert!(matches!(refused, FetchError::Url { .. }), "{uri}: {refused}");
    }
    assert_eq!(issuer.count(KEYS), 0);
}

#[tokio::test]
async fn jk_02_keys_on_another_host_are_a_setting() {
    let (authority, key) = (Authority::new(), key());
    let params = rcgen::CertificateParams::new(vec!["issuer.test".to_owned(), "keys.test".to_owned()]).unwrap();
    let (certificate, private) = authority.issue(&params);
    let issuer = Issuer::with_chain(vec![certificate], &private).await;
    issuer.reply(
        DISCOVERY,
        issuer.discovery(&issuer.url, &format!("https://keys.test:{}{KEYS}", issuer.port())),
    );
    issuer.reply(KEYS, Reply::keys("", &[&key]));
    assert!(fetch_once(options(&authority), &issuer).await.is_ok());
    let strict = FetchOptions {
        allow_other_host: false,
        ..options(&authority)
    };
    let refused = fetch_once(strict, &issuer).await.unwrap_err();
    assert!(matches!(refused, FetchError::OtherHost { .. }), "{refused}");
    assert_eq!(issuer.count(KEYS), 1);
}

#[tokio::test]
async fn jk_03_private_addresses_are_refused_with_the_reason() {
    for (answer, address) in [
        (["127.0.0.1"].as_slice(), "127.0.0.1"),
        (&["1.1.1.1", "10.0.0.1"], "10.0.0.1"),
        (&["::ffff:192.168.0.1"], "::ffff:192.168.0.1"),
        (&["fd00::1"], "fd00::1"),
    ] {
        let trusted = Trusted::new(FetchOptions {
            resolver: Resolver::new(&[answer]),
            ..FetchOptions::default()
        })
        .unwrap();
        let refused = trusted
            .keys(account(1), "https://issuer.example/a", &[], None, at(0))
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "`https://issuer.example/a/.well-known/openid-configuration` resolves to the private address {address}; start the server with --allow-private-issuers"
            )
        );
    }
}

#[tokio::test]
async fn jk_03_metadata_services_are_refused_by_every_setting() {
    for address in [
        "169.254.169.254",
        "fd00:ec2::254",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "64:ff9b::a9fe:a9fe",
    ] {
        let trusted = Trusted::new(FetchOptions {
            allow_private: true,
            resolver: Resolver::new(&[&["127.0.0.1", address]]),
            ..FetchOptions::default()
        })
        .unwrap();
        let refused = trusted
            .keys(account(1), "https://issuer.example", &[], None, at(0))
            .await
            .unwrap_err();
        assert!(matches!(refused, FetchError::ForbiddenAddress { .. }), "{refused}");
    }
}

#[tokio::test]
async fn jk_03_addresses_as_hosts_are_checked_without_a_resolver() {
    let resolver = Resolver::new(&[&["1.1.1.1"]]);
    let trusted = Trusted::new(FetchOptions {
        resolver: Arc::clone(&resolver) as _,
        ..FetchOptions::default()
    })
    .unwrap();
    for url in [
        "https://127.0.0.1/a",
        "https://[::1]",
        "https://[::ffff:7f00:1]/",
        "https://10.1.2.3",
    ] {
        let refused = trusted.keys(account(1), url, &[], None, at(0)).await.unwrap_err();
        assert!(matches!(refused, FetchError::PrivateAddress { .. }), "{url}: {refused}");
    }
    for url in [
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "http://issuer.example",
    ] {
        let refused = trusted.keys(account(1), url, &[], None, at(0)).await.unwrap_err();
        assert!(matches!(refused, FetchError::Url { .. }), "{url}: {refused}");
    }
    let refused = trusted
        .keys(account(1), "https://issuer.example:6443", &[], None, at(0))
        .await
        .unwrap_err();
    assert!(matches!(refused, FetchError::Port { .. }), "{refused}");
    assert!(resolver.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn jk_04_a_name_is_resolved_once_for_each_connection() {
    let (authority, key) = (Authority::new(), key());
    let issuer = Issuer::start(&authority, &[&key]).await;
    // The second connection is for the keys: its address is checked as the first one's was.
    let resolver = Resolver::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let rebinding = FetchOptions {
        resolver: Arc::clone(&resolver) as _,
        ..options(&authority)
    };
    let refused = fetch_once(rebinding, &issuer).await.unwrap_err();
    assert!(matches!(refused, FetchError::ForbiddenAddress { .. }), "{refused}");
    assert_eq!(*resolver.asked.lock().unwrap(), ["issuer.test", "issuer.test"]);
    assert_eq!((issuer.count(DISCOVERY), issuer.count(KEYS)), (1, 0));
}

#[tokio::test]
async fn an_address_that_refuses_is_not_the_last_one() {
    let (authority, key) = (Authority::new(), key());
    let issuer = Issuer::start(&authority, &[&key]).await;
    let both = FetchOptions {
        resolver: Resolver::new(&[&["::1", "127.0.0.1"]]),
        ..options(&authority)
    };
    assert!(fetch_once(both, &issuer).await.is_ok());
}

#[tokio::test]
async fn jk_05_redirects_are_not_followed() {
    let (authority, key) = (Authority::new(), key());
    let issuer = Issuer::start(&authority, &[&key]).await;
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        for path in [DISCOVERY, KEYS] {
            let issuer = Issuer::start(&authority, &[&key]).await;
            issuer.reply(
                path,
                Reply::status(status, &format!("location: {}/elsewhere\r\n", issuer.url), ""),
            );
            let refused = fetch_once(options(&authority), &issuer).await.unwrap_err();
            assert!(matches!(refused, FetchError::Redirect { .. }), "{refused}");
            assert_eq!(issuer.count("/elsewhere"), 0);
        }
    }
    issuer.reply(KEYS, Reply::status("500 Oops", "", ""));
    let refused = fetch_once(options(&authority), &issuer).await.unwrap_err();
    assert!(matches!(refused, FetchError::Status { status: 500, .. }), "{refused}");
}

#[tokio::test]
async fn jk_06_bodies_have_a_limit() {
    let (authority, key) = (Authority::new(), key());
    let issuer = Issuer::start(&authority, &[&key]).await;
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000)).into_bytes();
    let endless = Reply::Endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(), chunk);
    let declared = Reply::Endless(
        b"HTTP/1.1 200 OK\r\ncontent-length: 5368709120\r\n\r\n".to_vec(),
        vec![b' '; 4096],
    );
    for reply in [endless, declared] {
        for (path, limit) in [(DISCOVERY, 64 * 1024), (KEYS, 256 * 1024)] {
            let issuer = Issuer::start(&authority, &[&key]).await;
            issuer.reply(path, reply.clone());
            let refused = fetch_once(options(&authority), &issuer).await.unwrap_err();
            let url = format!("{}{path}", issuer.url);
            assert_eq!(refused, FetchError::TooLarge { url, limit });
        }
    }
    // Exactly at the limit is not too large.
    let document = irsa_token::SigningKey::jwk_set(&[&key]).to_string();
    let padded = format!("{document}{}", " ".repeat(256 * 1024 - document.len()));
    issuer.reply(KEYS, Reply::ok("", &padded));
    assert!(fetch_once(options(&authority), &issuer).await.is_ok());
}

#[tokio::test]
async fn jk_06_heads_have_a_limit() {
    let (authority, key) = (Authority::new(), key());
    for (first, rest) in [
        ("HTTP/1.1 200 OK\r\n", "x-a: b\r\n"),
        ("HTTP/1.1 200 OK\r\nx-a: ", "bbbbbbbbbbbbbbbb"),
        ("", "HTTP/1.1 "),
    ] {
        let issuer = Issuer::start(&authority, &[&key]).await;
        issuer.reply(DISCOVERY, Reply::Endless(first.into(), rest.into()));
        let refused = fetch_once(options(&authority), &issuer).await.unwrap_err();
        assert!(matches!(refused, FetchError::Http { .. }), "{refused}");
    }
}

#[tokio::test]
async fn jk_06_the_whole_fetch_has_a_deadline() {
    let (authority, key) = (Authority::new(), key());
    let slow_body = Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec());
    let one_byte = Reply::Endless(
        b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
        b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
    );
    for (path, reply, ends_early) in [
        (DISCOVERY, Reply::Silence, false),
        (KEYS, Reply::Silence, false),
        (KEYS, one_byte, false),
        (KEYS, slow_body, true),
    ] {
        let issuer = Issuer::start(&authority, &[&key]).await;
        issuer.reply(path, reply);
        let hasty = FetchOptions {
            deadline: Duration::from_millis(300),
            ..options(&authority)
        };
        let refused = fetch_once(hasty, &issuer).await.unwrap_err();
        if ends_early {
            assert!(matches!(refused, FetchError::Http { .. }), "{refused}");
        } else {
            assert_eq!(
                refused.to_string(),
                format!("issuer `{}` did not answer within 300 ms", issuer.url)
            );
        }
    }
}

#[tokio::test]
async fn jk_06_compressed_answers_are_refused() {
    let (authority, key) = (Authority::new(), key());
    for encoding in ["gzip", "br", "identity, gzip", "zstd"] {
        let issuer = Issuer::start(&authority, &[&key]).await;
        issuer.reply(KEYS, Reply::keys(&format!("content-encoding: {encoding}\r\n"), &[&key]));
        let refused = fetch_once(options(&authority), &issuer).await.unwrap_err();
        assert!(matches!(refused, FetchError::Encoding { .. }), "{refused}");
    }
    let issuer = Issuer::start(&authority, &[&key]).await;
    issuer.reply(KEYS, Reply::keys("content-encoding: identity\r\n", &[&key]));
    assert!(fetch_once(options(&authority), &issuer).await.is_ok());
}

#[tokio::test]
async fn jk_09_published_private_keys_refuse_the_set() {
    let (authority, key) = (Authority::new(), key());
    let issuer = Issuer::start(&authority, &[&key]).await;
    let mut document = irsa_token::SigningKey::jwk_set(&[&key]);
    document["keys"][0]["d"] = "AAAA".into();
    issuer.reply(KEYS, Reply::ok("", &document.to_string()));
    let refused = fetch_once(options(&authority), &issuer).await.unwrap_err();
    assert!(matches!(refused, FetchError::PrivateKeys { .. }), "{refused}");
}

#[tokio::test]
async fn jk_18_web_pages_and_marked_documents_are_refused() {
    let (authority, key) = (Authority::new(), key());
    let document = irsa_token::SigningKey::jwk_set(&[&key]).to_string();
    for (content_type, body, is_fine) in [
        ("text/html; charset=utf-8", document.as_str(), false),
        ("TEXT/HTML", &document, false),
        ("application/xhtml+xml", &document, false),
        ("application/json", &format!("\u{feff}{document}"), false),
        ("application/json", &format!("{document}\0"), false),
        ("application/json", &format!("{document}{document}"), false),
        ("application/jwk-set+json", &document, true),
        ("application/octet-stream", &document, true),
        ("text/plain", &format!("{document}\n"), true),
    ] {
        let issuer = Issuer::start(&authority, &[&key]).await;
        issuer.reply(KEYS, Reply::ok(&format!("content-type: {content_type}\r\n"), body));
        let result = fetch_once(options(&authority), &issuer).await;
        assert_eq!(result.is_ok(), is_fine, "{content_type} {body}: {result:?}");
    }
}
