//! Uploads by a browser's form: the parts of its body, and the policy document that its maker signed.
//!
//! Pure: bytes go in, fields and the file's bytes come out, and nothing of the file is kept. Who verifies the signature asks
//! [`PostPolicy`] then, and makes a plain upload of the rest.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>.

mod policy;
mod reader;
mod upload;

use http::request::Parts;
use http::{HeaderMap, Method, header};

pub use policy::PostPolicy;
pub use reader::{FormFile, FormReader};
pub use upload::FormRequest;

use crate::question::S3Refusal;

/// Marks a request as an upload that came by a form: put it into the request's extensions. How long it is is known at its end, and pages
/// are allowed it by the rules for POST.
#[derive(Clone, Copy, Debug)]
pub struct FormUpload;

/// The boundary of a form, if the request is an upload by one.
#[must_use]
pub fn form_boundary(parts: &Parts) -> Option<String> {
    if parts.method != Method::POST || parts.uri.query().is_some_and(|query| !query.is_empty()) {
        return None;
    }
    boundary(&parts.headers)
}

fn boundary(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let mut parameters = value.split(';');
    if !parameters.next()?.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim())
    });
    // One that cannot be (RFC 2046, 5.1.1) leads to a form that cannot be read.
    let boundary = boundary.unwrap_or_default();
    let boundary = boundary
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(boundary);
    Some(boundary.to_owned())
}

fn refusal(status: u16, code: &str, message: impl Into<String>) -> S3Refusal {
    S3Refusal {
        code: code.to_owned(),
        message: message.into(),
        status,
    }
}

fn malformed() -> S3Refusal {
    refusal(
        400,
        "MalformedPOSTRequest",
        "The body of your POST request is not well-formed multipart/form-data.",
    )
}
