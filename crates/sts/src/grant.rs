//! The last step of every exchange: a sealed session, and its XML.

use irsa_audit::ObjectWriter;
use irsa_core::Timestamp;
use irsa_credentials::{MintError, Session, TemporaryCredentials};
use irsa_wire::Xml;

use crate::call::Environment;
use crate::error::StsError;

/// Characters that AWS gives a session token; the utilization that answers show is a percentage of it.
const TOKEN_ROOM: i64 = 4096;

/// Credentials with what answers and records say about them.
pub(crate) struct Grant {
    pub(crate) credentials: TemporaryCredentials,
    /// Percent of the room that the token takes.
    pub(crate) utilization: i64,
}

impl Grant {
    /// Seals a session into a token of at least `minimum_size` characters.
    ///
    /// # Errors
    /// [`StsError::TooLarge`] if the session does not fit.
    pub(crate) fn new(environment: &Environment<'_>, session: &Session, minimum_size: usize) -> Result<Self, StsError> {
        let too_large = |length: usize| {
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            // Rounded up: what takes more than its room takes more than 100 percent.
            StsError::TooLarge(length.saturating_mul(100).saturating_add(TOKEN_ROOM - 1) / TOKEN_ROOM)
        };
        let minted = environment.epoch_keys.mint_padded(session, minimum_size);
        let credentials = minted.map_err(|error| match error {
            MintError::TooLarge { length } => too_large(length),
            error => StsError::Internal(error.to_string()),
        })?;
        let length = credentials.session_token.len();
        match i64::try_from(length) {
            // Rounded down, as recorded: 800 characters are 19 percent.
            Ok(characters @ ..=TOKEN_ROOM) => Ok(Self {
                credentials,
                utilization: characters * 100 / TOKEN_ROOM,
            }),
            _ => Err(too_large(length)),
        }
    }

    pub(crate) fn write(&self, xml: &mut Xml) {
        xml.element("Credentials", |xml| {
            xml.text("AccessKeyId", self.credentials.access_key_id.as_str())
                .text("SecretAccessKey", self.credentials.secret_access_key.expose())
                .text("SessionToken", &self.credentials.session_token)
                .text("Expiration", &self.credentials.expires_at.iso8601());
        });
    }

    /// Adds the `credentials` of `responseElements`: the key id and its end. AWS logs the session token as well; we never do.
    pub(crate) fn write_record(&self, elements: &mut ObjectWriter) {
        elements.open("credentials");
        elements.text("accessKeyId", self.credentials.access_key_id.as_str());
        elements
            .text("expiration", &cloudtrail_time(self.credentials.expires_at))
            .close();
    }

    /// The elements about the token's size, which every answer with credentials ends with.
    pub(crate) fn write_sizes(&self, xml: &mut Xml) {
        xml.value("SessionTokenUtilization", self.utilization)
            .value("SessionTokenSize", self.credentials.session_token.len());
    }
}

/// CloudTrail's spelling of an expiration: `Sep 11, 2026, 11:00:00 AM`.
fn cloudtrail_time(instant: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (year, month, day, hour, minute, second) = instant.civil();
    let name = usize::try_from(month)
        .ok()
        .and_then(|month| MONTHS.get(month.saturating_sub(1)))
        .copied()
        .unwrap_or_default();
    let half = if hour < 12 { "AM" } else { "PM" };
    let clock = if hour % 12 == 0 { 12 } else { hour % 12 };
    format!("{name} {day}, {year}, {clock}:{minute:02}:{second:02} {half}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cloudtrail_writes_expirations_for_people() {
        let at = |hour| Timestamp::from_civil(2026, 9, 11, hour, 5, 9).map(cloudtrail_time);
        assert_eq!(at(11).as_deref(), Some("Sep 11, 2026, 11:05:09 AM"));
        assert_eq!(at(0).as_deref(), Some("Sep 11, 2026, 12:05:09 AM"));
        assert_eq!(at(12).as_deref(), Some("Sep 11, 2026, 12:05:09 PM"));
    }
}
