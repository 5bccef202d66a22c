//! Several replicas: one acts.

use serde_json::json;

use crate::harness::wait::eventually;
use crate::harness::{Operator, alone};

async fn leads(operator: &Operator) -> u64 {
    operator.metric("prism_queue_leader", |_| true).await
}

#[test]
fn one_of_two_operators_leads_and_the_other_takes_over_when_it_ends() {
    alone(async |scope| {
        let first = scope.world.operator(&[]).await;
        let second = Operator::start(scope.world, &scope.world.identity, &[]).await;
        second.says("serving /healthz").await;
        assert_eq!(second.get("/healthz").await.0, 200);
        scope.apply_ready("one", json!({})).await;
        assert_eq!((leads(&first).await, leads(&second).await), (1, 0));
        let reconciles = second.metric("prism_queue_reconciles_total", |_| true).await;
        let writes = second.metric("prism_queue_kubernetes_writes_total", |_| true).await;
        assert_eq!((reconciles, writes), (0, 0), "the second stands by");

        let ended = first.terminate().await;
        assert_eq!(ended.code, 0, "{}", ended.log);
        second.works().await;
        scope.apply_ready("two", json!({})).await;
        eventually("the second leads", async || leads(&second).await, |leads| *leads == 1).await;
        assert_eq!(second.get("/readyz").await.0, 200);
    });
}

#[test]
fn the_other_takes_over_from_an_operator_that_was_killed_when_its_lease_has_run_out() {
    alone(async |scope| {
        let first = scope.world.operator(&[]).await;
        let second = Operator::start(scope.world, &scope.world.identity, &[]).await;
        second.says("serving /healthz").await;
        first.kill().await;
        second.works().await;
        scope.apply_ready("work", json!({})).await;
    });
}

#[test]
fn an_operator_that_is_asked_to_end_finishes_what_it_has_begun() {
    use crate::proxy::{Fault, Gate, Rule, When};
    alone(async |scope| {
        let gate = Gate::closed();
        let hold = Fault::Hold(gate.clone(), When::Before);
        scope.world.proxy.inject(Rule::new(hold).action("CreateQueue").queue(&scope.queue("work")).times(1));
        let operator = scope.world.operator(&[]).await;
        scope.apply("work", json!({})).await;
        gate.reached_by(1).await;
        operator.signal("-TERM");
        gate.open();
        let ended = operator.end().await;
        assert_eq!(ended.code, 0, "{}", ended.log);
        scope.ready("work").await;
    });
}
