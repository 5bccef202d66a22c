//! Which class a Queue is of.

use serde_json::{Value, json};

use prism_queue::api::{IS_DEFAULT_CLASS, Queue, QueueClass};
use prism_queue::domain::class::{Catalog, FLAGS, Labels};
use prism_queue::domain::report::Verdict;

use super::object;
use crate::fixtures::*;

fn marked(mut class: QueueClass) -> QueueClass {
    class.metadata.annotations.get_or_insert_default().insert(IS_DEFAULT_CLASS.to_owned(), "true".to_owned());
    class
}

fn catalog(classes: impl IntoIterator<Item = QueueClass>) -> Catalog {
    let mut catalog = Catalog::new(class());
    for class in classes {
        catalog.put_class(class);
    }
    catalog
}

fn plain(name: &str) -> QueueClass {
    object(name, &json!({}))
}

fn naming(class: &str) -> Queue {
    queue("orders", json!({"queueClassName": class}))
}

fn made_under(queue: Queue, class: &str) -> Queue {
    queue.with_status(|status| {
        let mut target = target("media_orders");
        class.clone_into(&mut target.queue_class_name);
        status.target = Some(target);
    })
}

/// The class's name, or the reason and the words.
fn class_of(catalog: &Catalog, queue: &Queue) -> Result<String, (&'static str, String)> {
    let found = catalog.class_for(queue);
    found.map(|class| class.name).map_err(|refusal| (refusal.reason.as_str(), refusal.message()))
}

