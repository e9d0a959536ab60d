//! AssumeRole: a signed caller takes a role.

use irsa_audit::ObjectWriter;
use irsa_credentials::{Session, SessionPrincipal};
use irsa_iam::{Identity, Role, Target, authorize};
use irsa_wire::{Params, Text, Validator, Xml, patterns};

use crate::call::{Answer, Environment, Exchange, Resource};
use crate::error::StsError;
use crate::grant::Grant;
use crate::request_parameters;
use crate::session_settings::{SOURCE_IDENTITY, SessionSettings, is_reserved, second_factor};
use crate::session_tags::SessionTags;

const EXTERNAL_ID: Text = Text::new(2, 1224, patterns::EXTERNAL_ID);
const CHAINED_SECONDS: i32 = 3600;
const DEFAULT_SECONDS: i32 = 3600;

pub(crate) fn run(params: &Params, environment: &Environment<'_>) -> Exchange {
    let mut exchange = Exchange::of(Err(StsError::Internal("not run".to_owned())));
    exchange.request_parameters = Some(request_parameters::assume_role(params));
    exchange.outcome = answer(params, environment, &mut exchange.resources);
    exchange
}

/// What the caller asks for, checked as far as it can be without looking at the role.
struct Wish<'a> {
    settings: SessionSettings,
    external_id: Option<&'a str>,
    /// The caller's own source identity, or else the one that it asks for.
    source_identity: Option<&'a str>,
    /// Requested and inherited ones.
    tags: SessionTags,
}

fn answer(params: &Params, environment: &Environment<'_>, resources: &mut Vec<Resource>) -> Result<Answer, StsError> {
    let caller = environment.caller()?;
    let mut validator = Validator::new();
    let external_id = validator.optional(params, "ExternalId", EXTERNAL_ID);
    let source_identity = validator.optional(params, "SourceIdentity", SOURCE_IDENTITY);
    let second_factor = second_factor(params, &mut validator);
    let tags = SessionTags::requested(params, &mut validator)?;
    let settings = SessionSettings::read(params, validator)?;
    if source_identity.is_some_and(is_reserved) {
        return Err(StsError::Validation(
            "SourceIdentity must not begin with aws:".to_owned(),
        ));
    }
    if params
        .list("ProvidedContexts")?
        .is_some_and(|contexts| !contexts.is_empty())
    {
        return Err(StsError::Validation("ProvidedContexts is not supported.".to_owned()));
    }
    tags.check_rules()?;
    resources.push(Resource {
        account: settings.role.account,
        kind: "AWS::IAM::Role",
        arn: settings.role.text.clone(),
    });

    // What the caller may not ask of any role. Nothing here depends on whether the role exists.
    if matches!(caller.identity, Identity::Root) {
        return Err(StsError::RootMayNotAssume);
    }
    if second_factor {
        return Err(StsError::UnknownMfa);
    }
    let chained = matches!(caller.identity, Identity::Role(_));
    let calling_session = caller.session.as_deref().filter(|_| chained);
    let tags = match calling_session {
        Some(session) => tags.inherit(session)?,
        None => tags,
    };
    // The source identity sticks: a chained session may repeat it, never change it.
    let inherited_identity = calling_session.and_then(|session| session.source_identity.as_deref());
    if let (Some(inherited), Some(asked)) = (inherited_identity, source_identity)
        && inherited != asked
    {
        return Err(denied(
            environment,
            &settings,
            "sts:SetSourceIdentity",
            "the source identity of the calling session can't be changed",
        ));
    }
    let wish = Wish {
        settings,
        external_id,
        source_identity: inherited_identity.or(source_identity),
        tags,
    };

    let role = environment
        .iam
        .account(wish.settings.role.account)
        .and_then(|account| account.role(&wish.settings.role.name))
        .filter(|role| role.arn == wish.settings.role.text);
    let role = role.ok_or_else(|| denied(environment, &wish.settings, "sts:AssumeRole", "the role does not exist"))?;
    check_permission(environment, role, &wish)?;
    let seconds = seconds(wish.settings.duration_seconds, role, chained)?;
    let now = environment.now();
    let session = Session {
        account: role.account,
        principal: SessionPrincipal::Role {
            role_name: role.record.name.clone(),
            role_path: role.record.path.clone(),
            role_id: role.record.id.clone(),
            session_name: wish.settings.session_name.clone(),
        },
        issued_at: now,
        expires_at: now.plus_seconds(i64::from(seconds)),
        source_identity: wish.source_identity.map(str::to_owned),
        tags: wish.tags.tags,
        transitive_tag_keys: wish.tags.transitive_keys,
        session_policy: wish.settings.policy,
        session_policy_arns: wish.settings.policy_arns,
        federated: None,
        mfa: caller.session.as_deref().is_some_and(|session| session.mfa),
        chained,
    };
    let grant = Grant::new(environment, &session, wish.settings.minimum_token_size)?;
    Ok(render(role, &session, &grant, &wish.settings.session_name))
}

