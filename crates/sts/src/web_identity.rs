//! AssumeRoleWithWebIdentity: the step at which a pod's token becomes credentials.

use std::sync::Arc;

use irsa_audit::ObjectWriter;
use irsa_credentials::{Federated, Session, SessionPrincipal};
use irsa_iam::{Account, Provider, Role};
use irsa_oidc::FetchError;
use irsa_token::{Claims, JwkSet, TokenError, WebIdentityToken};
use irsa_wire::{Params, Text, Validator, Xml, patterns};
use serde_json::json;

use crate::call::{Answer, Environment, Exchange, Resource, WebIdentityUser};
use crate::error::StsError;
use crate::grant::Grant;
use crate::request_parameters;
use crate::session_settings::{SOURCE_IDENTITY, SessionSettings, is_reserved};
use crate::session_tags::SessionTags;
use crate::trust::WebIdentity;

const TOKEN: Text = Text {
    min: 4,
    max: 20_000,
    pattern: patterns::ANY,
    sensitive: true,
};
const PROVIDER_ID: Text = Text::new(4, 2048, patterns::ANY);
const DEFAULT_SECONDS: i32 = 3600;

pub(crate) async fn run(params: &Params, environment: &Environment<'_>) -> Exchange {
    let mut exchange = Exchange::of(Err(StsError::Internal("not run".to_owned())));
    exchange.request_parameters = Some(request_parameters::web_identity(params));
    exchange.outcome = answer(params, environment, &mut exchange).await;
    exchange
}

/// The token without the line end behind it: tools write token files with one, SDKs send the file as it is, and STS takes it. Anything else before or
/// behind a token is none of it.
fn without_line_end(token: &str) -> &str {
    let token = token.strip_suffix('\n').unwrap_or(token);
    token.strip_suffix('\r').unwrap_or(token)
}

async fn answer(params: &Params, environment: &Environment<'_>, exchange: &mut Exchange) -> Result<Answer, StsError> {
    let mut validator = Validator::new();
    let token = validator.required(params, "WebIdentityToken", TOKEN);
    let provider_id = validator.optional(params, "ProviderId", PROVIDER_ID);
    let settings = SessionSettings::read(params, validator)?;
    let role_arn = settings.role.text.as_str();
    exchange.resources.push(Resource {
        account: settings.role.account,
        kind: "AWS::IAM::Role",
        arn: role_arn.to_owned(),
    });
    match provider_id {
        None => {}
        Some("www.amazon.com") => return Err(StsError::NotLoginWithAmazon),
        Some("graph.facebook.com") => return Err(StsError::NotFacebook),
        Some(_) => return Err(StsError::UnknownOAuthProvider),
    }

    // What the token says, before it is believed.
    let token = WebIdentityToken::parse(without_line_end(token))?;
    let claims = token.claims();
    let account = environment.iam.account(settings.role.account);
    let believed = believe(environment, account, &token).await;
    let (provider, client_id) = match believed {
        Ok(believed) => believed,
        Err(error) => {
            exchange.unverified_claims = Some(unverified(claims));
            return Err(error);
        }
    };
    let (issuer, subject) = (
        claims.issuer.as_deref().unwrap_or_default(),
        claims.subject.as_deref().unwrap_or_default(),
    );
    exchange.web_identity = Some(WebIdentityUser {
        provider_arn: provider.arn.clone(),
        audience: client_id.to_owned(),
        subject: subject.to_owned(),
        token_id: claims.token_id.as_deref().map(cut),
        kubernetes: kubernetes(claims),
    });
    token.check_times(environment.now())?;
    claims
        .check_kubernetes_subject()
        .map_err(|error| StsError::NotValidated(error.to_string()))?;
    let authorized_by_issuer = check_roles(claims, role_arn)?;
    let tags = SessionTags::claimed(claims)?;
    let source_identity = source_identity(claims)?;
    exchange.request_parameters = Some(request_parameters::verified_web_identity(
        params,
        &tags,
        source_identity,
    ));

    // Whether the role trusts it. As much as possible is done before it turns out whether there is a role.
    let identity = WebIdentity {
        provider,
        claims,
        client_id,
        session_name: &settings.session_name,
        tags: &tags,
        source_identity,
        authorized_by_issuer,
    };
    let context = identity.context(environment.facts);
    let role = account
        .and_then(|account| account.role(&settings.role.name))
        .filter(|role| role.arn == role_arn);
    let role = role.ok_or_else(|| StsError::WebIdentityDenied(format!("the role `{role_arn}` does not exist")))?;
    identity.check_trust(role, context)?;
    let seconds = settings.duration_seconds.unwrap_or(DEFAULT_SECONDS);
    if seconds > role.record.max_session_duration {
        return Err(StsError::Validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".to_owned(),
        ));
    }

    let now = environment.now();
    let session = Session {
        account: settings.role.account,
        principal: SessionPrincipal::Role {
            role_name: role.record.name.clone(),
            role_path: role.record.path.clone(),
            role_id: role.record.id.clone(),
            session_name: settings.session_name,
        },
        issued_at: now,
        expires_at: now.plus_seconds(i64::from(seconds)),
        source_identity: source_identity.map(str::to_owned),
        tags: tags.tags,
        transitive_tag_keys: tags.transitive_keys,
        session_policy: settings.policy,
        session_policy_arns: settings.policy_arns,
        federated: Some(Federated {
            provider_arn: provider.arn.clone(),
            issuer: issuer.to_owned(),
            audience: client_id.to_owned(),
            subject: subject.to_owned(),
            amr: claims.amr.clone(),
        }),
        mfa: false,
        chained: false,
    };
    let grant = Grant::new(environment, &session, settings.minimum_token_size)?;
    Ok(render(role, &session, &grant, provider, client_id, subject))
}

