//! OIDC providers: which issuers an account trusts.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html>. A provider is its
//! URL, character by character: path, letter case and a slash at the end make another one.

use irsa_core::Arn;
use irsa_store::Transaction;
use irsa_wire::{Params, Text, patterns};

use crate::authorize::Target;
use crate::error::IamError;
use crate::key;
use crate::operation::common::{self, checked};
use crate::operation::render::Members;
use crate::operation::tag_rules::{self, KeyCase};
use crate::operation::{Execution, Operation, Outcome, Question, change, read};
use crate::record::{ProviderRecord, Tag};
use crate::state::Provider;

mod url;

pub(crate) const OPERATIONS: &[Operation] = &[
    change!("CreateOpenIDConnectProvider", create_targets, create),
    read!("GetOpenIDConnectProvider", by_arn, get),
    read!(
        "ListOpenIDConnectProviders",
        |_, question| Ok(every_provider(question)),
        list
    ),
    change!("DeleteOpenIDConnectProvider", by_arn, delete),
    change!(
        "UpdateOpenIDConnectProviderThumbprint",
        update_thumbprints_targets,
        update_thumbprints
    ),
    change!("AddClientIDToOpenIDConnectProvider", client_id_targets, add_client_id),
    change!(
        "RemoveClientIDFromOpenIDConnectProvider",
        client_id_targets,
        remove_client_id
    ),
];

/// The parameter that names a provider.
pub(crate) const ARN_PARAMETER: &str = "OpenIDConnectProviderArn";
const URL: Text = Text::new(1, 255, patterns::ANY);
const THUMBPRINT: Text = Text::new(40, 40, patterns::ANY);
/// Not a quota: AWS does not raise it.
const MAX_THUMBPRINTS: usize = 5;

struct NewProvider {
    url: url::IssuerUrl,
    client_ids: Vec<String>,
    thumbprints: Vec<String>,
    tags: Vec<Tag>,
}

impl NewProvider {
    fn read(params: &Params) -> Result<Self, IamError> {
        let (text, client_ids, thumbprints, tags) = checked(|validator| {
            Ok((
                validator.required(params, "Url", URL),
                common::texts(validator, params, "ClientIDList", common::CLIENT_ID)?.unwrap_or_default(),
                common::texts(validator, params, "ThumbprintList", THUMBPRINT)?.unwrap_or_default(),
                tag_rules::read_optional(validator, params)?,
            ))
        })?;
        tag_rules::check(&tags, KeyCase::Significant)?;
        Ok(Self {
            url: url::IssuerUrl::parse(text)?,
            client_ids,
            thumbprints: checked_thumbprints(thumbprints)?,
            tags,
        })
    }
}

/// Thumbprints in lower case; whether they are hexadecimal is not looked at, and repetitions stay.
fn checked_thumbprints(thumbprints: Vec<String>) -> Result<Vec<String>, IamError> {
    if thumbprints.len() > MAX_THUMBPRINTS {
        return Err(IamError::InvalidInput(format!(
            "Thumbprint list must contain fewer than {MAX_THUMBPRINTS} entries."
        )));
    }
    Ok(thumbprints
        .into_iter()
        .map(|thumbprint| thumbprint.to_ascii_lowercase())
        .collect())
}

fn create_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    let new = NewProvider::read(params)?;
    let account = question.caller.account;
    let arn = format!("arn:aws:iam::{account}:oidc-provider/{}", new.url.resource());
    let target = Target::new(question.action, arn, account).with_request_tags(&new.tags);
    Ok(common::and_tagging(target, "iam:TagOpenIDConnectProvider", &new.tags))
}

