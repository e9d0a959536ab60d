//! What proxies say, who may pose as one, and questions that are none.

use super::*;

#[test]
fn adv_az_05_headers_that_a_client_makes_up() {
    let authorizer = start();
    let reader = authorizer.user(READ);
    let good = s3(&reader, "GET", "/photos/public/a");
    let question = authorizer.nginx(&good);
    // The proxy does not replace what the client sends, but adds its own: nobody knows which is which.
    for name in [
        "x-original-uri",
        "x-original-method",
        "x-original-framing",
        "x-forwarded-proto",
        "host",
    ] {
        let answer = authorizer.ask(&question.clone().header(name, "/photos/public/a"));
        assert_eq!(answer.status, 400, "{name}");
        let missing = authorizer.ask(&question.clone().replace(name, ""));
        assert_eq!(missing.status, 400, "{name}");
    }
    assert_eq!(authorizer.ask(&question.clone().without("x-forwarded-for")).status, 400);
    // The words of other proxies say nothing here, and a caller's identity is no word of the caller.
    let answer = authorizer.ask(
        &question
            .clone()
            .header("x-forwarded-uri", "/photos/private/a")
            .header("x-forwarded-method", "DELETE")
            .header("x-irsa-account", "999999999999")
            .header("x-irsa-principal-arn", "arn:aws:iam::999999999999:root"),
    );
    assert_eq!((answer.status, answer.header("x-irsa-account")), (200, Some(ACCOUNT)));
    // The last address is the one that the proxy saw.
    let at_home = authorizer.user(
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}"#,
    );
    let good = s3(&at_home, "GET", "/photos/a");
    let from = |source: &str| {
        authorizer
            .ask(&authorizer.nginx(&good).replace("x-forwarded-for", source))
            .status
    };
    assert_eq!(from("10.0.0.1"), 200);
    assert_eq!(from("10.0.0.1, 203.0.113.9"), 403);
    assert_eq!(from("127.0.0.1"), 403);
    // Whether the client came over TLS is the proxy's word.
    let secure = authorizer.user(
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}"#,
    );
    let good = s3(&secure, "GET", "/photos/a");
    assert_eq!(authorizer.ask_nginx(&good).status, 200);
    assert_eq!(authorizer.ask(&authorizer.plain_nginx(&good)).status, 403);
    // Two words for it that contradict each other.
    let contradiction = authorizer.nginx(&good).replace("x-forwarded-proto", "http");
    assert_eq!(authorizer.ask(&contradiction).status, 400);
    let forged = Sent {
        request: good.request.clone().header("x-forwarded-proto", "https"),
        ..good
    };
    assert_eq!(outcome(&authorizer.denied(&forged)), "403 AccessDenied");
    let mut over_tls = authorizer.envoy(&forged);
    over_tls.attributes.as_mut().unwrap().tls_session = Some(irsa_authorizer::envoy::message::TlsSession::default());
    assert!(matches!(authorizer.check(&over_tls), Ok(HttpResponse::Ok(_))));
}

#[test]
fn adv_az_06_identity_headers_of_a_client_are_removed() {
    let authorizer = start_with(AuthorizerConfig {
        strip_credentials: true,
        services: vec![
            format!("s3={S3}").parse().unwrap(),
            format!("sqs={DYNAMODB}").parse().unwrap(),
        ],
        ..settings()
    });
    let reader = authorizer.user(READ);
    let request = Request::new("GET", "/photos/public/a")
        .header("x-irsa-pod", "shop/forged")
        .header("x-irsa-account", "999999999999");
    let ok = authorizer.allowed(&sent(S3, request, &Signing::new(&reader, "s3")));
    for gone in [
        "x-irsa-pod",
        "x-irsa-subject",
        "x-irsa-role-session-name",
        "x-forwarded-host",
        "x-original-url",
        "authorization",
        "x-amz-security-token",
    ] {
        assert!(
            ok.headers_to_remove.iter().any(|name| name == gone),
            "{gone}: {:?}",
            ok.headers_to_remove
        );
    }
    let headers = headers_of(&ok);
    assert_eq!(header_of(&headers, "x-irsa-account"), ACCOUNT);
    assert!(
        !ok.headers_to_remove
            .iter()
            .any(|name| headers.iter().any(|(set, _)| set == name))
    );
}

