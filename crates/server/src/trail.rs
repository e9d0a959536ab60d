//! CloudTrail's LookupEvents: the events of a caller's account, without what only operators may know.
//!
//! Source: <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use irsa_audit::{Filter, Record, Sequence, named_resources, user_name};
use irsa_core::{AccountId, Timestamp};
use irsa_iam::{Caller, Target};
use irsa_wire::{Access, EventKind, OperationSpec, Service, WireError};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::call::Done;
use crate::pipeline::{Pipeline, RequestContext};

/// One call of an operation that exists.
#[derive(Debug)]
pub(crate) struct Call {
    attribute: Option<(Attribute, String)>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    /// The only category that can be asked for, of which there are no events here.
    insight: bool,
    max_results: usize,
    next_token: Option<String>,
}

static LOOKUP_EVENTS: OperationSpec = OperationSpec {
    service: Service::CloudTrail,
    name: "LookupEvents",
    action: "cloudtrail:LookupEvents",
    access: Access::Authorized,
    read_only: true,
    kind: EventKind::Management,
};

/// How long events can be looked up.
const KEPT_DAYS: i64 = 90;
const MAX_RESULTS: i64 = 50;
/// The most characters of an attribute's value.
const MAX_VALUE: usize = 2000;

/// Searches read the disk; more at once would not be quicker.
static SEARCHES: Semaphore = Semaphore::const_new(2);

/// What events can be looked up by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Attribute {
    EventId,
    EventName,
    ReadOnly,
    Username,
    ResourceType,
    ResourceName,
    EventSource,
    AccessKeyId,
}

impl Attribute {
    const ALL: [(&'static str, Self); 8] = [
        ("EventId", Self::EventId),
        ("EventName", Self::EventName),
        ("ReadOnly", Self::ReadOnly),
        ("Username", Self::Username),
        ("ResourceType", Self::ResourceType),
        ("ResourceName", Self::ResourceName),
        ("EventSource", Self::EventSource),
        ("AccessKeyId", Self::AccessKeyId),
    ];

    fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, one)| *one == self)
            .map_or("", |(name, _)| name)
    }
}

fn invalid_attributes(message: &str) -> WireError {
    WireError::new("InvalidLookupAttributesException", 400, message)
}

fn serialization(name: &str, wanted: &str) -> WireError {
    WireError::new("SerializationException", 400, format!("{name} must be {wanted}."))
}

