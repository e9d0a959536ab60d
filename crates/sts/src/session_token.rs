//! GetSessionToken: temporary credentials of a user or the root itself.

use irsa_audit::ObjectWriter;
use irsa_credentials::{Session, SessionPrincipal};
use irsa_iam::Identity;
use irsa_wire::{Params, Validator, Xml};

use crate::call::{Answer, Environment, Exchange};
use crate::error::StsError;
use crate::grant::Grant;
use crate::request_parameters;
use crate::session_settings::{minimum_token_size, second_factor};

const DEFAULT_SECONDS: i32 = 43_200;
const ROOT_SECONDS: i32 = 3600;

pub(crate) fn run(params: &Params, environment: &Environment<'_>) -> Exchange {
    let mut exchange = Exchange::of(answer(params, environment));
    exchange.request_parameters = request_parameters::session_token(params);
    exchange
}

fn answer(params: &Params, environment: &Environment<'_>) -> Result<Answer, StsError> {
    let caller = environment.caller()?;
    let mut validator = Validator::new();
    let seconds = validator.integer(params, "DurationSeconds", 900, 129_600)?;
    let minimum_size = minimum_token_size(params, &mut validator)?;
    let second_factor = second_factor(params, &mut validator);
    validator.finish()?;
    if caller.session.is_some() {
        return Err(StsError::SessionMayNotGetSession);
    }
    if second_factor {
        return Err(StsError::UnknownMfa);
    }
    let (principal, seconds) = match &caller.identity {
        // A longer wish of the root is cut to an hour.
        Identity::Root => (
            SessionPrincipal::Root,
            seconds.unwrap_or(ROOT_SECONDS).min(ROOT_SECONDS),
        ),
        Identity::User(user) => {
            let principal = SessionPrincipal::User {
                user_name: user.record.name.clone(),
                user_path: user.record.path.clone(),
                user_id: user.record.id.clone(),
            };
            (principal, seconds.unwrap_or(DEFAULT_SECONDS))
        }
        Identity::Role(_) => return Err(StsError::SessionMayNotGetSession),
    };
    let now = environment.now();
    let session = Session {
        account: caller.account,
        principal,
        issued_at: now,
        expires_at: now.plus_seconds(i64::from(seconds)),
        source_identity: None,
        tags: Vec::new(),
        transitive_tag_keys: Vec::new(),
        session_policy: None,
        session_policy_arns: Vec::new(),
        federated: None,
        mfa: false,
        chained: false,
    };
    let grant = Grant::new(environment, &session, minimum_size)?;
    let mut xml = Xml::new();
    grant.write(&mut xml);
    grant.write_sizes(&mut xml);
    let mut elements = ObjectWriter::new();
    grant.write_record(&mut elements);
    Ok(Answer {
        result: xml.finish(),
        response_elements: Some(elements.finish()),
    })
}