#[test]
fn a_namespace_that_went_while_nobody_watched_lends_its_labels_to_no_successor() {
    let mut catalog = catalog([object(
        "prod",
        &json!({"allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {"tier": "prod"}}}}),
    )]);
    catalog.put_namespace("media", Labels::from(map([("tier", "prod")])));
    assert_eq!(class_of(&catalog, &naming("prod")).unwrap(), "prod");
    catalog.keep_namespaces(&["other".to_owned()].into());
    assert_eq!(class_of(&catalog, &naming("prod")).unwrap_err().0, "ClassNotFound", "its labels are not known yet");
}

#[test]
fn without_classes_the_flags_stand_in_for_one() {
    assert_eq!(class_of(&catalog([]), &queue("orders", empty())).unwrap(), FLAGS);
    assert_eq!(class_of(&catalog([plain("prod")]), &queue("orders", empty())).unwrap(), FLAGS, "none is marked");
}

#[test]
fn a_queue_has_the_class_that_it_names_else_the_one_marked_as_the_default() {
    let catalog = catalog([marked(plain("standard")), plain("prod")]);
    assert_eq!(class_of(&catalog, &queue("orders", empty())).unwrap(), "standard");
    assert_eq!(class_of(&catalog, &naming("prod")).unwrap(), "prod");
    let mut unmarked = plain("other");
    unmarked.metadata.annotations = Some(map([(IS_DEFAULT_CLASS, "false")]));
    assert_eq!(class_of(&self::catalog([unmarked]), &queue("orders", empty())).unwrap(), FLAGS);
}

#[test]
fn a_class_that_is_not_there_is_waited_for() {
    let refusal = catalog([marked(plain("standard"))]).class_for(&naming("prod")).unwrap_err();
    assert_eq!(refusal.message(), "spec.queueClassName: there is no QueueClass \"prod\"; it is waited for");
    assert!(refusal.is_waiting());
    let conditions = Verdict::of_refusal(&refusal, Vec::new()).conditions(&[], Some(1), now());
    let told: Vec<(&str, &str)> = conditions.iter().map(|c| (c.type_.as_str(), c.reason.as_str())).collect();
    assert_eq!(told, [("Ready", "ClassNotFound"), ("Propagated", "NotRead"), ("Reconciling", "ClassNotFound")]);
}

#[test]
fn no_queue_can_name_the_flags() {
    for catalog in [catalog([]), catalog([marked(plain("standard"))])] {
        assert_eq!(class_of(&catalog, &naming(FLAGS)).unwrap_err().0, "ClassNotFound");
    }
}

#[test]
fn with_several_defaults_nobody_is_guessed_for_and_who_has_one_keeps_it() {
    let catalog = catalog([marked(plain("b")), marked(plain("a")), plain("c")]);
    let (reason, words) = class_of(&catalog, &queue("orders", empty())).unwrap_err();
    assert_eq!(reason, "SeveralDefaultClasses");
    assert!(words.contains(": a, b; name one here"), "{words}");
    for class in ["a", "b"] {
        assert_eq!(class_of(&catalog, &made_under(queue("orders", empty()), class)).unwrap(), class);
    }
    for class in ["c", FLAGS] {
        let reason = class_of(&catalog, &made_under(queue("orders", empty()), class)).unwrap_err().0;
        assert_eq!(reason, "SeveralDefaultClasses", "{class}");
    }
    assert_eq!(class_of(&catalog, &naming("c")).unwrap(), "c");
}

#[test]
fn a_mark_that_moves_takes_the_queues_that_name_no_class() {
    let mut catalog = catalog([marked(plain("old")), plain("new")]);
    let queue = made_under(queue("orders", empty()), "old");
    assert!(catalog.put_class(plain("old")) && catalog.put_class(marked(plain("new"))));
    assert_eq!(class_of(&catalog, &queue).unwrap(), "new");
}

fn for_namespaces(allowed: &Value) -> Catalog {
    catalog([marked(object("prod", &json!({"allowedNamespaces": allowed})))])
}

fn labelled<const N: usize>(mut catalog: Catalog, labels: [(&str, &str); N]) -> Catalog {
    catalog.put_namespace("media", Labels::from(map(labels)));
    catalog
}

#[test]
fn a_class_is_for_the_namespaces_that_it_allows() {
    let by_selector = |selector: Value| json!({"from": "Selector", "selector": selector});
    let in_list = |operator: &str| {
        by_selector(json!({"matchExpressions": [{"key": "tier", "operator": operator, "values": ["prod", "stage"]}]}))
    };
    let has = |operator: &str| by_selector(json!({"matchExpressions": [{"key": "tier", "operator": operator}]}));
    for (allowed, labels, is_allowed) in [
        (json!({"from": "All"}), "", true),
        (json!({"from": "Names", "names": ["billing", "media"]}), "", true),
        (json!({"from": "Names", "names": ["billing", "med"]}), "", false),
        (by_selector(json!({})), "", true),
        (by_selector(json!({"matchLabels": {"tier": "prod"}})), "prod", true),
        (by_selector(json!({"matchLabels": {"tier": "prod"}})), "dev", false),
        (by_selector(json!({"matchLabels": {"tier": "prod"}})), "", false),
        (in_list("In"), "stage", true),
        (in_list("In"), "dev", false),
        (in_list("In"), "", false),
        (in_list("NotIn"), "dev", true),
        (in_list("NotIn"), "", true),
        (in_list("NotIn"), "prod", false),
        (has("Exists"), "dev", true),
        (has("Exists"), "", false),
        (has("DoesNotExist"), "", true),
        (has("DoesNotExist"), "dev", false),
        (has("Equals"), "dev", false),
        (
            by_selector(json!({
                "matchLabels": {"tier": "prod"},
                "matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}],
            })),
            "prod",
            false,
        ),
    ] {
        let catalog = for_namespaces(&allowed);
        let catalog = if labels.is_empty() { labelled(catalog, []) } else { labelled(catalog, [("tier", labels)]) };
        let found = class_of(&catalog, &queue("orders", empty()));
        assert_eq!(found.is_ok(), is_allowed, "{allowed} with {labels:?}: {found:?}");
        if let Err((reason, _)) = found {
            assert_eq!(reason, "NotAllowedByClass");
        }
    }
}

#[test]
fn a_namespace_is_refused_in_the_words_of_the_class_without_naming_others() {
    let words = |allowed: Value| {
        let catalog = labelled(for_namespaces(&allowed), []);
        class_of(&catalog, &queue("orders", empty())).unwrap_err().1
    };
    let by_name = words(json!({"from": "Names", "names": ["billing"]}));
    assert!(by_name.starts_with("spec.queueClassName: class \"prod\" is not for the namespace media"), "{by_name}");
    assert!(!by_name.contains("billing"), "{by_name}");
    let by_labels = words(json!({"from": "Selector", "selector": {
        "matchLabels": {"tier": "prod"},
        "matchExpressions": [
            {"key": "env", "operator": "In", "values": ["a", "b"]},
            {"key": "old", "operator": "DoesNotExist"},
            {"key": "kind", "operator": "NotIn", "values": ["x"]},
            {"key": "team", "operator": "Exists"},
        ],
    }}));
    assert!(
        by_labels.ends_with("those with the labels tier=prod,env in (a,b),!old,kind notin (x),team"),
        "{by_labels}"
    );
}

#[test]
fn nothing_is_decided_by_labels_that_are_not_known_yet() {
    let needs_labels = [
        json!({"allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {"tier": "prod"}}}}),
        // Without them, a tag that is there would be removed.
        json!({"tagsFromNamespaceLabels": {"team": "team"}}),
    ];
    for spec in needs_labels {
        let (reason, words) =
            class_of(&catalog([marked(object("prod", &spec))]), &queue("orders", empty())).unwrap_err();
        assert_eq!(reason, "ClassNotFound");
        assert!(words.contains("the labels of the namespace media, which are not known yet"), "{words}");
    }
    assert_eq!(class_of(&catalog([marked(plain("prod"))]), &queue("orders", empty())).unwrap(), "prod");
}

#[test]
fn a_queue_that_is_deleted_is_of_the_class_under_which_it_was_made_whatever_came_since() {
    let mut catalog = catalog([
        object(
            "old",
            &json!({"allowedNamespaces": {"from": "Names", "names": ["billing"]}, "tagsFromNamespaceLabels": {"a": "b"}}),
        ),
        marked(plain("new")),
        marked(plain("newer")),
    ]);
    let deleting = |queue: Queue, class: &str| made_under(queue, class).deleting();
    assert_eq!(class_of(&catalog, &deleting(queue("orders", empty()), "old")).unwrap(), "old");
    assert_eq!(class_of(&catalog, &deleting(naming("gone"), "old")).unwrap(), "old");
    assert_eq!(class_of(&catalog, &deleting(queue("orders", empty()), FLAGS)).unwrap(), FLAGS);
    // The class is gone: another of the same place may do.
    assert_eq!(class_of(&catalog, &deleting(naming("new"), "gone")).unwrap(), "new");
    assert!(catalog.remove_class("old"));
    assert_eq!(class_of(&catalog, &deleting(naming("old"), "old")).unwrap_err().0, "ClassNotFound");
}

#[test]
fn only_what_queues_depend_on_sets_them_to_work() {
    let mut catalog = catalog([plain("prod")]);
    let mut seen = plain("prod");
    seen.status = Some(serde_json::from_value(json!({"queues": 3})).unwrap());
    assert!(!catalog.put_class(seen));
    assert!(catalog.put_class(object("prod", &json!({"tags": {"a": "b"}}))));
    assert!(catalog.put_class(marked(object("prod", &json!({"tags": {"a": "b"}})))));
    assert!(catalog.put_namespace("media", Labels::new()) && !catalog.put_namespace("media", Labels::new()));
    assert!(catalog.put_namespace("media", Labels::from(map([("a", "b")]))));
    assert!(catalog.remove_class("prod") && !catalog.remove_class("prod"));
}

#[test]
fn a_class_says_where_and_as_whom_and_how_often() {
    let role = "arn:aws:iam::111122223333:role/prism";
    let spec = json!({
        "aws": {"region": "us-east-1", "accountId": "111122223333", "roleArn": role, "workloadEndpointUrl": "https://sqs.internal"},
        "naming": {"prefix": "p-"},
        "tags": {"team": "class", "cost-center": "42"},
        "tagsFromNamespaceLabels": {"team": "team", "unit": "example.com/unit", "none": "none"},
        "drift": {"intervalSeconds": 30, "mode": "Report"},
    });
    let catalog = labelled(catalog([marked(object("prod", &spec))]), [("team", "label"), ("example.com/unit", "u")]);
    let class = catalog.class_for(&queue("orders", empty())).unwrap();
    assert_eq!((class.place.account_id.as_str(), class.place.region.as_str()), ("111122223333", "us-east-1"));
    assert_eq!(class.caller_arn, role);
    assert_eq!(class.resync, seconds(30));
    assert_eq!(class.workload_endpoint_url.as_deref(), Some("https://sqs.internal"));
    assert_eq!(class.tags, tags([("team", "class"), ("cost-center", "42"), ("unit", "u")]));
    assert!(!class.is_built_in() && catalog.built_in().is_built_in());
    // What it leaves open is as the operator has it.
    let open = self::catalog([marked(plain("prod"))]).class_for(&queue("orders", empty())).unwrap();
    assert_eq!(
        (open.caller_arn, open.resync, open.empty_for),
        (self::class().caller_arn, self::class().resync, seconds(60))
    );
}

#[test]
fn a_queue_being_deleted_whose_class_is_gone_is_not_deleted_by_the_flags() {
    let mut catalog = catalog([marked(object("house", &json!({"defaults": {"deletionPolicy": "Retain"}})))]);
    assert!(catalog.remove_class("house"));
    let found = class_of(&catalog, &made_under(queue("orders", empty()), "house").deleting());
    assert_eq!(found.unwrap_err().0, "ClassNotFound");
}

#[test]
fn a_mark_taken_away_does_not_give_the_queues_of_the_class_to_the_flags() {
    let mut catalog = catalog([marked(plain("old")), plain("new")]);
    let queue = made_under(queue("orders", empty()), "old");
    catalog.put_class(plain("old"));
    assert_ne!(class_of(&catalog, &queue).ok().as_deref(), Some(FLAGS));
}

#[test]
fn a_class_that_cannot_be_read_is_not_taken_for_gone() {
    let unreadable = |catalog: &mut Catalog, class: QueueClass| catalog.put_unreadable(class.metadata);
    let mut catalog = catalog([marked(plain("house")), plain("other")]);
    assert!(unreadable(&mut catalog, marked(plain("house"))), "news");
    assert!(!unreadable(&mut catalog, marked(plain("house"))), "once");
    let unnamed = queue("orders", empty());
    for queue in
        [unnamed.clone(), made_under(unnamed.clone(), "house"), made_under(unnamed.clone(), "house").deleting()]
    {
        assert_eq!(class_of(&catalog, &queue).unwrap_err().0, "ClassNotFound", "neither the flags nor another class");
    }
    assert_eq!(class_of(&catalog, &queue("orders", json!({"queueClassName": "other"}))).as_deref(), Ok("other"));
    assert!(catalog.all().all(|class| class.metadata.name.as_deref() != Some("house")), "nobody asks AWS for it");
    assert!(catalog.put_class(marked(plain("house"))), "readable again");
    assert_eq!(class_of(&catalog, &unnamed).as_deref(), Ok("house"));
}

#[test]
fn deleting_is_no_way_into_a_class_that_is_not_for_the_namespace() {
    let strict = || object("strict", &json!({"limits": {"deletionPolicies": ["DeleteIfEmpty"]}}));
    let elsewhere = json!({"allowedNamespaces": {"from": "Names", "names": ["platform"]}});
    let dying = |spec: Value, recorded: &str| made_under(queue("orders", spec), recorded).deleting();
    // By its name, or as the default.
    let named = catalog([strict(), object("lax", &elsewhere)]);
    let switched = dying(json!({"queueClassName": "lax", "deletionPolicy": "Delete"}), "strict");
    assert_eq!(class_of(&named, &switched).as_deref(), Ok("strict"));
    let default = catalog([strict(), marked(object("lax", &elsewhere))]);
    assert_eq!(class_of(&default, &dying(empty(), "strict")).as_deref(), Ok("strict"));
    // The recorded class is gone: nobody says what becomes of the queue.
    let only_lax = catalog([object("lax", &elsewhere)]);
    assert_eq!(class_of(&only_lax, &switched).unwrap_err().0, "ClassNotFound");
    // A class that is for it no longer still lets it go.
    assert_eq!(class_of(&only_lax, &dying(json!({"queueClassName": "lax"}), "lax")).as_deref(), Ok("lax"));
    // One that it may use is as good as alive.
    let both = catalog([strict(), plain("other")]);
    assert_eq!(class_of(&both, &dying(json!({"queueClassName": "other"}), "strict")).as_deref(), Ok("other"));
}
