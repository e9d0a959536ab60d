//! One step: its call, what the answer means, and whether it is tried again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use irsa_reconcile::actual::{Actual, KubernetesAccount, Role};
use irsa_reconcile::plan::{Action, Plan, Step};
use irsa_reconcile::{MANAGER, ServiceAccountName, is_same_trust};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{Event, Failure, Halt, Observer, RoleHead, StepResult, Target, TargetError, TargetErrorKind};

/// How long IAM may take until it knows everywhere what it has done. AWS names no bound; what is usual is a few seconds.
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>.
const SETTLING: Duration = Duration::from_secs(30);
/// How long a role may take to be known to a change when it is known to a read.
const CATCHING_UP: Duration = Duration::from_secs(5);
/// How many times a call is sent that the API server does not answer, or puts off.
const BUSY_TRIES: usize = 8;

/// What the steps of one plan share.
pub(crate) struct Context<'c, T> {
    target: &'c T,
    /// The roles that the plan was made of.
    roles: HashMap<&'c str, &'c Role>,
    /// The roles that this plan deletes.
    doomed: HashSet<&'c str>,
    /// Roles and providers that this run has made.
    made: Mutex<BTreeSet<String>>,
    /// Doomed roles that have been looked at.
    looked_at: Mutex<HashSet<String>>,
    /// The trust policies that this plan has replaced: a read may be that old.
    replaced: Mutex<HashMap<String, Vec<String>>>,
    pub(crate) halt: &'c watch::Sender<Option<Halt>>,
    pub(crate) observer: Observer<'c>,
}

impl<'c, T: Target> Context<'c, T> {
    pub(crate) fn new(
        target: &'c T,
        actual: &'c Actual,
        plan: &'c Plan,
        made: &BTreeSet<String>,
        halt: &'c watch::Sender<Option<Halt>>,
        observer: Observer<'c>,
    ) -> Self {
        let doomed = plan.steps.iter().filter_map(|step| match &step.action {
            Action::DeleteRole { role } => Some(role.as_str()),
            _ => None,
        });
        Self {
            target,
            roles: actual.roles.iter().map(|role| (role.name.as_str(), role)).collect(),
            doomed: doomed.collect(),
            made: Mutex::new(made.clone()),
            looked_at: Mutex::default(),
            replaced: Mutex::default(),
            halt,
            observer,
        }
    }

    /// The roles and providers that this run has made.
    pub(crate) fn made(&self) -> BTreeSet<String> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has_made(&self, name: &str) -> bool {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.contains(name)
    }

    fn has_been_made(&self, name: &str) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert(name.to_owned());
    }

    fn has_replaced(&self, role: &str, trust: &str) -> bool {
        let replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        let mut texts = replaced.get(role).into_iter().flatten();
        texts.any(|text| is_same_trust(text, trust))
    }

    fn has_been_replaced(&self, role: &str, trust: &str) {
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.entry(role.to_owned()).or_default().push(trust.to_owned());
    }

    /// Pauses, and answers whether to go on.
    async fn pause(&self, pause: Duration) -> bool {
        let mut halted = self.halt.subscribe();
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            _ = halted.wait_for(Option::is_some) => false,
        }
    }
}

/// The pause after so many tries: it doubles from the first to the longest, and up to half of it is left out at random.
pub(crate) fn pause(first: Duration, longest: Duration, tries: usize) -> Duration {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let whole = first.saturating_mul(1 << doublings).min(longest);
    // Keyed anew each time: random enough to spread calls.
    let thousandths = u32::try_from(RandomState::new().hash_one(tries) % 500).unwrap_or_default();
    whole - whole / 1000 * thousandths
}

/// What one try came to.
enum Tried {
    /// An end.
    End(StepResult),
    /// It did not work.
    Failed(TargetError),
    /// The state is another one than the plan's.
    Changed(String),
    /// Whoever is asked may be better off in a moment. So many tries make an end.
    Busy(TargetError),
    /// IAM may not know yet what was done a moment ago. After so long it does.
    Settling(Duration, TargetError),
}

const DONE: Tried = Tried::End(StepResult::Done);
const WAS_DONE: Tried = Tried::End(StepResult::WasDone);

