//! Trust policies, merged statement by statement.
//!
//! A statement is ours if it allows nothing but web identities of one of our providers, and every subject that it names is
//! one of our accounts; one with a pattern if its `Sid` says so, as patterns of several accounts may look alike. All others
//! are somebody's, and stay as they are, in their places.

use serde_json::{Map, Value, json};

use crate::account::ServiceAccountName;
use crate::desired::{AUDIENCE, Issuer, Subject, base32};
use crate::document::{canonical, object, statements};

const ACTION: &str = "sts:AssumeRoleWithWebIdentity";

/// A subject of an issuer, as a trust policy names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Trusted {
    pub(crate) provider: String,
    pub(crate) issuer: Issuer,
    pub(crate) subject: Subject,
    pub(crate) account: ServiceAccountName,
}

/// The `Sid` of an account's statement with a pattern.
fn sid(issuer: &Issuer, account: &ServiceAccountName) -> String {
    let identity = format!("{}\0{}", issuer.resource(), account.subject());
    format!("irsa{}", base32(&identity, 10))
}

/// An account of a cluster: whose statements are ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Owner {
    pub(crate) provider: String,
    pub(crate) issuer: Issuer,
    pub(crate) account: ServiceAccountName,
}

/// A statement that is only about web identities of one provider.
#[derive(Clone, Debug)]
struct WebIdentity {
    sid: Option<String>,
    /// None if the statement names no subject.
    subjects: Vec<Subject>,
    /// The audience is checked, and is the right one.
    has_audience: bool,
}

/// The result of a merge.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Merged {
    /// The new document.
    pub(crate) text: String,
    /// The statements that are new.
    pub(crate) added: Vec<String>,
    /// The statements that are gone.
    pub(crate) removed: Vec<String>,
    /// How many statements are somebody else's.
    pub(crate) foreign: usize,
    /// How many statements there are.
    pub(crate) count: usize,
    /// Statements of our issuers that name no subject: everybody in the cluster may assume the role.
    pub(crate) open: Vec<String>,
}

impl Merged {
    pub(crate) fn is_changed(&self) -> bool {
        !self.added.is_empty() || !self.removed.is_empty()
    }
}

/// The statement for a subject.
pub(crate) fn statement(trusted: &Trusted) -> Value {
    let issuer = trusted.issuer.resource();
    let (audience, subject) = (format!("{issuer}:aud"), format!("{issuer}:sub"));
    let condition = if trusted.subject.is_pattern {
        json!({"StringEquals": {audience: AUDIENCE}, "StringLike": {subject: trusted.subject.text}})
    } else {
        json!({"StringEquals": {audience: AUDIENCE, subject: trusted.subject.text}})
    };
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": {"Federated": trusted.provider},
        "Action": ACTION,
        "Condition": condition,
    });
    if trusted.subject.is_pattern
        && let Value::Object(members) = &mut statement
    {
        members.insert("Sid".to_owned(), sid(&trusted.issuer, &trusted.account).into());
    }
    statement
}

/// Merges what is wanted into what is there; what is `owned` and not wanted goes. `None` if the old text is no document.
pub(crate) fn merge(old: Option<&str>, wanted: &[Trusted], owned: &[Owner]) -> Option<Merged> {
    let mut document = match old {
        Some(old) => object(old)?,
        None => {
            let mut document = Map::new();
            document.insert("Version".to_owned(), "2012-10-17".into());
            document
        }
    };
    let mut merged = Merged::default();
    let mut satisfied = vec![false; wanted.len()];
    let mut kept: Vec<Value> = Vec::new();
    for statement in statements(&document) {
        let mut providers: Vec<(&str, &Issuer)> = Vec::new();
        for (provider, issuer) in owned
            .iter()
            .map(|owner| (&owner.provider, &owner.issuer))
            .chain(wanted.iter().map(|trusted| (&trusted.provider, &trusted.issuer)))
        {
            if !providers.contains(&(provider, issuer)) {
                providers.push((provider, issuer));
            }
        }
        let read = providers.into_iter().find_map(|(provider, issuer)| {
            web_identity(&statement, provider, issuer).map(|identity| (identity, provider))
        });
        let Some((identity, provider)) = read else {
            merged.foreign = merged.foreign.saturating_add(1);
            kept.push(statement);
            continue;
        };
        let text = canonical(&statement).to_string();
        if identity.subjects.is_empty() {
            merged.open.push(text.clone());
        }
        let is_ours = !identity.subjects.is_empty()
            && identity.subjects.iter().all(|subject| {
                owned
                    .iter()
                    .any(|owner| owns(owner, provider, subject, identity.sid.as_deref()))
            });
        let covered: Vec<usize> = wanted
            .iter()
            .enumerate()
            .filter(|(_, trusted)| trusted.provider == provider && identity.subjects.contains(&trusted.subject))
            .map(|(index, _)| index)
            .collect();
        let is_news = covered.iter().any(|index| satisfied.get(*index) == Some(&false));
        let all_wanted = covered.len() >= identity.subjects.len();
        if is_ours && !(identity.has_audience && all_wanted && is_news) {
            merged.removed.push(text);
            continue;
        }
        if !is_ours {
            merged.foreign = merged.foreign.saturating_add(1);
        }
        if identity.has_audience {
            for index in covered {
                if let Some(satisfied) = satisfied.get_mut(index) {
                    *satisfied = true;
                }
            }
        }
        kept.push(statement);
    }
    for (trusted, satisfied) in wanted.iter().zip(&mut satisfied) {
        if *satisfied {
            continue;
        }
        *satisfied = true;
        let new = statement(trusted);
        // Two accounts can ask for one subject.
        if !merged.added.contains(&canonical(&new).to_string()) {
            merged.added.push(canonical(&new).to_string());
            kept.push(new);
        }
    }
    merged.count = kept.len();
    document.insert("Statement".to_owned(), Value::Array(kept));
    merged.text = Value::Object(document).to_string();
    Some(merged)
}

