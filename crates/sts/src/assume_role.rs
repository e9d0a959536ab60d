//! AssumeRole: a signed caller takes a role.

use irsa_credentials::{Session, SessionPrincipal};
use irsa_iam::{Identity, Target, authorize};
use irsa_wire::{Params, Text, Validator, Xml, patterns};
use serde_json::{Map, Value, json};

use crate::call::{Answer, Environment, Exchange, Resource};
use crate::error::StsError;
use crate::grant::Grant;
use crate::session_settings::{SESSION_NAME, SessionSettings};
use crate::session_tags::SessionTags;

const EXTERNAL_ID: Text = Text::new(2, 1224, patterns::EXTERNAL_ID);
const CHAINED_SECONDS: i32 = 3600;
const DEFAULT_SECONDS: i32 = 3600;

pub(crate) fn run(params: &Params, environment: &Environment<'_>) -> Exchange {
    let mut exchange = Exchange::of(Err(StsError::Internal("not run".to_owned())));
    exchange.outcome = answer(params, environment, &mut exchange.resources);
    exchange.request_parameters = Some(irsa_iam::request_parameters(params).to_string());
    exchange
}

fn answer(params: &Params, environment: &Environment<'_>, resources: &mut Vec<Resource>) -> Result<Answer, StsError> {
    let caller = environment.caller()?;
    let mut validator = Validator::new();
    let external_id = validator.optional(params, "ExternalId", EXTERNAL_ID);
    let source_identity = validator.optional(params, "SourceIdentity", SESSION_NAME);
    let tags = requested_tags(params, &mut validator)?;
    let settings = SessionSettings::read(params, validator)?;
    let reserved = source_identity
        .and_then(|identity| identity.get(..4))
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"));
    if reserved {
        return Err(StsError::Validation(
            "SourceIdentity must not begin with aws:".to_owned(),
        ));
    }
    tags.check()?;
    resources.push(Resource {
        account: settings.role.account,
        kind: "AWS::IAM::Role",
        arn: settings.role.text.clone(),
    });
    if matches!(caller.identity, Identity::Root) {
        return Err(StsError::RootMayNotAssume);
    }
    if params.get("SerialNumber").is_some() || params.get("TokenCode").is_some() {
        return Err(StsError::UnknownMfa);
    }
    let calling_session = caller.session.as_deref();
    let chained = matches!(caller.identity, Identity::Role(_));
    let asks_tags = !tags.is_empty();
    let tags = tags.inherit(calling_session.filter(|_| chained))?;

    let denied = |action: &str, reason: String| StsError::AssumeRoleDenied {
        caller: caller.arn().to_owned(),
        role: settings.role.text.clone(),
        action: action.to_owned(),
        reason,
    };
    let role = environment
        .iam
        .account(settings.role.account)
        .and_then(|account| account.role(&settings.role.name));
    let role = role.filter(|role| role.arn == settings.role.text);
    let role = role.ok_or_else(|| denied("sts:AssumeRole", "the role does not exist".to_owned()))?;

    // The source identity sticks: a chained session may repeat it, never change it.
    let inherited_identity = calling_session.and_then(|session| session.source_identity.as_deref());
    let identity = match (inherited_identity, source_identity) {
        (Some(inherited), Some(asked)) if inherited != asked => {
            return Err(denied(
                "sts:SetSourceIdentity",
                "the source identity of the calling session can't be changed".to_owned(),
            ));
        }
        (inherited, asked) => inherited.or(asked),
    };

    let mut actions = vec!["sts:AssumeRole"];
    if asks_tags {
        actions.push("sts:TagSession");
    }
    if identity.is_some() {
        actions.push("sts:SetSourceIdentity");
    }
    for action in actions {
        let mut target = Target::new(action, role.arn.as_str(), settings.role.account)
            .with_resource_tags("iam", &role.record.tags)
            .with("sts:RoleSessionName", settings.session_name.as_str());
        if let Some(external_id) = external_id {
            target = target.with("sts:ExternalId", external_id);
        }
        if let Some(identity) = identity {
            target = target.with("sts:SourceIdentity", identity);
        }
        for (key, value) in &tags.tags {
            target = target.with(format!("aws:RequestTag/{key}"), value.as_str());
        }
        if !tags.tags.is_empty() {
            target = target.with_list("aws:TagKeys", tags.tags.iter().map(|(key, _)| key.clone()).collect());
        }
        if !tags.transitive_keys.is_empty() {
            target = target.with_list("sts:TransitiveTagKeys", tags.transitive_keys.clone());
        }
        let authorization = authorize(environment.iam, caller, environment.facts, &target, Some(&role.trust));
        if !authorization.is_allowed() {
            let reason = authorization
                .explanation
                .map(|explanation| explanation.to_string())
                .unwrap_or_default();
            return Err(denied(action, reason));
        }
    }

    let limit = role.record.max_session_duration;
    let seconds = match settings.duration_seconds {
        Some(seconds) if chained && seconds > CHAINED_SECONDS => {
            return Err(StsError::Validation(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
                    .to_owned(),
            ));
        }
        Some(seconds) if seconds > limit => {
            return Err(StsError::Validation(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".to_owned(),
            ));
        }
        Some(seconds) => seconds,
        None => DEFAULT_SECONDS,
    };
    let now = environment.now();
    let session = Session {
        account: settings.role.account,
        principal: SessionPrincipal::Role {
            role_name: role.record.name.clone(),
            role_path: role.record.path.clone(),
            role_id: role.record.id.clone(),
            session_name: settings.session_name.clone(),
        },
        issued_at: now,
        expires_at: now.plus_seconds(i64::from(seconds)),
        source_identity: identity.map(str::to_owned),
        tags: tags.tags,
        transitive_tag_keys: tags.transitive_keys,
        session_policy: settings.policy,
        session_policy_arns: settings.policy_arns,
        federated: None,
        mfa: calling_session.is_some_and(|session| session.mfa),
        chained,
    };
    let grant = Grant::new(environment, &session)?;
    let arn = format!(
        "arn:aws:sts::{}:assumed-role/{}/{}",
        settings.role.account, role.record.name, settings.session_name
    );
    let id = format!("{}:{}", role.record.id, settings.session_name);
    let mut xml = Xml::new();
    grant.write(&mut xml);
    xml.element("AssumedRoleUser", |xml| {
        xml.text("AssumedRoleId", &id).text("Arn", &arn);
    });
    xml.value("PackedPolicySize", grant.utilization);
    xml.maybe("SourceIdentity", session.source_identity.as_deref());
    xml.value("SessionTokenUtilization", grant.utilization)
        .value("SessionTokenSize", grant.token_size());
    let mut elements = Map::new();
    elements.insert("credentials".into(), grant.record());
    elements.insert("assumedRoleUser".into(), json!({ "assumedRoleId": id, "arn": arn }));
    elements.insert("packedPolicySize".into(), grant.utilization.into());
    if let Some(identity) = &session.source_identity {
        elements.insert("sourceIdentity".into(), identity.as_str().into());
    }
    Ok(Answer {
        result: xml.finish(),
        response_elements: Some(Value::Object(elements).to_string()),
    })
}

fn requested_tags(params: &Params, validator: &mut Validator) -> Result<SessionTags, StsError> {
    let mut tags = SessionTags::default();
    for element in params.list("Tags")?.unwrap_or_default() {
        match (element.get("Key"), element.get("Value")) {
            (Some(key), Some(value)) => tags.tags.push((key.to_owned(), value.to_owned())),
            (key, _) => validator.missing(if key.is_none() { "tags.key" } else { "tags.value" }),
        }
    }
    for key in params.strings("TransitiveTagKeys")?.unwrap_or_default() {
        match key {
            Some(key) => tags.transitive_keys.push(key),
            None => validator.missing("transitiveTagKeys"),
        }
    }
    Ok(tags)
}
