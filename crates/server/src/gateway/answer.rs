//! Refusals in the words of the called service's protocol.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use irsa_gateway::{GatewayError, Protocol, RuleBook};
use irsa_s3::Body;
use irsa_wire::{WireError, Xml};

use crate::body::full;

/// The protocol that an answer is in, before the request has been read.
pub(crate) fn protocol(book: &RuleBook, service: &str, headers: &HeaderMap) -> Protocol {
    let of = |wanted: Protocol| book.services(service).any(|rules| rules.protocol() == wanted);
    let named = headers.contains_key("x-amz-target");
    if named && of(Protocol::Json) || !of(Protocol::Query) && of(Protocol::Json) {
        return Protocol::Json;
    }
    book.services(service)
        .map(|rules| rules.protocol())
        .find(|protocol| *protocol != Protocol::Json)
        .unwrap_or(Protocol::Json)
}

/// A refusal by policy.
pub(super) fn denied(protocol: Protocol, code: Option<&str>, message: &str) -> WireError {
    let (default, status) = match protocol {
        Protocol::Json => ("AccessDeniedException", 400),
        Protocol::RestJson => ("AccessDeniedException", 403),
        Protocol::Query | Protocol::RestXml => ("AccessDenied", 403),
    };
    let mut error = WireError::new(default, status, message);
    if let Some(code) = code {
        error.code = code.to_owned().into();
    }
    error
}

/// A request that the rules can't read.
pub(super) fn unreadable(protocol: Protocol, error: &GatewayError) -> WireError {
    let is_json = matches!(protocol, Protocol::Json | Protocol::RestJson);
    match error {
        GatewayError::UnknownService(_) | GatewayError::UnknownOperation(_) => {
            let code = if is_json {
                "UnknownOperationException"
            } else {
                "InvalidAction"
            };
            WireError::new(code, 400, error.to_string())
        }
        GatewayError::UnknownResource(_) | GatewayError::Refused { .. } | GatewayError::BodyUnseen(_) => {
            denied(protocol, None, &error.to_string())
        }
        GatewayError::Protocol(_) | GatewayError::Ambiguous(_) | GatewayError::Body(_) => {
            let code = if is_json {
                "SerializationException"
            } else {
                "MalformedQueryString"
            };
            WireError::new(code, 400, error.to_string())
        }
        GatewayError::Missing(_) | GatewayError::Value { .. } => {
            let code = if is_json {
                "ValidationException"
            } else {
                "ValidationError"
            };
            WireError::new(code, 400, error.to_string())
        }
    }
}

/// An upstream that did not answer.
pub(super) fn upstream_failed(protocol: Protocol, status: u16) -> WireError {
    let message = if status == 504 {
        "The service behind the gateway did not answer in time."
    } else {
        "The service behind the gateway can't be reached."
    };
    let code = match protocol {
        Protocol::Json | Protocol::RestJson => "ServiceUnavailableException",
        Protocol::Query | Protocol::RestXml => "ServiceUnavailable",
    };
    WireError::new(code, status, message)
}

/// The whole answer.
pub(crate) fn failed(protocol: Protocol, namespace: &str, error: &WireError, request_id: &str) -> Response<Body> {
    let is_json = matches!(protocol, Protocol::Json | Protocol::RestJson);
    let body = if is_json {
        irsa_wire::json_error(error)
    } else {
        let mut xml = Xml::new();
        xml.element("Error", |xml| {
            xml.text("Type", error.fault().as_str())
                .text("Code", &error.code)
                .text("Message", &error.message);
        });
        xml.text("RequestId", request_id);
        format!("<ErrorResponse xmlns=\"{namespace}\">{}</ErrorResponse>", xml.finish())
    };
    let mut response = Response::new(full(body));
    *response.status_mut() = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let content_type = match protocol {
        Protocol::Json => "application/x-amz-json-1.0",
        Protocol::RestJson => "application/json",
        Protocol::Query | Protocol::RestXml => "text/xml",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(code) = HeaderValue::from_str(&error.code).ok().filter(|_| is_json) {
        headers.insert("x-amzn-errortype", code);
    }
    response
}
