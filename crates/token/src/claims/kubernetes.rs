use serde_json::{Map, Value};

use crate::claims::Claims;
use crate::error::TokenError;

const KUBERNETES: &str = "kubernetes.io";

/// The claim `kubernetes.io` of a projected service account token.
///
/// Source: "Managing Service Accounts" in the Kubernetes documentation, schema for service account private claims.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KubernetesClaims<'a> {
    /// Namespace of the service account.
    pub namespace: &'a str,
    /// The service account.
    pub service_account: BoundObject<'a>,
    /// The pod that the token is bound to.
    pub pod: Option<BoundObject<'a>>,
    /// The node that the pod runs on or that the token is bound to.
    pub node: Option<BoundObject<'a>>,
    /// The secret that the token is bound to.
    pub secret: Option<BoundObject<'a>>,
}

/// A Kubernetes object that a token names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BoundObject<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.uid`; some clusters leave out that of a node.
    pub uid: Option<&'a str>,
}

impl KubernetesClaims<'_> {
    /// The subject that Kubernetes gives to this service account.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.service_account.name)
    }
}

impl Claims {
    /// The claim `kubernetes.io`; `None` if the token has none.
    ///
    /// # Errors
    /// [`TokenError::WrongType`] if the claim lacks the namespace or the service account, or a member is not of its type.
    pub fn kubernetes(&self) -> Result<Option<KubernetesClaims<'_>>, TokenError> {
        let Some(claim) = self.raw.get(KUBERNETES) else {
            return Ok(None);
        };
        read(claim).map(Some).ok_or(TokenError::WrongType { claim: KUBERNETES })
    }

    /// Refuses a token whose `kubernetes.io` claim names another service account than its subject.
    /// A token without that claim passes.
    ///
    /// # Errors
    /// [`TokenError::SubjectMismatch`], or [`TokenError::WrongType`] as of [`kubernetes`](Self::kubernetes).
    pub fn check_kubernetes_subject(&self) -> Result<(), TokenError> {
        match self.kubernetes()? {
            Some(claim) if self.subject.as_deref() != Some(claim.subject().as_str()) => {
                Err(TokenError::SubjectMismatch)
            }
            _ => Ok(()),
        }
    }
}

fn read(claim: &Value) -> Option<KubernetesClaims<'_>> {
    let claim = claim.as_object()?;
    Some(KubernetesClaims {
        namespace: claim.get("namespace")?.as_str()?,
        service_account: bound_object(claim, "serviceaccount")??,
        pod: bound_object(claim, "pod")?,
        node: bound_object(claim, "node")?,
        secret: bound_object(claim, "secret")?,
    })
}

/// Outer `None`: malformed. Inner `None`: not there.
#[expect(
    clippy::option_option,
    reason = "the two kinds of nothing are what the caller must tell apart"
)]
fn bound_object<'a>(claim: &'a Map<String, Value>, member: &str) -> Option<Option<BoundObject<'a>>> {
    let Some(value) = claim.get(member) else {
        return Some(None);
    };
    let object = value.as_object()?;
    let uid = match object.get("uid") {
        None => None,
        Some(uid) => Some(uid.as_str()?),
    };
    Some(Some(BoundObject {
        name: object.get("name")?.as_str()?,
        uid,
    }))
}
