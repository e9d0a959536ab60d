//! Condition keys that are read from requests.

use super::*;

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
