use http::{HeaderName, HeaderValue};

use super::*;

#[test]
fn paths() {
    for text in [
        "/",
        "/photos",
        "/photos/",
        "/photos/a/b/",
        "/photos/a%20b%2Bc%3B",
        "/photos/a..b/.c/...",
        "/photos/100%25",
        "/photos/a%252Bb",
        "/photos/%C3%BC:@!$&'()*,=~",
    ] {
        assert_eq!(path(text), Ok(()), "{text}");
    }
    for text in [
        "//",
        "//photos/a",
        "/photos//a",
        "/photos/a//",
        "/photos/../secret",
        "/photos/..",
        "/photos/./a",
        "/photos/%2e%2E/secret",
        "/photos/%2e/a",
        "/photos/a%2Fb",
        "/photos/a%5Cb",
        "/photos/a%00",
        "/photos/a+b",
        "/photos/a;b",
        "/photos;v=1/a",
        "/photos/a%",
        "/photos/a%2",
        "/photos/%zz",
        "/photos/%252e%252e/secret",
        "/photos/a%252Fb",
        "/photos/a%255cb",
        "/photos/a%2500",
    ] {
        assert_eq!(path(text).map_err(|error| error.part), Err(Part::Path), "{text}");
    }
}

#[test]
fn keys() {
    for text in ["a", "a/b/", "a b", "a+b;c", ".a", ""] {
        assert_eq!(key(text, false), Ok(()), "{text:?}");
    }
    for text in ["/a", "a//b", "../a", "a/..", "./a", "a\\b", "a\0", " a", "a\n"] {
        assert!(key(text, false).is_err(), "{text:?}");
    }
    for text in ["/a", "a//b", "../a", "a\\b"] {
        assert_eq!(key(text, true), Ok(()), "{text:?}");
    }
    assert!(key(" a", true).is_err());
}

#[test]
fn sources_of_copies() {
    for text in [
        "photos/a",
        "/photos/a",
        "/photos/a%20b%2B",
        "photos/a?versionId=3%2FL4kqt",
        "photos/a:b=c,d@e",
    ] {
        assert_eq!(copy_source(text.as_bytes(), false), Ok(()), "{text}");
    }
    // Whatever the store does with paths.
    for text in [
        "photos/a?b",
        "photos/a?",
        "photos/a?versionid=1",
        "photos/a?versionId=1&x=2",
        "photos/a?versionId=1?versionId=2",
        "photos/a?versionId=1;x",
        "photos/a?versionId=1#x",
        "photos/a?versionId=1+2",
        "photos/a?versionId=%",
        "photos/a?x&versionId=1",
        "photos/a#b",
        "photos/a+b",
        "photos/a;b",
        "photos/a&b",
    ] {
        for is_literal in [false, true] {
            let read = copy_source(text.as_bytes(), is_literal);
            assert_eq!(read.map_err(|error| error.part), Err(Part::CopySource), "{text}");
        }
    }
    for text in [
        "//photos/a",
        "photos//a",
        "photos/../secret/a",
        "../photos/a",
        "photos%2Fa",
        "photos/a%3FversionId=1",
        "photos/%zz",
        "photos/%252e%252e/b",
        "photos\\a",
    ] {
        assert!(copy_source(text.as_bytes(), false).is_err(), "{text}");
        assert_eq!(copy_source(text.as_bytes(), true), Ok(()), "{text}");
    }
}

