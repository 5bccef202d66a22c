//! What IAM is asked about a class's role, and what its answers come to.

use serde_json::{Value, json};

use prism_queue::api::class::QueueClass;
use prism_queue::api::conditions::Reason;
use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::class::{ContextValue, Permissions, Question, Reach, Refused, questions, status_of_class};

use super::object;
use crate::fixtures::*;

const ROLE: &str = "arn:aws:iam::123456789012:role/teams/prism-queue";
const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/prism-queue/prism-queue@prod-1";

fn with_role(spec: &Value) -> QueueClass {
    let mut class = object("prod", spec);
    class.spec.aws.role_arn = Some(ROLE.to_owned());
    class
}

fn asked(spec: &Value) -> [Question; 3] {
    questions(&with_role(spec), &class(), SESSION).unwrap().try_into().expect("three questions")
}

fn text(question: &Question, key: &str) -> Option<String> {
    match question.context.get(key)? {
        ContextValue::Text(text) => Some(text.clone()),
        other => panic!("{key}: {other:?}"),
    }
}

fn missing(actions: &[&str]) -> Permissions {
    let refused = |action: &&str| Refused { action: (*action).to_owned(), is_explicit: false };
    Permissions::Told(vec![("arn".to_owned(), actions.iter().map(refused).collect())])
}

/// Status, reason and message of a condition under `permissions`.
fn condition(type_: &str, reach: &Reach, permissions: &Permissions) -> (String, String, String) {
    let status = status_of_class(&with_role(&json!({})), reach, permissions, 0, now());
    let condition = status.conditions.into_iter().find(|condition| condition.type_ == type_).expect("it is there");
    (condition.status, condition.reason, condition.message)
}

fn reached() -> Reach {
    Reach::As { account_id: ACCOUNT.to_owned(), caller_arn: SESSION.to_owned() }
}

#[test]
fn every_action_that_the_operator_takes_is_asked_about_by_prefix() {
    let [reads, writes, lists] = asked(&json!({"naming": {"prefix": "acme-"}}));
    let mut actions = [reads.actions, writes.actions, lists.actions].concat();
    actions.sort_unstable();
    let all = [
        "sqs:CreateQueue",
        "sqs:DeleteQueue",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ListQueueTags",
        "sqs:ListQueues",
        "sqs:SetQueueAttributes",
        "sqs:TagQueue",
        "sqs:UntagQueue",
    ];
    assert_eq!(actions, all);
    for question in [&reads, &writes] {
        assert_eq!(question.resource, format!("arn:aws:sqs:{REGION}:{ACCOUNT}:acme-any_prism-queue-dry-check"));
    }
    assert_eq!(lists.resource, "*", "ListQueues knows no resources");
    assert!([&reads, &writes, &lists].iter().all(|question| question.principal_arn == ROLE), "with its path");
}

#[test]
fn the_resource_is_one_that_the_class_may_make() {
    let fifo =
        json!({"limits": {"types": ["FIFO"]}, "allowedNamespaces": {"from": "Names", "names": ["media", "shop"]}});
    assert!(asked(&fifo)[0].resource.ends_with(":media_prism-queue-dry-check.fifo"), "{}", asked(&fifo)[0].resource);
}

#[test]
fn conditions_of_policies_see_the_call_as_it_would_be() {
    let [reads, writes, lists] = asked(&json!({"tags": {"cost-center": "42"}}));
    for question in [&reads, &writes, &lists] {
        assert_eq!(question.context["aws:SecureTransport"], ContextValue::Truth(true));
        assert_eq!(text(question, "aws:RequestedRegion").as_deref(), Some(REGION));
        assert_eq!(text(question, "aws:PrincipalTag/queue.prism.io/cluster"), Some(class().cluster.name));
    }
    let owner = "queue.prism.io/cluster";
    assert_eq!(
        text(&reads, &format!("aws:ResourceTag/{owner}")),
        Some(class().cluster.name),
        "ours, as of every queue"
    );
    assert_eq!(text(&writes, &format!("aws:RequestTag/{owner}")), Some(class().cluster.name));
    assert_eq!(text(&writes, "aws:RequestTag/cost-center").as_deref(), Some("42"), "organisations ask for such tags");
    assert_eq!(text(&lists, &format!("aws:ResourceTag/{owner}")), None, "a list has no resource");
    let ContextValue::Texts(keys) = &writes.context["aws:TagKeys"] else { panic!("{:?}", writes.context) };
    assert!(keys.contains(&"cost-center".to_owned()) && keys.contains(&"queue.prism.io/origin".to_owned()));
    // Reads are made as the operator, writes in the name of a Queue.
    let name = "aws:PrincipalTag/queue.prism.io/name";
    assert_eq!((text(&reads, name), text(&writes, name).as_deref()), (None, Some("prism-queue-dry-check")));
}

