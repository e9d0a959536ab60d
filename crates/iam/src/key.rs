//! Where records live in the store. Names are looked up without regard to case, so keys hold them in lower case.

use irsa_core::AccountId;

/// The prefix of every key that this crate owns.
pub(crate) const PREFIX: &str = "iam/";

/// A key of this crate, taken apart.
#[derive(Debug, Eq, PartialEq)]
#[expect(clippy::enum_variant_names, reason = "the kind of record is called an access key")]
pub(crate) enum Key<'a> {
    Account(AccountId),
    Role(AccountId, &'a str),
    User(AccountId, &'a str),
    Policy(AccountId, &'a str),
    Provider(AccountId, &'a str),
    AccessKey(AccountId, &'a str),
    /// A managed policy in use: entity kind (`role`, `user`, `role-boundary`, `user-boundary`) and its name. The value
    /// is empty; the key exists so that a policy in use can't be deleted by somebody who doesn't see the use yet.
    Attachment {
        account: AccountId,
        policy: &'a str,
        kind: &'a str,
        name: &'a str,
    },
}

impl<'a> Key<'a> {
    pub(crate) fn parse(key: &'a str) -> Option<Self> {
        let rest = key.strip_prefix(PREFIX)?;
        let (account, rest) = rest.split_once('/')?;
        let account = account.parse().ok()?;
        let (kind, name) = rest.split_once('/').unwrap_or((rest, ""));
        match kind {
            "account" if name.is_empty() => Some(Self::Account(account)),
            "role" => Some(Self::Role(account, name)),
            "user" => Some(Self::User(account, name)),
            "policy" => Some(Self::Policy(account, name)),
            "provider" => Some(Self::Provider(account, name)),
            "access-key" => Some(Self::AccessKey(account, name)),
            "attachment" => {
                let mut parts = name.splitn(3, '/');
                Some(Self::Attachment {
                    account,
                    policy: parts.next()?,
                    kind: parts.next()?,
                    name: parts.next()?,
                })
            }
            _ => None,
        }
    }
}

pub(crate) fn account(account: AccountId) -> String {
    format!("{PREFIX}{account}/account")
}

pub(crate) fn role(account: AccountId, name: &str) -> String {
    format!("{PREFIX}{account}/role/{}", name.to_ascii_lowercase())
}

pub(crate) fn user(account: AccountId, name: &str) -> String {
    format!("{PREFIX}{account}/user/{}", name.to_ascii_lowercase())
}

pub(crate) fn policy(account: AccountId, name: &str) -> String {
    format!("{PREFIX}{account}/policy/{}", name.to_ascii_lowercase())
}

pub(crate) fn provider(account: AccountId, url: &str) -> String {
    format!("{PREFIX}{account}/provider/{url}")
}

pub(crate) fn access_key(account: AccountId, id: &str) -> String {
    format!("{PREFIX}{account}/access-key/{id}")
}

/// All uses of a managed policy.
pub(crate) fn attachments(account: AccountId, policy: &str) -> String {
    format!("{PREFIX}{account}/attachment/{}/", policy.to_ascii_lowercase())
}

/// One use of a managed policy.
pub(crate) fn attachment(account: AccountId, policy: &str, kind: &str, name: &str) -> String {
    format!("{}{kind}/{}", attachments(account, policy), name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let id: AccountId = "111122223333".parse().unwrap();
        assert_eq!(Key::parse(&account(id)), Some(Key::Account(id)));
        assert_eq!(Key::parse(&role(id, "App")), Some(Key::Role(id, "app")));
        assert_eq!(
            Key::parse(&provider(id, "Host/id/A/")),
            Some(Key::Provider(id, "Host/id/A/"))
        );
        assert_eq!(
            Key::parse(&attachment(id, "Read", "role", "App")),
            Some(Key::Attachment {
                account: id,
                policy: "read",
                kind: "role",
                name: "app"
            })
        );
        for bad in [
            "",
            "iam/",
            "iam/1/role/x",
            "iam/111122223333/other/x",
            "s3/111122223333/role/x",
        ] {
            assert_eq!(Key::parse(bad), None, "{bad}");
        }
    }
}