impl Call {
    /// Reads a call: the operation's name is in `target`, the header `X-Amz-Target`, in its long or short form.
    ///
    /// # Errors
    /// As CloudTrail answers them.
    pub(crate) fn new(method: &str, path: &str, target: Option<&str>, body: &[u8]) -> Result<Self, WireError> {
        let operation = target.and_then(|target| {
            let target = target
                .strip_prefix("com.amazonaws.cloudtrail.v20131101.")
                .unwrap_or(target);
            target.strip_prefix("CloudTrail_20131101.")
        });
        if method != "POST" || path != "/" || operation != Some(LOOKUP_EVENTS.name) {
            return Err(WireError::new(
                "UnknownOperationException",
                400,
                "This operation of CloudTrail does not exist here.",
            ));
        }
        let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
        let input: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| serialization("The body", "a JSON object"))?;
        // A member that is null is one that is not there.
        let member = |name: &str| input.get(name).filter(|value| !value.is_null());
        let text = |name: &'static str| match member(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(serialization(name, "a string")),
        };
        let time = |name: &'static str| match member(name) {
            None => Ok(None),
            Some(Value::Number(number)) => number
                .as_f64()
                .map_or_else(|| Err(invalid_range()), |number| seconds(number).map(Some)),
            Some(_) => Err(serialization(name, "a number of seconds")),
        };
        let call = Self {
            attribute: attribute(member("LookupAttributes"))?,
            start: time("StartTime")?,
            end: time("EndTime")?,
            insight: match text("EventCategory")?.as_deref() {
                None => false,
                Some("insight") => true,
                Some(_) => {
                    let message = "The event category is not valid. The only valid one is insight.";
                    return Err(WireError::new("InvalidEventCategoryException", 400, message));
                }
            },
            max_results: match member("MaxResults") {
                None => MAX_RESULTS,
                Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
                Some(_) => return Err(serialization("MaxResults", "an integer")),
            }
            .try_into()
            .ok()
            .filter(|most: &usize| (1..=50).contains(most))
            .ok_or_else(|| {
                WireError::new(
                    "InvalidMaxResultsException",
                    400,
                    "The number of results must be between 1 and 50.",
                )
            })?,
            next_token: text("NextToken")?,
        };
        if call.start.zip(call.end).is_some_and(|(start, end)| start > end) {
            return Err(invalid_range());
        }
        Ok(call)
    }

    #[expect(clippy::unused_self, reason = "as the calls of the other services")]
    pub(crate) fn spec(&self) -> &'static OperationSpec {
        &LOOKUP_EVENTS
    }

    /// The question for the policy engine. CloudTrail's trails are no resource of this operation.
    pub(crate) fn targets(&self, caller: &Caller) -> Vec<Target> {
        vec![Target::new(self.spec().action, "*", caller.account)]
    }

    pub(crate) fn request_parameters(&self) -> Value {
        let mut parameters = Map::new();
        if let Some((attribute, value)) = &self.attribute {
            let attribute = json!({ "attributeKey": attribute.name(), "attributeValue": value });
            parameters.insert("lookupAttributes".to_owned(), json!([attribute]));
        }
        for (name, time) in [("startTime", self.start), ("endTime", self.end)] {
            if let Some(time) = time {
                parameters.insert(name.to_owned(), time.iso8601().into());
            }
        }
        if self.insight {
            parameters.insert("eventCategory".to_owned(), "insight".into());
        }
        parameters.insert("maxResults".to_owned(), self.max_results.into());
        if self.next_token.is_some() {
            parameters.insert("nextToken".to_owned(), "HIDDEN_DUE_TO_SECURITY_REASONS".into());
        }
        parameters.into()
    }

    /// What pages of this query have in common, as text that no other query has.
    fn query(&self, account: AccountId, region: &str) -> String {
        let attribute = self
            .attribute
            .as_ref()
            .map(|(attribute, value)| (attribute.name(), value));
        let millis = |time: Option<Timestamp>| time.map(Timestamp::unix_millis);
        let (start, end) = (millis(self.start), millis(self.end));
        json!([account.to_string(), region, attribute, start, end, self.insight]).to_string()
    }

    fn filter(&self, account: AccountId, region: &str, now: Timestamp) -> Filter {
        let kept = now.plus_seconds(-KEPT_DAYS * 86_400);
        let mut filter = Filter {
            account: Some(account),
            region: Some(region.to_owned()),
            management: Some(true),
            start: Some(self.start.map_or(kept, |start| start.max(kept))),
            end: self.end,
            // One more shows whether there is another page.
            limit: Some(self.max_results.saturating_add(1)),
            ..Filter::default()
        };
        if let Some((attribute, value)) = &self.attribute {
            let value = Some(value.clone());
            match attribute {
                Attribute::EventId => filter.event_id = value,
                Attribute::EventName => filter.event_name = value,
                Attribute::ReadOnly => filter.read_only = value.map(|value| value == "true"),
                Attribute::Username => (filter.user_name, filter.recipient) = (value, Some(account)),
                Attribute::ResourceType => filter.resource_type = value,
                Attribute::ResourceName => filter.resource_name = value,
                Attribute::EventSource => filter.event_source = value,
                Attribute::AccessKeyId => (filter.signer, filter.recipient) = (value, Some(account)),
            }
        }
        filter
    }

    /// Answers the call.
    pub(crate) async fn run(&self, pipeline: &Pipeline, context: &RequestContext<'_>, caller: &Caller) -> Done {
        Done::of(
            self.answer(pipeline, context, caller)
                .await
                .map(|answer| Some(answer.to_string())),
        )
    }

    async fn answer(
        &self,
        pipeline: &Pipeline,
        context: &RequestContext<'_>,
        caller: &Caller,
    ) -> Result<Value, WireError> {
        let key = pipeline.keeper.kek().derive("event pages");
        let pages = Pages {
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()),
            query: self.query(caller.account, context.facts.region),
        };
        let mut filter = self.filter(caller.account, context.facts.region, context.facts.now);
        if let Some(token) = &self.next_token {
            let before = pages.open(token).ok_or_else(|| {
                let message = "The token is not valid, or it was given with other parameters.";
                WireError::new("InvalidNextTokenException", 400, message)
            })?;
            filter.before = Some(before);
        }
        let empty = self.insight
            || filter
                .end
                .is_some_and(|end| filter.start.is_some_and(|start| end < start));
        // Of callers of other accounts, neither name nor key is told.
        let own = matches!(&self.attribute, Some((Attribute::Username | Attribute::AccessKeyId, _)));
        let mut records = if empty {
            Vec::new()
        } else {
            find(pipeline, filter, own.then_some(caller.account)).await?
        };
        let more = records.len() > self.max_results;
        records.truncate(self.max_results);
        let last = records.last().map(|record| record.sequence);
        let events: Vec<Value> = records
            .into_iter()
            .map(|record| event(record, caller.account))
            .collect();
        let mut answer = json!({ "Events": events });
        if let (true, Some(last), Some(members)) = (more, last, answer.as_object_mut()) {
            members.insert("NextToken".to_owned(), pages.seal(last).into());
        }
        Ok(answer)
    }
}

