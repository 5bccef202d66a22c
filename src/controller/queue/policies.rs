//! The policies of a Queue in IAM: what is there, and carrying out the steps about them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::status::PolicyStatus;
use crate::aws::Policies;
use crate::domain::call::{CallError, ErrorClass, ErrorKind};
use crate::domain::desired::Desired;
use crate::domain::finding::Circumstances;
use crate::domain::iam::{
    DesiredPolicy, IdentityPolicy, PolicyArn, PolicySight, PresentPolicy, digest_of, is_to_be_looked_at,
    remember_created, remember_version,
};
use crate::domain::observed::{Memory, Record};
use crate::domain::plan::Step;

use super::apply::{Applier, Failure, Pass};

/// What was seen, by ARN.
pub(super) type Sights = BTreeMap<String, PolicySight>;

/// Looks at the policies on record of a Queue that lives, but for those of which is known well enough how they are.
pub(super) async fn look_at_all(
    iam: &dyn Policies,
    desired: &Desired,
    record: &Record,
    memory: &mut Memory,
    now: Timestamp,
) -> Sights {
    let mut sights = Sights::new();
    for entry in &record.policies {
        let Some(arn) = PolicyArn::parse(&entry.policy_arn) else { continue };
        let wanted = desired.policies.iter().find(|wanted| wanted.arn == arn);
        let seen = wanted.zip(memory.seen_policies.get(&entry.policy_arn));
        let known = seen.filter(|(wanted, (at, seen))| !is_to_be_looked_at(wanted, seen, *at, now));
        let sight = if let Some((_, (_, seen))) = known {
            PolicySight::Present(seen.clone())
        } else {
            let digest = wanted.and_then(DesiredPolicy::digest);
            let sight = look(iam, &arn, Some(entry), digest.as_deref()).await;
            memory.saw_policy(&arn, &sight, now);
            sight
        };
        sights.insert(entry.policy_arn.clone(), sight);
    }
    sights
}

/// Looks at policies that are to go.
pub(super) async fn look_at_doomed(iam: &dyn Policies, arns: &[PolicyArn], record: &Record) -> Sights {
    let mut sights = Sights::new();
    for arn in arns {
        let entry = record.policies.iter().find(|entry| entry.policy_arn == arn.to_string());
        sights.insert(arn.to_string(), look(iam, arn, entry, None).await);
    }
    sights
}

/// Looks at one policy that is to say what has this digest, or to go.
pub(in crate::controller) async fn look(
    iam: &dyn Policies,
    arn: &PolicyArn,
    entry: Option<&PolicyStatus>,
    wanted: Option<&str>,
) -> PolicySight {
    match read(iam, arn, entry, wanted).await {
        Ok(present) => PolicySight::Present(present),
        Err(error) if error.kind == ErrorKind::EntityDoesNotExist => PolicySight::Absent,
        Err(error) => PolicySight::Failed(error),
    }
}

/// The policy was there a moment ago: a version that is not shows late, or has just gone.
fn late(error: CallError) -> CallError {
    match error.kind {
        ErrorKind::EntityDoesNotExist => CallError { kind: ErrorKind::Transient, ..error },
        _ => error,
    }
}

async fn read(
    iam: &dyn Policies,
    arn: &PolicyArn,
    entry: Option<&PolicyStatus>,
    wanted: Option<&str>,
) -> Result<PresentPolicy, CallError> {
    let policy = iam.get_policy(arn).await?;
    let is_of_policy = |entry: &&PolicyStatus| entry.policy_id.as_ref() == Some(&policy.id);
    let is_of_version = |entry: &&PolicyStatus| entry.version_id.as_ref() == Some(&policy.default_version);
    let on_record = entry.filter(is_of_policy).filter(is_of_version).and_then(|entry| entry.document_digest.clone());
    let digest = match (on_record, wanted) {
        (Some(digest), _) => digest,
        // What a policy says that is to go is nobody's business.
        (None, None) => String::new(),
        (None, Some(_)) => digest_of(&iam.get_policy_version(arn, &policy.default_version).await.map_err(late)?),
    };
    let is_to_change = wanted.is_none_or(|wanted| wanted != digest);
    let others = if is_to_change { iam.other_versions(arn).await.map_err(late)? } else { Vec::new() };
    Ok(PresentPolicy { policy, digest, others })
}

