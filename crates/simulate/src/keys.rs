//! The condition keys that a policy asks for.

use irsa_policy::PolicyError;
use irsa_policy::syntax::{Document, Text, Token, Version, tokens};

/// The condition keys that a policy asks for, in conditions and as policy variables: in the order in which they stand in
/// the text, spelt as they are where they first stand, each once.
///
/// What `GetContextKeysForCustomPolicy` answers. In a document of version 2008-10-17 `${…}` is plain text and names no key.
///
/// See <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetContextKeysForCustomPolicy.html>.
///
/// # Errors
/// The text is no policy document.
pub fn context_keys(text: &str) -> Result<Vec<String>, PolicyError> {
    let document = Document::parse(text)?;
    let variables = document.version == Some(Version::V2012);
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut texts: Vec<&Text<'_>> = Vec::new();
    for statement in &document.statements {
        for element in [&statement.resource, &statement.not_resource].into_iter().flatten() {
            texts.extend(&element.value);
        }
        for condition in statement.conditions.iter().flatten() {
            found.push((condition.key.start, condition.key.to_string()));
            texts.extend(&condition.values);
        }
    }
    if variables {
        for text in texts {
            for token in tokens(text, true, true).into_iter().flatten() {
                if let Token::Variable(variable) = token {
                    found.push((text.start, variable.key().to_owned()));
                }
            }
        }
    }
    // Stable: the variables of one text stay in their order.
    found.sort_by_key(|(start, _)| *start);
    let mut seen = std::collections::HashSet::new();
    found.retain(|(_, key)| seen.insert(key.to_ascii_lowercase()));
    Ok(found.into_iter().map(|(_, key)| key).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_order_of_the_text() {
        let keys = context_keys(
            r#"{"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "dynamodb:*",
                 "Resource": "arn:aws:dynamodb:us-west-2:123456789012:table/${aws:username}-${aws:PrincipalTag/Team, 'x}'}-${*}",
                 "Condition": {"DateGreaterThan": {"aws:CurrentTime": "2015-08-16T12:00:00Z"},
                               "StringLike": {"s3:prefix": ["home/${aws:userid}/*", "${AWS:UserName}"]}}},
                {"Condition": {"Bool": {"AWS:CURRENTTIME": true, "aws:SecureTransport": true}},
                 "Effect": "Deny", "NotAction": "a:b", "NotResource": ["arn:aws:s3:::${aws:SourceIp}"]}]}"#,
        )
        .unwrap();
        assert_eq!(
            keys,
            [
                "aws:username",
                "aws:PrincipalTag/Team",
                "aws:CurrentTime",
                "s3:prefix",
                "aws:userid",
                "aws:SecureTransport",
                "aws:SourceIp",
            ]
        );
    }

    #[test]
    fn the_old_version_has_no_variables() {
        let keys = context_keys(
            r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::${aws:username}",
                "Condition": {"StringEquals": {"a:b": "${aws:userid}"}}}}"#,
        );
        assert_eq!(keys.unwrap(), ["a:b"]);
    }

    #[test]
    fn what_is_no_policy_has_no_keys() {
        assert!(context_keys("{}").is_err());
        assert!(context_keys("").is_err());
    }
}