/// Reads the journal, on a thread that may wait for the disk.
async fn find(
    pipeline: &Pipeline,
    mut filter: Filter,
    callers_of: Option<AccountId>,
) -> Result<Vec<Record>, WireError> {
    let failed = |error: String| WireError::internal(format!("the journal could not be searched: {error}"));
    let _permit = SEARCHES.acquire().await.map_err(|error| failed(error.to_string()))?;
    let limit = filter.limit.take().unwrap_or(usize::MAX);
    let search = pipeline.journal.searcher();
    let found = tokio::task::spawn_blocking(move || {
        let records = search.find(filter)?.filter_map(|record| match record {
            Ok(record) => Some(record),
            Err(error) => {
                tracing::error!(%error, "part of the audit journal can't be read");
                None
            }
        });
        let records = records.filter(|record| callers_of.is_none_or(|account| !is_foreign(&record.event, account)));
        Ok::<_, irsa_audit::AuditError>(records.take(limit).collect())
    });
    let found: Result<Vec<Record>, _> = found.await.map_err(|error| failed(error.to_string()))?;
    found.map_err(|error| failed(error.to_string()))
}

fn invalid_range() -> WireError {
    WireError::new(
        "InvalidTimeRangeException",
        400,
        "The time range is not valid: the start must not be after the end.",
    )
}

/// A time of JSON 1.1: seconds since 1970, with fractions.
fn seconds(seconds: f64) -> Result<Timestamp, WireError> {
    // The year 9999 ends here.
    if !(0.0..253_402_300_800.0).contains(&seconds) {
        return Err(invalid_range());
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "less than 2^48, and fractions of a millisecond do not count"
    )]
    let millis = (seconds * 1000.0) as i64;
    Ok(Timestamp::from_unix_millis(millis))
}

