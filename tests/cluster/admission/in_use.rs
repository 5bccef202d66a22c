//! A class with users stays.

use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::Status;
use serde_json::json;

use super::{IN_USE, classes, near, under};
use crate::harness::wait::eventually;
use crate::harness::{Scope, alone};

/// What the API server has against the deletion of a class; nothing when it is deleted.
async fn delete(scope: &Scope, class: &str, parameters: &DeleteParams) -> Option<Box<Status>> {
    match classes(scope).delete(class, parameters).await {
        Ok(_) => None,
        Err(kube::Error::Api(refusal)) => Some(refusal),
        Err(error) => panic!("{class}: {error}"),
    }
}

/// Without an operator, so that the count is the test's.
#[test]
fn a_class_in_use_cannot_be_deleted_and_one_without_users_can() {
    alone(async |scope| {
        let class = scope.class("used", json!({"aws": near()})).await;
        let unseen = scope.class("unseen", json!({"aws": near()})).await;
        let count = async |queues: i32| {
            let patch = Patch::Merge(json!({"status": {"queues": queues}}));
            classes(scope).patch_status(&class, &PatchParams::default(), &patch).await.expect("a class");
        };
        count(12).await;
        under(IN_USE, scope, async || {
            // The policy takes a moment to be known.
            let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
            let try_it = async || delete(scope, &class, &dry).await;
            let refusal = eventually("the deletion is refused", try_it, Option::is_some).await.unwrap();
            assert_eq!((refusal.code, refusal.reason.as_str()), (403, "Forbidden"));
            let words = format!("class {class:?} is used by 12 Queues, ");
            assert!(refusal.message.contains(&words), "{}", refusal.message);
            assert!(delete(scope, &class, &DeleteParams::foreground()).await.is_some());

            let gone = delete(scope, &unseen, &DeleteParams::default()).await;
            assert_eq!(gone.map(|refusal| refusal.message), None, "nobody uses it, as far as is known");
            let of_this_test = ListParams::default().labels(&format!("test={}", scope.name));
            let all = classes(scope).delete_collection(&DeleteParams::default(), &of_this_test).await;
            assert!(all.is_err(), "nor together with others");
            let kept = classes(scope).get(&class).await.expect("it is there");
            assert_eq!(kept.metadata.deletion_timestamp, None);

            count(1).await;
            let refusal = delete(scope, &class, &DeleteParams::default()).await.expect("it is refused");
            assert!(refusal.message.contains("is used by 1 Queue, "), "{}", refusal.message);

            count(0).await;
            assert_eq!(delete(scope, &class, &DeleteParams::default()).await.map(|refusal| refusal.message), None);
        })
        .await;
    });
}
