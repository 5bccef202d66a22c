//! Errors that name the field and the rule.

use std::fmt;

/// One thing that a user wrote wrongly: where, and which rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldError {
    /// The field's path, for example `spec.deadLetter.maxReceiveCount`.
    pub path: String,
    /// The rule it breaks and what to do, as a sentence without a full stop.
    pub rule: String,
    /// Whether it is a rule of the Queue's class, which another class may not have.
    pub is_of_class: bool,
}

impl FieldError {
    /// An error at `path`.
    pub fn new(path: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { path: path.into(), rule: rule.into(), is_of_class: false }
    }

    /// An error at `path` against a rule of the class.
    pub fn of_class(path: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { is_of_class: true, ..Self::new(path, rule) }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.rule)
    }
}
