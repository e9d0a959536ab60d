use super::*;

fn document(tags: &[(&str, &str)]) -> String {
    let tags: String = tags
        .iter()
        .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"))
        .collect();
    format!("<Tagging {NAMESPACE}><TagSet>{tags}</TagSet></Tagging>")
}

#[tokio::test]
async fn tags_of_a_bucket_come_and_go() {
    let server = Server::with_bucket().await;
    let put = send(&server, "PUT", "tagging", &document(&[("team", "blue"), ("b", "")])).await;
    assert!(put.status.is_success(), "{}", put.text);
    let answer = send(&server, "GET", "tagging", "").await;
    assert_eq!(answer.elements("Key"), ["team", "b"], "{}", answer.text);
    assert_eq!(answer.elements("Value"), ["blue", ""]);
    let answer = send(&server, "DELETE", "tagging", "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(
        refused(&server, "GET", "tagging", "").await,
        refusal(404, "NoSuchTagSet", "The TagSet does not exist")
    );
}

#[tokio::test]
async fn tags_that_cannot_be() {
    let server = Server::with_bucket().await;
    let names: Vec<String> = (0..51).map(|number| number.to_string()).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a")).collect();
    assert_eq!(
        refused(&server, "PUT", "tagging", &document(&many)).await,
        refusal(400, "BadRequest", "Bucket tag count cannot be greater than 50")
    );
    assert!(
        send(&server, "PUT", "tagging", &document(&many[..50]))
            .await
            .status
            .is_success()
    );
    for (tags, message) in [
        (vec![("", "a")], "The TagKey you have provided is invalid"),
        (vec![("a", "a!")], "The TagValue you have provided is invalid"),
        (vec![("AWS:a", "a")], "System tags cannot be added/updated by requester"),
        (
            vec![("a", "a"), ("a", "b")],
            "Cannot provide multiple Tags with the same key",
        ),
    ] {
        assert_eq!(
            refused(&server, "PUT", "tagging", &document(&tags)).await,
            refusal(400, "InvalidTag", message)
        );
    }
    assert_eq!(send(&server, "GET", "tagging", "").await.elements("Key").len(), 50);
}