/// CreateOpenIDConnectProvider. Without thumbprints the list stays empty: nothing is fetched while an operation runs,
/// and the chain of the issuer is checked against trusted roots when its keys are fetched.
fn create(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let new = NewProvider::read(params)?;
    if new.url.has_port() && !execution.allow_issuer_ports {
        return Err(url::invalid(
            "it has a port, which needs a server that was started with `--allow-private-issuers`",
        ));
    }
    let account = execution.account()?;
    let url = new.url.resource();
    if account.provider(url).is_some() {
        return Err(IamError::EntityAlreadyExists(format!(
            "Provider with url https://{url} already exists."
        )));
    }
    if account.providers.size() >= execution.quotas.providers {
        return Err(IamError::quota(
            "OpenIdConnectProvidersPerAccount",
            execution.quotas.providers,
        ));
    }
    let mut client_ids: Vec<String> = Vec::new();
    for client_id in new.client_ids {
        if !client_ids.contains(&client_id) {
            client_ids.push(client_id);
        }
    }
    check_client_ids(&client_ids, execution)?;
    let mut tags = Vec::new();
    tag_rules::merge(
        &mut tags,
        new.tags,
        KeyCase::Significant,
        "OpenIdConnectProvider",
        execution.quotas.tags,
    )?;
    let created = execution.now.unix_millis();
    let record = ProviderRecord {
        url: url.to_owned(),
        client_ids,
        thumbprints: new.thumbprints,
        created,
        tags,
    };
    let key = key::provider(account.id, url);
    let transaction = common::save(Transaction::default().when_absent(key.clone()), key, &record)?;
    let answer = Members::new()
        .text(
            ARN_PARAMETER,
            format!("arn:aws:iam::{}:oidc-provider/{url}", account.id),
        )
        .tags(&record.tags);
    Ok(Outcome::changed(transaction, answer.xml(), answer.json()))
}

fn check_client_ids(client_ids: &[String], execution: &Execution<'_>) -> Result<(), IamError> {
    let limit = execution.quotas.client_ids;
    if client_ids.len() > limit {
        Err(IamError::quota("ClientIdsPerOpenIdConnectProvider", limit))
    } else {
        Ok(())
    }
}

pub(crate) fn read_arn(params: &Params) -> Result<&str, IamError> {
    checked(|validator| Ok(validator.required(params, ARN_PARAMETER, common::ARN)))
}

fn parse_arn(text: &str) -> Result<Arn, IamError> {
    let arn = common::parse_arn(text)?;
    let is_provider =
        arn.service() == "iam" && arn.region().is_empty() && arn.resource_of_kind("oidc-provider").is_some();
    if is_provider && arn.account_id().is_some() {
        Ok(arn)
    } else {
        Err(IamError::InvalidInput(format!("ARN {text} is not valid.")))
    }
}

/// The question about a provider. One of another account is asked for in that account's name, which nobody outside may
/// answer with yes.
pub(crate) fn target(question: &Question<'_>, arn: &str) -> Result<Target, IamError> {
    let parsed = parse_arn(arn)?;
    let own = question.caller.account;
    let target = Target::new(question.action, arn, parsed.account_id().unwrap_or(own));
    let account = question.state.account(own);
    let provider = account.and_then(|account| account.providers.values().find(|provider| provider.arn == arn));
    Ok(match provider {
        Some(provider) => target.with_resource_tags("iam", &provider.record.tags),
        None => target,
    })
}

/// The question of calls that take a provider's ARN and nothing else that needs a check.
pub(crate) fn by_arn(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![target(question, read_arn(params)?)?])
}

fn lookup<'a>(execution: &'a Execution<'_>, arn: &str) -> Result<Option<&'a Provider>, IamError> {
    let parsed = parse_arn(arn)?;
    let account = execution.account()?;
    let url = parsed.resource_of_kind("oidc-provider").unwrap_or_default();
    Ok(account
        .provider(url)
        .map(AsRef::as_ref)
        .filter(|provider| provider.arn == arn))
}

/// Finds a provider of the caller's account.
pub(crate) fn find<'a>(execution: &'a Execution<'_>, arn: &str) -> Result<&'a Provider, IamError> {
    lookup(execution, arn)?
        .ok_or_else(|| IamError::NoSuchEntity(format!("OpenIDConnect Provider not found for arn {arn}")))
}

/// Replaces a provider's record, if nobody was faster.
pub(crate) fn update(provider: &Provider, record: &ProviderRecord) -> Result<Outcome, IamError> {
    let key = key::provider(provider.account, &record.url);
    let transaction = Transaction::default().when_modified_at(key.clone(), provider.revision);
    Ok(Outcome::change(common::save(transaction, key, record)?))
}

