//! Trouble on request, and what the journal says of it.

use prism_queue::aws::{Kms, Sqs, Sts};
use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::tags::Tags;

use super::{attributes, create, kind, name, operator, prompt, read, set, tags, worker};
use crate::model::{Chaos, Client, Denial, DeniedAs, Fault, Timing, Trap, World};

#[tokio::test]
async fn a_refused_call_has_no_effect() {
    let (world, client) = prompt();
    let throttled = Fault::Refuse(ErrorKind::Throttled);
    world.inject(Trap::new(throttled).on("CreateQueue").after(1).times(2));
    create(&client, "first", &[]).await.unwrap();
    assert_eq!(kind(create(&client, "q", &[]).await), ErrorKind::Throttled);
    assert_eq!(client.list_queues(&name("q")).await.unwrap(), Vec::<String>::new());
    assert_eq!(kind(create(&client, "q", &[]).await), ErrorKind::Throttled);
    create(&client, "q", &[]).await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_has_taken_effect() {
    let (world, client) = prompt();
    world.inject(Trap::new(Fault::LoseAnswer));
    assert_eq!(kind(create(&client, "q", &[]).await), ErrorKind::Transient);
    assert_eq!(client.list_queues(&name("q")).await.unwrap().len(), 1);
    let call = world.calls_since(0).remove(0);
    assert_eq!((call.answer, call.took_effect), (Err(ErrorKind::Transient), true));
}

#[tokio::test]
async fn a_crash_ends_the_process_before_or_after_the_call() {
    for (fault, there) in [(Fault::CrashBefore, 1), (Fault::CrashAfter, 2)] {
        let (world, client) = prompt();
        world.inject(Trap::new(fault).after(1));
        let process = async || {
            create(&client, "a", &[]).await.unwrap();
            let _ = create(&client, "b", &[]).await;
            create(&client, "c", &[]).await
        };
        assert!(world.run(process()).await.is_none());
        assert_eq!(world.queues().len(), there);
        // What still runs of the dead process has no effect.
        let late = futures::poll!(Box::pin(create(&client, "d", &[])));
        assert!(late.is_pending());
        assert_eq!(world.queues().len(), there);
        // The next process can make calls again.
        assert!(world.run(process()).await.unwrap().is_ok());
        assert_eq!(world.queues().len(), 3);
    }
}

#[tokio::test]
async fn a_denied_caller_is_told_so_or_that_there_is_nothing() {
    let (world, client) = prompt();
    let url = create(&client, "q", &[]).await.unwrap();
    let other = create(&client, "other", &[]).await.unwrap();
    world.deny(Denial { action: None, queue: Some("q".to_owned()), answer: DeniedAs::AccessDenied });
    assert_eq!(kind(client.get_queue_attributes(&url).await), ErrorKind::Denied);
    assert_eq!(client.list_queues(&name("q")).await.unwrap(), vec![url.clone()]);
    client.get_queue_attributes(&other).await.unwrap();
    world.calm();

    world.deny(Denial { action: None, queue: None, answer: DeniedAs::DoesNotExist });
    assert_eq!(kind(client.get_queue_url(&name("q")).await), ErrorKind::QueueDoesNotExist);
    assert_eq!(client.list_queues(&name("q")).await.unwrap(), Vec::<String>::new());
    assert_eq!(kind(create(&client, "new", &[]).await), ErrorKind::Denied);
    assert_eq!(kind(client.key_arn("alias/k").await), ErrorKind::KmsDenied);
    client.caller_identity().await.unwrap();
    world.calm();

    world.deny(Denial { action: Some("ListQueues"), queue: None, answer: DeniedAs::AccessDenied });
    assert_eq!(kind(client.list_queues(&name("q")).await), ErrorKind::Denied);
    client.get_queue_attributes(&url).await.unwrap();
}

#[tokio::test]
async fn an_account_can_be_throttled() {
    let (world, client) = prompt();
    world.throttle(2);
    let url = create(&client, "q", &[]).await.unwrap();
    client.get_queue_attributes(&url).await.unwrap();
    assert_eq!(kind(client.get_queue_attributes(&url).await), ErrorKind::Throttled);
    world.advance(1);
    client.get_queue_attributes(&url).await.unwrap();
}

#[tokio::test]
async fn chaos_is_the_same_for_the_same_seed_and_ends_in_calm() {
    async fn run(seed: u64) -> Vec<Result<(), ErrorKind>> {
        let world = World::new(seed, Timing::prompt());
        let client = world.client(&operator());
        let url = create(&client, "q", &[]).await.unwrap();
        world.chaos(Chaos { throttled: 10, transient: 10, lost_answers: 10, crashes: 10 });
        let mark = world.mark();
        for _ in 0..100 {
            world.run(client.get_queue_attributes(&url)).await;
        }
        let answers = world.calls_since(mark).into_iter().map(|call| call.answer).collect();
        world.calm();
        for _ in 0..100 {
            client.get_queue_attributes(&url).await.unwrap();
        }
        answers
    }
    let first = run(7).await;
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
    for answer in [Ok(()), Err(ErrorKind::Throttled), Err(ErrorKind::Transient)] {
        assert!(first.contains(&answer), "{answer:?}");
    }
}

#[tokio::test]
async fn the_journal_knows_every_call_and_every_write() {
    let (world, client) = prompt();
    let url = create(&client, "q", &[]).await.unwrap();
    let mark = world.mark();
    let now = world.now();
    read(&client, &url, Attribute::DelaySeconds).await;
    set(&client, &url, &[(Attribute::DelaySeconds, "5")]).await.unwrap();
    let _ = set(&client, &url, &[(Attribute::DelaySeconds, "-5")]).await;
    client.untag_queue(&url, &["k".to_owned()]).await.unwrap();
    assert_eq!(world.calls_since(mark).len(), 4);
    let writes = world.writes_since(mark);
    assert_eq!(
        writes.iter().map(|call| call.action).collect::<Vec<_>>(),
        ["SetQueueAttributes", "SetQueueAttributes", "UntagQueue"]
    );
    assert_eq!(writes[0].arguments.attributes, attributes(&[(Attribute::DelaySeconds, "5")]));
    assert_eq!((writes[0].at, &writes[0].caller), (now, &operator().arn));
    assert_eq!((writes[1].answer, writes[1].took_effect), (Err(ErrorKind::Invalid), false));
    assert_eq!(writes[2].arguments.keys, ["k"]);
    assert_eq!(writes[2].queue.as_ref(), Some(&world.queue(&url).unwrap().arn));
}

/// The owner tag that `trespasses_since` is asked about here.
fn ours(tags: &Tags) -> bool {
    tags.get("owner").is_some_and(|owner| owner == "us")
}

async fn with_tags(client: &Client, queue: &str, owner: &str) -> String {
    client.create_queue(&name(queue), &attributes(&[]), &tags(&[("owner", owner)])).await.unwrap()
}

#[tokio::test]
async fn touching_what_is_anothers_is_noticed() {
    let (world, client) = prompt();
    let mine = with_tags(&client, "mine", "us").await;
    let theirs = with_tags(&client, "theirs", "them").await;
    let mark = world.mark();
    set(&client, &mine, &[(Attribute::DelaySeconds, "5")]).await.unwrap();
    client.list_queue_tags(&theirs).await.unwrap();
    with_tags(&client, "theirs", "us").await;
    assert!(world.trespasses_since(mark, |_, tags| ours(tags)).is_empty());
    // Taking it over first does not help: what counts is whose it was before.
    world.inject(Trap::new(Fault::LoseAnswer));
    let _ = client.tag_queue(&theirs, &tags(&[("owner", "us")])).await;
    client.delete_queue(&theirs).await.unwrap();
    let trespasses = world.trespasses_since(mark, |_, tags| ours(tags));
    assert_eq!(trespasses.iter().map(|call| call.action).collect::<Vec<_>>(), ["TagQueue"]);
    let adoption = |call: &crate::model::Call, tags: &Tags| ours(tags) || call.action == "TagQueue";
    assert!(world.trespasses_since(mark, adoption).is_empty());
}

#[tokio::test]
async fn strangers_change_things_without_a_trace_in_the_journal() {
    let (world, client) = prompt();
    let url = create(&client, "q", &[]).await.unwrap();
    let mark = world.mark();
    world.inject(Trap::new(Fault::Refuse(ErrorKind::Transient)));
    let stranger = world.outside(&worker());
    stranger.set_queue_attributes(&url, &attributes(&[(Attribute::DelaySeconds, "9")])).unwrap();
    stranger.tag_queue(&url, &tags(&[("auto", "tagger"), ("b", "c")])).unwrap();
    stranger.untag_queue(&url, &["b".to_owned()]).unwrap();
    assert!(world.calls_since(mark).is_empty());
    let view = world.queue(&url).unwrap();
    assert_eq!((view.attributes[&Attribute::DelaySeconds].as_str(), view.tags), ("9", tags(&[("auto", "tagger")])));
    stranger.delete_queue(&url).unwrap();
    assert!(world.queue(&url).is_none());
}

#[tokio::test]
async fn timing_can_change_on_the_way() {
    let world = World::new(1, Timing::aws());
    let client = world.client(&operator());
    world.set_timing(Timing::prompt());
    let url = create(&client, "q", &[]).await.unwrap();
    client.get_queue_attributes(&url).await.unwrap();
}
