//! Our own calls, where AWS has none: accounts, and tokens of hosted issuers. REST-JSON, signed for the service `irsa`.

use irsa_core::AccountId;
use irsa_iam::{Caller, Target};
use irsa_oidc::{TokenObject, TokenRequest};
use irsa_wire::{Access, EventKind, OperationSpec, Service, WireError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::snapshot::Snapshot;

/// One call of an operation that exists.
#[derive(Debug)]
pub(crate) enum Call {
    /// Makes an account. Only the first account's principals may.
    CreateAccount { account: Option<AccountId>, name: String },
    /// The accounts of this server.
    ListAccounts,
    /// Kubernetes' TokenRequest for a service account of a cluster whose issuer we host.
    CreateToken { cluster: String, request: TokenRequest },
}

const fn row(name: &'static str, action: &'static str, read_only: bool) -> OperationSpec {
    OperationSpec {
        service: Service::Irsa,
        name,
        action,
        access: Access::Authorized,
        read_only,
        kind: EventKind::Management,
    }
}

static CREATE_ACCOUNT: OperationSpec = row("CreateAccount", "irsa:CreateAccount", false);
static LIST_ACCOUNTS: OperationSpec = row("ListAccounts", "irsa:ListAccounts", true);
static CREATE_TOKEN: OperationSpec = row("CreateServiceAccountToken", "irsa:CreateServiceAccountToken", true);

impl Call {
    pub(crate) fn new(method: &str, path: &str, body: &[u8]) -> Result<Self, WireError> {
        let invalid = |message: String| WireError::new("InvalidParameterException", 400, message);
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (method, segments.as_slice()) {
            ("POST", ["accounts"]) => {
                let NewAccount { account_id, name } = read(body)?;
                let account = account_id.map(|id| id.parse().map_err(|error| invalid(format!("{error}"))));
                let (account, name) = (account.transpose()?, name.unwrap_or_default());
                if name.chars().count() > 128 || name.chars().any(char::is_control) {
                    return Err(invalid(
                        "the name may have 128 characters and no control characters".to_owned(),
                    ));
                }
                Ok(Self::CreateAccount { account, name })
            }
            ("GET", ["accounts"]) => Ok(Self::ListAccounts),
            (
                "POST",
                [
                    "clusters",
                    cluster,
                    "namespaces",
                    namespace,
                    "serviceaccounts",
                    service_account,
                    "token",
                ],
            ) => Ok(Self::CreateToken {
                cluster: (*cluster).to_owned(),
                request: token_request(namespace, service_account, read(body)?),
            }),
            _ => Err(WireError::new(
                "UnknownOperationException",
                404,
                format!(
                    "There is no operation for {method} {}",
                    path.chars().take(256).collect::<String>()
                ),
            )),
        }
    }

    pub(crate) fn spec(&self) -> &'static OperationSpec {
        match self {
            Self::CreateAccount { .. } => &CREATE_ACCOUNT,
            Self::ListAccounts => &LIST_ACCOUNTS,
            Self::CreateToken { .. } => &CREATE_TOKEN,
        }
    }

    /// The questions for the policy engine.
    ///
    /// # Errors
    /// A caller of another account than the first asks about accounts: no policy of its own could allow that.
    pub(crate) fn targets(&self, snapshot: &Snapshot, caller: &Caller, region: &str) -> Result<Vec<Target>, WireError> {
        let action = self.spec().action;
        match self {
            Self::CreateAccount { .. } | Self::ListAccounts => {
                if snapshot.operator_account != Some(caller.account) {
                    let message = format!(
                        "User: {} is not authorized to perform: {action} on resource: * because only the first account of a server may",
                        caller.arn()
                    );
                    return Err(WireError::new("AccessDeniedException", 403, message));
                }
                Ok(vec![Target::new(action, "*", caller.account)])
            }
            Self::CreateToken { cluster, request } => {
                let resource = format!("arn:aws:eks:{region}:{}:cluster/{cluster}", caller.account);
                let target = Target::new(action, resource, caller.account)
                    .with("irsa:Namespace", request.namespace.as_str())
                    .with("irsa:ServiceAccount", request.service_account.as_str());
                Ok(vec![target])
            }
        }
    }

    pub(crate) fn request_parameters(&self) -> Value {
        match self {
            Self::CreateAccount { account, name } => {
                json!({ "accountId": account.map(|account| account.to_string()), "name": name })
            }
            Self::ListAccounts => json!({}),
            Self::CreateToken { cluster, request } => json!({
                "cluster": cluster,
                "namespace": request.namespace,
                "serviceAccount": request.service_account,
                "audiences": request.audiences,
                "expirationSeconds": request.expiration_seconds,
            }),
        }
    }
}

/// Reads a body: a member of a wrong type is an error, never absent.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, WireError> {
    let body = if body.is_empty() { b"{}" } else { body };
    // An array would be taken for the members in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        let message = "The body is not a JSON object";
        return Err(WireError::new("InvalidParameterException", 400, message));
    }
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("The body is not what this operation takes: {error}");
        WireError::new("InvalidParameterException", 400, message)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NewAccount {
    account_id: Option<String>,
    name: Option<String>,
}

/// A TokenRequest (authentication.k8s.io/v1) as clients send it; what else it holds means nothing here.
#[derive(Deserialize)]
struct TokenRequestBody {
    spec: Option<TokenRequestSpec>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenRequestSpec {
    audiences: Option<Vec<String>>,
    expiration_seconds: Option<i64>,
    bound_object_ref: Option<BoundObject>,
}

#[derive(Deserialize)]
struct BoundObject {
    kind: Option<String>,
    name: Option<String>,
    uid: Option<String>,
}

fn token_request(namespace: &str, service_account: &str, body: TokenRequestBody) -> TokenRequest {
    let spec = body.spec.unwrap_or_default();
    let pod = spec
        .bound_object_ref
        .filter(|bound| bound.kind.as_deref() == Some("Pod"));
    TokenRequest {
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
        pod: pod.and_then(|pod| {
            Some(TokenObject {
                name: pod.name?,
                uid: pod.uid,
            })
        }),
        audiences: spec.audiences.unwrap_or_default(),
        expiration_seconds: spec.expiration_seconds,
        ..TokenRequest::default()
    }
}
