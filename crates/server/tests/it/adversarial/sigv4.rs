//! Forged, bent, borrowed and late signatures.

mod bodies;
mod framing;
pub(crate) mod paths;
mod schemes;
mod scope;
mod sessions;
