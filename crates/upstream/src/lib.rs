//! Requests sent on to a server behind us: under credentials of ours, streaming both ways, in constant memory.
//!
//! [`Upstream::send`] takes a request that was authorized, removes what belonged to the caller's connection and signature, signs it
//! anew, and gives back the answer's head as soon as it is there; its body streams. Nothing is buffered but what hyper reads
//! ahead on one connection.
//!
//! Invariants:
//! - The caller's `Authorization`, session token, date, cookies of the connection and forwarding headers never reach the upstream.
//! - A body that is cut short is an error of the stream, never its end.
//! - Every wait has an end: to connect, for the answer's first byte once nothing more is sent, and between two pieces of its body.
//! - Nothing is sent twice: a request is tried again on another connection only if not one byte of it left.

mod body;
mod connection;
mod endpoint;
mod headers;
mod signing;
mod upstream;

pub use body::ResponseBody;
pub use connection::{ConnectError, Trust, TrustError, connect, connect_over, deepest};
pub use endpoint::{Endpoint, EndpointError};
pub use headers::{remove_caller, remove_hop_by_hop};
pub use signing::{CredentialError, CredentialSource, Credentials, Sign};
pub use upstream::{BoxError, Deadlines, RequestBody, Upstream, UpstreamError};
