//! Why a caller was denied, in the form that goes into an authorization message and comes out of `DecodeAuthorizationMessage`.
//!
//! The decoded text has the members that AWS's has, and one of our own, `irsa`. Nothing in it is a secret: neither keys nor tokens are
//! condition keys, and of a referring page only the address counts, since its query may hold a presigned URL's.
//!
//! See <https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html>.

use irsa_core::Timestamp;
use irsa_policy::syntax::{Document, Text};
use irsa_policy::{Context, Decision, Layer, StatementRef, Values};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::authorize::{Authorization, Target};
use crate::caller::{Caller, Identity};
use crate::managed::AwsManagedPolicy;
use crate::record::InlinePolicy;
use crate::state::{Account, State};

/// The greatest content in bytes. Sealed and encoded it stays below 3 KiB, so that the whole head of an answer fits the 4 KiB which
/// proxies commonly give it.
const MAX_CONTENT: usize = 2048;
/// The greatest part of one text.
const MAX_TEXT: usize = 256;
/// The same for the resource: an object's key may have 1024 bytes.
const MAX_RESOURCE: usize = 1100;

/// The content of an authorization message.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub struct AuthorizationMessage<'a> {
    request_id: &'a str,
    /// Milliseconds since the epoch.
    time: i64,
    explicit_deny: bool,
    /// What decided, such as `identity-based policy`.
    layer: &'a str,
    reason: &'a str,
    #[serde(borrow)]
    statement: Option<DenyStatement<'a>>,
    principal_id: &'a str,
    /// Users only.
    principal_name: Option<&'a str>,
    principal_arn: &'a str,
    action: &'a str,
    resource: &'a str,
    #[serde(borrow)]
    conditions: Vec<(&'a str, Vec<&'a str>)>,
    /// The statement that would have allowed it but for one part, and that part.
    nearest: Option<&'a str>,
    /// Whether something had no room.
    cut: bool,
}

/// The statement that denied.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct DenyStatement<'a> {
    policy: &'a str,
    index: u32,
    line: u32,
    column: u32,
    sid: &'a str,
    /// The unique id of the user or role that the policy speaks about.
    principal: &'a str,
    #[serde(borrow)]
    actions: Vec<&'a str>,
    #[serde(borrow)]
    resources: Vec<&'a str>,
    #[serde(borrow)]
    conditions: Vec<(&'a str, Vec<&'a str>)>,
}

impl Authorization {
    /// The content of the authorization message about this refusal; `None` if the request is allowed.
    ///
    /// The message is for the administrators of the caller's account, so there is none about a resource of another: its owner and its tags are
    /// condition keys.
    #[must_use]
    pub fn message(
        &self,
        state: &State,
        caller: &Caller,
        target: &Target,
        request_id: &str,
        now: Timestamp,
    ) -> Option<Vec<u8>> {
        let context = self.context.as_deref()?;
        let layer = self.verdict.layer.unwrap_or(Layer::Identity);
        if self.is_allowed() || target.resource_account != caller.account {
            return None;
        }
        let reason = self.verdict.reason(&target.action);
        let layer = layer.to_string();
        let nearest = self.explanation.as_ref().and_then(|explanation| {
            explanation
                .nearest_miss()
                .map(|(trace, miss)| format!("{}: {miss}", trace.statement))
        });
        let statement = self.verdict.statement.as_ref();
        let text = statement.and_then(|statement| document_of(state, caller, statement.label()));
        let document = text.and_then(|text| Document::parse(text).ok());
        let mut room = Room {
            left: MAX_CONTENT,
            cut: false,
        };
        let (name, holder) = match &caller.identity {
            Identity::Root => (None, caller.user_id()),
            Identity::User(user) => (Some(user.record.name.as_str()), user.record.id.as_str()),
            Identity::Role(role) => (None, role.record.id.as_str()),
        };
        let mut message = AuthorizationMessage {
            request_id: room.take(request_id, 64),
            time: now.unix_millis(),
            explicit_deny: self.verdict.decision == Decision::ExplicitlyDenied,
            layer: room.take(&layer, MAX_TEXT),
            reason: room.take(&reason, MAX_TEXT),
            statement: None,
            principal_id: room.take(caller.user_id(), MAX_TEXT),
            principal_name: name.map(|name| room.take(name, MAX_TEXT)),
            principal_arn: room.take(caller.arn(), 2 * MAX_TEXT),
            action: room.take(&target.action, MAX_TEXT),
            resource: room.take(&target.resource, MAX_RESOURCE.min(room.left)),
            conditions: Vec::new(),
            nearest: None,
            cut: false,
        };
        if let Some(statement) = statement {
            message.statement = deny_statement(&mut room, statement, holder, document.as_ref());
        }
        message.conditions = conditions(&mut room, context, target);
        message.nearest = nearest.as_deref().map(|nearest| room.take(nearest, 2 * MAX_TEXT));
        message.cut = room.cut;
        postcard::to_allocvec(&message).ok()
    }
}

