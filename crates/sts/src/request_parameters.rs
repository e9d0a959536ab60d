//! What audit records show of a call's parameters: what was asked, never a token, a code or whatever else came with the request.

use irsa_audit::ObjectWriter;
use irsa_wire::Params;
use serde_json::{Value, json};

use crate::session_tags::SessionTags;

/// Texts are cut to this many characters: a stranger wrote them.
const MAX_TEXT: usize = 2048;
/// Lists are cut to this many elements.
const MAX_ELEMENTS: usize = 50;

/// `requestParameters` of AssumeRoleWithWebIdentity before anything of the token is believed.
pub(crate) fn web_identity(params: &Params) -> String {
    web_identity_members(params).finish()
}

/// `requestParameters` of AssumeRoleWithWebIdentity with what the verified token asks of the session.
pub(crate) fn verified_web_identity(params: &Params, tags: &SessionTags, source_identity: Option<&str>) -> String {
    let mut members = web_identity_members(params);
    members.text_if("sourceIdentity", source_identity);
    if !tags.tags.is_empty() {
        members.open("principalTags");
        for (key, value) in &tags.tags {
            members.text(key, value);
        }
        members.close();
    }
    if !tags.transitive_keys.is_empty() {
        members.list("transitiveTagKeys", tags.transitive_keys.iter().map(String::as_str));
    }
    members.finish()
}

fn web_identity_members(params: &Params) -> ObjectWriter {
    let names = [
        ("RoleArn", "roleArn"),
        ("RoleSessionName", "roleSessionName"),
        ("ProviderId", "providerId"),
        ("Policy", "policy"),
    ];
    let mut members = texts(params, &names);
    policy_arns(params, &mut members);
    numbers(params, &mut members);
    members
}

/// `requestParameters` of AssumeRole. The code of a second factor is left out.
pub(crate) fn assume_role(params: &Params) -> String {
    let names = [
        ("RoleArn", "roleArn"),
        ("RoleSessionName", "roleSessionName"),
        ("ExternalId", "externalId"),
        ("SourceIdentity", "sourceIdentity"),
        ("SerialNumber", "serialNumber"),
        ("Policy", "policy"),
    ];
    let mut members = texts(params, &names);
    policy_arns(params, &mut members);
    numbers(params, &mut members);
    let tags = params.list("Tags").ok().flatten().unwrap_or_default();
    if !tags.is_empty() {
        let tag =
            |element: &Params| json!({ "key": element.get("Key").map(cut), "value": element.get("Value").map(cut) });
        let tags: Vec<Value> = tags.iter().take(MAX_ELEMENTS).map(tag).collect();
        members.raw("tags", &Value::Array(tags).to_string());
    }
    let keys = params.strings("TransitiveTagKeys").ok().flatten().unwrap_or_default();
    if !keys.is_empty() {
        let keys = keys
            .iter()
            .take(MAX_ELEMENTS)
            .map(|key| cut(key.as_deref().unwrap_or_default()));
        members.list("transitiveTagKeys", keys);
    }
    members.finish()
}

/// `requestParameters` of GetSessionToken; `None` if nothing was asked.
pub(crate) fn session_token(params: &Params) -> Option<String> {
    let mut members = texts(params, &[("SerialNumber", "serialNumber")]);
    numbers(params, &mut members);
    Some(members.finish()).filter(|members| members != "{}")
}

/// `requestParameters` of GetAccessKeyInfo.
pub(crate) fn access_key_info(params: &Params) -> String {
    texts(params, &[("AccessKeyId", "accessKeyId")]).finish()
}

fn texts(params: &Params, names: &[(&str, &str)]) -> ObjectWriter {
    let mut members = ObjectWriter::with_capacity(256);
    for (name, member) in names {
        members.text_if(member, params.get(name).map(cut));
    }
    members
}

fn numbers(params: &Params, members: &mut ObjectWriter) {
    for (name, member) in [
        ("DurationSeconds", "durationSeconds"),
        ("MinimumSessionTokenSize", "minimumSessionTokenSize"),
    ] {
        if let Ok(Some(number)) = params.integer(name) {
            members.number(member, number.into());
        }
    }
}

fn policy_arns(params: &Params, members: &mut ObjectWriter) {
    let elements = params.list("PolicyArns").ok().flatten().unwrap_or_default();
    if !elements.is_empty() {
        let arn = |element: &Params| json!({ "arn": element.get("arn").map(cut) });
        let arns: Vec<Value> = elements.iter().take(MAX_ELEMENTS).map(arn).collect();
        members.raw("policyArns", &Value::Array(arns).to_string());
    }
}

fn cut(text: &str) -> &str {
    text.char_indices()
        .nth(MAX_TEXT)
        .map_or(text, |(end, _)| text.split_at(end).0)
}
