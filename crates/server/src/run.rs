//! The middle of the pipeline: who calls, may they, and what comes of it.

use std::sync::Arc;

use irsa_core::Timestamp;
use irsa_credentials::SessionPrincipal;
use irsa_iam::{Authorization, Caller, Execution, Target, authorize};
use irsa_oidc::{NewIssuer, new_hosted_issuer};
use irsa_sigv4::{Presented, Rules, SigV4Error};
use irsa_store::{StoreError, Transaction};
use irsa_token::{Algorithm, SigningKey};
use irsa_wire::{Access, OperationSpec, Service, WireError};
use serde_json::json;

use crate::admin;
use crate::authenticate::{AuthenticationError, authenticate};
use crate::call::{Call, Done};
use crate::first_start::random_account;
use crate::pipeline::{Pipeline, RequestContext};
use crate::random::{SystemRandom, random};
use crate::snapshot::Snapshot;

/// How often a write is tried when others change the same records.
const ATTEMPTS: usize = 16;

/// Finds the caller of a signed operation; `None` for an anonymous one.
pub(crate) fn caller(
    pipeline: &Pipeline,
    context: &RequestContext<'_>,
    spec: &OperationSpec,
    presented: &Result<Option<Presented<'_>>, SigV4Error>,
    rules: &Rules,
    snapshot: &Snapshot,
    body_sha256: impl FnOnce() -> [u8; 32],
) -> Result<Option<Caller>, AuthenticationError> {
    if spec.access == Access::Anonymous {
        return Ok(None);
    }
    let presented = match presented {
        Ok(Some(presented)) => presented,
        Ok(None) => return Err(AuthenticationError::Missing),
        Err(error) => return Err(AuthenticationError::Signature(error.clone())),
    };
    let (caller, _) = authenticate(
        &pipeline.signing_keys,
        snapshot,
        presented,
        Some(body_sha256()),
        context.facts.now,
        rules,
    )?;
    // GetSessionToken's credentials without a second factor may not call IAM, and of STS only two operations.
    // https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
    let own_session = caller.session.as_deref().is_some_and(|session| {
        !session.mfa
            && matches!(
                session.principal,
                SessionPrincipal::User { .. } | SessionPrincipal::Root
            )
    });
    let allowed = match spec.service {
        Service::Iam => false,
        Service::Sts => matches!(spec.name, "AssumeRole" | "GetCallerIdentity" | "GetSessionToken"),
        _ => true,
    };
    if own_session && !allowed {
        return Err(AuthenticationError::ForeignToken(
            "a session of GetSessionToken without a second factor may not call this".to_owned(),
        ));
    }
    Ok(Some(caller))
}

/// Authorizes and runs a call. Where others change the same records at the same time, it is authorized and run again on what they left.
pub(crate) async fn run(
    pipeline: &Pipeline,
    context: &RequestContext<'_>,
    mut snapshot: Arc<Snapshot>,
    call: &Call,
    caller: Option<&Caller>,
) -> Done {
    if !pipeline.journal.healthy() && !call.spec().read_only {
        return Done::failed(WireError::internal(
            "the audit journal can't be written, so nothing is changed",
        ));
    }
    let mut new_issuer = None;
    for _ in 0..ATTEMPTS {
        let mut allowed_by = None;
        if let (Access::Authorized, Some(caller)) = (call.spec().access, caller) {
            match permit(&snapshot, context, call, caller) {
                Ok(statement) => allowed_by = statement,
                Err(refused) => return refused.into_done(),
            }
        }
        let attempt = match (call, caller) {
            (Call::Sts(call), caller) => Ok(sts(pipeline, context, &snapshot, call, caller).await),
            (Call::CloudTrail(call), Some(caller)) => Ok(call.run(pipeline, context, caller).await),
            (Call::Iam(call), Some(caller)) => iam(pipeline, context, &snapshot, call, caller).await,
            (Call::Eks(call), Some(caller)) => {
                if call.wants_issuer() && new_issuer.is_none() {
                    match make_issuer(pipeline, context, call, caller).await {
                        Ok(issuer) => new_issuer = Some(issuer),
                        Err(error) => return Done::failed(error),
                    }
                }
                eks(pipeline, context, &snapshot, call, caller, new_issuer.as_ref()).await
            }
            (Call::Irsa(call), Some(caller)) => Ok(irsa(pipeline, context, &snapshot, call, caller).await),
            (Call::Iam(_) | Call::Eks(_) | Call::Irsa(_) | Call::CloudTrail(_), None) => {
                Ok(Done::failed(WireError::internal("a signed operation has no caller")))
            }
        };
        match attempt {
            Ok(mut done) => {
                done.allowed_by = allowed_by;
                return done;
            }
            Err(Conflict) => snapshot = pipeline.keeper.snapshot(),
        }
    }
    let message = "The request was rejected because multiple requests to change this object were submitted simultaneously. Wait a few \
                   minutes and submit your request again.";
    match call.spec().service {
        Service::Eks => Done::failed(WireError::new("ResourceInUseException", 409, message)),
        _ => Done::failed(WireError::new("ConcurrentModification", 409, message)),
    }
}

