//! docs/injection.md, as decisions: what the annotation means, which Secret is meant, what a Pod gets, and what becomes of it when
//! something is wrong.

use json_patch::Patch;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use proptest::prelude::*;
use serde_json::{Value, json};

use prism_queue::api::queue_access::SecretReference;
use prism_queue::api::status::OutputReference;
use prism_queue::api::{INJECT, INJECTED, INJECTION_WARNINGS, Queue, QueueAccess, QueueAccessStatus};
use prism_queue::domain::injection::{
    Asked, Decision, FailurePolicy, Found, Source, decide, secret_of_access, secret_of_queue,
};
use prism_queue::domain::outputs::OutputSettings;

use crate::fixtures::*;

fn pod(inject: &str, spec: &Value) -> Value {
    json!({"metadata": {"name": "p", "annotations": {INJECT: inject}}, "spec": spec})
}

fn typed(pod: &Value) -> Pod {
    serde_json::from_value(pod.clone()).unwrap()
}

fn asked(inject: &str) -> Asked {
    Asked::of(&typed(&pod(inject, &json!({"containers": []}))))
}

fn names(asked: &Asked) -> Vec<String> {
    asked.sources.iter().map(ToString::to_string).collect()
}

/// The answer where each that is named has its default Secret.
fn answer(pod: &Value, policy: FailurePolicy) -> Decision {
    let pod = typed(pod);
    let asked = Asked::of(&pod);
    let found: Vec<Found> = asked.sources.iter().map(|source| Found::Secret(Ok(source.default_secret()))).collect();
    decide(&pod, "media", &asked, &found, policy)
}

fn admitted(decision: Decision) -> (Patch, Vec<String>) {
    let Decision::Admit { patch, warnings } = decision else { panic!("{decision:?}") };
    (patch, warnings)
}

fn refused(decision: Decision) -> String {
    let Decision::Refuse(why) = decision else { panic!("{decision:?}") };
    why
}

/// What comes out of creating `pod`.
fn injected(pod: &Value) -> Value {
    let (patch, warnings) = admitted(answer(pod, FailurePolicy::Fail));
    assert_eq!(warnings, [""; 0]);
    let mut changed = pod.clone();
    json_patch::patch(&mut changed, &patch).unwrap();
    changed
}

#[test]
fn names_are_read_in_their_order_each_once() {
    for (text, wanted, is_several) in [
        ("", &[][..], false),
        ("  ", &[], false),
        ("orders", &["orders"], false),
        (" orders ", &["orders"], false),
        ("orders,orders", &["orders"], false),
        ("orders, access/resizer", &["orders", "access/resizer"], true),
        ("b,a", &["b", "a"], true),
    ] {
        let asked = asked(text);
        assert_eq!((names(&asked), asked.is_several), (wanted.iter().map(|n| (*n).to_owned()).collect(), is_several));
        assert_eq!(asked.errors, [""; 0], "{text:?}");
    }
    assert_eq!(Asked::of(&Pod::default()), Asked::default(), "without the annotation");
}

#[test]
fn what_is_wrong_is_said_of_each_and_the_others_are_read() {
    for (text, wanted, words) in [
        ("orders,", &["orders"][..], "\"\" is not the name of a Queue"),
        ("Orders", &[], "\"Orders\" is not the name of a Queue"),
        ("media/orders", &[], "\"media/orders\" is not the name of a Queue"),
        ("access/media/orders", &[], "\"access/media/orders\" is not"),
        ("access/", &[], "nor access/ and that of a QueueAccess"),
        ("a b,c", &["c"], "\"a b\" is not"),
        ("orders,access/orders", &["orders"], "orders and access/orders would both begin with ORDERS_"),
    ] {
        let asked = asked(text);
        assert_eq!(names(&asked), wanted, "{text:?}");
        assert_eq!(asked.errors.len(), 1, "{text:?}: {:?}", asked.errors);
        assert!(asked.errors[0].contains(words), "{text:?}: {:?}", asked.errors);
    }
    assert!(asked("orders,NO").is_several, "a prefix does not go because its neighbour is misspelt");
}

