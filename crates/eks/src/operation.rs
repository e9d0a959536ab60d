//! EKS's operations: REST-JSON, one row a route.

use std::collections::BTreeMap;

use irsa_core::{AccountId, Arn, Timestamp};
use irsa_iam::{Caller, Target};
use irsa_oidc::{NewIssuer, ProviderUrl, given_keys_key, put_given_keys};
use irsa_store::Transaction;
use irsa_wire::{Access, EventKind, OperationSpec, Params, Service, WireError};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::cluster::ClusterRecord;
use crate::error::EksError;
use crate::state::{Cluster, State, key};

const MAX_CLUSTERS: usize = 1000;
const MAX_TAGS: usize = 50;

/// What an operation may know.
pub struct Execution<'a> {
    /// The clusters.
    pub state: &'a State,
    /// Who calls; already authorized.
    pub caller: &'a Caller,
    /// The region that the request was signed for.
    pub region: &'a str,
    /// The time of the call.
    pub now: Timestamp,
    /// An issuer made for this call, if [`Call::wants_issuer`] asked for one. Whoever commits the outcome adds the issuer's own writes.
    pub new_issuer: Option<&'a NewIssuer>,
}

/// The answer of an operation.
#[derive(Debug)]
pub struct Answer {
    /// The JSON body.
    pub body: Value,
}

/// The answer, and the change that makes it true. An empty transaction is a read.
pub struct Outcome {
    /// To be committed before the answer leaves.
    pub transaction: Transaction,
    /// The answer.
    pub answer: Answer,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    CreateCluster,
    RegisterCluster,
    DescribeCluster,
    ListClusters,
    DeleteCluster,
    DeregisterCluster,
    TagResource,
    UntagResource,
    ListTagsForResource,
}

const fn row(name: &'static str, action: &'static str, read_only: bool) -> OperationSpec {
    OperationSpec {
        service: Service::Eks,
        name,
        action,
        access: Access::Authorized,
        read_only,
        kind: EventKind::Management,
    }
}

/// The rows, in the order of [`Operation`].
pub static OPERATIONS: [OperationSpec; 9] = [
    row("CreateCluster", "eks:CreateCluster", false),
    row("RegisterCluster", "eks:RegisterCluster", false),
    row("DescribeCluster", "eks:DescribeCluster", true),
    row("ListClusters", "eks:ListClusters", true),
    row("DeleteCluster", "eks:DeleteCluster", false),
    row("DeregisterCluster", "eks:DeregisterCluster", false),
    row("TagResource", "eks:TagResource", false),
    row("UntagResource", "eks:UntagResource", false),
    row("ListTagsForResource", "eks:ListTagsForResource", true),
];

/// One call of an operation that exists.
#[derive(Debug)]
pub struct Call {
    operation: Operation,
    /// The cluster's name, or the ARN of a tagged resource.
    subject: String,
    query: Params,
    body: Map<String, Value>,
}

impl Call {
    /// Finds the operation of a route. `path` and `query` are raw; an empty body counts as `{}`.
    ///
    /// # Errors
    /// A route that does not exist, or a body that is no JSON object.
    pub fn new(method: &str, path: &str, query: &str, body: &[u8]) -> Result<Self, WireError> {
        let segments: Vec<String> = path
            .trim_start_matches('/')
            .splitn(2, '/')
            .map(|segment| percent_decode_str(segment).decode_utf8().map(|text| text.into_owned()))
            .collect::<Result<_, _>>()
            .map_err(|_| EksError::InvalidParameter("the path is not UTF-8".to_owned()))?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (operation, subject) = match (method, segments.as_slice()) {
            ("POST", ["clusters"]) => (Operation::CreateCluster, ""),
            ("GET", ["clusters"]) => (Operation::ListClusters, ""),
            ("GET", ["clusters", name]) if !name.contains('/') => (Operation::DescribeCluster, *name),
            ("DELETE", ["clusters", name]) if !name.contains('/') => (Operation::DeleteCluster, *name),
            ("POST", ["cluster-registrations"]) => (Operation::RegisterCluster, ""),
            ("DELETE", ["cluster-registrations", name]) if !name.contains('/') => (Operation::DeregisterCluster, *name),
            ("POST", ["tags", arn]) => (Operation::TagResource, *arn),
            ("DELETE", ["tags", arn]) => (Operation::UntagResource, *arn),
            ("GET", ["tags", arn]) => (Operation::ListTagsForResource, *arn),
            _ => {
                let path: String = path.chars().take(256).collect();
                return Err(EksError::UnknownOperation(format!("There is no operation for {method} {path}")).into());
            }
        };
        let body = match body {
            [] => Map::new(),
            body => serde_json::from_slice(body)
                .map_err(|error| EksError::InvalidParameter(format!("The body is not a JSON object: {error}")))?,
        };
        // `tagKeys` comes once a key, which a form of unique names can't hold: it is numbered as a list.
        let mut counter = 0_usize;
        let numbered: Vec<String> = query
            .split('&')
            .filter(|part| !part.is_empty())
            .map(|part| match part.strip_prefix("tagKeys=") {
                Some(value) => {
                    counter += 1;
                    format!("tagKeys.member.{counter}={value}")
                }
                None => part.to_owned(),
            })
            .collect();
        let query = Params::parse(numbered.join("&").as_bytes())?;
        let mut call = Self {
            operation,
            subject: subject.to_owned(),
            query,
            body,
        };
        if matches!(operation, Operation::CreateCluster | Operation::RegisterCluster) {
            call.subject = call.text("name").unwrap_or_default().to_owned();
            valid_name(&call.subject)?;
        }
        Ok(call)
    }

