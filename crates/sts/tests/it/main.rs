//! STS's operations as a caller sees them: accounts, providers and roles made by IAM's own operations, tokens signed by issuers of the test.

mod assume_role;
mod chain;
mod claims;
mod denial;
mod harness;
mod issuer;
mod keys;
mod order;
mod records;
mod session;
mod siblings;
mod tags;
mod trust;
mod web_identity;
