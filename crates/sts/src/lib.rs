//! The exchange: a web identity token for the temporary credentials of one role, and the siblings of that call.
//!
//! This is the middle of the story: `oidc` knows the issuer and its keys, `token` checks the token, `policy` the trust
//! policy, `credentials` seals the session. Nothing is written here: sessions are stateless.
//!
//! Invariants:
//! - Callers of AssumeRoleWithWebIdentity can't tell a role that does not exist from one that does not trust them.
//! - Nothing that a token says counts before its signature is verified, except to name the error.
//! - Provider and role are looked up in the account that the role's ARN names, and nowhere else.
//!
//! Source: the STS API reference (<https://docs.aws.amazon.com/STS/latest/APIReference/>) and recorded answers.

mod access_key_info;
mod assume_role;
mod call;
mod caller_identity;
mod decode_message;
mod error;
mod grant;
mod request_parameters;
mod session_settings;
mod session_tags;
mod session_token;
mod trust;
mod web_identity;

pub use call::{Answer, Call, Environment, Exchange, OPERATIONS, Resource, WebIdentityUser};
pub use error::StsError;
