//! CloudTrail's LookupEvents over the wire: filters, pages, whose events, and what is not told.

use irsa_audit::Filter;
use serde_json::{Value, json};

use crate::client::{Key, Request, Response, Signing};
use crate::harness::{OTHER_ACCOUNT, Server, allow, cluster, name, session_key, web_role, world};

const TARGET: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";

fn request(target: &str, body: &Value) -> Request {
    Request::new("POST", "/")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", target)
        .body(body.to_string())
}

fn ask(server: &Server, key: &Key, body: &Value) -> Response {
    server.signed(request(TARGET, body), key, "cloudtrail")
}

fn by(key: &str, value: &str) -> Value {
    json!([{ "AttributeKey": key, "AttributeValue": value }])
}

/// All pages of a query.
fn all(server: &Server, key: &Key, body: &Value) -> Vec<Value> {
    let (mut events, mut body) = (Vec::new(), body.clone());
    loop {
        let response = ask(server, key, &body);
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.header("content-type"), Some("application/x-amz-json-1.1"));
        let answer = response.json();
        events.extend(answer["Events"].as_array().unwrap().iter().cloned());
        match answer.get("NextToken") {
            Some(token) => body["NextToken"] = token.clone(),
            None => return events,
        }
    }
}

#[test]
fn events_are_found_by_each_attribute() {
    let world = world();
    let server = &world.server;
    let user = name("trail");
    let made = server.iam_ok(&server.root, "CreateUser", &[("UserName", &user)]);
    let key = server.access_key(&server.root, &user);
    let denied = server.iam(&key, "ListRoles", &[]);
    assert_eq!(denied.status, 403);
    let record = server.record(&made);
    let id = record["eventID"].as_str().unwrap();

    let events = all(server, &server.root, &json!({ "LookupAttributes": by("EventId", id) }));
    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(event["EventName"], "CreateUser");
    assert_eq!(event["EventSource"], "iam.amazonaws.com");
    assert_eq!(event["ReadOnly"], "false");
    assert_eq!(event["Username"], "root");
    assert_eq!(event["AccessKeyId"], server.root.id.as_str());
    assert!(event["EventTime"].is_number());
    assert_eq!(
        event["Resources"],
        json!([{ "ResourceType": "AWS::IAM::User", "ResourceName": user }])
    );
    let told: Value = serde_json::from_str(event["CloudTrailEvent"].as_str().unwrap()).unwrap();
    assert_eq!(told["requestID"], record["requestID"]);
    assert_eq!(told["eventVersion"], "1.11");

    for (attribute, value, name) in [
        ("Username", user.as_str(), "ListRoles"),
        ("AccessKeyId", &key.id, "ListRoles"),
        ("ResourceName", &user, "CreateUser"),
    ] {
        let events = all(
            server,
            &server.root,
            &json!({ "LookupAttributes": by(attribute, value) }),
        );
        let names: Vec<&str> = events
            .iter()
            .map(|event| event["EventName"].as_str().unwrap())
            .collect();
        assert!(names.contains(&name), "{attribute}: {names:?}");
    }
    for (attribute, value, member) in [
        ("EventName", "CreateUser", "EventName"),
        ("EventSource", "iam.amazonaws.com", "EventSource"),
        ("ReadOnly", "false", "ReadOnly"),
        ("Username", "root", "Username"),
    ] {
        let body = json!({ "LookupAttributes": by(attribute, value), "MaxResults": 5 });
        let answer = ask(server, &server.root, &body).json();
        let events = answer["Events"].as_array().unwrap();
        assert!(
            !events.is_empty() && events.iter().all(|event| event[member] == value),
            "{answer}"
        );
    }
    let body = json!({ "LookupAttributes": by("ResourceType", "AWS::IAM::User"), "MaxResults": 5 });
    assert!(
        !ask(server, &server.root, &body).json()["Events"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn pages_go_from_the_newest_event_to_the_oldest_and_miss_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for _ in 0..7 {
        server.iam_ok(&server.root, "ListUsers", &[]);
    }
    server.s3(&server.root, "GET", "/none/key", b"");
    let query = json!({ "LookupAttributes": by("EventName", "ListUsers"), "MaxResults": 3 });
    let first = ask(&server, &server.root, &query).json();
    assert_eq!(first["Events"].as_array().unwrap().len(), 3);
    // What comes while pages are read is on none of them.
    server.iam_ok(&server.root, "ListUsers", &[]);
    let mut events = first["Events"].as_array().unwrap().clone();
    let mut next = query.clone();
    next["NextToken"] = first["NextToken"].clone();
    events.extend(all(&server, &server.root, &next));
    let ids: Vec<&str> = events.iter().map(|event| event["EventId"].as_str().unwrap()).collect();
    let records = server.all_records(Filter {
        event_name: Some("ListUsers".to_owned()),
        ..Filter::default()
    });
    let expected: Vec<&str> = records
        .iter()
        .skip(1)
        .map(|record| record["eventID"].as_str().unwrap())
        .collect();
    assert_eq!(ids, expected);

    // A token is good for its query, in its account and region.
    let token = first["NextToken"].as_str().unwrap();
    let other = json!({ "LookupAttributes": by("EventName", "ListRoles"), "NextToken": token });
    assert_eq!(
        ask(&server, &server.root, &other).outcome(),
        "400 InvalidNextTokenException"
    );
    let elsewhere = Signing::new(&server.root, "cloudtrail").region("eu-west-1");
    let response = server.signed_as(request(TARGET, &next), &elsewhere);
    assert_eq!(response.outcome(), "400 InvalidNextTokenException");
    for bad in ["", "x", &token[1..], &format!("{token}AA")] {
        let body = json!({ "LookupAttributes": by("EventName", "ListUsers"), "NextToken": bad });
        assert_eq!(
            ask(&server, &server.root, &body).outcome(),
            "400 InvalidNextTokenException",
            "{bad}"
        );
    }

    // Data events are none of these, and another region's neither.
    let every = all(&server, &server.root, &json!({}));
    assert!(every.iter().all(|event| event["EventName"] != "GetObject"));
    let response = server.signed_as(request(TARGET, &json!({})), &elsewhere);
    let names: Vec<Value> = response.json()["Events"].as_array().unwrap().clone();
    assert!(
        names.iter().all(|event| event["EventName"] == "LookupEvents"),
        "{names:?}"
    );
    // The bounds of time.
    let now = crate::harness::now().unix_seconds();
    for (start, end, found) in [(0, now + 60, true), (now + 100, now + 200, false), (0, 1, false)] {
        let body = json!({ "StartTime": start, "EndTime": end, "MaxResults": 1 });
        let answer = ask(&server, &server.root, &body).json();
        assert_eq!(!answer["Events"].as_array().unwrap().is_empty(), found, "{answer}");
    }
    let insight = ask(&server, &server.root, &json!({ "EventCategory": "insight" })).json();
    assert_eq!(insight, json!({ "Events": [] }));
}

#[test]
fn a_lookup_is_authorized_and_recorded_like_any_call() {
    let world = world();
    let server = &world.server;
    let user = name("auditor");
    let key = server.user(&server.root, &user, None);
    let refused = ask(server, &key, &json!({}));
    assert_eq!(refused.outcome(), "403 AccessDeniedException", "{}", refused.text());
    assert!(
        refused
            .message()
            .contains("is not authorized to perform: cloudtrail:LookupEvents")
    );
    server.record(&refused);
    let may = server.user(&server.root, &name("auditor"), Some(&allow("cloudtrail:LookupEvents")));
    for target in [TARGET, "CloudTrail_20131101.LookupEvents"] {
        let body = json!({ "LookupAttributes": by("EventName", "x"), "MaxResults": 7 });
        let response = server.signed(request(target, &body), &may, "cloudtrail");
        assert_eq!(response.status, 200, "{}", response.text());
        let record = server.record(&response);
        assert_eq!(record["eventName"], "LookupEvents");
        assert_eq!(record["eventSource"], "cloudtrail.amazonaws.com");
        assert_eq!(
            (&record["readOnly"], &record["managementEvent"]),
            (&json!(true), &json!(true))
        );
        assert!(record["responseElements"].is_null());
        assert_eq!(
            record["requestParameters"],
            json!({ "lookupAttributes": [{ "attributeKey": "EventName", "attributeValue": "x" }], "maxResults": 7 })
        );
    }
    let unsigned = server.send(&request(TARGET, &json!({})));
    assert_eq!(
        unsigned.outcome(),
        "403 MissingAuthenticationTokenException",
        "{}",
        unsigned.text()
    );
    server.record(&unsigned);
    for (body, code) in [
        (json!({ "MaxResults": 51 }), "InvalidMaxResultsException"),
        (json!({ "StartTime": 2, "EndTime": 1 }), "InvalidTimeRangeException"),
        (
            json!({ "LookupAttributes": by("Nonsense", "x") }),
            "InvalidLookupAttributesException",
        ),
        (json!({ "EventCategory": "data" }), "InvalidEventCategoryException"),
        (json!({ "StartTime": "today" }), "SerializationException"),
    ] {
        let response = ask(server, &server.root, &body);
        assert_eq!(response.outcome(), format!("400 {code}"), "{}", response.text());
        server.record(&response);
    }
}

/// Nobody looks into another account, and nobody learns why he was refused.
#[test]
fn adv_au_05_tenants_see_their_own_events_and_no_reasons() {
    let world = world();
    let server = &world.server;
    let user = name("refused");
    let key = server.user(&server.root, &user, None);
    let refused = server.iam(&key, "GetUser", &[("UserName", "somebody")]);
    assert_eq!(refused.status, 403);
    let record = server.record(&refused);
    assert!(record["additionalEventData"]["irsa"]["reason"].is_string());
    let id = record["eventID"].as_str().unwrap();
    let mine = all(server, &server.root, &json!({ "LookupAttributes": by("EventId", id) }));
    let told = mine[0]["CloudTrailEvent"].as_str().unwrap();
    assert!(told.contains("AccessDenied") && !told.contains("irsa\""), "{told}");
    let theirs = all(
        server,
        &world.other_root,
        &json!({ "LookupAttributes": by("EventId", id) }),
    );
    assert_eq!(theirs, [Value::Null; 0]);
    let every = all(server, &world.other_root, &json!({}));
    for event in every {
        let told: Value = serde_json::from_str(event["CloudTrailEvent"].as_str().unwrap()).unwrap();
        assert_eq!(told["recipientAccountId"], OTHER_ACCOUNT);
        assert_ne!(told["userIdentity"]["accessKeyId"], server.root.id.as_str());
    }
}

/// From an S3 access back to the pod, and from the pod to what it did.
#[test]
fn adv_au_07_a_pods_sessions_are_its_own() {
    let world = world();
    let server = &world.server;
    let cluster_name = name("trail");
    let issuer = cluster(server, &server.root, &cluster_name);
    let role = name("pod");
    let subject = "system:serviceaccount:shop:reader";
    web_role(
        server,
        &server.root,
        &role,
        &issuer,
        subject,
        Some(&allow("s3:GetObject")),
    );
    let pod = |pod: &str, uid: &str| {
        let target = format!("/clusters/{cluster_name}/namespaces/shop/serviceaccounts/reader/token");
        let spec =
            json!({ "audiences": ["sts.amazonaws.com"], "boundObjectRef": { "kind": "Pod", "name": pod, "uid": uid } });
        let answer = server
            .json(&server.root, "irsa", "POST", &target, &json!({ "spec": spec }))
            .json();
        let token = answer["status"]["token"].as_str().unwrap().to_owned();
        crate::harness::remember_secret(&token);
        session_key(&server.exchange(&role, &token, &[]))
    };
    let (one, two) = (pod("reader-1", "uid-of-one"), pod("reader-2", "uid-of-two"));
    for key in [&one, &two] {
        assert_eq!(server.s3(key, "GET", "/first-bucket/hello.txt", b"").status, 200);
        assert_eq!(server.s3(key, "PUT", "/first-bucket/hello.txt", b"x").status, 403);
    }
    let found = |filter: Filter| {
        let records = server.all_records(filter);
        let names = records
            .iter()
            .map(|record| record["eventName"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let of = |pod: &str| Filter {
        pod: Some(pod.to_owned()),
        ..Filter::default()
    };
    for pod in ["uid-of-one", "reader-1", "shop/reader-1"] {
        assert_eq!(
            found(of(pod)),
            ["PutObject", "GetObject", "AssumeRoleWithWebIdentity"],
            "{pod}"
        );
    }
    assert_eq!(found(of("uid-of-none")), [""; 0]);
    let denied = Filter {
        verdict: Some(irsa_audit::Verdict::Denied),
        ..of("uid-of-two")
    };
    assert_eq!(found(denied), ["PutObject"]);
    let account = Filter {
        service_account: Some("shop/reader".to_owned()),
        role: Some(role.clone()),
        event_name: Some("GetObject".to_owned()),
        ..Filter::default()
    };
    assert_eq!(found(account), ["GetObject", "GetObject"]);
    let exchange = server.all_records(Filter {
        pod: Some("uid-of-one".to_owned()),
        event_source: Some("sts.amazonaws.com".to_owned()),
        ..Filter::default()
    });
    let origin = &exchange[0]["additionalEventData"]["irsa"];
    assert_eq!(
        origin["kubernetes"]["pod"],
        json!({ "name": "reader-1", "uid": "uid-of-one" })
    );
    assert_eq!(origin["kubernetes"]["serviceaccount"]["name"], "reader");
    assert!(origin["tokenId"].is_string());
}
