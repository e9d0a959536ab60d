//! Trust policies, merged statement by statement.
//!
//! A statement is ours if it allows nothing but web identities of one of our providers, and every subject that it names is
//! one of our accounts; one with a pattern if its `Sid` says so, as patterns of several accounts may look alike. All others
//! are somebody's, and stay as they are, in their places.

use irsa_policy::validate::non_whitespace_len;
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
pub(crate) fn sid(issuer: &Issuer, account: &ServiceAccountName) -> String {
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

/// Merges what is wanted into what is there; what is `owned` and not wanted goes. If the result is longer than `quota`,
/// statements of ours that differ only in their subjects become one. `None` if the old text is no document.
pub(crate) fn merge(old: Option<&str>, wanted: &[Trusted], owned: &[Owner], quota: usize) -> Option<Merged> {
    let mut document = match old {
        Some(old) => object(old)?,
        None => {
            let mut document = Map::new();
            document.insert("Version".to_owned(), "2012-10-17".into());
            document
        }
    };
    let before = statements(&document);
    let mut merger = Merger::new(wanted, owned);
    for statement in &before {
        merger.old(statement);
    }
    merger.append();
    let mut merged = Merged {
        foreign: merger.foreign,
        open: std::mem::take(&mut merger.open),
        ..Merged::default()
    };
    let mut kept = std::mem::take(&mut merger.kept);
    let mut write = |kept: &[Value]| {
        document.insert("Statement".to_owned(), Value::Array(kept.to_vec()));
        Value::Object(document.clone()).to_string()
    };
    merged.text = write(&kept);
    if non_whitespace_len(&merged.text) > quota {
        kept = joined(kept, &merger.providers, owned);
        merged.text = write(&kept);
    }
    merged.count = kept.len();
    let (mut is, mut will) = (texts(&before), texts(&kept));
    will.retain(|text| {
        let same = is.iter().position(|other| other == text);
        same.map(|at| is.remove(at)).is_none()
    });
    (merged.removed, merged.added) = (is, will);
    Some(merged)
}

fn texts(statements: &[Value]) -> Vec<String> {
    statements
        .iter()
        .map(|statement| canonical(statement).to_string())
        .collect()
}

struct Merger<'m> {
    wanted: &'m [Trusted],
    owned: &'m [Owner],
    /// The providers that anything of ours is about.
    providers: Vec<(&'m str, &'m Issuer)>,
    /// Which of the wanted are trusted already.
    satisfied: Vec<bool>,
    kept: Vec<Value>,
    foreign: usize,
    open: Vec<String>,
}

impl<'m> Merger<'m> {
    fn new(wanted: &'m [Trusted], owned: &'m [Owner]) -> Self {
        let mut providers: Vec<(&str, &Issuer)> = Vec::new();
        let of_owned = owned.iter().map(|owner| (owner.provider.as_str(), &owner.issuer));
        let of_wanted = wanted
            .iter()
            .map(|trusted| (trusted.provider.as_str(), &trusted.issuer));
        for provider in of_owned.chain(of_wanted) {
            if !providers.contains(&provider) {
                providers.push(provider);
            }
        }
        Self {
            wanted,
            owned,
            providers,
            satisfied: vec![false; wanted.len()],
            kept: Vec::new(),
            foreign: 0,
            open: Vec::new(),
        }
    }

