//! What a caller of the crate sees: attacks, recorded answers of STS, published vectors, random input.

mod adversarial;
mod claims;
mod properties;
mod signing;
mod support;
mod vectors;
