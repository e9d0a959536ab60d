use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use irsa_core::Timestamp;
use serde_json::Value;

use super::refusal;
use crate::question::S3Refusal;

/// What a form may send, as its maker signed it.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>.
#[derive(Debug)]
pub struct PostPolicy {
    expiration: Timestamp,
    conditions: Vec<Condition>,
    /// The least and the greatest size of the file, in bytes.
    sizes: (u64, u64),
}

#[derive(Debug)]
struct Condition {
    /// As it stands in the document, for messages.
    text: String,
    /// The name of the field, in lower case.
    field: String,
    value: String,
    /// Whether the field's value must only begin with this.
    prefix: bool,
}

/// Fields that no condition need cover.
const FREE: [&str; 5] = ["x-amz-signature", "file", "policy", "awsaccesskeyid", "signature"];

impl PostPolicy {
    /// Reads the field `policy`: the base64 of a JSON document.
    ///
    /// # Errors
    /// It is no policy document.
    pub fn parse(field: &str) -> Result<Self, S3Refusal> {
        let text = STANDARD.decode(field).map_err(|_| invalid("not base64"))?;
        let document: Value = serde_json::from_slice(&text).map_err(|_| invalid("not JSON"))?;
        let Value::Object(members) = document else {
            return Err(invalid("not an object"));
        };
        let expiration = members
            .get("expiration")
            .and_then(Value::as_str)
            .and_then(Timestamp::parse_iso8601)
            .ok_or_else(|| invalid("expiration is missing or no date"))?;
        let Some(Value::Array(list)) = members.get("conditions") else {
            return Err(invalid("conditions are missing or no list"));
        };
        let mut policy = Self {
            expiration,
            conditions: Vec::with_capacity(list.len()),
            sizes: (0, u64::MAX),
        };
        for condition in list {
            policy.read(condition)?;
        }
        Ok(policy)
    }

    fn read(&mut self, condition: &Value) -> Result<(), S3Refusal> {
        let simple = || invalid("a condition is not of a known form");
        match condition {
            Value::Object(members) => {
                for (name, value) in members {
                    let value = value.as_str().ok_or_else(simple)?;
                    self.add(condition, name, value, false);
                }
            }
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(operator), least, greatest] if operator.eq_ignore_ascii_case("content-length-range") => {
                    let number = |value: &Value| {
                        let text = value.as_str().and_then(|text| text.parse().ok());
                        value.as_u64().or(text).ok_or_else(simple)
                    };
                    let (least, greatest) = (number(least)?, number(greatest)?);
                    self.sizes = (self.sizes.0.max(least), self.sizes.1.min(greatest));
                }
                [Value::String(operator), Value::String(name), Value::String(value)] => {
                    let name = name.strip_prefix('$').ok_or_else(simple)?;
                    let prefix = match operator.to_ascii_lowercase().as_str() {
                        "eq" => false,
                        "starts-with" => true,
                        _ => return Err(simple()),
                    };
                    self.add(condition, name, value, prefix);
                }
                _ => return Err(simple()),
            },
            _ => return Err(simple()),
        }
        Ok(())
    }

    fn add(&mut self, condition: &Value, name: &str, value: &str, prefix: bool) {
        self.conditions.push(Condition {
            text: condition.to_string(),
            field: name.to_ascii_lowercase(),
            value: value.to_owned(),
            prefix,
        });
    }

    /// Holds the fields of a form (names in lower case) against the policy: each condition must be met, and each field be in one. In the
    /// key, and in what is said about it, `${filename}` is the file's name.
    ///
    /// # Errors
    /// The upload is not one that the policy's maker wanted.
    pub fn check(
        &self,
        fields: &[(String, String)],
        bucket: &str,
        filename: &str,
        now: Timestamp,
    ) -> Result<(), S3Refusal> {
        let denied = |reason: String| refusal(403, "AccessDenied", format!("Invalid according to Policy: {reason}"));
        if now >= self.expiration {
            return Err(denied("Policy expired.".to_owned()));
        }
        for condition in &self.conditions {
            let given = match condition.field.as_str() {
                "bucket" => Some(bucket.to_owned()),
                "key" => field(fields, "key").map(|key| with_filename(key, filename)),
                name => field(fields, name).map(str::to_owned),
            };
            let wanted = match condition.field.as_str() {
                "key" => with_filename(&condition.value, filename),
                _ => condition.value.clone(),
            };
            let met = given.is_some_and(|given| {
                if condition.prefix {
                    given.starts_with(&wanted)
                } else {
                    given == wanted
                }
            });
            if !met {
                return Err(denied(format!("Policy Condition failed: {}", condition.text)));
            }
        }
        // The bucket is a field of every form, though no form has it: else a policy would be good for all buckets of its maker's.
        let extra: Vec<&str> = fields
            .iter()
            .map(|(name, _)| name.as_str())
            .chain(["bucket"])
            .filter(|name| {
                !FREE.contains(name)
                    && !name.starts_with("x-ignore-")
                    && !self.conditions.iter().any(|condition| condition.field == *name)
            })
            .collect();
        if extra.is_empty() {
            return Ok(());
        }
        Err(denied(format!("Extra input fields: {}", extra.join(", "))))
    }

    /// The least and the greatest size of the file, in bytes.
    #[must_use]
    pub fn sizes(&self) -> (u64, u64) {
        self.sizes
    }
}

