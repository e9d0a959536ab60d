//! IAM's operations: one table, one row an operation.

use std::fmt;

use irsa_core::{IdPrefix, Timestamp, UniqueId};
use irsa_credentials::KeyEncryptionKey;
use irsa_store::Transaction;
use irsa_wire::{OperationSpec, Params, Service, WireError};
use serde_json::Value;

use crate::authorize::Target;
use crate::caller::Caller;
use crate::error::IamError;
use crate::quota::Quotas;
use crate::state::{Account, State};

mod access_keys;
mod account;
mod authorization_details;
mod common;
mod documents;
mod holder;
mod page;
mod policies;
mod policy_versions;
mod providers;
mod render;
mod request_parameters;
mod role_policies;
mod roles;
mod simulate;
mod tag_rules;
mod tags;
mod user_policies;
mod users;

pub use documents::{FoundPrincipal, find_principal};
pub use request_parameters::request_parameters;

/// Random bytes for ids: the machine's in the server, a counter in tests.
pub trait Random: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// What an operation may know.
pub struct Execution<'a> {
    /// The state that it reads.
    pub state: &'a State,
    /// Who calls; already authorized.
    pub caller: &'a Caller,
    /// The time of the call.
    pub now: Timestamp,
    /// Where ids come from.
    pub random: &'a dyn Random,
    /// How much an account may hold.
    pub quotas: &'a Quotas,
    /// Seals the secrets of new access keys.
    pub kek: &'a KeyEncryptionKey,
    /// Whether issuer URLs may carry a port (`--allow-private-issuers`).
    pub allow_issuer_ports: bool,
}

impl Execution<'_> {
    /// The caller's account: every operation of IAM works in it and sees no other.
    pub(crate) fn account(&self) -> Result<&Account, IamError> {
        let id = self.caller.account;
        self.state
            .account(id)
            .ok_or_else(|| IamError::Internal(format!("the caller's account `{id}` does not exist")))
    }

    pub(crate) fn unique_id(&self, prefix: IdPrefix) -> UniqueId {
        let mut random = [0; 17];
        self.random.fill(&mut random);
        UniqueId::from_random(prefix, random)
    }
}

/// The answer of an operation, before the envelope. It has no `Debug` that shows it: it may hold a new secret.
#[derive(Default)]
pub struct Answer {
    /// What stands inside `<OperationResult>`; `None` for operations that answer with metadata only.
    pub result: Option<String>,
    /// CloudTrail's `responseElements`; `None` for reads and for metadata-only answers.
    pub response_elements: Option<Value>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

/// What an operation wants: the answer, and the change that makes it true. An empty transaction is a read.
pub struct Outcome {
    /// To be committed before the answer leaves; a conflict runs the operation again on a newer state.
    pub transaction: Transaction,
    /// The answer.
    pub answer: Answer,
}

impl Outcome {
    /// A read.
    pub(crate) fn read(result: String) -> Self {
        Self {
            transaction: Transaction::default(),
            answer: Answer {
                result: Some(result),
                response_elements: None,
            },
        }
    }

    /// A change that answers with metadata only.
    pub(crate) fn change(transaction: Transaction) -> Self {
        Self {
            transaction,
            answer: Answer::default(),
        }
    }

    /// A change that answers with a result.
    pub(crate) fn changed(transaction: Transaction, result: String, response_elements: Value) -> Self {
        Self {
            transaction,
            answer: Answer {
                result: Some(result),
                response_elements: Some(response_elements),
            },
        }
    }
}

/// What is known before an operation is authorized.
pub struct Question<'a> {
    /// The operation's action, such as `iam:CreateRole`.
    pub action: &'static str,
    /// The state that the request sees.
    pub state: &'a State,
    /// Who asks.
    pub caller: &'a Caller,
}

/// Which questions the policy engine must answer with yes before the operation runs. Parameters are checked here first,
/// so that a malformed name can't become part of an ARN.
type Targets = fn(&Params, &Question<'_>) -> Result<Vec<Target>, IamError>;
/// The operation itself.
type Run = fn(&Params, &Execution<'_>) -> Result<Outcome, IamError>;

/// One row of the table.
pub struct Operation {
    /// Name, action, access.
    pub spec: OperationSpec,
    targets: Targets,
    run: Run,
}

/// One row; IAM's actions have the names of their operations.
macro_rules! row {
    ($name:literal, read_only: $read_only:literal, $targets:expr, $run:expr) => {
        $crate::operation::Operation {
            spec: irsa_wire::OperationSpec {
                service: irsa_wire::Service::Iam,
                name: $name,
                action: concat!("iam:", $name),
                access: irsa_wire::Access::Authorized,
                read_only: $read_only,
                kind: irsa_wire::EventKind::Management,
            },
            targets: $targets,
            run: $run,
        }
    };
}

/// A row that changes things.
macro_rules! change {
    ($name:literal, $targets:expr, $run:expr) => {
        $crate::operation::row!($name, read_only: false, $targets, $run)
    };
}

/// A row that reads.
macro_rules! read {
    ($name:literal, $targets:expr, $run:expr) => {
        $crate::operation::row!($name, read_only: true, $targets, $run)
    };
}

pub(crate) use {change, read, row};

/// Every operation of IAM that exists here, by module.
pub static OPERATIONS: &[&[Operation]] = &[
    providers::OPERATIONS,
    roles::OPERATIONS,
    role_policies::OPERATIONS,
    policies::OPERATIONS,
    policy_versions::OPERATIONS,
    users::OPERATIONS,
    user_policies::OPERATIONS,
    access_keys::OPERATIONS,
    tags::OPERATIONS,
    authorization_details::OPERATIONS,
    account::OPERATIONS,
    simulate::OPERATIONS,
];

/// One call of an operation that exists.
pub struct Call {
    operation: &'static Operation,
    params: Params,
}

impl Call {
    /// Finds the operation that `Action` names.
    ///
    /// # Errors
    /// `InvalidAction`, 400, in AWS's words.
    pub fn new(params: Params) -> Result<Self, WireError> {
        let action = params.get("Action").unwrap_or_default();
        let operation = OPERATIONS
            .iter()
            .flat_map(|operations| operations.iter())
            .find(|operation| operation.spec.name == action);
        let version = params.get("Version").unwrap_or(Service::Iam.version());
        match operation {
            Some(operation) if version == Service::Iam.version() => Ok(Self { operation, params }),
            _ => {
                let (action, version): (String, String) =
                    (action.chars().take(128).collect(), version.chars().take(32).collect());
                Err(WireError::new(
                    "InvalidAction",
                    400,
                    format!("Could not find operation {action} for version {version}"),
                ))
            }
        }
    }

    /// Name, action, access.
    #[must_use]
    pub fn spec(&self) -> &'static OperationSpec {
        &self.operation.spec
    }

    /// The parameters as sent.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The questions to ask before [`Call::run`].
    ///
    /// # Errors
    /// Parameters that are missing or malformed.
    pub fn targets(&self, state: &State, caller: &Caller) -> Result<Vec<Target>, IamError> {
        (self.operation.targets)(
            &self.params,
            &Question {
                action: self.operation.spec.action,
                state,
                caller,
            },
        )
    }

    /// Runs the operation on a state.
    ///
    /// # Errors
    /// Whatever AWS would say.
    pub fn run(&self, execution: &Execution<'_>) -> Result<Outcome, IamError> {
        (self.operation.run)(&self.params, execution)
    }
}
