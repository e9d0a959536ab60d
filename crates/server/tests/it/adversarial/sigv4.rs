//! Forged, bent, borrowed and late signatures.

mod bodies;
mod framing;
mod schemes;
mod scope;
mod sessions;
