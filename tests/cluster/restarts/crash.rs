//! The operator killed in the middle of its work.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::harness::{alone, aws, is_ready};

const QUEUES: usize = 200;

#[test]
fn an_operator_killed_in_a_burst_of_200_queues_goes_on_where_it_was_and_makes_nothing_twice() {
    alone(async |scope| {
        let proxy = &scope.world.proxy;
        let operator = scope.world.operator(&[]).await;
        let mark = proxy.mark();
        let names: Vec<String> = (0..QUEUES).map(|number| format!("burst-{number}")).collect();
        let apply = async |name: &String| _ = scope.apply(name, json!({})).await;
        futures::future::join_all(names.iter().map(apply)).await;
        let created = |calls: &[crate::proxy::Call]| {
            calls[mark..].iter().filter(|call| call.action == "CreateQueue" && call.status.is_some()).count()
        };
        assert!(proxy.until(Duration::from_mins(2), |calls| created(calls) >= QUEUES / 2).await);
        operator.kill().await;
        let before = created(&proxy.calls());
        assert!(before < 2 * QUEUES, "it was killed in the middle");

        let operator = scope.world.operator(&[]).await;
        for name in &names {
            scope.until_within(Duration::from_mins(5), name, "is ready", is_ready).await;
        }
        let mut wanted: Vec<String> =
            names.iter().flat_map(|name| [scope.queue(name), scope.dead_letter_queue(name)]).collect();
        wanted.sort();
        assert_eq!(scope.queues_in_aws().await, wanted, "all are there, and no other");
        // A queue that was made and then made again would have lost its first messages: each was made once. Asking
        // again for what is there already answers with the same queue.
        let mut made: BTreeMap<String, usize> = BTreeMap::new();
        for call in proxy.since(mark).into_iter().filter(|call| call.action == "CreateQueue" && call.reached) {
            *made.entry(call.queue.unwrap()).or_default() += 1;
        }
        assert_eq!(made.len(), 2 * QUEUES);
        let again = made.values().filter(|times| **times > 1).count();
        assert!(again <= 2 * 16, "only what was under way is asked for again, not {again}");
        assert_eq!(proxy.since(mark).iter().filter(|call| call.action == "DeleteQueue").count(), 0);
        for queue in [&wanted[0], &wanted[QUEUES], &wanted[2 * QUEUES - 1]] {
            assert_eq!(aws::tags(&scope.world.sqs, queue).await["queue.prism.io/origin"], "created");
        }
        operator.terminate().await;
    });
}

#[test]
fn an_operator_killed_before_it_heard_of_a_creation_knows_the_queue_for_its_own() {
    use crate::proxy::{Fault, Gate, Rule, When};
    alone(async |scope| {
        let gate = Gate::closed();
        let queue = scope.queue("work");
        let hold = Fault::Hold(gate.clone(), When::After);
        scope.world.proxy.inject(Rule::new(hold).action("CreateQueue").queue(&queue).times(1));
        let operator = scope.world.operator(&[]).await;
        scope.apply("work", json!({})).await;
        gate.reached_by(1).await;
        operator.kill().await;
        gate.open();
        assert!(aws::url(&scope.world.sqs, &queue).await.is_some(), "it was made, and nobody was told");

        let _operator = scope.world.operator(&[]).await;
        scope.ready("work").await;
        assert_eq!(scope.queues_in_aws().await, [queue, scope.dead_letter_queue("work")]);
    });
}

#[test]
fn an_operator_killed_in_the_middle_of_a_deletion_finishes_it() {
    use crate::proxy::{Fault, Gate, Rule, When};
    alone(async |scope| {
        let operator = scope.world.operator(&[]).await;
        scope.apply_ready("work", json!({})).await;
        let gate = Gate::closed();
        let hold = Fault::Hold(gate.clone(), When::After);
        scope.world.proxy.inject(Rule::new(hold).action("DeleteQueue").queue(&scope.queue("work")).times(1));
        scope.delete("work").await;
        gate.reached_by(1).await;
        operator.kill().await;
        gate.open();

        let _operator = scope.world.operator(&[]).await;
        scope.gone("work").await;
        assert!(scope.queues_in_aws().await.is_empty());
    });
}
