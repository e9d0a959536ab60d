//! A server in one hand: a state, a store that checks what transactions expect, and somebody who calls.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use irsa_core::{AccessKeyId, AccountId, Timestamp};
use irsa_credentials::{KeyEncryptionKey, Session, SessionPrincipal};
use irsa_iam::{Answer, Call, Caller, Execution, Outcome, Quotas, Random, RequestFacts, State, authorize, new_account};
use irsa_store::{Compare, Transaction, Write};
use irsa_wire::{Params, WireError};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const NOW: i64 = 1_789_000_000;

/// Trusts the account itself.
pub(crate) const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]}"#;
/// Allows reading objects.
pub(crate) const READ: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

/// A policy that allows an action everywhere.
pub(crate) fn allow(action: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#)
}

/// A policy with one statement of the caller's making.
pub(crate) fn policy(statement: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#)
}

#[derive(Default)]
struct Counter(AtomicU8);

impl Random for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

pub(crate) struct Server {
    pub(crate) state: State,
    pub(crate) quotas: Quotas,
    pub(crate) allow_issuer_ports: bool,
    pub(crate) caller: Caller,
    pub(crate) now: Timestamp,
    entries: BTreeMap<String, (Vec<u8>, u64)>,
    revision: u64,
    kek: KeyEncryptionKey,
    random: Counter,
}

impl Server {
    /// An account, called by its root, with the quotas of a new AWS account.
    pub(crate) fn new() -> Self {
        let kek = Self::kek();
        let now = Timestamp::from_unix_seconds(NOW);
        let account = new_account(account_id(ACCOUNT), "main", now, [0xee; 5], &kek).unwrap();
        let mut state = State::default();
        for (key, value) in puts(&account.transaction) {
            state.apply(&key, Some(&value), 1, &kek).unwrap();
        }
        let caller = Caller::of_access_key(&state, state.access_key(&account.access_key_id).unwrap()).unwrap();
        let entries = puts(&account.transaction)
            .map(|(key, value)| (key, (value, 1)))
            .collect();
        Self {
            state,
            quotas: Quotas::aws_default(),
            allow_issuer_ports: false,
            caller,
            now,
            entries,
            revision: 1,
            kek,
            random: Counter::default(),
        }
    }

    /// The key-encryption key of every server here.
    pub(crate) fn kek() -> KeyEncryptionKey {
        KeyEncryptionKey::from_bytes([7; 32])
    }

    /// Another account on the same server; gives back its root.
    pub(crate) fn add_account(&mut self, id: &str) -> Caller {
        let account = new_account(account_id(id), "other", self.now, [0xef; 5], &self.kek).unwrap();
        self.commit(&account.transaction).unwrap();
        Caller::of_access_key(&self.state, self.state.access_key(&account.access_key_id).unwrap()).unwrap()
    }

    /// The targets are asked for, the operation runs, its transaction is committed; gives back the result's XML.
    pub(crate) fn call(&mut self, action: &str, params: &[(&str, &str)]) -> Result<String, WireError> {
        self.answer(action, params)
            .map(|answer| answer.result.unwrap_or_default())
    }

    /// As [`Server::call`], for calls that must succeed.
    #[track_caller]
    pub(crate) fn ok(&mut self, action: &str, params: &[(&str, &str)]) -> String {
        self.call(action, params)
            .unwrap_or_else(|error| panic!("{action} {params:?}: {error}"))
    }

    /// The error of a call as `code status: message`.
    #[track_caller]
    pub(crate) fn error(&mut self, action: &str, params: &[(&str, &str)]) -> String {
        match self.call(action, params) {
            Ok(answer) => panic!("{action} {params:?} succeeded: {answer}"),
            Err(error) => format!("{} {}: {}", error.code, error.status, error.message),
        }
    }

    pub(crate) fn answer(&mut self, action: &str, params: &[(&str, &str)]) -> Result<Answer, WireError> {
        let outcome = self.outcome(action, params)?;
        self.commit(&outcome.transaction)
            .unwrap_or_else(|compare| panic!("{action}: {compare:?} does not hold"));
        Ok(outcome.answer)
    }

    /// What a call wants, without committing it.
    pub(crate) fn outcome(&self, action: &str, params: &[(&str, &str)]) -> Result<Outcome, WireError> {
        let call = call(action, params)?;
        assert!(!call.targets(&self.state, &self.caller)?.is_empty());
        Ok(call.run(&self.execution())?)
    }

