//! A server in one hand: two accounts, a store that checks what transactions expect, and a clock that stands still.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};

use irsa_core::{AccountId, Timestamp};
use irsa_credentials::KeyEncryptionKey;
use irsa_eks::{Call, Execution, Outcome, State};
use irsa_iam::{Caller, Quotas, Random, RequestFacts, authorize, new_account};
use irsa_oidc::{NewIssuer, new_hosted_issuer};
use irsa_store::{Compare, Transaction, Write};
use irsa_token::{Algorithm, SigningKey};
use irsa_wire::{Params, WireError};
use serde_json::{Value, json};

pub(crate) const MAIN: &str = "111122223333";
pub(crate) const OTHER: &str = "444455556666";
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const NOW: i64 = 1_789_000_000;

#[derive(Default)]
struct Counter(AtomicU8);

impl Random for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

pub(crate) struct World {
    pub(crate) clusters: State,
    pub(crate) oidc: irsa_oidc::State,
    pub(crate) iam: irsa_iam::State,
    pub(crate) caller: Caller,
    pub(crate) region: String,
    entries: BTreeMap<String, u64>,
    revision: u64,
    now: Timestamp,
    kek: KeyEncryptionKey,
    random: Counter,
}

impl World {
    /// Two accounts; the first one's root calls.
    pub(crate) fn new() -> Self {
        let kek = KeyEncryptionKey::from_bytes([7; 32]);
        let now = Timestamp::from_unix_seconds(NOW);
        let mut iam = irsa_iam::State::default();
        let mut keys = Vec::new();
        for (account, random) in [(MAIN, [1; 5]), (OTHER, [2; 5])] {
            let made = new_account(account.parse().unwrap(), "test", now, random, &kek).unwrap();
            for write in &made.transaction.writes {
                if let Write::Put { key, value } = write {
                    iam.apply(key, Some(value), 1, &kek).unwrap();
                }
            }
            keys.push(made.access_key_id);
        }
        let caller = Caller::of_access_key(&iam, iam.access_key(&keys[0]).unwrap()).unwrap();
        Self {
            clusters: State::default(),
            oidc: irsa_oidc::State::default(),
            iam,
            caller,
            region: REGION.to_owned(),
            entries: BTreeMap::new(),
            revision: 0,
            now,
            kek,
            random: Counter::default(),
        }
    }

    /// The root of the other account.
    pub(crate) fn stranger(&self) -> Caller {
        let key = irsa_core::AccessKeyId::long_term(OTHER.parse().unwrap(), [2; 5]);
        Caller::of_access_key(&self.iam, self.iam.access_key(&key).unwrap()).unwrap()
    }

    /// A user of the first account with one policy.
    pub(crate) fn user(&mut self, name: &str, statement: &Value) -> Caller {
        let document = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
        self.iam_call("CreateUser", &[("UserName", name)]);
        self.iam_call(
            "PutUserPolicy",
            &[("UserName", name), ("PolicyName", "p"), ("PolicyDocument", &document)],
        );
        let answer = self.iam_call("CreateAccessKey", &[("UserName", name)]);
        let (_, rest) = answer.split_once("<AccessKeyId>").unwrap();
        let key = rest.split_once('<').unwrap().0.parse().unwrap();
        Caller::of_access_key(&self.iam, self.iam.access_key(&key).unwrap()).unwrap()
    }

    fn iam_call(&mut self, action: &str, params: &[(&str, &str)]) -> String {
        let params = Params::from_pairs([("Action", action)].iter().chain(params).copied());
        let execution = irsa_iam::Execution {
            state: &self.iam,
            caller: &self.caller,
            now: self.now,
            random: &self.random,
            quotas: &Quotas::aws_default(),
            kek: &self.kek,
            allow_issuer_ports: true,
        };
        let outcome = irsa_iam::Call::new(params).unwrap().run(&execution).unwrap();
        for write in &outcome.transaction.writes {
            let (key, value) = parts(write);
            self.iam.apply(key, value, 2, &self.kek).unwrap();
        }
        outcome.answer.result.unwrap_or_default()
    }

