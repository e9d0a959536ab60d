//! Attacks on a verifier of web identity tokens, one test a row of the project's list (WT-…). Rows about the whole server are tested there.

mod claims;
mod form;
mod signature;
