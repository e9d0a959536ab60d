//! DecodeAuthorizationMessage: why a request was denied, for those who may know.
//!
//! See <https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html>.

use irsa_iam::AuthorizationMessage;
use irsa_wire::{Params, Text, Validator, Xml, patterns};

use crate::call::{Answer, Environment};
use crate::error::StsError;

/// `encodedMessageType`. What is sent is never shown: it may be anything, a token by mistake.
const ENCODED_MESSAGE: Text = Text {
    min: 1,
    max: 10_240,
    pattern: patterns::ANY,
    sensitive: true,
};

pub(crate) fn run(params: &Params, environment: &Environment<'_>) -> Result<Answer, StsError> {
    let mut validator = Validator::new();
    let message = validator.required(params, "EncodedMessage", ENCODED_MESSAGE);
    validator.finish()?;
    // A message of another account does not open: it says what that account's policies say.
    let account = environment.caller()?.account;
    let content = environment
        .epoch_keys
        .open_authorization_message(account, message)
        .map_err(|error| StsError::AuthorizationMessage(error.to_string()))?;
    let message = AuthorizationMessage::read(&content)
        .ok_or_else(|| StsError::AuthorizationMessage("what was sealed is of an unknown form".to_owned()))?;
    let mut xml = Xml::new();
    xml.text("DecodedMessage", &message.to_json().to_string());
    Ok(Answer {
        result: xml.finish(),
        response_elements: None,
    })
}
