//! Which calls about a queue are let through.

use std::collections::BTreeSet;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::QueueAttributeName;

/// What a producer may do, as docs/access.md says.
pub const SENDING: [&str; 3] = ["GetQueueAttributes", "GetQueueUrl", "SendMessage"];
/// What a consumer may do on the queue.
pub const CONSUMING: [&str; 5] =
    ["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ReceiveMessage"];
/// What a consumer may do on the dead-letter queue.
pub const INSPECTING: [&str; 4] = ["ChangeMessageVisibility", "GetQueueAttributes", "GetQueueUrl", "ReceiveMessage"];
pub const NOTHING: [&str; 0] = [];

/// The body of the message that [`permitted`] leaves where it may send.
pub const TRIED: &str = "tried";

/// Whether a call was let through, whatever else was said of it.
fn passed<T, E: ProvideErrorMetadata + std::fmt::Debug>(
    outcome: Result<T, SdkError<E>>,
    action: &'static str,
) -> Option<&'static str> {
    match outcome {
        Ok(_) => Some(action),
        Err(SdkError::ServiceError(error)) => match error.err().code() {
            Some("AccessDenied" | "AccessDeniedException") => None,
            _ => Some(action),
        },
        Err(error) => panic!("{action}: no answer: {error:?}"),
    }
}

/// The calls that are let through of those that users of a queue make, and of those that are the operator's alone. Who may
/// send leaves a message; who may tag leaves none.
pub async fn permitted(sqs: &Client, url: &str) -> BTreeSet<&'static str> {
    let name = url.rsplit('/').next().unwrap_or_default();
    let owner = url.rsplit('/').nth(1).unwrap_or_default();
    // A receipt that is no receipt is looked at after the permission.
    let receipt = "none";
    let find = sqs.get_queue_url().queue_name(name).queue_owner_aws_account_id(owner);
    let read = sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
    let set = sqs.set_queue_attributes().queue_url(url).attributes(QueueAttributeName::DelaySeconds, "901");
    let receive = sqs.receive_message().queue_url(url).wait_time_seconds(0).visibility_timeout(0);
    let hide = sqs.change_message_visibility().queue_url(url).receipt_handle(receipt).visibility_timeout(0);
    let all = [
        passed(find.send().await, "GetQueueUrl"),
        passed(read.send().await, "GetQueueAttributes"),
        passed(sqs.send_message().queue_url(url).message_body(TRIED).send().await, "SendMessage"),
        passed(receive.send().await, "ReceiveMessage"),
        passed(hide.send().await, "ChangeMessageVisibility"),
        passed(sqs.delete_message().queue_url(url).receipt_handle(receipt).send().await, "DeleteMessage"),
        passed(set.send().await, "SetQueueAttributes"),
        passed(sqs.tag_queue().queue_url(url).tags("intruder", "was here").send().await, "TagQueue"),
        passed(sqs.untag_queue().queue_url(url).tag_keys("intruder").send().await, "UntagQueue"),
        passed(sqs.list_queue_tags().queue_url(url).send().await, "ListQueueTags"),
    ];
    all.into_iter().flatten().collect()
}
