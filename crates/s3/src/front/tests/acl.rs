//! ACLs of objects: off, and so all alike.

use super::*;

#[tokio::test]
async fn the_owner_of_the_bucket_has_all_and_nobody_changes_that() {
    let server = Server::with_bucket().await;
    server.put("a", "hello").await;
    let told = server.call(&Script::all(), "GET", "/my-bucket/a?acl", "").await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    assert_eq!(told.elements("Permission"), ["FULL_CONTROL"]);
    let of_bucket = server.call(&Script::all(), "GET", "/my-bucket?acl", "").await;
    assert_eq!(told.elements("ID"), of_bucket.elements("ID"));
    assert_eq!(told.elements("ID").len(), 2);
    assert!(told.text.contains("CanonicalUser"), "{}", told.text);
    // What a proxy before another store writes is the same.
    let owner = crate::backend::owner(account(111_122_223_333)).id.unwrap();
    let written = crate::relay::write_acl(account(111_122_223_333));
    let written = String::from_utf8(written.to_vec()).unwrap();
    assert_eq!(written.matches(&owner).count(), 2);
    assert_eq!(told.text.matches(&owner).count(), 2);
    let document =
        "<AccessControlPolicy><Owner><ID>a</ID></Owner><AccessControlList></AccessControlList></AccessControlPolicy>";
    for (headers, body) in [
        (&[("x-amz-acl", "public-read")][..], ""),
        (&[("x-amz-acl", "bucket-owner-full-control")], ""),
        (&[("x-amz-grant-read", "id=1")], ""),
        (&[], document),
        (&[], &told.text),
    ] {
        let answer = server
            .send(&Script::all(), request("PUT", "/my-bucket/a?acl", headers, body))
            .await;
        assert_eq!(answer.code(), "AccessControlListNotSupported", "{headers:?} {body}");
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    let again = server.call(&Script::all(), "GET", "/my-bucket/a?acl", "").await;
    assert_eq!(again.text, told.text);
}

#[tokio::test]
async fn an_acl_is_that_of_an_object_that_is_there() {
    let server = Server::with_bucket().await;
    let missing = server.call(&Script::all(), "GET", "/my-bucket/missing?acl", "").await;
    assert_eq!(missing.code(), "NoSuchKey");
    let blind = Script::only(&["s3:GetObjectAcl"]);
    let missing = server.call(&blind, "GET", "/my-bucket/missing?acl", "").await;
    assert_eq!(missing.code(), "AccessDenied");
    let version = server
        .call(&Script::all(), "GET", "/my-bucket/missing?acl&versionId=null", "")
        .await;
    assert_eq!(version.code(), "NoSuchVersion", "{}", version.text);
    // Tags of the object decide, here as elsewhere.
    let secret = request("PUT", "/my-bucket/a", &[("x-amz-tagging", "class=secret")], "x");
    assert_eq!(server.send(&Script::all(), secret).await.status, StatusCode::OK);
    let guarded = Script::new(|target| target.condition("s3:ExistingObjectTag/class") != Some("secret"));
    for method in ["GET", "PUT"] {
        let answer = server.call(&guarded, method, "/my-bucket/a?acl", "").await;
        assert_eq!(answer.code(), "AccessDenied", "{method}");
    }
}