#[test]
fn the_operators_own_identity_is_asked_about_as_far_as_its_name_tells() {
    let own = object("prod", &json!({}));
    let principal =
        |caller: &str| questions(&own, &class(), caller).map(|questions| questions[0].principal_arn.clone());
    assert_eq!(principal(SESSION).as_deref(), Ok("arn:aws:iam::123456789012:role/prism-queue"));
    let user = "arn:aws-cn:iam::123456789012:user/ops/prism";
    assert_eq!(principal(user).as_deref(), Ok(user));
    assert_eq!(principal("arn:aws:iam::123456789012:root"), Err(Permissions::Told(Vec::new())), "it may do everything");
    for stranger in ["arn:aws:sts::123456789012:federated-user/bob", "nobody", "arn:aws:sts::123456789012:assumed-role"]
    {
        assert!(matches!(principal(stranger), Err(Permissions::Unknown(_))), "{stranger}");
    }
    let questions = questions(&own, &class(), SESSION).unwrap();
    assert!(questions.iter().all(|question| !question.context.keys().any(|key| key.starts_with("aws:PrincipalTag"))));
}

#[test]
fn what_is_missing_is_named_with_what_it_is_missing_on() {
    let [reads, writes, lists] = asked(&json!({}));
    let refused = |action: &str, is_explicit| Refused { action: action.to_owned(), is_explicit };
    let queue = reads.resource.clone();
    let permissions = Permissions::of([
        (reads, Ok(Vec::new())),
        (writes, Ok(vec![refused("sqs:TagQueue", false), refused("sqs:DeleteQueue", true)])),
        (lists, Ok(vec![refused("sqs:ListQueues", false)])),
    ]);
    let message = format!(
        "IAM says that the policies of the operator's role do not allow sqs:TagQueue, sqs:DeleteQueue (a statement denies it) on {queue}; sqs:ListQueues on *"
    );
    let told = ("False".to_owned(), "MissingPermissions".to_owned(), message);
    assert_eq!(condition("Permitted", &reached(), &permissions), told);
    assert_eq!(condition("Ready", &reached(), &permissions), told);
}

#[test]
fn an_answer_that_is_missing_leaves_it_open_and_the_class_usable() {
    let [reads, writes, lists] = asked(&json!({}));
    let error = |kind| CallError {
        action: "SimulatePrincipalPolicy",
        kind,
        code: "AccessDenied".to_owned(),
        message: "not you".to_owned(),
    };
    let denied = Permissions::of([
        (reads.clone(), Ok(Vec::new())),
        (writes, Err(error(ErrorKind::Denied))),
        (lists, Ok(vec![Refused { action: "sqs:ListQueues".to_owned(), is_explicit: false }])),
    ]);
    let (status, reason, message) = condition("Permitted", &reached(), &denied);
    assert_eq!((status.as_str(), reason.as_str()), ("Unknown", Reason::NotAsked.as_str()));
    assert!(message.contains("the operator needs iam:SimulatePrincipalPolicy on it"), "{message}");
    assert!(message.contains(ROLE), "{message}");
    assert_eq!(condition("Ready", &reached(), &denied).0, "True");

    let silent = Permissions::of([(reads, Err(error(ErrorKind::Transient)))]);
    assert!(condition("Permitted", &reached(), &silent).2.starts_with("IAM does not say what "));
}

#[test]
fn ready_says_what_is_wrong_before_what_is_unknown() {
    let enough = Permissions::Told(Vec::new());
    let unknown = Permissions::Unknown("nobody asked".to_owned());
    let lacking = missing(&["sqs:CreateQueue"]);
    let ready = |reach: &Reach, permissions: &Permissions| {
        let (status, reason, _) = condition("Ready", reach, permissions);
        (status, reason)
    };
    let want = |status: &str, reason: Reason| (status.to_owned(), reason.as_str().to_owned());
    assert_eq!(ready(&reached(), &enough), want("True", Reason::Usable));
    assert_eq!(ready(&reached(), &unknown), want("True", Reason::Usable));
    assert_eq!(ready(&reached(), &lacking), want("False", Reason::MissingPermissions));
    assert_eq!(ready(&Reach::Unknown, &enough), want("Unknown", Reason::NotRead));
    assert_eq!(ready(&Reach::Unknown, &lacking), want("False", Reason::MissingPermissions));
    let wrong = Reach::As { account_id: "999999999999".to_owned(), caller_arn: SESSION.to_owned() };
    assert_eq!(ready(&wrong, &unknown), want("False", Reason::WrongAccount));
}
