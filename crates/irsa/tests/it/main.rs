//! The built binary, as its users run it.

mod as_webhook;
mod check;
mod clients;
mod commands;
mod diff;
mod iamserviceaccount;
mod manifests;
mod quickstart;
mod server;
mod simulate;
mod support;
mod usage;
