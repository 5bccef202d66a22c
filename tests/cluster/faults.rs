//! Trouble on the wire: it is named, waited for, and leaves no trace.

use prism_queue::aws::budget::Budget;
use serde_json::json;

use crate::harness::wait::eventually;
use crate::harness::{Scope, aws, condition, is_ready, ready_reason, shared, shared_gauge};
use crate::proxy::{Fault, Rule, Throttle, When};

/// Applies a Queue whose first calls go wrong, waits until it is ready all the same, and returns what was told.
async fn survives(scope: &Scope, name: &str, fault: Fault, action: &str) -> Vec<(String, String)> {
    scope.world.proxy.inject(Rule::new(fault).action(action).queue(&scope.queue(name)).times(1));
    scope.apply_ready(name, json!({})).await;
    scope.events(name).await
}

/// Fails unless an event with `reason` was told, and one for each of the two queues that were made.
fn is_told(events: &[(String, String)], reason: &str, note: &str) {
    let told = events.iter().any(|(is, says)| is == reason && says.contains(note));
    assert!(told, "no event {reason} with {note:?} in {events:#?}");
    let created = events.iter().filter(|(reason, _)| reason == "Created").count();
    assert_eq!(created, 2, "{events:#?}");
}

#[test]
fn throttling_in_each_of_its_forms_is_waited_for() {
    shared(async |scope| {
        let table = [
            ("bad-request", Throttle::BadRequest, "Throttled"),
            ("too-many", Throttle::TooManyRequests, "Throttled"),
            ("unavailable", Throttle::Unavailable, "AWSUnavailable"),
        ];
        for (name, form, reason) in table {
            let events = survives(scope, name, Fault::Throttle(form), "CreateQueue").await;
            is_told(&events, reason, "CreateQueue");
        }
        assert_eq!(scope.queues_in_aws().await.len(), 6);
    });
}