#[test]
fn no_pod_makes_the_operator_look_at_more_than_twenty_objects() {
    let many: Vec<String> = (0..21).map(|n| format!("q{n}")).collect();
    assert!(asked(&many[1..].join(",")).errors.is_empty());
    let asked = asked(&many.join(","));
    assert_eq!((asked.sources.len(), asked.errors.len()), (20, 1));
    assert!(asked.errors[0].contains("names 21; at most 20"), "{:?}", asked.errors);
}

#[test]
fn a_prefix_is_the_name_as_a_variable_begins() {
    for (name, prefix) in [
        ("orders", "ORDERS_"),
        ("image-processing", "IMAGE_PROCESSING_"),
        ("2nd", "_2ND_"),
        ("aws", "_AWS_"),
        ("aws-endpoint", "_AWS_ENDPOINT_"),
        ("awsome", "AWSOME_"),
    ] {
        assert_eq!(Source::Queue(name.to_owned()).prefix(), prefix);
        assert_eq!(Source::Access(name.to_owned()).prefix(), prefix);
    }
}

#[test]
fn the_names_of_secrets_are_those_that_are_written() {
    for spec in [json!({}), json!({"outputs": {"secret": {"name": "s"}}})] {
        let queue = queue("orders", spec);
        let written = OutputSettings::of(&queue, &class()).render(&coordinates());
        assert_eq!(secret_of_queue(&queue).unwrap(), written[0].name);
    }
    for secret in [json!(null), json!({"name": "s"})] {
        let access = access(&secret);
        let written = OutputSettings::of_access(&access, &class()).render(&coordinates());
        assert_eq!(secret_of_access(&access).unwrap(), written[0].name);
    }
    assert_eq!(Source::Queue("orders".to_owned()).default_secret(), "orders-queue");
    assert_eq!(Source::Access("resizer".to_owned()).default_secret(), "resizer-access");
}

fn coordinates() -> prism_queue::domain::outputs::Coordinates {
    prism_queue::domain::outputs::Coordinates {
        url: url("orders"),
        arn: arn("orders"),
        name: "orders".to_owned(),
        queue_type: prism_queue::api::queue::QueueType::Standard,
        region: REGION.to_owned(),
        dead_letter_url: None,
        dead_letter_arn: None,
    }
}

fn access(secret: &Value) -> QueueAccess {
    let spec = json!({
        "queueRef": {"name": "orders", "namespace": "media"},
        "permissions": ["Send"],
        "subject": {"principalArn": "arn:aws:iam::123456789012:role/worker"},
        "secret": secret,
    });
    let mut access = QueueAccess::new("resizer", serde_json::from_value(spec).unwrap());
    access.metadata.generation = Some(1);
    access
}

fn ready(status: &str, reason: &str) -> Condition {
    Condition {
        type_: "Ready".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        observed_generation: Some(1),
        last_transition_time: Time(now()),
    }
}

/// A Queue whose status speaks of this generation and shows these outputs.
fn reported(spec: Value, generation: i64, (status, reason): (&str, &str), outputs: &[(&str, &str)]) -> Queue {
    queue("orders", spec).with_status(|now| {
        now.observed_generation = Some(generation);
        now.conditions = vec![ready(status, reason)];
        let of = |(kind, name): &(&str, &str)| OutputReference { kind: (*kind).to_owned(), name: (*name).to_owned() };
        now.outputs = outputs.iter().map(of).collect();
    })
}

