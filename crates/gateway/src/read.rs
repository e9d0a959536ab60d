//! From a request to the questions that it raises.

use std::sync::Arc;

use http::{HeaderMap, Method};
use irsa_core::AccountId;

use crate::dynamodb;
use crate::error::GatewayError;
use crate::form;
use crate::json::{self, Tree};
use crate::names::{parameter_name, record_name};
use crate::path::{Path, member};
use crate::resource::{Named, Place};
use crate::route::segments;
use crate::rules::{Form, Operation, Protocol, Reader, Resource, RuleBook, ServiceRules, Tags, is_word};
use crate::xml;

/// The most questions that one request may raise.
const MAX_ASKS: usize = 4096;

/// A request as it came over the wire, with its whole body.
#[derive(Clone, Copy, Debug)]
pub struct GatewayRequest<'a> {
    /// The service of the credential scope.
    pub service: &'a str,
    /// The region of the credential scope.
    pub region: &'a str,
    /// The account that owns what stands behind the gateway: the caller's.
    pub account: AccountId,
    /// The method.
    pub method: &'a Method,
    /// The path, still encoded.
    pub path: &'a str,
    /// The query, still encoded; empty if there is none.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a [u8],
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The rules of its service.
    pub service: Arc<ServiceRules>,
    /// The operation.
    pub operation: String,
    /// Whether the rules know the operation.
    pub is_known: bool,
    /// Whether it changes nothing.
    pub read_only: bool,
    /// Whether CloudTrail counts it among the data events.
    pub is_data: bool,
    /// The questions; never empty. Every one must be answered with yes.
    pub asks: Vec<Ask>,
    /// Condition keys that its actions have and that the request does not say, in full (`dynamodb:FullTableScan`), or their beginning
    /// with a `/` or `:` at its end. A policy that depends on one of them can't be decided.
    pub unread: Vec<String>,
    /// Names and values of the parameters that name resources, for the audit record. No others: they may hold secrets.
    pub parameters: Vec<(String, Vec<String>)>,
}

/// One question for the policy engine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ask {
    /// The action, such as `dynamodb:GetItem`.
    pub action: String,
    /// The resource's ARN, or `*`.
    pub resource: String,
    /// The account that owns the resource.
    pub account: AccountId,
    /// Condition keys with their values.
    pub keys: Vec<(String, Vec<String>)>,
}

/// A request that was read: which rules it is for, its operation and its parameters.
struct Call<'b> {
    service: &'b Arc<ServiceRules>,
    operation: String,
    tree: Tree,
}

impl RuleBook {
    /// Reads a request. `strict` refuses operations without rules, and those whose resource the rules can't tell exactly.
    ///
    /// # Errors
    /// Whatever makes it unclear what the request would do.
    pub fn read(&self, request: &GatewayRequest<'_>, strict: bool) -> Result<Asked, GatewayError> {
        let call = self.call(request)?;
        let (service, name) = (call.service, &call.operation);
        let Some(operation) = service.operations.get(name) else {
            if let Some(known) = service.operations.keys().find(|known| known.eq_ignore_ascii_case(name)) {
                return Err(GatewayError::Ambiguous(format!(
                    "the operation differs from `{known}` in case only"
                )));
            }
            if strict {
                return Err(GatewayError::UnknownOperation(name.clone()));
            }
            return Ok(unknown(&call, request.account));
        };
        if let Some(reason) = &operation.refuse {
            return Err(GatewayError::Refused {
                operation: name.clone(),
                reason: reason.clone(),
            });
        }
        let mut reading = Reading {
            service,
            place: Place {
                region: request.region,
                account: request.account,
            },
            tree: &call.tree,
            asks: Vec::new(),
            parameters: Vec::new(),
            approximate: false,
        };
        reading.read(name, operation)?;
        if strict && (reading.approximate || operation.resources.is_none() && operation.reader.is_none()) {
            return Err(GatewayError::UnknownResource(name.clone()));
        }
        if reading.asks.len() > MAX_ASKS {
            return Err(GatewayError::Body("it names too many resources".to_owned()));
        }
        Ok(Asked {
            service: Arc::clone(service),
            operation: name.clone(),
            is_known: true,
            read_only: operation.read_only,
            is_data: operation.is_data,
            asks: reading.asks,
            unread: operation.unread.clone(),
            parameters: reading.parameters,
        })
    }

