//! Who may vouch for a pod: the issuers that we host and the issuers that we trust.
//!
//! This is where the story begins and where the exchange comes back to. A [`HostedIssuer`] signs the tokens of a cluster that has no keys of
//! its own and publishes what verifies them; [`State`] holds all of them in memory, built from the store's changes. [`Trusted`] fetches the
//! keys of issuers that others host. Whoever verifies a token asks [`State::keys`] first and [`Trusted::keys`] if that knows nothing.
//!
//! Invariants:
//! - Nothing is fetched but from the URL of a registered provider and the `jwks_uri` that it names: over https, from addresses that were
//!   checked after resolution and are the ones connected to, without redirects, within limits of size and time.
//! - However many calls there are, one fetch of an issuer runs at a time, and unknown key ids cause one each interval.
//! - Keys are known by account and issuer; no two of these share anything.
//! - Private keys are sealed wherever they lie, and bound to their issuer and their public half. Only the current key signs.
//!
//! Sources: OpenID Connect Discovery 1.0; the IAM user guide on OIDC providers
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html>); the TokenRequest API of Kubernetes.

mod address;
mod document;
mod fetch;
mod fetch_error;
mod freshness;
mod hosted;
mod https_url;
mod kubernetes;
mod options;
mod provider_url;
mod state;
mod tls;
mod trusted;

pub use fetch_error::FetchError;
pub use hosted::{
    CACHE_CONTROL, HostedIssuer, IssuedToken, KEYS_LIFETIME_SECONDS, KeySlot, NewIssuer, OidcError, issuer_key,
    new_hosted_issuer,
};
pub use kubernetes::{
    DEFAULT_AUDIENCE, DEFAULT_EXPIRATION_SECONDS, FieldError, MAXIMUM_EXPIRATION_SECONDS, MINIMUM_EXPIRATION_SECONDS,
    TokenObject, TokenRequest, derived_uid,
};
pub use options::{FetchOptions, Resolve, SystemResolver};
pub use provider_url::{ProviderUrl, ProviderUrlError};
pub use state::{State, given_keys_key, put_given_keys};
pub use tls::thumbprint;
pub use trusted::{ExtraCaError, Trusted};
