//! A server in one hand: accounts made by IAM's operations, issuers whose keys were given, a clock that stands still.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use irsa_core::{AccessKeyId, AccountId, Timestamp};
use irsa_credentials::{EpochKey, EpochKeys, KeyEncryptionKey, Session};
use irsa_iam::{Caller, Execution, Quotas, Random, RequestFacts, State, new_account};
use irsa_oidc::{FetchOptions, ProviderUrl, Resolve, Trusted, put_given_keys};
use irsa_store::{Transaction, Write};
use irsa_sts::{Call, Environment, Exchange};
use irsa_wire::{Params, WireError};
use serde_json::{Value, json};

use crate::issuer::{AUDIENCE, Issuer, SUBJECT};

pub(crate) const MAIN: &str = "111122223333";
pub(crate) const OTHER: &str = "444455556666";
pub(crate) const NOW: i64 = 1_789_000_000;
pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/app";
/// Every action that a trust policy may need to allow.
pub(crate) const ALL: &[&str] = &[
    "sts:AssumeRole",
    "sts:AssumeRoleWithWebIdentity",
    "sts:TagSession",
    "sts:SetSourceIdentity",
];
/// What callers of AssumeRoleWithWebIdentity hear whenever the role does not trust them.
pub(crate) const DENIED: &str = "AccessDenied 403: Not authorized to perform sts:AssumeRoleWithWebIdentity";
pub(crate) const NOT_VALIDATED: &str = "InvalidIdentityToken 400: The web identity token provided could not be validated. See the \
                                        AssumeRoleWithWebIdentity documentation for requirements.";
pub(crate) const NO_KEY: &str = "InvalidIdentityToken 400: Couldn't retrieve verification key from your identity provider,  please reference \
                                 AssumeRoleWithWebIdentity documentation for requirements";
pub(crate) const NOT_A_JWT: &str = "InvalidIdentityToken 400: The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";

#[derive(Default)]
struct Counter(AtomicU8);

impl Random for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        buffer.fill(number);
        // Two ids differ in more than one character, as real ones do.
        if let Some(first) = buffer.first_mut() {
            *first = number ^ 0x15;
        }
    }
}

/// No name leads anywhere; what was asked for is counted.
#[derive(Default)]
struct Nowhere(AtomicUsize);

impl Resolve for Nowhere {
    fn resolve<'a>(
        &'a self,
        _: &'a str,
        _: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Err(io::Error::other("no such host")) })
    }
}

pub(crate) struct World {
    pub(crate) iam: State,
    pub(crate) oidc: irsa_oidc::State,
    pub(crate) epoch_keys: EpochKeys,
    pub(crate) kek: KeyEncryptionKey,
    pub(crate) now: Timestamp,
    trusted: Trusted,
    nowhere: Arc<Nowhere>,
    random: Counter,
    revision: u64,
}

/// The token that a call of AssumeRoleWithWebIdentity brings, and everything else that it asks.
pub(crate) type Parameters<'a> = &'a [(&'a str, &'a str)];

impl World {
    /// Two accounts, and nothing in them.
    pub(crate) fn empty() -> Self {
        let nowhere = Arc::new(Nowhere::default());
        let options = FetchOptions {
            system_ca: false,
            resolver: Arc::clone(&nowhere) as Arc<dyn Resolve>,
            ..FetchOptions::default()
        };
        let mut world = Self {
            iam: State::default(),
            oidc: irsa_oidc::State::default(),
            epoch_keys: EpochKeys::new(EpochKey::new(1, &[1; 32]), Vec::new()),
            kek: KeyEncryptionKey::from_bytes([7; 32]),
            now: Timestamp::from_unix_seconds(NOW),
            trusted: Trusted::new(options).unwrap(),
            nowhere,
            random: Counter::default(),
            revision: 0,
        };
        for (account, random) in [(MAIN, [1; 5]), (OTHER, [2; 5])] {
            let account = account.parse().unwrap();
            let made = new_account(account, "test", world.now, random, &world.kek).unwrap();
            world.commit(&made.transaction);
        }
        world
    }

    /// A cluster's issuer with its provider in the main account, and the role `app` with the trust policy of the documents.
    pub(crate) fn new() -> (Self, Issuer) {
        let mut world = Self::empty();
        let issuer = Issuer::new("https://oidc.example/id/A", "key-1");
        world.provider(MAIN, &issuer, &[AUDIENCE]);
        world.give_keys(MAIN, &issuer);
        world.role("app", &trust(&issuer, SUBJECT));
        (world, issuer)
    }

