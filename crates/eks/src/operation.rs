//! EKS's operations: REST-JSON, one row a route.

use std::collections::BTreeMap;

use irsa_core::{AccountId, Arn, Timestamp};
use irsa_iam::{Caller, Tag, Target};
use irsa_oidc::{NewIssuer, ProviderUrl, given_keys_key, put_given_keys};
use irsa_store::Transaction;
use irsa_wire::{Access, EventKind, OperationSpec, Params, Service, WireError};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::cluster::ClusterRecord;
use crate::error::EksError;
use crate::input::{Input, check_tags};
use crate::state::{Cluster, State, key};

const MAX_CLUSTERS: usize = 1000;

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

impl Operation {
    fn creates(self) -> bool {
        matches!(self, Self::CreateCluster | Self::RegisterCluster)
    }

    /// Whether the call names its cluster by ARN.
    fn is_about_tags(self) -> bool {
        matches!(
            self,
            Self::TagResource | Self::UntagResource | Self::ListTagsForResource
        )
    }
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
    /// The URL of the issuer for which keys are given, in the form that is stored.
    given_keys_issuer: Option<ProviderUrl>,
}

impl Call {
    /// Finds the operation of a route. `path` and `query` are raw; an empty body counts as `{}`.
    ///
    /// # Errors
    /// A route that does not exist, or a body that is no JSON object.
    pub fn new(method: &str, path: &str, query: &str, body: &[u8]) -> Result<Self, WireError> {
        // The names and ARNs in a path are escaped as one segment each, so slashes are counted before they are decoded.
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let (operation, subject) = match (method, segments.as_slice()) {
            ("POST", ["clusters"]) => (Operation::CreateCluster, String::new()),
            ("GET", ["clusters"]) => (Operation::ListClusters, String::new()),
            ("GET", ["clusters", name]) => (Operation::DescribeCluster, decode(name)?),
            ("DELETE", ["clusters", name]) => (Operation::DeleteCluster, decode(name)?),
            ("POST", ["cluster-registrations"]) => (Operation::RegisterCluster, String::new()),
            ("DELETE", ["cluster-registrations", name]) => (Operation::DeregisterCluster, decode(name)?),
            // Some clients leave the slash of an ARN as it is.
            ("POST", ["tags", arn @ ..]) => (Operation::TagResource, decode(&arn.join("/"))?),
            ("DELETE", ["tags", arn @ ..]) => (Operation::UntagResource, decode(&arn.join("/"))?),
            ("GET", ["tags", arn @ ..]) => (Operation::ListTagsForResource, decode(&arn.join("/"))?),
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
        let mut call = Self {
            operation,
            subject,
            query: Params::parse(numbered(query).as_bytes())?,
            body,
            given_keys_issuer: None,
        };
        if operation.creates() {
            call.subject = call.input().cluster_name()?.to_owned();
            // An issuer that can't be read is an error of `run`, after the caller is known.
            let given = call.input().issuer().ok().flatten();
            call.given_keys_issuer = given.and_then(|given| given.keys.map(|_| given.url));
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
        let mut parameters = self.input().recorded();
        if !self.subject.is_empty() {
            let name = if self.operation.is_about_tags() {
                "resourceArn"
            } else {
                "name"
            };
            let subject: String = self.subject.chars().take(2048).collect();
            parameters.insert(name.to_owned(), subject.into());
        }
        if self.operation == Operation::UntagResource {
            parameters.insert("tagKeys".to_owned(), self.tag_keys().unwrap_or_default().into());
        }
        Value::Object(parameters)
    }

    /// Whether an issuer must be made for this call before it runs: it is a new cluster that brings none of its own.
    #[must_use]
    pub fn wants_issuer(&self) -> bool {
        self.operation.creates() && !self.input().brings_issuer()
    }

    /// The issuer for which the call brings keys: its URL as it is stored.
    #[must_use]
    pub fn given_keys_issuer(&self) -> Option<&str> {
        self.given_keys_issuer.as_ref().map(ProviderUrl::as_str)
    }

    /// The name of the cluster that the call is about, if it is about one.
    #[must_use]
    pub fn cluster_name(&self) -> &str {
        &self.subject
    }

    /// The questions to ask before [`Call::run`].
    ///
    /// Keys that are given decide whose tokens the account's roles believe, as a provider's thumbprints do. So they need the permission to change
    /// those of the issuer's provider as well: who may only create clusters must not become who may forge tokens.
    #[must_use]
    pub fn targets(&self, state: &State, account: AccountId, region: &str) -> Vec<Target> {
        let resource = match self.operation {
            Operation::ListClusters => "*".to_owned(),
            operation if operation.is_about_tags() => self.subject.clone(),
            _ => format!("arn:aws:eks:{region}:{account}:cluster/{}", self.subject),
        };
        let name = resource.rsplit('/').next().unwrap_or_default();
        let cluster = state
            .cluster(account, region, name)
            .filter(|cluster| cluster.record.arn() == resource);
        let mut target = Target::new(self.spec().action, resource.clone(), account);
        if let Some(cluster) = cluster {
            target = target.with_resource_tags("eks", &tags_of(&cluster.record.tags));
        }
        target = target.with_request_tags(&tags_of(&self.input().tags().unwrap_or_default()));
        let keys = self.tag_keys().unwrap_or_default();
        if !keys.is_empty() {
            target = target.with_list("aws:TagKeys", keys);
        }
        let mut targets = vec![target];
        if let Some(url) = &self.given_keys_issuer {
            let provider = format!("arn:aws:iam::{account}:oidc-provider/{}", url.resource());
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
        match self.operation {
            Operation::CreateCluster | Operation::RegisterCluster => self.create(execution),
            Operation::DescribeCluster => Ok(read(
                json!({ "cluster": find(execution, &self.subject)?.record.describe() }),
            )),
            Operation::ListClusters => self.list(execution).map(read),
            Operation::DeleteCluster | Operation::DeregisterCluster => self.delete(execution),
            Operation::ListTagsForResource => Ok(read(json!({ "tags": self.tagged(execution)?.record.tags }))),
            Operation::TagResource | Operation::UntagResource => self.tag(execution),
        }
    }

    fn create(&self, execution: &Execution<'_>) -> Result<Outcome, EksError> {
        let (state, account, region) = (execution.state, execution.caller.account, execution.region);
        // It becomes a part of the ARN, and comes from the request.
        if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(EksError::InvalidParameter(
                "The request is signed for no region".to_owned(),
            ));
        }
        if state.cluster(account, region, &self.subject).is_some() {
            return Err(EksError::ResourceInUse(format!(
                "Cluster already exists with name: {}",
                self.subject
            )));
        }
        if state.clusters(account, region).count() >= MAX_CLUSTERS {
            return Err(EksError::ResourceLimitExceeded(format!(
                "An account may have {MAX_CLUSTERS} clusters in a region."
            )));
        }
        let input = self.input();
        let given = input.issuer()?;
        let (issuer, hosted_issuer_id) = match (&given, execution.new_issuer) {
            (Some(given), _) => (given.url.as_str().to_owned(), None),
            (None, Some(issuer)) => (issuer.issuer_url().to_owned(), Some(issuer.id().to_owned())),
            (None, None) => {
                return Err(EksError::Internal("no issuer was made for the cluster".to_owned()));
            }
        };
        let given_keys = given.and_then(|given| Some((given.url, given.keys?)));
        let (connector_provider, connector_role) = input.connector()?;
        let record = ClusterRecord {
            name: self.subject.clone(),
            account: account.to_string(),
            region: region.to_owned(),
            created: execution.now.unix_millis(),
            version: input.text("version")?.map(str::to_owned),
            role_arn: input.text("roleArn")?.or(connector_role).map(str::to_owned),
            network: input.network()?,
            registered: self.operation == Operation::RegisterCluster,
            connector_provider: connector_provider.map(str::to_owned),
            issuer,
            hosted_issuer_id,
            keys_given: given_keys.is_some(),
            tags: input.tags()?,
        };
        let stored = key(account, region, &record.name);
        let mut transaction = Transaction::default()
            .when_absent(stored.clone())
            .put(stored, encode(&record)?);
        if let Some((url, keys)) = given_keys {
            let owner = state
                .clusters_everywhere(account)
                .find(|cluster| cluster.record.keys_given && cluster.record.issuer == url.as_str());
            if let Some(owner) = owner {
                return Err(EksError::ResourceInUse(format!(
                    "The keys of {} were given with the cluster {}",
                    url.as_str(),
                    owner.record.arn()
                )));
            }
            let unusable = |error| EksError::InvalidParameter(format!("oidc.keys can't be used: {error}"));
            transaction = transaction.when_absent(given_keys_key(account, url.as_str()));
            let keys = keys.to_string();
            transaction =
                put_given_keys(transaction, account, &url, keys.as_bytes(), execution.now).map_err(unusable)?;
        }
        Ok(Outcome {
            transaction,
            answer: Answer {
                body: json!({ "cluster": record.describe() }),
            },
        })
    }

    /// Deletes a cluster with what was made or given for it: its hosted issuer, or its issuer's keys. An IAM provider stays, as on AWS.
    fn delete(&self, execution: &Execution<'_>) -> Result<Outcome, EksError> {
        let account = execution.caller.account;
        let cluster = find(execution, &self.subject)?;
        if self.operation == Operation::DeregisterCluster && !cluster.record.registered {
            return Err(EksError::ResourceNotFound(format!(
                "No registered cluster found for name: {}.",
                self.subject
            )));
        }
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

    fn tag(&self, execution: &Execution<'_>) -> Result<Outcome, EksError> {
        let cluster = self.tagged(execution)?;
        let mut record = cluster.record.clone();
        if self.operation == Operation::TagResource {
            let tags = self.input().tags().map_err(bad_request)?;
            if tags.is_empty() {
                return Err(EksError::BadRequest("tags must have 1 to 50 members".to_owned()));
            }
            record.tags.extend(tags);
        } else {
            let keys = self.tag_keys()?;
            if keys.is_empty() {
                return Err(EksError::BadRequest("tagKeys must name 1 to 50 tags".to_owned()));
            }
            for key in keys {
                record.tags.remove(&key);
            }
        }
        check_tags(&record.tags).map_err(bad_request)?;
        let stored = key(execution.caller.account, execution.region, &record.name);
        let transaction = Transaction::default()
            .when_modified_at(stored.clone(), cluster.revision)
            .put(stored, encode(&record)?);
        Ok(Outcome {
            transaction,
            answer: Answer { body: json!({}) },
        })
    }

    /// The cluster of the ARN, which must agree in every character.
    fn tagged<'a>(&self, execution: &Execution<'a>) -> Result<&'a Cluster, EksError> {
        let arn: Arn = self
            .subject
            .parse()
            .map_err(|error| EksError::BadRequest(format!("{error}")))?;
        let name = arn.resource_of_kind("cluster").unwrap_or_default();
        let cluster = execution
            .state
            .cluster(execution.caller.account, execution.region, name)
            .filter(|cluster| cluster.record.arn() == self.subject);
        cluster
            .map(AsRef::as_ref)
            .ok_or_else(|| EksError::NotFound(format!("No resource found for arn: {}.", arn.as_str())))
    }

    fn tag_keys(&self) -> Result<Vec<String>, EksError> {
        let keys = self
            .query
            .strings("tagKeys")
            .map_err(|error| EksError::BadRequest(error.message))?;
        Ok(keys.unwrap_or_default().into_iter().flatten().collect())
    }

    fn input(&self) -> Input<'_> {
        Input::body(&self.body)
    }
}

