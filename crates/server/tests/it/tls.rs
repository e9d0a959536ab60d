//! The TLS listener, proxies and metrics: what the connection itself says about a request.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;

use crate::client::{Key, Request, connect, exchange};
use crate::harness::{ACCOUNT, Server, config, name, policy, secrets, world};

/// Sends a request over TLS, trusting the server's own authority and nobody else.
fn send_tls(server: &Server, request: &Request) -> Result<String, String> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(server.folder.ca()).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let settings = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut session = rustls::ClientConnection::new(Arc::new(settings), name).unwrap();
    let mut stream = connect(&server.tls_host);
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    tls.write_all(&request.bytes(&server.tls_host))
        .map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    match tls.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
        Err(error) => return Err(error.to_string()),
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn request_id(answer: &str) -> String {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| {
            name.eq_ignore_ascii_case("x-amzn-requestid") || name.eq_ignore_ascii_case("x-amz-request-id")
        })
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_else(|| panic!("no request id in {answer}"))
}

fn user(server: &Server, statement: &str) -> Key {
    server.user(&server.root, &name("tls"), Some(&policy(statement)))
}

#[test]
fn the_same_api_over_tls_says_so() {
    let world = world();
    let server = &world.server;
    let request = Request::form(&[("Action", "GetCallerIdentity")]).sign(&server.tls_host, &world.admin, "sts");
    let answer = send_tls(server, &request).unwrap();
    assert!(answer.contains(":user/admin"), "{answer}");
    let records = server.records(&request_id(&answer));
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["tlsDetails"]["tlsVersion"], "TLSv1.3", "{}", records[0]);
    let suite = records[0]["tlsDetails"]["cipherSuite"].as_str().unwrap();
    assert!(suite.starts_with("TLS_"), "{suite}");
    // What was signed for one listener is not good for the other: they have different names.
    let answer = server.send(&request);
    assert_eq!(answer.outcome(), "403 SignatureDoesNotMatch", "{}", answer.text());

    let secure = user(
        server,
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}"#,
    );
    let get = Request::new("GET", "/first-bucket/hello.txt");
    let answer = send_tls(server, &get.clone().sign(&server.tls_host, &secure, "s3")).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
        "{answer}"
    );
    let record = &server.records(&request_id(&answer))[0];
    let additional = &record["additionalEventData"];
    assert_eq!(
        additional["CipherSuite"], record["tlsDetails"]["cipherSuite"],
        "{record}"
    );
    assert_eq!(additional["SignatureVersion"], "SigV4");
    assert_eq!(additional["AuthenticationMethod"], "AuthHeader");
    assert_eq!(
        (&additional["bytesTransferredIn"], &additional["bytesTransferredOut"]),
        (&json!(0), &json!(5))
    );
    assert_eq!(
        (
            &record["eventCategory"],
            &record["managementEvent"],
            &record["readOnly"]
        ),
        (&json!("Data"), &json!(false), &json!(true))
    );
    assert_eq!(server.signed(get.clone(), &secure, "s3").outcome(), "403 AccessDenied");
    // The version is S3's key: too old by a policy that wants more than there is.
    for (wanted, status) in [("1.3", "HTTP/1.1 200"), ("1.4", "HTTP/1.1 403")] {
        let statement = format!(
            r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}},
               {{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{{"NumericLessThan":{{"s3:TlsVersion":"{wanted}"}}}}}}"#
        );
        let key = user(server, &statement);
        let answer = send_tls(server, &get.clone().sign(&server.tls_host, &key, "s3")).unwrap();
        assert!(answer.starts_with(status), "{wanted}: {answer}");
    }

    // Discovery and keys, as relying parties fetch them.
    let id = world.issuer.rsplit('/').next().unwrap();
    let answer = send_tls(
        server,
        &Request::new("GET", &format!("/id/{id}/.well-known/openid-configuration")),
    )
    .unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let document: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(document["issuer"], world.issuer);
    assert_eq!(document["jwks_uri"], format!("{}/keys", world.issuer));
    assert!(
        answer.to_ascii_lowercase().contains("cache-control: public, max-age="),
        "{answer}"
    );
}

