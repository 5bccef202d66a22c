//! What AWS answers when it refuses.

use prism_queue::domain::call::{CallError, ErrorKind};

/// A refused call, before it is known which call it was.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What decisions are made on.
    pub kind: ErrorKind,
    /// AWS's code.
    pub code: &'static str,
    /// AWS's words.
    pub message: String,
}

/// The answer to one call, while it is being made.
pub type Answer<T> = Result<T, Refusal>;

impl Refusal {
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into() }
    }

    /// A refusal of this kind with the code that AWS uses for it.
    pub fn of(kind: ErrorKind) -> Self {
        let (code, message) = match kind {
            ErrorKind::Throttled => ("ThrottlingException", "Rate exceeded"),
            ErrorKind::Denied => ("AccessDenied", "User is not authorized to perform this action"),
            ErrorKind::KmsDenied => ("KmsAccessDenied", "The caller doesn't have the required KMS access"),
            ErrorKind::QueueDoesNotExist => ("QueueDoesNotExist", "The specified queue does not exist."),
            ErrorKind::QueueNameExists => {
                ("QueueNameExists", "A queue already exists with the same name and a different value for attributes")
            }
            ErrorKind::QueueDeletedRecently => (
                "QueueDeletedRecently",
                "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
            ),
            ErrorKind::EntityDoesNotExist => ("NoSuchEntity", "It does not exist."),
            ErrorKind::EntityAlreadyExists => ("EntityAlreadyExists", "One of this name already exists."),
            ErrorKind::DeleteConflict => ("DeleteConflict", "Cannot delete what is attached."),
            ErrorKind::LimitExceeded => ("LimitExceeded", "Cannot exceed quota."),
            ErrorKind::Invalid => ("InvalidParameterValue", "A parameter is invalid"),
            ErrorKind::Transient => ("", "connection closed before message completed"),
        };
        Self::new(kind, code, message)
    }

    pub fn missing() -> Self {
        Self::of(ErrorKind::QueueDoesNotExist)
    }

    pub fn denied() -> Self {
        Self::of(ErrorKind::Denied)
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, "InvalidParameterValue", message)
    }

    pub fn invalid_attribute(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, "InvalidAttributeValue", message)
    }

    /// As the caller of `action` sees it.
    pub fn into_error(self, action: &'static str) -> CallError {
        CallError { action, kind: self.kind, code: self.code.to_owned(), message: self.message }
    }
}