/// Asks for every action that the call takes, of the caller's policies and the role's trust policy together.
///
/// Inherited tags and an inherited source identity are set on the new session as well, so they need the same permission as new ones.
fn check_permission(environment: &Environment<'_>, role: &Role, wish: &Wish<'_>) -> Result<(), StsError> {
    let caller = environment.caller()?;
    let tags = (!wish.tags.is_empty()).then_some("sts:TagSession");
    let source_identity = wish.source_identity.map(|_| "sts:SetSourceIdentity");
    for action in std::iter::once("sts:AssumeRole").chain(tags).chain(source_identity) {
        let target = target(action, role, wish);
        let authorization = authorize(environment.iam, caller, environment.facts, &target, Some(&role.trust));
        if !authorization.is_allowed() {
            let reason = authorization
                .explanation
                .map(|explanation| explanation.to_string())
                .unwrap_or_default();
            return Err(denied(environment, &wish.settings, action, &reason));
        }
    }
    Ok(())
}

fn target(action: &'static str, role: &Role, wish: &Wish<'_>) -> Target {
    let mut target = Target::new(action, role.arn.as_str(), role.account)
        .with_resource_tags("iam", &role.record.tags)
        .with("sts:RoleSessionName", wish.settings.session_name.as_str());
    if let Some(external_id) = wish.external_id {
        target = target.with("sts:ExternalId", external_id);
    }
    if let Some(identity) = wish.source_identity {
        target = target.with("sts:SourceIdentity", identity);
    }
    for (key, value) in &wish.tags.tags {
        target = target.with(format!("aws:RequestTag/{key}"), value.as_str());
    }
    if !wish.tags.tags.is_empty() {
        let keys = wish.tags.tags.iter().map(|(key, _)| key.clone()).collect();
        target = target.with_list("aws:TagKeys", keys);
    }
    if !wish.tags.transitive_keys.is_empty() {
        target = target.with_list("sts:TransitiveTagKeys", wish.tags.transitive_keys.clone());
    }
    target
}

fn denied(environment: &Environment<'_>, settings: &SessionSettings, action: &str, reason: &str) -> StsError {
    StsError::AssumeRoleDenied {
        caller: environment
            .caller
            .map(|caller| caller.arn().to_owned())
            .unwrap_or_default(),
        role: settings.role.text.clone(),
        action: action.to_owned(),
        reason: reason.to_owned(),
    }
}

/// How long the session lasts. A longer wish than may be is an error, never cut.
fn seconds(asked: Option<i32>, role: &Role, chained: bool) -> Result<i32, StsError> {
    match asked {
        Some(seconds) if chained && seconds > CHAINED_SECONDS => Err(StsError::Validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
                .to_owned(),
        )),
        Some(seconds) if seconds > role.record.max_session_duration => Err(StsError::Validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".to_owned(),
        )),
        Some(seconds) => Ok(seconds),
        None => Ok(DEFAULT_SECONDS),
    }
}

fn render(role: &Role, session: &Session, grant: &Grant, session_name: &str) -> Answer {
    let arn = format!(
        "arn:aws:sts::{}:assumed-role/{}/{session_name}",
        role.account, role.record.name
    );
    let id = format!("{}:{session_name}", role.record.id);
    let mut xml = Xml::new();
    grant.write(&mut xml);
    xml.element("AssumedRoleUser", |xml| {
        xml.text("AssumedRoleId", &id).text("Arn", &arn);
    });
    xml.value("PackedPolicySize", grant.utilization);
    xml.maybe("SourceIdentity", session.source_identity.as_deref());
    grant.write_sizes(&mut xml);
    let mut elements = ObjectWriter::new();
    grant.write_record(&mut elements);
    elements
        .open("assumedRoleUser")
        .text("assumedRoleId", &id)
        .text("arn", &arn)
        .close();
    elements.number("packedPolicySize", grant.utilization);
    elements.text_if("sourceIdentity", session.source_identity.as_deref());
    Answer {
        result: xml.finish(),
        response_elements: Some(elements.finish()),
    }
}
