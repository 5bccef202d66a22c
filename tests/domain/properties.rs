//! What holds of every plan, whatever is there and whatever is asked for.

use proptest::prelude::*;
use serde_json::{Value, json};

use prism_queue::api::status::Target;
use prism_queue::domain::attributes::{Attribute, Attributes, Counts, QueueAttributes};
use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::names::QueueName;
use prism_queue::domain::observed::{EmptyWatch, Present, Sight};
use prism_queue::domain::plan::{Plan, Step};
use prism_queue::domain::redrive::RedrivePolicy;
use prism_queue::domain::report::Verdict;
use prism_queue::domain::tags::{Origin, Ownership, Tags};

use crate::fixtures::*;

const SOURCE: &str = "media_orders";
const DEAD_LETTER: &str = "media_orders_dlq";
const RETIRED: &str = "media-old-dead";
const NAMES: [&str; 3] = [SOURCE, DEAD_LETTER, RETIRED];

fn optional(
    field: &'static str,
    values: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Option<(&'static str, Value)>> {
    proptest::option::of(values.prop_map(move |value| (field, value))).boxed()
}

fn one_of(values: Vec<Value>) -> impl Strategy<Value = Value> {
    proptest::sample::select(values)
}

/// Specs that are not refused, standard queues all.
fn specs() -> impl Strategy<Value = Value> {
    let fields = vec![
        optional("delaySeconds", one_of(vec![json!(0), json!(7)])),
        optional("messageRetentionSeconds", one_of(vec![json!(60), json!(1_209_600)])),
        optional(
            "deadLetter",
            one_of(vec![
                json!({"mode": "None"}),
                json!({"maxReceiveCount": 9}),
                json!({"mode": "Reference", "reference": {"queueArn": arn("legacy")}}),
                json!({"mode": "Reference", "reference": {"queueRef": {"name": "dead"}}}),
            ]),
        ),
        optional("redriveAllow", one_of(vec![json!({"mode": "AllowAll"}), json!({"sourceQueueArns": [arn("x")]})])),
        optional(
            "encryption",
            one_of(vec![json!({"mode": "None"}), json!({"mode": "KMS", "kms": {"key": "alias/media"}})]),
        ),
        optional("access", one_of(vec![json!({"requireTLS": false})])),
        optional(
            "outputs",
            one_of(vec![json!({"secret": {"mode": "Disabled"}}), json!({"binding": {"mode": "Enabled"}})]),
        ),
        optional("tags", one_of(vec![json!({"team": "media"}), json!({"team": "shop", "tier": "1"})])),
        optional("adoptionPolicy", one_of(vec![json!("Adopt"), json!("Never")])),
        optional("managementPolicy", one_of(vec![json!("Manage"), json!("Manage"), json!("Observe")])),
        optional("deletionPolicy", one_of(vec![json!("Delete"), json!("Retain")])),
    ];
    fields.prop_map(|fields| fields.into_iter().flatten().map(|(field, value)| (field.to_owned(), value)).collect())
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(
            &["", "0", "7", "60", "300", "345600", "1209600", "true", "false", "alias/media", "junk", "{}"][..]
        )
        .prop_map(str::to_owned),
        proptest::sample::select(&[DEAD_LETTER, RETIRED, "legacy"][..])
            .prop_map(|name| json!({"deadLetterTargetArn": arn(name), "maxReceiveCount": "5"}).to_string()),
        Just(
            r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "SQS:SendMessage", "Resource": "*"}]}"#
                .to_owned()
        ),
        ".{0,12}",
    ]
}

fn queue_tags() -> impl Strategy<Value = Tags> {
    let ours = |origin| owner("orders").tags(origin);
    let whose = prop_oneof![
        Just(Tags::new()),
        Just(ours(Origin::Created)),
        Just(ours(Origin::Created)),
        Just(ours(Origin::Adopted)),
        Just(owner("invoices").tags(Origin::Created)),
        Just(tags([("queue.prism.io/name", "orders")])),
    ];
    (whose, proptest::collection::btree_map("team|tier|auto", "[ab]", 0..3))
        .prop_map(|(owner, more)| owner.into_iter().chain(more).collect())
}

fn sights(name: &'static str) -> impl Strategy<Value = Sight> {
    let failure = |kind| Sight::Failed(CallError { action: "X", kind, code: String::new(), message: String::new() });
    let settings = proptest::collection::btree_map(proptest::sample::select(&Attribute::ALL[..]), values(), 0..15);
    let present = (settings, queue_tags(), 0_u64..3).prop_map(move |(settings, tags, available)| {
        let attributes = QueueAttributes { settings, counts: Counts { available, ..Counts::default() } };
        Sight::Present(Present { url: url(name), attributes, tags })
    });
    prop_oneof![
        1 => Just(Sight::Unseen),
        1 => Just(Sight::Absent),
        1 => Just(Sight::Appearing),
        1 => Just(Sight::Hidden("why".to_owned())),
        1 => proptest::sample::select(&[ErrorKind::Denied, ErrorKind::Throttled, ErrorKind::QueueDoesNotExist][..]).prop_map(failure),
        6 => present,
    ]
}

