//! Requests as clients and attackers send them, and the questions that they raise.

use super::*;

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// Reading the rules is slow without optimisation.
fn book() -> RuleBook {
    static BOOK: std::sync::LazyLock<RuleBook> = std::sync::LazyLock::new(|| RuleBook::built_in().unwrap());
    BOOK.clone()
}

struct Sent<'a> {
    service: &'a str,
    method: Method,
    path: &'a str,
    query: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a str,
}

fn json<'a>(service: &'a str, target: &'a str, body: &'a str) -> Sent<'a> {
    Sent {
        service,
        method: Method::POST,
        path: "/",
        query: "",
        headers: vec![("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target)],
        body,
    }
}

fn form<'a>(service: &'a str, body: &'a str) -> Sent<'a> {
    Sent {
        headers: vec![("content-type", FORM)],
        ..json(service, "", body)
    }
}

fn rest<'a>(service: &'a str, method: Method, path: &'a str, body: &'a str) -> Sent<'a> {
    Sent {
        method,
        path,
        headers: Vec::new(),
        ..json(service, "", body)
    }
}

fn asked_by(book: &RuleBook, sent: &Sent<'_>, strict: bool) -> Result<Asked, GatewayError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &sent.headers {
        headers.append(
            http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    let request = GatewayRequest {
        service: sent.service,
        region: "us-east-1",
        account: "111122223333".parse().unwrap(),
        method: &sent.method,
        path: sent.path,
        query: sent.query,
        headers: &headers,
        body: sent.body.as_bytes(),
    };
    book.read(&request, strict)
}

fn asked(sent: &Sent<'_>) -> Result<Asked, GatewayError> {
    asked_by(&book(), sent, false)
}

/// `action resource` of every question, without what all ARNs share.
fn questions(sent: &Sent<'_>) -> Vec<String> {
    let asked = asked(sent).unwrap_or_else(|error| panic!("{error}: {}", sent.body));
    let short = |arn: &str| {
        arn.rsplit_once(":111122223333:")
            .map_or(arn.to_owned(), |(_, resource)| resource.to_owned())
    };
    asked
        .asks
        .iter()
        .map(|ask| format!("{} {}", ask.action, short(&ask.resource)))
        .collect()
}

fn key(asked: &Asked, name: &str) -> Vec<Vec<String>> {
    let of = |ask: &Ask| {
        ask.keys
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, values)| values.clone())
    };
    asked.asks.iter().filter_map(of).collect()
}

