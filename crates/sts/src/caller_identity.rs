//! GetCallerIdentity: who am I. Never denied.

use irsa_wire::Xml;

use crate::call::{Answer, Environment};
use crate::error::StsError;

pub(crate) fn run(environment: &Environment<'_>) -> Result<Answer, StsError> {
    let caller = environment.caller()?;
    let mut xml = Xml::new();
    xml.text("Arn", caller.arn())
        .text("UserId", caller.user_id())
        .value("Account", caller.account);
    Ok(Answer {
        result: xml.finish(),
        response_elements: None,
    })
}
