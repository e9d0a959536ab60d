//! The gateway: what reaches the server behind it, what does not, and what is told and recorded.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use irsa_server::{GatewayConfig, GatewayUpstream, ServerConfig, UpstreamCredentials};
use irsa_upstream::Credentials;

use crate::client::{Key, Request, Response, Signing, exchange};
use crate::harness::{ACCOUNT, ALLOW_ALL, OTHER_ACCOUNT, Server, config, name, policy, remember_secret};

/// A server behind the gateway: keeps what it was sent, and answers with what it was given.
#[derive(Clone)]
struct Behind {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Behind {
    fn new(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let behind = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
        };
        let seen = Arc::clone(&behind.seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut bytes = Vec::new();
                let mut block = [0; 4096];
                let request = loop {
                    let read = stream.read(&mut block).unwrap_or(0);
                    bytes.extend_from_slice(&block[..read]);
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let length = head
                            .lines()
                            .find_map(|line| line.strip_prefix("content-length: "))
                            .map_or(0, |length| length.parse::<usize>().unwrap());
                        if body.len() >= length || read == 0 {
                            break text;
                        }
                    } else if read == 0 {
                        break text;
                    }
                };
                let answered = answer(&request);
                seen.lock().unwrap().push(request);
                // Whoever asked may be gone.
                drop(stream.write_all(&answered));
            }
        });
        behind
    }

    fn json(body: &'static str) -> Self {
        Self::new(move |_| {
            let length = body.len();
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
                .into_bytes()
        })
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn of(&self, service: &str) -> GatewayUpstream {
        format!("{service}=http://{}", self.address).parse().unwrap()
    }
}

fn start(upstreams: Vec<GatewayUpstream>, strict: bool) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    remember_secret("behind-the-gateway");
    let server = Server::start_with(ServerConfig {
        gateway: GatewayConfig {
            upstreams,
            strict,
            credentials: UpstreamCredentials::Static(Credentials {
                access_key_id: "AKIAUPSTREAMEXAMPLE1".to_owned(),
                secret_access_key: "behind-the-gateway".to_owned().into(),
                session_token: None,
            }),
            ..GatewayConfig::default()
        },
        ..config(&folder.path().join("data"))
    });
    (folder, server.unwrap_or_else(|error| panic!("{error}")))
}

fn json(target: &str, body: &str) -> Request {
    Request::new("POST", "/")
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", target)
        .body(body)
}

