//! Accounts, roles, policies, OIDC providers, users and access keys: what they are, which rules they obey, and IAM's
//! operations on them.
//!
//! The flow step that this crate serves is the decision: it knows who a key belongs to ([`Caller`]) and which policies
//! speak about a request ([`authorize`]). Its operations are functions without IO: they read one immutable [`State`]
//! and give back the answer together with the [`Transaction`](irsa_store::Transaction) that makes it true; the server
//! commits it, and runs the operation again on a newer state if somebody else was faster.
//!
//! Sources: the IAM API reference (<https://docs.aws.amazon.com/IAM/latest/APIReference/>) and its service model.

mod account;
mod authorization_message;
mod authorize;
mod caller;
mod error;
mod key;
mod managed;
mod operation;
mod quota;
mod record;
mod state;

pub use account::{NewAccount, NewAccountError, new_account};
pub use authorization_message::AuthorizationMessage;
pub use authorize::{Authorization, RequestFacts, Target, authorize, authorize_anonymous, request_context};
pub use caller::{Caller, CallerError, Identity};
pub use error::IamError;
pub use managed::{AWS_MANAGED, AwsManagedPolicy};
pub use operation::{
    Answer, Call, Execution, FoundPrincipal, OPERATIONS, Operation, Outcome, Question, Random, find_principal,
    request_parameters,
};
pub use quota::Quotas;
pub use record::{
    AccessKeyRecord, AccessKeyStatus, AccountRecord, InlinePolicy, PolicyRecord, PolicyVersion, ProviderRecord,
    RoleRecord, Tag, TrustedPrincipal, UserRecord,
};
pub use state::{AccessKey, Account, Policy, Provider, Role, State, StateError, User};
