//! Which tags SQS takes. Source: "Amazon SQS cost allocation tags" and `TagQueue`.

use prism_queue::domain::tags::Tags;

use super::refusal::{Answer, Refusal};

const MAX_TAGS: usize = 50;
const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 256;

/// Checks `tags` on their way to a queue that has `current`.
pub fn check(tags: &Tags, current: &Tags) -> Answer<()> {
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > MAX_KEY || !key.chars().all(is_allowed) {
            return Err(Refusal::invalid(format!("Tag key {key:?} is invalid.")));
        }
        if value.chars().count() > MAX_VALUE || !value.chars().all(is_allowed) {
            return Err(Refusal::invalid(format!("The value of tag {key:?} is invalid.")));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Refusal::invalid("Tag keys must not begin with aws: (system tags)."));
        }
    }
    let new = tags.keys().filter(|key| !current.contains_key(*key)).count();
    if current.len() + new > MAX_TAGS {
        return Err(Refusal::invalid(format!("Too many tags: a queue may have {MAX_TAGS}.")));
    }
    Ok(())
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c)
}
