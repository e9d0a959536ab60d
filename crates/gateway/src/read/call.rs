//! From the bytes of a request to its operation and parameters.

use std::sync::Arc;

use http::{HeaderMap, Method};

use super::GatewayRequest;
use crate::error::GatewayError;
use crate::form;
use crate::json::{self, Tree};
use crate::path::member;
use crate::route::segments;
use crate::rules::{Protocol, RuleBook, ServiceRules, is_word};
use crate::xml;

/// A request that was read: which rules it is for, its operation and its parameters.
pub(super) struct Call<'b> {
    pub(super) service: &'b Arc<ServiceRules>,
    pub(super) operation: String,
    pub(super) tree: Tree,
}

impl RuleBook {
    /// Reads what every protocol has: an operation of a service, and its parameters.
    pub(super) fn call(&self, request: &GatewayRequest<'_>) -> Result<Call<'_>, GatewayError> {
        let candidates: Vec<&Arc<ServiceRules>> = self
            .all()
            .filter(|service| service.signing_names.iter().any(|name| name == request.service))
            .collect();
        if candidates.is_empty() {
            return Err(GatewayError::UnknownService(format!(
                "the service `{}`",
                request.service
            )));
        }
        let content_type = single(request.headers, "content-type")?.map(|value| {
            let essence = value.split(';').next().unwrap_or_default();
            essence.trim().to_ascii_lowercase()
        });
        let target = single(request.headers, "x-amz-target")?;
        if single(request.headers, "content-encoding")?.is_some_and(|coding| !coding.is_empty() && coding != "identity")
        {
            return Err(GatewayError::Protocol("compressed bodies are not accepted"));
        }
        let is_cbor = content_type.as_deref() == Some("application/cbor");
        if is_cbor || request.headers.contains_key("smithy-protocol") {
            return Err(GatewayError::Protocol(
                "RPC v2 CBOR is not spoken here; let the client use AWS JSON or Query",
            ));
        }
        let is_form = content_type.as_deref() == Some("application/x-www-form-urlencoded");
        let names_action = names_action(request.query)?;
        match target {
            Some(_) if is_form || names_action => Err(GatewayError::Ambiguous(
                "both a header and a form could name the operation".to_owned(),
            )),
            Some(target) => json_call(&candidates, request, target, content_type.as_deref()),
            None if is_form || names_action => query_call(&candidates, request, is_form),
            None => rest_call(&candidates, request),
        }
    }
}

/// The one value of a header.
fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, GatewayError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(GatewayError::Ambiguous(format!("the header `{name}` comes twice")));
    }
    value
        .map(|value| {
            value
                .to_str()
                .map_err(|_| GatewayError::Protocol("a header is no text"))
        })
        .transpose()
}

