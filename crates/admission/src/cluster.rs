use std::pin::Pin;
use std::time::Duration;

use irsa_webhook::EnvSourceKind;

/// A service account's annotations.
pub type Annotations = Vec<(String, String)>;

/// A look-up under way: `None` if the cluster has no such account.
pub type LookUp<'a> = Pin<Box<dyn Future<Output = Result<Option<Annotations>, LookUpError>> + Send + 'a>>;

/// A look-up of a source's keys under way: `None` if it is not there.
pub type EnvLookUp<'a> = Pin<Box<dyn Future<Output = Result<Option<Vec<String>>, LookUpError>> + Send + 'a>>;

/// What admission asks of a cluster, beside what it is told by watches.
pub trait Cluster: Send + Sync + 'static {
    /// Reads one ServiceAccount as the API server has it now: a GET without `resourceVersion`, so that no cache answers. It ends within `deadline`.
    ///
    /// One call at a time is made for an account, and calls for different accounts are bounded in number.
    fn look_up<'a>(&'a self, namespace: &'a str, name: &'a str, deadline: Duration) -> LookUp<'a>;

    /// Reads the keys of a ConfigMap or Secret that a pod's containers take variables from, as the API server has them now. It ends within `deadline`, and
    /// is called only where the settings respect such sources. The name is a stranger's: what cannot be a name is not there.
    fn env_keys<'a>(
        &'a self,
        namespace: &'a str,
        kind: EnvSourceKind,
        name: &'a str,
        deadline: Duration,
    ) -> EnvLookUp<'a>;

    /// Takes notice of a pod that is created without the credentials that it asks for, to write an Event on its owner. Called while a review waits: it
    /// must return at once, and drops the report where its queue is full.
    fn report(&self, report: Report);
}

/// A look-up has no result.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LookUpError {
    /// No answer within the deadline.
    #[error("the API server did not answer in time")]
    Deadline,
    /// We may not ask: an operator has to grant it.
    #[error("the API server does not allow it")]
    Forbidden,
    /// The answer is no ServiceAccount, and no statement that there is none.
    #[error("{reason}")]
    Unavailable {
        /// What is wrong, for the operator's log.
        reason: String,
    },
}

/// A pod that lacks credentials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The namespace.
    pub namespace: String,
    /// The pod's name; `None` while only the API server knows which name it will generate.
    pub name: Option<String>,
    /// What its name will begin with.
    pub generate_name: Option<String>,
    /// The pod's controller, else its first owner.
    pub owner: Option<Owner>,
    /// The service account's name.
    pub service_account: String,
    /// In one word, as logs and counters have it, such as `foreign_volume`.
    pub reason: &'static str,
    /// In a sentence, of at most 1,000 characters.
    pub message: String,
}

/// Who made a pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// Such as `apps/v1`.
    pub api_version: String,
    /// Such as `ReplicaSet`.
    pub kind: String,
    /// Its name, in the pod's namespace.
    pub name: String,
    /// Its unique id.
    pub uid: String,
}
