//! Names of queues in AWS.
//!
//! The default name is `<prefix><namespace>_<name>`, the dead-letter queue's
//! `<prefix><namespace>_<name>_dlq`, `.fifo` last for FIFO. `_` cannot occur in Kubernetes names, so
//! no two objects meet in one name, nor a Queue with another's dead-letter queue.

use std::fmt;

use crate::api::class::ClassNaming;
use crate::api::queue::QueueType;

use super::digest::sha256;
use super::field::FieldError;

/// SQS's limit, `.fifo` suffix included. Source: `CreateQueue` in the SQS API reference.
pub const MAX_LENGTH: usize = 80;

/// The suffix that every FIFO queue's name ends in.
pub const FIFO_SUFFIX: &str = ".fifo";

/// Digits of the hash that a cut name ends in; 40 bits.
const HASH_DIGITS: usize = 10;

/// A name that SQS accepts: 1–80 of `A-Z a-z 0-9 - _`, with `.fifo` last on a FIFO queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(String);

impl QueueName {
    /// Checks a whole name, suffix included.
    ///
    /// # Errors
    /// The rule that the name breaks, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let stem = text.strip_suffix(FIFO_SUFFIX).unwrap_or(text);
        if stem.is_empty() {
            return Err("a queue name must not be empty".to_owned());
        }
        if text.len() > MAX_LENGTH {
            return Err(format!(
                "{text:?} has {} characters; SQS allows {MAX_LENGTH}, the {FIFO_SUFFIX} suffix included",
                text.len()
            ));
        }
        if let Some(bad) = stem.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
            return Err(format!(
                "{text:?} has {bad:?}; SQS allows letters, digits, '-' and '_' (and {FIFO_SUFFIX} last on a FIFO queue)"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// Checks a name that a user chose for a queue of type `queue_type`.
    ///
    /// # Errors
    /// The rule that the name breaks, as a sentence.
    pub fn custom(text: &str, queue_type: QueueType) -> Result<Self, String> {
        let name = Self::parse(text)?;
        match (queue_type, name.is_fifo()) {
            (QueueType::Fifo, false) => Err(format!("{text:?}: the name of a FIFO queue must end in {FIFO_SUFFIX}")),
            (QueueType::Standard, true) => {
                Err(format!("{text:?}: only the name of a FIFO queue may end in {FIFO_SUFFIX}"))
            }
            _ => Ok(name),
        }
    }

    /// The name as SQS knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is a FIFO queue's.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        self.0.ends_with(FIFO_SUFFIX)
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What every template of a class ends in, so that no two Queues meet in one name.
const TEMPLATE_END: &str = "{namespace}_{name}";

/// How default names are made: what stands before `<namespace>_<name>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    prefix: NamePrefix,
}

/// What every default name begins with: at most 40 of `A-Z a-z 0-9 -`, so that room is left for names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamePrefix(String);

impl NamePrefix {
    /// The most characters that a prefix may have.
    pub const MAX_LENGTH: usize = 40;

    /// Checks a prefix. `_` is refused: it separates the namespace from the name, and a prefix that
    /// held one could make two objects meet in one name.
    ///
    /// # Errors
    /// The rule that the prefix breaks, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > Self::MAX_LENGTH {
            return Err(format!("{text:?} has {} characters; a name prefix may have {}", text.len(), Self::MAX_LENGTH));
        }
        match text.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-')) {
            Some(bad) => Err(format!("{text:?} has {bad:?}; a name prefix may have letters, digits and '-'")),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl Naming {
    /// Names that begin with `prefix`.
    #[must_use]
    pub fn new(prefix: NamePrefix) -> Self {
        Self { prefix }
    }

    /// Names as a class says. Its template may put anything before `{namespace}_{name}` that a prefix may be, so that it
    /// comes to a prefix.
    ///
    /// # Errors
    /// The rule that the template or the prefix breaks.
    pub fn of_class(naming: Option<&ClassNaming>) -> Result<Self, FieldError> {
        let prefix = naming.and_then(|naming| naming.prefix.as_deref()).unwrap_or_default();
        let template = naming.and_then(|naming| naming.template.as_deref()).unwrap_or("{prefix}{namespace}_{name}");
        let Some(beginning) = template.strip_suffix(TEMPLATE_END) else {
            let rule = format!("{template:?} must end in {TEMPLATE_END}, so that no two Queues meet in one name");
            return Err(FieldError::new("spec.naming.template", rule));
        };
        let beginning = NamePrefix::parse(&beginning.replace("{prefix}", prefix));
        beginning.map(Self::new).map_err(|rule| FieldError::new("spec.naming", rule))
    }

    /// What stands before `<namespace>_<name>`, perhaps nothing.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix.0
    }

    /// The default name of the Queue `namespace/name`.
    #[must_use]
    pub fn queue(&self, namespace: &str, name: &str, queue_type: QueueType) -> QueueName {
        self.fit(&format!("{namespace}_{name}"), queue_type)
    }

    /// The default name of the dead-letter queue of the Queue `namespace/name`.
    #[must_use]
    pub fn dead_letter(&self, namespace: &str, name: &str, queue_type: QueueType) -> QueueName {
        self.fit(&format!("{namespace}_{name}_dlq"), queue_type)
    }

    /// Whether `custom` has the shape of a default name of another namespace than `namespace`: such a name could keep
    /// another team from making its queue. A cut name tells its namespace no longer, so it counts as another's.
    #[must_use]
    pub fn is_shaped_like_another_namespaces(&self, custom: &QueueName, namespace: &str) -> bool {
        let whole = custom.as_str();
        let stem = whole.strip_suffix(FIFO_SUFFIX).unwrap_or(whole);
        let Some(rest) = stem.strip_prefix(self.prefix.0.as_str()) else {
            return false;
        };
        if whole.len() == MAX_LENGTH && ends_in_hash(stem) {
            return true;
        }
        let Some((owner, name)) = rest.split_once('_') else {
            return false;
        };
        let name = name.strip_suffix("_dlq").unwrap_or(name);
        is_dns_label(owner) && is_dns_label(name) && owner != namespace
    }

    /// Prefixes, suffixes, and cuts what is too long: `…_h<hash>`, the same on every run. A name that fits and looks as
    /// if it had been cut is cut too, so that nobody can choose an object's name to meet another's that was cut.
    fn fit(&self, stem: &str, queue_type: QueueType) -> QueueName {
        let suffix = match queue_type {
            QueueType::Standard => "",
            QueueType::Fifo => FIFO_SUFFIX,
        };
        let whole = format!("{}{stem}", self.prefix.0);
        let length = whole.len() + suffix.len();
        if length < MAX_LENGTH || length == MAX_LENGTH && !ends_in_hash(&whole) {
            return QueueName(format!("{whole}{suffix}"));
        }
        let hash = sha256(&whole);
        let tail = format!("_h{}", &hash[..HASH_DIGITS]);
        // Names are ASCII by construction (DNS labels and a checked prefix), so bytes are characters.
        let keep = MAX_LENGTH - suffix.len() - tail.len();
        QueueName(format!("{}{tail}{suffix}", &whole[..keep]))
    }
}

/// Whether `text` is a DNS label, as namespaces and Queue names are (RFC 1123).
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether `stem` ends as cut names do.
fn ends_in_hash(stem: &str) -> bool {
    let hash = stem.rsplit_once("_h").map(|(_, digits)| digits);
    hash.is_some_and(|digits| {
        digits.len() == HASH_DIGITS && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}