/// Whether a query string has a parameter that some services read as the operation.
fn names_action(query: &str) -> Result<bool, GatewayError> {
    for part in query.split('&') {
        let name = form::decode(part.split('=').next().unwrap_or_default())?;
        if name.eq_ignore_ascii_case("Action") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn json_call<'b>(
    candidates: &[&'b Arc<ServiceRules>],
    request: &GatewayRequest<'_>,
    target: &str,
    content_type: Option<&str>,
) -> Result<Call<'b>, GatewayError> {
    if *request.method != Method::POST || request.path != "/" || !request.query.is_empty() {
        return Err(GatewayError::Protocol(
            "calls with `X-Amz-Target` are a POST to `/` without a query",
        ));
    }
    let is_json = matches!(
        content_type,
        None | Some("application/x-amz-json-1.0" | "application/x-amz-json-1.1" | "application/json")
    );
    if !is_json {
        return Err(GatewayError::Protocol("the content type is not that of AWS JSON"));
    }
    let (prefix, operation) = target
        .rsplit_once('.')
        .filter(|(_, operation)| is_word(operation))
        .ok_or(GatewayError::Protocol("`X-Amz-Target` is not `Prefix.Operation`"))?;
    let service = candidates
        .iter()
        .find(|service| service.protocol == Protocol::Json && service.targets.iter().any(|known| known == prefix))
        .ok_or_else(|| GatewayError::UnknownService("this `X-Amz-Target`".to_owned()))?;
    let tree = match request.body {
        // A server may take the operation from a form in the body instead.
        None if !holds_nothing(request) => return Err(GatewayError::BodyUnseen(format!("`{operation}`"))),
        None => Tree::Object(Vec::new()),
        Some([]) => Tree::Object(Vec::new()),
        Some(body) => json::parse(body).map_err(|error| GatewayError::Body(error.to_string()))?,
    };
    if !matches!(tree, Tree::Object(_)) {
        return Err(GatewayError::Body("it is no JSON object".to_owned()));
    }
    Ok(Call {
        service,
        operation: operation.to_owned(),
        tree,
    })
}

/// Whether a body that is not seen is announced to be too short for anything but an empty object.
fn holds_nothing(request: &GatewayRequest<'_>) -> bool {
    let mut lengths = request.headers.get_all(http::header::CONTENT_LENGTH).iter();
    let length = lengths.next().map(http::HeaderValue::as_bytes);
    matches!(length, Some(b"0" | b"1" | b"2")) && lengths.next().is_none()
}

fn query_call<'b>(
    candidates: &[&'b Arc<ServiceRules>],
    request: &GatewayRequest<'_>,
    is_form: bool,
) -> Result<Call<'b>, GatewayError> {
    let Some(body) = request.body else {
        return Err(GatewayError::BodyUnseen("a form".to_owned()));
    };
    let text = match (request.method, is_form) {
        (&Method::POST, true) if request.query.is_empty() => {
            std::str::from_utf8(body).map_err(|_| GatewayError::Body("it is not UTF-8".to_owned()))?
        }
        (&Method::GET, false) if body.is_empty() => request.query,
        _ => {
            return Err(GatewayError::Protocol(
                "Query calls are a POST of a form without a query, or a GET without a body",
            ));
        }
    };
    if request.path != "/" {
        return Err(GatewayError::Protocol("Query calls go to `/`"));
    }
    let tree = form::parse(text)?;
    let text_of = |name: &'static str| match member(&tree, name)? {
        Some(Tree::Text(text)) => Ok(text.as_str()),
        _ => Err(GatewayError::Missing(name.to_owned())),
    };
    let (operation, version) = (text_of("Action")?, text_of("Version")?);
    if !is_word(operation) {
        return Err(GatewayError::Protocol("`Action` is no operation"));
    }
    let service = candidates
        .iter()
        .find(|service| service.protocol == Protocol::Query && service.versions.iter().any(|known| known == version))
        .ok_or_else(|| GatewayError::UnknownService("this protocol and `Version`".to_owned()))?;
    Ok(Call {
        service,
        operation: operation.to_owned(),
        tree,
    })
}

fn rest_call<'b>(candidates: &[&'b Arc<ServiceRules>], request: &GatewayRequest<'_>) -> Result<Call<'b>, GatewayError> {
    let service = candidates
        .iter()
        .find(|service| matches!(service.protocol, Protocol::RestJson | Protocol::RestXml))
        .ok_or(GatewayError::Protocol("nothing names an operation"))?;
    let segments = segments(request.path)?;
    let best = service
        .operations
        .iter()
        .filter_map(|(name, operation)| {
            let (literals, labels) = operation.route.as_ref()?.matches(request.method, &segments)?;
            Some((literals, name, labels))
        })
        .max_by_key(|(literals, _, _)| *literals);
    let (_, name, labels) = best.ok_or(GatewayError::Protocol("no operation has this method and path"))?;
    let body = match request.body {
        None if !matches!(*request.method, Method::GET | Method::HEAD | Method::DELETE) && !holds_nothing(request) => {
            return Err(GatewayError::BodyUnseen(format!("`{name}`")));
        }
        None | Some([]) => Tree::Object(Vec::new()),
        Some(body) if service.protocol == Protocol::RestXml => xml::parse(body)?,
        Some(body) => json::parse(body).map_err(|error| GatewayError::Body(error.to_string()))?,
    };
    let query = form::parse(request.query)?;
    let mut members: Vec<(String, Tree)> = labels
        .into_iter()
        .map(|(label, value)| (label, Tree::Text(value)))
        .collect();
    for (name, tree) in query.members().iter().chain(body.members()) {
        if members.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return Err(GatewayError::Ambiguous("a parameter stands in two places".to_owned()));
        }
        members.push((name.clone(), tree.clone()));
    }
    Ok(Call {
        service,
        operation: name.clone(),
        tree: Tree::Object(members),
    })
}