/// Whether to believe the token: it must be of an issuer that the account knows, for an audience of that provider, and signed with one of the
/// issuer's keys. Gives the provider and the audience.
async fn believe<'a>(
    environment: &Environment<'_>,
    account: Option<&'a Account>,
    token: &'a WebIdentityToken<'_>,
) -> Result<(&'a Provider, &'a str), StsError> {
    let claims = token.claims();
    if let Some(claim) = claims.missing() {
        return Err(StsError::MissingClaim(claim));
    }
    let issuer = claims.issuer.as_deref().unwrap_or_default();
    let provider = issuer.strip_prefix("https://").and_then(|url| account?.provider(url));
    let provider = provider.ok_or_else(|| StsError::NoProvider {
        issuer: issuer.to_owned(),
    })?;
    let client_id = claims.client_id()?;
    if !provider
        .record
        .client_ids
        .iter()
        .any(|registered| registered == client_id)
    {
        return Err(StsError::NotValidated(format!(
            "the audience `{client_id}` is not registered with the provider"
        )));
    }

    // Whether to believe it.
    let keys = verification_keys(environment, provider, issuer, token.header().kid.as_deref()).await?;
    token
        .verify(&keys)
        .map_err(|error| match (error, token.header().kid.as_deref()) {
            // As for any other token whose key is not there, whatever its algorithm.
            (TokenError::UnsupportedAlgorithm, key_id) if !key_id.is_some_and(|key_id| keys.contains(key_id)) => {
                StsError::NoKey("the key set has no key of this id, and the algorithm is not supported".to_owned())
            }
            (error, _) => error.into(),
        })?;
    Ok((provider, client_id))
}

fn render(role: &Role, session: &Session, grant: &Grant, provider: &Provider, audience: &str, subject: &str) -> Answer {
    let session_name = match &session.principal {
        SessionPrincipal::Role { session_name, .. } => session_name.as_str(),
        _ => "",
    };
    let arn = format!(
        "arn:aws:sts::{}:assumed-role/{}/{session_name}",
        session.account, role.record.name
    );
    let id = format!("{}:{session_name}", role.record.id);
    let mut xml = Xml::new();
    xml.text("SubjectFromWebIdentityToken", subject)
        .text("Audience", audience);
    xml.element("AssumedRoleUser", |xml| {
        xml.text("AssumedRoleId", &id).text("Arn", &arn);
    });
    grant.write(&mut xml);
    xml.maybe("SourceIdentity", session.source_identity.as_deref());
    xml.text("Provider", &provider.arn)
        .value("PackedPolicySize", grant.utilization);
    grant.write_sizes(&mut xml);
    let mut elements = ObjectWriter::with_capacity(768);
    grant.write_record(&mut elements);
    elements
        .text("subjectFromWebIdentityToken", subject)
        .open("assumedRoleUser");
    elements.text("assumedRoleId", &id).text("arn", &arn).close();
    elements.number("packedPolicySize", grant.utilization);
    elements.text("provider", &provider.arn).text("audience", audience);
    elements.text_if("sourceIdentity", session.source_identity.as_deref());
    Answer {
        result: xml.finish(),
        response_elements: Some(elements.finish()),
    }
}

