//! What AWS's table of actions says to a request. It warns only: services that AWS does not know have actions too.

use irsa_metadata::Metadata;

/// What is odd about asking for this action of this resource.
pub(super) fn doubts(action: &str, resource: &str) -> Vec<String> {
    let metadata = Metadata::aws();
    let Some(known) = metadata.action(action) else {
        let meant = match metadata.suggest_actions(action).first() {
            Some(meant) => format!("; is `{meant}` meant?"),
            None => String::new(),
        };
        return vec![format!("AWS has no action `{action}`{meant}")];
    };
    if known.is_wildcard_only() && resource != "*" {
        return vec![format!("`{action}` is asked of no resource: only `*` stands for one")];
    }
    if resource == "*" && !known.is_wildcard_only() {
        return vec![format!(
            "`{action}` is asked of a resource: policies that name resources do not match `*`"
        )];
    }
    if !known.accepts_resource(resource) {
        return vec![format!("`{action}` is not asked of what `{resource}` names")];
    }
    Vec::new()
}

/// Whether a request can bring several values of this condition key.
pub(super) fn is_list(key: &str) -> bool {
    Metadata::aws()
        .condition_key(key)
        .is_some_and(|key| key.key_type().is_multivalued)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_odd() {
        assert!(doubts("s3:GetObject", "arn:aws:s3:::bucket/key").is_empty());
        assert!(doubts("S3:getobject", "arn:aws:s3:::bucket/key").is_empty());
        assert!(doubts("s3:ListAllMyBuckets", "*").is_empty());
        for (action, resource, doubt) in [
            ("s3:GetObjet", "*", "is `s3:GetObject` meant?"),
            ("my-own:Thing", "*", "AWS has no action `my-own:Thing`"),
            ("s3:ListAllMyBuckets", "arn:aws:s3:::b", "only `*`"),
            ("s3:GetObject", "*", "is asked of a resource"),
            (
                "s3:GetObject",
                "arn:aws:sqs:us-east-1:111122223333:q",
                "is not asked of what",
            ),
        ] {
            let doubts = doubts(action, resource).join("\n");
            assert!(doubts.contains(doubt), "{action}: {doubts}");
        }
    }

    #[test]
    fn lists() {
        assert!(is_list("aws:TagKeys"));
        assert!(is_list("AWS:tagkeys"));
        assert!(!is_list("aws:SourceIp"));
        assert!(!is_list("my-own:Key"));
    }
}
