//! What a call to AWS can answer, in the classes that decisions are made on.
//!
//! Errors are classified once, where they enter (`aws::error`); from then on nobody looks at text.

use std::fmt;

/// The coarse class of a failed call. It picks the retry delay and the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// AWS asks for fewer calls.
    Throttled,
    /// The caller may not do this, or not yet.
    Denied,
    /// The thing is not there; for SQS also the answer to those without access.
    NotFound,
    /// The thing is there in another shape, or was deleted too recently.
    Conflict,
    /// AWS will not take these parameters however often they are sent.
    Invalid,
    /// Anything that may be over by the next try: timeouts, 5xx, dropped connections.
    Transient,
}

impl ErrorClass {
    /// The metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Transient => "transient",
        }
    }
}

/// The precise answers that some decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// AWS asks for fewer calls.
    Throttled,
    /// The caller may not make this call.
    Denied,
    /// The caller may not use the KMS key (or the key is disabled, or gone).
    KmsDenied,
    /// `QueueDoesNotExist`: gone, or hidden from the caller. It proves nothing by itself.
    QueueDoesNotExist,
    /// A queue of this name is there with other attributes.
    QueueNameExists,
    /// A queue of this name was deleted less than 60 s ago.
    QueueDeletedRecently,
    /// There is no such policy or role in IAM, no such cluster or association in EKS, or none that shows yet.
    EntityDoesNotExist,
    /// The name is taken in IAM; in EKS, the ServiceAccount has an association.
    EntityAlreadyExists,
    /// The policy is attached to somebody, or something is attached to the role.
    DeleteConflict,
    /// There are as many of something as the account allows: a person must make room or ask AWS for more.
    LimitExceeded,
    /// AWS refuses a parameter or its value.
    Invalid,
    /// Timeouts, 5xx, dropped connections: the call may or may not have taken effect.
    Transient,
}

impl ErrorKind {
    /// The coarse class of this answer.
    #[must_use]
    pub fn class(self) -> ErrorClass {
        match self {
            Self::Throttled => ErrorClass::Throttled,
            Self::Denied | Self::KmsDenied => ErrorClass::Denied,
            Self::QueueDoesNotExist | Self::EntityDoesNotExist => ErrorClass::NotFound,
            Self::QueueNameExists | Self::QueueDeletedRecently | Self::EntityAlreadyExists | Self::DeleteConflict => {
                ErrorClass::Conflict
            }
            Self::LimitExceeded | Self::Invalid => ErrorClass::Invalid,
            Self::Transient => ErrorClass::Transient,
        }
    }
}

/// A call that failed: which, how, and AWS's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The API action, for example `CreateQueue`.
    pub action: &'static str,
    /// What the answer means.
    pub kind: ErrorKind,
    /// AWS's error code, for example `AccessDenied`; empty when no answer came.
    pub code: String,
    /// AWS's message, or what went wrong on the way.
    pub message: String,
}

impl CallError {
    /// The coarse class of the answer.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.kind.class()
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code.as_str() {
            "" => write!(f, "{}: {}", self.action, self.message),
            code => write!(f, "{}: {code}: {}", self.action, self.message),
        }
    }
}

impl std::error::Error for CallError {}
