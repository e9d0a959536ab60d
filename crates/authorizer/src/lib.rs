//! What proxies ask of an external authorizer, and how it answers them.
//!
//! ```text
//! client ──request──▶ proxy ──question──▶ Original ──(decided elsewhere)──▶ Permission or Refusal ──answer──▶ proxy
//! ```
//!
//! Two kinds of proxies are understood: Envoy, which asks over gRPC ([`envoy`]), and those that send a subrequest over HTTP
//! ([`subrequest`]): nginx's `auth_request`, Traefik's `forwardAuth`, Caddy's `forward_auth`. Either way the question becomes an
//! [`Original`]: the request as the client sent it, as far as the proxy shows it.
//!
//! Invariants:
//! * Pure: no IO, no clock, no panic on any input.
//! * What the proxy must say and does not is an error, never a default that a client could profit from: its address, the method, the
//!   target, whether there is a body.
//! * Where a question can be read in two ways (a header of the proxy that comes twice, values of a header that were joined), it is refused;
//!   and what S3 reads in one way and other stores in another, [`reading`] finds.
//! * A body counts as seen only if it is known to be there to the last byte.
//! * No header of an answer has a value that was not made or checked here: what callers chose can't become a line of an answer.
//!
//! See <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/ext_authz_filter> and
//! <https://nginx.org/en/docs/http/ngx_http_auth_request_module.html>.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented
    )
)]

mod answer;
pub mod envoy;
mod original;
pub mod reading;
pub mod subrequest;

pub use answer::{BodyCheck, CREDENTIALS, IDENTITY, MISLEADING, Permission, Refusal};
pub use original::{Original, OriginalBody, OriginalError, Transport};