#[test]
fn a_queue_has_the_secret_that_it_writes_or_says_why_it_has_none() {
    let (converged, waiting, conflict) = (("True", "Converged"), ("False", "Propagating"), ("False", "OutputConflict"));
    let own = [("Secret", "orders-queue")];
    let others = [("ConfigMap", "orders-queue"), ("Secret", "orders-binding")];
    let disabled = json!({"outputs": {"secret": {"mode": "Disabled"}}});
    let named = json!({"outputs": {"secret": {"name": "s"}}});
    for (queue, wanted) in vec![
        (queue("orders", json!({})), Ok("orders-queue")),
        (queue("orders", disabled.clone()), Err("spec.outputs.secret.mode is Disabled")),
        (reported(json!({}), 1, converged, &own), Ok("orders-queue")),
        (reported(json!({}), 1, waiting, &[]), Ok("orders-queue")),
        // Ready and without: it is not going to come.
        (reported(json!({}), 1, converged, &others), Err("its class sets outputs.secret.mode to Disabled")),
        // What it says of the generation before says nothing about this one.
        (reported(json!({}), 0, converged, &others), Ok("orders-queue")),
        (reported(named.clone(), 0, converged, &own), Ok("s")),
        (reported(named, 1, conflict, &own), Err("s is somebody else's (OutputConflict)")),
        // The conflict is about another output.
        (reported(json!({}), 1, conflict, &own), Ok("orders-queue")),
        (reported(disabled, 1, converged, &own), Err("is Disabled")),
    ] {
        match (secret_of_queue(&queue), wanted) {
            (Ok(name), Ok(wanted)) => assert_eq!(name, wanted),
            (Err(why), Err(words)) => assert!(format!("{why:?}").contains(words), "{why:?}: {words}"),
            (got, wanted) => panic!("{got:?} is not {wanted:?}: {:?} {:?}", queue.spec.outputs, queue.status),
        }
    }
}

#[test]
fn a_queue_access_has_the_secret_that_it_writes_or_says_why_it_has_none() {
    let with = |reason: &str, secret: Option<&str>| {
        let mut access = access(&json!(null));
        access.status = Some(QueueAccessStatus {
            observed_generation: Some(1),
            conditions: vec![ready("False", reason)],
            secret: secret.map(|name| SecretReference { name: name.to_owned() }),
            ..QueueAccessStatus::default()
        });
        access
    };
    assert_eq!(secret_of_access(&with("Reconciling", None)).unwrap(), "resizer-access");
    assert_eq!(secret_of_access(&with("OutputConflict", Some("resizer-access"))).unwrap(), "resizer-access");
    let why = secret_of_access(&with("OutputConflict", None)).unwrap_err();
    assert!(format!("{why:?}").contains("resizer-access is somebody else's"), "{why:?}");
    let why = secret_of_access(&access(&json!({"mode": "Disabled"}))).unwrap_err();
    assert!(format!("{why:?}").contains("spec.secret.mode is Disabled"), "{why:?}");
}

#[test]
fn every_container_gets_the_secret_of_the_one_queue_as_it_is() {
    let plain = |name: &str| json!({"name": name, "image": "i"});
    let got =
        injected(&pod("orders", &json!({"initContainers": [plain("i")], "containers": [plain("a"), plain("b")]})));
    let from = json!([{"secretRef": {"name": "orders-queue"}}]);
    let with = |name: &str| json!({"name": name, "image": "i", "envFrom": from});
    assert_eq!(got["spec"], json!({"initContainers": [with("i")], "containers": [with("a"), with("b")]}));
    assert_eq!(got["metadata"]["annotations"], json!({INJECT: "orders", INJECTED: "orders=orders-queue"}));
}

#[test]
fn several_get_prefixes_and_the_endpoint_keeps_its_name() {
    let got = injected(&pod("image-processing, access/resizer", &json!({"containers": [{"name": "a"}]})));
    assert_eq!(
        got["spec"]["containers"][0],
        json!({
            "name": "a",
            "envFrom": [
                {"prefix": "IMAGE_PROCESSING_", "secretRef": {"name": "image-processing-queue"}},
                {"prefix": "RESIZER_", "secretRef": {"name": "resizer-access"}},
            ],
            // AWS clients read it under this name alone. The Secret has it only when the class says so.
            "env": [{
                "name": "AWS_ENDPOINT_URL_SQS",
                "valueFrom": {"secretKeyRef": {
                    "name": "image-processing-queue", "key": "AWS_ENDPOINT_URL_SQS", "optional": true,
                }},
            }],
        })
    );
    let injected = "image-processing=image-processing-queue,access/resizer=resizer-access";
    assert_eq!(got["metadata"]["annotations"][INJECTED], injected);
}

#[test]
fn what_the_pod_says_itself_wins() {
    // Of two sources the later wins, and env wins over both (core/v1, Container).
    let own = json!({"configMapRef": {"name": "own"}});
    let env = json!([{"name": "QUEUE_URL", "value": "mine"}, {"name": "AWS_ENDPOINT_URL_SQS", "value": "mine"}]);
    let got = injected(&pod("a,b", &json!({"containers": [{"name": "c", "envFrom": [own], "env": env}]})));
    let container = &got["spec"]["containers"][0];
    assert_eq!(container["env"], env);
    assert_eq!(container["envFrom"][2], own);
    assert_eq!(container["envFrom"][0]["secretRef"]["name"], "a-queue");
    assert_eq!(container["envFrom"][1]["secretRef"]["name"], "b-queue");
}