    /// Takes a statement that is there, as it is, in part, or not at all.
    fn old(&mut self, statement: &Value) {
        let Some((identity, provider)) = read(statement, &self.providers) else {
            self.foreign = self.foreign.saturating_add(1);
            self.kept.push(statement.clone());
            return;
        };
        if identity.subjects.is_empty() {
            self.open.push(canonical(statement).to_string());
        }
        let is_ours = |subject: &&Subject| {
            let sid = identity.sid.as_deref();
            self.owned.iter().any(|owner| owns(owner, provider, subject, sid))
        };
        let wants = |subject: &Subject| {
            let same = |trusted: &Trusted| trusted.provider == provider && trusted.subject == *subject;
            self.wanted.iter().position(same)
        };
        // Of ours only what is wanted and checks the audience stays, and nothing twice.
        let rest: Vec<&Subject> = identity
            .subjects
            .iter()
            .filter(|subject| {
                let wanted = wants(subject).filter(|_| identity.has_audience);
                let is_news = wanted.is_some_and(|index| self.satisfied.get(index) == Some(&false));
                !is_ours(subject) || is_news
            })
            .collect();
        if rest.is_empty() && !identity.subjects.is_empty() {
            return;
        }
        if !rest.iter().any(is_ours) {
            self.foreign = self.foreign.saturating_add(1);
        }
        let mut statement = statement.clone();
        if rest.len() < identity.subjects.len() {
            set_subjects(&mut statement, &rest);
        }
        if identity.has_audience {
            let indices: Vec<usize> = rest.iter().filter_map(|subject| wants(subject)).collect();
            for index in indices {
                if let Some(satisfied) = self.satisfied.get_mut(index) {
                    *satisfied = true;
                }
            }
        }
        self.kept.push(statement);
    }

    /// Appends what is wanted and not there.
    fn append(&mut self) {
        let missing = self
            .wanted
            .iter()
            .zip(&self.satisfied)
            .filter(|(_, satisfied)| !**satisfied);
        for (trusted, _) in missing {
            let new = statement(trusted);
            // Two accounts can ask for one subject.
            if !self.kept.iter().any(|kept| canonical(kept) == canonical(&new)) {
                self.kept.push(new);
            }
        }
    }
}

fn read<'p>(statement: &Value, providers: &[(&'p str, &Issuer)]) -> Option<(WebIdentity, &'p str)> {
    providers.iter().find_map(|(provider, issuer)| {
        let identity = web_identity(statement, provider, issuer)?;
        Some((identity, *provider))
    })
}

/// Writes other subjects into a statement that is only about web identities.
fn set_subjects(statement: &mut Value, subjects: &[&Subject]) {
    let operators = statement.get_mut("Condition").and_then(Value::as_object_mut);
    for keys in operators.into_iter().flat_map(|operators| operators.values_mut()) {
        for (key, value) in keys.as_object_mut().into_iter().flatten() {
            if key.to_ascii_lowercase().ends_with(":sub") {
                *value = match subjects {
                    [only] => only.text.clone().into(),
                    many => many.iter().map(|subject| Value::from(subject.text.clone())).collect(),
                };
            }
        }
    }
}

/// One statement for all exact subjects of ours of an issuer, where the first of them stood.
fn joined(kept: Vec<Value>, providers: &[(&str, &Issuer)], owned: &[Owner]) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let mut places: Vec<(&str, usize, Vec<Subject>)> = Vec::new();
    for statement in kept {
        let ours = read(&statement, providers).filter(|(identity, provider)| {
            let is_ours = |subject: &Subject| {
                !subject.is_pattern && owned.iter().any(|owner| owns(owner, provider, subject, None))
            };
            identity.has_audience && !identity.subjects.is_empty() && identity.subjects.iter().all(is_ours)
        });
        let Some((identity, provider)) = ours else {
            all.push(statement);
            continue;
        };
        match places.iter_mut().find(|(known, ..)| *known == provider) {
            Some((_, _, subjects)) => subjects.extend(identity.subjects),
            None => {
                places.push((provider, all.len(), identity.subjects));
                all.push(statement);
            }
        }
    }
    for (_, at, subjects) in &mut places {
        subjects.sort();
        subjects.dedup();
        let subjects: Vec<&Subject> = subjects.iter().collect();
        if let Some(statement) = all.get_mut(*at) {
            set_subjects(statement, &subjects);
        }
    }
    all
}

