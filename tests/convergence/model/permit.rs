//! IAM, where a caller has a policy: what AWS asks it about for each call, with the tags and boundaries that are there.
//! Source: Service Authorization Reference, of Amazon SQS, IAM, KMS and EKS.

use prism_queue::domain::arn::partition_of;
use prism_queue::domain::tags::Tags;

use super::caller::Access;
use super::gate::Request;
use super::refusal::{Answer, Refusal};
use super::state::State;
use crate::judge::{Request as Asked, allows};

impl State {
    /// Denies what the caller's policy does not allow.
    pub(super) fn permit(&self, request: &Request<'_>) -> Answer<()> {
        let Access::Policy(policy) = &request.caller.access else { return Ok(()) };
        if self.asked(request).iter().all(|asked| allows(policy, asked)) { Ok(()) } else { Err(Refusal::denied()) }
    }

    fn asked(&self, request: &Request<'_>) -> Vec<Asked> {
        if request.action == "GetCallerIdentity" {
            return Vec::new();
        }
        if request.association.is_some() {
            return self.asked_about_association(request);
        }
        if let Some(arn) = &request.queue {
            let about = format!("sqs:{}", request.action);
            // A tag that was just set is not known at once.
            let known = |queue: &super::queue::Queue| {
                let is_known = |key: &String| queue.tags_known_at.get(key).is_some_and(|at| *at <= self.now);
                queue.tags.iter().filter(|(key, _)| is_known(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
            };
            let tags: Tags = self.live(arn).map(known).unwrap_or_default();
            return with_tagging(request, &about, "sqs:TagQueue", &arn.to_string(), &tags);
        }
        if let Some(arn) = &request.policy {
            let tags = self.iam.tags(arn).unwrap_or_default();
            return with_tagging(request, &format!("iam:{}", request.action), "iam:TagPolicy", &arn.to_string(), &tags);
        }
        if request.role.is_some() {
            return self.asked_about_role(request);
        }
        let place = &request.caller.place;
        match request.action {
            "ListQueues" => vec![Asked::new("sqs:ListQueues", "*")],
            // By whatever name: they are about a key.
            action => {
                let account = format!("arn:{}:kms:{}:{}", partition_of(&place.region), place.region, place.account_id);
                vec![Asked::new(&format!("kms:{action}"), format!("{account}:key/any"))]
            }
        }
    }

    fn asked_about_role(&self, request: &Request<'_>) -> Vec<Asked> {
        let Some(meant) = &request.role else { return Vec::new() };
        let there = self.iam.role(request.caller, meant);
        // Calls name a role without its path: of one that is not there, IAM knows none. One that is made says it.
        let bare = format!("arn:{}:iam::{}:role/{}", meant.partition(), meant.account_id(), meant.name());
        let arn = match &there {
            Some((arn, ..)) => arn.to_string(),
            None if request.action == "CreateRole" => meant.to_string(),
            None => bare,
        };
        let (tags, boundary) = there.map(|(_, tags, boundary)| (tags, boundary)).unwrap_or_default();
        let given = Some(request.arguments.boundary.clone()).filter(|boundary| !boundary.is_empty());
        let policy = request.arguments.keys.first();
        let all = with_tagging(request, &format!("iam:{}", request.action), "iam:TagRole", &arn, &tags);
        let conditions = |asked: Asked| {
            let asked = match given.as_ref().or(boundary.as_ref()) {
                Some(boundary) => asked.with("iam:PermissionsBoundary", boundary),
                None => asked,
            };
            if let Some(policy) = policy { asked.with("iam:PolicyARN", policy) } else { asked }
        };
        all.into_iter().map(conditions).collect()
    }

    fn asked_about_association(&self, request: &Request<'_>) -> Vec<Asked> {
        let Some(key) = &request.association else { return Vec::new() };
        let place = &request.caller.place;
        let service = format!("arn:{}:eks:{}:{}", partition_of(&place.region), place.region, place.account_id);
        let cluster = format!("{service}:cluster/{}", key.cluster);
        let association = format!("{service}:podidentityassociation/{}/a-1", key.cluster);
        let tags = self.eks.tags(request.caller, key).unwrap_or_default();
        let action = format!("eks:{}", request.action);
        let mut all = match request.action {
            "ListPodIdentityAssociations" => vec![Asked::new(&action, cluster)],
            "CreatePodIdentityAssociation" => vec![
                tagging(request, Asked::new(&action, cluster)),
                tagging(request, Asked::new("eks:TagResource", association)),
            ],
            _ => vec![tagged(Asked::new(&action, association), &tags)],
        };
        // The first is passed to EKS; it is that one which assumes the other.
        let passed = request.arguments.keys.first();
        all.extend(
            passed.map(|role| Asked::new("iam:PassRole", role).with("iam:PassedToService", "pods.eks.amazonaws.com")),
        );
        all
    }
}

/// What makes something with tags has to be allowed to tag it.
fn with_tagging(request: &Request<'_>, action: &str, tag: &str, arn: &str, tags: &Tags) -> Vec<Asked> {
    let own = tagging(request, tagged(Asked::new(action, arn), tags));
    let creates = request.action.starts_with("Create") && !request.arguments.tags.is_empty();
    let tags_it = creates.then(|| tagging(request, tagged(Asked::new(tag, arn), tags)));
    std::iter::once(own).chain(tags_it).collect()
}

fn tagged(asked: Asked, tags: &Tags) -> Asked {
    tags.iter().fold(asked, |asked, (key, value)| asked.tagged(key, value))
}

fn tagging(request: &Request<'_>, asked: Asked) -> Asked {
    request.arguments.tags.iter().fold(asked, |asked, (key, value)| asked.tagging(key, value))
}
