//! Who may vouch for a pod: the issuers that we host and the issuers that we trust.

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