/// The subjects of an issuer that a trust policy names.
pub(crate) fn subjects(text: &str, provider: &str, issuer: &Issuer) -> Vec<Subject> {
    let statements = object(text).map(|document| statements(&document)).unwrap_or_default();
    let read = statements
        .iter()
        .filter_map(|statement| web_identity(statement, provider, issuer));
    read.flat_map(|identity| identity.subjects).collect()
}

/// The subjects of an account that a trust policy names, with the audience: the account itself, or patterns of its own.
pub(crate) fn subjects_of(text: &str, owner: &Owner) -> Vec<Subject> {
    let statements = object(text).map(|document| statements(&document)).unwrap_or_default();
    let mut subjects = Vec::new();
    for identity in statements
        .iter()
        .filter_map(|statement| web_identity(statement, &owner.provider, &owner.issuer))
        .filter(|identity| identity.has_audience)
    {
        let sid = identity.sid.as_deref();
        let own = identity
            .subjects
            .iter()
            .filter(|subject| owns(owner, &owner.provider, subject, sid));
        subjects.extend(own.cloned());
    }
    subjects.sort();
    subjects.dedup();
    subjects
}

/// The subjects of an issuer that a trust policy names, each with its statement's `Sid`.
pub(crate) fn signed_subjects(text: &str, provider: &str, issuer: &Issuer) -> Vec<(Subject, Option<String>)> {
    let statements = object(text).map(|document| statements(&document)).unwrap_or_default();
    let read = statements
        .iter()
        .filter_map(|statement| web_identity(statement, provider, issuer));
    read.flat_map(|identity| {
        let sid = identity.sid;
        identity.subjects.into_iter().map(move |subject| (subject, sid.clone()))
    })
    .collect()
}

/// A hash of what a trust policy says without certain accounts: by it a role that was somebody else's is known again.
pub(crate) fn rest(text: &str, owned: &[Owner]) -> Option<String> {
    let rest = merge(Some(text), &[], owned, usize::MAX)?;
    let statements = object(&rest.text)
        .map(|document| statements(&document))
        .unwrap_or_default();
    let mut texts = texts(&statements);
    texts.sort();
    Some(base32(&texts.join("\n"), 10))
}

/// What a plan says of a trust policy that IAM would not take.
pub(crate) fn gone_message(role: &str, principal: &str) -> String {
    format!("the trust policy of role `{role}` names `{principal}`, which is gone, and IAM takes no new one that does")
}

/// What to do about it.
pub(crate) const GONE_HELP: &str = "take that principal out of the role's trust policy first";

/// A principal that IAM shows by its unique id, as it does when the user or role has been deleted.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles>.
pub(crate) fn gone_principal(text: &str) -> Option<String> {
    let is_id = |text: &&str| {
        let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        ["AIDA", "AROA"].iter().any(|prefix| text.starts_with(prefix))
            && text.len() >= 16
            && text.bytes().all(is_letter)
    };
    for statement in statements(&object(text)?) {
        for element in ["Principal", "NotPrincipal"] {
            let principals = match statement.get(element).and_then(|types| types.get("AWS")) {
                Some(Value::String(one)) => vec![one.as_str()],
                Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
                _ => continue,
            };
            if let Some(gone) = principals.into_iter().find(is_id) {
                return Some(gone.to_owned());
            }
        }
    }
    None
}

/// Whether two trust policies say the same, statement by statement: IAM may write lists, accounts and blanks otherwise than
/// it was sent them.
#[must_use]
pub fn is_same_trust(one: &str, other: &str) -> bool {
    let all = |text: &str| {
        let document = object(text)?;
        let version = document.get("Version").cloned();
        let mut texts: Vec<String> = statements(&document)
            .iter()
            .map(|statement| canonical(&with_plain_accounts(statement)).to_string())
            .collect();
        texts.sort();
        Some((version, texts))
    };
    one == other || matches!((all(one), all(other)), (Some(one), Some(other)) if one == other)
}

