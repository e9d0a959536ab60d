use super::*;

fn read(body: &Value) -> Result<Call, WireError> {
    Call::new(
        "POST",
        "/",
        Some("CloudTrail_20131101.LookupEvents"),
        body.to_string().as_bytes(),
    )
}

fn refused(body: &Value) -> String {
    read(body).unwrap_err().code.into_owned()
}

#[test]
fn targets_are_long_or_short_and_nothing_else() {
    let long = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
    for target in [long, "CloudTrail_20131101.LookupEvents"] {
        for body in [b"".as_slice(), b" ", b"{}"] {
            let call = Call::new("POST", "/", Some(target), body).unwrap();
            assert_eq!(call.max_results, 50);
        }
    }
    for (method, path, target) in [
        ("POST", "/", None),
        ("POST", "/", Some("LookupEvents")),
        ("POST", "/", Some("CloudTrail_20131101.DescribeTrails")),
        ("POST", "/", Some("x.CloudTrail_20131101.LookupEvents")),
        ("GET", "/", Some(long)),
        ("POST", "/x", Some(long)),
    ] {
        let error = Call::new(method, path, target, b"{}").unwrap_err();
        assert_eq!(error.code, "UnknownOperationException", "{method} {path} {target:?}");
    }
}

#[test]
fn wrong_input_has_cloudtrails_errors() {
    let key = |key: &str, value: &str| json!({ "AttributeKey": key, "AttributeValue": value });
    for (body, code) in [
        (json!({ "MaxResults": 0 }), "InvalidMaxResultsException"),
        (json!({ "MaxResults": 51 }), "InvalidMaxResultsException"),
        (json!({ "MaxResults": -1 }), "InvalidMaxResultsException"),
        (json!({ "MaxResults": 1.5 }), "InvalidMaxResultsException"),
        (json!({ "MaxResults": 1e300 }), "InvalidMaxResultsException"),
        (json!({ "MaxResults": "50" }), "SerializationException"),
        (json!({ "StartTime": 2, "EndTime": 1 }), "InvalidTimeRangeException"),
        (json!({ "StartTime": -1 }), "InvalidTimeRangeException"),
        (json!({ "EndTime": 1e300 }), "InvalidTimeRangeException"),
        (json!({ "StartTime": "2026-11-22T10:00:00Z" }), "SerializationException"),
        (
            json!({ "EventCategory": "management" }),
            "InvalidEventCategoryException",
        ),
        (json!({ "EventCategory": 1 }), "SerializationException"),
        (json!({ "NextToken": {} }), "SerializationException"),
        (json!({ "LookupAttributes": {} }), "SerializationException"),
        (json!({ "LookupAttributes": ["EventId"] }), "SerializationException"),
        (json!({ "LookupAttributes": [{}] }), "InvalidLookupAttributesException"),
        (
            json!({ "LookupAttributes": [key("EventName", "")] }),
            "InvalidLookupAttributesException",
        ),
        (
            json!({ "LookupAttributes": [key("EventName", &"x".repeat(2001))] }),
            "InvalidLookupAttributesException",
        ),
        (
            json!({ "LookupAttributes": [key("eventName", "x")] }),
            "InvalidLookupAttributesException",
        ),
        (
            json!({ "LookupAttributes": [key("ReadOnly", "yes")] }),
            "InvalidLookupAttributesException",
        ),
        (
            json!({ "LookupAttributes": [key("EventName", "a"), key("EventName", "b")] }),
            "InvalidLookupAttributesException",
        ),
        (json!([]), "SerializationException"),
    ] {
        assert_eq!(refused(&body), code, "{body}");
    }
    for body in [
        json!({ "LookupAttributes": [] }),
        json!({ "LookupAttributes": null, "MaxResults": null, "NextToken": null }),
        json!({ "StartTime": 1_790_000_000.5, "EndTime": 1_790_000_000.5 }),
        json!({ "EventCategory": "insight" }),
        json!({ "Unknown": 1 }),
    ] {
        read(&body).unwrap();
    }
}

#[test]
fn tokens_are_good_for_their_query_only() {
    let account = |number| AccountId::from_number(number).unwrap();
    let pages = |body: Value, account, region: &str| Pages {
        key: hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]),
        query: read(&body).unwrap().query(account, region),
    };
    let token = pages(json!({ "MaxResults": 5 }), account(1), "us-east-1").seal(77);
    let open = |body, number, region| pages(body, account(number), region).open(&token);
    assert_eq!(open(json!({}), 1, "us-east-1"), Some(77));
    assert_eq!(open(json!({}), 2, "us-east-1"), None);
    assert_eq!(open(json!({}), 1, "us-west-2"), None);
    assert_eq!(open(json!({ "StartTime": 0 }), 1, "us-east-1"), None);
    let attribute = json!({ "LookupAttributes": [{ "AttributeKey": "EventName", "AttributeValue": "x" }] });
    assert_eq!(open(attribute, 1, "us-east-1"), None);
    let same = pages(json!({}), account(1), "us-east-1");
    for bad in ["", "x", "AAAAAAAAAE0", &token[1..], &format!("{token}A"), "\u{0}"] {
        assert_eq!(same.open(bad), None, "{bad}");
    }
}

#[test]
fn what_operators_know_stays_with_them() {
    let mut event = json!({
        "userIdentity": { "type": "IAMUser", "principalId": "AIDA", "accountId": "000000000002", "accessKeyId": "AKIA", "userName": "u" },
        "additionalEventData": { "irsa": { "reason": "why" } },
        "recipientAccountId": "000000000002",
    });
    let mut own = event.clone();
    shown_to(&mut own, AccountId::from_number(2).unwrap());
    assert_eq!(own["userIdentity"]["accessKeyId"], "AKIA");
    assert!(own.get("additionalEventData").is_none());
    shown_to(&mut event, AccountId::from_number(1).unwrap());
    assert_eq!(
        event,
        json!({
            "userIdentity": { "type": "AWSAccount", "principalId": "AIDA", "accountId": "000000000002" },
            "recipientAccountId": "000000000001",
        })
    );
}