    /// Name, action, access.
    #[must_use]
    pub fn spec(&self) -> &'static OperationSpec {
        OPERATIONS.get(self.operation as usize).unwrap_or(&OPERATIONS[0])
    }

    /// CloudTrail's `requestParameters`.
    #[must_use]
    pub fn request_parameters(&self) -> Value {
        let mut parameters = self.body.clone();
        if !self.subject.is_empty() {
            let name = match self.operation {
                Operation::TagResource | Operation::UntagResource | Operation::ListTagsForResource => "resourceArn",
                _ => "name",
            };
            parameters.insert(name.to_owned(), self.subject.as_str().into());
        }
        Value::Object(parameters)
    }

    /// Whether an issuer must be made for this call before it runs: it is a new cluster that brings none of its own.
    #[must_use]
    pub fn wants_issuer(&self) -> bool {
        matches!(self.operation, Operation::CreateCluster | Operation::RegisterCluster)
            && !self.body.contains_key("oidc")
    }

    /// The issuer for which the call brings keys, as written.
    #[must_use]
    pub fn given_keys_issuer(&self) -> Option<&str> {
        let oidc = self.body.get("oidc")?;
        oidc.get("keys").filter(|keys| !keys.is_null())?;
        oidc.get("issuer")?.as_str()
    }

    /// The name of the cluster that the call is about, if it is about one.
    #[must_use]
    pub fn cluster_name(&self) -> &str {
        &self.subject
    }

    /// The questions to ask before [`Call::run`].
    #[must_use]
    pub fn targets(&self, state: &State, account: AccountId, region: &str) -> Vec<Target> {
        let spec = self.spec();
        let resource = match self.operation {
            Operation::ListClusters => "*".to_owned(),
            Operation::CreateCluster | Operation::RegisterCluster => "*".to_owned(),
            Operation::TagResource | Operation::UntagResource | Operation::ListTagsForResource => self.subject.clone(),
            _ => format!("arn:aws:eks:{region}:{account}:cluster/{}", self.subject),
        };
        let mut target = Target::new(spec.action, resource, account);
        let tags: Vec<irsa_iam::Tag> = self
            .tags()
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| irsa_iam::Tag { key, value })
            .collect();
        target = target.with_request_tags(&tags);
        if let Some(cluster) = state.cluster(account, region, self.subject.rsplit('/').next().unwrap_or_default()) {
            for (key, value) in &cluster.record.tags {
                target = target.with(format!("aws:ResourceTag/{key}"), value.as_str());
            }
        }
        let mut targets = vec![target];
        // Keys for an issuer decide which tokens count, in the whole account: as much as changing what its provider trusts.
        if let Some(url) = self
            .given_keys_issuer()
            .and_then(|issuer| issuer.strip_prefix("https://"))
        {
            let provider = format!("arn:aws:iam::{account}:oidc-provider/{url}");
            targets.push(Target::new(
                "iam:UpdateOpenIDConnectProviderThumbprint",
                provider,
                account,
            ));
        }
        targets
    }

    /// Runs the operation on a state.
    ///
    /// # Errors
    /// Whatever AWS would say.
    pub fn run(&self, execution: &Execution<'_>) -> Result<Outcome, EksError> {
        let read = |body: Value| Outcome {
            transaction: Transaction::default(),
            answer: Answer { body },
        };
        let account = execution.caller.account;
        match self.operation {
            Operation::CreateCluster | Operation::RegisterCluster => self.create(execution),
            Operation::DescribeCluster => Ok(read(
                json!({ "cluster": find(execution, &self.subject)?.record.describe() }),
            )),
            Operation::ListClusters => self.list(execution).map(read),
            Operation::DeleteCluster | Operation::DeregisterCluster => {
                let cluster = find(execution, &self.subject)?;
                let record = key(account, execution.region, &cluster.record.name);
                let mut transaction = Transaction::default()
                    .when_modified_at(record.clone(), cluster.revision)
                    .delete(record);
                if let Some(id) = &cluster.record.hosted_issuer_id {
                    transaction = transaction.delete(irsa_oidc::issuer_key(id));
                }
                if cluster.record.keys_given {
                    transaction = transaction.delete(given_keys_key(account, &cluster.record.issuer));
                }
                let mut described = cluster.record.describe();
                if let Some(status) = described.get_mut("status") {
                    *status = "DELETING".into();
                }
                Ok(Outcome {
                    transaction,
                    answer: Answer {
                        body: json!({ "cluster": described }),
                    },
                })
            }
            Operation::TagResource | Operation::UntagResource | Operation::ListTagsForResource => {
                let arn: Arn = self
                    .subject
                    .parse()
                    .map_err(|error| EksError::InvalidParameter(format!("{error}")))?;
                let name = arn.resource_of_kind("cluster").unwrap_or_default();
                let cluster = find(execution, name)?;
                if cluster.record.arn() != self.subject {
                    return Err(not_found(name));
                }
                if self.operation == Operation::ListTagsForResource {
                    return Ok(read(json!({ "tags": cluster.record.tags })));
                }
                let mut record = cluster.record.clone();
                if self.operation == Operation::TagResource {
                    record.tags.extend(self.tags()?);
                } else {
                    let keys = self
                        .query
                        .strings("tagKeys")
                        .map_err(|error| EksError::InvalidParameter(error.message))?;
                    for key in keys.unwrap_or_default().into_iter().flatten() {
                        record.tags.remove(&key);
                    }
                }
                check_tags(&record.tags)?;
                let stored = key(account, execution.region, &record.name);
                let transaction = Transaction::default()
                    .when_modified_at(stored.clone(), cluster.revision)
                    .put(stored, encode(&record)?);
                Ok(Outcome {
                    transaction,
                    answer: Answer { body: json!({}) },
                })
            }
        }
    }

    fn create(&self, execution: &Execution<'_>) -> Result<Outcome, EksError> {
        let account = execution.caller.account;
        if execution
            .state
            .cluster(account, execution.region, &self.subject)
            .is_some()
        {
            return Err(EksError::ResourceInUse(format!(
                "Cluster already exists with name: {}",
                self.subject
            )));
        }
        if execution.state.clusters(account, execution.region).count() >= MAX_CLUSTERS {
            return Err(EksError::ResourceLimitExceeded(format!(
                "An account may have {MAX_CLUSTERS} clusters in a region."
            )));
        }
        let tags = self.tags()?;
        check_tags(&tags)?;
        let (issuer, hosted_issuer_id, keys) = match self.body.get("oidc") {
            Some(oidc) => {
                let (issuer, keys) = given_issuer(oidc)?;
                (issuer.as_str().to_owned(), None, keys.map(|keys| (issuer, keys)))
            }
            None => {
                let issuer = execution
                    .new_issuer
                    .ok_or_else(|| EksError::Internal("no issuer was made for the cluster".to_owned()))?;
                (issuer.issuer_url().to_owned(), Some(issuer.id().to_owned()), None)
            }
        };
        let connector = self.body.get("connectorConfig");
        let role_arn = self.text("roleArn").or_else(|| connector?.get("roleArn")?.as_str());
        let record = ClusterRecord {
            name: self.subject.clone(),
            account: account.to_string(),
            region: execution.region.to_owned(),
            created: execution.now.unix_millis(),
            version: self.text("version").map(str::to_owned),
            role_arn: role_arn.map(str::to_owned),
            network: self.body.get("resourcesVpcConfig").cloned(),
            connector_provider: connector
                .and_then(|connector| connector.get("provider")?.as_str())
                .map(str::to_owned),
            issuer,
            hosted_issuer_id,
            keys_given: keys.is_some(),
            tags,
        };
        let stored = key(account, execution.region, &record.name);
        let mut transaction = Transaction::default()
            .when_absent(stored.clone())
            .put(stored, encode(&record)?);
        if let Some((issuer, keys)) = keys {
            transaction = transaction.when_absent(given_keys_key(account, issuer.as_str()));
            transaction = put_given_keys(
                transaction,
                account,
                &issuer,
                keys.to_string().as_bytes(),
                execution.now,
            )
            .map_err(|error| EksError::InvalidParameter(format!("oidc.keys can't be used: {error}")))?;
        }
        Ok(Outcome {
            transaction,
            answer: Answer {
                body: json!({ "cluster": record.describe() }),
            },
        })
    }

    fn list(&self, execution: &Execution<'_>) -> Result<Value, EksError> {
        let size = match self
            .query
            .integer("maxResults")
            .map_err(|error| EksError::InvalidParameter(error.message))?
        {
            None => 100,
            Some(size @ 1..=100) => usize::try_from(size).unwrap_or(100),
            Some(size) => {
                return Err(EksError::InvalidParameter(format!(
                    "maxResults must be between 1 and 100, not {size}"
                )));
            }
        };
        // The token is the last name of the page before: it tells a caller nothing that the page did not.
        let after = self.query.get("nextToken").unwrap_or_default();
        let mut names = execution
            .state
            .clusters(execution.caller.account, execution.region)
            .map(|cluster| cluster.record.name.as_str());
        let page: Vec<&str> = names.by_ref().filter(|name| *name > after).take(size).collect();
        let more = names.next().is_some();
        let mut body = json!({ "clusters": page });
        if let (true, Some(last), Value::Object(members)) = (more, page.last(), &mut body) {
            members.insert("nextToken".to_owned(), (*last).into());
        }
        Ok(body)
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.body.get(member)?.as_str()
    }

    fn tags(&self) -> Result<BTreeMap<String, String>, EksError> {
        let tags = match self.body.get("tags") {
            None | Some(Value::Null) => return Ok(BTreeMap::new()),
            Some(Value::Object(tags)) => tags,
            Some(_) => {
                return Err(EksError::InvalidParameter(
                    "tags must be an object of strings".to_owned(),
                ));
            }
        };
        tags.iter()
            .map(|(key, value)| match value {
                Value::String(value) => Ok((key.clone(), value.clone())),
                _ => Err(EksError::InvalidParameter(format!("the tag {key} must be a string"))),
            })
            .collect()
    }
}

