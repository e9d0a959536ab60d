//! The authorizer of one S3 request: what the policies of its caller and of its bucket say.

use std::sync::{Arc, Mutex, PoisonError};

use irsa_core::AccountId;
use irsa_iam::{Caller, Identity, RequestFacts, authorize, authorize_anonymous};
use irsa_s3::{Allowed, Authorizer, Denied, NamedPrincipal, Target};

use crate::gateway::unread;
use crate::pipeline::RequestContext;
use crate::run::authorization_message;
use crate::s3_upstream::id_behind;
use crate::snapshot::{Bucket, Snapshot};

/// The authorizer of one request: its snapshot, its caller, and why things were allowed or refused.
pub(crate) struct Gate {
    snapshot: Arc<Snapshot>,
    pub(crate) caller: Option<Caller>,
    facts: OwnedFacts,
    /// `s3:authType` and its like.
    signature: Vec<(&'static str, String)>,
    request_id: String,
    reasons: Mutex<Reasons>,
}

#[derive(Default)]
pub(crate) struct Reasons {
    pub(crate) refused: Option<String>,
    pub(crate) allowed: Option<String>,
    /// The refusal's authorization message.
    pub(crate) message: Option<String>,
}

impl Gate {
    /// For a request whose signature is checked; `caller` is `None` if it has none. `signature` are the condition keys about it.
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        caller: Option<Caller>,
        context: &RequestContext<'_>,
        signature: Vec<(&'static str, String)>,
    ) -> Self {
        Self {
            snapshot,
            caller,
            facts: OwnedFacts::of(&context.facts),
            signature,
            request_id: context.id.to_owned(),
            reasons: Mutex::new(Reasons::default()),
        }
    }

    /// Decides one question; `tell` asks for an authorization message about a refusal.
    fn decide(&self, target: &Target, tell: bool) -> (Result<(), Denied>, Reasons) {
        let refused = |reason: &str| {
            let reasons = Reasons {
                refused: Some(reason.to_owned()),
                ..Reasons::default()
            };
            (Err(Denied::bare()), reasons)
        };
        let bucket = self.bucket_of(target);
        if bucket.is_some_and(|bucket| target.bucket_id != Some(bucket.record.id)) {
            return refused("the bucket was made anew while the request was on its way");
        }
        let Some(owner) = target.resource_account.or_else(|| self.account()) else {
            return refused("the request is not signed, and no bucket's policy is asked about it");
        };
        let mut question = irsa_iam::Target::new(target.action, target.resource_arn.as_str(), owner);
        for (key, values) in &target.context {
            question = question.with_list(key.clone(), values.clone());
        }
        for (key, value) in &self.signature {
            question = question.with(*key, value.as_str());
        }
        let policy = bucket.and_then(|bucket| self.policy_of(bucket, target.action));
        let facts = self.facts.borrow();
        let authorization = match &self.caller {
            Some(caller) => authorize(&self.snapshot.iam, caller, &facts, &question, policy),
            None => authorize_anonymous(&facts, &question, policy),
        };
        if authorization.is_allowed() {
            let allowed = authorization.verdict.statement.as_ref().map(ToString::to_string);
            let reasons = Reasons {
                allowed,
                ..Reasons::default()
            };
            return (Ok(()), reasons);
        }
        let explanation = authorization.explanation.as_ref().map(ToString::to_string);
        let Some(caller) = &self.caller else {
            return refused(&explanation.unwrap_or_default());
        };
        let message = tell
            .then(|| {
                let (id, now) = (&self.request_id, self.facts.now);
                authorization_message(&self.snapshot, &authorization, caller, &question, id, now)
            })
            .flatten();
        // Callers of other accounts learn nothing.
        let denied = if owner == caller.account {
            // S3 alone puts the resource between quotes.
            let question = question.shown_as(format!("\"{}\"", target.resource_arn));
            let message = authorization
                .refusal(caller, &question)
                .map_or_else(String::new, |error| error.message);
            Denied {
                code: "AccessDenied",
                message,
            }
        } else {
            Denied::bare()
        };
        let reasons = Reasons {
            refused: explanation,
            allowed: None,
            message,
        };
        (Err(denied), reasons)
    }