/// A Queue in any state, in a world in any state.
fn worlds() -> impl Strategy<Value = World> {
    let remembered = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), 0_u32..100);
    let written = proptest::collection::btree_map(proptest::sample::select(&Attribute::ALL[..]), values(), 0..4);
    let parts = (specs(), sights(SOURCE), sights(DEAD_LETTER), sights(RETIRED), remembered, written, any::<bool>());
    parts.prop_map(|(spec, source, dead_letter, retired, remembered, written, has_rival)| {
        let (is_begun, was_managed, has_retired, is_seen_empty, attempts) = remembered;
        let mut queue = queue("orders", spec);
        if is_begun {
            let target = desired(&queue).unwrap().target;
            queue = queue.finalized().with_status(|status| {
                let dead_letter_queue_name = was_managed.then(|| DEAD_LETTER.to_owned());
                status.target = Some(Target { dead_letter_queue_name, ..target });
                status.managed_tag_keys = vec!["team".to_owned()];
                if has_retired {
                    let retired = json!([{"queueName": RETIRED, "retiredTime": "2026-03-01T11:00:00Z"}]);
                    status.retired_dead_letters = serde_json::from_value(retired).unwrap();
                }
            });
        }
        let mut world =
            World::untouched(queue).seeing(SOURCE, source).seeing(DEAD_LETTER, dead_letter).seeing(RETIRED, retired);
        if is_seen_empty {
            let watch = EmptyWatch { since: world.now - seconds(90), last: world.now, reads: 5 };
            world.memory.empty.extend(NAMES.map(|name| (name.to_owned(), watch)));
        }
        if has_rival {
            world = world.beside(self::queue("invoices", json!({"queueName": SOURCE})).younger_by(-1));
        }
        world.memory.attempts = attempts;
        let at = world.now - seconds(30);
        world.record.wrote(&QueueName::parse(SOURCE).unwrap(), &written, at);
        world
    })
}

fn whose(world: &World, name: &str) -> Option<Ownership> {
    let present = world.observed.queues.get(name)?.present()?;
    Some(owner("orders").ownership(&present.tags))
}

fn is_ours(world: &World, name: &str) -> bool {
    matches!(whose(world, name), Some(Ownership::Ours { .. }))
}

/// The queue that a step writes to, in AWS.
fn touched(step: &Step) -> Option<&str> {
    match step {
        Step::SetAttributes { queue, .. }
        | Step::TagQueue { queue, .. }
        | Step::UntagQueue { queue, .. }
        | Step::DeleteQueue { queue } => Some(queue.name.as_str()),
        _ => None,
    }
}

fn wires_to(attributes: &Attributes) -> Option<String> {
    RedrivePolicy::parse(attributes.get(&Attribute::RedrivePolicy)?).map(|policy| policy.dead_letter_arn)
}