fn field<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
    let (_, value) = fields.iter().find(|(known, _)| known == name)?;
    Some(value)
}

/// The key with the file's name in its place.
#[must_use]
pub(crate) fn with_filename(key: &str, filename: &str) -> String {
    key.replace("${filename}", filename)
}

fn invalid(reason: &str) -> S3Refusal {
    refusal(400, "InvalidPolicyDocument", format!("Invalid Policy: {reason}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse_iso8601("2026-01-02T03:04:05Z").unwrap()
    }

    fn parse(conditions: &str) -> Result<PostPolicy, S3Refusal> {
        let text = format!(r#"{{"expiration": "2026-01-02T03:04:06.000Z", "conditions": [{conditions}]}}"#);
        PostPolicy::parse(&STANDARD.encode(text))
    }

    fn check(conditions: &str, fields: &[(&str, &str)]) -> String {
        let with_bucket = format!(r#"{conditions}, {{"bucket": "my-bucket"}}"#);
        check_without_bucket(
            if conditions.contains("bucket") {
                conditions
            } else {
                &with_bucket
            },
            fields,
        )
    }

    fn check_without_bucket(conditions: &str, fields: &[(&str, &str)]) -> String {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        match parse(conditions)
            .unwrap()
            .check(&fields, "my-bucket", "photo.jpg", now())
        {
            Ok(()) => "taken".to_owned(),
            Err(refused) => refused.message.replace("Invalid according to Policy: ", ""),
        }
    }

    #[test]
    fn sv_33_conditions_must_hold_and_cover_every_field() {
        for (conditions, fields, expected) in [
            (
                r#"{"bucket": "my-bucket"}, ["starts-with", "$key", "user/"]"#,
                &[("key", "user/a")][..],
                "taken",
            ),
            (
                r#"{"bucket": "other"}, ["starts-with", "$key", ""]"#,
                &[("key", "a")],
                r#"Policy Condition failed: {"bucket":"other"}"#,
            ),
            (
                r#"["starts-with", "$key", "user/"]"#,
                &[("key", "use")],
                r#"Policy Condition failed: ["starts-with","$key","user/"]"#,
            ),
            (
                r#"["eq", "$Key", "user/${filename}"]"#,
                &[("key", "user/${filename}")],
                "taken",
            ),
            (
                r#"["eq", "$key", "user/photo.jpg"]"#,
                &[("key", "user/${filename}")],
                "taken",
            ),
            (
                r#"["eq", "$key", "user/a"]"#,
                &[("key", "user/${filename}")],
                r#"Policy Condition failed: ["eq","$key","user/a"]"#,
            ),
            (
                r#"{"key": "a"}, ["starts-with", "$Content-Type", "image/"]"#,
                &[("key", "a"), ("content-type", "text/html")],
                r#"Policy Condition failed: ["starts-with","$Content-Type","image/"]"#,
            ),
            (
                r#"{"key": "a"}, ["starts-with", "$Content-Type", ""]"#,
                &[("key", "a")],
                r#"Policy Condition failed: ["starts-with","$Content-Type",""]"#,
            ),
            (
                r#"{"key": "a"}"#,
                &[("key", "a"), ("x-amz-meta-a", "b"), ("acl", "private")],
                "Extra input fields: x-amz-meta-a, acl",
            ),
            (
                r#"{"key": "a"}"#,
                &[
                    ("key", "a"),
                    ("policy", "p"),
                    ("x-amz-signature", "s"),
                    ("x-ignore-a", "b"),
                ],
                "taken",
            ),
            (
                r#"{"key": "a"}"#,
                &[("key", "a"), ("x-amz-security-token", "t")],
                "Extra input fields: x-amz-security-token",
            ),
        ] {
            assert_eq!(check(conditions, fields), expected, "{conditions} {fields:?}");
        }
        assert_eq!(
            check_without_bucket(r#"{"key": "a"}"#, &[("key", "a")]),
            "Extra input fields: bucket"
        );
        let policy = parse(r#"{"key": "a"}"#).unwrap();
        let fields = [("key".to_owned(), "a".to_owned())];
        let late = policy.check(&fields, "b", "", now().plus_seconds(1)).unwrap_err();
        assert_eq!(late.message, "Invalid according to Policy: Policy expired.");
    }

    #[test]
    fn sv_33_sizes_and_documents() {
        let sizes = |conditions| parse(conditions).map(|policy| policy.sizes());
        assert_eq!(sizes("").unwrap(), (0, u64::MAX));
        assert_eq!(sizes(r#"["content-length-range", 1, "10"]"#).unwrap(), (1, 10));
        assert_eq!(
            sizes(r#"["content-length-range", 1, 10], ["content-length-range", 5, 20]"#).unwrap(),
            (5, 10)
        );
        for bad in [
            r#""key""#,
            r#"["eq", "key", "a"]"#,
            r#"["like", "$key", "a"]"#,
            r#"["eq", "$key"]"#,
            r#"["content-length-range", -1, 10]"#,
            r#"["content-length-range", "a", 10]"#,
            r#"{"key": 1}"#,
        ] {
            assert_eq!(sizes(bad).unwrap_err().code, "InvalidPolicyDocument", "{bad}");
        }
        for bad in ["", "%%", "e30=", "W10="] {
            assert_eq!(
                PostPolicy::parse(bad).unwrap_err().code,
                "InvalidPolicyDocument",
                "{bad}"
            );
        }
    }
}
