use std::borrow::Cow;
use std::sync::Arc;

use irsa_core::AccountId;
use uuid::Uuid;

use crate::bucket::NamedPrincipal;
use crate::permit::version_action;

/// What one S3 request wants to do, in the words of the policy language: the question that the policy engine is asked.
///
/// A request that touches several resources (a copy, a multi-object delete) makes several targets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// The event name of CloudTrail, such as `GetObject`.
    pub event_name: &'static str,
    /// The IAM action, such as `s3:GetObject`.
    pub action: &'static str,
    /// The bucket, unless the target is the whole service.
    pub bucket: Option<String>,
    /// Which bucket of that name it is; `None` for the whole service and for a bucket that does not exist yet.
    pub bucket_id: Option<Uuid>,
    /// The object key, exactly the one that the store will be asked for.
    pub key: Option<String>,
    /// The version of the object that is meant, where the request names one.
    pub version: Option<String>,
    /// The ARN that policies are matched against.
    pub resource_arn: String,
    /// The account that owns the bucket; `None` for the whole service and for a bucket that does not exist yet.
    pub resource_account: Option<AccountId>,
    /// Condition keys of the operation, such as `s3:prefix`, with their values. Global keys (`aws:…`) are the server's to add.
    pub context: Vec<(Cow<'static, str>, Vec<String>)>,
    /// Whether the operation, of which this is one target, changes nothing (`readOnly` of the event record).
    pub read_only: bool,
    /// Whether CloudTrail counts the event as a data event; else it is a management event.
    pub data_event: bool,
}

impl Target {
    /// Makes it the question about this version of the object: another action counts then.
    pub(crate) fn set_version(&mut self, version: Option<&str>) {
        if let Some(version) = version {
            self.version = Some(version.to_owned());
            self.context.push(("s3:VersionId".into(), vec![version.to_owned()]));
            self.set_action(self.action);
            // The one key that an action has and the same on a version has not.
            self.context.retain(|(name, _)| name != "s3:if-match");
        }
    }

    /// Asks for another action, on the same version.
    pub(crate) fn set_action(&mut self, action: &'static str) {
        self.action = match &self.version {
            Some(_) => version_action(action).unwrap_or(action),
            None => action,
        };
    }

    /// The first value of a condition key.
    #[must_use]
    pub fn condition(&self, key: &str) -> Option<&str> {
        self.context
            .iter()
            .find(|(name, _)| *name == key)
            .and_then(|(_, values)| values.first())
            .map(String::as_str)
    }
}

/// The one who decides: the server's pipeline, which knows the caller, the policies and the journal.
///
/// A request without one in its extensions is refused.
pub trait Authorizer: Send + Sync {
    /// The caller's account; `None` for an anonymous caller.
    fn account(&self) -> Option<AccountId>;

    /// The caller as uploads are listed with: an ARN. `None`: an anonymous caller, or one without an ARN.
    fn principal(&self) -> Option<String> {
        None
    }

    /// Whom a bucket policy would name by this ARN, account number or unique id.
    fn find_principal(&self, name: &str) -> NamedPrincipal {
        let _ = name;
        NamedPrincipal::Unknown
    }

    /// Whether a decision on this target may depend on the tags that its object has; in doubt it may.
    fn depends_on_tags(&self, _target: &Target) -> bool {
        true
    }

    /// Decides one target; called once for each target of a request, before anything is done for it.
    ///
    /// # Errors
    /// [`Denied`] when the policies do not allow it.
    fn authorize(&self, target: &Arc<Target>) -> Result<Allowed, Denied>;

    /// Decides a target that the request did not ask for, and leaves no trace in its record: whether a caller who
    /// asked for a missing object may learn that it is missing.
    ///
    /// # Errors
    /// [`Denied`] when the policies do not allow it.
    fn permits(&self, target: &Target) -> Result<(), Denied>;
}

/// The proof that the policy engine allowed one target. No object is read or written, and no bucket made or removed, without it.
#[derive(Debug)]
pub struct Allowed {
    target: Arc<Target>,
}

impl Allowed {
    /// Says that `target` was decided and allowed. Only an [`Authorizer`] has a reason to call this.
    #[must_use]
    pub fn decided(target: &Arc<Target>) -> Self {
        Self {
            target: Arc::clone(target),
        }
    }

    /// The target that was allowed.
    #[must_use]
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }
}

/// A refusal in the words that the caller will see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denied {
    /// The error code of S3, nearly always `AccessDenied`.
    pub code: &'static str,
    /// The message, such as `User: … is not authorized to perform: s3:GetObject on resource: "…" because …`, or the bare
    /// `Access Denied` for anonymous and cross-account callers.
    pub message: String,
}

impl Denied {
    /// The bare refusal, which tells nothing.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            code: "AccessDenied",
            message: "Access Denied".to_owned(),
        }
    }
}
