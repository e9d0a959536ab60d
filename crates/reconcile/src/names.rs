//! What names, ARNs, tags and labels may look like, as IAM, EKS and Kubernetes say.
//!
//! Every check answers with what is wrong, for a sentence that has named the text.

use irsa_core::Arn;

/// The longest role name.
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>.
pub const MAX_ROLE_NAME: usize = 64;

fn alphanumeric_ends(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter()
        .all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric() && allowed(*byte)))
        && bytes.iter().all(|byte| allowed(*byte))
}

/// A DNS-1123 label: a namespace.
/// See <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>.
pub(crate) fn dns_label(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() > 63 {
        Err("it is longer than 63 characters".to_owned())
    } else if alphanumeric_ends(text, allowed) {
        Ok(())
    } else {
        Err("lower-case letters, digits and `-` are allowed, and it begins and ends with a letter or digit".to_owned())
    }
}

/// A DNS-1123 subdomain: the name of a service account.
pub(crate) fn dns_subdomain(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() > 253 {
        Err("it is longer than 253 characters".to_owned())
    } else if text.split('.').all(|part| alphanumeric_ends(part, allowed)) {
        Ok(())
    } else {
        Err("lower-case letters, digits, `-` and `.` are allowed, and every part between dots begins and ends with a letter or digit".to_owned())
    }
}

fn qualified_name(text: &str) -> Result<(), String> {
    let name = match text.split_once('/') {
        Some((prefix, name)) => {
            dns_subdomain(prefix).map_err(|why| format!("its prefix `{prefix}`: {why}"))?;
            name
        }
        None => text,
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.len() > 63 {
        Err("its name is longer than 63 characters".to_owned())
    } else if alphanumeric_ends(name, allowed) {
        Ok(())
    } else {
        Err("letters, digits, `-`, `_` and `.` are allowed after an optional `prefix/`, and the name begins and ends with a letter or digit".to_owned())
    }
}

/// A label.
/// See <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>.
pub(crate) fn label(key: &str, value: &str) -> Result<(), String> {
    qualified_name(key).map_err(|why| format!("label key `{key}` is not valid: {why}"))?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if value.len() > 63 {
        Err(format!(
            "the value of label `{key}` is not valid: it is longer than 63 characters"
        ))
    } else if value.is_empty() || alphanumeric_ends(value, allowed) {
        Ok(())
    } else {
        Err(format!(
            "the value of label `{key}` is not valid: letters, digits, `-`, `_` and `.` are allowed, and it begins and ends with a letter or digit"
        ))
    }
}

/// An annotation's key; any case.
pub(crate) fn annotation(key: &str) -> Result<(), String> {
    qualified_name(&key.to_ascii_lowercase()).map_err(|why| format!("annotation key `{key}` is not valid: {why}"))
}

/// A tag of a role.
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules>.
pub(crate) fn tag(key: &str, value: &str) -> Result<(), String> {
    let allowed = |text: &str| {
        text.chars()
            .all(|character| character.is_alphanumeric() || " _.:/=+-@".contains(character))
    };
    let fault = if key.is_empty() || key.chars().count() > 128 {
        "its key needs 1 to 128 characters"
    } else if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
        "keys that begin with `aws:` are reserved"
    } else if value.chars().count() > 256 {
        "its value is longer than 256 characters"
    } else if !allowed(key) || !allowed(value) {
        "letters, digits, spaces and `_.:/=+-@` are allowed"
    } else {
        return Ok(());
    };
    Err(format!("tag `{key}` is not valid: {fault}"))
}

/// Whether a tag says whose a role is. IAM does not tell keys apart that differ only in case.
pub(crate) fn is_ownership(key: &str) -> bool {
    crate::OWNERSHIP_TAGS.iter().any(|tag| tag.eq_ignore_ascii_case(key))
}

/// The name of a role.
/// See <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>.
pub(crate) fn role_name(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if text.len() > MAX_ROLE_NAME {
        let length = text.chars().count();
        Err(format!("it has {length} characters of at most {MAX_ROLE_NAME}"))
    } else if text.is_empty() || !text.bytes().all(allowed) {
        Err("letters, digits and `_+=,.@-` are allowed".to_owned())
    } else {
        Ok(())
    }
}

/// The name of a cluster.
/// See <https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html>.
pub fn cluster_name(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let begins = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    if text.len() > 100 {
        Err("it is longer than 100 characters".to_owned())
    } else if begins && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err("letters, digits, `-` and `_` are allowed, and it begins with a letter or digit".to_owned())
    }
}