#[test]
fn what_is_no_tls_is_cut_off() {
    let server = &world().server;
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 1000],
        vec![0x16, 3, 1, 0xff, 0xff, 1],
        Vec::new(),
    ] {
        let mut stream = connect(&server.tls_host);
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    }
    let who = Request::form(&[("Action", "GetCallerIdentity")]).sign(&server.tls_host, &server.root, "sts");
    assert!(send_tls(server, &who).unwrap().starts_with("HTTP/1.1 200"));
}

#[test]
fn those_who_do_not_speak_are_cut_off() {
    let server = &world().server;
    let before = Instant::now();
    let mut silent: Vec<TcpStream> = [&server.host, &server.tls_host, &server.host]
        .map(|host| connect(host))
        .into();
    silent[2].write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").unwrap();
    for stream in &mut silent {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        assert!(!String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 2"));
    }
    assert!(before.elapsed() < Duration::from_secs(25), "{:?}", before.elapsed());
}

#[test]
fn adv_pe_19_only_a_trusted_proxy_says_where_a_caller_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(folder.path());
    settings.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let server = Server::start_with(settings).unwrap();
    let statement = r#"{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}"#;
    let key = user(&server, statement);
    let from = |forwarded: &[&str]| {
        let mut request = Request::form(&[("Action", "ListUsers"), ("Version", "2010-05-08")]);
        for line in forwarded {
            request = request.header("x-forwarded-for", line);
        }
        let response = server.signed(request, &key, "iam");
        let record = server.record(&response);
        (response.status, record["sourceIPAddress"].as_str().unwrap().to_owned())
    };
    assert_eq!(from(&[]), (403, "127.0.0.1".to_owned()));
    assert_eq!(from(&["10.1.2.3"]), (200, "10.1.2.3".to_owned()));
    // Who is behind the proxy may write what they like in front of what the proxy adds.
    assert_eq!(from(&["10.1.2.3, 203.0.113.9"]), (403, "203.0.113.9".to_owned()));
    assert_eq!(from(&["10.1.2.3", "203.0.113.9"]), (403, "203.0.113.9".to_owned()));
    assert_eq!(from(&["10.1.2.3, 127.0.0.1"]), (200, "10.1.2.3".to_owned()));
    assert_eq!(from(&["10.1.2.3, nonsense"]).0, 403);
    assert_eq!(from(&["10.1.2.3, \"203.0.113.9\""]).0, 403);
    assert_eq!(from(&["::ffff:203.0.113.9"]), (403, "203.0.113.9".to_owned()));
    server.stop();
}

#[test]
fn adv_ia_14_metrics_have_a_port_of_their_own_and_no_words_of_callers() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut settings = config(folder.path());
    settings.metrics_listen = Some(metrics);
    let server = Server::start_with(settings).unwrap();
    let marker = "label\"} 1\nirsa_forged 1";
    server.query(&server.root, "sts", &[("Action", marker)]);
    server.query(
        &server.root,
        "iam",
        &[("Action", "CreateUser"), ("UserName", "metric-user")],
    );
    server.s3(&server.root, "BREW", "/metric-bucket", b"");
    server.json(&server.root, "eks", "GET", "/metric-path", &json!({}));
    let read = |method: &str, path: &str| {
        let bytes = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        exchange(&metrics.to_string(), bytes.as_bytes(), method == "HEAD").unwrap()
    };
    let text = read("GET", "/metrics").text();
    assert!(text.contains("irsa_requests_total"), "{text}");
    for word in [
        "forged",
        "metric-user",
        "metric-bucket",
        "metric-path",
        "BREW",
        &server.root.id,
        ACCOUNT,
    ] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    for secret in secrets() {
        assert!(!text.contains(&secret));
    }
    // Nothing of the API is served there.
    let body = crate::client::form(&[("Action", "AssumeRoleWithWebIdentity")]);
    let post = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(&metrics.to_string(), post.as_bytes(), false).unwrap();
    assert!(!answer.text().contains("<Error"), "{}", answer.text());
    for path in ["/accounts", "/clusters", "/id/x/keys"] {
        assert!(!read("GET", path).text().contains("{"), "{path}");
    }
    // And no metrics where the API is.
    assert_eq!(
        server.send(&Request::new("GET", "/metrics")).outcome(),
        "404 NoSuchBucket"
    );
    server.stop();
}