fn attribute(given: Option<&Value>) -> Result<Option<(Attribute, String)>, WireError> {
    let list = match given {
        None => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(serialization("LookupAttributes", "a list")),
    };
    let one = match list.as_slice() {
        [] => return Ok(None),
        [one] => one
            .as_object()
            .ok_or_else(|| serialization("A lookup attribute", "an object"))?,
        _ => return Err(invalid_attributes("You can specify only one lookup attribute.")),
    };
    let text = |name: &str| match one.get(name) {
        None | Some(Value::Null) => Err(invalid_attributes("A lookup attribute needs a key and a value.")),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(serialization(name, "a string")),
    };
    let (key, value) = (text("AttributeKey")?, text("AttributeValue")?);
    let known = Attribute::ALL.iter().find(|(name, _)| *name == key);
    let (_, attribute) = known.ok_or_else(|| invalid_attributes("The key of the lookup attribute is not valid."))?;
    if value.is_empty() || value.chars().count() > MAX_VALUE {
        return Err(invalid_attributes(
            "The value of a lookup attribute has 1 to 2000 characters.",
        ));
    }
    if *attribute == Attribute::ReadOnly && !matches!(value, "true" | "false") {
        return Err(invalid_attributes("The value of ReadOnly is true or false."));
    }
    Ok(Some((*attribute, value.to_owned())))
}

/// What NextToken is made of: where the page ended, good for one query only.
struct Pages {
    key: hmac::Key,
    query: String,
}

impl Pages {
    fn tag(&self, last: Sequence) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&last.to_be_bytes());
        context.update(self.query.as_bytes());
        context.sign()
    }

    fn seal(&self, last: Sequence) -> String {
        URL_SAFE_NO_PAD.encode([last.to_be_bytes().as_slice(), self.tag(last).as_ref()].concat())
    }

    fn open(&self, token: &str) -> Option<Sequence> {
        let token = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (last, tag) = token.split_first_chunk::<8>()?;
        let last = Sequence::from_be_bytes(*last);
        constant_time::verify_slices_are_equal(tag, self.tag(last).as_ref()).ok()?;
        Some(last)
    }
}

/// An event as LookupEvents gives it.
fn event(record: Record, account: AccountId) -> Value {
    let Record { json, mut event, .. } = record;
    let resources: Vec<Value> = named_resources(&json)
        .into_iter()
        .map(|resource| json!({ "ResourceType": resource.kind, "ResourceName": resource.name }))
        .collect();
    shown_to(&mut event, account);
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(Value::from);
    let time = event["eventTime"].as_str().and_then(Timestamp::parse_iso8601);
    let members = [
        ("EventId", text("/eventID")),
        ("EventName", text("/eventName")),
        (
            "ReadOnly",
            event["readOnly"].as_bool().map(|flag| flag.to_string().into()),
        ),
        ("AccessKeyId", text("/userIdentity/accessKeyId")),
        ("EventTime", time.map(|time| time.unix_seconds().into())),
        ("EventSource", text("/eventSource")),
        ("Username", user_name(&event).map(Value::from)),
        ("Resources", Some(resources.into())),
        ("CloudTrailEvent", Some(event.to_string().into())),
    ];
    let members = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(members.collect())
}

/// Takes out of a record what only operators may know, and of a caller from another account what that account alone may.
fn shown_to(event: &mut Value, account: AccountId) {
    let foreign = is_foreign(event, account);
    let Some(members) = event.as_object_mut() else { return };
    if let Some(Value::Object(additional)) = members.get_mut("additionalEventData") {
        additional.shift_remove("irsa");
        if additional.is_empty() {
            members.shift_remove("additionalEventData");
        }
    }
    if foreign {
        // As CloudTrail records a cross-account call for the owner of the resource.
        let caller = members.get("userIdentity").map(|caller| {
            let text = |name: &str| caller[name].as_str().unwrap_or_default();
            json!({ "type": "AWSAccount", "principalId": text("principalId"), "accountId": text("accountId") })
        });
        members.insert("userIdentity".to_owned(), caller.unwrap_or_default());
        members.insert("recipientAccountId".to_owned(), account.to_string().into());
    }
}

/// Whether an event is another account's, or its caller is.
fn is_foreign(event: &Value, account: AccountId) -> bool {
    let is = |pointer: &str| {
        let found = event.pointer(pointer).and_then(Value::as_str);
        found.map(|found| found.parse() == Ok(account))
    };
    is("/recipientAccountId") != Some(true) || is("/userIdentity/accountId") == Some(false)
}

#[cfg(test)]
mod tests;