#[test]
fn adv_az_12_questions_that_are_none() {
    let authorizer = start();
    let reader = authorizer.user(READ);
    let question = authorizer.nginx(&s3(&reader, "GET", "/photos/public/a"));
    let with = |method: &str, path: &str| {
        let mut asked = question.clone();
        (asked.method, asked.path) = (method.to_owned(), path.to_owned());
        authorizer.ask(&asked).status
    };
    assert_eq!(with("POST", "/auth"), 405);
    assert_eq!(with("GET", "/auth/"), 404);
    assert_eq!(with("GET", "/"), 404);
    assert_eq!(with("GET", "/photos/public/a"), 404);
    assert_eq!(authorizer.ask(&question.clone().body("x")).status, 400);
    assert_eq!(authorizer.ask(&Request::new("GET", "/healthz")).status, 200);
    // A header that is a second request, to a proxy that reads answers badly.
    let answer = authorizer.ask(&question.clone().header("x-irsa-pod", "a\tb"));
    assert_eq!(answer.status, 200);
    let check = |question: &CheckRequest| authorizer.check(question).map(drop).unwrap_err();
    assert!(check(&CheckRequest::default()).starts_with("3 "));
    let mut broken = authorizer.envoy(&s3(&reader, "GET", "/photos/public/a"));
    http_of(&mut broken).path = "/photos/public/a#b".to_owned();
    assert!(check(&broken).starts_with("3 "));
    // Ten mebibytes.
    let mut large = authorizer.envoy(&s3(&reader, "GET", "/photos/public/a"));
    http_of(&mut large).raw_body = vec![0; 10 << 20].into();
    let error = check(&large);
    assert!(error.starts_with("11 ") || error.starts_with("8 "), "{error}");
    // Bytes that are no message, a message that is cut off, and a call that does not exist.
    let raw = |path: &str, bytes: &'static [u8]| {
        call_bytes(&authorizer.address, path, Bytes::from_static(bytes)).map(|(status, _)| status.0)
    };
    assert_eq!(raw(CHECK, b"\0\0\0\0\x03\xff\xff\xff"), Ok("13".to_owned()));
    assert_eq!(raw(CHECK, b"\x07\0\0\0\0"), Ok("13".to_owned()));
    assert!(raw(CHECK, b"\0\0\0\0\x09abc").is_ok_and(|status| status != "0"));
    assert!(raw(CHECK, b"").is_ok_and(|status| status != "0"));
    assert_eq!(
        raw("/envoy.service.auth.v2.Authorization/Check", b"\0\0\0\0\0"),
        Ok("12".to_owned())
    );
    let health = |service: &str| {
        let asked = HealthCheckRequest {
            service: service.to_owned(),
        };
        call::<_, HealthCheckResponse>(&authorizer.address, HEALTH, &asked).map(|answer| answer.status)
    };
    assert_eq!(health(""), Ok(SERVING));
    assert_eq!(health("envoy.service.auth.v3.Authorization"), Ok(SERVING));
    assert!(health("other").is_err_and(|error| error.starts_with("5 ")));
    // And it still answers.
    assert_eq!(authorizer.ask(&question).status, 200);
}

#[test]
fn adv_az_13_only_proxies_ask() {
    let folder = tempfile::tempdir().unwrap();
    let start = |settings: AuthorizerConfig| {
        let folder = tempfile::tempdir().unwrap();
        let config = ServerConfig {
            authorizer: Some(settings),
            ..config(&folder.path().join("data"))
        };
        Server::start_with(config).map(|server| (server, folder))
    };
    let fails = |settings: AuthorizerConfig| match start(settings) {
        Ok(_) => panic!("it starts"),
        Err(error) => error.to_string(),
    };
    let open = |client_ca: Option<PathBuf>| AuthorizerConfig {
        listen: "0.0.0.0:0".parse().unwrap(),
        client_ca,
        ..settings()
    };
    assert!(fails(open(None)).contains("--authorizer-client-ca"));
    assert!(fails(open(Some(folder.path().join("none.pem")))).contains("can't be used"));
    assert!(
        fails(AuthorizerConfig {
            services: Vec::new(),
            ..settings()
        })
        .contains("--authorizer-for")
    );
    let unknown = AuthorizerConfig {
        services: vec!["invented=h".parse().unwrap()],
        ..settings()
    };
    assert!(fails(unknown).contains("invented"));
    let twice = AuthorizerConfig {
        services: vec!["s3=h".parse().unwrap(), "s3=H:80".parse().unwrap()],
        ..settings()
    };
    assert!(fails(twice).contains("twice"));
    // Without the signature nobody could tell them apart.
    let shared = AuthorizerConfig {
        strip_credentials: true,
        ..settings()
    };
    assert!(fails(shared).contains("several services"));

    // A Unix socket is its owner's and its group's, and gone with the server.
    let socket = folder.path().join("authorizer.sock");
    let listen = AuthorizerAddress::Unix(socket.clone());
    let settings_of = |listen: AuthorizerAddress| AuthorizerConfig { listen, ..settings() };
    let (server, _folder) = start(settings_of(listen.clone())).unwrap_or_else(|error| panic!("{error}"));
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let key = server.user(&server.root, "reader", Some(&policy(READ)));
    let authorizer = Authorizer {
        server,
        address: socket.display().to_string(),
        _folder,
    };
    let question = authorizer.nginx(&s3(&key, "GET", "/photos/public/a"));
    let ask = || {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(&question.bytes("x")).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask().starts_with("HTTP/1.1 200 "), "{}", ask());
    // Another server does not take it away.
    assert!(fails(settings_of(listen.clone())).contains("authorizer.sock"));
    authorizer.server.stop();
    assert!(!socket.exists());
    // One that was left behind is replaced; a file is not.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let (server, _folder) = start(settings_of(listen.clone())).unwrap_or_else(|error| panic!("{error}"));
    server.stop();
    std::fs::write(&socket, "x").unwrap();
    assert!(fails(settings_of(listen)).contains("authorizer.sock"));
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "x");
}