    fn call(&self, request: &GatewayRequest<'_>) -> Result<Call<'_>, GatewayError> {
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
    let tree = if request.body.is_empty() {
        Tree::Object(Vec::new())
    } else {
        json::parse(request.body).map_err(|error| GatewayError::Body(error.to_string()))?
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

fn query_call<'b>(
    candidates: &[&'b Arc<ServiceRules>],
    request: &GatewayRequest<'_>,
    is_form: bool,
) -> Result<Call<'b>, GatewayError> {
    let text = match (request.method, is_form) {
        (&Method::POST, true) if request.query.is_empty() => {
            std::str::from_utf8(request.body).map_err(|_| GatewayError::Body("it is not UTF-8".to_owned()))?
        }
        (&Method::GET, false) if request.body.is_empty() => request.query,
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
    let body = match service.protocol {
        _ if request.body.is_empty() => Tree::Object(Vec::new()),
        Protocol::RestXml => xml::parse(request.body)?,
        _ => json::parse(request.body).map_err(|error| GatewayError::Body(error.to_string()))?,
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

/// An operation without a rule: the action of its name, on everything.
fn unknown(call: &Call<'_>, account: AccountId) -> Asked {
    let prefix = call.service.prefix();
    Asked {
        service: Arc::clone(call.service),
        operation: call.operation.clone(),
        is_known: false,
        read_only: false,
        is_data: false,
        asks: vec![Ask {
            action: format!("{prefix}:{}", call.operation),
            resource: "*".to_owned(),
            account,
            keys: Vec::new(),
        }],
        unread: [
            prefix.to_owned() + ":",
            "aws:RequestTag/".to_owned(),
            "aws:ResourceTag/".to_owned(),
            "aws:TagKeys".to_owned(),
        ]
        .into(),
        parameters: Vec::new(),
    }
}

/// A request whose operation has a rule, while it is read.
struct Reading<'a> {
    service: &'a ServiceRules,
    place: Place<'a>,
    tree: &'a Tree,
    asks: Vec<Ask>,
    parameters: Vec<(String, Vec<String>)>,
    approximate: bool,
}

impl Reading<'_> {
    fn read(&mut self, name: &str, operation: &Operation) -> Result<(), GatewayError> {
        let keys = self.keys(operation)?;
        let action = operation.action.as_deref().unwrap_or(name);
        if operation.reader == Some(Reader::Dynamodb) {
            return self.items(name, action, &keys);
        }
        let mut has_resource = false;
        for resource in operation.resources.iter().flatten() {
            for (named, own_action) in self.resources(resource)? {
                has_resource = true;
                self.ask(own_action.unwrap_or(action), named, &keys)?;
            }
        }
        if !has_resource {
            let any = Named {
                arn: "*".to_owned(),
                account: self.place.account,
                approximate: false,
            };
            self.ask(action, any, &keys)?;
        }
        Ok(())
    }

    fn ask(&mut self, action: &str, named: Named, keys: &[(String, Vec<String>)]) -> Result<(), GatewayError> {
        let ask = Ask {
            action: format!("{}:{action}", self.service.prefix),
            resource: named.arn,
            account: named.account,
            keys: keys.to_vec(),
        };
        self.approximate |= named.approximate;
        if self.asks.len() >= MAX_ASKS {
            return Err(GatewayError::Body("it names too many resources".to_owned()));
        }
        if !self.asks.contains(&ask) {
            self.asks.push(ask);
        }
        Ok(())
    }

    /// The resources that a rule finds, with the action where it is not the operation's.
    fn resources<'r>(&mut self, resource: &'r Resource) -> Result<Vec<(Named, Option<&'r str>)>, GatewayError> {
        let Resource::Named {
            kinds,
            from,
            optional,
            otherwise,
            action,
        } = resource
        else {
            let any = Named {
                arn: "*".to_owned(),
                account: self.place.account,
                approximate: false,
            };
            return Ok(vec![(any, None)]);
        };
        let mut values = Vec::new();
        for path in from {
            values.push(path.texts(self.tree)?);
        }
        let absent = values.iter().position(Vec::is_empty);
        if let Some(absent) = absent {
            return match otherwise {
                Some(otherwise) => self.resources(otherwise),
                None if *optional => Ok(Vec::new()),
                None => Err(GatewayError::Missing(
                    from.get(absent).map_or("", Path::text).to_owned(),
                )),
            };
        }
        for (path, values) in from.iter().zip(&values) {
            self.record(&parameter_name(path.text()), values);
        }
        let parameter = from.first().map_or("", Path::text);
        let mut named = Vec::new();
        let sets: Vec<Vec<String>> = match values.as_slice() {
            [list] => list.iter().map(|value| vec![value.clone()]).collect(),
            several => vec![several.iter().filter_map(|values| values.first().cloned()).collect()],
        };
        for set in sets {
            named.push((self.name(kinds, &set, parameter)?, action.as_deref()));
        }
        Ok(named)
    }

    /// The resource of the first kind that fits.
    fn name(&self, kinds: &[String], values: &[String], parameter: &str) -> Result<Named, GatewayError> {
        let mut reason = "there is no such kind of resource";
        for kind in kinds {
            match self.service.kinds.get(kind).map(|kind| kind.name(values, &self.place)) {
                Some(Ok(named)) => return Ok(named),
                Some(Err(found)) => reason = found,
                None => {}
            }
        }
        Err(GatewayError::Value {
            parameter: parameter.to_owned(),
            reason,
        })
    }

    fn record(&mut self, name: &str, values: &[String]) {
        match self.parameters.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => {
                for value in values {
                    if !known.contains(value) {
                        known.push(value.clone());
                    }
                }
            }
            None => self.parameters.push((name.to_owned(), values.to_vec())),
        }
    }

    fn keys(&self, operation: &Operation) -> Result<Vec<(String, Vec<String>)>, GatewayError> {
        let mut keys: Vec<(String, Vec<String>)> = Vec::new();
        for (key, source) in &operation.keys {
            if key.ends_with(['/', ':']) {
                // An object of names and values, such as KMS's encryption context.
                for place in source.from.trees(self.tree)? {
                    for (name, value) in place.members() {
                        if let Tree::Text(value) = value {
                            push(&mut keys, &format!("{key}{name}"), value.clone());
                        }
                    }
                }
                continue;
            }
            for value in source.from.texts(self.tree)? {
                let value = match source.form {
                    Form::AsIs => value,
                    Form::RecordName => record_name(&value).ok_or_else(|| GatewayError::Value {
                        parameter: source.from.text().to_owned(),
                        reason: "it is no name of a record",
                    })?,
                };
                push(&mut keys, key, value);
            }
        }
        if let Some(tags) = &operation.tags {
            for (name, value) in self.tags(tags)? {
                push(&mut keys, &format!("aws:RequestTag/{name}"), value);
                push(&mut keys, "aws:TagKeys", name);
            }
        }
        if let Some(path) = &operation.tag_keys {
            for name in path.texts(self.tree)? {
                push(&mut keys, "aws:TagKeys", name);
            }
        }
        Ok(keys)
    }

    fn tags(&self, tags: &Tags) -> Result<Vec<(String, String)>, GatewayError> {
        let mut found = Vec::new();
        match tags {
            Tags::Map(path) => {
                for place in path.trees(self.tree)? {
                    for (name, value) in place.members() {
                        match value {
                            Tree::Text(value) => found.push((name.clone(), value.clone())),
                            _ => {
                                return Err(GatewayError::Value {
                                    parameter: path.text().to_owned(),
                                    reason: "a tag's value must be a text",
                                });
                            }
                        }
                    }
                }
            }
            Tags::List { each, key, value } => {
                for place in each.trees(self.tree)? {
                    let text = |name: &str| match member(place, name)? {
                        Some(Tree::Text(text)) => Ok(Some(text.clone())),
                        None => Ok(None),
                        Some(_) => Err(GatewayError::Value {
                            parameter: each.text().to_owned(),
                            reason: "a tag is two texts",
                        }),
                    };
                    let name = text(key)?.ok_or_else(|| GatewayError::Missing(format!("{}.{key}", each.text())))?;
                    found.push((name, text(value)?.unwrap_or_default()));
                }
            }
        }
        Ok(found)
    }

    /// DynamoDB's item operations.
    fn items(&mut self, name: &str, action: &str, keys: &[(String, Vec<String>)]) -> Result<(), GatewayError> {
        for subject in dynamodb::subjects(name, self.tree, &self.service.partition_keys)? {
            self.record("tableName", std::slice::from_ref(&subject.table));
            let mut named = self.name(&["table".to_owned()], std::slice::from_ref(&subject.table), "TableName")?;
            if let Some(index) = &subject.index {
                self.record("indexName", std::slice::from_ref(index));
                // The table's ARN is proven; what an index adds to it must be a name.
                let is_name = !index.is_empty()
                    && index
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
                if !is_name {
                    return Err(GatewayError::Value {
                        parameter: "IndexName".to_owned(),
                        reason: "it is no name of such a resource",
                    });
                }
                named.arn = format!("{}/index/{index}", named.arn);
            }
            let action = subject.action.unwrap_or(action);
            let mut all = keys.to_vec();
            all.extend(subject.keys);
            if subject.leading.is_empty() {
                self.ask(action, named, &all)?;
                continue;
            }
            for values in subject.leading {
                let mut possible = all.clone();
                let mut values = values;
                values.sort_unstable();
                values.dedup();
                possible.push(("dynamodb:LeadingKeys".to_owned(), values));
                self.ask(action, named.clone(), &possible)?;
            }
        }
        Ok(())
    }
}

/// Adds a value to a key. Keys have no case: two tags `Team` and `team` are one key of two values.
fn push(keys: &mut Vec<(String, Vec<String>)>, key: &str, value: String) {
    match keys.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(key)) {
        Some((_, values)) if values.contains(&value) => {}
        Some((_, values)) => values.push(value),
        None => keys.push((key.to_owned(), vec![value])),
    }
}

#[cfg(test)]
mod tests;