/// Runs a step to its end.
pub(crate) async fn attempt<T: Target>(context: &Context<'_, T>, step: &Step) -> StepResult {
    let begun = Instant::now();
    let failed = |mut error: TargetError| {
        if error.kind == TargetErrorKind::Absent {
            error.help = error.help.or_else(|| named_policy(&step.action));
        }
        StepResult::Failed(Box::new(Failure {
            resource: step.resource(),
            action: step.action.to_string(),
            error,
        }))
    };
    for tries in 1.. {
        let tried = match once(context, &step.action).await {
            Ok(tried) => tried,
            Err(error) if error.kind == TargetErrorKind::Busy => Tried::Busy(error),
            Err(error) => Tried::Failed(error),
        };
        let (error, pause, is_over) = match tried {
            Tried::End(result) => return result,
            Tried::Failed(error) => return failed(error),
            Tried::Changed(why) => {
                tracing::debug!(step = %step.action, why, "the state is not the one that was planned for");
                return StepResult::Changed(why);
            }
            Tried::Busy(error) => {
                let pause = pause(Duration::from_millis(100), Duration::from_secs(5), tries);
                (error, pause, tries >= BUSY_TRIES)
            }
            Tried::Settling(bound, error) => {
                let pause = pause(Duration::from_millis(200), Duration::from_secs(4), tries);
                (error, pause, begun.elapsed() + pause > bound)
            }
        };
        if is_over {
            return failed(error);
        }
        tracing::debug!(step = %step.action, tries, ?pause, %error, "a step is tried again");
        (context.observer)(Event::Retrying {
            step,
            tries,
            pause,
            error: &error,
        });
        if !context.pause(pause).await {
            return failed(error);
        }
    }
    StepResult::NotStarted
}

/// How to find out about the policy that an action names, which is not there.
fn named_policy(action: &Action) -> Option<String> {
    let arn = match action {
        Action::AttachRolePolicy { arn, .. } | Action::PutBoundary { arn, .. } => arn,
        Action::CreateRole { boundary, .. } => boundary.as_ref()?,
        _ => return None,
    };
    Some(format!(
        "is it there? `aws iam get-policy --policy-arn {arn}`; then run the same command again"
    ))
}

/// One try.
async fn once<T: Target>(context: &Context<'_, T>, action: &Action) -> Result<Tried, TargetError> {
    match action {
        Action::CreateProvider { arn, client_ids, .. } => create_provider(context, action, arn, client_ids).await,
        Action::AddClientId { arn, .. } => match context.target.change(action).await {
            Err(error) if error.kind == TargetErrorKind::Absent => {
                Ok(Tried::Changed(format!("OIDC provider {arn} has gone")))
            }
            Err(error) if error.kind == TargetErrorKind::Present => Ok(WAS_DONE),
            answer => answer.map(|()| DONE),
        },
        Action::CreateRole {
            role,
            trust,
            boundary,
            tags,
            ..
        } => {
            let wanted = RoleHead {
                arn: String::new(),
                trust: trust.clone(),
                boundary: boundary.clone(),
                tags: tags.clone(),
            };
            create_role(context, action, role, &wanted).await
        }
        Action::UpdateTrust {
            role,
            trust,
            instead_of,
        } => update_trust(context, action, role, trust, instead_of).await,
        Action::TagRole { role, .. }
        | Action::PutRolePolicy { role, .. }
        | Action::AttachRolePolicy { role, .. }
        | Action::PutBoundary { role, .. } => match context.target.change(action).await {
            Err(error) if error.kind == TargetErrorKind::Absent => absent(context, role, error).await,
            answer => answer.map(|()| DONE),
        },
        Action::UntagRole { role, .. }
        | Action::DeleteRolePolicy { role, .. }
        | Action::DetachRolePolicy { role, .. }
        | Action::DeleteBoundary { role } => {
            if let Some(tried) = look_before(context, role, false).await? {
                return Ok(tried);
            }
            match context.target.change(action).await {
                Err(error) if error.kind == TargetErrorKind::Absent => Ok(WAS_DONE),
                answer => answer.map(|()| DONE),
            }
        }
        Action::DeleteRole { role } => delete_role(context, action, role).await,
        Action::CreateNamespace { .. } => match context.target.change(action).await {
            Err(error) if error.kind == TargetErrorKind::Present => Ok(WAS_DONE),
            answer => answer.map(|()| DONE),
        },
        Action::ApplyServiceAccount { cluster, name, uid, .. } => {
            apply(context, action, cluster, name, uid.as_deref()).await
        }
        Action::ReleaseServiceAccount { cluster, name, uid } => {
            // An apply of what is not there would make it.
            match context.target.service_account(cluster, name).await? {
                None => Ok(WAS_DONE),
                Some(_) => apply(context, action, cluster, name, Some(uid)).await,
            }
        }
        Action::DeleteServiceAccount { name, .. } => match context.target.change(action).await {
            Err(error) if error.kind == TargetErrorKind::Absent => Ok(WAS_DONE),
            Err(error) if error.kind == TargetErrorKind::Conflict => Ok(Tried::Changed(format!(
                "service account {name} has been deleted and made again"
            ))),
            answer => answer.map(|()| DONE),
        },
    }
}