/// The name of a region, which need not be one that is known here.
pub(crate) fn region(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.contains('-') && alphanumeric_ends(text, allowed) {
        Ok(())
    } else {
        Err("a region looks like `us-west-2`".to_owned())
    }
}

/// The ARN of an IAM resource of one kind (`policy`, `role`) in a partition.
pub(crate) fn iam_arn(text: &str, kind: &str, partition: Option<&str>) -> Result<Arn, String> {
    let shape = || {
        format!(
            "`arn:{}:iam::ACCOUNT:{kind}/NAME` is needed",
            partition.unwrap_or("aws")
        )
    };
    let arn: Arn = text.parse().map_err(|_| shape())?;
    let account = arn.account_id().is_some() || (kind == "policy" && arn.account() == "aws");
    let name = arn.resource_of_kind(kind).unwrap_or_default();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&byte);
    // A path may have any visible character; patterns are none.
    let path = name.strip_suffix(arn.resource_name()).unwrap_or_default();
    let named = !arn.resource_name().is_empty()
        && arn.resource_name().bytes().all(allowed)
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"*?\"\\".contains(&byte));
    if arn.service() != "iam" || !arn.region().is_empty() || !account || name.is_empty() || !named {
        return Err(shape());
    }
    match partition {
        Some(partition) if partition != arn.partition() => Err(format!(
            "it is of partition `{}`, the cluster's region is of `{partition}`",
            arn.partition()
        )),
        _ => Ok(arn),
    }
}

/// What stands for a service account's name in the subject, with `*` and `?`.
pub(crate) fn subject_pattern(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.*?".contains(&byte);
    if text.is_empty() || text.len() > 253 || !text.bytes().all(allowed) {
        Err(
            "it stands for the service account's name: lower-case letters, digits, `-`, `.`, `*` and `?` are allowed"
                .to_owned(),
        )
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(dns_label("backend-apps").is_ok());
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", &"a".repeat(64)] {
            assert!(dns_label(bad).is_err(), "{bad}");
        }
        assert!(dns_subdomain("a.b-c.9").is_ok());
        for bad in ["", "a..b", ".a", "a/b", "a*"] {
            assert!(dns_subdomain(bad).is_err(), "{bad}");
        }
        assert!(label("app.kubernetes.io/managed-by", "").is_ok());
        for (key, value) in [("", "x"), ("a/b/c", "x"), ("/a", "x"), ("a", "-x"), ("a", "x y")] {
            assert!(label(key, value).is_err(), "{key}={value}");
        }
        assert!(annotation("Example.com/A_b").is_ok());
        assert!(tag("Kostenstelle ä", "a b:c/d").is_ok());
        for (key, value) in [("", "x"), ("aws:x", "x"), ("AWS:x", ""), ("a", "x,y"), ("a*", "x")] {
            assert!(tag(key, value).is_err(), "{key}={value}");
        }
        assert!(role_name("a+b=c,d.e@f-g_h").is_ok());
        assert!(role_name(&"a".repeat(65)).is_err());
        assert!(role_name("a/b").is_err());
        assert!(cluster_name("prod_1").is_ok());
        assert!(cluster_name("_prod").is_err());
        assert!(region("us-gov-west-1").is_ok());
        assert!(region("oregon").is_err());
        assert!(subject_pattern("s3-*").is_ok());
        assert!(subject_pattern("a:b").is_err());
    }

    #[test]
    fn arns() {
        for good in [
            "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy",
            "arn:aws-cn:iam::111122223333:policy/a",
            "arn:aws:iam::111122223333:policy/team~1/(old)/a",
        ] {
            assert!(iam_arn(good, "policy", None).is_ok(), "{good}");
        }
        for bad in [
            "AmazonS3ReadOnlyAccess",
            "arn:aws:iam::aws:policy/",
            "arn:aws:iam::aws:policy/a/",
            "arn:aws:iam:us-east-1:aws:policy/a",
            "arn:aws:iam::12:policy/a",
            "arn:aws:s3:::policy/a",
            "arn:aws:iam::111122223333:role/a",
            "arn:aws:iam::aws:policy/a b",
            "arn:aws:iam::aws:policy/a*/b",
            "arn:aws:iam::aws:policy/a~b",
        ] {
            assert!(iam_arn(bad, "policy", None).is_err(), "{bad}");
        }
        assert!(iam_arn("arn:aws:iam::aws:role/a", "role", None).is_err());
        assert!(iam_arn("arn:aws:iam::aws:policy/a", "policy", Some("aws-cn")).is_err());
    }
}
