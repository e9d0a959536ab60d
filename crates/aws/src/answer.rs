use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::{Element, ServiceError};

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// A header's value, if it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The refusal that an answer with an error status describes, in whichever of AWS's error shapes.
    pub(crate) fn refusal(&self, operation: &str) -> ServiceError {
        let request_id = ["x-amzn-requestid", "x-amz-request-id"]
            .iter()
            .find_map(|name| self.header(name))
            .map(ToOwned::to_owned);
        let mut refusal = ServiceError {
            operation: operation.to_owned(),
            // A HEAD request's answer has no body, so its status is all there is.
            code: self.status.canonical_reason().unwrap_or("Unknown").replace(' ', ""),
            message: String::new(),
            status: self.status.as_u16(),
            request_id,
            ..ServiceError::default()
        };
        let Ok(text) = std::str::from_utf8(&self.body) else {
            return refusal;
        };
        if let Ok(json) = serde_json::from_str::<Value>(text) {
            let field = |names: [&str; 2]| names.iter().find_map(|name| json.get(name)?.as_str());
            let code = field(["__type", "code"]).or_else(|| self.header("x-amzn-errortype"));
            if let Some(code) = code {
                // `com.amazonaws.eks#ResourceNotFoundException`, `ResourceNotFoundException:http://…`
                let code = code.rsplit('#').next().unwrap_or(code);
                code.split(':').next().unwrap_or(code).clone_into(&mut refusal.code);
            }
            field(["message", "Message"])
                .unwrap_or_default()
                .clone_into(&mut refusal.message);
        } else if let Ok(root) = Element::parse(text) {
            // Query answers wrap the error, S3's are the error.
            let error = root.at("Error").unwrap_or(&root);
            if let Some(code) = error.text_at("Code") {
                code.clone_into(&mut refusal.code);
            }
            error
                .text_at("Message")
                .unwrap_or_default()
                .clone_into(&mut refusal.message);
            let in_body = root.text_at("RequestId").or_else(|| error.text_at("RequestId"));
            refusal.request_id = refusal.request_id.or_else(|| in_body.map(ToOwned::to_owned));
        }
        refusal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
                .collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn refusals_of_all_protocols() {
        let query = answer(
            403,
            &[],
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized</Message></Error>\
             <RequestId>r-1</RequestId></ErrorResponse>",
        );
        let s3 = answer(
            404,
            &[("x-amz-request-id", "R2")],
            "<Error><Code>NoSuchKey</Code><Message>m</Message><RequestId>R2</RequestId></Error>",
        );
        let json = answer(
            404,
            &[("x-amzn-requestid", "r-3")],
            r#"{"__type":"com.amazonaws.eks#ResourceNotFoundException","message":"No cluster found"}"#,
        );
        let header = answer(
            400,
            &[("x-amzn-errortype", "InvalidParameterException:http://x")],
            r#"{"Message":"bad"}"#,
        );
        let head = answer(403, &[], "");
        let shown = |answer: &Answer| {
            let refusal = answer.refusal("Op");
            (refusal.code, refusal.message, refusal.request_id)
        };
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(
            shown(&query),
            ("AccessDenied".into(), "Not authorized".into(), text("r-1"))
        );
        assert_eq!(shown(&s3), ("NoSuchKey".into(), "m".into(), text("R2")));
        assert_eq!(
            shown(&json),
            (
                "ResourceNotFoundException".into(),
                "No cluster found".into(),
                text("r-3")
            )
        );
        assert_eq!(shown(&header), ("InvalidParameterException".into(), "bad".into(), None));
        assert_eq!(shown(&head), ("Forbidden".into(), String::new(), None));
        assert_eq!(
            query.refusal("AssumeRole").to_string(),
            "AssumeRole failed with AccessDenied: Not authorized"
        );
    }
}
