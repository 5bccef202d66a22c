//! What IAM is asked about a class's role, and what its answers come to.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use prism_queue::api::class::QueueClass;
use prism_queue::api::conditions::Reason;
use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::class::{
    ContextValue, Decision, Evaluation, Permissions, Question, Reach, questions, status_of_class,
};

use super::object;
use crate::fixtures::*;

const ROLE: &str = "arn:aws:iam::123456789012:role/teams/prism-queue";
const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/prism-queue/prism-queue@prod-1";

fn with_role(spec: &Value) -> QueueClass {
    let mut class = object("prod", spec);
    class.spec.aws.role_arn = Some(ROLE.to_owned());
    class
}

fn asked(spec: &Value) -> Vec<Question> {
    questions(&with_role(spec), &class(), SESSION).unwrap()
}

/// The questions in which this action is.
fn about(spec: &Value, action: &str) -> Vec<Question> {
    asked(spec).into_iter().filter(|question| question.actions.contains(&action)).collect()
}

fn text(question: &Question, key: &str) -> Option<String> {
    match question.context.get(key)? {
        ContextValue::Text(text) => Some(text.clone()),
        other => panic!("{key}: {other:?}"),
    }
}

fn has(question: &Question, prefix: &str) -> bool {
    question.context.keys().any(|key| key.starts_with(prefix))
}

