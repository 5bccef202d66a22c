//! What a class asks IAM about its permissions, and the policy that is printed for it: one knows of the other's calls.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use prism_queue::domain::class::{ContextValue, Question, questions};

use super::{BOUNDARY, PROVIDER, everything, policy, sids};
use crate::class::object;
use crate::fixtures::*;
use crate::judge::{Request, allows, without};

const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/prism-queue/session";

fn asked(spec: &Value) -> Vec<Question> {
    let mut operator = class();
    super::CLUSTER.clone_into(&mut operator.cluster.name);
    questions(&object("prod", spec), &operator, SESSION).unwrap()
}

/// What IAM asks the policies about.
fn requests(questions: &[Question]) -> Vec<Request> {
    let each = questions.iter().flat_map(|question| {
        let pairs = question.actions.iter().flat_map(|action| question.resources.iter().map(move |on| (action, on)));
        pairs.map(|(action, on)| {
            question.context.iter().fold(Request::new(action, on), |request, (key, value)| match value {
                ContextValue::Text(text) => request.with(key, text),
                ContextValue::Texts(texts) => texts.iter().fold(request, |request, text| request.with(key, text)),
                ContextValue::Truth(truth) => request.with(key, &truth.to_string()),
            })
        })
    });
    each.collect()
}

fn irsa() -> Value {
    let mut class = everything();
    class["iam"] = json!({"permissionsBoundaryArn": BOUNDARY, "oidcProviderArn": PROVIDER});
    class
}

#[test]
fn under_the_printed_policy_a_class_lacks_nothing() {
    for spec in [json!({}), everything(), irsa()] {
        let policy = policy(&spec);
        let refused: Vec<Request> =
            requests(&asked(&spec)).into_iter().filter(|request| !allows(&policy, request)).collect();
        assert!(refused.is_empty(), "{refused:#?}");
    }
}

#[test]
fn a_class_notices_when_a_statement_about_queues_or_roles_is_left_out() {
    let policy = policy(&irsa());
    // Nobody knows which keys Queues will have, nor which roles of others will be given policies; untagging is for policies that
    // a Queue lets go.
    let is_known = |sid: &&str| !sid.ends_with("GivenRoles") && !["ReadKeys", "SayWhatIsMissing"].contains(sid);
    for sid in sids(&policy).into_iter().filter(is_known) {
        let less = without(&policy, sid);
        assert!(requests(&asked(&irsa())).iter().any(|request| !allows(&less, request)), "{sid} is not missed");
    }
}

#[test]
fn about_roles_only_a_class_asks_that_makes_them() {
    let actions = |spec: &Value| -> BTreeSet<String> {
        asked(spec).iter().flat_map(|question| question.actions).map(ToString::to_string).collect()
    };
    let of_roles = |spec: &Value| actions(spec).iter().any(|action| action.contains("Role"));
    assert!(of_roles(&irsa()) && !actions(&irsa()).contains("iam:PassRole"));
    assert!(!of_roles(&json!({"iam": {"permissionsBoundaryArn": BOUNDARY}})));
    let mut none = irsa();
    none["limits"]["iam"]["subjectKinds"] = json!(["Principal"]);
    assert!(!of_roles(&none));
}

#[test]
fn calls_to_iam_count_as_made_to_its_own_region() {
    let about_roles = asked(&irsa()).into_iter().filter(|question| question.actions[0].starts_with("iam:"));
    let regions: BTreeSet<String> = requests(&about_roles.collect::<Vec<_>>())
        .iter()
        .map(|asked| asked.context["aws:RequestedRegion"][0].clone())
        .collect();
    assert_eq!(regions, ["us-east-1".to_owned()].into());
}