#[test]
fn json_services_by_target() {
    for (service, target, body, expected) in [
        (
            "dynamodb",
            "DynamoDB_20120810.GetItem",
            r#"{"TableName":"t","Key":{"pk":{"S":"a"}}}"#,
            vec!["dynamodb:GetItem table/t"],
        ),
        (
            "dynamodb",
            "DynamoDB_20120810.ListTables",
            "{}",
            vec!["dynamodb:ListTables *"],
        ),
        (
            "dynamodb",
            "DynamoDB_20120810.Query",
            r#"{"TableName":"t","IndexName":"i","KeyConditionExpression":"pk = :a","ExpressionAttributeValues":{":a":{"S":"x"}}}"#,
            vec!["dynamodb:Query table/t/index/i"],
        ),
        (
            "dynamodb",
            "DynamoDB_20120810.BatchGetItem",
            r#"{"RequestItems":{"a":{"Keys":[{"k":{"S":"1"}}]},"b":{"Keys":[{"k":{"S":"2"}}]}}}"#,
            vec!["dynamodb:BatchGetItem table/a", "dynamodb:BatchGetItem table/b"],
        ),
        (
            "dynamodb",
            "DynamoDB_20120810.BatchWriteItem",
            r#"{"RequestItems":{"a":[{"PutRequest":{"Item":{"k":{"S":"1"}}}},{"DeleteRequest":{"Key":{"k":{"S":"2"}}}}]}}"#,
            vec!["dynamodb:BatchWriteItem table/a"],
        ),
        (
            "dynamodb",
            "DynamoDB_20120810.TransactWriteItems",
            r#"{"TransactItems":[{"Put":{"TableName":"a","Item":{"k":{"S":"1"}}}},{"Update":{"TableName":"b","Key":{"k":{"S":"1"}},"UpdateExpression":"SET x = :v"}},
                {"Delete":{"TableName":"c","Key":{"k":{"S":"1"}}}},{"ConditionCheck":{"TableName":"d","Key":{"k":{"S":"1"}},"ConditionExpression":"x = :v"}}]}"#,
            vec![
                "dynamodb:PutItem table/a",
                "dynamodb:UpdateItem table/b",
                "dynamodb:DeleteItem table/c",
                "dynamodb:ConditionCheckItem table/d",
            ],
        ),
        (
            "dynamodb",
            "DynamoDBStreams_20120810.DescribeStream",
            r#"{"StreamArn":"arn:aws:dynamodb:us-east-1:111122223333:table/t/stream/2026-01-01T00:00:00.000"}"#,
            vec!["dynamodb:DescribeStream table/t/stream/2026-01-01T00:00:00.000"],
        ),
        (
            "sqs",
            "AmazonSQS.SendMessageBatch",
            r#"{"QueueUrl":"http://localhost/123456789012/jobs","Entries":[]}"#,
            vec!["sqs:SendMessage jobs"],
        ),
        (
            "sqs",
            "AmazonSQS.CreateQueue",
            r#"{"QueueName":"jobs"}"#,
            vec!["sqs:CreateQueue jobs"],
        ),
        (
            "secretsmanager",
            "secretsmanager.GetSecretValue",
            r#"{"SecretId":"app/db"}"#,
            vec!["secretsmanager:GetSecretValue secret:app/db-??????"],
        ),
        (
            "secretsmanager",
            "secretsmanager.BatchGetSecretValue",
            r#"{"SecretIdList":["a"]}"#,
            vec![
                "secretsmanager:BatchGetSecretValue *",
                "secretsmanager:GetSecretValue secret:a-??????",
            ],
        ),
        (
            "ssm",
            "AmazonSSM.GetParameters",
            r#"{"Names":["/a/b","c:3"]}"#,
            vec!["ssm:GetParameters parameter/a/b", "ssm:GetParameters parameter/c"],
        ),
        (
            "ssm",
            "AmazonSSM.GetParametersByPath",
            r#"{"Path":"/a/b"}"#,
            vec!["ssm:GetParametersByPath parameter/a/b"],
        ),
        (
            "kms",
            "TrentService.Encrypt",
            r#"{"KeyId":"1234abcd-12ab-34cd-56ef-1234567890ab","Plaintext":"eA=="}"#,
            vec!["kms:Encrypt key/1234abcd-12ab-34cd-56ef-1234567890ab"],
        ),
        (
            "kms",
            "TrentService.Encrypt",
            r#"{"KeyId":"alias/app","Plaintext":"eA=="}"#,
            vec!["kms:Encrypt alias/app"],
        ),
        (
            "kms",
            "TrentService.Decrypt",
            r#"{"CiphertextBlob":"eA=="}"#,
            vec!["kms:Decrypt *"],
        ),
        (
            "kms",
            "TrentService.CreateAlias",
            r#"{"AliasName":"alias/a","TargetKeyId":"1234abcd-12ab-34cd-56ef-1234567890ab"}"#,
            vec![
                "kms:CreateAlias alias/a",
                "kms:CreateAlias key/1234abcd-12ab-34cd-56ef-1234567890ab",
            ],
        ),
    ] {
        assert_eq!(questions(&json(service, target, body)), expected, "{target}");
    }
}

