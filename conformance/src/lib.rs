//! Black-box suites: everything here speaks to the built binary over its sockets, as a client of AWS would, and shares no code with it.
//!
//! [`Server`] is a running `irsa up`, [`ControlPlane`] a real kube-apiserver, [`Issuer`] an identity provider under the test's control, [`Key`] a key pair that can sign any token,
//! right or wrong, [`Client`] a minimal client of AWS APIs, and [`replay`] runs recorded cases of AWS.

mod authority;
mod client;
mod cluster;
mod control_plane;
pub mod deploy;
mod issuer;
mod key;
mod kubernetes_api;
mod relay;
pub mod replay;
mod server;
pub mod session;
pub mod sigv4;
mod until;
pub mod webhook;

pub use authority::{Authority, Leaf};
pub use client::{Answer, Client, Credentials, Transport, xml_text, xml_texts};
pub use cluster::{AUDIENCE, Cluster, exchange};
pub use control_plane::{ControlPlane, ControlPlaneOptions};
pub use issuer::Issuer;
pub use key::{Key, KeyKind, jws, jws_of_texts};
pub use kubernetes_api::KubernetesApi;
pub use relay::{Calls, Fault, Loss, Moment, Relay};
pub use server::{Finished, Server, StartOptions, binary, finish};
pub use until::until;