/// Others changed what a transaction compares with: authorize and run again.
struct Conflict;

/// A call that may not run.
struct Refused {
    error: WireError,
    /// Why policy says no, sealed for those who may know.
    authorization_message: Option<String>,
}

impl Refused {
    fn into_done(self) -> Done {
        let mut done = Done::failed(self.error);
        done.authorization_message = self.authorization_message;
        done
    }
}

impl From<WireError> for Refused {
    fn from(error: WireError) -> Self {
        Self {
            error,
            authorization_message: None,
        }
    }
}

/// The authorization message about a refusal, for the header [`AUTHORIZATION_MESSAGE`](crate::pipeline::AUTHORIZATION_MESSAGE).
pub(crate) fn authorization_message(
    snapshot: &Snapshot,
    authorization: &Authorization,
    caller: &Caller,
    target: &Target,
    request_id: &str,
    now: Timestamp,
) -> Option<String> {
    let content = authorization.message(&snapshot.iam, caller, target, request_id, now)?;
    let epoch_keys = snapshot.epoch_keys.as_ref()?;
    // The refusal stands without its message.
    epoch_keys.seal_authorization_message(caller.account, &content).ok()
}

/// Asks the policy engine every question of a call. Gives the statement that allowed the first.
fn permit(
    snapshot: &Snapshot,
    context: &RequestContext<'_>,
    call: &Call,
    caller: &Caller,
) -> Result<Option<String>, Refused> {
    let targets = call.targets(snapshot, caller, context.facts.region)?;
    if targets.is_empty() {
        return Err(WireError::internal("the operation asks the policy engine nothing").into());
    }
    let mut statement = None;
    for target in &targets {
        let authorization = authorize(&snapshot.iam, caller, &context.facts, target, None);
        if let Some(mut refusal) = authorization.refusal(caller, target) {
            if matches!(call.spec().service, Service::Eks | Service::Irsa | Service::CloudTrail) {
                refusal.code = "AccessDeniedException".into();
            }
            let message =
                authorization_message(snapshot, &authorization, caller, target, context.id, context.facts.now);
            return Err(Refused {
                error: refusal,
                authorization_message: message,
            });
        }
        statement = statement.or_else(|| authorization.verdict.statement.as_ref().map(ToString::to_string));
    }
    Ok(statement)
}

async fn sts(
    pipeline: &Pipeline,
    context: &RequestContext<'_>,
    snapshot: &Snapshot,
    call: &irsa_sts::Call,
    caller: Option<&Caller>,
) -> Done {
    let Some(epoch_keys) = &snapshot.epoch_keys else {
        return Done::failed(WireError::internal("there are no epoch keys"));
    };
    let environment = irsa_sts::Environment {
        iam: &snapshot.iam,
        hosted: &snapshot.oidc,
        trusted: &pipeline.trusted,
        epoch_keys,
        facts: &context.facts,
        caller,
    };
    let exchange = call.run(&environment).await;
    let mut done = match exchange.outcome {
        Ok(answer) => {
            let mut done = Done::of(Ok(Some(answer.result)));
            done.response_elements = answer.response_elements;
            done
        }
        Err(error) => Done::failed(error.into()),
    };
    done.request_parameters = exchange.request_parameters;
    done.web_identity = exchange.web_identity;
    done.unverified_claims = exchange.unverified_claims;
    done.resources = exchange.resources;
    done.account = call.account();
    done
}

