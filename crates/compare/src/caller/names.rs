//! Callers that the names in principals tell apart.

use std::collections::{BTreeMap, BTreeSet};

use irsa_core::AccountId;
use irsa_policy::PolicyKind;

use super::{ACCOUNT, Caller, ROLE_ID, USER_ID};
use crate::document::Statement;

/// How many callers are looked at.
const MANY: usize = 4096;

/// One caller of every kind that the names tell apart, strangers first.
pub(super) fn enumerate(statements: &[&Statement], kind: PolicyKind) -> Callers {
    let mut names = Names::default();
    for (name, value) in statements.iter().flat_map(|statement| &statement.principals) {
        names.add(name, value);
    }
    let fresh = names.fresh("example");
    let mut callers = Callers::default();
    names.strangers(kind, &fresh, &mut callers);
    // A stranger's account may own what is named by its id.
    let others = names.stranger().filter(|_| !names.ids.is_empty());
    for account in names.accounts.iter().chain(&others) {
        if callers.is_full {
            break;
        }
        callers.push(Caller::Root { account: *account });
        names.users(*account, &fresh, &mut callers);
        names.roles(*account, &fresh, &mut callers);
    }
    for provider in names.providers.iter().cloned() {
        callers.push(if provider.contains(":saml-provider/") {
            Caller::Saml { provider }
        } else {
            Caller::WebIdentity { provider }
        });
    }
    names.services(&mut callers);
    if kind == PolicyKind::Trust {
        callers.push(Caller::Anonymous);
    }
    callers
}

/// The callers that are looked at.
#[derive(Default)]
pub(super) struct Callers {
    pub(super) all: Vec<Caller>,
    /// There are more.
    pub(super) is_full: bool,
}

impl Callers {
    fn push(&mut self, caller: Caller) {
        if self.all.len() < MANY {
            self.all.push(caller);
        } else {
            self.is_full = true;
        }
    }
}

/// What the principals of the policies name.
#[derive(Default)]
struct Names {
    accounts: BTreeSet<AccountId>,
    users: BTreeSet<(AccountId, String)>,
    roles: BTreeSet<(AccountId, String)>,
    sessions: BTreeSet<(AccountId, String)>,
    federated_users: BTreeSet<(AccountId, String)>,
    ids: BTreeSet<String>,
    services: BTreeSet<String>,
    providers: BTreeSet<String>,
    texts: BTreeSet<String>,
}

impl Names {
    fn add(&mut self, name: &str, value: &str) {
        self.texts.insert(value.to_owned());
        if value == "*" {
            return;
        }
        match name {
            "Service" => {
                self.services.insert(value.to_owned());
            }
            "Federated" => {
                self.providers.insert(value.to_owned());
            }
            "AWS" if value.starts_with("arn:") => {
                let mut fields = value.splitn(6, ':').skip(4);
                let account = fields.next().and_then(|account| account.parse().ok());
                let resource = fields.next().unwrap_or_default();
                // An ARN that is in no account may still be somebody's.
                let Some(account) = account.or_else(|| ACCOUNT.parse().ok()) else {
                    return;
                };
                self.accounts.insert(account);
                let set = if resource.starts_with("role/") {
                    &mut self.roles
                } else if resource.starts_with("assumed-role/") {
                    &mut self.sessions
                } else if resource.starts_with("federated-user/") {
                    &mut self.federated_users
                } else if resource == "root" {
                    return;
                } else {
                    &mut self.users
                };
                set.insert((account, value.to_owned()));
            }
            "AWS" => match value.parse() {
                Ok(account) => {
                    self.accounts.insert(account);
                }
                Err(_) => {
                    // An id may belong to any account, named or not.
                    self.ids.insert(value.to_owned());
                }
            },
            _ => {}
        }
    }

    /// A word that no principal contains.
    fn fresh(&self, word: &str) -> String {
        const TRIES: u32 = 32;
        let is_fresh = |candidate: &String| !self.texts.iter().any(|text| text.contains(candidate));
        std::iter::once(word.to_owned())
            .chain((2..TRIES).map(|number| format!("{word}-{number}")))
            .find(is_fresh)
            .unwrap_or_else(|| {
                let longest = self.texts.iter().map(String::len).max().unwrap_or_default();
                format!("{word}-{}", "x".repeat(longest))
            })
    }

    fn users(&self, account: AccountId, fresh: &str, callers: &mut Callers) {
        let of = |set: &BTreeSet<(AccountId, String)>, new: String| -> Vec<String> {
            let named = set
                .iter()
                .filter(|(owner, _)| *owner == account)
                .map(|(_, arn)| arn.clone());
            std::iter::once(new).chain(named).collect()
        };
        let unique_ids = self.ids_but("AROA", USER_ID);
        let federated = of(
            &self.federated_users,
            format!("arn:aws:sts::{account}:federated-user/{fresh}"),
        );
        for arn in of(&self.users, format!("arn:aws:iam::{account}:user/{fresh}")) {
            for unique_id in &unique_ids {
                callers.push(Caller::User {
                    arn: arn.clone(),
                    unique_id: unique_id.clone(),
                    account,
                });
            }
            for federated in &federated {
                callers.push(Caller::FederatedUser {
                    arn: federated.clone(),
                    user_arn: arn.clone(),
                    account,
                });
            }
            if callers.is_full {
                return;
            }
        }
    }

