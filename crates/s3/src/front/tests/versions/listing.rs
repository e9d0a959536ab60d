//! Listings of versions.

use super::*;

#[tokio::test]
async fn listings_page_by_page() {
    let server = enabled().await;
    for key in ["a/1", "a/2", "b", "c"] {
        put(&server, key, "1").await;
        delete(&server, key).await;
        put(&server, key, "3").await;
    }
    let whole = entries(&get(&server, "/my-bucket?versions").await);
    assert_eq!(whole.len(), 12);
    for max in 1..=13 {
        let (mut found, mut markers) = (Vec::new(), String::new());
        loop {
            let page = get(&server, &format!("/my-bucket?versions&max-keys={max}{markers}")).await;
            let entries = entries(&page);
            assert!(entries.len() <= max);
            found.extend(entries);
            if page.element("IsTruncated") == "false" {
                assert_eq!(
                    (page.element("NextKeyMarker"), page.element("NextVersionIdMarker")),
                    ("", "")
                );
                break;
            }
            let (key, version) = (page.element("NextKeyMarker"), page.element("NextVersionIdMarker"));
            markers = format!("&key-marker={key}&version-id-marker={version}");
        }
        assert_eq!(found, whole, "{max}");
    }
    let page = get(&server, "/my-bucket?versions&delimiter=/&max-keys=1").await;
    assert_eq!(page.element("CommonPrefixes"), "<Prefix>a/</Prefix>");
    assert_eq!(
        (page.element("NextKeyMarker"), page.element("NextVersionIdMarker")),
        ("a/", "")
    );
    let page = get(&server, "/my-bucket?versions&delimiter=/&key-marker=a/").await;
    assert_eq!(entries(&page), whole[6..]);
    // A key alone: what comes after all of its versions.
    let page = get(&server, "/my-bucket?versions&key-marker=b").await;
    assert_eq!(entries(&page), whole[9..]);
    assert_eq!((page.element("KeyMarker"), page.element("VersionIdMarker")), ("b", ""));
    let page = get(&server, "/my-bucket?versions&prefix=a/1&encoding-type=url").await;
    assert_eq!(entries(&page), whole[..3]);
    assert_eq!(page.element("EncodingType"), "url");
    for (query, message) in [
        (
            "version-id-marker=null",
            "A version-id marker cannot be specified without a key marker.",
        ),
        (
            "key-marker=b&version-id-marker=",
            "A version-id marker cannot be empty.",
        ),
        ("key-marker=b&version-id-marker=x", "Invalid version id specified"),
        (
            "max-keys=-1",
            "Argument maxKeys must be an integer between 0 and 2147483647",
        ),
    ] {
        let refused = get(&server, &format!("/my-bucket?versions&{query}")).await;
        assert_eq!(
            (refused.code(), refused.element("Message")),
            ("InvalidArgument", message)
        );
    }
    let page = get(&server, "/my-bucket?versions&max-keys=0").await;
    assert_eq!((entries(&page).len(), page.element("IsTruncated")), (0, "false"));
}

#[tokio::test]
async fn keys_of_any_kind_in_a_listing_of_versions() {
    let server = enabled().await;
    for key in ["%3CVersion%3E", "%3C%2FVersion%3E", "a%26b", "a%0Ab"] {
        put(&server, key, "x").await;
        delete(&server, key).await;
    }
    let listing = get(&server, "/my-bucket?versions").await;
    let found: Vec<_> = entries(&listing)
        .into_iter()
        .map(|(kind, key, ..)| (kind, key))
        .collect();
    let expected: Vec<_> = ["&lt;/Version&gt;", "&lt;Version&gt;", "a&#xa;b", "a&amp;b"]
        .iter()
        .flat_map(|key| {
            [
                ("marker".to_owned(), (*key).to_owned()),
                ("object".to_owned(), (*key).to_owned()),
            ]
        })
        .collect();
    assert_eq!(found, expected, "{}", listing.text);
}