impl Applier<'_> {
    /// Carries out a step about the policy `arn`. Answers whether it did what it says.
    pub(super) async fn policy_step(
        &self,
        step: &Step,
        arn: &PolicyArn,
        pass: &mut Pass,
        memory: &mut Memory,
    ) -> Result<bool, Failure> {
        memory.seen_policies.remove(&arn.to_string());
        let done = match step {
            Step::CreatePolicy { document, tags, .. } => {
                match self.observer.iam.create_policy(arn, &document.to_json(), tags).await {
                    Err(error) if error.kind == ErrorKind::EntityAlreadyExists => {
                        self.find_taken(arn, document, pass, memory).await;
                        return Ok(false);
                    }
                    Ok(policy) => {
                        memory.deleted.remove(&arn.to_string());
                        memory.name_taken.remove(&arn.to_string());
                        let digest = document.digest();
                        if let Some(entry) = pass.record.policy_mut(arn) {
                            remember_created(entry, &policy, &digest, (self.clock)());
                        }
                        let present = PresentPolicy { policy, digest, others: Vec::new() };
                        pass.observed.policies.insert(arn.to_string(), PolicySight::Present(present));
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            Step::UpdatePolicy { document, .. } => {
                match self.observer.iam.create_policy_version(arn, &document.to_json()).await {
                    Ok(version) => {
                        let digest = document.digest();
                        if let Some(entry) = pass.record.policy_mut(arn) {
                            remember_version(entry, &version, &digest, (self.clock)());
                        }
                        change(arn, pass, |present| {
                            let before = std::mem::replace(&mut present.policy.default_version, version);
                            present.others.push(before);
                            present.digest = digest;
                        });
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            Step::DeletePolicyVersion { version, .. } => {
                gone(self.observer.iam.delete_policy_version(arn, version).await)
                    .map(|()| change(arn, pass, |present| present.others.retain(|other| other != version)))
            }
            Step::DeletePolicy { .. } => gone(self.observer.iam.delete_policy(arn).await).map(|()| {
                memory.deleted.insert(arn.to_string(), (self.clock)());
                pass.observed.policies.insert(arn.to_string(), PolicySight::Absent);
            }),
            Step::TagPolicy { tags, .. } => {
                let answer = self.observer.iam.tag_policy(arn, tags).await;
                answer.map(|()| change(arn, pass, |present| present.policy.tags.extend(tags.clone())))
            }
            Step::UntagPolicy { keys, .. } => self.observer.iam.untag_policy(arn, keys).await.map(|()| {
                memory.released.insert(arn.to_string(), (self.clock)());
                change(arn, pass, |present| present.policy.tags.retain(|key, _| !keys.contains(key)));
            }),
            _ => return Ok(false),
        };
        done.map(|()| true).map_err(|error| self.policy_failed(arn, &error, pass, memory))
    }

    /// A policy of this name is there: perhaps one that a lost answer left.
    async fn find_taken(&self, arn: &PolicyArn, document: &IdentityPolicy, pass: &mut Pass, memory: &mut Memory) {
        let entry = pass.record.policies.iter().find(|entry| entry.policy_arn == arn.to_string());
        let sight = match look(self.observer.iam, arn, entry, Some(&document.digest())).await {
            PolicySight::Absent => {
                memory.name_taken.entry(arn.to_string()).or_insert_with(|| (self.clock)());
                PolicySight::NameTaken
            }
            sight => {
                memory.deleted.remove(&arn.to_string());
                memory.name_taken.remove(&arn.to_string());
                sight
            }
        };
        pass.observed.policies.insert(arn.to_string(), sight);
    }

    fn policy_failed(&self, arn: &PolicyArn, error: &CallError, pass: &mut Pass, memory: &Memory) -> Failure {
        // Whatever is not over by the next try keeps no other policy waiting.
        if !matches!(error.class(), ErrorClass::Throttled | ErrorClass::Transient) {
            pass.observed.refused.insert(arn.to_string(), error.to_string());
        }
        let uid = pass.queue.metadata.uid.as_deref().unwrap_or_default();
        let caller_arn = &self.observer.class.caller_arn;
        let circumstances = Circumstances { memory, uid, caller_arn, now: self.now };
        Failure::Finding(circumstances.policy_failed(arn, error))
    }
}

/// What is gone already need not be deleted.
fn gone(answer: Result<(), CallError>) -> Result<(), CallError> {
    answer.or_else(|error| if error.kind == ErrorKind::EntityDoesNotExist { Ok(()) } else { Err(error) })
}

/// Changes what is known of a policy as it was just written.
fn change(arn: &PolicyArn, pass: &mut Pass, with: impl FnOnce(&mut PresentPolicy)) {
    if let Some(PolicySight::Present(present)) = pass.observed.policies.get_mut(&arn.to_string()) {
        with(present);
    }
}