fn get_item(table: &str) -> Request {
    json(
        "DynamoDB_20120810.GetItem",
        &format!(r#"{{"TableName":"{table}","Key":{{"pk":{{"S":"a"}}}}}}"#),
    )
}

/// The code and status of an answer in JSON.
fn refused(response: &Response) -> String {
    let code = response.json()["__type"].as_str().unwrap_or_default().to_owned();
    assert_eq!(response.header("x-amzn-errortype"), Some(code.as_str()));
    format!("{} {code}", response.status)
}

fn user(server: &Server, statement: &str) -> Key {
    server.user(&server.root, &name("gw"), Some(&policy(statement)))
}

const ORDERS: &str = "arn:aws:dynamodb:us-east-1:111122223333:table/orders";

#[test]
fn what_is_allowed_goes_on_under_our_name_and_is_recorded() {
    let behind = Behind::json(r#"{"Item":{"pk":{"S":"a"}}}"#);
    let (_folder, server) = start(vec![behind.of("dynamodb")], false);
    let reader = user(
        &server,
        &format!(r#"{{"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"{ORDERS}"}}"#),
    );
    let request = get_item("orders")
        .header("x-moto-account-id", "444455556666")
        .header("x-forwarded-for", "10.1.2.3");
    let got = server.signed(request, &reader, "dynamodb");
    assert_eq!(
        (got.status, got.text()),
        (200, r#"{"Item":{"pk":{"S":"a"}}}"#.to_owned())
    );
    let seen = behind.seen();
    assert_eq!(seen.len(), 1);
    let request = &seen[0];
    assert!(
        request.ends_with(r#"{"TableName":"orders","Key":{"pk":{"S":"a"}}}"#),
        "{request}"
    );
    assert!(request.contains("x-amz-target: DynamoDB_20120810.GetItem"), "{request}");
    assert!(request.contains("Credential=AKIAUPSTREAMEXAMPLE1/"), "{request}");
    assert!(request.contains(&format!("host: {}", behind.address)), "{request}");
    for gone in [reader.id.as_str(), "x-moto", "10.1.2.3", server.host.as_str()] {
        assert!(!request.contains(gone), "{gone} in {request}");
    }
    let record = server.record(&got);
    assert_eq!(record["eventSource"], "dynamodb.amazonaws.com", "{record}");
    assert_eq!(record["eventName"], "GetItem");
    assert_eq!(record["requestParameters"], serde_json::json!({"tableName": "orders"}));
    assert_eq!(record["resources"][0]["ARN"], ORDERS);
    assert_eq!(
        (record["readOnly"].as_bool(), record["managementEvent"].as_bool()),
        (Some(true), Some(false))
    );
    assert!(record["errorCode"].is_null(), "{record}");
}

#[test]
fn adv_gw_03_what_is_not_allowed_never_reaches_the_upstream() {
    let behind = Behind::json("{}");
    let (_folder, server) = start(
        vec![behind.of("dynamodb"), behind.of("sns"), behind.of("secretsmanager")],
        false,
    );
    let reader = user(
        &server,
        &format!(r#"{{"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"{ORDERS}"}}"#),
    );
    let got = server.signed(get_item("secrets"), &reader, "dynamodb");
    assert_eq!(refused(&got), "400 AccessDeniedException");
    let message = got.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("is not authorized to perform: dynamodb:GetItem on resource: arn:aws:dynamodb:us-east-1:111122223333:table/secrets"), "{message}");
    let record = server.record(&got);
    assert_eq!(
        (record["errorCode"].as_str(), record["eventName"].as_str()),
        (Some("AccessDeniedException"), Some("GetItem"))
    );
    assert_eq!(record["requestParameters"]["tableName"], "secrets");
    // Another operation, and a batch of which one table is forbidden.
    for request in [
        json("DynamoDB_20120810.DeleteTable", r#"{"TableName":"orders"}"#),
        json("DynamoDB_20120810.InventedOperation", "{}"),
        json(
            "DynamoDB_20120810.TransactGetItems",
            r#"{"TransactItems":[{"Get":{"TableName":"orders","Key":{"pk":{"S":"a"}}}},{"Get":{"TableName":"secrets","Key":{"pk":{"S":"a"}}}}]}"#,
        ),
    ] {
        let got = server.signed(request, &reader, "dynamodb");
        assert_eq!(refused(&got), "400 AccessDeniedException", "{}", got.text());
        server.record(&got);
    }
    // The Query protocol, in its service's own words.
    let publish = [
        ("Action", "Publish"),
        ("Version", "2010-03-31"),
        ("TopicArn", "arn:aws:sns:us-east-1:111122223333:t"),
        ("Message", "m"),
    ];
    let got = server.query(&reader, "sns", &publish);
    assert_eq!(got.outcome(), "403 AuthorizationError", "{}", got.text());
    assert!(
        got.text().starts_with(
            "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>"
        ),
        "{}",
        got.text()
    );
    assert_eq!(server.record(&got)["eventSource"], "sns.amazonaws.com");
    // What can be read in two ways is nobody's call.
    let admin = server.user(&server.root, &name("gw"), Some(ALLOW_ALL));
    for request in [
        json(
            "DynamoDB_20120810.GetItem",
            r#"{"TableName":"a","TableName":"b","Key":{"pk":{"S":"a"}}}"#,
        ),
        json(
            "DynamoDB_20120810.GetItem",
            r#"{"TableName":"a","tableName":"b","Key":{"pk":{"S":"a"}}}"#,
        ),
        json("DynamoDB_20120810.getItem", "{}"),
        json(
            "DynamoDB_20120810.ExecuteStatement",
            r#"{"Statement":"SELECT * FROM a"}"#,
        ),
        Request::new("POST", "/?Action=ListTables")
            .header("x-amz-target", "DynamoDB_20120810.GetItem")
            .body("{}"),
        Request::new("GET", "/anything"),
    ] {
        let got = server.signed(request, &admin, "dynamodb");
        assert_eq!(got.status, 400, "{}", got.text());
        server.record(&got);
    }
    assert!(behind.seen().is_empty(), "{:?}", behind.seen());
}

#[test]
fn adv_gw_04_signatures_count_as_everywhere() {
    let behind = Behind::json("{}");
    let mut upstreams = vec![behind.of("dynamodb")];
    upstreams.push(
        format!("{OTHER_ACCOUNT}/sqs=http://{}", behind.address)
            .parse()
            .unwrap(),
    );
    let (_folder, server) = start(upstreams, false);
    let admin = server.user(&server.root, &name("gw"), Some(ALLOW_ALL));
    let send = |request: &Request| {
        let got = server.send(request);
        server.record(&got);
        refused(&got)
    };
    // Another body than was signed.
    let signed = get_item("orders").sign(&server.host, &admin, "dynamodb");
    assert_eq!(
        send(&signed.clone().body(r#"{"TableName":"other","Key":{"pk":{"S":"a"}}}"#)),
        "400 InvalidSignatureException"
    );
    assert_eq!(
        send(&signed.replace("x-amz-target", "DynamoDB_20120810.DeleteItem")),
        "400 InvalidSignatureException"
    );
    // A header that was signed and is gone, and one that is there and was not signed: not even the form of a signature.
    let gone = get_item("orders")
        .sign(&server.host, &admin, "dynamodb")
        .without("x-amz-target");
    let added = get_item("orders")
        .sign(&server.host, &admin, "dynamodb")
        .header("x-amz-extra", "1");
    for request in [gone, added] {
        let got = server.send(&request);
        server.record(&got);
        assert!((400..404).contains(&got.status), "{}", got.text());
    }
    // A body that nobody signed, a link, another region, an old date, another key.
    let unsigned = Signing::new(&admin, "dynamodb").payload("UNSIGNED-PAYLOAD");
    assert!(send(&get_item("orders").signed(&server.host, &unsigned)).starts_with("400 "));
    let link = get_item("orders").presigned(&server.host, &Signing::new(&admin, "dynamodb"), "60");
    assert!(send(&link).starts_with("400 "));
    let elsewhere = Signing::new(&admin, "dynamodb").region("eu-west-1");
    assert_eq!(
        send(&get_item("orders").signed(&server.host, &elsewhere)),
        "400 InvalidSignatureException"
    );
    let old = Signing::new(&admin, "dynamodb").at(-1000);
    assert_eq!(
        send(&get_item("orders").signed(&server.host, &old)),
        "400 InvalidSignatureException"
    );
    let stranger = Key {
        id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        ..admin.clone()
    };
    assert_eq!(
        send(&get_item("orders").sign(&server.host, &stranger, "dynamodb")),
        "400 UnrecognizedClientException"
    );
    // A service of another account is not there.
    let queue = json("AmazonSQS.ListQueues", "{}").sign(&server.host, &admin, "sqs");
    assert_eq!(send(&queue), "400 AccessDeniedException");
    assert!(behind.seen().is_empty(), "{:?}", behind.seen());
}

#[test]
fn adv_gw_05_conditions_that_can_not_be_read_close() {
    let behind = Behind::json("{}");
    let (_folder, server) = start(vec![behind.of("dynamodb"), behind.of("kms")], false);
    let tagged = user(
        &server,
        r#"{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"dynamodb:Get*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/secret":"yes"}}}"#,
    );
    let got = server.signed(get_item("orders"), &tagged, "dynamodb");
    assert_eq!(refused(&got), "400 AccessDeniedException");
    let record = server.record(&got);
    let reason = record["additionalEventData"]["irsa"]["reason"]
        .as_str()
        .unwrap_or_default();
    assert!(reason.contains("aws:ResourceTag/secret"), "{record}");
    // The same policy does not stand in the way of what the statement is not about.
    let list = json("DynamoDB_20120810.ListTables", "{}");
    assert_eq!(server.signed(list, &tagged, "dynamodb").status, 200);
    // One's own items only: the key decides, and a sort key can't pose as it.
    let own = user(
        &server,
        r#"{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"dynamodb:LeadingKeys":["mine"]}}}"#,
    );
    let item = |key: &str| {
        json(
            "DynamoDB_20120810.DeleteItem",
            &format!(r#"{{"TableName":"t","Key":{key}}}"#),
        )
    };
    for (key, status) in [
        (r#"{"pk":{"S":"mine"}}"#, 200),
        (r#"{"pk":{"S":"yours"}}"#, 400),
        (r#"{"pk":{"S":"yours"},"sk":{"S":"mine"}}"#, 400),
    ] {
        let got = server.signed(item(key), &own, "dynamodb");
        assert_eq!(got.status, status, "{key}: {}", got.text());
    }
    assert_eq!(behind.seen().len(), 2);
}

#[test]
fn sessions_narrow_and_strictness_refuses() {
    let behind = Behind::json("{}");
    let (_folder, server) = start(vec![behind.of("dynamodb"), behind.of("kms")], true);
    server.role(&server.root, "app", Some(ALLOW_ALL));
    let admin = server.user(&server.root, &name("gw"), Some(ALLOW_ALL));
    let narrow = policy(&format!(
        r#"{{"Effect":"Allow","Action":"dynamodb:*","Resource":"{ORDERS}"}}"#
    ));
    let session = server.assume(&admin, "app", &[("Policy", &narrow)]);
    assert_eq!(server.signed(get_item("orders"), &session, "dynamodb").status, 200);
    let got = server.signed(get_item("others"), &session, "dynamodb");
    assert_eq!(refused(&got), "400 AccessDeniedException");
    let record = server.record(&got);
    assert_eq!(record["userIdentity"]["type"], "AssumedRole", "{record}");
    let alias = json("TrentService.Encrypt", r#"{"KeyId":"alias/a","Plaintext":"eA=="}"#);
    assert_eq!(
        refused(&server.signed(alias, &admin, "kms")),
        "400 AccessDeniedException"
    );
    let new = json("DynamoDB_20120810.InventedOperation", "{}");
    assert_eq!(
        refused(&server.signed(new, &admin, "dynamodb")),
        "400 UnknownOperationException"
    );
    assert_eq!(behind.seen().len(), 1);
}

#[test]
fn keys_are_decided_by_identity_policies() {
    let behind = Behind::json("{}");
    let (_folder, server) = start(vec![behind.of("kms")], false);
    let key = |account: &str| format!("arn:aws:kms:us-east-1:{account}:key/1234abcd-12ab-34cd-56ef-1234567890ab");
    let encrypt = |account: &str, app: &str| {
        let body = format!(
            r#"{{"KeyId":"{}","Plaintext":"eA==","EncryptionContext":{{"app":"{app}"}}}}"#,
            key(account)
        );
        json("TrentService.Encrypt", &body)
    };
    let one = user(
        &server,
        r#"{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:app":"a"}}}"#,
    );
    let nobody = user(&server, r#"{"Effect":"Allow","Action":"dynamodb:*","Resource":"*"}"#);
    for (caller, account, app, status) in [
        (&one, ACCOUNT, "a", 200),
        (&one, ACCOUNT, "b", 400),
        (&one, OTHER_ACCOUNT, "a", 400),
        (&nobody, ACCOUNT, "a", 400),
    ] {
        let got = server.signed(encrypt(account, app), caller, "kms");
        assert_eq!(got.status, status, "{account} {app}: {}", got.text());
    }
    assert_eq!(behind.seen().len(), 1);
}

#[test]
fn answers_stream_and_never_end_early_unnoticed() {
    const LENGTH: usize = 24 << 20;
    let behind = Behind::new(|request| {
        let (length, sent) = if request.contains("DescribeLimits") {
            (LENGTH, 1000)
        } else {
            (LENGTH, LENGTH)
        };
        let mut answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").into_bytes();
        answer.resize(answer.len() + sent, b'x');
        answer
    });
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere: GatewayUpstream = format!("sqs=http://{gone}").parse().unwrap();
    let topics: GatewayUpstream = format!("sns=http://{gone}").parse().unwrap();
    let (_folder, server) = start(vec![behind.of("dynamodb"), nowhere, topics], false);
    let admin = server.user(&server.root, &name("gw"), Some(ALLOW_ALL));
    let whole = server.signed(json("DynamoDB_20120810.ListTables", "{}"), &admin, "dynamodb");
    assert_eq!((whole.status, whole.body.len()), (200, LENGTH));
    let short = json("DynamoDB_20120810.DescribeLimits", "{}").sign(&server.host, &admin, "dynamodb");
    let error = exchange(&server.host, &short.bytes(&server.host), false).unwrap_err();
    assert!(error.contains("were announced"), "{error}");
    // Nobody there: the protocol's own error, after a record of the decision.
    let got = server.signed(json("AmazonSQS.ListQueues", "{}"), &admin, "sqs");
    assert_eq!(refused(&got), "502 ServiceUnavailableException");
    assert_eq!(server.record(&got)["eventName"], "ListQueues");
    let got = server.query(&admin, "sns", &[("Action", "ListTopics"), ("Version", "2010-03-31")]);
    assert_eq!(got.outcome(), "502 ServiceUnavailable", "{}", got.text());
}

#[test]
fn bodies_are_bounded() {
    let behind = Behind::json("{}");
    let (_folder, server) = start(vec![behind.of("dynamodb")], false);
    let admin = server.user(&server.root, &name("gw"), Some(ALLOW_ALL));
    let large = json(
        "DynamoDB_20120810.ListTables",
        &format!(r#"{{"x":"{}"}}"#, "y".repeat(2 << 20)),
    );
    assert_eq!(server.signed(large, &admin, "dynamodb").status, 200);
    let mut told = get_item("orders")
        .sign(&server.host, &admin, "dynamodb")
        .bytes(&server.host);
    let text = String::from_utf8(told.clone()).unwrap();
    let length = text.to_ascii_lowercase().find("content-length: ").unwrap();
    let end = length + text[length..].find("\r\n").unwrap();
    told = format!("{}Content-Length: 99999999{}", &text[..length], &text[end..]).into_bytes();
    let got = exchange(&server.host, &told, false).unwrap();
    assert_eq!(got.status, 413, "{}", got.text());
    assert_eq!(behind.seen().len(), 1);
}