#[test]
fn throttling_slows_the_budget_of_all_until_it_ends_and_keeps_no_other_queue_from_being_made() {
    shared(async |scope| {
        let (proxy, slow) = (&scope.world.proxy, scope.queue("slow"));
        let rate = async || {
            shared_gauge("prism_queue_aws_budget_calls_per_second", r#"class="(operator flags)",bucket="calls""#).await
        };
        let is_full = |rate: &Option<f64>| rate.is_some_and(|rate| rate >= Budget::CALLS);
        eventually("the budget is full", rate, is_full).await;
        proxy.inject(Rule::new(Fault::Throttle(Throttle::BadRequest)).action("CreateQueue").queue(&slow));
        scope.apply("slow", json!({})).await;
        eventually("the budget falls", rate, |rate| !is_full(rate)).await;
        scope.apply_ready("other", json!({})).await;
        assert_eq!(ready_reason(&scope.get("slow").await), Some("Throttled"));

        proxy.calm_about(&slow);
        scope.ready("slow").await;
        eventually("the budget comes back", rate, is_full).await;
    });
}

#[test]
fn an_internal_error_of_aws_is_waited_for() {
    shared(async |scope| {
        let events = survives(scope, "work", Fault::internal(), "CreateQueue").await;
        is_told(&events, "AWSUnavailable", "CreateQueue");
    });
}

#[test]
fn a_call_that_never_arrived_is_made_again() {
    shared(async |scope| {
        let events = survives(scope, "work", Fault::Drop(When::Before), "CreateQueue").await;
        is_told(&events, "AWSUnavailable", "CreateQueue");
    });
}

#[test]
fn a_queue_whose_creation_was_not_answered_is_not_made_twice() {
    shared(async |scope| {
        scope
            .world
            .proxy
            .inject(Rule::new(Fault::Drop(When::After)).action("CreateQueue").queue(&scope.queue("work")).times(1));
        scope.world.proxy.inject(
            Rule::new(Fault::Drop(When::After)).action("CreateQueue").queue(&scope.dead_letter_queue("work")).times(1),
        );
        scope.apply_ready("work", json!({})).await;
        let wanted = [scope.queue("work"), scope.dead_letter_queue("work")];
        assert_eq!(scope.queues_in_aws().await, wanted);
        for queue in &wanted {
            let tags = aws::tags(&scope.world.sqs, queue).await;
            assert_eq!(tags.get("queue.prism.io/origin").map(String::as_str), Some("created"), "it is still ours");
        }
    });
}

#[test]
fn writes_that_were_not_answered_converge() {
    shared(async |scope| {
        scope.apply_ready("work", json!({"tags": {"team": "one", "old": "x"}})).await;
        let queue = scope.queue("work");
        for action in ["SetQueueAttributes", "TagQueue", "UntagQueue"] {
            scope.world.proxy.inject(Rule::new(Fault::Drop(When::After)).action(action).queue(&queue).times(1));
        }
        scope.apply_ready("work", json!({"delaySeconds": 7, "tags": {"team": "two"}})).await;
        assert_eq!(scope.attributes(&queue).await["DelaySeconds"], "7");
        let tags = aws::tags(&scope.world.sqs, &queue).await;
        assert_eq!((tags.get("team").map(String::as_str), tags.get("old")), (Some("two"), None));

        scope.world.proxy.inject(Rule::new(Fault::Drop(When::After)).action("DeleteQueue").queue(&queue).times(1));
        scope.delete("work").await;
        scope.gone("work").await;
        assert!(scope.queues_in_aws().await.is_empty());
    });
}

#[test]
fn a_denied_call_is_named_and_tried_again() {
    shared(async |scope| {
        let events = survives(scope, "work", Fault::access_denied(), "CreateQueue").await;
        is_told(&events, "Denied", "CreateQueue");
    });
}

#[test]
fn a_name_that_cools_down_is_waited_for_visibly() {
    shared(async |scope| {
        // Somebody has just deleted a queue of this name.
        let queue = scope.queue("again");
        let sqs = scope.world.sqs_through_the_proxy();
        let made = sqs.create_queue().queue_name(&queue).send().await.unwrap();
        sqs.delete_queue().queue_url(made.queue_url().unwrap()).send().await.unwrap();

        scope.apply_ready("again", json!({})).await;
        is_told(&scope.events("again").await, "NameCoolDown", "60 s");
    });
}

#[test]
fn attributes_that_show_late_are_waited_for_and_not_written_again() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        let (proxy, queue) = (&scope.world.proxy, scope.queue("work"));
        scope.poke("work").await; // What is read now is what stays visible.
        let propagated = |queue: &prism_queue::api::Queue, status: &str| {
            is_ready(queue) && condition(queue, "Propagated").is_some_and(|condition| condition.status == status)
        };
        let writes = proxy.count("SetQueueAttributes", Some(&queue));
        proxy.inject(Rule::new(Fault::Stale).queue(&queue).times(4));
        scope.apply("work", json!({"visibilityTimeoutSeconds": 77})).await;
        let waiting = scope.until("work", "is ready, and waits", |queue| propagated(queue, "False")).await;
        let message = &condition(&waiting, "Propagated").unwrap().message;
        assert!(message.contains("VisibilityTimeout"), "{message}");

        for _ in 0..4 {
            let reads = proxy.count("GetQueueAttributes", Some(&queue));
            scope.poke("work").await;
            let look = async || proxy.count("GetQueueAttributes", Some(&queue));
            eventually("it is read again", look, |count| *count > reads).await;
        }
        scope.until("work", "is read back", |queue| propagated(queue, "True")).await;
        assert_eq!(proxy.count("SetQueueAttributes", Some(&queue)) - writes, 1, "no write loop");
    });
}

#[test]
fn a_queue_that_is_said_not_to_exist_and_is_listed_is_not_made_again() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        let (proxy, queue) = (&scope.world.proxy, scope.queue("work"));
        let gone =
            Fault::Error { status: 400, code: "QueueDoesNotExist", message: "The specified queue does not exist." };
        let mark = proxy.mark();
        proxy.inject(Rule::new(gone).action("GetQueueAttributes").queue(&queue).times(1));
        scope.poke("work").await;
        let told = async || scope.events("work").await;
        let is_denied = |events: &Vec<(String, String)>| events.iter().any(|(reason, _)| reason == "Denied");
        eventually("Denied is told", told, is_denied).await;
        scope.ready("work").await;
        let calls = proxy.since(mark);
        let created = calls.iter().any(|call| call.action == "CreateQueue" && call.queue.as_ref() == Some(&queue));
        assert!(!created, "it is not believed");
    });
}
