//! `QueueAccess`, by real calls of a role that no other policy allows anything.

use std::collections::BTreeSet;

use serde_json::json;

use super::account::role_arn;
use super::as_installed;
use super::calls::{CONSUMING, INSPECTING, NOTHING, permitted};
use crate::grants::{Workload, to};
use crate::harness::wait::eventually;
use crate::harness::{ACCOUNT, aws as seen};

#[test]
fn a_workload_elsewhere_may_what_it_is_granted_for_as_long_as_the_queue_allows_it() {
    as_installed(&[], async |scope, aws| {
        let role = format!("workload-{}", scope.name);
        let worker = aws.session(ACCOUNT, &role, &[]).await;
        let elsewhere = Workload::elsewhere(scope).await;
        let allowing = json!({"access": {"allowedNamespaces": {"from": "Names", "names": [elsewhere.namespace]}}});
        scope.apply_ready("work", json!({})).await;
        let administrator = aws.root(ACCOUNT).sqs;
        let url = async |queue: String| seen::url(&administrator, &queue).await.expect("it exists");
        let (work, letters) = (url(scope.queue("work")).await, url(scope.dead_letter_queue("work")).await);
        let may = async |url: &str| permitted(&worker.sqs, url).await;

        let spec = to(scope, "work", &["Consume", "Inspect"], &role_arn(ACCOUNT, &role));
        elsewhere.apply("reader", spec).await;
        elsewhere.says("reader", "NotAllowedByQueue").await;
        assert_eq!((may(&work).await, may(&letters).await), (NOTHING.into(), NOTHING.into()));

        scope.apply("work", allowing.clone()).await;
        elsewhere.says("reader", "Granted").await;
        assert_eq!((may(&work).await, may(&letters).await), (CONSUMING.into(), INSPECTING.into()));

        scope.apply("work", json!({})).await;
        elsewhere.says("reader", "NotAllowedByQueue").await;
        for url in [&work, &letters] {
            eventually("nothing works any more", async || may(url).await, BTreeSet::is_empty).await;
        }

        scope.apply("work", allowing).await;
        elsewhere.says("reader", "Granted").await;
        assert_eq!(may(&work).await, CONSUMING.into());
        elsewhere.delete("reader").await;
        assert_eq!(
            (may(&work).await, may(&letters).await),
            (NOTHING.into(), NOTHING.into()),
            "it is out when it is gone"
        );
    });
}