/// The subjects of an issuer that a trust policy names.
pub(crate) fn subjects(text: &str, provider: &str, issuer: &Issuer) -> Vec<Subject> {
    let statements = object(text).map(|document| statements(&document)).unwrap_or_default();
    let read = statements
        .iter()
        .filter_map(|statement| web_identity(statement, provider, issuer));
    read.flat_map(|identity| identity.subjects).collect()
}

/// Whether a role trusts a subject already.
pub(crate) fn trusts(text: &str, trusted: &Trusted) -> bool {
    object(text).is_some_and(|document| {
        statements(&document).iter().any(|statement| {
            web_identity(statement, &trusted.provider, &trusted.issuer)
                .is_some_and(|identity| identity.has_audience && identity.subjects.contains(&trusted.subject))
        })
    })
}

/// Whether a subject is that of an account: exactly, or a pattern with its `Sid`.
fn owns(owner: &Owner, provider: &str, subject: &Subject, given: Option<&str>) -> bool {
    let is_meant = if subject.is_pattern {
        given == Some(&sid(&owner.issuer, &owner.account))
    } else {
        subject.text == owner.account.subject()
    };
    is_meant && owner.provider == provider
}

/// Reads a statement, if it is only about web identities of this provider.
fn web_identity(statement: &Value, provider: &str, issuer: &Issuer) -> Option<WebIdentity> {
    let members = statement.as_object()?;
    let known = ["Sid", "Effect", "Principal", "Action", "Condition"];
    if members.keys().any(|name| !known.contains(&name.as_str())) || members.get("Effect")? != "Allow" {
        return None;
    }
    let only = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => match &items[..] {
            [Value::String(text)] => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    let principal = members.get("Principal")?.as_object()?;
    if principal.len() != 1 || only(principal.get("Federated")?)? != provider {
        return None;
    }
    if !only(members.get("Action")?)?.eq_ignore_ascii_case(ACTION) {
        return None;
    }
    let mut identity = WebIdentity {
        sid: members.get("Sid").and_then(Value::as_str).map(str::to_owned),
        subjects: Vec::new(),
        has_audience: false,
    };
    let Some(condition) = members.get("Condition") else {
        return Some(identity);
    };
    let mut has_subject = false;
    for (operator, keys) in condition.as_object()? {
        let is_like = match operator.as_str() {
            "StringEquals" => false,
            "StringLike" => true,
            _ => return None,
        };
        for (key, values) in keys.as_object()? {
            let (prefix, claim) = key.rsplit_once(':')?;
            if !prefix.eq_ignore_ascii_case(issuer.resource()) {
                return None;
            }
            let values: Vec<&str> = match values {
                Value::String(text) => vec![text],
                Value::Array(items) => items.iter().map(Value::as_str).collect::<Option<_>>()?,
                _ => return None,
            };
            match claim.to_ascii_lowercase().as_str() {
                "aud" => identity.has_audience = values == [AUDIENCE],
                // Both must hold: which subjects that are is not for here.
                "sub" if has_subject => return None,
                "sub" => {
                    has_subject = true;
                    identity.subjects = values
                        .iter()
                        .map(|text| Subject {
                            text: (*text).to_owned(),
                            is_pattern: is_like && text.contains(['*', '?']),
                        })
                        .collect();
                }
                _ => return None,
            }
        }
    }
    Some(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(id: &str) -> (String, Issuer) {
        let issuer = Issuer::parse(&format!("https://issuer.example/{id}")).unwrap();
        (
            format!("arn:aws:iam::111122223333:oidc-provider/issuer.example/{id}"),
            issuer,
        )
    }

    fn trusted(id: &str, text: &str) -> Trusted {
        let (provider, issuer) = issuer(id);
        Trusted {
            provider,
            issuer,
            subject: Subject {
                text: format!("system:serviceaccount:{text}"),
                is_pattern: text.contains('*'),
            },
            account: ServiceAccountName::new("apps", "x"),
        }
    }

    fn owner(id: &str, account: &str) -> Owner {
        let (provider, issuer) = issuer(id);
        let (namespace, name) = account.split_once(':').unwrap();
        Owner {
            provider,
            issuer,
            account: ServiceAccountName::new(namespace, name),
        }
    }

    #[test]
    fn a_new_document() {
        let merged = merge(None, &[trusted("a", "apps:x")], &[owner("a", "apps:x")]).unwrap();
        assert_eq!(
            merged.text,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/issuer.example/a"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"issuer.example/a:aud":"sts.amazonaws.com","issuer.example/a:sub":"system:serviceaccount:apps:x"}}}]}"#
        );
        irsa_policy::validate::document(irsa_policy::PolicyKind::Trust, &merged.text).unwrap();
        let again = merge(Some(&merged.text), &[trusted("a", "apps:x")], &[owner("a", "apps:x")]).unwrap();
        assert!(!again.is_changed());
        assert!(trusts(&merged.text, &trusted("a", "apps:x")));
        assert!(!trusts(&merged.text, &trusted("b", "apps:x")));
    }

    #[test]
    fn statements_of_others_stay_word_for_word() {
        let foreign = r#"{"Sid":"Pods","Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:TagSession","sts:AssumeRole"]}"#;
        let other = statement(&trusted("a", "apps:y")).to_string();
        let old_cluster = statement(&trusted("b", "apps:x")).to_string();
        let hardened = statement(&trusted("a", "apps:x")).to_string().replace(
            r#""StringEquals":{"#,
            r#""IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"StringEquals":{"#,
        );
        let old =
            format!(r#"{{"Version":"2012-10-17","Id":"i","Statement":[{foreign},{other},{old_cluster},{hardened}]}}"#);
        let merged = merge(Some(&old), &[trusted("a", "apps:x")], &[owner("a", "apps:x")]).unwrap();
        assert_eq!((merged.added.len(), merged.removed.len(), merged.foreign), (1, 0, 4));
        for kept in [foreign, &other, &old_cluster, &hardened, r#""Id":"i""#] {
            assert!(merged.text.contains(kept), "{kept}");
        }
        let gone = merge(Some(&merged.text), &[], &[owner("a", "apps:x")]).unwrap();
        assert_eq!(gone.text, old);
    }

    #[test]
    fn what_is_ours_is_repaired() {
        let right = statement(&trusted("a", "apps:x")).to_string();
        let no_audience = right.replace(r#""issuer.example/a:aud":"sts.amazonaws.com","#, "");
        let pattern = statement(&trusted("a", "apps:x-*")).to_string();
        for (statements, removed, added) in [
            (right.clone(), 0, 0),
            // Written otherwise, with the same meaning.
            (
                right.replace(
                    r#""sts:AssumeRoleWithWebIdentity""#,
                    r#"["sts:AssumeRoleWithWebIdentity"]"#,
                ),
                0,
                0,
            ),
            (format!("{right},{right}"), 1, 0),
            (no_audience.clone(), 1, 1),
            (pattern.clone(), 1, 1),
            (format!("{pattern},{right}"), 1, 0),
        ] {
            let old = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
            let merged = merge(Some(&old), &[trusted("a", "apps:x")], &[owner("a", "apps:x")]).unwrap();
            assert_eq!(
                (merged.removed.len(), merged.added.len()),
                (removed, added),
                "{statements}"
            );
            assert!(trusts(&merged.text, &trusted("a", "apps:x")));
            assert_eq!(merged.count, 1);
        }
    }

    #[test]
    fn a_statement_for_everybody_is_seen() {
        let open = r#"{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/issuer.example/a"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"issuer.example/a:aud":"sts.amazonaws.com"}}}"#;
        let old = format!(r#"{{"Version":"2012-10-17","Statement":{open}}}"#);
        let merged = merge(Some(&old), &[trusted("a", "apps:x")], &[owner("a", "apps:x")]).unwrap();
        assert_eq!(merged.open.len(), 1);
        assert!(merged.text.contains(open));
        assert_eq!(merge(Some("[]"), &[], &[]), None);
    }
}