/// `tagKeys` comes once a key, which a form of unique names can't hold: it is numbered as a list.
fn numbered(query: &str) -> String {
    let mut counter = 0_usize;
    let parts: Vec<String> = query
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
    parts.join("&")
}

fn decode(segment: &str) -> Result<String, EksError> {
    percent_decode_str(segment)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| EksError::InvalidParameter("the path is not UTF-8".to_owned()))
}

fn tags_of(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    let tag = |(key, value): (&String, &String)| Tag {
        key: key.clone(),
        value: value.clone(),
    };
    tags.iter().map(tag).collect()
}

fn find<'a>(execution: &Execution<'a>, name: &str) -> Result<&'a Cluster, EksError> {
    let cluster = execution
        .state
        .cluster(execution.caller.account, execution.region, name);
    cluster.map(AsRef::as_ref).ok_or_else(|| {
        let name: String = name.chars().take(256).collect();
        EksError::ResourceNotFound(format!("No cluster found for name: {name}."))
    })
}

/// The operations on tags have a name of their own for wrong input.
fn bad_request(error: EksError) -> EksError {
    match error {
        EksError::InvalidParameter(message) => EksError::BadRequest(message),
        error => error,
    }
}

fn encode(record: &ClusterRecord) -> Result<Vec<u8>, EksError> {
    serde_json::to_vec(record).map_err(|error| EksError::Internal(error.to_string()))
}