    pub(crate) fn commit(&mut self, transaction: &Transaction) {
        transaction.check().unwrap();
        self.revision += 1;
        for write in &transaction.writes {
            let (key, value) = match write {
                Write::Put { key, value } => (key, Some(value.as_ref())),
                Write::Delete { key } => (key, None),
            };
            if State::owns(key) {
                self.iam.apply(key, value, self.revision, &self.kek).unwrap();
            } else {
                self.oidc.apply(key, value, &self.kek).unwrap();
            }
        }
    }

    /// The root of an account, with its long-term key.
    pub(crate) fn root(&self, account: &str) -> Caller {
        let random = if account == MAIN { [1; 5] } else { [2; 5] };
        self.caller_of_key(&AccessKeyId::long_term(account.parse().unwrap(), random))
    }

    pub(crate) fn caller_of_key(&self, id: &AccessKeyId) -> Caller {
        Caller::of_access_key(&self.iam, self.iam.access_key(id).unwrap()).unwrap()
    }

    /// Runs an IAM operation as an account's root; gives back its XML.
    #[track_caller]
    pub(crate) fn iam(&mut self, account: &str, action: &str, params: Parameters<'_>) -> String {
        let head = [("Action", action), ("Version", "2010-05-08")];
        let params = Params::from_pairs(head.iter().chain(params).copied());
        let caller = self.root(account);
        let execution = Execution {
            state: &self.iam,
            caller: &caller,
            now: self.now,
            random: &self.random,
            quotas: &Quotas::aws_default(),
            kek: &self.kek,
            allow_issuer_ports: true,
        };
        let outcome = irsa_iam::Call::new(params).unwrap().run(&execution);
        let outcome = outcome.unwrap_or_else(|error| panic!("{action}: {error}"));
        self.commit(&outcome.transaction);
        outcome.answer.result.unwrap_or_default()
    }

    pub(crate) fn provider(&mut self, account: &str, issuer: &Issuer, client_ids: &[&str]) {
        let names: Vec<String> = (1..=client_ids.len())
            .map(|number| format!("ClientIDList.member.{number}"))
            .collect();
        let mut params = vec![("Url", issuer.url.as_str())];
        params.push(("ThumbprintList.member.1", "a9d53002e97e00e043244f3d170d6f4c414104fd"));
        params.extend(names.iter().map(String::as_str).zip(client_ids.iter().copied()));
        self.iam(account, "CreateOpenIDConnectProvider", &params);
    }

    /// Verification keys without fetching.
    pub(crate) fn give_keys(&mut self, account: &str, issuer: &Issuer) {
        self.give_key_set(account, issuer, &issuer.key_set());
    }

    pub(crate) fn give_key_set(&mut self, account: &str, issuer: &Issuer, key_set: &Value) {
        let url = ProviderUrl::parse(&issuer.url, true).unwrap();
        let account: AccountId = account.parse().unwrap();
        let keys = key_set.to_string();
        let transaction = put_given_keys(Transaction::default(), account, &url, keys.as_bytes(), self.now);
        self.commit(&transaction.unwrap());
    }

    pub(crate) fn role(&mut self, name: &str, trust: &str) -> String {
        let answer = self.iam(
            MAIN,
            "CreateRole",
            &[("RoleName", name), ("AssumeRolePolicyDocument", trust)],
        );
        text(&answer, "Arn").to_owned()
    }

    pub(crate) fn set_trust(&mut self, name: &str, trust: &str) {
        self.iam(
            MAIN,
            "UpdateAssumeRolePolicy",
            &[("RoleName", name), ("PolicyDocument", trust)],
        );
    }

    /// A user with a key and one inline policy.
    pub(crate) fn user(&mut self, account: &str, name: &str, policy: Option<&str>) -> Caller {
        self.iam(account, "CreateUser", &[("UserName", name)]);
        if let Some(policy) = policy {
            self.iam(
                account,
                "PutUserPolicy",
                &[("UserName", name), ("PolicyName", "p"), ("PolicyDocument", policy)],
            );
        }
        let answer = self.iam(account, "CreateAccessKey", &[("UserName", name)]);
        self.caller_of_key(&text(&answer, "AccessKeyId").parse().unwrap())
    }