#[test]
fn query_services_by_action() {
    for (service, body, expected) in [
        (
            "sns",
            "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A111122223333%3At&Message=m",
            vec!["sns:Publish t"],
        ),
        (
            "sns",
            "Action=Publish&Version=2010-03-31&PhoneNumber=%2B1555&Message=m",
            vec!["sns:Publish *"],
        ),
        (
            "sns",
            "Action=PublishBatch&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A111122223333%3At",
            vec!["sns:Publish t"],
        ),
        (
            "sns",
            "Action=Unsubscribe&Version=2010-03-31&SubscriptionArn=arn%3Aaws%3Asns%3Aus-east-1%3A111122223333%3At%3A12-ab",
            vec!["sns:Unsubscribe t"],
        ),
        (
            "sqs",
            "Action=SendMessage&Version=2012-11-05&QueueUrl=http%3A%2F%2Fh%2F123456789012%2Fjobs",
            vec!["sqs:SendMessage jobs"],
        ),
        (
            "rds",
            "Action=StopDBInstance&Version=2014-10-31&DBInstanceIdentifier=Prod",
            vec!["rds:StopDBInstance db:prod"],
        ),
        (
            "elasticache",
            "Action=DeleteCacheCluster&Version=2015-02-02&CacheClusterId=c",
            vec!["elasticache:DeleteCacheCluster cluster:c"],
        ),
        (
            "autoscaling",
            "Action=SetDesiredCapacity&Version=2011-01-01&AutoScalingGroupName=g&DesiredCapacity=1",
            vec!["autoscaling:SetDesiredCapacity autoScalingGroup:*:autoScalingGroupName/g"],
        ),
        (
            "elasticloadbalancing",
            "Action=DeleteLoadBalancer&Version=2012-06-01&LoadBalancerName=l",
            vec!["elasticloadbalancing:DeleteLoadBalancer loadbalancer/l"],
        ),
        (
            "elasticloadbalancing",
            "Action=DeleteLoadBalancer&Version=2015-12-01&LoadBalancerArn=arn%3Aaws%3Aelasticloadbalancing%3Aus-east-1%3A111122223333%3Aloadbalancer%2Fapp%2Fl%2F12",
            vec!["elasticloadbalancing:DeleteLoadBalancer loadbalancer/app/l/12"],
        ),
    ] {
        assert_eq!(questions(&form(service, body)), expected, "{body}");
    }
    let get = Sent {
        method: Method::GET,
        query: "Action=ListTopics&Version=2010-03-31",
        headers: Vec::new(),
        ..form("sns", "")
    };
    assert_eq!(questions(&get), ["sns:ListTopics *"]);
}

#[test]
fn rest_services_by_route() {
    let change = r#"<?xml version="1.0"?><ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch><Changes>
        <Change><Action>UPSERT</Action><ResourceRecordSet><Name>WWW.Example.com.</Name><Type>A</Type></ResourceRecordSet></Change>
        <Change><Action>CREATE</Action><ResourceRecordSet><Name>*.example.com</Name><Type>TXT</Type></ResourceRecordSet></Change>
        </Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"#;
    let sent = rest("route53", Method::POST, "/2013-04-01/hostedzone/Z1/rrset/", change);
    let got = asked(&sent).unwrap();
    assert_eq!(got.asks.len(), 1);
    assert_eq!(got.asks[0].resource, "arn:aws:route53:::hostedzone/Z1");
    assert_eq!(
        key(&got, "route53:ChangeResourceRecordSetsNormalizedRecordNames"),
        [["www.example.com", "\\052.example.com"]]
    );
    assert_eq!(key(&got, "route53:ChangeResourceRecordSetsRecordTypes"), [["A", "TXT"]]);
    assert_eq!(
        key(&got, "route53:ChangeResourceRecordSetsActions"),
        [["UPSERT", "CREATE"]]
    );
    assert_eq!(
        questions(&rest("mq", Method::GET, "/v1/brokers/b-12", "")),
        ["mq:DescribeBroker broker:*:b-12"]
    );
    assert_eq!(
        questions(&rest("route53", Method::GET, "/2013-04-01/tags/hostedzone/Z1", "")),
        ["route53:ListTagsForResource arn:aws:route53:::hostedzone/Z1"]
    );
    for path in [
        "/2013-04-01/hostedzone/Z1/../Z2/rrset",
        "/2013-04-01/hostedzone//rrset",
        "/2013-04-01/hostedzone/Z1%2Frrset",
        "/2013-04-01/hostedzone/%2e%2e/rrset",
        "/2013-04-01/HostedZone/Z1/rrset",
        "/elsewhere",
    ] {
        assert!(asked(&rest("route53", Method::POST, path, change)).is_err(), "{path}");
    }
}