async fn iam(
    pipeline: &Pipeline,
    context: &RequestContext<'_>,
    snapshot: &Snapshot,
    call: &irsa_iam::Call,
    caller: &Caller,
) -> Result<Done, Conflict> {
    let url = call.params().get("Url");
    let hosted = url.is_some_and(|url| snapshot.oidc.hosted(url).is_some());
    let execution = Execution {
        state: &snapshot.iam,
        caller,
        now: context.facts.now,
        random: &SystemRandom,
        quotas: &pipeline.quotas,
        kek: pipeline.keeper.kek(),
        allow_issuer_ports: pipeline.config.allow_private_issuers || hosted,
    };
    let outcome = match call.run(&execution) {
        Ok(outcome) => outcome,
        Err(error) => return Ok(Done::failed(error.into())),
    };
    if let Err(error) = commit(pipeline, outcome.transaction).await {
        return error.into_result();
    }
    forget_issuer(pipeline, call, caller);
    let mut done = Done::of(Ok(outcome.answer.result));
    done.response_elements = outcome.answer.response_elements.map(|elements| elements.to_string());
    Ok(done)
}

/// What was fetched for a provider is not used for the provider as it is now.
fn forget_issuer(pipeline: &Pipeline, call: &irsa_iam::Call, caller: &Caller) {
    if call.spec().name.contains("OpenIDConnectProvider") && !call.spec().read_only {
        let arn = call.params().get("OpenIDConnectProviderArn").unwrap_or_default();
        if let Some((_, url)) = arn.split_once(":oidc-provider/") {
            pipeline.trusted.forget(caller.account, &format!("https://{url}"));
        }
    }
}

async fn eks(
    pipeline: &Pipeline,
    context: &RequestContext<'_>,
    snapshot: &Snapshot,
    call: &irsa_eks::Call,
    caller: &Caller,
    new_issuer: Option<&NewIssuer>,
) -> Result<Done, Conflict> {
    let execution = irsa_eks::Execution {
        state: &snapshot.eks,
        caller,
        region: context.facts.region,
        now: context.facts.now,
        new_issuer,
    };
    let outcome = match call.run(&execution) {
        Ok(outcome) => outcome,
        Err(error) => return Ok(Done::failed(error.into())),
    };
    let mut transaction = outcome.transaction;
    if let Some(issuer) = new_issuer {
        transaction = issuer.write_to(transaction);
    }
    if let Err(error) = commit(pipeline, transaction).await {
        return error.into_result();
    }
    let body = outcome.answer.body.to_string();
    let mut done = Done::of(Ok(Some(body.clone())));
    done.response_elements = (!call.spec().read_only).then_some(body);
    Ok(done)
}

/// Makes a key, which takes a while, and the issuer that signs with it.
async fn make_issuer(
    pipeline: &Pipeline,
    context: &RequestContext<'_>,
    call: &irsa_eks::Call,
    caller: &Caller,
) -> Result<NewIssuer, WireError> {
    let internal = |error: String| WireError::internal(error);
    let key = tokio::task::spawn_blocking(|| SigningKey::generate(Algorithm::Rs256)).await;
    let key = key
        .map_err(|error| internal(error.to_string()))?
        .map_err(|error| internal(error.to_string()))?;
    let cluster = format!(
        "arn:aws:eks:{}:{}:cluster/{}",
        context.facts.region,
        caller.account,
        call.cluster_name()
    );
    let (base, kek) = (&pipeline.issuer_base, pipeline.keeper.kek());
    new_hosted_issuer(base, &cluster, &key, kek, context.facts.now).map_err(|error| internal(error.to_string()))
}

