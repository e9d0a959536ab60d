//! What the audit record shows of a call's parameters.

use irsa_wire::Params;
use serde_json::{Map, Value};

/// The parameters that the operations of this crate take. None of them holds a secret. Whatever else came with the
/// request is not recorded: the query of a presigned request holds its session token.
const MEMBERS: &[&str] = &[
    "AccessKeyId",
    "ActionNames",
    "AssumeRolePolicyDocument",
    "CallerArn",
    "ClientID",
    "ClientIDList",
    "ContextEntries",
    "Description",
    "EntityFilter",
    "Filter",
    "Marker",
    "MaxItems",
    "MaxSessionDuration",
    "NewPath",
    "NewUserName",
    "OnlyAttached",
    "OpenIDConnectProviderArn",
    "Path",
    "PathPrefix",
    "PermissionsBoundary",
    "PolicyArn",
    "PolicyDocument",
    "PolicyName",
    "PolicySourceArn",
    "PolicyUsageFilter",
    "ResourceArns",
    "ResourceHandlingOption",
    "ResourceOwner",
    "RoleName",
    "Scope",
    "SetAsDefault",
    "Status",
    "TagKeys",
    "Tags",
    "ThumbprintList",
    "Url",
    "UserName",
    "VersionId",
];

/// The lists of simulations. Their documents and the values of their condition keys are left out: they are as long as a request may be, and
/// none of them is anybody's policy or request.
const SIMULATED: &[&str] = &["ActionNames", "ContextEntries", "ResourceArns"];
/// As many elements of such a list are shown.
const MAX_SIMULATED: usize = 50;

/// CloudTrail's `requestParameters` of a Query call: names with a small first letter, lists as arrays, numbers and
/// booleans as such. Parameters that no operation takes are left out.
#[must_use]
pub fn request_parameters(params: &Params) -> Value {
    let mut root = Map::new();
    for (name, value) in params.iter() {
        let (name, rest) = name
            .split_once(".member.")
            .map_or((name, None), |(name, rest)| (name, Some(rest)));
        if !MEMBERS.contains(&name) {
            continue;
        }
        let Some(rest) = rest else {
            root.insert(small(name), scalar(name, value));
            continue;
        };
        let (index, member) = rest.split_once('.').unwrap_or((rest, ""));
        let most = if SIMULATED.contains(&name) { MAX_SIMULATED } else { 1000 };
        let Some(index) = index.parse::<usize>().ok().filter(|index| (1..=most).contains(index)) else {
            continue;
        };
        let elements = root.entry(small(name)).or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(elements) = elements else { continue };
        if elements.len() < index {
            elements.resize(index, Value::Null);
        }
        let Some(element) = elements.get_mut(index - 1) else {
            continue;
        };
        match member {
            "" => *element = Value::from(value),
            "Key" | "Value" | "ContextKeyName" | "ContextKeyType" => {
                if !element.is_object() {
                    *element = Value::Object(Map::new());
                }
                if let Value::Object(element) = element {
                    element.insert(small(member), Value::from(value));
                }
            }
            _ => {}
        }
    }
    Value::Object(root)
}

/// A value as its type in the model; text that is not of the type stays text.
fn scalar(name: &str, value: &str) -> Value {
    let typed = match (name, value) {
        ("MaxItems" | "MaxSessionDuration", _) => value.parse::<i32>().ok().map(Value::from),
        ("OnlyAttached" | "SetAsDefault", "true" | "1") => Some(Value::from(true)),
        ("OnlyAttached" | "SetAsDefault", "false" | "0") => Some(Value::from(false)),
        _ => None,
    };
    typed.unwrap_or_else(|| Value::from(value))
}

fn small(name: &str) -> String {
    let mut characters = name.chars();
    characters
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(characters)
        .collect()
}
