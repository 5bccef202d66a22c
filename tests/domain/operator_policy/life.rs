//! What AWS asks about as the operator does all that it does.

use crate::fixtures::*;
use crate::judge::{Request, allows, without};

use super::{BOUNDARY, CLUSTER, OPERATOR, everything, policy};

pub const OWNER: &str = "queue.prism.io/cluster";
const ORIGIN: &str = "queue.prism.io/origin";

pub fn queue(action: &str, name: &str) -> Request {
    Request::new(&format!("sqs:{action}"), format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"))
}

pub fn role(action: &str, path_and_name: &str) -> Request {
    Request::new(&format!("iam:{action}"), format!("arn:aws:iam::{ACCOUNT}:role/{path_and_name}"))
}

pub fn managed_policy(action: &str, path_and_name: &str) -> Request {
    Request::new(&format!("iam:{action}"), format!("arn:aws:iam::{ACCOUNT}:policy/{path_and_name}"))
}

pub fn cluster(action: &str, name: &str) -> Request {
    Request::new(&format!("eks:{action}"), format!("arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{name}"))
}

pub fn association(action: &str, cluster: &str) -> Request {
    let arn = format!("arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/{cluster}/a-0123456789");
    Request::new(&format!("eks:{action}"), arn)
}

pub fn attaching(request: Request, policy: &str) -> Request {
    request.with("iam:PolicyARN", &format!("arn:aws:iam::{ACCOUNT}:policy/{policy}"))
}

pub fn bound(request: Request) -> Request {
    request.with("iam:PermissionsBoundary", BOUNDARY)
}

/// It makes something, and tags it as it does.
fn created(request: Request) -> Request {
    request.tagging(OWNER, CLUSTER).tagging(ORIGIN, "created").tagging("team", "media")
}

/// What it makes is not there yet; whether AWS takes the tags of the call for those of the thing, it does not say.
fn tagged_as_created(request: Request) -> [Request; 2] {
    let request = created(request);
    [request.clone(), request.tagged(OWNER, CLUSTER)]
}

pub fn ours(request: Request) -> Request {
    request.tagged(OWNER, CLUSTER)
}

fn of_queues() -> Vec<Request> {
    let mut life = vec![Request::new("sqs:ListQueues", "*")];
    for name in ["acme-media_orders", "acme-media_orders_dlq.fifo", "legacy-media-orders"] {
        life.extend(["GetQueueUrl", "GetQueueAttributes", "ListQueueTags"].map(|action| queue(action, name)));
        life.push(created(queue("CreateQueue", name)));
        life.extend(tagged_as_created(queue("TagQueue", name)));
        // One that is there is taken over.
        life.push(queue("TagQueue", name).tagged("team", "x").tagging(OWNER, CLUSTER).tagging(ORIGIN, "adopted"));
        life.push(ours(queue("TagQueue", name)).tagging("cost-center", "42"));
        life.extend(["SetQueueAttributes", "UntagQueue", "DeleteQueue"].map(|action| ours(queue(action, name))));
    }
    let key = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/1234");
    life.extend(["kms:DescribeKey", "kms:GetKeyPolicy"].map(|action| Request::new(action, &key)));
    life
}

fn of_policies() -> Vec<Request> {
    let name = "prism-queue/media_orders_Send_0123456789ab";
    let reads = ["GetPolicy", "GetPolicyVersion", "ListPolicyVersions"];
    let changes = ["CreatePolicyVersion", "DeletePolicyVersion", "TagPolicy", "UntagPolicy", "DeletePolicy"];
    let mut life: Vec<Request> = reads.map(|action| managed_policy(action, name)).into();
    life.push(created(managed_policy("CreatePolicy", name)));
    life.extend(tagged_as_created(managed_policy("TagPolicy", name)));
    // Its tags are only ever renewed as a whole.
    life.extend(changes.map(|action| match action {
        "TagPolicy" => created(ours(managed_policy(action, name))),
        _ => ours(managed_policy(action, name)),
    }));
    life
}

fn of_roles() -> Vec<Request> {
    let name = "prism-queue/media_resizer_0123456789ab";
    let ours = |action| ours(role(action, name));
    let attached = "prism-queue/media_resizer_access1_0123456789ab";
    // Of one that is not there, IAM knows no path.
    let missing = role("GetRole", "media_resizer_0123456789ab");
    let mut life = vec![missing, role("GetRole", name), role("ListAttachedRolePolicies", name)];
    life.push(bound(created(role("CreateRole", name))));
    life.extend(tagged_as_created(role("TagRole", name)));
    life.push(created(ours("TagRole")));
    life.push(bound(ours("PutRolePermissionsBoundary")));
    life.push(attaching(bound(ours("AttachRolePolicy")), attached));
    // Its boundary may be one that the class had before, or gone, and so may be our tags.
    life.push(attaching(role("DetachRolePolicy", name), attached));
    life.extend(["UpdateAssumeRolePolicy", "DeleteRole"].map(ours));
    // A role of somebody else has neither our tags nor our boundary.
    let given = "teams/worker";
    life.extend(["GetRole", "ListAttachedRolePolicies"].map(|action| role(action, given)));
    life.extend(["AttachRolePolicy", "DetachRolePolicy"].map(|action| attaching(role(action, given), attached)));
    life.push(role("PassRole", name).with("iam:PassedToService", "pods.eks.amazonaws.com"));
    life
}

fn of_associations() -> Vec<Request> {
    let mut life = vec![cluster("ListPodIdentityAssociations", "eks-1")];
    life.push(association("DescribePodIdentityAssociation", "eks-1"));
    life.push(created(cluster("CreatePodIdentityAssociation", "eks-1")));
    life.extend(tagged_as_created(association("TagResource", "eks-1")));
    life.push(created(ours(association("TagResource", "eks-1"))));
    let changes = ["UpdatePodIdentityAssociation", "DeletePodIdentityAssociation"];
    life.extend(changes.map(|action| ours(association(action, "eks-1"))));
    life
}

/// All that the operator does under a class that allows everything.
pub fn life() -> Vec<Request> {
    let asks = Request::new("iam:SimulatePrincipalPolicy", OPERATOR);
    [of_queues(), of_policies(), of_roles(), of_associations(), vec![asks]].concat()
}

#[test]
fn the_policy_is_enough_for_all_that_the_operator_does() {
    let policy = policy(&everything());
    let refused: Vec<Request> = life().into_iter().filter(|request| !allows(&policy, request)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn no_statement_can_be_left_out() {
    let policy = policy(&everything());
    for sid in super::sids(&policy) {
        let less = without(&policy, sid);
        assert!(life().iter().any(|request| !allows(&less, request)), "nothing fails without {sid}");
    }
}

#[test]
fn no_action_can_be_left_out() {
    let policy = policy(&everything());
    for (index, statement) in policy["Statement"].as_array().unwrap().iter().enumerate() {
        let Some(actions) = statement["Action"].as_array() else { continue };
        for (left_out, action) in actions.iter().enumerate() {
            let mut less = policy.clone();
            less["Statement"][index]["Action"].as_array_mut().unwrap().remove(left_out);
            let sid = &statement["Sid"];
            assert!(life().iter().any(|request| !allows(&less, request)), "{sid} needs no {action}");
        }
    }
}
