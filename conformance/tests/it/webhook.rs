//! The webhook under a real kube-apiserver, installed with the manifests of `deploy/` as they are.

mod accounts;
mod certificates;
mod env_from;
mod missed;
mod seeds;
mod storm;