    /// The caller as the state is now.
    pub(crate) fn again(&self, caller: &Caller) -> Caller {
        match &caller.session {
            None => self.caller_of_key(&caller.access_key_id),
            Some(session) => {
                let key = caller.access_key_id.clone();
                Caller::of_session(&self.iam, key, Arc::clone(session), self.now).unwrap()
            }
        }
    }

    /// How often a host name was looked up.
    pub(crate) fn look_ups(&self) -> usize {
        self.nowhere.0.load(Ordering::Relaxed)
    }

    /// Runs an STS operation.
    pub(crate) async fn call(&self, caller: Option<&Caller>, action: &str, params: Parameters<'_>) -> Exchange {
        let facts = RequestFacts {
            source_ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            secure_transport: true,
            user_agent: "test/1",
            referer: None,
            region: "us-east-1",
            now: self.now,
        };
        let environment = Environment {
            iam: &self.iam,
            hosted: &self.oidc,
            trusted: &self.trusted,
            epoch_keys: &self.epoch_keys,
            facts: &facts,
            caller,
        };
        let head = [("Action", action), ("Version", "2011-06-15")];
        let params = Params::from_pairs(head.iter().chain(params).copied());
        Call::new(params).unwrap().run(&environment).await
    }

    /// AssumeRoleWithWebIdentity for the role `app`; `changes` replace parameters or add some, an empty value takes one away.
    pub(crate) async fn exchange(&self, token: &str, changes: Parameters<'_>) -> Exchange {
        let mut params = vec![
            ("RoleArn", ROLE),
            ("RoleSessionName", "session"),
            ("WebIdentityToken", token),
        ];
        params.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        params.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        self.call(None, "AssumeRoleWithWebIdentity", &params).await
    }

    /// The outcome of such a call: `ok`, or `code status: message`.
    pub(crate) async fn says(&self, token: &str, changes: Parameters<'_>) -> String {
        said(&self.exchange(token, changes).await)
    }

    /// The caller with the credentials of an answer, and the session in their token.
    pub(crate) fn session(&self, answer: &str) -> (Caller, Session) {
        let key: AccessKeyId = text(answer, "AccessKeyId").parse().unwrap();
        let (session, secret) = self.epoch_keys.open(&key, text(answer, "SessionToken")).unwrap();
        assert_eq!(secret.expose(), text(answer, "SecretAccessKey"));
        let caller = Caller::of_session(&self.iam, key, Arc::new(session.clone()), self.now).unwrap();
        (caller, session)
    }
}

/// The XML of a call that must succeed.
#[track_caller]
pub(crate) fn ok(exchange: Exchange) -> String {
    exchange
        .outcome
        .unwrap_or_else(|error| panic!("{}", WireError::from(error)))
        .result
}

pub(crate) fn said(exchange: &Exchange) -> String {
    match &exchange.outcome {
        Ok(_) => "ok".to_owned(),
        Err(error) => {
            let error = WireError::from(error.clone());
            format!("{} {}: {}", error.code, error.status, error.message)
        }
    }
}

/// The trust policy of the documents: one subject of one issuer, for STS.
pub(crate) fn trust(issuer: &Issuer, subject: &str) -> String {
    let resource = issuer.resource();
    trust_if(
        issuer,
        &["sts:AssumeRoleWithWebIdentity"],
        &json!({ "StringEquals": { format!("{resource}:sub"): subject, format!("{resource}:aud"): AUDIENCE } }),
    )
}

/// A trust policy for an issuer with other actions and conditions.
pub(crate) fn trust_if(issuer: &Issuer, actions: &[&str], condition: &Value) -> String {
    let provider = format!("arn:aws:iam::{MAIN}:oidc-provider/{}", issuer.resource());
    policy(&json!({
        "Effect": "Allow", "Principal": { "Federated": provider }, "Action": actions, "Condition": condition,
    }))
}

pub(crate) fn policy(statement: &Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": statement }).to_string()
}

/// The text of the first element of a name.
#[track_caller]
pub(crate) fn text<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("no <{name}> in {xml}"));
    rest.split_once(&format!("</{name}>")).unwrap().0
}

/// One element a line, with what changes from run to run replaced by its name.
pub(crate) fn shown(xml: &str) -> String {
    let mut shown = xml.to_owned();
    for name in ["AccessKeyId", "SecretAccessKey", "SessionToken"] {
        shown = shown.replace(text(xml, name), &format!("[{name}]"));
    }
    shown.replace("><", ">\n<")
}
