//! What answers look like: one description of a shape, written as XML for the caller and as JSON for the audit record.
//!
//! Which members a call shows and which it leaves out differs from call to call; it is as recorded from AWS.

use irsa_wire::Xml;
use serde_json::{Map, Value};

use crate::managed::AwsManagedPolicy;
use crate::operation::common::{member, time};
use crate::operation::documents;
use crate::record::{AccessKeyRecord, InlinePolicy, PolicyRecord, PolicyVersion, RoleRecord, Tag, UserRecord};

/// One value of an answer.
pub(crate) enum Node {
    Text(String),
    /// Shown to the caller once, and never to the audit record.
    Secret(String),
    Number(i64),
    Boolean(bool),
    List(Vec<Node>),
    Map(Vec<(&'static str, i64)>),
    Words(Vec<(&'static str, &'static str)>),
    Members(Members),
}

/// A structure of an answer.
#[derive(Default)]
pub(crate) struct Members(Vec<(&'static str, Node)>);

impl Members {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with(mut self, name: &'static str, node: Node) -> Self {
        self.0.push((name, node));
        self
    }

    pub(crate) fn text(self, name: &'static str, text: impl Into<String>) -> Self {
        self.with(name, Node::Text(text.into()))
    }

    pub(crate) fn maybe(self, name: &'static str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    pub(crate) fn number(self, name: &'static str, number: impl Into<i64>) -> Self {
        self.with(name, Node::Number(number.into()))
    }

    pub(crate) fn count(self, name: &'static str, count: usize) -> Self {
        self.number(name, i64::try_from(count).unwrap_or(i64::MAX))
    }

    pub(crate) fn boolean(self, name: &'static str, boolean: bool) -> Self {
        self.with(name, Node::Boolean(boolean))
    }

    pub(crate) fn members(self, name: &'static str, members: Members) -> Self {
        self.with(name, Node::Members(members))
    }

    pub(crate) fn list(self, name: &'static str, members: impl IntoIterator<Item = Members>) -> Self {
        self.with(name, Node::List(members.into_iter().map(Node::Members).collect()))
    }

    pub(crate) fn texts<T: Into<String>>(self, name: &'static str, texts: impl IntoIterator<Item = T>) -> Self {
        self.with(
            name,
            Node::List(texts.into_iter().map(|text| Node::Text(text.into())).collect()),
        )
    }

    /// A map from words to words, present even when empty.
    pub(crate) fn words(self, name: &'static str, words: Vec<(&'static str, &'static str)>) -> Self {
        self.with(name, Node::Words(words))
    }

    pub(crate) fn tags(self, tags: &[Tag]) -> Self {
        self.list(
            "Tags",
            tags.iter().map(|tag| {
                Self::new()
                    .text("Key", tag.key.as_str())
                    .text("Value", tag.value.as_str())
            }),
        )
    }

    /// The end of a page. `IsTruncated` is always there.
    pub(crate) fn page(self, marker: Option<String>) -> Self {
        self.boolean("IsTruncated", marker.is_some())
            .maybe("Marker", marker.as_deref())
    }

    fn boundary(self, arn: Option<&str>) -> Self {
        match arn {
            Some(arn) => self.members(
                "PermissionsBoundary",
                Self::new()
                    .text("PermissionsBoundaryType", "Policy")
                    .text("PermissionsBoundaryArn", arn),
            ),
            None => self,
        }
    }

    /// The content of the result element.
    pub(crate) fn xml(&self) -> String {
        let mut xml = Xml::new();
        self.write(&mut xml);
        xml.finish()
    }

    fn write(&self, xml: &mut Xml) {
        for (name, node) in &self.0 {
            node.write(xml, name);
        }
    }

    /// The same for the audit record, without secrets.
    pub(crate) fn json(&self) -> Value {
        let shown = self.0.iter().filter(|(_, node)| !matches!(node, Node::Secret(_)));
        Value::Object(
            shown
                .map(|(name, node)| (member(name), node.json()))
                .collect::<Map<_, _>>(),
        )
    }
}

impl Node {
    fn write(&self, xml: &mut Xml, name: &str) {
        match self {
            Self::Text(text) | Self::Secret(text) => xml.text(name, text),
            Self::Number(number) => xml.value(name, number),
            Self::Boolean(boolean) => xml.value(name, boolean),
            Self::List(nodes) => xml.element(name, |xml| nodes.iter().for_each(|node| node.write(xml, "member"))),
            Self::Map(entries) => xml.element(name, |xml| {
                for (key, value) in entries {
                    xml.element("entry", |xml| {
                        xml.text("key", key).value("value", value);
                    });
                }
            }),
            Self::Words(entries) => xml.element(name, |xml| {
                for (key, value) in entries {
                    xml.element("entry", |xml| {
                        xml.text("key", key).text("value", value);
                    });
                }
            }),
            Self::Members(members) => xml.element(name, |xml| members.write(xml)),
        };
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Secret(_) => Value::Null,
            Self::Number(number) => Value::from(*number),
            Self::Boolean(boolean) => Value::from(*boolean),
            Self::List(nodes) => Value::Array(nodes.iter().map(Self::json).collect()),
            Self::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
                    .collect(),
            ),
            Self::Words(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
                    .collect(),
            ),
            Self::Members(members) => members.json(),
        }
    }
}

/// Which call shows a role.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RoleView {
    /// CreateRole: no description and no duration, even if they were sent.
    Created,
    /// GetRole: everything.
    Whole,
    /// ListRoles: no boundary, no tags, no last use.
    Listed,
    /// UpdateRoleDescription: the description and nothing else that may be changed.
    Described,
}

/// The `Role` of a call.
pub(crate) fn role(record: &RoleRecord, arn: &str, view: RoleView) -> Members {
    let role = Members::new()
        .text("Path", record.path.as_str())
        .text("RoleName", record.name.as_str())
        .text("RoleId", record.id.as_str())
        .text("Arn", arn)
        .text("CreateDate", time(record.created))
        .text("AssumeRolePolicyDocument", documents::encode(&record.trust_policy));
    let description = record.description.as_deref();
    let boundary = record.permissions_boundary.as_deref();
    match view {
        RoleView::Created => role.boundary(boundary).tags(&record.tags),
        RoleView::Whole => role
            .maybe("Description", description)
            .number("MaxSessionDuration", record.max_session_duration)
            .boundary(boundary)
            .tags(&record.tags)
            .members("RoleLastUsed", Members::new()),
        RoleView::Listed => role
            .maybe("Description", description)
            .number("MaxSessionDuration", record.max_session_duration),
        RoleView::Described => role.maybe("Description", description),
    }
}

/// The `RoleDetail` of GetAccountAuthorizationDetails.
pub(crate) fn role_detail(record: &RoleRecord, arn: &str) -> Members {
    Members::new()
        .text("Path", record.path.as_str())
        .text("RoleName", record.name.as_str())
        .text("RoleId", record.id.as_str())
        .text("Arn", arn)
        .text("CreateDate", time(record.created))
        .text("AssumeRolePolicyDocument", documents::encode(&record.trust_policy))
        .list("InstanceProfileList", [])
        .list("RolePolicyList", record.inline_policies.iter().map(inline_policy))
        .list(
            "AttachedManagedPolicies",
            record.attached_policies.iter().map(|arn| attached_policy(arn)),
        )
        .boundary(record.permissions_boundary.as_deref())
        .tags(&record.tags)
        .members("RoleLastUsed", Members::new())
}

/// Which call shows a user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum UserView {
    /// CreateUser and GetUser.
    Whole,
    /// ListUsers: no boundary and no tags.
    Listed,
}