#[test]
fn queries() {
    for text in [
        "",
        "acl",
        "acl=",
        "uploads&x-id=CreateMultipartUpload",
        "uploadId=a&partNumber=1",
        "list-type=2&prefix=a%2Fb%20c%2B%3B&delimiter=%2F&max-keys=1000",
        "prefix=&delimiter=",
        "prefix=a%2F",
        "prefix=a%2F.b",
        "response-content-disposition=a%3B%20b",
        "versionId=null",
        "continuation-token=%2B%2F%3D",
    ] {
        assert_eq!(query(text, false, false), Ok(()), "{text}");
    }
    for text in [
        "prefix=a;b",
        "prefix=a+b",
        "prefix=%",
        "prefix=%ff",
        "prefix=a%00",
        "acl=1",
        "tagging=x",
        "delete=x",
        "versions=false",
        "uploadId=",
        "uploadId",
        "partNumber=&uploadId=a",
        "partNumber=%D9%A1&uploadId=a",
        "versionId=",
        "max-keys=",
        "max-keys=-1",
        "max-keys=1e3",
        "max-keys=0x10",
        "x-oss-process=image",
        "X-Goog-Acl=a",
        "x-amz-acl=private",
        "x%2Damz-acl=private",
        "X-Amz-Copy-Source=%2Fphotos%2Fa",
        "x-amz-meta-a=b",
        "x-amz-security-token=a",
        "x-id=GetObject&X-ID=a",
    ] {
        assert_eq!(
            query(text, false, false).map_err(|error| error.part),
            Err(Part::Query),
            "{text}"
        );
    }
    // SDKs put headers there when they presign.
    for text in ["x-amz-acl=private", "X-Amz-Meta-A=b", "x-amz-tagging=a%3Db"] {
        assert_eq!(query(text, true, false), Ok(()), "{text}");
    }
    assert!(query("x-amz-copy-source=%2Fphotos%2Fa", true, false).is_err());
    for text in [
        "prefix=a%2F..%2Fb",
        "prefix=..",
        "prefix=%2Fa",
        "prefix=a%2F%2Fb",
        "prefix=a%5Cb",
    ] {
        assert!(query(text, false, false).is_err(), "{text}");
        assert_eq!(query(text, false, true), Ok(()), "{text}");
    }
}