async fn irsa(
    pipeline: &Pipeline,
    context: &RequestContext<'_>,
    snapshot: &Snapshot,
    call: &admin::Call,
    caller: &Caller,
) -> Done {
    match call {
        admin::Call::CreateAccount { account, name } => {
            let account = account.unwrap_or_else(random_account);
            let made = irsa_iam::new_account(account, name, context.facts.now, random(), pipeline.keeper.kek());
            let made = match made {
                Ok(made) => made,
                Err(error) => return Done::failed(WireError::internal(error.to_string())),
            };
            match commit(pipeline, made.transaction).await {
                Ok(()) => {}
                Err(CommitError::Conflict) => {
                    let message = format!("The account {account} exists already.");
                    return Done::failed(WireError::new("ResourceInUseException", 409, message));
                }
                Err(CommitError::Failed(error)) => return Done::failed(error),
            }
            let region = &pipeline.config.region;
            if let Err(error) =
                pipeline
                    .folder
                    .add_root_profile(account, &made.access_key_id, &made.secret_access_key, region, false)
            {
                tracing::warn!(%error, "the new account's key is not in the credentials file; it was answered to the caller all the same");
            }
            let body = json!({
                "account": { "id": account.to_string(), "name": name },
                "accessKey": { "accessKeyId": made.access_key_id.as_str(), "secretAccessKey": made.secret_access_key.expose() },
            });
            let mut done = Done::of(Ok(Some(body.to_string())));
            done.response_elements =
                Some(json!({ "account": { "id": account.to_string() }, "accessKey": { "accessKeyId": made.access_key_id.as_str() } }).to_string());
            done
        }
        admin::Call::ListAccounts => {
            let mut accounts: Vec<_> = snapshot
                .iam
                .accounts()
                .filter_map(|account| account.record.as_ref())
                .collect();
            accounts.sort_by(|one, other| one.id.cmp(&other.id));
            let accounts: Vec<_> = accounts
                .iter()
                .map(|account| json!({ "id": account.id, "name": account.name }))
                .collect();
            Done::of(Ok(Some(json!({ "accounts": accounts }).to_string())))
        }
        admin::Call::CreateToken { cluster, request } => {
            let found = snapshot.eks.cluster(caller.account, context.facts.region, cluster);
            let Some(found) = found else {
                let message = format!("No cluster found for name: {cluster}.");
                return Done::failed(WireError::new("ResourceNotFoundException", 404, message));
            };
            let issuer = found
                .record
                .hosted_issuer_id
                .as_deref()
                .and_then(|id| snapshot.oidc.by_id(id));
            let Some(issuer) = issuer else {
                let message = format!(
                    "The cluster {cluster} has an issuer of its own, {}: its tokens come from its own Kubernetes API.",
                    found.record.issuer
                );
                return Done::failed(WireError::new("InvalidRequestException", 400, message));
            };
            match issuer.issue(request, context.facts.now) {
                Ok(issued) => {
                    let body = json!({
                        "apiVersion": "authentication.k8s.io/v1",
                        "kind": "TokenRequest",
                        "status": { "token": issued.token, "expirationTimestamp": issued.expires_at.iso8601() },
                    });
                    let mut done = Done::of(Ok(Some(body.to_string())));
                    let elements =
                        json!({ "tokenId": issued.token_id, "expirationTimestamp": issued.expires_at.iso8601() });
                    done.response_elements = Some(elements.to_string());
                    done
                }
                Err(error) => Done::failed(WireError::new("InvalidParameterException", 400, error.to_string())),
            }
        }
    }
}

enum CommitError {
    /// Others were faster: run the operation again.
    Conflict,
    Failed(WireError),
}

impl CommitError {
    fn into_result(self) -> Result<Done, Conflict> {
        match self {
            Self::Conflict => Err(Conflict),
            Self::Failed(error) => Ok(Done::failed(error)),
        }
    }
}

async fn commit(pipeline: &Pipeline, transaction: Transaction) -> Result<(), CommitError> {
    if transaction.writes.is_empty() {
        return Ok(());
    }
    pipeline.keeper.commit(transaction).await.map_err(|error| match error {
        StoreError::Conflict => CommitError::Conflict,
        error => CommitError::Failed(WireError::internal(error.to_string())),
    })
}
