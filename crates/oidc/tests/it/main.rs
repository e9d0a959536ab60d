//! The fetcher against real TLS servers. Tests carry the names of the adversarial cases that they stand for.

mod behaviour;
mod certificates;
mod issuer;
mod network;
