use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::policy::with_filename;
use super::refusal;
use crate::question::S3Refusal;

/// Everything but unreserved characters, and slashes, which separate nothing in a key.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The upload that a form means, and the answer that it wants.
#[derive(Debug)]
pub struct FormRequest {
    /// Where a plain upload would go: the bucket, and the key behind it.
    pub uri: Uri,
    /// The headers that a plain upload would have.
    pub headers: HeaderMap,
    /// The key.
    pub key: String,
    /// Where the browser shall go afterwards.
    pub redirect: Option<String>,
    /// The status that the answer shall have: 200, 201 or 204.
    pub status: u16,
}

impl FormRequest {
    /// Reads the fields of a form (names in lower case), whose policy they meet.
    ///
    /// # Errors
    /// A field is missing, or asks for something that we do not do.
    pub fn read(fields: &[(String, String)], bucket: &str, filename: &str) -> Result<Self, S3Refusal> {
        let mut request = Self {
            uri: Uri::default(),
            headers: HeaderMap::new(),
            key: String::new(),
            redirect: None,
            status: 204,
        };
        for (name, value) in fields {
            request.field(name, value, filename)?;
        }
        if request.key.is_empty() {
            return Err(refusal(
                400,
                "InvalidArgument",
                "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
            ));
        }
        let path = format!("/{bucket}/{}", utf8_percent_encode(&request.key, ENCODED));
        request.uri = path
            .parse()
            .map_err(|_| refusal(400, "InvalidURI", "Couldn't parse the specified URI."))?;
        Ok(request)
    }

    fn field(&mut self, name: &str, value: &str, filename: &str) -> Result<(), S3Refusal> {
        match name {
            "key" => self.key = with_filename(value, filename),
            "cache-control"
            | "content-type"
            | "content-disposition"
            | "content-encoding"
            | "content-language"
            | "expires" => {
                self.header(name, value)?;
            }
            "acl" => self.header("x-amz-acl", value)?,
            "success_action_redirect" | "redirect" => {
                let is_address = value
                    .parse::<Uri>()
                    .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
                // One that is none is overlooked, as S3 does.
                if is_address && (self.redirect.is_none() || name == "success_action_redirect") {
                    self.redirect = Some(value.to_owned());
                }
            }
            "success_action_status" => {
                self.status = match value {
                    "200" => 200,
                    "201" => 201,
                    _ => 204,
                };
            }
            // Those of the signature, which was checked.
            "x-amz-algorithm" | "x-amz-credential" | "x-amz-date" | "x-amz-security-token" | "x-amz-signature" => {}
            "tagging" => {
                return Err(refusal(
                    501,
                    "NotImplemented",
                    "The form field tagging is not implemented.",
                ));
            }
            // What would make another operation of it is none of a form's.
            name if name.starts_with("x-amz-meta-")
                || name.starts_with("x-amz-checksum-")
                || name.starts_with("x-amz-server-side-encryption")
                || name.starts_with("x-amz-object-lock-")
                || matches!(
                    name,
                    "x-amz-storage-class" | "x-amz-sdk-checksum-algorithm" | "x-amz-website-redirect-location"
                ) =>
            {
                self.header(name, value)?;
            }
            name if name.starts_with("x-amz-") => {
                return Err(refusal(
                    501,
                    "NotImplemented",
                    "A field you provided implies functionality that is not implemented",
                ));
            }
            _ => {}
        }
        Ok(())
    }

    fn header(&mut self, name: &str, value: &str) -> Result<(), S3Refusal> {
        let invalid = |_| {
            refusal(
                400,
                "InvalidArgument",
                format!("The value of the field `{name}` is not valid."),
            )
        };
        let header = HeaderName::try_from(name).map_err(|_| invalid(()))?;
        let value = HeaderValue::from_str(value).map_err(|_| invalid(()))?;
        self.headers.insert(header, value);
        Ok(())
    }

    /// The answer's `Location` for a redirect: the address, and in its query what was made.
    #[must_use]
    pub fn redirect_to(&self, bucket: &str, etag: &str) -> Option<HeaderValue> {
        let redirect = self.redirect.as_deref()?;
        let (address, fragment) = redirect.split_once('#').unwrap_or((redirect, ""));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("bucket", bucket)
            .append_pair("key", &self.key)
            .append_pair("etag", etag);
        let separator = if address.contains('?') { '&' } else { '?' };
        let hash = if fragment.is_empty() { "" } else { "#" };
        HeaderValue::from_str(&format!("{address}{separator}{}{hash}{fragment}", query.finish())).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<FormRequest, S3Refusal> {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        FormRequest::read(&fields, "my-bucket", "a b.txt")
    }

    #[test]
    fn a_form_is_a_plain_upload() {
        let request = read(&[
            ("key", "x?y/${filename}"),
            ("content-type", "text/plain"),
            ("x-amz-meta-a", "b"),
            ("acl", "bucket-owner-full-control"),
            ("success_action_status", "201"),
            ("submit", "Upload"),
        ])
        .unwrap();
        assert_eq!(request.uri.to_string(), "/my-bucket/x%3Fy/a%20b.txt");
        assert_eq!((request.key.as_str(), request.status), ("x?y/a b.txt", 201));
        let headers: Vec<_> = request.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(headers, ["content-type", "x-amz-meta-a", "x-amz-acl"]);
        for (fields, code) in [
            (vec![("acl", "private")], "InvalidArgument"),
            (vec![("key", "")], "InvalidArgument"),
            (vec![("key", "a"), ("x-amz-copy-source", "b/c")], "NotImplemented"),
            (vec![("key", "a"), ("x-amz-meta-a", "b\r\nc: d")], "InvalidArgument"),
            (vec![("key", "a"), ("x-amz-meta-a b", "c")], "InvalidArgument"),
            (vec![("key", "a"), ("tagging", "<Tagging/>")], "NotImplemented"),
        ] {
            assert_eq!(read(&fields).unwrap_err().code, code, "{fields:?}");
        }
    }

    #[test]
    fn where_the_browser_goes() {
        let to = |redirect: &str| {
            let request = read(&[("key", "a&b"), ("success_action_redirect", redirect)]).unwrap();
            request
                .redirect_to("my-bucket", "\"e\"")
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let made = "bucket=my-bucket&key=a%26b&etag=%22e%22";
        assert_eq!(
            to("https://a.example/done").unwrap(),
            format!("https://a.example/done?{made}")
        );
        assert_eq!(
            to("https://a.example/?x=1#y").unwrap(),
            format!("https://a.example/?x=1&{made}#y")
        );
        for no_address in ["javascript:alert(1)", "/done", "", "https://"] {
            assert_eq!(to(no_address), None, "{no_address}");
        }
    }
}
