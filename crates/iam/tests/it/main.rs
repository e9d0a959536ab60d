//! IAM's operations as a caller sees them: sequences of calls over one state.

mod access_keys;
mod account;
mod authorization;
mod callers;
mod harness;
mod pages;
mod policies;
mod providers;
mod races;
mod role_policies;
mod roles;
mod simulate;
mod states;
mod table;
mod tags;
mod trust;
mod users;