fn get(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let record = &find(execution, read_arn(params)?)?.record;
    let mut tags = record.tags.clone();
    tags.sort_by(|one, other| one.key.cmp(&other.key));
    let answer = Members::new()
        .text("Url", record.url.as_str())
        .texts("ClientIDList", record.client_ids.iter().map(String::as_str))
        .texts("ThumbprintList", record.thumbprints.iter().map(String::as_str))
        .text("CreateDate", common::time(record.created))
        .tags(&tags);
    Ok(Outcome::read(answer.xml()))
}

/// The question about all providers, in the words of AWS's refusals.
fn every_provider(question: &Question<'_>) -> Vec<Target> {
    vec![common::list_target(question, "oidc-provider", Some("/*"))]
}

/// ListOpenIDConnectProviders has no pages.
fn list(_: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let providers = execution
        .account()?
        .providers
        .values()
        .map(|provider| Members::new().text("Arn", provider.arn.as_str()));
    Ok(Outcome::read(
        Members::new().list("OpenIDConnectProviderList", providers).xml(),
    ))
}

fn delete(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let arn = read_arn(params)?;
    let missing = || IamError::NoSuchEntity(format!("OpenId connect Provider {arn} cannot be found."));
    let provider = lookup(execution, arn)?.ok_or_else(missing)?;
    let key = key::provider(provider.account, &provider.record.url);
    Ok(Outcome::change(
        Transaction::default()
            .when_modified_at(key.clone(), provider.revision)
            .delete(key),
    ))
}

fn read_thumbprints(params: &Params) -> Result<(&str, Vec<String>), IamError> {
    let (arn, thumbprints) = checked(|validator| {
        let arn = validator.required(params, ARN_PARAMETER, common::ARN);
        let thumbprints = common::texts(validator, params, "ThumbprintList", THUMBPRINT)?;
        if thumbprints.is_none() {
            validator.missing("thumbprintList");
        }
        Ok((arn, thumbprints.unwrap_or_default()))
    })?;
    if thumbprints.is_empty() {
        return Err(IamError::InvalidInput(
            "Thumbprint list must contain at least one entry.".to_owned(),
        ));
    }
    Ok((arn, checked_thumbprints(thumbprints)?))
}

fn update_thumbprints_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![target(question, read_thumbprints(params)?.0)?])
}

fn update_thumbprints(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (arn, thumbprints) = read_thumbprints(params)?;
    let provider = find(execution, arn)?;
    update(
        provider,
        &ProviderRecord {
            thumbprints,
            ..provider.record.clone()
        },
    )
}

fn read_client_id(params: &Params) -> Result<(&str, &str), IamError> {
    checked(|validator| {
        Ok((
            validator.required(params, ARN_PARAMETER, common::ARN),
            validator.required(params, "ClientID", common::CLIENT_ID),
        ))
    })
}

fn client_id_targets(params: &Params, question: &Question<'_>) -> Result<Vec<Target>, IamError> {
    Ok(vec![target(question, read_client_id(params)?.0)?])
}

/// AddClientID…: adding a known one succeeds.
fn add_client_id(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (arn, client_id) = read_client_id(params)?;
    let provider = find(execution, arn)?;
    let mut record = provider.record.clone();
    if record.client_ids.iter().any(|known| known == client_id) {
        return Ok(Outcome::change(Transaction::default()));
    }
    record.client_ids.push(client_id.to_owned());
    check_client_ids(&record.client_ids, execution)?;
    update(provider, &record)
}

/// RemoveClientID…: removing an unknown one succeeds.
fn remove_client_id(params: &Params, execution: &Execution<'_>) -> Result<Outcome, IamError> {
    let (arn, client_id) = read_client_id(params)?;
    let provider = find(execution, arn)?;
    let mut record = provider.record.clone();
    record.client_ids.retain(|known| known != client_id);
    if record.client_ids.len() == provider.record.client_ids.len() {
        return Ok(Outcome::change(Transaction::default()));
    }
    update(provider, &record)
}
