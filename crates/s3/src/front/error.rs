use std::fmt::Write as _;

use bytes::Bytes;

use super::{Identifiers, S3Outcome};

pub(crate) const INTERNAL: &str = "We encountered an internal error. Please try again.";
pub(crate) const INCOMPLETE: &str =
    "You did not provide the number of bytes specified by the Content-Length HTTP header";
pub(crate) const TOO_LARGE: &str = "Your proposed upload exceeds the maximum allowed size";

/// Code and message of an error, escaped for XML.
pub(crate) struct ErrorDocument {
    code: String,
    message: String,
}

impl ErrorDocument {
    pub(crate) fn new(code: &str, message: &str) -> Self {
        Self {
            code: escape(code),
            message: escape(message),
        }
    }

    /// Reads the document that `s3s` wrote, which has neither the resource nor the ids.
    pub(super) fn read(document: &Bytes) -> Self {
        let text = String::from_utf8_lossy(document);
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            let (value, _) = rest.split_once(&format!("</{name}>"))?;
            Some(value.to_owned())
        };
        let code = element("Code").unwrap_or_else(|| "InternalError".to_owned());
        let message = element("Message").unwrap_or_else(|| default_message(&code).to_owned());
        Self { code, message }
    }

    /// Code and message as they are meant.
    pub(super) fn code_and_message(&self) -> (String, String) {
        (unescape(&self.code), unescape(&self.message))
    }

    /// The document in the form of <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
    pub(crate) fn write(&self, resource: &str, outcome: &S3Outcome, identifiers: &Identifiers) -> String {
        let mut text = String::with_capacity(512);
        text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
        let mut element = |name: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = write!(text, "<{name}>{value}</{name}>");
        };
        element("Code", &self.code);
        element("Message", &self.message);
        match (self.code.as_str(), &outcome.bucket, &outcome.key) {
            (
                "NoSuchBucket" | "BucketNotEmpty" | "BucketAlreadyExists" | "BucketAlreadyOwnedByYou",
                Some(bucket),
                _,
            ) => {
                element("BucketName", &escape(bucket));
            }
            ("NoSuchKey", _, Some(key)) => element("Key", &escape(key)),
            ("NoSuchVersion", _, Some(key)) => {
                element("Key", &escape(key));
                let version = outcome.parameters.iter().find(|(name, _)| *name == "versionId");
                element("VersionId", &escape(version.map_or("", |(_, id)| id)));
            }
            _ => {}
        }
        element("Resource", &escape(resource));
        element("RequestId", &escape(&identifiers.request_id));
        element("HostId", &escape(&identifiers.host_id));
        text.push_str("</Error>");
        text
    }
}

/// S3's texts for errors that `s3s` raises without one.
fn default_message(code: &str) -> &'static str {
    match code {
        "AccessDenied" => "Access Denied",
        "IncompleteBody" => INCOMPLETE,
        "InternalError" => INTERNAL,
        "InvalidBucketName" => "The specified bucket is not valid.",
        "InvalidRange" => "The requested range is not satisfiable",
        "InvalidURI" => "Couldn't parse the specified URI.",
        "KeyTooLongError" => "Your key is too long",
        "MalformedXML" => "The XML you provided was not well-formed or did not validate against our published schema",
        "MaxMessageLengthExceeded" => "Your request was too big.",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "MissingRequestBodyError" => "Request Body is empty",
        "NotImplemented" => crate::operation::NOT_IMPLEMENTED,
        _ => "The request cannot be processed.",
    }
}

pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            control if u32::from(control) < 0x20 => {
                let _ = write!(escaped, "&#x{:x};", u32::from(control));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

/// Writes control characters in a document as S3 does, as character references: a key may hold any, and raw they would end the
/// listing for every reader. The documents hold no control characters of their own.
pub(super) fn escape_controls(document: Bytes) -> Bytes {
    if !document.iter().any(|byte| *byte < 0x20) {
        return document;
    }
    let mut escaped = Vec::with_capacity(document.len().saturating_add(64));
    for byte in document {
        if byte < 0x20 {
            escaped.extend_from_slice(format!("&#x{byte:x};").as_bytes());
        } else {
            escaped.push(byte);
        }
    }
    escaped.into()
}