#[test]
fn condition_keys_of_items() {
    let get = json(
        "dynamodb",
        "DynamoDB_20120810.GetItem",
        r##"{"TableName":"t","Key":{"pk":{"S":"a"}},"ProjectionExpression":"b, #c","ExpressionAttributeNames":{"#c":"color"},"ReturnConsumedCapacity":"TOTAL"}"##,
    );
    let got = asked(&get).unwrap();
    assert_eq!(key(&got, "dynamodb:LeadingKeys"), [["a"]]);
    assert_eq!(key(&got, "dynamodb:Attributes"), [["b", "color", "pk"]]);
    assert_eq!(key(&got, "dynamodb:Select"), [["SPECIFIC_ATTRIBUTES"]]);
    assert_eq!(key(&got, "dynamodb:ReturnConsumedCapacity"), [["TOTAL"]]);
    // Which of two attributes is the partition key is not said: both are asked, and one that is declared alone.
    let two = json(
        "dynamodb",
        "DynamoDB_20120810.DeleteItem",
        r#"{"TableName":"t","Key":{"pk":{"S":"a"},"sk":{"S":"b"}}}"#,
    );
    assert_eq!(key(&asked(&two).unwrap(), "dynamodb:LeadingKeys"), [["a"], ["b"]]);
    let declared = book()
        .with(r#"{"services":[{"signingNames":["dynamodb"],"prefix":"dynamodb","protocol":"json","targets":["DynamoDB_20120810"],"partitionKeys":{"t":"pk"}}]}"#)
        .unwrap();
    assert_eq!(
        key(&asked_by(&declared, &two, false).unwrap(), "dynamodb:LeadingKeys"),
        [["a"]]
    );
    let batch = json(
        "dynamodb",
        "DynamoDB_20120810.BatchGetItem",
        r#"{"RequestItems":{"t":{"Keys":[{"pk":{"S":"a"},"sk":{"N":"1"}},{"pk":{"S":"b"},"sk":{"N":"1"}}]}}}"#,
    );
    assert_eq!(
        key(&asked(&batch).unwrap(), "dynamodb:LeadingKeys"),
        [vec!["a", "b"], vec!["1"]]
    );
    let query = json(
        "dynamodb",
        "DynamoDB_20120810.Query",
        r#"{"TableName":"t","KeyConditionExpression":"sk = :s AND pk=:p","ExpressionAttributeValues":{":p":{"S":"a"},":s":{"S":"b"}}}"#,
    );
    assert_eq!(key(&asked(&query).unwrap(), "dynamodb:LeadingKeys"), [["b"], ["a"]]);
    let transaction = json(
        "dynamodb",
        "DynamoDB_20120810.TransactGetItems",
        r#"{"TransactItems":[{"Get":{"TableName":"t","Key":{"pk":{"S":"a"}}}}]}"#,
    );
    let got = asked(&transaction).unwrap();
    assert_eq!(got.asks[0].action, "dynamodb:GetItem");
    assert_eq!(key(&got, "dynamodb:EnclosingOperation"), [["TransactGetItems"]]);
    assert!(got.read_only);
}

#[test]
fn condition_keys_of_parameters_and_tags() {
    let create = json(
        "sqs",
        "AmazonSQS.CreateQueue",
        r#"{"QueueName":"jobs","tags":{"Team":"a","team":"b","x":"y"}}"#,
    );
    let got = asked(&create).unwrap();
    assert_eq!(key(&got, "aws:RequestTag/Team"), [["a", "b"]]);
    assert_eq!(key(&got, "aws:RequestTag/x"), [["y"]]);
    assert_eq!(key(&got, "aws:TagKeys"), [["Team", "team", "x"]]);
    let old = form(
        "sqs",
        "Action=CreateQueue&Version=2012-11-05&QueueName=jobs&Tag.1.Key=Team&Tag.1.Value=a",
    );
    assert_eq!(key(&asked(&old).unwrap(), "aws:RequestTag/Team"), [["a"]]);
    let subscribe = form(
        "sns",
        "Action=Subscribe&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A111122223333%3At&Protocol=https&Endpoint=https%3A%2F%2Fexample.com",
    );
    let got = asked(&subscribe).unwrap();
    assert_eq!(key(&got, "sns:Protocol"), [["https"]]);
    assert_eq!(key(&got, "sns:Endpoint"), [["https://example.com"]]);
    let encrypt = json(
        "kms",
        "TrentService.Encrypt",
        r#"{"KeyId":"alias/a","Plaintext":"eA==","EncryptionContext":{"app":"x","tier":"y"}}"#,
    );
    let got = asked(&encrypt).unwrap();
    assert_eq!(key(&got, "kms:EncryptionContext:app"), [["x"]]);
    assert_eq!(key(&got, "kms:EncryptionContextKeys"), [["app", "tier"]]);
    assert!(
        got.unread.iter().any(|key| key == "aws:ResourceTag/"),
        "{:?}",
        got.unread
    );
    let rds = form(
        "rds",
        "Action=CreateDBInstance&Version=2014-10-31&DBInstanceIdentifier=d&Engine=postgres&DBInstanceClass=db.t3.micro&Tags.Tag.1.Key=k&Tags.Tag.1.Value=v",
    );
    let got = asked(&rds).unwrap();
    assert_eq!(key(&got, "rds:DatabaseEngine"), [["postgres"]]);
    assert_eq!(key(&got, "aws:RequestTag/k"), [["v"]]);
}

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
    assert!(asked_by(&book(), &json("dynamodb", "DynamoDB_20120810.ListTables", "{}"), true).is_ok());
}

