//! Requests with two readings, with none, and such as the rules do not know.

use super::*;

#[test]
fn adv_gw_01_a_request_has_one_reading_or_none() {
    let body = r#"{"TableName":"t","Key":{"pk":{"S":"a"}}}"#;
    let target = "DynamoDB_20120810.GetItem";
    let good = || json("dynamodb", target, body);
    assert!(asked(&good()).is_ok());
    let with = |name: &'static str, value: &'static str| {
        let mut sent = good();
        sent.headers.push((name, value));
        sent
    };
    let mut bad = vec![
        // Two places that name an operation.
        with("x-amz-target", "DynamoDB_20120810.DeleteTable"),
        with("content-type", "application/json"),
        with("content-encoding", "gzip"),
        with("smithy-protocol", "rpc-v2-cbor"),
        Sent {
            query: "Action=ListTables",
            ..good()
        },
        Sent {
            query: "%41ction=ListTables",
            ..good()
        },
        Sent {
            query: "action=ListTables",
            ..good()
        },
        Sent { query: "x=y", ..good() },
        Sent { path: "/x", ..good() },
        Sent {
            method: Method::PUT,
            ..good()
        },
        Sent {
            service: "s4",
            ..good()
        },
        Sent {
            headers: vec![("content-type", FORM), ("x-amz-target", target)],
            ..good()
        },
        Sent {
            headers: vec![("content-type", "application/cbor")],
            ..good()
        },
        Sent {
            headers: vec![("content-type", "text/plain"), ("x-amz-target", target)],
            ..good()
        },
        Sent {
            headers: Vec::new(),
            ..good()
        },
    ];
    for target in [
        "DynamoDB_20120810.getitem",
        "DynamoDB_20120810.GETITEM",
        "dynamodb_20120810.GetItem",
        "GetItem",
        "DynamoDB_20120810.",
        "DynamoDB_20120810.Get Item",
        "AmazonSQS.SendMessage",
        "DynamoDB_20120810.x.GetItem",
    ] {
        bad.push(json("dynamodb", target, body));
    }
    for body in [
        "",
        "[]",
        "null",
        "{",
        r#"{"TableName":"t","TableName":"u","Key":{"pk":{"S":"a"}}}"#,
        r#"{"TableName":"t","\u0054ableName":"u","Key":{"pk":{"S":"a"}}}"#,
        r#"{"TableName":"t","tablename":"u","Key":{"pk":{"S":"a"}}}"#,
        r#"{"tablename":"t","Key":{"pk":{"S":"a"}}}"#,
        r#"{"TableName":null,"Key":{"pk":{"S":"a"}}}"#,
        r#"{"TableName":["t"],"Key":{"pk":{"S":"a"}}}"#,
        r#"{"TableName":"*","Key":{"pk":{"S":"a"}}}"#,
        r#"{"TableName":"t/index/i","Key":{"pk":{"S":"a"}}}"#,
        r#"{"TableName":"arn:aws:dynamodb:eu-west-1:111122223333:table/t","Key":{"pk":{"S":"a"}}}"#,
        r#"{"TableName":"t"}"#,
        r#"{"TableName":"t","Key":{}}"#,
        r#"{"TableName":"t","Key":{"pk":{"SS":["a"]}}}"#,
        r##"{"TableName":"t","Key":{"pk":{"S":"a"}},"ProjectionExpression":"#x"}"##,
    ] {
        bad.push(json("dynamodb", target, body));
    }
    for (operation, body) in [
        ("Query", r#"{"TableName":"t"}"#),
        (
            "Query",
            r#"{"TableName":"t","KeyConditionExpression":"pk > :a","ExpressionAttributeValues":{":a":{"S":"x"}}}"#,
        ),
        (
            "Query",
            r#"{"TableName":"t","IndexName":"i/../x","KeyConditionExpression":"pk = :a","ExpressionAttributeValues":{":a":{"S":"x"}}}"#,
        ),
        ("BatchGetItem", r#"{"RequestItems":{}}"#),
        ("BatchGetItem", r#"{"RequestItems":{"t":{}}}"#),
        ("BatchWriteItem", r#"{"RequestItems":{"t":[{"Other":{}}]}}"#),
        (
            "BatchWriteItem",
            r#"{"RequestItems":{"t":[{"PutRequest":{"Item":{"k":{"S":"1"}}},"DeleteRequest":{"Key":{"k":{"S":"1"}}}}]}}"#,
        ),
        ("TransactWriteItems", r#"{"TransactItems":[]}"#),
        (
            "TransactWriteItems",
            r#"{"TransactItems":[{"Get":{"TableName":"t","Key":{"k":{"S":"1"}}}}]}"#,
        ),
        ("ExecuteStatement", r#"{"Statement":"SELECT * FROM t"}"#),
    ] {
        let target: &'static str = Box::leak(format!("DynamoDB_20120810.{operation}").into_boxed_str());
        bad.push(json("dynamodb", target, body));
    }
    for body in [
        "Action=Publish&Action=ListTopics&Version=2010-03-31",
        "Action=ListTopics&Version=2010-03-31&Version=2010-03-31",
        "Action=ListTopics",
        "Version=2010-03-31",
        "Action=ListTopics&Version=2011-01-01",
        "Action=ListTopics.x&Version=2010-03-31",
        "Action=listtopics&Version=2010-03-31",
        "Action=ListTopics&Version=2010-03-31&action=Publish",
        "Action=DeleteTopic&Version=2010-03-31",
        "Action=DeleteTopic&Version=2010-03-31&topicarn=arn%3Aaws%3Asns%3Aus-east-1%3A111122223333%3At",
        "Action=DeleteTopic&Version=2010-03-31&TopicArn=%ff",
        "Action=DeleteTopic&Version=2010-03-31&TopicArn.member.1=t",
    ] {
        bad.push(form("sns", body));
    }
    bad.push(Sent {
        query: "Action=ListTopics",
        ..form("sns", "Version=2010-03-31")
    });
    bad.push(Sent {
        method: Method::GET,
        query: "Action=ListTopics&Version=2010-03-31",
        headers: Vec::new(),
        ..form("sns", "x=y")
    });
    for sent in &bad {
        let result = asked(sent);
        assert!(
            result.is_err(),
            "{:?} {} {:?} {}: {result:?}",
            sent.headers,
            sent.query,
            sent.path,
            sent.body
        );
    }
}

#[test]
fn adv_gw_02_what_the_rules_do_not_know() {
    let new = json("dynamodb", "DynamoDB_20120810.InventedOperation", "{}");
    let got = asked(&new).unwrap();
    assert!(!got.is_known);
    assert_eq!(
        (got.asks[0].action.as_str(), got.asks[0].resource.as_str()),
        ("dynamodb:InventedOperation", "*")
    );
    assert!(got.unread.contains(&"dynamodb:".to_owned()));
    assert_eq!(
        asked_by(&book(), &new, true).unwrap_err(),
        GatewayError::UnknownOperation("InventedOperation".to_owned())
    );
    for (service, target, body) in [
        ("kms", "TrentService.Encrypt", r#"{"KeyId":"alias/a"}"#),
        // A symmetric ciphertext names its key, where nobody but KMS can read it.
        ("kms", "TrentService.Decrypt", r#"{"CiphertextBlob":"eA=="}"#),
        (
            "kms",
            "TrentService.ReEncrypt",
            r#"{"CiphertextBlob":"eA==","DestinationKeyId":"1234abcd-12ab-34cd-56ef-1234567890ab"}"#,
        ),
        ("kms", "TrentService.RetireGrant", r#"{"GrantToken":"x"}"#),
        ("secretsmanager", "secretsmanager.GetSecretValue", r#"{"SecretId":"a"}"#),
        (
            "dynamodb",
            "DynamoDBStreams_20120810.GetRecords",
            r#"{"ShardIterator":"x"}"#,
        ),
    ] {
        let sent = json(service, target, body);
        assert!(asked(&sent).is_ok(), "{target}");
        assert!(
            matches!(asked_by(&book(), &sent, true), Err(GatewayError::UnknownResource(_))),
            "{target}"
        );
    }
    for (service, target, body) in [
        ("dynamodb", "DynamoDB_20120810.ListTables", "{}"),
        (
            "kms",
            "TrentService.Decrypt",
            r#"{"CiphertextBlob":"eA==","KeyId":"1234abcd-12ab-34cd-56ef-1234567890ab"}"#,
        ),
    ] {
        assert!(
            asked_by(&book(), &json(service, target, body), true).is_ok(),
            "{target}"
        );
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_panics_and_nothing_passes_unasked(body in ".{0,200}", target in "[A-Za-z_.0-9]{0,40}", query in "[ -~]{0,60}", path in "/[ -~]{0,60}") {
        for service in ["dynamodb", "sns", "route53", "mq", "none"] {
            for sent in [
                json(service, &target, &body),
                form(service, &body),
                Sent { query: &query, ..rest(service, Method::POST, &path, &body) },
                Sent { query: &query, ..form(service, "") },
            ] {
                if sent.headers.iter().any(|(_, value)| value.parse::<http::HeaderValue>().is_err()) {
                    continue;
                }
                if let Ok(asked) = asked(&sent) {
                    proptest::prop_assert!(!asked.asks.is_empty());
                }
            }
        }
    }
}