#[test]
fn what_a_container_has_it_does_not_get_again() {
    let by_hand = json!([{"configMapRef": {"name": "own"}}, {"secretRef": {"name": "orders-queue"}}]);
    let got = injected(&pod("orders", &json!({"containers": [{"name": "a", "envFrom": by_hand}, {"name": "b"}]})));
    assert_eq!(got["spec"]["containers"][0]["envFrom"], by_hand);
    assert_eq!(got["spec"]["containers"][1]["envFrom"], json!([{"secretRef": {"name": "orders-queue"}}]));
    // The same under another prefix is another environment.
    let prefixed = json!([{"prefix": "X_", "secretRef": {"name": "orders-queue"}}]);
    let got = injected(&pod("orders", &json!({"containers": [{"name": "a", "envFrom": prefixed}]})));
    assert_eq!(got["spec"]["containers"][0]["envFrom"].as_array().unwrap().len(), 2);
}

#[test]
fn nothing_asked_is_nothing_changed() {
    for text in ["", " "] {
        let (patch, warnings) =
            admitted(answer(&pod(text, &json!({"containers": [{"name": "a"}]})), FailurePolicy::Fail));
        assert!(patch.is_empty() && warnings.is_empty());
    }
}

/// The answers to one Pod that asks for `orders`, closed and open.
fn both(found: &Found) -> (String, Value, Vec<String>) {
    let asking = pod("orders", &json!({"containers": [{"name": "a"}]}));
    let asked = asked("orders");
    let answer = |policy| decide(&typed(&asking), "media", &asked, std::slice::from_ref(found), policy);
    let (patch, warnings) = admitted(answer(FailurePolicy::Ignore));
    let mut changed = asking.clone();
    json_patch::patch(&mut changed, &patch).unwrap();
    (refused(answer(FailurePolicy::Fail)), changed, warnings)
}

#[test]
fn closed_refuses_in_words_and_open_admits_with_the_same_words() {
    let disabled = queue("orders", json!({"outputs": {"secret": {"mode": "Disabled"}}}));
    for (found, words) in [
        (
            Found::Secret(secret_of_queue(&disabled)),
            "Queue orders writes no Secret: spec.outputs.secret.mode is Disabled",
        ),
        (Found::Unknown("no answer within 3 s".to_owned()), "Queue orders could not be read: no answer within 3 s"),
    ] {
        let (refusal, pod, warnings) = both(&found);
        assert_eq!(refusal, format!("{INJECT}: {words}"));
        assert_eq!(warnings, [format!("{INJECT}: {words}")]);
        assert_eq!(pod["spec"], json!({"containers": [{"name": "a"}]}));
        assert_eq!(pod["metadata"]["annotations"], json!({INJECT: "orders", INJECTION_WARNINGS: words}));
    }
}