/// What IAM answers when everything is allowed but what `judge` says otherwise of: a decision and the keys it depends on.
fn answer(question: &Question, judge: impl Fn(&str, &str) -> Option<(Decision, &'static str)>) -> Vec<Evaluation> {
    let pairs = question.actions.iter().flat_map(|action| question.resources.iter().map(move |on| (*action, on)));
    pairs
        .map(|(action, resource)| {
            let (decision, key) = judge(action, resource).unwrap_or((Decision::Allowed, ""));
            let missing_context = BTreeSet::from([key.to_owned()]).into_iter().filter(|key| !key.is_empty()).collect();
            Evaluation { action: action.to_owned(), resource: resource.clone(), decision, missing_context }
        })
        .collect()
}

fn told(judge: impl Fn(&str, &str) -> Option<(Decision, &'static str)>) -> Permissions {
    Permissions::of(asked(&json!({})).into_iter().map(|question| {
        let answer = answer(&question, &judge);
        (question, Ok(answer))
    }))
}

fn failed(kind: ErrorKind) -> Permissions {
    let error = CallError {
        action: "SimulatePrincipalPolicy",
        kind,
        code: "AccessDenied".to_owned(),
        message: "no".to_owned(),
    };
    Permissions::of(asked(&json!({})).into_iter().enumerate().map(|(n, question)| {
        let answer = answer(&question, |_, _| None);
        (question, if n == 1 { Err(error.clone()) } else { Ok(answer) })
    }))
}

/// Status, reason and message of a condition under `permissions`.
fn condition(type_: &str, reach: &Reach, permissions: &Permissions) -> (String, String, String) {
    let status = status_of_class(&with_role(&json!({})), reach, permissions, 0, now());
    let condition = status.conditions.into_iter().find(|condition| condition.type_ == type_).expect("it is there");
    (condition.status, condition.reason, condition.message)
}

fn permitted(permissions: &Permissions) -> (String, String, String) {
    condition("Permitted", &reached(), permissions)
}

fn reached() -> Reach {
    Reach::As { account_id: ACCOUNT.to_owned(), caller_arn: SESSION.to_owned() }
}

#[test]
fn each_kind_of_name_that_the_class_may_give_is_asked_about() {
    let queue = |name: &str| format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}");
    let names = |spec: &Value| about(spec, "sqs:CreateQueue")[0].resources.clone();
    let all = ["", "_dlq", ".fifo", "_dlq.fifo"].map(|end| queue(&format!("acme-any_prism-queue-dry-check{end}")));
    assert_eq!(names(&json!({"naming": {"prefix": "acme-"}})), all);
    let fifo =
        json!({"limits": {"types": ["FIFO"]}, "allowedNamespaces": {"from": "Names", "names": ["media", "shop"]}});
    let only = ["media_prism-queue-dry-check.fifo", "media_prism-queue-dry-check_dlq.fifo"].map(queue);
    assert_eq!(names(&fifo), only, "of a namespace that may use the class");
    assert_eq!(about(&fifo, "sqs:ListQueues")[0].resources, ["*"], "it knows no resources");
    assert!(asked(&fifo).iter().all(|question| question.principal_arn == ROLE), "with its path");
}

#[test]
fn conditions_of_policies_see_each_call_as_it_would_be() {
    let spec = json!({"tags": {"cost-center": "42"}, "tagsFromNamespaceLabels": {"team": "team-label"}});
    for question in asked(&spec) {
        assert_eq!(question.context["aws:SecureTransport"], ContextValue::Truth(true));
        assert_eq!(text(&question, "aws:RequestedRegion").as_deref(), Some(REGION));
        assert_eq!(text(&question, "aws:PrincipalArn").as_deref(), Some(ROLE));
        assert_eq!(text(&question, "aws:PrincipalTag/queue.prism.io/cluster"), Some(class().cluster.name));
    }
    // Whether a call carries tags, and whether what it is about has some.
    for (action, in_request, keys, on_resource) in [
        ("sqs:CreateQueue", true, true, false),
        ("sqs:UntagQueue", false, true, true),
        ("sqs:SetQueueAttributes", false, false, true),
        ("sqs:DeleteQueue", false, false, true),
        ("sqs:GetQueueAttributes", false, false, true),
        ("sqs:ListQueues", false, false, false),
    ] {
        let [question] = &about(&spec, action)[..] else { panic!("{action} is asked once") };
        let carries =
            (has(question, "aws:RequestTag/"), has(question, "aws:TagKeys"), has(question, "aws:ResourceTag/"));
        assert_eq!(carries, (in_request, keys, on_resource), "{action}");
    }
    // To make a queue with tags is to tag it, when it has none yet.
    let tagging = about(&spec, "sqs:TagQueue");
    assert_eq!(tagging.iter().map(|question| has(question, "aws:ResourceTag/")).collect::<Vec<_>>(), [false, true]);

    let [create] = &about(&spec, "sqs:CreateQueue")[..] else { panic!("once") };
    assert_eq!(text(create, "aws:RequestTag/queue.prism.io/cluster"), Some(class().cluster.name));
    assert_eq!(text(create, "aws:RequestTag/cost-center").as_deref(), Some("42"), "organisations ask for such tags");
    assert!(has(create, "aws:RequestTag/team"), "a namespace has its label");
    let ContextValue::Texts(keys) = &create.context["aws:TagKeys"] else { panic!("{:?}", create.context) };
    assert!(
        ["cost-center", "team", "queue.prism.io/origin"].iter().all(|key| keys.iter().any(|k| k == key)),
        "{keys:?}"
    );
}

#[test]
fn reads_are_made_as_the_operator_and_writes_in_the_name_of_a_queue() {
    let name = |action: &str| text(&about(&json!({}), action)[0], "aws:PrincipalTag/queue.prism.io/name");
    assert_eq!(name("sqs:GetQueueAttributes"), None);
    assert_eq!(name("sqs:DeleteQueue").as_deref(), Some("prism-queue-dry-check"));
    let own = questions(&object("prod", &json!({})), &class(), SESSION).unwrap();
    assert!(own.iter().all(|question| !has(question, "aws:PrincipalTag")), "no role is assumed, no session is tagged");
}

#[test]
fn the_operators_own_identity_is_asked_about_as_far_as_its_name_tells() {
    let own = object("prod", &json!({}));
    let principal =
        |caller: &str| questions(&own, &class(), caller).map(|questions| questions[0].principal_arn.clone());
    assert_eq!(principal(SESSION).as_deref(), Ok("arn:aws:iam::123456789012:role/prism-queue"));
    let user = "arn:aws-cn:iam::123456789012:user/ops/prism";
    assert_eq!(principal(user).as_deref(), Ok(user));
    for stranger in [
        "arn:aws:iam::123456789012:root",
        "arn:aws:sts::123456789012:federated-user/bob",
        "nobody",
        "arn:aws:sts::123456789012:assumed-role",
    ] {
        assert!(matches!(principal(stranger), Err(Permissions::Unknown(_))), "{stranger}");
    }
}

#[test]
fn what_is_missing_is_named_with_what_it_is_missing_on_and_why() {
    let queue = about(&json!({}), "sqs:TagQueue")[0].resources[0].clone();
    let permissions = told(|action, resource| match action {
        "sqs:TagQueue" => Some((Decision::NotAllowed, "")),
        "sqs:DeleteQueue" => Some((Decision::Denied, "")),
        "sqs:SetQueueAttributes" if resource.contains("check.fifo") => Some((Decision::NotAllowed, "")),
        "sqs:ListQueues" => Some((Decision::RefusedByOrganization, "")),
        _ => None,
    });
    let message = format!(
        "IAM says that the policies of the operator's role do not allow \
         sqs:ListQueues (the organisation's policies refuse it) on *; \
         sqs:TagQueue, sqs:DeleteQueue (a statement denies it) on {queue}; \
         sqs:SetQueueAttributes on {queue}.fifo"
    );
    let told = ("False".to_owned(), "MissingPermissions".to_owned(), message);
    assert_eq!(permitted(&permissions), told);
    assert_eq!(condition("Ready", &reached(), &permissions), told);
}

#[test]
fn what_depends_on_the_call_itself_is_not_taken_for_missing() {
    let open = told(|action, _| (action == "sqs:DeleteQueue").then_some((Decision::Denied, "aws:SourceVpce")));
    let (status, reason, message) = permitted(&open);
    assert_eq!((status.as_str(), reason.as_str()), ("Unknown", "NotKnown"));
    assert!(message.contains("sqs:DeleteQueue") && message.contains("depend on aws:SourceVpce"), "{message}");
    assert_eq!(condition("Ready", &reached(), &open).0, "True");
    // What is certain is told, also of the same action.
    let certain = told(|action, on| {
        let key = if on.contains(".fifo") { "" } else { "aws:SourceVpce" };
        (action == "sqs:DeleteQueue").then_some((Decision::Denied, key))
    });
    assert!(certain.is_lacking() && permitted(&certain).2.contains(".fifo"), "{certain:?}");
}

#[test]
fn an_answer_that_says_nothing_of_an_action_is_no_permission() {
    let answers = asked(&json!({})).into_iter().map(|question| {
        let mut answer = answer(&question, |_, _| None);
        answer.retain(|evaluation| evaluation.action != "sqs:UntagQueue");
        (question, Ok(answer))
    });
    let (status, _, message) = permitted(&Permissions::of(answers));
    assert!(status == "Unknown" && message.contains("says nothing of sqs:UntagQueue"), "{message}");
}

#[test]
fn an_answer_that_is_missing_leaves_it_open_and_the_class_usable() {
    let denied = failed(ErrorKind::Denied);
    let (status, reason, message) = permitted(&denied);
    assert_eq!((status.as_str(), reason.as_str()), ("Unknown", Reason::NotKnown.as_str()));
    assert!(message.contains("the operator needs iam:SimulatePrincipalPolicy on it"), "{message}");
    assert!(message.contains(ROLE), "{message}");
    assert_eq!(condition("Ready", &reached(), &denied).0, "True");
    assert!(permitted(&failed(ErrorKind::Transient)).2.starts_with("IAM does not say what "));
}

#[test]
fn an_answer_that_did_not_come_takes_nothing_back() {
    let lacking = told(|action, _| (action == "sqs:DeleteQueue").then_some((Decision::NotAllowed, "")));
    let enough = told(|_, _| None);
    for before in [&lacking, &enough] {
        assert_eq!(&failed(ErrorKind::Throttled).after(Some(before)), before);
    }
    assert_eq!(enough.clone().after(Some(&lacking)), enough, "news is news");
    assert!(matches!(failed(ErrorKind::Denied).after(Some(&enough)), Permissions::Withheld(_)), "so is a refusal");
    let silent = failed(ErrorKind::Throttled);
    assert_eq!(silent.clone().after(None), silent);
}

#[test]
fn ready_says_what_is_wrong_before_what_is_unknown() {
    let enough = Permissions::Told(Vec::new());
    let unknown = Permissions::Unknown("nobody asked".to_owned());
    let lacking = told(|action, _| (action == "sqs:CreateQueue").then_some((Decision::NotAllowed, "")));
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