/// The `User` of a call.
pub(crate) fn user(record: &UserRecord, arn: &str, view: UserView) -> Members {
    let user = Members::new()
        .text("Path", record.path.as_str())
        .text("UserName", record.name.as_str())
        .text("UserId", record.id.as_str())
        .text("Arn", arn)
        .text("CreateDate", time(record.created));
    match view {
        UserView::Whole => user.boundary(record.permissions_boundary.as_deref()).tags(&record.tags),
        UserView::Listed => user,
    }
}

/// The `UserDetail` of GetAccountAuthorizationDetails.
pub(crate) fn user_detail(record: &UserRecord, arn: &str) -> Members {
    user(record, arn, UserView::Listed)
        .list("UserPolicyList", record.inline_policies.iter().map(inline_policy))
        .list("GroupList", [])
        .list(
            "AttachedManagedPolicies",
            record.attached_policies.iter().map(|arn| attached_policy(arn)),
        )
        .boundary(record.permissions_boundary.as_deref())
        .tags(&record.tags)
}

fn inline_policy(policy: &InlinePolicy) -> Members {
    Members::new()
        .text("PolicyName", policy.name.as_str())
        .text("PolicyDocument", documents::encode(&policy.document))
}

/// The `AttachedPolicy` of an ARN.
pub(crate) fn attached_policy(arn: &str) -> Members {
    Members::new()
        .text("PolicyName", arn.rsplit('/').next().unwrap_or_default())
        .text("PolicyArn", arn)
}

