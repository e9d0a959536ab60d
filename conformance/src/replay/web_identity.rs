//! Recorded token exchanges.

use std::{
    collections::HashMap,
    io::{self, Write},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};
use serde::Serialize as _;
use serde_json::{Map, Value, ser::Formatter};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Case, Comparison, Outcome, World, member, resolve::Placeholders, texts};
use crate::{Answer, Client, Key, KeyKind, jws_of_texts};

/// How far the lifetime of a session may be from the recorded one, in seconds.
const SLACK: i64 = 2;
/// Suffix of the label of a key that is another one's with another modulus.
const BROKEN: &str = "-broken-modulus";

pub(super) async fn run(world: &World, index: usize, case: &Case) -> Result<Comparison> {
    let members = Arc::new(case.members.clone());
    // Key generation is the one long computation here: it must not hold up the other cases.
    let (keys, members) = tokio::task::spawn_blocking(move || anyhow::Ok((Keys::make(&members)?, members))).await??;
    let (account, client) = world.account().await?;
    let issuer = world
        .issuer
        .publish(&format!("case-{index}"), &keys.set(member(&members, "jwks")?)?);
    let role_name = format!("replay-{index}");
    let mut placeholders = Placeholders::default();
    placeholders.set("ISS", &issuer);
    placeholders.set("ACCOUNT", &account);
    placeholders.set("ROLE_NAME", &role_name);
    placeholders.set("ROLE_ARN", &format!("arn:aws:iam::{account}:role/{role_name}"));
    placeholders.set(
        "PROVIDER_ARN",
        &provider(&client, member(&members, "provider")?, &placeholders).await?,
    );
    placeholders.set(
        "ROLE_ID",
        &role(&client, &role_name, member(&members, "role")?, &placeholders).await?,
    );

    let now: i64 = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().try_into()?;
    let (token, claims) = token(member(&members, "jwt")?, &keys, &placeholders, now)?;
    for (name, claim) in [("EXP", "exp"), ("IAT", "iat"), ("NBF", "nbf")] {
        if let Some(value) = claims.get(claim) {
            placeholders.set(
                name,
                value.as_str().map_or_else(|| value.to_string(), str::to_owned).as_str(),
            );
        }
    }
    let request = placeholders.fill(member(&members, "request")?)?;
    let mut parameters = vec![
        ("Action", "AssumeRoleWithWebIdentity".to_owned()),
        ("WebIdentityToken", token),
    ];
    for (name, value) in request.as_object().context("`request` is no object")? {
        parameters.push((name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    }
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = client.with(None).query("sts", &parameters).await?;

    let recorded = member(&members, "outcome")?
        .as_object()
        .context("`outcome` is no object")?;
    let actual = if answer.status == 200 {
        success(&answer, now)?
    } else {
        Outcome::failure(&answer)
    };
    let equal = equal(recorded, &actual, &placeholders, now);
    Ok(Comparison {
        expected: placeholders.show(&Value::Object(recorded.clone()).to_string()),
        actual,
        equal,
    })
}

/// The key pairs of a case, by label.
struct Keys(HashMap<String, Key>);

impl Keys {
    fn make(members: &Value) -> Result<Self> {
        let mut keys = HashMap::new();
        for jwk in member(member(members, "jwks")?, "keys")?
            .as_array()
            .context("`keys` is no array")?
        {
            let jwk = jwk.as_object().context("a key is no object")?;
            if let Some(label) = jwk.get("key").and_then(Value::as_str) {
                let label = label.strip_suffix(BROKEN).unwrap_or(label);
                if !keys.contains_key(label) {
                    keys.insert(label.to_owned(), Key::generate(KeyKind::of_jwk(jwk)?)?);
                }
            }
        }
        let mut further: Vec<&str> = members
            .pointer("/jwt/signing_key")
            .and_then(Value::as_str)
            .into_iter()
            .collect();
        for jwk in members
            .pointer("/jwks/keys")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            further.extend(jwk.get("x5c").and_then(Value::as_str).and_then(certificate_label));
        }
        for label in further {
            let label = label.strip_suffix(BROKEN).unwrap_or(label);
            if !keys.contains_key(label) {
                let kind = KeyKind::of_label(label)
                    .with_context(|| format!("the key label `{label}` names no kind of key"))?;
                keys.insert(label.to_owned(), Key::generate(kind)?);
            }
        }
        Ok(Self(keys))
    }

    fn get(&self, label: &str) -> Result<&Key> {
        self.0
            .get(label)
            .with_context(|| format!("no key is labelled `{label}`"))
    }

    /// The JWKS as the issuer publishes it.
    fn set(&self, recorded: &Value) -> Result<Value> {
        let mut published = Vec::new();
        for jwk in member(recorded, "keys")?.as_array().context("`keys` is no array")? {
            let jwk = jwk.as_object().context("a key is no object")?;
            let times = jwk.get("repeat").and_then(Value::as_u64).unwrap_or(1);
            let one = self.jwk(jwk)?;
            for number in 0..times {
                let mut copy = one.clone();
                if let Some(Value::String(key_id)) = copy.get_mut("kid") {
                    *key_id = numbered(key_id, number);
                }
                published.push(Value::Object(copy));
            }
        }
        Ok(serde_json::json!({ "keys": published }))
    }

    fn jwk(&self, recorded: &Map<String, Value>) -> Result<Map<String, Value>> {
        let mut jwk = Map::new();
        for (name, value) in recorded {
            match name.as_str() {
                // Ours: how to make the key, and how often to publish it.
                "key" | "bits" | "repeat" => {}
                "x5c" => {
                    let label = value
                        .as_str()
                        .and_then(certificate_label)
                        .with_context(|| format!("the certificate {value} names no key"))?;
                    jwk.insert(name.clone(), serde_json::json!([self.get(label)?.certificate()?]));
                }
                _ => {
                    jwk.insert(name.clone(), value.clone());
                }
            }
        }
        if let Some(label) = recorded.get("key").and_then(Value::as_str) {
            let public = match label.strip_suffix(BROKEN) {
                Some(label) => self.get(label)?.broken_members()?,
                None => self.get(label)?.public_members()?,
            };
            for (name, value) in public {
                jwk.entry(name).or_insert(value);
            }
        }
        Ok(jwk)
    }
}

/// `extra${0..99}` is `extra7` for the eighth copy.
fn numbered(key_id: &str, number: u64) -> String {
    match key_id
        .split_once("${")
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?.1)))
    {
        Some((before, after)) => format!("{before}{number}{after}"),
        None => key_id.to_owned(),
    }
}