/// The keys of the token's issuer: from memory if we host it, else fetched or cached.
async fn verification_keys(
    environment: &Environment<'_>,
    provider: &Provider,
    issuer: &str,
    key_id: Option<&str>,
) -> Result<Arc<JwkSet>, StsError> {
    if let Some(keys) = environment.hosted.keys(provider.account, issuer) {
        return Ok(Arc::clone(keys));
    }
    let thumbprints = &provider.record.thumbprints;
    let keys = environment
        .trusted
        .keys(provider.account, issuer, thumbprints, key_id, environment.now())
        .await;
    keys.map_err(|error| match &error {
        FetchError::Thumbprint { .. } => StsError::Thumbprint(error.to_string()),
        _ => StsError::NoKey(error.to_string()),
    })
}

/// Checks the roles claim, if there is one. Gives `sts:RoleAuthorizedByIdp`.
fn check_roles(claims: &Claims, role_arn: &str) -> Result<bool, StsError> {
    let Some(roles) = claims.roles()? else { return Ok(false) };
    let is_role = |text: &&str| {
        text.parse::<irsa_core::Arn>()
            .is_ok_and(|arn| arn.service() == "iam" && arn.resource_of_kind("role").is_some())
    };
    let roles: Vec<&str> = roles.into_iter().filter(is_role).collect();
    if roles.is_empty() {
        return Err(StsError::RolesClaimEmpty);
    }
    if !roles.contains(&role_arn) {
        return Err(StsError::RolesClaimOther);
    }
    Ok(true)
}

fn source_identity(claims: &Claims) -> Result<Option<&str>, StsError> {
    let Some(identity) = claims.source_identity().map_err(|_| StsError::SourceIdentityClaim)? else {
        return Ok(None);
    };
    let length = identity.chars().count();
    let fits = (SOURCE_IDENTITY.min..=SOURCE_IDENTITY.max).contains(&length);
    if !fits || !(SOURCE_IDENTITY.pattern.matches)(identity) || is_reserved(identity) {
        return Err(StsError::SourceIdentityClaim);
    }
    Ok(Some(identity))
}

/// As much of a text from outside as a record takes.
fn cut(text: &str) -> String {
    text.chars().take(256).collect()
}

/// The pod that a token is bound to and what belongs to it, as JSON.
fn kubernetes(claims: &Claims) -> Option<String> {
    let claims = claims.kubernetes().ok().flatten()?;
    let mut members = ObjectWriter::with_capacity(512);
    members.text("namespace", &cut(claims.namespace));
    let objects = [
        ("serviceaccount", Some(claims.service_account)),
        ("pod", claims.pod),
        ("node", claims.node),
    ];
    for (kind, object) in objects {
        let Some(object) = object else { continue };
        members.open(kind).text("name", &cut(object.name));
        members.text_if("uid", object.uid.map(cut).as_deref()).close();
    }
    Some(members.finish())
}

/// The claims by which an operator finds whose token it was. Texts are cut: a stranger wrote them.
fn unverified(claims: &Claims) -> String {
    let cut = |text: &String| cut(text);
    json!({
        "iss": claims.issuer.as_ref().map(cut),
        "sub": claims.subject.as_ref().map(cut),
        "aud": claims.audience.as_ref().map(|audience| audience.iter().take(8).map(cut).collect::<Vec<_>>()),
        "exp": claims.expires,
        "iat": claims.issued_at,
    })
    .to_string()
}

impl From<TokenError> for StsError {
    fn from(error: TokenError) -> Self {
        let text = error.to_string();
        match error {
            TokenError::MissingClaim { claim } => Self::MissingClaim(claim),
            TokenError::NullSubject => Self::MissingClaim("sub"),
            TokenError::InvalidTimestamp { .. } => Self::Timestamp(text),
            TokenError::EmptyAudience => Self::EmptyClaim("aud"),
            TokenError::SeveralAudiences => Self::AmbiguousAudience,
            TokenError::MalformedTags => Self::TagsClaim(text),
            TokenError::MalformedRoles => Self::RolesClaimFormat,
            TokenError::Expired { current, expires } => Self::Expired { now: current, expires },
            TokenError::NotYetValid { current, not_before } => Self::NotYetValid {
                now: current,
                not_before,
            },
            TokenError::IssuedInFuture { issued_at } => Self::IssuedInTheFuture(issued_at),
            TokenError::UnknownKey | TokenError::KeyIdNeeded | TokenError::UnusableKey(_) => Self::NoKey(text),
            TokenError::BadSignature
            | TokenError::UnsupportedAlgorithm
            | TokenError::KeyTypeMismatch
            | TokenError::SubjectMismatch
            | TokenError::WrongType { .. }
            | TokenError::LifetimeTooLong { .. } => Self::NotValidated(text),
            _ => Self::NotAJwt(text),
        }
    }
}
