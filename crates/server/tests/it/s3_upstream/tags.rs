//! Tags that decisions depend on.

use super::store::{Store, error, ok};
use super::{before, user};

#[test]
fn tags_that_policies_ask_for_are_looked_up() {
    let store = Store::new(|seen| {
        if seen.line().contains("?tagging=") {
            let color = if seen.line().contains("/red") { "red" } else { "blue" };
            if seen.line().contains("/broken") {
                return error(500, "InternalError");
            }
            let text = format!("<Tagging><TagSet><Tag><Key>color</Key><Value>{color}</Value></Tag></TagSet></Tagging>");
            return ok(&[], text.as_bytes());
        }
        ok(&[], b"x")
    });
    let (_folder, server) = before(&store);
    let plain = user(&server, r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}"#);
    assert_eq!(server.s3(&plain, "GET", "/data/red", b"").status, 200);
    assert_eq!(store.seen().len(), 1, "nobody asks for tags");
    let blue = user(
        &server,
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/color":"blue"}}}"#,
    );
    assert_eq!(server.s3(&blue, "GET", "/data/a", b"").status, 200);
    assert_eq!(server.s3(&blue, "GET", "/data/red", b"").outcome(), "403 AccessDenied");
    assert_eq!(
        server.s3(&blue, "GET", "/data/broken", b"").outcome(),
        "403 AccessDenied"
    );
    let lines: Vec<String> = store.seen().iter().skip(1).map(|seen| seen.line().to_owned()).collect();
    let expected = [
        "/data/a?tagging=",
        "/data/a",
        "/data/red?tagging=",
        "/data/broken?tagging=",
    ];
    assert_eq!(lines, expected.map(|target| format!("GET {target} HTTP/1.1")));
    let not_red = user(
        &server,
        r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:Get*","Resource":"*","Condition":{"StringEquals":{"s3:existingobjecttag/color":"red"}}}"#,
    );
    assert_eq!(
        server.s3(&not_red, "GET", "/data/red", b"").outcome(),
        "403 AccessDenied"
    );
}

#[test]
fn a_condition_in_a_batch_sees_the_tags_of_the_object() {
    let store = Store::new(|seen| {
        if seen.line().contains("?tagging=") {
            let color = if seen.line().contains("/red") { "red" } else { "blue" };
            let text = format!("<Tagging><TagSet><Tag><Key>color</Key><Value>{color}</Value></Tag></TagSet></Tagging>");
            return ok(&[], text.as_bytes());
        }
        ok(&[], b"<DeleteResult><Deleted><Key>blue</Key></Deleted></DeleteResult>")
    });
    let (_folder, server) = before(&store);
    let not_red = user(
        &server,
        r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/color":"red"}}}"#,
    );
    let body = "<Delete><Object><Key>red</Key><ETag>\"e\"</ETag></Object><Object><Key>blue</Key><ETag>\"e\"</ETag></Object>\
                <Object><Key>sized</Key><Size>1</Size></Object></Delete>";
    let answer = server.s3(&not_red, "POST", "/data?delete", body.as_bytes());
    let text = answer.text();
    assert!(
        text.contains("<Error><Key>red</Key><Code>AccessDenied</Code>"),
        "{text}"
    );
    assert!(text.contains("<Deleted><Key>blue</Key></Deleted>"), "{text}");
    // A condition that would be lost is none to delete by.
    assert!(
        text.contains("<Error><Key>sized</Key><Code>NotImplemented</Code>"),
        "{text}"
    );
    let sent = String::from_utf8(store.last().body).unwrap();
    assert!(!sent.contains("red") && !sent.contains("sized"), "{sent}");
    // Who must not see a version must not be told of one that has no name.
    let empty = "<Delete><Object><Key>blue</Key><VersionId></VersionId></Object></Delete>";
    let known = store.seen().len();
    let answer = server.s3(&not_red, "POST", "/data?delete", empty.as_bytes());
    assert_eq!(answer.outcome(), "400 InvalidArgument", "{}", answer.text());
    assert_eq!(store.seen().len(), known);
}