#[test]
fn a_queue_that_is_not_there_is_refused_or_waited_for() {
    let (refusal, pod, warnings) = both(&Found::Nothing);
    assert_eq!(refusal, format!("{INJECT}: there is no Queue orders in namespace media"));
    assert!(warnings[0].contains("the Pod waits for the Secret orders-queue"), "{warnings:?}");
    // Not optional: a Pod that ran without it would do so for ever.
    assert_eq!(pod["spec"]["containers"][0]["envFrom"], json!([{"secretRef": {"name": "orders-queue"}}]));
    assert_eq!(pod["metadata"]["annotations"][INJECTED], "orders=orders-queue");
    assert!(pod["metadata"]["annotations"][INJECTION_WARNINGS].as_str().unwrap().contains("there is no Queue"));
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_open_gives_what_there_is() {
    let asking = pod("a,NO,b,access/c", &json!({"containers": [{"name": "x"}]}));
    let asked = asked("a,NO,b,access/c");
    let found = [Found::Secret(Ok("a-queue".to_owned())), Found::Unknown("slow".to_owned()), Found::Nothing];
    let answer = |policy| decide(&typed(&asking), "media", &asked, &found, policy);
    let why = refused(answer(FailurePolicy::Fail));
    for words in ["\"NO\" is not", "Queue b could not be read: slow", "there is no QueueAccess c in namespace media"] {
        assert!(why.contains(words), "{why}");
    }
    let (patch, warnings) = admitted(answer(FailurePolicy::Ignore));
    assert_eq!(warnings.len(), 3);
    let mut changed = asking.clone();
    json_patch::patch(&mut changed, &patch).unwrap();
    let from = &changed["spec"]["containers"][0]["envFrom"];
    assert_eq!(from[0], json!({"prefix": "A_", "secretRef": {"name": "a-queue"}}));
    assert_eq!(from[1], json!({"prefix": "C_", "secretRef": {"name": "c-access"}}));
    assert_eq!(from.as_array().unwrap().len(), 2);
}

fn containers() -> impl Strategy<Value = Value> {
    let from = prop_oneof![
        Just(json!({"secretRef": {"name": "a-queue"}})),
        Just(json!({"prefix": "A_", "secretRef": {"name": "a-queue"}})),
        Just(json!({"prefix": "B_", "secretRef": {"name": "b-access", "optional": true}})),
        Just(json!({"configMapRef": {"name": "a-queue"}})),
    ];
    let env = prop_oneof![
        Just(json!({"name": "QUEUE_URL", "value": "u"})),
        Just(json!({"name": "AWS_ENDPOINT_URL_SQS", "value": "e"})),
    ];
    let lists = (
        proptest::option::of(proptest::collection::vec(from, 0..3)),
        proptest::option::of(proptest::collection::vec(env, 0..2)),
    );
    let container = lists.prop_map(|(from, env)| {
        let mut container = json!({"name": "c", "image": "i", "unknownField": 1});
        if let Some(from) = from {
            container["envFrom"] = json!(from);
        }
        if let Some(env) = env {
            container["env"] = json!(env);
        }
        container
    });
    proptest::collection::vec(container, 0..3).prop_map(Value::from)
}

proptest! {
    /// The API server asks again after other webhooks, and shows the Pod that came out; nothing else of a Pod is touched, not even what
    /// this version does not know.
    #[test]
    fn a_pod_that_was_answered_is_left_alone_and_nothing_of_its_own_is_lost(
        init in proptest::option::of(containers()),
        containers in containers(),
        inject in proptest::sample::select(&["a", "a,access/b", "access/b,a,c", "NO,a"][..]),
    ) {
        let mut asking = pod(inject, &json!({"containers": containers, "ephemeralContainers": [{"name": "e"}]}));
        if let Some(init) = init {
            asking["spec"]["initContainers"] = init;
        }
        let mut changed = asking.clone();
        json_patch::patch(&mut changed, &admitted(answer(&asking, FailurePolicy::Ignore)).0).unwrap();

        let (again, _) = admitted(answer(&changed, FailurePolicy::Ignore));
        prop_assert!(again.is_empty(), "{again:?}");
        prop_assert_eq!(&changed["spec"]["ephemeralContainers"], &asking["spec"]["ephemeralContainers"]);
        for list in ["initContainers", "containers"] {
            let (before, after) = (asking["spec"][list].as_array(), changed["spec"][list].as_array());
            prop_assert_eq!(before.map(Vec::len), after.map(Vec::len));
            for (before, after) in before.into_iter().flatten().zip(after.into_iter().flatten()) {
                let own = before["envFrom"].as_array().cloned().unwrap_or_default();
                prop_assert!(after["envFrom"].as_array().unwrap().ends_with(&own));
                let own = before["env"].as_array().cloned().unwrap_or_default();
                prop_assert!(after["env"].as_array().cloned().unwrap_or_default().starts_with(&own));
                prop_assert_eq!(&after["unknownField"], &before["unknownField"]);
                for secret in if inject.contains("access/b") { &["a-queue", "b-access"][..] } else { &["a-queue"] } {
                    let has = |from: &Value| from["secretRef"]["name"] == *secret;
                    prop_assert!(after["envFrom"].as_array().unwrap().iter().any(has));
                }
            }
        }
    }
}