    fn roles(&self, account: AccountId, fresh: &str, callers: &mut Callers) {
        let mine = |set: &'_ BTreeSet<(AccountId, String)>| -> Vec<String> {
            set.iter()
                .filter(|(owner, _)| *owner == account)
                .map(|(_, arn)| arn.clone())
                .collect()
        };
        let unique_ids = self.ids_but("AIDA", ROLE_ID);
        let fresh_session = self.fresh("session");
        let sessions = mine(&self.sessions);
        // A session that is named has a role, named or not, under any path.
        let implied = sessions.iter().flat_map(|arn| {
            let name = arn
                .split(":assumed-role/")
                .nth(1)
                .and_then(|rest| rest.split('/').next());
            name.into_iter().flat_map(|name| {
                ["".to_owned(), format!("{fresh}/")].map(|path| format!("arn:aws:iam::{account}:role/{path}{name}"))
            })
        });
        let new = std::iter::once(format!("arn:aws:iam::{account}:role/{fresh}"));
        let arns: BTreeSet<String> = new.chain(mine(&self.roles)).chain(implied).collect();
        for role_arn in arns {
            let name = role_arn.rsplit('/').next().unwrap_or_default();
            let prefix = format!(":assumed-role/{name}/");
            let named = sessions.iter().filter(|arn| arn.contains(&prefix)).cloned();
            let new = format!("arn:aws:sts::{account}{prefix}{fresh_session}");
            for session_arn in std::iter::once(new).chain(named) {
                for role_unique_id in &unique_ids {
                    callers.push(Caller::RoleSession {
                        session_arn: session_arn.clone(),
                        role_arn: role_arn.clone(),
                        role_unique_id: role_unique_id.clone(),
                        account,
                    });
                }
            }
            if callers.is_full {
                return;
            }
        }
    }

    /// An id that is not named, and the named ones but for those of the other kind.
    fn ids_but(&self, other: &str, usual: &str) -> Vec<String> {
        let named = self.ids.iter().filter(|id| !id.starts_with(other)).cloned();
        std::iter::once(self.fresh(usual)).chain(named).collect()
    }

    /// An account that no policy names.
    fn stranger(&self) -> Option<AccountId> {
        ["444455556666", "777788889999", "123456789012"]
            .iter()
            .filter_map(|text| text.parse().ok())
            .chain((1..=u64::MAX).filter_map(AccountId::from_number))
            .find(|account| !self.accounts.contains(account))
    }

    /// Callers that no policy names.
    fn strangers(&self, kind: PolicyKind, fresh: &str, callers: &mut Callers) {
        if kind != PolicyKind::Trust {
            callers.push(Caller::Anonymous);
        }
        if let Some(account) = self.stranger() {
            callers.push(Caller::User {
                arn: format!("arn:aws:iam::{account}:user/{fresh}"),
                unique_id: self.fresh(USER_ID),
                account,
            });
            callers.push(Caller::RoleSession {
                session_arn: format!("arn:aws:sts::{account}:assumed-role/{fresh}/session"),
                role_arn: format!("arn:aws:iam::{account}:role/{fresh}"),
                role_unique_id: self.fresh(ROLE_ID),
                account,
            });
            callers.push(Caller::FederatedUser {
                arn: format!("arn:aws:sts::{account}:federated-user/{fresh}"),
                user_arn: format!("arn:aws:iam::{account}:user/{fresh}"),
                account,
            });
            callers.push(Caller::Root { account });
        }
        callers.push(Caller::WebIdentity {
            provider: format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{fresh}.example.com"),
        });
        callers.push(Caller::Service {
            names: vec![format!("{fresh}.amazonaws.com")],
        });
    }

    /// A service goes by one name, or by several that begin with the same label.
    fn services(&self, callers: &mut Callers) {
        const TOGETHER: usize = 6;
        let mut labels: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        for name in &self.services {
            labels
                .entry(name.split('.').next().unwrap_or_default())
                .or_default()
                .push(name);
        }
        for names in labels.into_values() {
            if names.len() > TOGETHER {
                callers.is_full = true;
                for name in names {
                    callers.push(Caller::Service {
                        names: vec![name.clone()],
                    });
                }
                continue;
            }
            for chosen in 1_u32..(1 << names.len()) {
                let chosen = names.iter().enumerate().filter(|(number, _)| chosen >> number & 1 == 1);
                callers.push(Caller::Service {
                    names: chosen.map(|(_, name)| (*name).clone()).collect(),
                });
            }
        }
    }
}