#[test]
fn resources_of_others_belong_to_others() {
    let sent = json(
        "dynamodb",
        "DynamoDB_20120810.DescribeTable",
        r#"{"TableName":"arn:aws:dynamodb:us-east-1:444455556666:table/t"}"#,
    );
    assert_eq!(asked(&sent).unwrap().asks[0].account.to_string(), "444455556666");
}

#[test]
fn operators_extend_the_rules_and_are_told_where_they_are_wrong() {
    let own = r#"{"services":[{"signingNames":["orders"],"prefix":"orders","protocol":"json","targets":["Orders_1"],
        "resources":{"order":{"arn":"arn:{partition}:orders:{region}:{account}:order/{}"}},
        "operations":{"Cancel":{"resources":[{"kind":"order","from":"OrderIds[]"}]}}},
        {"signingNames":["dynamodb"],"prefix":"dynamodb","protocol":"json","targets":["DynamoDB_20120810"],"operations":{"ListTables":{"refuse":"not here"}}}]}"#;
    let extended = book().with(own).unwrap();
    let sent = json("orders", "Orders_1.Cancel", r#"{"OrderIds":["a","b"]}"#);
    assert_eq!(asked_by(&extended, &sent, true).unwrap().asks.len(), 2);
    assert!(
        asked_by(
            &extended,
            &json("dynamodb", "DynamoDB_20120810.ListTables", "{}"),
            false
        )
        .is_err()
    );
    assert!(
        asked_by(
            &extended,
            &json("dynamodb", "DynamoDB_20120810.DescribeLimits", "{}"),
            false
        )
        .is_ok()
    );
    for (text, place, part) in [
        ("", (1, 0), "EOF"),
        (
            "{\n  \"services\": [\n    {\"prefx\": 1}\n  ]\n}",
            (3, 12),
            "unknown field `prefx`",
        ),
        (
            "{\"services\":[{\"signingNames\":[\"o\"],\"prefix\":\"o\",\"protocol\":\"json\",\"targets\":[\"O\"],\n\"operations\":{\n  \"Cancel\":{\"resources\":[{\"kind\":\"order\",\"from\":\"Id\"}]}}}]}",
            (3, 3),
            "no kind of resource `order`",
        ),
        (
            "{\"services\":[{\"signingNames\":[\"o\"],\"prefix\":\"o\",\"protocol\":\"json\",\"targets\":[\"O\"],\n\"operations\":{\"A\":{},\n\"A\":{}}}]}",
            (3, 3),
            "`A` is there twice",
        ),
        (
            "{\"services\":[{\"signingNames\":[\"o\"],\n\"prefix\":\"o\",\"protocol\":\"json\"}]}",
            (1, 31),
            "needs `targets`",
        ),
        (
            "{\"services\":[{\"signingNames\":[\"sqs\"],\"prefix\":\"q\",\"protocol\":\"json\",\"targets\":[\"AmazonSQS\"]}]}",
            (1, 47),
            "could both mean a request",
        ),
    ] {
        let error = book().with(text).unwrap_err();
        assert!(error.problem.contains(part), "{error}");
        assert_eq!((error.line, error.column), place, "{error}");
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
