//! EKS's operations as a caller sees them: routes, answers, errors, and what they leave in the store.

mod clusters;
mod harness;
mod issuers;
mod pages;
mod permission;
mod records;
mod routes;
mod tags;