    /// The bucket that a question is about, unless it is yet to be made.
    fn bucket_of(&self, target: &Target) -> Option<&Bucket> {
        let name = target.bucket.as_deref()?;
        let bucket = self.snapshot.buckets.get(name)?;
        // An embedded bucket of the same name is out of sight.
        let is_other = || target.bucket_id == Some(id_behind(name)) && target.bucket_id != Some(bucket.record.id);
        // What an account said of a store's bucket is gone with the account.
        let is_of_another = target
            .resource_account
            .is_some_and(|owner| owner != bucket.record.account);
        (target.event_name != "CreateBucket" && !is_other() && !is_of_another).then_some(bucket)
    }

    /// The policy that counts in a decision about the bucket.
    fn policy_of<'b>(&self, bucket: &'b Bucket, action: &str) -> Option<&'b irsa_policy::Policy> {
        let owner = bucket.record.account;
        let policy = bucket.policy.as_deref()?;
        // So that nobody locks himself out for ever.
        let is_owner = self
            .caller
            .as_ref()
            .is_some_and(|caller| caller.account == owner && matches!(caller.identity, Identity::Root));
        if is_owner
            && matches!(
                action,
                "s3:GetBucketPolicy" | "s3:PutBucketPolicy" | "s3:DeleteBucketPolicy"
            )
        {
            return None;
        }
        // Without a policy that counts, strangers get nothing.
        let restricted = policy.public
            && bucket
                .record
                .settings
                .public_access_block
                .is_some_and(|block| block.restrict_public_buckets);
        (!restricted || self.account() == Some(owner)).then_some(&policy.policy)
    }

    /// Why things were allowed or refused so far.
    pub(crate) fn take_reasons(&self) -> Reasons {
        std::mem::take(&mut *self.reasons.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Authorizer for Gate {
    fn depends_on_tags(&self, target: &Target) -> bool {
        let tags = ["s3:ExistingObjectTag/".to_owned()];
        let of_caller = |caller| unread::key_of_policies(&self.snapshot, caller, &[target.action], &tags).is_some();
        // An escape may be any sign of the name.
        let speaks = |text: &str| text.contains('\\') || text.to_ascii_lowercase().contains("existingobjecttag");
        let of_bucket = || {
            let bucket = self.bucket_of(target);
            bucket.is_some_and(|bucket| {
                bucket
                    .record
                    .settings
                    .policy
                    .as_ref()
                    .is_some_and(|policy| speaks(&policy.text))
            })
        };
        self.caller.as_ref().is_some_and(of_caller) || of_bucket()
    }

    fn account(&self) -> Option<AccountId> {
        self.caller.as_ref().map(|caller| caller.account)
    }

    fn principal(&self) -> Option<String> {
        self.caller.as_ref().map(|caller| caller.arn().to_owned())
    }

    fn find_principal(&self, name: &str) -> NamedPrincipal {
        match irsa_iam::find_principal(name, &self.snapshot.iam) {
            None => NamedPrincipal::Unknown,
            Some(found) => found.unique_id.map_or(NamedPrincipal::Known, NamedPrincipal::Bound),
        }
    }

    fn authorize(&self, target: &Arc<Target>) -> Result<Allowed, Denied> {
        let kept = || self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept().refused.is_none();
        let (decision, reasons) = self.decide(target, first);
        let mut kept = kept();
        kept.message = kept.message.take().or(reasons.message);
        kept.refused = kept.refused.take().or(reasons.refused);
        kept.allowed = kept.allowed.take().or(reasons.allowed);
        decision.map(|()| Allowed::decided(target))
    }

    fn permits(&self, target: &Target) -> Result<(), Denied> {
        self.decide(target, false).0
    }
}

/// The facts of a request, for an authorizer that outlives the borrow.
struct OwnedFacts {
    source_ip: std::net::IpAddr,
    secure_transport: bool,
    user_agent: String,
    referer: Option<String>,
    region: String,
    now: irsa_core::Timestamp,
}

impl OwnedFacts {
    fn of(facts: &RequestFacts<'_>) -> Self {
        Self {
            source_ip: facts.source_ip,
            secure_transport: facts.secure_transport,
            user_agent: facts.user_agent.to_owned(),
            referer: facts.referer.map(str::to_owned),
            region: facts.region.to_owned(),
            now: facts.now,
        }
    }

    fn borrow(&self) -> RequestFacts<'_> {
        RequestFacts {
            source_ip: self.source_ip,
            secure_transport: self.secure_transport,
            user_agent: &self.user_agent,
            referer: self.referer.as_deref(),
            region: &self.region,
            now: self.now,
        }
    }
}
