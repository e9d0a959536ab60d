use irsa_core::{AccountId, Timestamp};

use crate::identity::{FIELD, UserIdentity};
use crate::json::{ObjectWriter, cut};

/// One call, as a CloudTrail record of version 1.11.
///
/// Texts may hold anything. Fields named as JSON must be JSON; they are left out, with their size, where they exceed CloudTrail's limits.
/// Whoever fills them leaves out secrets: a token, a secret key and a password never belong in a record.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Who called.
    pub user_identity: UserIdentity<'a>,
    /// When the request came.
    pub event_time: Timestamp,
    /// The service, such as `sts.amazonaws.com`.
    pub event_source: &'a str,
    /// The operation.
    pub event_name: &'a str,
    /// The region that the request was made to.
    pub aws_region: &'a str,
    /// The caller's address.
    pub source_ip_address: &'a str,
    /// What the caller says it is; cut to 1 KiB. For S3 it is recorded in brackets, as CloudTrail does.
    pub user_agent: &'a str,
    /// Why the call failed; `None` if it did not.
    pub error: Option<EventError<'a>>,
    /// JSON: what was asked for.
    pub request_parameters: Option<&'a str>,
    /// JSON: what was answered; `None` for reads and failures.
    pub response_elements: Option<&'a str>,
    /// Names and JSON values of the members of `additionalEventData`.
    pub additional_event_data: &'a [(&'a str, &'a str)],
    /// JSON: our own explanation, recorded as `additionalEventData.irsa`.
    pub irsa: Option<&'a str>,
    /// The request id that the caller was answered.
    pub request_id: &'a str,
    /// The record's own id: [`event_id`].
    pub event_id: &'a str,
    /// Whether the operation changes nothing.
    pub read_only: bool,
    /// What the call was about; left out if empty.
    pub resources: &'a [Resource<'a>],
    /// Whether the call was about resources or about what is in them.
    pub category: Category,
    /// The account that the record belongs to; `None` if the request named none.
    pub recipient_account: Option<AccountId>,
    /// The connection.
    pub tls: Option<TlsDetails<'a>>,
}

/// A failure: CloudTrail's `errorCode` and `errorMessage`.
#[derive(Clone, Copy, Debug)]
pub struct EventError<'a> {
    /// The code. IAM's records have the long form, such as `NoSuchEntityException`.
    pub code: &'a str,
    /// The text that the caller was answered.
    pub message: &'a str,
}

/// What a call was about.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// Its account, where the record tells it.
    pub account: Option<AccountId>,
    /// Its type, such as `AWS::IAM::Role`.
    pub kind: &'a str,
    /// Its ARN.
    pub arn: &'a str,
}

/// CloudTrail's `eventCategory`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Category {
    /// A call about resources themselves.
    Management,
    /// A call about what is in them, such as GetObject.
    Data,
}

/// The connection: CloudTrail's `tlsDetails`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TlsDetails<'a> {
    /// Such as `TLSv1.3`; `None` if the connection is not encrypted.
    pub version: Option<&'a str>,
    /// Such as `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: Option<&'a str>,
    /// The `Host` header.
    pub host: Option<&'a str>,
    /// Such as `x25519`.
    pub key_exchange: Option<&'a str>,
}

/// CloudTrail's limits of a field, in bytes.
const SHORT: usize = 1024;
const ELEMENTS: usize = 100 << 10;
const ADDITIONAL: usize = 28 << 10;

impl Event<'_> {
    /// The record as one line of JSON, without the line's end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let length = |json: Option<&str>| json.map_or(4, str::len);
        let additional: usize = self
            .additional_event_data
            .iter()
            .map(|(name, json)| name.len() + json.len() + 4)
            .sum();
        let mut record = ObjectWriter::with_capacity(
            1536 + length(self.request_parameters) + length(self.response_elements) + length(self.irsa) + additional,
        );
        record.text("eventVersion", "1.11");
        self.user_identity.write(&mut record);
        record
            .plain("eventTime", self.event_time)
            .text("eventSource", cut(self.event_source, FIELD))
            .text("eventName", cut(self.event_name, FIELD))
            .text("awsRegion", cut(self.aws_region, FIELD))
            .text("sourceIPAddress", cut(self.source_ip_address, FIELD));
        if self.event_source == "s3.amazonaws.com" {
            record.text("userAgent", &format!("[{}]", cut(self.user_agent, SHORT - 2)));
        } else {
            record.text("userAgent", cut(self.user_agent, SHORT));
        }
        if let Some(error) = &self.error {
            record
                .text("errorCode", cut(error.code, SHORT))
                .text("errorMessage", cut(error.message, SHORT));
        }
        json(
            &mut record,
            "requestParameters",
            self.request_parameters.unwrap_or("null"),
            ELEMENTS,
        );
        json(
            &mut record,
            "responseElements",
            self.response_elements.unwrap_or("null"),
            ELEMENTS,
        );
        if !self.additional_event_data.is_empty() || self.irsa.is_some() {
            record.open("additionalEventData");
            if additional <= ADDITIONAL {
                for (name, value) in self.additional_event_data {
                    record.raw(name, value);
                }
            } else {
                record.flag("omitted", true);
            }
            if let Some(irsa) = self.irsa {
                json(&mut record, "irsa", irsa, ADDITIONAL);
            }
            record.close();
        }
        record
            .text("requestID", cut(self.request_id, SHORT))
            .text("eventID", cut(self.event_id, SHORT))
            .flag("readOnly", self.read_only);
        if !self.resources.is_empty() {
            record.objects("resources", self.resources, |record, resource| {
                if let Some(account) = resource.account {
                    record.plain("accountId", account);
                }
                record
                    .text("type", cut(resource.kind, FIELD))
                    .text("ARN", cut(resource.arn, FIELD));
            });
        }
        record
            .text("eventType", "AwsApiCall")
            .flag("managementEvent", self.category == Category::Management);
        if let Some(account) = self.recipient_account {
            record.plain("recipientAccountId", account);
        }
        record.text(
            "eventCategory",
            match self.category {
                Category::Management => "Management",
                Category::Data => "Data",
            },
        );
        if let Some(tls) = &self.tls {
            record
                .open("tlsDetails")
                .text_if("tlsVersion", tls.version)
                .text_if("cipherSuite", tls.cipher_suite)
                .text_if("clientProvidedHostHeader", tls.host.map(|host| cut(host, SHORT)))
                .text_if("keyExchange", tls.key_exchange)
                .close();
        }
        record.finish()
    }
}

fn json(record: &mut ObjectWriter, name: &str, json: &str, limit: usize) {
    if json.len() <= limit && depth(json) <= MAX_DEPTH {
        record.raw(name, json);
    } else {
        record
            .open(name)
            .flag("omitted", true)
            .number("originalSize", i64::try_from(json.len()).unwrap_or(i64::MAX))
            .close();
    }
}

/// How deep a part of a record may nest: readers of JSON stop at 128 levels.
const MAX_DEPTH: usize = 64;

/// How deep the brackets of a JSON text nest.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth = depth.saturating_add(1);
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A record's id: the random bytes as a version 4 UUID (RFC 9562, section 5.4).
#[must_use]
pub fn event_id(random: [u8; 16]) -> String {
    let bits = u128::from_be_bytes(random);
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = hex::encode(bits.to_be_bytes());
    let mut id = String::with_capacity(36);
    for (place, digit) in digits.chars().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        id.push(digit);
    }
    id
}

#[cfg(test)]
mod tests;
