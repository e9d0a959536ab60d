//! AWS's protocols at the edge: the Query protocol's parameters, XML answers, JSON answers, and errors as callers see them.
//!
//! Pure: bytes in, bytes out. A service crate reads its input through [`Params`] and [`Validator`], and answers with
//! [`Xml`]; the server wraps both in the envelopes of this crate. Sources: the awsQuery and restJson1 protocol pages of
//! Smithy (<https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>) and the service models.
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

mod envelope;
mod error;
mod operation;
mod params;
mod validation;
mod xml;

pub use envelope::{json_error, query_answer, query_error, s3_error};
pub use error::{Fault, WireError};
pub use operation::{Access, EventKind, OperationSpec, Service};
pub use params::{Params, ParamsError};
pub use validation::{Pattern, Text, Validator, patterns};
pub use xml::Xml;