    /// The first refusal of the call's questions, if there is one.
    pub(crate) fn refusal(&self, caller: &Caller, action: &str, params: &[(&str, &str)]) -> Option<String> {
        let targets = call(action, params)
            .and_then(|call| Ok(call.targets(&self.state, caller)?))
            .unwrap();
        let facts = RequestFacts {
            source_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            secure_transport: true,
            user_agent: "test",
            referer: None,
            region: "us-east-1",
            now: self.now,
        };
        targets
            .iter()
            .find_map(|target| authorize(&self.state, caller, &facts, target, None).refusal(caller, target))
            .map(|error| {
                assert_eq!((error.code.as_ref(), error.status), ("AccessDenied", 403));
                error.message
            })
    }

    pub(crate) fn execution(&self) -> Execution<'_> {
        Execution {
            state: &self.state,
            caller: &self.caller,
            now: self.now,
            random: &self.random,
            quotas: &self.quotas,
            kek: &self.kek,
            allow_issuer_ports: self.allow_issuer_ports,
        }
    }

    /// What a store does: all compares hold, or nothing is written.
    pub(crate) fn commit(&mut self, transaction: &Transaction) -> Result<(), Compare> {
        transaction.check().unwrap();
        let holds = |compare: &&Compare| match compare {
            Compare::ModifiedAt { key, revision } => {
                self.entries.get(key).is_some_and(|(_, modified)| modified == revision)
            }
            Compare::Absent { key } => !self.entries.contains_key(key),
            Compare::Present { key } => self.entries.contains_key(key),
            Compare::PrefixEmpty { prefix } => !self.entries.keys().any(|key| key.starts_with(prefix)),
        };
        if let Some(failed) = transaction.compares.iter().find(|compare| !holds(compare)) {
            return Err(failed.clone());
        }
        self.revision += 1;
        for write in &transaction.writes {
            match write {
                Write::Put { key, value } => {
                    self.entries.insert(key.clone(), (value.to_vec(), self.revision));
                    self.state.apply(key, Some(value), self.revision, &self.kek).unwrap();
                }
                Write::Delete { key } => {
                    self.entries.remove(key);
                    self.state.apply(key, None, self.revision, &self.kek).unwrap();
                }
            }
        }
        Ok(())
    }

    /// The keys of the store.
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    /// The keys and values of the store.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries
            .iter()
            .map(|(key, (value, _))| (key.as_str(), value.as_slice()))
    }

    /// Everything that the store holds, as text.
    pub(crate) fn dump(&self) -> String {
        self.entries
            .values()
            .map(|(value, _)| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    /// A caller with a user's long-term key, which is made if the user has none.
    pub(crate) fn user(&mut self, name: &str) -> Caller {
        let answer = self.ok("CreateAccessKey", &[("UserName", name)]);
        let id: AccessKeyId = text(&answer, "AccessKeyId").parse().unwrap();
        Caller::of_access_key(&self.state, self.state.access_key(&id).unwrap()).unwrap()
    }

    /// A caller with a session of a role.
    pub(crate) fn role_session(&self, name: &str) -> Caller {
        let account = account_id(ACCOUNT);
        let role = self.state.account(account).unwrap().role(name).unwrap();
        let session = Session {
            account,
            principal: SessionPrincipal::Role {
                role_name: role.record.name.clone(),
                role_path: role.record.path.clone(),
                role_id: role.record.id.clone(),
                session_name: "s1".to_owned(),
            },
            issued_at: self.now,
            expires_at: self.now.plus_seconds(3600),
            source_identity: None,
            tags: Vec::new(),
            transitive_tag_keys: Vec::new(),
            session_policy: None,
            session_policy_arns: Vec::new(),
            federated: None,
            mfa: false,
            chained: false,
        };
        Caller::of_session(
            &self.state,
            AccessKeyId::temporary(account, [9; 5]),
            Arc::new(session),
            self.now,
        )
        .unwrap()
    }
}

pub(crate) fn account_id(id: &str) -> AccountId {
    id.parse().unwrap()
}

pub(crate) fn call(action: &str, params: &[(&str, &str)]) -> Result<Call, WireError> {
    let head = [("Action", action), ("Version", "2010-05-08")];
    Call::new(Params::from_pairs(head.iter().chain(params).copied()))
}

/// The text of the first element of a name.
#[track_caller]
pub(crate) fn text<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("no <{name}> in {xml}"));
    rest.split_once(&format!("</{name}>")).unwrap().0
}

/// The texts of all elements of a name.
pub(crate) fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open)
        .skip(1)
        .map(|rest| rest.split_once(&close).unwrap().0.to_owned())
        .collect()
}

/// One element a line, for snapshots.
pub(crate) fn lines(xml: &str) -> String {
    xml.replace("><", ">\n<")
}

fn puts(transaction: &Transaction) -> impl Iterator<Item = (String, Vec<u8>)> {
    transaction.writes.iter().filter_map(|write| match write {
        Write::Put { key, value } => Some((key.clone(), value.to_vec())),
        Write::Delete { .. } => None,
    })
}
