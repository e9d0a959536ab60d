//! What audit records show of a call's parameters: what was asked, never a token, a code or whatever else came with the request.

use irsa_wire::Params;
use serde_json::{Map, Value, json};

use crate::session_tags::SessionTags;

/// Texts are cut to this many characters: a stranger wrote them.
const MAX_TEXT: usize = 2048;
/// Lists are cut to this many elements.
const MAX_ELEMENTS: usize = 50;

/// `requestParameters` of AssumeRoleWithWebIdentity before anything of the token is believed.
pub(crate) fn web_identity(params: &Params) -> String {
    Value::Object(web_identity_members(params)).to_string()
}

/// `requestParameters` of AssumeRoleWithWebIdentity with what the verified token asks of the session.
pub(crate) fn verified_web_identity(params: &Params, tags: &SessionTags, source_identity: Option<&str>) -> String {
    let mut members = web_identity_members(params);
    if let Some(identity) = source_identity {
        members.insert("sourceIdentity".to_owned(), identity.into());
    }
    if !tags.tags.is_empty() {
        let tags: Map<String, Value> = tags
            .tags
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().into()))
            .collect();
        members.insert("principalTags".to_owned(), Value::Object(tags));
    }
    if !tags.transitive_keys.is_empty() {
        members.insert("transitiveTagKeys".to_owned(), tags.transitive_keys.clone().into());
    }
    Value::Object(members).to_string()
}

fn web_identity_members(params: &Params) -> Map<String, Value> {
    let mut members = texts(
        params,
        &[
            ("RoleArn", "roleArn"),
            ("RoleSessionName", "roleSessionName"),
            ("ProviderId", "providerId"),
            ("Policy", "policy"),
        ],
    );
    policy_arns(params, &mut members);
    numbers(params, &mut members);
    members
}

/// `requestParameters` of AssumeRole. The code of a second factor is left out.
pub(crate) fn assume_role(params: &Params) -> String {
    let mut members = texts(
        params,
        &[
            ("RoleArn", "roleArn"),
            ("RoleSessionName", "roleSessionName"),
            ("ExternalId", "externalId"),
            ("SourceIdentity", "sourceIdentity"),
            ("SerialNumber", "serialNumber"),
            ("Policy", "policy"),
        ],
    );
    policy_arns(params, &mut members);
    numbers(params, &mut members);
    let tags = params.list("Tags").ok().flatten().unwrap_or_default();
    if !tags.is_empty() {
        let tag =
            |element: &Params| json!({ "key": element.get("Key").map(cut), "value": element.get("Value").map(cut) });
        let tags: Vec<Value> = tags.iter().take(MAX_ELEMENTS).map(tag).collect();
        members.insert("tags".to_owned(), tags.into());
    }
    let keys = params.strings("TransitiveTagKeys").ok().flatten().unwrap_or_default();
    if !keys.is_empty() {
        let keys: Vec<Option<String>> = keys
            .iter()
            .take(MAX_ELEMENTS)
            .map(|key| key.as_deref().map(cut))
            .collect();
        members.insert("transitiveTagKeys".to_owned(), keys.into());
    }
    Value::Object(members).to_string()
}

/// `requestParameters` of GetSessionToken; `None` if nothing was asked.
pub(crate) fn session_token(params: &Params) -> Option<String> {
    let mut members = texts(params, &[("SerialNumber", "serialNumber")]);
    numbers(params, &mut members);
    (!members.is_empty()).then(|| Value::Object(members).to_string())
}

/// `requestParameters` of GetAccessKeyInfo.
pub(crate) fn access_key_info(params: &Params) -> String {
    Value::Object(texts(params, &[("AccessKeyId", "accessKeyId")])).to_string()
}

fn texts(params: &Params, names: &[(&str, &str)]) -> Map<String, Value> {
    names
        .iter()
        .filter_map(|(name, member)| Some(((*member).to_owned(), cut(params.get(name)?).into())))
        .collect()
}

fn numbers(params: &Params, members: &mut Map<String, Value>) {
    for (name, member) in [
        ("DurationSeconds", "durationSeconds"),
        ("MinimumSessionTokenSize", "minimumSessionTokenSize"),
    ] {
        if let Ok(Some(number)) = params.integer(name) {
            members.insert(member.to_owned(), number.into());
        }
    }
}

fn policy_arns(params: &Params, members: &mut Map<String, Value>) {
    let elements = params.list("PolicyArns").ok().flatten().unwrap_or_default();
    if !elements.is_empty() {
        let arns: Vec<Value> = elements
            .iter()
            .take(MAX_ELEMENTS)
            .map(|element| json!({ "arn": element.get("arn").map(cut) }))
            .collect();
        members.insert("policyArns".to_owned(), arns.into());
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}