impl<'a> AuthorizationMessage<'a> {
    /// Reads what [`Authorization::message`] made; padding may follow. `None` for anything else.
    #[must_use]
    pub fn read(content: &'a [u8]) -> Option<Self> {
        let (message, padding) = postcard::take_from_bytes(content).ok()?;
        padding.iter().all(|byte| *byte == 0).then_some(message)
    }

    /// The text that `DecodeAuthorizationMessage` answers.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let matched: Vec<Json> = self
            .statement
            .iter()
            .map(|statement| {
                json!({
                    "statementId": statement.sid,
                    "effect": "DENY",
                    "principals": values(&[statement.principal]),
                    "principalGroups": items(Vec::new()),
                    "actions": values(&statement.actions),
                    "resources": values(&statement.resources),
                    "conditions": keys_and_values(&statement.conditions),
                })
            })
            .collect();
        let mut principal = json!({ "id": self.principal_id });
        if let (Some(name), Some(members)) = (self.principal_name, principal.as_object_mut()) {
            members.insert("name".to_owned(), name.into());
        }
        if let Some(members) = principal.as_object_mut() {
            members.insert("arn".to_owned(), self.principal_arn.into());
        }
        let mut own = json!({
            "requestId": self.request_id,
            "time": Timestamp::from_unix_millis(self.time).iso8601(),
            "layer": self.layer,
            "reason": self.reason,
        });
        if let Some(members) = own.as_object_mut() {
            if let Some(statement) = &self.statement {
                let place = json!({
                    "policy": statement.policy,
                    "index": statement.index,
                    "line": statement.line,
                    "column": statement.column,
                });
                members.insert("statement".to_owned(), place);
            }
            if let Some(nearest) = self.nearest {
                members.insert("nearestMiss".to_owned(), nearest.into());
            }
            if self.cut {
                members.insert("truncated".to_owned(), true.into());
            }
        }
        json!({
            "allowed": false,
            "explicitDeny": self.explicit_deny,
            "matchedStatements": items(matched),
            "failures": items(Vec::new()),
            "context": {
                "principal": principal,
                "action": self.action,
                "resource": self.resource,
                "conditions": keys_and_values(&self.conditions),
            },
            "irsa": own,
        })
    }
}

fn items(items: Vec<Json>) -> Json {
    json!({ "items": items })
}

fn values(texts: &[&str]) -> Json {
    items(texts.iter().map(|text| json!({ "value": text })).collect())
}

fn keys_and_values(conditions: &[(&str, Vec<&str>)]) -> Json {
    let item = |(key, texts): &(&str, Vec<&str>)| json!({ "key": key, "values": values(texts) });
    items(conditions.iter().map(item).collect())
}

/// What is left for the texts of a message.
struct Room {
    left: usize,
    cut: bool,
}

impl Room {
    /// What an element costs beside its text: two lengths, of itself and of a list.
    const OVERHEAD: usize = 4;

    /// The beginning of a text, as much of it as there is room for.
    fn take<'t>(&mut self, text: &'t str, most: usize) -> &'t str {
        let most = most.min(self.left.saturating_sub(Self::OVERHEAD));
        let end = text.floor_char_boundary(most);
        let taken = text.get(..end).unwrap_or_default();
        self.cut |= taken.len() < text.len();
        self.left = self.left.saturating_sub(taken.len().saturating_add(Self::OVERHEAD));
        taken
    }

    /// A key with its values; nothing if there is no room for at least a part of every one.
    fn entry<'t>(
        &mut self,
        key: &'t str,
        values: impl Iterator<Item = &'t str> + Clone,
    ) -> Option<(&'t str, Vec<&'t str>)> {
        let wanted = values
            .clone()
            .map(|value| value.len().min(MAX_TEXT).saturating_add(Self::OVERHEAD))
            .sum::<usize>()
            .saturating_add(key.len().min(MAX_TEXT).saturating_add(2 * Self::OVERHEAD));
        if wanted > self.left {
            self.cut = true;
            return None;
        }
        let key = self.take(key, MAX_TEXT);
        Some((key, values.map(|value| self.take(value, MAX_TEXT)).collect()))
    }

    /// The elements of a list, as many as fit.
    fn list<'t>(&mut self, texts: &'t [Text<'_>]) -> Vec<&'t str> {
        let mut taken = Vec::new();
        for text in texts {
            if text.len().min(MAX_TEXT).saturating_add(Self::OVERHEAD) > self.left {
                self.cut = true;
                break;
            }
            taken.push(self.take(text, MAX_TEXT));
        }
        taken
    }
}