    /// What a call wants, without committing it; with the issuer that was made for it.
    pub(crate) fn outcome(&self, call: &Call) -> Result<(Outcome, Option<NewIssuer>), WireError> {
        let new_issuer = call.wants_issuer().then(|| {
            let key = SigningKey::generate(Algorithm::Es256).unwrap();
            new_hosted_issuer("https://localhost:4701", call.cluster_name(), &key, &self.kek, self.now).unwrap()
        });
        let execution = Execution {
            state: &self.clusters,
            caller: &self.caller,
            region: &self.region,
            now: self.now,
            new_issuer: new_issuer.as_ref(),
        };
        let outcome = call.run(&execution)?;
        Ok((outcome, new_issuer))
    }

    /// Runs a request and commits what it wants.
    pub(crate) fn request(&mut self, method: &str, target: &str, body: &Value) -> Result<Value, WireError> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let call = Call::new(method, path, query, body.as_bytes())?;
        assert!(
            !call
                .targets(&self.clusters, self.caller.account, &self.region)
                .is_empty()
        );
        let (outcome, new_issuer) = self.outcome(&call)?;
        let mut transaction = outcome.transaction;
        if let Some(issuer) = &new_issuer {
            transaction = issuer.write_to(transaction);
        }
        assert_eq!(call.spec().read_only, transaction.writes.is_empty());
        self.commit(&transaction)
            .unwrap_or_else(|compare| panic!("{method} {target}: {compare:?} does not hold"));
        Ok(outcome.answer.body)
    }

    #[track_caller]
    pub(crate) fn ok(&mut self, method: &str, target: &str, body: &Value) -> Value {
        self.request(method, target, body)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }

    /// The error of a request as `code status: message`.
    #[track_caller]
    pub(crate) fn error(&mut self, method: &str, target: &str, body: &Value) -> String {
        match self.request(method, target, body) {
            Ok(answer) => panic!("{method} {target} succeeded: {answer}"),
            Err(error) => format!("{} {}: {}", error.code, error.status, error.message),
        }
    }

    /// Makes a cluster with an issuer of ours.
    #[track_caller]
    pub(crate) fn create(&mut self, name: &str) -> Value {
        self.ok("POST", "/clusters", &json!({ "name": name }))["cluster"].clone()
    }

    /// What a store does: all compares hold, or nothing is written.
    pub(crate) fn commit(&mut self, transaction: &Transaction) -> Result<(), Compare> {
        transaction.check().unwrap();
        let holds = |compare: &&Compare| match compare {
            Compare::ModifiedAt { key, revision } => self.entries.get(key) == Some(revision),
            Compare::Absent { key } => !self.entries.contains_key(key),
            Compare::Present { key } => self.entries.contains_key(key),
            Compare::PrefixEmpty { prefix } => !self.entries.keys().any(|key| key.starts_with(prefix)),
        };
        if let Some(failed) = transaction.compares.iter().find(|compare| !holds(compare)) {
            return Err(failed.clone());
        }
        self.revision += 1;
        for write in &transaction.writes {
            let (key, value) = parts(write);
            match value {
                Some(_) => drop(self.entries.insert(key.to_owned(), self.revision)),
                None => drop(self.entries.remove(key)),
            }
            if State::owns(key) {
                self.clusters.apply(key, value, self.revision).unwrap();
            } else {
                self.oidc.apply(key, value, &self.kek).unwrap();
            }
        }
        Ok(())
    }

    /// The keys of the store.
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    /// The first refusal of the call's questions, if there is one.
    pub(crate) fn refusal(&self, caller: &Caller, method: &str, target: &str, body: &Value) -> Option<String> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let call = Call::new(method, path, query, body.to_string().as_bytes()).unwrap();
        let facts = RequestFacts {
            source_ip: [192, 0, 2, 1].into(),
            secure_transport: true,
            user_agent: "",
            referer: None,
            region: &self.region,
            now: self.now,
        };
        let account: AccountId = caller.account;
        call.targets(&self.clusters, account, &self.region)
            .iter()
            .find_map(|target| authorize(&self.iam, caller, &facts, target, None).refusal(caller, target))
            .map(|error| error.message)
    }
}

/// The key set that belongs to a signing key.
pub(crate) fn key_set() -> Value {
    SigningKey::jwk_set(&[&SigningKey::generate(Algorithm::Es256).unwrap()])
}

fn parts(write: &Write) -> (&str, Option<&[u8]>) {
    match write {
        Write::Put { key, value } => (key, Some(value.as_ref())),
        Write::Delete { key } => (key, None),
    }
}
