//! Requests as clients and attackers send them, and the questions that they raise.

mod keys;
mod refusals;

use super::*;

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// Reading the rules is slow without optimisation.
fn book() -> RuleBook {
    static BOOK: std::sync::LazyLock<RuleBook> = std::sync::LazyLock::new(|| RuleBook::built_in().unwrap());
    BOOK.clone()
}

#[derive(Clone)]
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

fn headers(sent: &Sent<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &sent.headers {
        headers.append(
            http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    headers
}

fn request<'a>(sent: &'a Sent<'_>, headers: &'a HeaderMap) -> GatewayRequest<'a> {
    GatewayRequest {
        service: sent.service,
        region: "us-east-1",
        account: "111122223333".parse().unwrap(),
        method: &sent.method,
        path: sent.path,
        query: sent.query,
        headers,
        body: Some(sent.body.as_bytes()),
    }
}

fn asked_by(book: &RuleBook, sent: &Sent<'_>, strict: bool) -> Result<Asked, GatewayError> {
    book.read(&request(sent, &headers(sent)), strict)
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
fn resources_of_others_belong_to_others() {
    let sent = json(
        "dynamodb",
        "DynamoDB_20120810.DescribeTable",
        r#"{"TableName":"arn:aws:dynamodb:us-east-1:444455556666:table/t"}"#,
    );
    assert_eq!(asked(&sent).unwrap().asks[0].account.to_string(), "444455556666");
}

#[test]
fn operators_extend_the_rules() {
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
}

#[test]
fn adv_gw_03_an_unseen_body_decides_nothing() {
    let unseen = |sent: &Sent<'_>| {
        let headers = headers(sent);
        book().read(
            &GatewayRequest {
                body: None,
                ..request(sent, &headers)
            },
            false,
        )
    };
    for sent in [
        json("dynamodb", "DynamoDB_20120810.GetItem", "{}"),
        json("dynamodb", "DynamoDB_20120810.DescribeTable", "{}"),
        json("kms", "TrentService.CreateKey", "{}"),
        json("secretsmanager", "secretsmanager.GetSecretValue", "{}"),
        form("sns", ""),
        rest("mq", Method::POST, "/v1/brokers", ""),
        Sent {
            query: "Action=ListTopics&Version=2010-03-31",
            method: Method::GET,
            headers: Vec::new(),
            ..form("sns", "")
        },
    ] {
        assert!(
            matches!(unseen(&sent), Err(GatewayError::BodyUnseen(_))),
            "{:?} {}",
            sent.headers,
            sent.path
        );
    }
    for (sent, expected) in [
        (
            json("dynamodb", "DynamoDB_20120810.ListTables", ""),
            "dynamodb:ListTables *",
        ),
        (
            json("dynamodb", "DynamoDB_20120810.InventedOperation", ""),
            "dynamodb:InventedOperation *",
        ),
        (
            rest("route53", Method::POST, "/2013-04-01/hostedzone/Z1", ""),
            "route53:UpdateHostedZoneComment arn:aws:route53:::hostedzone/Z1",
        ),
    ] {
        // A server may find another operation in a body, so there must be no room for one.
        let announced = |length: Option<&'static str>| {
            let mut sent = sent.clone();
            sent.headers.extend(length.map(|length| ("content-length", length)));
            sent
        };
        for length in [None, Some("3"), Some("+2"), Some("02")] {
            let refused = unseen(&announced(length));
            assert!(matches!(refused, Err(GatewayError::BodyUnseen(_))), "{length:?}");
        }
        let asked = unseen(&announced(Some("2"))).unwrap();
        let questions: Vec<String> = asked
            .asks
            .iter()
            .map(|ask| format!("{} {}", ask.action, ask.resource))
            .collect();
        assert_eq!(questions, [expected]);
    }
}

#[test]
fn sources_of_copies_are_asked_about_too() {
    for (sent, expected) in [
        (
            json(
                "kms",
                "TrentService.ReEncrypt",
                r#"{"CiphertextBlob":"eA==","DestinationKeyId":"k2"}"#,
            ),
            ["kms:ReEncryptFrom *", "kms:ReEncryptTo key/k2"],
        ),
        (
            form(
                "rds",
                "Action=RestoreDBClusterToPointInTime&Version=2014-10-31&DBClusterIdentifier=new&SourceDBClusterIdentifier=old",
            ),
            [
                "rds:RestoreDBClusterToPointInTime cluster:new",
                "rds:RestoreDBClusterToPointInTime cluster:old",
            ],
        ),
        (
            form(
                "rds",
                "Action=CreateDBInstanceReadReplica&Version=2014-10-31&DBInstanceIdentifier=new&SourceDBInstanceIdentifier=old",
            ),
            [
                "rds:CreateDBInstanceReadReplica db:new",
                "rds:CreateDBInstanceReadReplica db:old",
            ],
        ),
        (
            form(
                "rds",
                "Action=FailoverGlobalCluster&Version=2014-10-31&GlobalClusterIdentifier=g&TargetDbClusterIdentifier=c",
            ),
            [
                "rds:FailoverGlobalCluster cluster:c",
                "rds:FailoverGlobalCluster global-cluster:g",
            ],
        ),
    ] {
        assert_eq!(questions(&sent), expected);
    }
    // Sources by what only the service can find: their ARNs can't be told.
    for body in [
        "Action=RestoreDBInstanceToPointInTime&Version=2014-10-31&TargetDBInstanceIdentifier=new&SourceDbiResourceId=db-ABC",
        "Action=RestoreDBClusterToPointInTime&Version=2014-10-31&DBClusterIdentifier=new&SourceDbClusterResourceId=cluster-ABC",
    ] {
        assert!(
            matches!(asked(&form("rds", body)), Err(GatewayError::Value { .. })),
            "{body}"
        );
    }
}