/// The label in `self-signed cert of LABEL`.
fn certificate_label(text: &str) -> Option<&str> {
    text.strip_prefix("self-signed cert of ").map(str::trim)
}

async fn provider(client: &Client, recorded: &Value, placeholders: &Placeholders) -> Result<String> {
    let recorded = placeholders.fill(recorded)?;
    let mut parameters = vec![("Action".to_owned(), "CreateOpenIDConnectProvider".to_owned())];
    let url = member(&recorded, "url")?.as_str().context("`url` is no text")?;
    parameters.push(("Url".to_owned(), url.to_owned()));
    for (number, id) in recorded
        .get("client_ids")
        .map(texts)
        .transpose()?
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        parameters.push((format!("ClientIDList.member.{}", number + 1), (*id).to_owned()));
    }
    if let Some(thumbprints) = recorded.get("thumbprints").filter(|value| value.is_array()) {
        for (number, thumbprint) in texts(thumbprints)?.iter().enumerate() {
            parameters.push((
                format!("ThumbprintList.member.{}", number + 1),
                (*thumbprint).to_owned(),
            ));
        }
    }
    let parameters: Vec<(&str, &str)> = parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    client
        .must("iam", &parameters)
        .await?
        .must_xml("OpenIDConnectProviderArn")
}

