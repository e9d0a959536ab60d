use std::borrow::Cow;
use std::fmt;

/// Whose fault an error is, as the Query protocol says it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The caller's: a 4xx status.
    Sender,
    /// Ours: a 5xx status.
    Receiver,
}

impl Fault {
    /// The text of the `Type` element.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "Sender",
            Self::Receiver => "Receiver",
        }
    }
}

/// An error as it leaves the building: code, status and message are AWS's, the reason is for operators only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WireError {
    /// AWS's error code on the wire, such as `NoSuchEntity`.
    pub code: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// The text that the caller sees.
    pub message: String,
    /// What an operator may learn beyond it: goes to the audit record and the log, never to the caller.
    pub reason: Option<String>,
}

impl WireError {
    /// An error of the caller's making.
    #[must_use]
    pub fn new(code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self {
            code: Cow::Borrowed(code),
            status,
            message: message.into(),
            reason: None,
        }
    }

    /// The same error with a reason for operators.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// `ValidationError`, 400.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", 400, message)
    }

    /// `InternalFailure`, 500: something of ours broke. The cause is for operators only.
    #[must_use]
    pub fn internal(reason: impl Into<String>) -> Self {
        Self::new("InternalFailure", 500, "An internal error occurred. Try again later.").because(reason)
    }

    /// Whose fault it is, by the status.
    #[must_use]
    pub fn fault(&self) -> Fault {
        if self.status >= 500 {
            Fault::Receiver
        } else {
            Fault::Sender
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.status, self.message)
    }
}

impl std::error::Error for WireError {}