async fn create_provider<T: Target>(
    context: &Context<'_, T>,
    action: &Action,
    arn: &str,
    client_ids: &[String],
) -> Result<Tried, TargetError> {
    match context.target.change(action).await {
        Ok(()) => {
            context.has_been_made(arn);
            Ok(DONE)
        }
        Err(error) if error.kind == TargetErrorKind::Present => match context.target.provider(arn).await? {
            Some(provider) if client_ids.iter().all(|id| provider.client_ids.contains(id)) => Ok(WAS_DONE),
            Some(_) => Ok(Tried::Changed(format!("OIDC provider {arn} has appeared"))),
            None => Ok(Tried::Settling(SETTLING, error)),
        },
        Err(error) => Err(error),
    }
}

async fn create_role<T: Target>(
    context: &Context<'_, T>,
    action: &Action,
    name: &str,
    wanted: &RoleHead,
) -> Result<Tried, TargetError> {
    let error = match context.target.change(action).await {
        Ok(()) => {
            context.has_been_made(name);
            return Ok(DONE);
        }
        Err(error) => error,
    };
    match error.kind {
        // The provider that it trusts may have been made a moment ago.
        TargetErrorKind::UnknownPrincipal => Ok(Tried::Settling(SETTLING, error)),
        // A call that was sent twice, another run, or somebody else.
        TargetErrorKind::Present => match context.target.role_head(name).await? {
            None => Ok(Tried::Settling(SETTLING, error)),
            Some(head) if !is_ours(&head.tags, &wanted.tags) => Ok(Tried::Failed(foreign(name, &head))),
            Some(head) => {
                context.has_been_made(name);
                let is_tagged = wanted.tags.iter().all(|(key, value)| head.tags.get(key) == Some(value));
                if is_same_trust(&head.trust, &wanted.trust) && head.boundary == wanted.boundary && is_tagged {
                    Ok(WAS_DONE)
                } else {
                    Ok(Tried::Changed(format!("role {name} has appeared")))
                }
            }
        },
        _ => Err(error),
    }
}

/// Whether the tags say that a role was made for whom it is to be made.
fn is_ours(tags: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    ["irsa/managed-by", "irsa/cluster", "irsa/namespace", "irsa/name"]
        .iter()
        .all(|key| tags.get(*key) == wanted.get(*key))
}

fn foreign(name: &str, head: &RoleHead) -> TargetError {
    let tag = |key: &str| head.tags.get(key).map_or("?", String::as_str);
    let message = if tag("irsa/managed-by") == MANAGER {
        format!(
            "role `{name}` has appeared meanwhile, made for {}/{} of cluster {}",
            tag("irsa/namespace"),
            tag("irsa/name"),
            tag("irsa/cluster")
        )
    } else {
        format!("role `{name}` has appeared meanwhile and was not made by irsa")
    };
    TargetError {
        kind: TargetErrorKind::Present,
        message,
        help: Some(
            "look at it with `irsa diff`; name another role, or take it with `--override-existing-serviceaccounts`"
                .to_owned(),
        ),
    }
}

/// A change says that something is not there: the role, or what it names.
async fn absent<T: Target>(context: &Context<'_, T>, role: &str, error: TargetError) -> Result<Tried, TargetError> {
    let is_new = context.has_made(role);
    Ok(match context.target.role_head(role).await? {
        // A change may know of a role later than a read.
        Some(_) if is_new => Tried::Settling(CATCHING_UP, error),
        Some(_) => Tried::Failed(error),
        None if is_new => Tried::Settling(SETTLING, error),
        None => Tried::Changed(format!("role {role} has gone")),
    })
}

async fn update_trust<T: Target>(
    context: &Context<'_, T>,
    action: &Action,
    name: &str,
    trust: &str,
    instead_of: &str,
) -> Result<Tried, TargetError> {
    let other = || Tried::Changed(format!("the trust policy of role {name} has changed"));
    match context.target.role_head(name).await? {
        None => return Ok(Tried::Changed(format!("role {name} has gone"))),
        Some(head) if is_same_trust(&head.trust, trust) => return Ok(WAS_DONE),
        Some(head) if context.has_replaced(name, &head.trust) => {
            let error = TargetError::new(TargetErrorKind::Conflict, "IAM still shows the trust policy of before");
            return Ok(Tried::Settling(SETTLING, error));
        }
        Some(head) if !is_same_trust(&head.trust, instead_of) => return Ok(other()),
        Some(_) => {}
    }
    match context.target.change(action).await {
        Ok(()) => {}
        Err(error) if error.kind == TargetErrorKind::UnknownPrincipal => return Ok(Tried::Settling(SETTLING, error)),
        Err(error) if error.kind == TargetErrorKind::Absent => {
            return Ok(Tried::Changed(format!("role {name} has gone")));
        }
        Err(error) => return Err(error),
    }
    // IAM has no compare-and-swap. Of two who write at once the one whose text does not stay merges anew.
    Ok(match context.target.role_head(name).await? {
        Some(head) if is_same_trust(&head.trust, trust) || is_same_trust(&head.trust, instead_of) => {
            context.has_been_replaced(name, instead_of);
            DONE
        }
        Some(_) => other(),
        None => Tried::Changed(format!("role {name} has gone")),
    })
}