/// Which call shows a managed policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PolicyView {
    /// CreatePolicy: no description.
    Created,
    /// GetPolicy: everything.
    Whole,
    /// ListPolicies and GetAccountAuthorizationDetails: no description, no tags.
    Listed,
}

/// How many entities use a policy: as permissions policy, and as permissions boundary.
pub(crate) type Uses = (usize, usize);

/// The `Policy` of a call for a customer's policy.
pub(crate) fn policy(record: &PolicyRecord, arn: &str, uses: Uses, view: PolicyView) -> Members {
    let policy = policy_head(
        [
            &record.name,
            &record.id,
            arn,
            &record.path,
            &format!("v{}", record.default_version),
        ],
        uses,
        [&time(record.created), &time(record.updated)],
    );
    match view {
        PolicyView::Created => policy.tags(&record.tags),
        PolicyView::Whole => policy
            .maybe("Description", record.description.as_deref())
            .tags(&record.tags),
        PolicyView::Listed => policy,
    }
}

/// The `Policy` of a call for one of AWS's policies.
pub(crate) fn aws_policy(policy: &AwsManagedPolicy, uses: Uses, view: PolicyView) -> Members {
    let head = policy_head(
        [policy.name, policy.id, &policy.arn(), policy.path, policy.version],
        uses,
        [policy.created, policy.updated],
    );
    match view {
        PolicyView::Created | PolicyView::Whole => head.text("Description", policy.description).tags(&[]),
        PolicyView::Listed => head,
    }
}

fn policy_head(
    [name, id, arn, path, version]: [&str; 5],
    (attached, boundary): Uses,
    [created, updated]: [&str; 2],
) -> Members {
    Members::new()
        .text("PolicyName", name)
        .text("PolicyId", id)
        .text("Arn", arn)
        .text("Path", path)
        .text("DefaultVersionId", version)
        .count("AttachmentCount", attached)
        .count("PermissionsBoundaryUsageCount", boundary)
        .boolean("IsAttachable", true)
        .text("CreateDate", created)
        .text("UpdateDate", updated)
}

/// The `PolicyVersion` of a call; only some show the document.
pub(crate) fn policy_version(version: &PolicyVersion, default: u32, with_document: bool) -> Members {
    let document = with_document.then_some(version.document.as_str());
    version_shape(
        document,
        &format!("v{}", version.number),
        version.number == default,
        &time(version.created),
    )
}

/// The one `PolicyVersion` of an AWS policy.
pub(crate) fn aws_policy_version(policy: &AwsManagedPolicy, with_document: bool) -> Members {
    version_shape(
        with_document.then_some(policy.document),
        policy.version,
        true,
        policy.updated,
    )
}

fn version_shape(document: Option<&str>, id: &str, is_default: bool, created: &str) -> Members {
    Members::new()
        .maybe("Document", document.map(documents::encode).as_deref())
        .text("VersionId", id)
        .boolean("IsDefaultVersion", is_default)
        .text("CreateDate", created)
}

/// An element of `AccessKeyMetadata`, and the public part of `AccessKey`. The root's keys have no user name.
pub(crate) fn access_key(record: &AccessKeyRecord) -> Members {
    Members::new()
        .maybe("UserName", record.user.as_deref())
        .text("AccessKeyId", record.id.as_str())
        .text("Status", record.status.as_str())
        .text("CreateDate", time(record.created))
}
