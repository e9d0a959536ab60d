//! Which pages of other origins may use a bucket.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ManageCorsUsing.html>.

use serde::{Deserialize, Serialize};

/// One rule. The first that fits a request counts.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CorsRule {
    /// Its name.
    pub id: Option<String>,
    /// Headers that a page may send, perhaps with one `*` each; in any case.
    pub allowed_headers: Vec<String>,
    /// Methods that a page may use.
    pub allowed_methods: Vec<String>,
    /// Origins, perhaps with one `*` each.
    pub allowed_origins: Vec<String>,
    /// Headers of answers that a page may read.
    pub expose_headers: Vec<String>,
    /// How long a browser may keep the answer to its question, in seconds.
    pub max_age_seconds: Option<i32>,
}

/// The rules' say on one request.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Grant<'r> {
    pub(crate) rule: &'r CorsRule,
    /// Whether the rule is for all origins: then the answer names none, and lets no page send credentials.
    pub(crate) any_origin: bool,
}

/// The first rule for a page of `origin` that wants to use `method`, and to send `headers`.
pub(crate) fn find<'r>(rules: &'r [CorsRule], origin: &str, method: &str, headers: &[&str]) -> Option<Grant<'r>> {
    rules.iter().find_map(|rule| {
        let any_origin = rule.allowed_origins.iter().any(|allowed| allowed == "*");
        let fits = (any_origin || rule.allowed_origins.iter().any(|allowed| matches(allowed, origin)))
            && rule.allowed_methods.iter().any(|allowed| allowed == method)
            && headers.iter().all(|header| {
                let header = header.to_ascii_lowercase();
                rule.allowed_headers
                    .iter()
                    .any(|allowed| matches(&allowed.to_ascii_lowercase(), &header))
            });
        fits.then_some(Grant { rule, any_origin })
    })
}

/// Whether a pattern with at most one `*` fits the whole text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len().saturating_add(end.len()) && text.starts_with(start) && text.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(origins: &[&str], methods: &[&str], headers: &[&str]) -> CorsRule {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        CorsRule {
            allowed_origins: texts(origins),
            allowed_methods: texts(methods),
            allowed_headers: texts(headers),
            ..CorsRule::default()
        }
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rules = [
            rule(&["https://a.example"], &["PUT"], &["x-amz-*"]),
            rule(&["https://*.a.example", "http://b.example"], &["GET", "PUT"], &["*"]),
            rule(&["*"], &["GET"], &[]),
        ];
        let found = |origin, method, headers: &[&str]| {
            find(&rules, origin, method, headers).map(|grant| {
                let number = rules.iter().position(|rule| std::ptr::eq(rule, grant.rule)).unwrap();
                (number, grant.any_origin)
            })
        };
        assert_eq!(found("https://a.example", "PUT", &["X-Amz-Date"]), Some((0, false)));
        assert_eq!(found("https://a.example", "PUT", &["content-type"]), None);
        assert_eq!(found("https://x.a.example", "PUT", &["content-type"]), Some((1, false)));
        assert_eq!(found("https://.a.example", "PUT", &[]), Some((1, false)));
        assert_eq!(found("https://xa.example", "PUT", &[]), None);
        assert_eq!(found("https://x.a.example.evil", "PUT", &[]), None);
        assert_eq!(found("https://evil.example", "GET", &[]), Some((2, true)));
        assert_eq!(found("https://evil.example", "GET", &["a"]), None);
        assert_eq!(found("https://A.example", "PUT", &[]), None, "origins have a case");
        assert_eq!(found("https://a.example", "get", &[]), None);
        assert!(matches("a*a", "aa") && !matches("a*a", "a"));
    }
}