fn of(headers: &[(&str, &str)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| {
            (
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

#[test]
fn headers_of_other_stores_and_other_bodies() {
    let check = |method, sent: &[(&str, &str)], decides| headers(&method, &of(sent), decides);
    for sent in [
        ("x-goog-copy-source", "/photos/secret"),
        ("x-oss-copy-source", "/photos/secret"),
        ("x-cos-acl", "public-read"),
        ("x-copy-from", "/photos/secret"),
        ("x-minio-extract", "true"),
        ("x-object-manifest", "photos/secret"),
    ] {
        assert!(check(Method::PUT, &[sent], false).is_err(), "{sent:?}");
    }
    for content_type in [
        "multipart/form-data; boundary=a",
        "text/xml, Multipart/Form-Data; boundary=a",
    ] {
        assert!(check(Method::POST, &[("content-type", content_type)], true).is_err());
        assert_eq!(check(Method::PUT, &[("content-type", content_type)], false), Ok(()));
    }
    let two = [("content-type", "text/xml"), ("content-type", "multipart/form-data")];
    assert!(check(Method::POST, &two, true).is_err());
    for sent in [
        ("content-encoding", "gzip"),
        ("content-encoding", "aws-chunked,deflate"),
        ("content-type", "application/xml; charset=utf-7"),
    ] {
        assert!(check(Method::POST, &[sent], true).is_err(), "{sent:?}");
        assert_eq!(check(Method::PUT, &[sent], false), Ok(()), "{sent:?}");
    }
    for sent in [
        ("content-encoding", "aws-chunked"),
        ("content-type", "application/xml; charset=UTF-8"),
        ("content-type", "application/xml"),
        ("x-amz-acl", "private"),
        ("x-b3-traceid", "a"),
    ] {
        assert_eq!(check(Method::POST, &[sent], true), Ok(()), "{sent:?}");
    }
}

#[test]
fn documents() {
    let keys = |inner: &str| format!("<Delete>{inner}</Delete>");
    for text in [
        String::new(),
        keys("<Object><Key>a/b c&amp;&#233;&#xe9;é</Key></Object><Quiet>true</Quiet>"),
        keys("\n  <Object>\r\n<Key>a</Key><VersionId>null</VersionId><ETag>&quot;a&quot;</ETag></Object >\n"),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a</Key></Object></Delete>\n".to_owned(),
        "<?xml version='1.0' encoding='utf-8' standalone='yes'?><Tagging><TagSet><Tag><Key>a</Key><Value/></Tag></TagSet></Tagging>".to_owned(),
        "<Tagging xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><TagSet/></Tagging>".to_owned(),
        "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>".to_owned(),
        "<CreateBucketConfiguration/>".to_owned(),
        keys(""),
    ] {
        assert_eq!(document(text.as_bytes()), Ok(()), "{text}");
    }
    for text in [
        // A reader that passes CDATA over, and one that does not.
        keys("<Object><Key>public/a<![CDATA[/secret]]></Key></Object>"),
        keys("<Object><Key>public/a<!-- -->/secret</Key></Object>"),
        keys("<Object><Key>a<?x y?>b</Key></Object>"),
        keys("<Object><Key>a</Key><Key>secret</Key></Object>"),
        keys("<Object><Key>a</Key><Other><Key>secret</Key></Other></Object>"),
        keys("<Other/><Object><Key>a</Key></Object>"),
        keys("<Object><Key>a<b/></Key></Object>"),
        keys("<Object><Key x=\"y\">a</Key></Object>"),
        keys("<Object xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Key>a</Key></Object>"),
        keys("<a:Object xmlns:a=\"b\"><Key>a</Key></a:Object>"),
        keys("<Object><key>a</key></Object>"),
        keys("<Object><Key>a&x;</Key></Object>"),
        keys("<Object><Key>a&#0;</Key></Object>"),
        keys("<Object><Key>a&#+65;</Key></Object>"),
        keys("<Object><Key>a&b</Key></Object>"),
        keys("<Object><Key>a]]></Key></Object>"),
        keys("<Object><Key> a</Key></Object>"),
        keys("<Object><Key>a&#10;</Key></Object>"),
        keys("<Object><Key>a\r\nb</Key></Object>"),
        keys("<Object><Key>a\u{1}b</Key></Object>"),
        keys("<Object>text<Key>a</Key></Object>"),
        keys("<Object><Key>a</Object></Key>"),
        keys("<Object><Key>a</Key>"),
        keys("<Quiet>true</Quiet><Quiet>false</Quiet>"),
        format!("{}<Delete/>", keys("")),
        format!("{}\0", keys("")),
        format!("\u{feff}{}", keys("")),
        format!("<!DOCTYPE Delete [<!ENTITY x \"secret\">]>{}", keys("")),
        format!("<!-- -->{}", keys("")),
        format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{}", keys("")),
        format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{}", keys("")),
        format!("<?xml version=\"1.1\"?>{}", keys("")),
        format!("<?xml-stylesheet?>{}", keys("")),
        format!(" <?xml version=\"1.0\"?>{}", keys("")),
        "<Other/>".to_owned(),
        "<Delete xmlns=\"other\"/>".to_owned(),
        "<Delete".to_owned(),
        "text".to_owned(),
        "<CreateBucketConfiguration><Bucket/></CreateBucketConfiguration>".to_owned(),
    ] {
        assert_eq!(
            document(text.as_bytes()).map_err(|error| error.part),
            Err(Part::Document),
            "{text}"
        );
    }
    assert!(document(b"<Delete><Object><Key>\xff</Key></Object></Delete>").is_err());
    assert_eq!(
        document(b"<!-- -->").unwrap_err().to_string(),
        "the document can be read in two ways: it has something else than elements"
    );
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_to_its_end(text in ".*", bytes: Vec<u8>) {
        let _ = (path(&text), key(&text, false), query(&text, true, false));
        let _ = (copy_source(&bytes, false), document(&bytes), document(text.as_bytes()));
    }

    #[test]
    fn any_elements_are_read_to_their_end(text in "(</?(Delete|Object|Key|Tag|Quiet)>|[a-z &;]){0,30}") {
        let _ = document(text.as_bytes());
    }
}
