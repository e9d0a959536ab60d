//! `irsa create|get|update|delete iamserviceaccount`, `apply` and `diff` on real components: a kube-apiserver, our server, and moto.

mod bad_input;
mod chaos;
mod moto;
mod sessions;
mod world;