/// The request's condition keys: those of the operation first, since they tell more than those that every request has.
fn conditions<'c>(room: &mut Room, context: &'c Context, target: &Target) -> Vec<(&'c str, Vec<&'c str>)> {
    let special = |key: &str| target.context.iter().any(|(known, _)| known.eq_ignore_ascii_case(key));
    let (first, rest): (Vec<_>, Vec<_>) = context.iter().partition(|(key, _)| special(key));
    let mut taken = Vec::new();
    for (key, values) in first.into_iter().chain(rest) {
        let entry = match values {
            Values::Absent => None,
            Values::Single(value) => room.entry(key, std::iter::once(shown(key, value))),
            Values::List(values) => {
                let values: Vec<&str> = values.iter().map(|value| shown(key, value)).collect();
                room.entry(key, values.iter().copied())
            }
        };
        taken.extend(entry);
    }
    taken
}

/// A value as others may see it.
fn shown<'v>(key: &str, value: &'v str) -> &'v str {
    if key.eq_ignore_ascii_case("aws:referer") {
        value.split(['?', '#']).next().unwrap_or_default()
    } else {
        value
    }
}

fn deny_statement<'s>(
    room: &mut Room,
    statement: &'s StatementRef,
    holder: &'s str,
    document: Option<&'s Document<'_>>,
) -> Option<DenyStatement<'s>> {
    let written = document.and_then(|document| document.statements.get(statement.index()));
    let mut deny = DenyStatement {
        policy: room.take(statement.label(), MAX_TEXT),
        index: u32::try_from(statement.index()).ok()?,
        line: statement.line(),
        column: statement.column(),
        sid: room.take(statement.sid().unwrap_or_default(), MAX_TEXT),
        principal: room.take(holder, MAX_TEXT),
        actions: Vec::new(),
        resources: Vec::new(),
        conditions: Vec::new(),
    };
    // A statement may be as long as its policy; the request's own keys need room too.
    let mut part = Room {
        left: room.left / 2,
        cut: false,
    };
    let whole = part.left;
    if let Some(written) = written {
        if let Some(actions) = &written.action {
            deny.actions = part.list(&actions.value);
        }
        if let Some(resources) = &written.resource {
            deny.resources = part.list(&resources.value);
        }
        for condition in written.conditions.iter().flatten() {
            let values = condition.values.iter().map(|value| &**value);
            deny.conditions.extend(part.entry(&condition.key, values));
        }
    }
    room.left = room.left.saturating_sub(whole.saturating_sub(part.left));
    room.cut |= part.cut;
    Some(deny)
}

/// The text of the caller's policy that has this label.
fn document_of<'s>(state: &'s State, caller: &'s Caller, label: &str) -> Option<&'s str> {
    let account = state.account(caller.account)?;
    let inline = match &caller.identity {
        Identity::Root => None,
        Identity::User(user) => inline_document(&user.inline, &user.record.inline_policies, label),
        Identity::Role(role) => inline_document(&role.inline, &role.record.inline_policies, label),
    };
    let session = || {
        let session = caller.session.as_deref().filter(|_| label == SESSION_POLICY)?;
        session.session_policy.as_deref()
    };
    inline.or_else(session).or_else(|| managed_document(account, label))
}

/// The label of an inline session policy in verdicts.
pub(crate) const SESSION_POLICY: &str = "session policy";

fn inline_document<'s>(
    compiled: &[std::sync::Arc<irsa_policy::Policy>],
    records: &'s [InlinePolicy],
    label: &str,
) -> Option<&'s str> {
    let (_, record) = compiled
        .iter()
        .zip(records)
        .find(|(policy, _)| policy.label() == label)?;
    Some(&record.document)
}

/// The text in force of a managed policy that the account may use.
pub(crate) fn managed_document<'s>(account: &'s Account, arn: &str) -> Option<&'s str> {
    if let Some(policy) = AwsManagedPolicy::find(arn) {
        return Some(policy.document);
    }
    let version = account.policy(arn)?.record.default_document()?;
    Some(&version.document)
}
