//! What one principal is granted, beside what the owner of a queue says.

use std::collections::BTreeSet;

use super::access::{AccessPolicies, region_of, whole};
use super::compile::StatementContext;
use super::compose::compose;
use super::document::PolicyDocument;
use super::grantee::Grantee;
use super::principal::account_of_arn;
use super::statement::Statement;
use crate::api::access::AccessEntry;
use crate::domain::arn::sqs_of;
use crate::domain::field::FieldError;
use crate::domain::permission::{Permission, on_key};

/// The part of one principal in the policies of a queue and of its dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalGrant {
    source: Vec<Statement>,
    dead_letter: Vec<Statement>,
    key: Vec<Statement>,
}

impl PrincipalGrant {
    /// What `permissions` come to for the role or user that stands at the path `at`. The rules are those of
    /// `spec.access.consumers[].principalArn`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(
        principal_arn: &str,
        permissions: &BTreeSet<Permission>,
        at: &str,
        dead_letter_arn: Option<&str>,
        context: &StatementContext,
    ) -> Result<Self, Vec<FieldError>> {
        let entry = AccessEntry { principal_arn: Some(principal_arn.to_owned()), ..AccessEntry::default() };
        let parent = at.strip_suffix(".principalArn").unwrap_or(at);
        let grantee = Grantee::read(&entry, parent, context)?;
        // Source: SQS Developer Guide, "Overview of managing access": cross-account permissions do not apply to these.
        if permissions.contains(&Permission::Redrive) && account_of_arn(principal_arn) != Some(context.account_id) {
            let rule = format!(
                "{principal_arn} is not of account {}, and SQS lets no other account move messages: leave Redrive out",
                context.account_id
            );
            return Err(vec![FieldError::new(at, rule)]);
        }
        let allowing = |arn: &str, actions: fn(Permission) -> &'static [&'static str]| {
            let actions =
                permissions.iter().map(|permission| actions(*permission)).filter(|actions| !actions.is_empty());
            actions.map(|actions| grantee.allowing(actions, arn)).collect::<Vec<_>>()
        };
        let all = permissions
            .iter()
            .map(|permission| on_key(&[permission.on_queue(), permission.on_dead_letter_queue()].concat()));
        Ok(Self {
            key: all.map(|actions| grantee.using_key(&actions, &sqs_of(region_of(context.queue_arn)))).collect(),
            source: allowing(context.queue_arn, Permission::on_queue),
            dead_letter: dead_letter_arn.map_or_else(Vec::new, |arn| allowing(arn, Permission::on_dead_letter_queue)),
        })
    }
}

impl AccessPolicies {
    /// These policies with `grants` in them, of the queue with this ARN and its dead-letter queue.
    ///
    /// # Errors
    /// The limits of SQS that they break.
    pub fn with_grants(
        &self,
        grants: &[&PrincipalGrant],
        queue_arn: &str,
        dead_letter_arn: Option<&str>,
    ) -> Result<Self, Vec<FieldError>> {
        let with = |document: &PolicyDocument, more: fn(&PrincipalGrant) -> &Vec<Statement>, arn: &str| {
            let more = grants.iter().flat_map(|grant| more(grant));
            whole(document.statements().iter().chain(more).cloned(), false, arn)
        };
        Ok(Self {
            source: with(&self.source, |grant| &grant.source, queue_arn)?,
            dead_letter: match dead_letter_arn {
                Some(arn) => with(&self.dead_letter, |grant| &grant.dead_letter, arn)?,
                None => self.dead_letter.clone(),
            },
            key: compose(self.key.iter().chain(grants.iter().flat_map(|grant| &grant.key)).cloned().collect())
                .statements()
                .to_vec(),
            named: self.named.clone(),
        })
    }
}
