//! GetAccessKeyInfo: the account that a key belongs to, whatever the key's state.

use irsa_core::AccessKeyId;
use irsa_wire::{Params, Text, Validator, Xml, patterns};

use crate::call::{Answer, Environment, Exchange};
use crate::error::StsError;
use crate::request_parameters;

const ACCESS_KEY_ID: Text = Text::new(16, 128, patterns::ACCESS_KEY_ID);

pub(crate) fn run(params: &Params, environment: &Environment<'_>) -> Exchange {
    let mut exchange = Exchange::of(answer(params, environment));
    exchange.request_parameters = Some(request_parameters::access_key_info(params));
    exchange
}

fn answer(params: &Params, environment: &Environment<'_>) -> Result<Answer, StsError> {
    let mut validator = Validator::new();
    let id = validator.required(params, "AccessKeyId", ACCESS_KEY_ID);
    validator.finish()?;
    let id: AccessKeyId = id
        .parse()
        .map_err(|_| StsError::Validation(format!("{id} is invalid")))?;
    let account = environment
        .iam
        .access_key(&id)
        .map(|key| key.account)
        .or_else(|| id.account());
    let account =
        account.ok_or_else(|| StsError::Validation(format!("The access key id {id} belongs to no account")))?;
    let mut xml = Xml::new();
    xml.value("Account", account);
    Ok(Answer {
        result: xml.finish(),
        response_elements: None,
    })
}
