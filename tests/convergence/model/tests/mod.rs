//! The model against `sqs-semantics.md`, row by row.

mod associations;
mod faults;
mod iam;
mod lifecycle;
mod messages;
mod policies;
mod redrive;
mod roles;
mod settings;

use prism_queue::aws::Sqs;
use prism_queue::domain::attributes::{Attribute, Attributes};
use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::names::QueueName;
use prism_queue::domain::tags::Tags;

use super::{Caller, Client, Timing, World};

const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-central-1";

/// The role that stands for the operator.
fn operator() -> Caller {
    Caller::role(ACCOUNT, REGION, "prism-queue")
}

/// A workload of the same account.
fn worker() -> Caller {
    Caller::role(ACCOUNT, REGION, "worker")
}

/// A world in which everything happens at once, and a client of the operator.
fn prompt() -> (World, Client) {
    let world = World::new(1, Timing::prompt());
    let client = world.client(&operator());
    (world, client)
}

fn name(text: &str) -> QueueName {
    QueueName::parse(text).unwrap()
}

fn attributes(pairs: &[(Attribute, &str)]) -> Attributes {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn kind<T: std::fmt::Debug>(answer: Result<T, CallError>) -> ErrorKind {
    answer.unwrap_err().kind
}

/// Creates a queue without tags.
async fn create(client: &Client, queue: &str, settings: &[(Attribute, &str)]) -> Result<String, CallError> {
    client.create_queue(&name(queue), &attributes(settings), &Tags::new()).await
}

/// Sets attributes.
async fn set(client: &Client, url: &str, settings: &[(Attribute, &str)]) -> Result<(), CallError> {
    client.set_queue_attributes(url, &attributes(settings)).await
}

/// What a read shows of one attribute.
async fn read(client: &Client, url: &str, attribute: Attribute) -> Option<String> {
    client.get_queue_attributes(url).await.unwrap().settings.remove(&attribute)
}