/// Makes the role and hands its unique id back.
async fn role(client: &Client, name: &str, recorded: &Value, placeholders: &Placeholders) -> Result<String> {
    let trust = placeholders.fill(member(recorded, "trust")?)?;
    let document = serde_json::json!({"Version": "2012-10-17", "Statement": trust}).to_string();
    let longest = recorded.get("max_session_duration").map(Value::to_string);
    let mut parameters = vec![
        ("Action", "CreateRole"),
        ("RoleName", name),
        ("AssumeRolePolicyDocument", &document),
    ];
    if let Some(longest) = &longest {
        parameters.push(("MaxSessionDuration", longest));
    }
    client.must("iam", &parameters).await?.must_xml("RoleId")
}

/// The token, and its claims with every time filled in.
fn token(recorded: &Value, keys: &Keys, placeholders: &Placeholders, now: i64) -> Result<(String, Value)> {
    let header = placeholders.claims(member(recorded, "header")?, now)?;
    let claims = placeholders.claims(member(recorded, "claims")?, now)?;
    let key = keys.get(
        member(recorded, "signing_key")?
            .as_str()
            .context("`signing_key` is no text")?,
    )?;
    let payload = match recorded.get("raw_claims_note").and_then(Value::as_str) {
        Some(note) => repeated(&claims, note, placeholders)?,
        None => claims.to_string(),
    };
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    Ok((jws_of_texts(&header.to_string(), &payload, algorithm, key)?, claims))
}

/// The payload that a note describes: the claims' text with a member written a second time at its end. No JSON library writes such a thing.
fn repeated(claims: &Value, note: &str, placeholders: &Placeholders) -> Result<String> {
    let text = note
        .strip_prefix("append a second member ")
        .and_then(|rest| rest.split_once(" at the end"))
        .map(|(member, _)| placeholders.show(&format!("{{{member}}}")))
        .with_context(|| format!("the note on the payload is not understood: {note}"))?;
    let added: Value =
        serde_json::from_str(&text).with_context(|| format!("the note on the payload is not understood: {note}"))?;
    let added = spaced(&added)?;
    let (Some(claims), Some(added)) = (
        spaced(claims)?.strip_suffix('}').map(str::to_owned),
        added.strip_prefix('{'),
    ) else {
        bail!("the claims are no object");
    };
    Ok(format!("{claims}, {added}"))
}

/// JSON with a blank after each separator, as the recordings were made.
fn spaced(value: &Value) -> Result<String> {
    struct Spaced;
    impl Formatter for Spaced {
        fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
            if first { Ok(()) } else { writer.write_all(b", ") }
        }
        fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
            if first { Ok(()) } else { writer.write_all(b", ") }
        }
        fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
            writer.write_all(b": ")
        }
    }
    let mut text = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Spaced))?;
    Ok(String::from_utf8(text)?)
}

/// A success, in the recordings' members.
fn success(answer: &Answer, now: i64) -> Result<Outcome> {
    let expires = OffsetDateTime::parse(&answer.must_xml("Expiration")?, &Rfc3339)?.unix_timestamp();
    let mut outcome = Outcome::success();
    for (name, element) in [
        ("subject", "SubjectFromWebIdentityToken"),
        ("audience", "Audience"),
        ("provider", "Provider"),
        ("assumed_role_arn", "Arn"),
        ("assumed_role_id", "AssumedRoleId"),
        ("source_identity", "SourceIdentity"),
        ("packed_policy_size", "PackedPolicySize"),
        ("access_key_id", "AccessKeyId"),
    ] {
        if let Some(text) = answer.xml(element) {
            outcome.0.insert(name.to_owned(), text.into());
        }
    }
    outcome.0.insert("session_seconds".to_owned(), (expires - now).into());
    Ok(outcome)
}