/// Looks at a role that is to be deleted before anything of it goes: somebody may use it by now. Answers with an end, if
/// this is one.
async fn look_before<T: Target>(
    context: &Context<'_, T>,
    name: &str,
    again: bool,
) -> Result<Option<Tried>, TargetError> {
    if !context.doomed.contains(name) {
        return Ok(None);
    }
    let is_known = {
        let looked_at = context.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        looked_at.contains(name)
    };
    if is_known && !again {
        return Ok(None);
    }
    let Some(head) = context.target.role_head(name).await? else {
        return Ok(Some(WAS_DONE));
    };
    let is_as_planned = context.roles.get(name).is_some_and(|planned| {
        let is_whose = |tags: &BTreeMap<String, String>| -> Vec<(String, String)> {
            let ours = tags.iter().filter(|(key, _)| key.starts_with("irsa/"));
            ours.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        is_same_trust(&head.trust, &planned.trust) && is_whose(&head.tags) == is_whose(&planned.tags)
    });
    if !is_as_planned {
        let why = format!("role {name} is not what it was when its deletion was planned");
        return Ok(Some(Tried::Changed(why)));
    }
    let mut looked_at = context.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
    looked_at.insert(name.to_owned());
    Ok(None)
}

async fn delete_role<T: Target>(context: &Context<'_, T>, action: &Action, name: &str) -> Result<Tried, TargetError> {
    if let Some(tried) = look_before(context, name, true).await? {
        return Ok(tried);
    }
    let error = match context.target.change(action).await {
        Ok(()) => return Ok(DONE),
        Err(error) => error,
    };
    match error.kind {
        TargetErrorKind::Absent => Ok(WAS_DONE),
        // Policies that went a moment ago may still be counted; others may have come.
        TargetErrorKind::Conflict => Ok(match context.target.role(name).await? {
            None => WAS_DONE,
            Some(role) if role.attached.is_empty() && role.inline.is_empty() => Tried::Settling(CATCHING_UP, error),
            Some(_) => Tried::Changed(format!("role {name} has policies again")),
        }),
        _ => Err(error),
    }
}

/// Applies what is ours of a service account, if it is still the one that the plan was made for.
async fn apply<T: Target>(
    context: &Context<'_, T>,
    action: &Action,
    cluster: &str,
    name: &ServiceAccountName,
    uid: Option<&str>,
) -> Result<Tried, TargetError> {
    // A stranger's that has appeared would be taken over.
    if uid.is_none()
        && let Some(there) = context.target.service_account(cluster, name).await?
    {
        return Ok(if is_applied(action, &there) {
            WAS_DONE
        } else {
            Tried::Changed(format!("service account {name} has appeared"))
        });
    }
    let error = match context.target.change(action).await {
        Ok(()) => return Ok(DONE),
        Err(error) => error,
    };
    match error.kind {
        TargetErrorKind::Absent => Ok(Tried::Changed(format!("namespace {} has gone", name.namespace))),
        TargetErrorKind::Conflict => {
            let there = context.target.service_account(cluster, name).await?;
            Ok(if there.as_ref().map(|there| there.uid.as_str()) == uid {
                Tried::Busy(error)
            } else {
                Tried::Changed(format!("service account {name} has gone, or been made again"))
            })
        }
        _ => Err(error),
    }
}

/// Whether an account has what is applied, by us: another run was faster, or an answer was lost.
fn is_applied(action: &Action, there: &KubernetesAccount) -> bool {
    let Action::ApplyServiceAccount {
        labels, annotations, ..
    } = action
    else {
        return false;
    };
    let has = |is: &BTreeMap<String, String>, owned: &BTreeSet<String>, wanted: &BTreeMap<String, String>| {
        let mut wanted = wanted.iter();
        wanted.all(|(key, value)| is.get(key) == Some(value) && owned.contains(key))
    };
    has(&there.labels, &there.owned_labels, labels) && has(&there.annotations, &there.owned_annotations, annotations)
}
