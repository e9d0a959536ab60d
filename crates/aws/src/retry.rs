//! Which failures pass, and how long is waited for that.

use std::time::Duration;

use crate::{ClientError, ServiceError};

/// How often and how long a call is tried.
///
/// Every wait is drawn evenly from nothing to a bound that doubles with each attempt ("full jitter"), so that many callers
/// who were refused together do not come back together. See
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retries {
    /// The most attempts, the first one counted.
    pub attempts: u32,
    /// No attempt begins later than this after the first one.
    pub total: Duration,
    /// The bound of the first wait after a failure of the server or of the connection.
    pub first_wait: Duration,
    /// The bound of the first wait after "too fast".
    pub first_wait_throttled: Duration,
    /// The bound of any wait.
    pub longest_wait: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 12,
            total: Duration::from_secs(150),
            first_wait: Duration::from_millis(100),
            first_wait_throttled: Duration::from_millis(500),
            longest_wait: Duration::from_secs(20),
        }
    }
}

/// How often a server is tried that never answered: it is more likely absent than busy.
const ATTEMPTS_TO_REACH: u32 = 3;

/// Why a failure may pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Passing {
    /// The caller is too fast.
    Throttled,
    /// Another change of the same thing is under way.
    Concurrent,
    /// The server failed.
    Failed,
    /// There was no whole answer.
    Lost,
    /// There was no connection.
    Unreachable,
}

/// Whether a failure may pass by itself.
pub(crate) fn passing(error: &ClientError) -> Option<Passing> {
    match error {
        ClientError::Unreachable { .. } => Some(Passing::Unreachable),
        ClientError::Lost { .. } | ClientError::Deadline { .. } => Some(Passing::Lost),
        ClientError::Service(error) => of_service(error),
        _ => None,
    }
}

fn of_service(error: &ServiceError) -> Option<Passing> {
    if is_throttled(error) {
        return Some(Passing::Throttled);
    }
    match error.code.as_str() {
        "ConcurrentModification" | "ConcurrentModificationException" | "EntityTemporarilyUnmodifiable" => {
            Some(Passing::Concurrent)
        }
        // The names by which a server's own failures go with statuses that say otherwise.
        "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "ServerException"
        | "ServiceFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "IDPCommunicationError" => Some(Passing::Failed),
        "NotImplemented" => None,
        _ => matches!(error.status, 500 | 502..=504).then_some(Passing::Failed),
    }
}

/// Whether a refusal says that calls come too fast.
pub(crate) fn is_throttled(error: &ServiceError) -> bool {
    error.status == 429
        || matches!(
            error.code.as_str(),
            "Throttling"
                | "ThrottlingException"
                | "ThrottledException"
                | "RequestThrottled"
                | "RequestThrottledException"
                | "RequestLimitExceeded"
                | "TooManyRequests"
                | "TooManyRequestsException"
                | "SlowDown"
                | "BandwidthLimitExceeded"
                | "PriorRequestNotComplete"
                | "TransactionInProgressException"
        )
}

impl Retries {
    /// How long to wait before attempt `attempt + 1`, if there is to be one. `random` is in 0..1, `asked` is what the
    /// server asked for in `Retry-After`.
    pub(crate) fn wait(
        &self,
        passing: Passing,
        attempt: u32,
        ever_answered: bool,
        elapsed: Duration,
        asked: Option<Duration>,
        random: f64,
    ) -> Option<Duration> {
        let attempts = if passing == Passing::Unreachable && !ever_answered {
            self.attempts.min(ATTEMPTS_TO_REACH)
        } else {
            self.attempts
        };
        if attempt >= attempts {
            return None;
        }
        let first = if passing == Passing::Throttled {
            self.first_wait_throttled
        } else {
            self.first_wait
        };
        let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        let bound = first.saturating_mul(factor).min(self.longest_wait);
        let wait = bound.mul_f64(random.clamp(0.0, 1.0));
        let wait = wait.max(asked.unwrap_or_default().min(self.longest_wait));
        (elapsed.saturating_add(wait) <= self.total).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> ClientError {
        ServiceError {
            operation: "Op".to_owned(),
            code: code.to_owned(),
            status,
            ..ServiceError::default()
        }
        .into()
    }

    #[test]
    fn what_passes_and_what_does_not() {
        for (status, code, expected) in [
            (400, "Throttling", Some(Passing::Throttled)),
            (400, "ThrottlingException", Some(Passing::Throttled)),
            (503, "RequestLimitExceeded", Some(Passing::Throttled)),
            (429, "TooManyRequests", Some(Passing::Throttled)),
            (409, "ConcurrentModification", Some(Passing::Concurrent)),
            (500, "ServiceFailure", Some(Passing::Failed)),
            (503, "ServiceUnavailable", Some(Passing::Failed)),
            (502, "BadGateway", Some(Passing::Failed)),
            (501, "NotImplemented", None),
            (409, "EntityAlreadyExists", None),
            (404, "NoSuchEntity", None),
            (403, "AccessDenied", None),
            (409, "LimitExceeded", None),
            (409, "DeleteConflict", None),
        ] {
            assert_eq!(passing(&refused(status, code)), expected, "{code}");
        }
    }

    #[test]
    fn waits_grow_to_their_bound_and_end() {
        let retries = Retries::default();
        let longest = |passing, attempt| retries.wait(passing, attempt, true, Duration::ZERO, None, 1.0);
        assert_eq!(longest(Passing::Failed, 1), Some(Duration::from_millis(100)));
        assert_eq!(longest(Passing::Failed, 3), Some(Duration::from_millis(400)));
        assert_eq!(longest(Passing::Throttled, 2), Some(Duration::from_secs(1)));
        assert_eq!(longest(Passing::Throttled, 11), Some(Duration::from_secs(20)));
        assert_eq!(longest(Passing::Throttled, 12), None);
        let wait = |elapsed, asked, random| retries.wait(Passing::Lost, 1, true, elapsed, asked, random);
        assert_eq!(wait(Duration::ZERO, None, 0.0), Some(Duration::ZERO));
        assert_eq!(
            wait(Duration::ZERO, Some(Duration::from_secs(3)), 0.5),
            Some(Duration::from_secs(3))
        );
        assert_eq!(
            wait(Duration::ZERO, Some(Duration::from_secs(3600)), 0.5),
            Some(Duration::from_secs(20))
        );
        assert_eq!(wait(Duration::from_secs(150), None, 1.0), None);
    }

    #[test]
    fn who_never_answered_is_not_waited_for_long() {
        let retries = Retries::default();
        let wait = |attempt, answered| retries.wait(Passing::Unreachable, attempt, answered, Duration::ZERO, None, 0.0);
        assert!(wait(2, false).is_some() && wait(3, false).is_none());
        assert!(wait(3, true).is_some());
    }
}
