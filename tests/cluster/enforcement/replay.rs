//! What AWS would have asked the policies about, of calls that the operator made: with all the conditions that the emulator does
//! not know. Tags and boundaries are those that the calls themselves gave.

use std::collections::BTreeMap;

use serde_json::Value;

use super::account::role_arn;
use crate::harness::{ACCOUNT, REGION};
use crate::judge::Request;
use crate::proxy::Call;

type Tags = BTreeMap<String, String>;

/// What the calls so far have made.
#[derive(Default)]
struct World {
    tags: BTreeMap<String, Tags>,
    /// Where roles are, by their names, which is how calls name them.
    roles: BTreeMap<String, String>,
    boundaries: BTreeMap<String, String>,
}

/// What AWS would have asked, in the order of the calls.
pub fn requests(calls: &[Call]) -> Vec<Request> {
    let mut world = World::default();
    calls.iter().flat_map(|call| world.meet(call)).collect()
}

impl World {
    fn meet(&mut self, call: &Call) -> Vec<Request> {
        let requests = self.requests(call);
        if call.status == Some(200) {
            self.learn(call);
        }
        requests
    }

    fn requests(&self, call: &Call) -> Vec<Request> {
        let Some((service, resource)) = self.what_it_is_about(call) else { return Vec::new() };
        let about = |action: &str| {
            let request = Request::new(&format!("{service}:{action}"), &resource);
            let tags = self.tags.get(&resource).into_iter().flatten();
            tags.fold(request, |request, (key, value)| request.tagged(key, value))
        };
        let tagging =
            |request: Request| tags_of(call).iter().fold(request, |request, (key, value)| request.tagging(key, value));
        let given = call.body["PermissionsBoundary"].as_str();
        let conditions = |request: Request| {
            let boundary = given.or_else(|| self.boundaries.get(&resource).map(String::as_str));
            let request =
                boundary.into_iter().fold(request, |request, arn| request.with("iam:PermissionsBoundary", arn));
            let attached = call.body["PolicyArn"].as_str().filter(|_| call.body["RoleName"].is_string());
            attached.into_iter().fold(request, |request, arn| request.with("iam:PolicyARN", arn))
        };
        match call.action.as_str() {
            // One that is made with tags is tagged, too.
            "CreateQueue" => vec![tagging(about("CreateQueue")), tagging(about("TagQueue"))],
            "CreatePolicy" => vec![tagging(about("CreatePolicy")), tagging(about("TagPolicy"))],
            "CreateRole" => vec![conditions(tagging(about("CreateRole"))), tagging(about("TagRole"))],
            action => vec![conditions(tagging(about(action)))],
        }
    }

    fn learn(&mut self, call: &Call) {
        let Some((_, resource)) = self.what_it_is_about(call) else { return };
        if let Some(boundary) = call.body["PermissionsBoundary"].as_str() {
            self.boundaries.insert(resource.clone(), boundary.to_owned());
        }
        match call.action.as_str() {
            "CreateQueue" | "CreatePolicy" | "CreateRole" | "TagQueue" | "TagPolicy" | "TagRole" => {
                if let (Some(name), true) = (call.body["RoleName"].as_str(), call.action == "CreateRole") {
                    self.roles.insert(name.to_owned(), resource.clone());
                }
                self.tags.entry(resource).or_default().extend(tags_of(call));
            }
            "DeleteRole" => {
                self.roles.retain(|_, arn| *arn != resource);
                self.boundaries.remove(&resource);
                self.tags.remove(&resource);
            }
            "UntagQueue" | "UntagPolicy" => {
                let gone = untagged(call);
                self.tags.entry(resource).or_default().retain(|key, _| !gone.contains(key));
            }
            "DeleteQueue" | "DeletePolicy" => _ = self.tags.remove(&resource),
            _ => {}
        }
    }

    /// The service and the ARN, as the Service Authorization Reference has it for the action. None: it needs no permission.
    fn what_it_is_about(&self, call: &Call) -> Option<(&'static str, String)> {
        let text = |key: &str| call.body[key].as_str().unwrap_or_else(|| panic!("{call:?} has {key}"));
        Some(match call.action.as_str() {
            "GetCallerIdentity" => return None,
            "ListQueues" => ("sqs", "*".to_owned()),
            // It is asked about the key, whatever name the key was called by.
            "DescribeKey" | "GetKeyPolicy" => ("kms", format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/any")),
            "CreateRole" => ("iam", format!("arn:aws:iam::{ACCOUNT}:role{}{}", text("Path"), text("RoleName"))),
            // Of one that is not there, nobody knows a path.
            _ if call.body["RoleName"].is_string() => {
                let known = self.roles.get(text("RoleName")).cloned();
                ("iam", known.unwrap_or_else(|| role_arn(ACCOUNT, text("RoleName"))))
            }
            "SimulatePrincipalPolicy" => ("iam", text("PolicySourceArn").to_owned()),
            "CreatePolicy" => ("iam", format!("arn:aws:iam::{ACCOUNT}:policy{}{}", text("Path"), text("PolicyName"))),
            action if action.contains("Policy") => ("iam", text("PolicyArn").to_owned()),
            action => {
                let queue = call.queue.as_ref().unwrap_or_else(|| panic!("what is {action} about?"));
                ("sqs", format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"))
            }
        })
    }
}

/// The tags that a call gives.
fn tags_of(call: &Call) -> Tags {
    let Value::Object(body) = &call.body else { return Tags::new() };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match body.get("tags").or_else(|| body.get("Tags")) {
        Some(Value::Object(tags)) => tags.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
        // The query protocol counts: Tags.member.1.Key, Tags.member.1.Value.
        _ => body
            .iter()
            .filter_map(|(name, key)| Some((text(key), text(&body[&format!("{}Value", name.strip_suffix("Key")?)]))))
            .collect(),
    }
}

/// The keys of the tags that a call takes away.
fn untagged(call: &Call) -> Vec<String> {
    let Value::Object(body) = &call.body else { return Vec::new() };
    let texts = body.iter().filter(|(name, _)| name.starts_with("TagKeys"));
    let texts = texts.flat_map(|(_, value)| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]));
    texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}