/// The issuer that a cluster brings, and its keys if it brings those too. Ports are allowed here: whether one is fetched from is decided when
/// a provider is made.
fn given_issuer(oidc: &Value) -> Result<(ProviderUrl, Option<Value>), EksError> {
    let issuer = oidc.get("issuer").and_then(Value::as_str).unwrap_or_default();
    let issuer = ProviderUrl::parse(issuer, true)
        .map_err(|error| EksError::InvalidParameter(format!("oidc.issuer can't be used: {error}")))?;
    Ok((issuer, oidc.get("keys").filter(|keys| !keys.is_null()).cloned()))
}

fn find<'a>(execution: &Execution<'a>, name: &str) -> Result<&'a Cluster, EksError> {
    let cluster = execution
        .state
        .cluster(execution.caller.account, execution.region, name);
    cluster.map(AsRef::as_ref).ok_or_else(|| not_found(name))
}

fn not_found(name: &str) -> EksError {
    EksError::ResourceNotFound(format!("No cluster found for name: {name}."))
}

fn valid_name(name: &str) -> Result<(), EksError> {
    let mut characters = name.chars();
    let first = characters
        .next()
        .is_some_and(|character| character.is_ascii_alphanumeric());
    if name.len() <= 100
        && first
        && characters.all(|character| character.is_ascii_alphanumeric() || "-_".contains(character))
    {
        return Ok(());
    }
    Err(EksError::InvalidParameter(
        "The cluster name must begin with a letter or a digit and have 1 to 100 letters, digits, hyphens and underscores".to_owned(),
    ))
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), EksError> {
    let fits = |(key, value): (&String, &String)| {
        (1..=128).contains(&key.chars().count())
            && value.chars().count() <= 256
            && !key.to_ascii_lowercase().starts_with("aws:")
    };
    if tags.len() > MAX_TAGS || !tags.iter().all(fits) {
        return Err(EksError::InvalidParameter(
            "A resource may have 50 tags with keys of 1 to 128 characters that do not begin with aws: and values of up to 256".to_owned(),
        ));
    }
    Ok(())
}

fn encode(record: &ClusterRecord) -> Result<Vec<u8>, EksError> {
    serde_json::to_vec(record).map_err(|error| EksError::Internal(error.to_string()))
}
