//! The messages of `envoy.service.auth.v3` as far as they matter here, by the field numbers that Envoy publishes; what is left out is
//! skipped when read. Beside them those of `grpc.health.v1`.
//!
//! They hold signatures and session tokens, so that none of those that come in can be printed.
//!
//! See <https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/auth/v3/external_auth.proto> and `attribute_context.proto` beside it.
#![expect(missing_docs, reason = "names and meanings are those of the published protocol")]

use std::collections::HashMap;

use prost::{Message, Oneof};

/// The path of the one call of ext_authz.
pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// The path of a health check.
pub const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// What Envoy asks.
#[derive(Clone, Message, PartialEq)]
#[prost(skip_debug)]
pub struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<AttributeContext>,
}

#[derive(Clone, Message, PartialEq)]
#[prost(skip_debug)]
pub struct AttributeContext {
    #[prost(message, optional, tag = "1")]
    pub source: Option<Peer>,
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
    /// There if the filter has `include_tls_session` and the client came over TLS.
    #[prost(message, optional, tag = "12")]
    pub tls_session: Option<TlsSession>,
}

#[derive(Clone, Message, PartialEq)]
pub struct Peer {
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
}

#[derive(Clone, Message, PartialEq)]
pub struct Address {
    /// The others, pipes and Envoy's own, have no internet address.
    #[prost(message, optional, tag = "1")]
    pub socket_address: Option<SocketAddress>,
}

#[derive(Clone, Message, PartialEq)]
pub struct SocketAddress {
    #[prost(string, tag = "2")]
    pub address: String,
    #[prost(uint32, tag = "3")]
    pub port_value: u32,
}

#[derive(Clone, Message, PartialEq)]
pub struct TlsSession {
    #[prost(string, tag = "1")]
    pub sni: String,
}

#[derive(Clone, Message, PartialEq)]
#[prost(skip_debug)]
pub struct Request {
    #[prost(message, optional, tag = "2")]
    pub http: Option<HttpRequest>,
}

#[derive(Clone, Message, PartialEq)]
#[prost(skip_debug)]
pub struct HttpRequest {
    #[prost(string, tag = "2")]
    pub method: String,
    /// Without `encode_raw_headers`: names are in lower case, several values of one are joined by commas.
    #[prost(map = "string, string", tag = "3")]
    pub headers: HashMap<String, String>,
    /// The target as it goes on to the upstream, with its query.
    #[prost(string, tag = "4")]
    pub path: String,
    #[prost(string, tag = "5")]
    pub host: String,
    /// With `pack_as_bytes` it is in `raw_body`.
    #[prost(string, tag = "11")]
    pub body: String,
    #[prost(bytes = "bytes", tag = "12")]
    pub raw_body: bytes::Bytes,
    /// With `encode_raw_headers`.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<HeaderMap>,
}

#[derive(Clone, Message, PartialEq)]
#[prost(skip_debug)]
pub struct HeaderMap {
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<HeaderValue>,
}

#[derive(Clone, Message, PartialEq)]
#[prost(skip_debug)]
pub struct HeaderValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
    #[prost(bytes = "vec", tag = "3")]
    pub raw_value: Vec<u8>,
}

/// What Envoy is answered.
#[derive(Clone, Message, PartialEq)]
#[prost(skip_debug)]
pub struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(oneof = "HttpResponse", tags = "2, 3")]
    pub http_response: Option<HttpResponse>,
}

#[derive(Clone, Oneof, PartialEq)]
#[prost(skip_debug)]
pub enum HttpResponse {
    #[prost(message, tag = "2")]
    Denied(DeniedHttpResponse),
    #[prost(message, tag = "3")]
    Ok(OkHttpResponse),
}

/// `google.rpc.Status`.
#[derive(Clone, Message, PartialEq)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
}

#[derive(Clone, Message, PartialEq)]
#[prost(skip_debug)]
pub struct DeniedHttpResponse {
    #[prost(message, optional, tag = "1")]
    pub status: Option<HttpStatus>,
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    #[prost(string, tag = "3")]
    pub body: String,
}

#[derive(Clone, Message, PartialEq)]
#[prost(skip_debug)]
pub struct OkHttpResponse {
    /// Headers of the request that goes on.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    #[prost(string, repeated, tag = "5")]
    pub headers_to_remove: Vec<String>,
}

/// `envoy.type.v3.HttpStatus`.
#[derive(Clone, Message, PartialEq)]
pub struct HttpStatus {
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// `envoy.config.core.v3.HeaderValueOption`. Its field 2, `append`, is left out: absent, it means what [`OVERWRITE`] says.
#[derive(Clone, Message, PartialEq)]
#[prost(skip_debug)]
pub struct HeaderValueOption {
    #[prost(message, optional, tag = "1")]
    pub header: Option<HeaderValue>,
    #[prost(int32, tag = "3")]
    pub append_action: i32,
}

/// `OVERWRITE_IF_EXISTS_OR_ADD`.
pub const OVERWRITE: i32 = 2;

/// `grpc.health.v1.HealthCheckRequest`.
#[derive(Clone, Message, PartialEq)]
pub struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub service: String,
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, Message, PartialEq)]
pub struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    pub status: i32,
}

/// `SERVING` of a health check's answer.
pub const SERVING: i32 = 1;
/// `NOT_SERVING` of a health check's answer.
pub const NOT_SERVING: i32 = 2;
