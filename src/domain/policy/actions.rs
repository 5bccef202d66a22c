//! The actions of SQS, and which of them a pattern means.
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon SQS".

use super::statement::Folded;

/// Every action that a policy can name. Batch calls have none of their own: `SendMessage` covers `SendMessageBatch`.
pub(super) const ALL: [&str; 20] = [
    "AddPermission",
    "CancelMessageMoveTask",
    "ChangeMessageVisibility",
    "CreateQueue",
    "DeleteMessage",
    "DeleteQueue",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "RemovePermission",
    "SendMessage",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

/// What workloads do with messages. `PurgeQueue` is not among them: it destroys messages that nobody has read.
pub(super) const MESSAGE: [&str; 6] =
    ["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ReceiveMessage", "SendMessage"];

/// What the operator needs on every queue that it manages; denied these, it could not even mend the policy.
pub(super) const OPERATOR: [&str; 7] = [
    "DeleteQueue",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListQueueTags",
    "SetQueueAttributes",
    "TagQueue",
    "UntagQueue",
];

/// The actions that `pattern` (`sqs:SendMessage`, `SQS:Get*`, `sqs:*`) covers. Case does not matter in IAM.
pub(super) fn expand(pattern: &Folded) -> impl Iterator<Item = &'static str> {
    let pattern = pattern.as_str().to_ascii_lowercase();
    ALL.into_iter().filter(move |name| {
        let name = format!("sqs:{}", name.to_ascii_lowercase());
        matches(pattern.as_bytes(), name.as_bytes())
    })
}

/// Whether the pattern `actions` (`kms:*`) covers `action`, of whatever service.
pub(super) fn matches_pattern(pattern: &Folded, action: &Folded) -> bool {
    let lower = |folded: &Folded| folded.as_str().to_ascii_lowercase();
    // "*" alone is every action of every service.
    matches(lower(pattern).as_bytes(), lower(action).as_bytes())
}

/// Whether `text` matches `pattern`, in which `*` stands for any characters and `?` for one.
pub(in crate::domain) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when the characters after the last `*` do not fit: let it swallow one more.
    let mut last_star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star, swallowed)) = last_star else { return false };
                last_star = Some((star, swallowed + 1));
                p = star + 1;
                t = swallowed + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}