fn equal(recorded: &Map<String, Value>, actual: &Outcome, placeholders: &Placeholders, now: i64) -> bool {
    if recorded.get("ok") != actual.0.get("ok") {
        return false;
    }
    let text = |name: &str| actual.0.get(name).and_then(Value::as_str);
    if recorded.get("ok") == Some(&Value::Bool(true))
        && recorded.contains_key("source_identity") != actual.0.contains_key("source_identity")
    {
        return false;
    }
    recorded.iter().all(|(name, value)| match (name.as_str(), value) {
        // How AWS's command line behaved, not how AWS did.
        ("ok" | "cli_retried", _) => true,
        // AWS's own format decides the number; that there is one is the rule.
        ("packed_policy_size", _) => text("packed_policy_size").is_some_and(|size| size.parse::<u32>().is_ok()),
        ("session_seconds", Value::Number(seconds)) => {
            let actual = actual.0.get("session_seconds").and_then(Value::as_i64);
            seconds
                .as_i64()
                .zip(actual)
                .is_some_and(|(recorded, actual)| (recorded - actual).abs() <= SLACK)
        }
        ("access_key_prefix", Value::String(prefix)) => {
            text("access_key_id").is_some_and(|id| id.starts_with(prefix.as_str()))
        }
        (_, Value::String(value)) => text(name).is_some_and(|actual| placeholders.matches(value, actual, now)),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_note_makes_a_payload_that_repeats_a_member() {
        let note =
            "append a second member \"aud\":\"other\" at the end of the payload JSON text; whitespace after separators";
        let payload = repeated(
            &json!({"aud": "client-a", "list": [1, 2]}),
            note,
            &Placeholders::default(),
        )
        .unwrap();
        assert_eq!(payload, r#"{"aud": "client-a", "list": [1, 2], "aud": "other"}"#);
        assert!(repeated(&json!({}), "write it in green ink", &Placeholders::default()).is_err());
    }

    #[test]
    fn the_published_set_has_the_recorded_members_and_no_others() {
        let recorded = json!({"jwks": {"keys": [
            {"kid": "a", "kty": "EC", "crv": "P-256", "key": "ec256"},
            {"kid": "extra${0..2}", "kty": "EC", "crv": "P-256", "key": "ec256", "repeat": 3},
            {"kid": "c", "kty": "EC", "x5c": "self-signed cert of ec256"}]},
            "jwt": {"signing_key": "ec256"}});
        let set = Keys::make(&recorded).unwrap().set(&recorded["jwks"]).unwrap();
        let keys = set["keys"].as_array().unwrap();
        let names: Vec<&str> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
        assert_eq!(names, ["a", "extra0", "extra1", "extra2", "c"]);
        assert_eq!(
            keys[0].as_object().unwrap().keys().collect::<Vec<_>>(),
            ["kid", "kty", "crv", "x", "y"]
        );
        assert_eq!(keys[0]["x"], keys[3]["x"]);
        assert_eq!(
            keys[4].as_object().unwrap().keys().collect::<Vec<_>>(),
            ["kid", "kty", "x5c"]
        );
        assert!(keys[4]["x5c"].is_array());
    }

    #[test]
    fn a_success_with_another_subject_is_not_equal() {
        let recorded = json!({"ok": true, "subject": "a", "session_seconds": 3600, "access_key_prefix": "ASIA", "packed_policy_size": 25});
        let outcome = |subject: &str, seconds: i64| {
            let made = json!({"ok": true, "subject": subject, "session_seconds": seconds, "access_key_id": "ASIAX", "packed_policy_size": "2"});
            Outcome(made.as_object().unwrap().clone())
        };
        let equal = |actual: &Outcome| equal(recorded.as_object().unwrap(), actual, &Placeholders::default(), 0);
        assert!(equal(&outcome("a", 3_599)));
        assert!(!equal(&outcome("b", 3_600)));
        assert!(!equal(&outcome("a", 900)));
    }
}