#[test]
fn adv_az_14_proxies_from_afar_show_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let authority = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        (rcgen::Issuer::new(params, key), pem)
    };
    let (ours, pem) = authority("proxies");
    let (others, _) = authority("strangers");
    let file = folder.path().join("proxies.pem");
    std::fs::write(&file, pem).unwrap();
    let authorizer = start_with(AuthorizerConfig {
        client_ca: Some(file),
        ..settings()
    });
    let key = authorizer.user(READ);
    let question = authorizer.nginx(&s3(&key, "GET", "/photos/public/a")).bytes("x");
    let ask = |issuer: Option<&rcgen::Issuer<'_, rcgen::KeyPair>>| {
        ask_over_tls(&authorizer, issuer, &question, &authorizer.server.folder.ca())
    };
    assert!(ask(Some(&ours)).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 ")));
    for answer in [ask(None), ask(Some(&others))] {
        assert!(!answer.unwrap_or_default().contains("200"));
    }
    let plain = exchange(&authorizer.address, &question, false);
    assert!(plain.is_err(), "{plain:?}");
}

fn ask_over_tls(
    authorizer: &Authorizer,
    issuer: Option<&rcgen::Issuer<'_, rcgen::KeyPair>>,
    question: &[u8],
    ca: &Path,
) -> Result<String, String> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls::pki_types::CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let settings = match issuer {
        Some(issuer) => {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::default();
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
            let certificate = params.signed_by(&key, issuer).unwrap();
            let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            builder
                .with_client_auth_cert(vec![certificate.der().clone()], key)
                .unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let mut session = rustls::ClientConnection::new(std::sync::Arc::new(settings), name).unwrap();
    let mut stream = crate::client::connect(&authorizer.address);
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    tls.write_all(question).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    match tls.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
        Err(error) => return Err(error.to_string()),
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Whoever reaches the listener and says nothing, or not enough, does not hold its place.
#[test]
fn adv_az_22_silent_proxies_are_cut_off() {
    let authorizer = start();
    let beginnings: [&[u8]; 5] = [
        b"",
        b"GET /auth HTT",
        b"GET /auth HTTP/1.1\r\nhost: s3.example.com\r\nx-slow: ",
        b"PRI * HTTP/2.0\r\n\r\nSM",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let before = std::time::Instant::now();
    let mut silent: Vec<_> = beginnings
        .iter()
        .map(|beginning| {
            let mut stream = crate::client::connect(&authorizer.address);
            stream.write_all(beginning).unwrap();
            stream
                .set_read_timeout(Some(std::time::Duration::from_secs(30)))
                .unwrap();
            stream
        })
        .collect();
    for (stream, beginning) in silent.iter_mut().zip(beginnings) {
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let is_late = read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!is_late, "{}", String::from_utf8_lossy(beginning));
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{answer:?}");
    }
    assert!(before.elapsed().as_secs() < 25, "{:?}", before.elapsed());
    // A question whose body never comes is not waited for: it may have none.
    let reader = authorizer.user(READ);
    let question = authorizer.nginx(&s3(&reader, "GET", "/photos/public/a"));
    let mut announced = question.clone();
    announced.headers.push(("content-length".to_owned(), "100".to_owned()));
    let mut stream = crate::client::connect(&authorizer.address);
    stream.write_all(&announced.bytes(&authorizer.address)).unwrap();
    assert_eq!(crate::client::read_answer(&mut stream, false).unwrap().status, 400);
    assert_eq!(authorizer.ask(&question).status, 200);
}