/// A statement with accounts as numbers: IAM makes ARNs of them.
fn with_plain_accounts(statement: &Value) -> Value {
    let mut statement = statement.clone();
    let plain = |value: &mut Value| {
        let account = value
            .as_str()
            .and_then(|text| text.strip_suffix(":root"))
            .and_then(|text| text.rsplit_once(":iam::"))
            .map(|(_, account)| account.to_owned());
        if let Some(account) = account {
            *value = account.into();
        }
    };
    for element in ["Principal", "NotPrincipal"] {
        match statement.get_mut(element).and_then(|types| types.get_mut("AWS")) {
            Some(Value::Array(all)) => all.iter_mut().for_each(plain),
            Some(one) => plain(one),
            None => {}
        }
    }
    statement
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
    let is_signed = identity.sid.as_deref().is_some_and(|sid| sid.starts_with("irsa"));
    let (mut has_subject, mut has_audience) = (false, false);
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
                // Both must hold, which is not for here either.
                "aud" if has_audience => return None,
                "aud" => {
                    has_audience = true;
                    identity.has_audience = values == [AUDIENCE];
                }
                // Both must hold: which subjects that are is not for here.
                "sub" if has_subject => return None,
                "sub" => {
                    has_subject = true;
                    identity.subjects = values
                        .iter()
                        .map(|text| Subject {
                            text: (*text).to_owned(),
                            // Without a wildcard it is one only if we wrote it as one.
                            is_pattern: is_like && (text.contains(['*', '?']) || is_signed),
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
            account: match text.split_once(':').filter(|_| !text.contains('*')) {
                Some((namespace, name)) => ServiceAccountName::new(namespace, name),
                None => ServiceAccountName::new("apps", "x"),
            },
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
        let merged = merge(None, &[trusted("a", "apps:x")], &[owner("a", "apps:x")], 2048).unwrap();
        assert_eq!(
            merged.text,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/issuer.example/a"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"issuer.example/a:aud":"sts.amazonaws.com","issuer.example/a:sub":"system:serviceaccount:apps:x"}}}]}"#
        );
        irsa_policy::validate::document(irsa_policy::PolicyKind::Trust, &merged.text).unwrap();
        let again = merge(
            Some(&merged.text),
            &[trusted("a", "apps:x")],
            &[owner("a", "apps:x")],
            2048,
        )
        .unwrap();
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
        let merged = merge(Some(&old), &[trusted("a", "apps:x")], &[owner("a", "apps:x")], 2048).unwrap();
        assert_eq!((merged.added.len(), merged.removed.len(), merged.foreign), (1, 0, 4));
        for kept in [foreign, &other, &old_cluster, &hardened, r#""Id":"i""#] {
            assert!(merged.text.contains(kept), "{kept}");
        }
        let gone = merge(Some(&merged.text), &[], &[owner("a", "apps:x")], 2048).unwrap();
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
            let merged = merge(Some(&old), &[trusted("a", "apps:x")], &[owner("a", "apps:x")], 2048).unwrap();
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
    fn one_subject_of_several_goes_and_the_others_stay() {
        let single = statement(&trusted("a", "apps:x")).to_string();
        let both = single.replace(
            r#""system:serviceaccount:apps:x""#,
            r#"["system:serviceaccount:apps:x","system:serviceaccount:apps:y"]"#,
        );
        let old = format!(r#"{{"Version":"2012-10-17","Statement":[{both}]}}"#);
        let kept = merge(Some(&old), &[trusted("a", "apps:x")], &[owner("a", "apps:x")], 2048).unwrap();
        assert!(!kept.is_changed());
        let gone = merge(Some(&old), &[], &[owner("a", "apps:x")], 2048).unwrap();
        assert_eq!(
            gone.text,
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
                statement(&trusted("a", "apps:y"))
            )
        );
        assert_eq!((gone.removed.len(), gone.added.len()), (1, 1));
    }

    #[test]
    fn what_has_no_room_is_joined_and_stays_so() {
        let names: Vec<String> = (0..9).map(|number| format!("apps:account-{number}")).collect();
        let wanted: Vec<Trusted> = names.iter().map(|name| trusted("a", name)).collect();
        let owners: Vec<Owner> = names.iter().map(|name| owner("a", name)).collect();
        let loose = merge(None, &wanted, &owners, 8192).unwrap();
        assert_eq!(loose.count, 9);
        let tight = merge(Some(&loose.text), &wanted, &owners, 2048).unwrap();
        assert_eq!((tight.count, tight.removed.len(), tight.added.len()), (1, 9, 1));
        irsa_policy::validate::document(irsa_policy::PolicyKind::Trust, &tight.text).unwrap();
        assert!(wanted.iter().all(|one| trusts(&tight.text, one)));
        for quota in [2048, 8192] {
            assert!(!merge(Some(&tight.text), &wanted, &owners, quota).unwrap().is_changed());
        }
        let fewer = merge(Some(&tight.text), &wanted[1..], &owners, 2048).unwrap();
        assert!(!trusts(&fewer.text, &wanted[0]) && trusts(&fewer.text, &wanted[1]));
    }

    proptest::proptest! {
        #[test]
        fn no_document_makes_it_panic(text in r#"\{("Statement":)?[\[\]{}:,"a-c]{0,40}\}"#) {
            let _ = merge(Some(&text), &[trusted("a", "apps:x")], &[owner("a", "apps:x")], 10);
        }
    }

    #[test]
    fn a_statement_for_everybody_is_seen() {
        let open = r#"{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/issuer.example/a"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"issuer.example/a:aud":"sts.amazonaws.com"}}}"#;
        let old = format!(r#"{{"Version":"2012-10-17","Statement":{open}}}"#);
        let merged = merge(Some(&old), &[trusted("a", "apps:x")], &[owner("a", "apps:x")], 2048).unwrap();
        assert_eq!(merged.open.len(), 1);
        assert!(merged.text.contains(open));
        assert_eq!(merge(Some("[]"), &[], &[], 2048), None);
    }

    #[test]
    fn what_iam_writes_otherwise_is_the_same() {
        let right = merge(None, &[trusted("a", "apps:x")], &[owner("a", "apps:x")], 2048)
            .unwrap()
            .text;
        let with = |principal: &str| {
            right.replace(
                r#""Statement":["#,
                &format!(
                    r#""Statement":[{{"Effect":"Allow","Principal":{{"AWS":{principal}}},"Action":"sts:AssumeRole"}},"#
                ),
            )
        };
        let (one, other) = (with(r#""111122223333""#), with(r#"["arn:aws:iam::111122223333:root"]"#));
        assert!(is_same_trust(&one, &other));
        assert!(!is_same_trust(&one, &with(r#""444455556666""#)));
        assert!(!is_same_trust(&one, &right) && !is_same_trust("x", &right));
        let listed = right.replace(
            r#""sts:AssumeRoleWithWebIdentity""#,
            r#"[ "sts:AssumeRoleWithWebIdentity" ]"#,
        );
        assert!(is_same_trust(&right, &listed));
    }

    #[test]
    fn two_conditions_on_the_audience_are_not_ours_to_read() {
        let right = statement(&trusted("a", "apps:x")).to_string();
        let twice = right.replace(
            r#""Condition":{"#,
            r#""Condition":{"StringLike":{"issuer.example/a:aud":"other"},"#,
        );
        let old = format!(r#"{{"Version":"2012-10-17","Statement":[{twice}]}}"#);
        assert!(!trusts(&old, &trusted("a", "apps:x")));
        let merged = merge(Some(&old), &[trusted("a", "apps:x")], &[owner("a", "apps:x")], 2048).unwrap();
        assert_eq!((merged.added.len(), merged.removed.len(), merged.foreign), (1, 0, 1));
    }
}