/// Everything that must hold of `plan` in `world`.
fn check(world: &World, plan: &Plan) -> Result<(), TestCaseError> {
    let desired = world.desired();
    let names = step_names(plan);
    let writes_to_aws =
        plan.steps.iter().filter(|step| touched(step).is_some() || matches!(step, Step::CreateQueue { .. })).count();
    if desired.observe {
        prop_assert_eq!(writes_to_aws, 0, "a write while observing: {:?}", names);
    } else if writes_to_aws > 0 {
        let record = &world.record;
        prop_assert!(record.has_finalizer);
        prop_assert_eq!(record.target.as_ref(), Some(&desired.target), "both queues are on record before AWS hears");
        prop_assert!(
            desired.source.tags.keys().all(|key| record.managed_tag_keys.contains(key)),
            "and so are tag keys"
        );
        prop_assert!(!names.contains(&"AddFinalizer") && !names.contains(&"Record"), "{:?}", names);
    }
    for step in &plan.steps {
        if let Some(name) = touched(step) {
            let is_adoption = desired.adopt
                && matches!(step, Step::TagQueue { .. })
                && whose(world, name) == Some(Ownership::Nobodys);
            prop_assert!(is_ours(world, name) || is_adoption, "{} is not ours: {:?}", name, step);
        }
        match step {
            Step::CreateQueue { name, attributes, tags } => {
                let sight = world.observed.sight(name);
                prop_assert!(matches!(sight, Sight::Unseen | Sight::Absent), "{} is there", name);
                prop_assert!(attributes.values().all(|value| !value.is_empty()));
                prop_assert_eq!(owner("orders").ownership(tags), Ownership::Ours { origin: Origin::Created });
            }
            Step::SetAttributes { queue, attributes, .. } => {
                let present = world.observed.sight(&queue.name).present().expect("a queue that answers");
                let retention = |attributes: &Attributes| {
                    attributes.get(&Attribute::MessageRetentionPeriod).and_then(|text| text.parse::<i64>().ok())
                };
                if let (Some(to), Some(from)) = (retention(attributes), retention(&present.attributes.settings)) {
                    prop_assert!(to >= from || present.attributes.counts.total() == 0, "messages would be lost");
                }
                let is_declared = [SOURCE, DEAD_LETTER].contains(&queue.name.as_str());
                prop_assert!(is_declared || attributes.keys().eq([&Attribute::Policy]), "only a fence: {:?}", step);
            }
            Step::DeleteQueue { queue } => {
                let current = desired.managed_dead_letter().map(|queue| queue.name.as_str());
                let is_retired = queue.name.as_str() != SOURCE && current != Some(queue.name.as_str());
                prop_assert!(is_retired, "{} is in use", queue.name);
                let is_on_record = world.record.retired.iter().any(|retired| retired.queue_name == queue.name.as_str());
                prop_assert!(is_on_record, "{} was never retired", queue.name);
                let source = world.observed.queues[SOURCE].present().expect("a source that answers");
                let wired_to = wires_to(&source.attributes.settings);
                prop_assert_ne!(wired_to, Some(arn(queue.name.as_str())), "the source is still wired to it");
                let present = world.observed.sight(&queue.name).present().expect("a queue that answers");
                prop_assert_eq!(present.attributes.counts.total(), 0, "messages would be lost");
            }
            Step::UntagQueue { queue, keys, .. } if [SOURCE].contains(&queue.name.as_str()) => {
                prop_assert!(keys.iter().all(|key| world.record.managed_tag_keys.contains(key)), "{:?}", keys);
            }
            _ => {}
        }
        if let Step::CreateQueue { attributes, .. } | Step::SetAttributes { attributes, .. } = step
            && wires_to(attributes) == Some(arn(DEAD_LETTER))
        {
            let is_adopted_first = desired.adopt && touched(&plan.steps[0]) == Some(DEAD_LETTER);
            prop_assert!(
                is_ours(world, DEAD_LETTER) || is_adopted_first,
                "wired to a queue that is not there or not ours"
            );
        }
    }
    prop_assert!(names.iter().all(|name| !name.ends_with("Output")), "outputs are no steps: {:?}", names);
    prop_assert!(plan.outputs.iter().all(|step| step.name().ends_with("Output")), "{:?}", plan.outputs);
    prop_assert!(plan.outputs.is_empty() || desired.observe || is_ours(world, SOURCE), "outputs of a queue not ours");
    if plan.steps.is_empty() && plan.findings.is_empty() {
        prop_assert!(plan.is_there, "ready, and nothing proved");
        prop_assert!(desired.observe || is_ours(world, SOURCE));
        let is_good = desired.managed_dead_letter().is_none_or(|queue| is_ours(world, queue.name.as_str()));
        prop_assert!(desired.observe || is_good, "ready without its dead-letter queue");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_keeps_the_promises(world in worlds()) {
        check(&world, &world.plan())?;
    }

    #[test]
    fn planning_gives_the_same_plan_again(world in worlds()) {
        let (one, other) = (world.plan(), world.clone().plan());
        prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
        let conditions = |plan: &Plan| {
            world.input(|input| Verdict::of_plan(input.desired, plan, Vec::new()).conditions(&[], Some(1), input.now))
        };
        prop_assert_eq!(conditions(&one), conditions(&other));
    }

    /// Whatever is there, where every write shows at once: rounds of planning and writing come to rest, every one of
    /// them keeps the promises, and what rests is as declared or says why not.
    #[test]
    fn rounds_come_to_rest(world in worlds()) {
        let mut world = world;
        world.now += seconds(3600);
        for _ in 0..8 {
            let plan = world.plan();
            check(&world, &plan)?;
            world.carry_out(&plan);
            if plan.steps.is_empty() {
                prop_assert_eq!(world.plan().steps, vec![]);
                prop_assert_eq!(world.plan().outputs, vec![]);
                return Ok(());
            }
        }
        prop_assert!(false, "no rest after 8 rounds: {:?}", world.plan().steps);
    }
}
