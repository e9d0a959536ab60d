//! From a request to the questions that it raises.

mod call;
mod reading;

use std::sync::Arc;

use http::{HeaderMap, Method};
use irsa_core::AccountId;

use crate::error::GatewayError;
use crate::read::call::Call;
use crate::read::reading::{MAX_ASKS, Reading};
use crate::resource::Place;
use crate::rules::{RuleBook, ServiceRules};

/// A request as it came over the wire.
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
    /// The whole body; `None` if it is not known, and then only what needs none of it is read.
    pub body: Option<&'a [u8]>,
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
        if request.body.is_none() && operation.reads_body() {
            return Err(GatewayError::BodyUnseen(format!("`{name}`")));
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

#[cfg(test)]
mod tests;
