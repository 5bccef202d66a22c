//! IAM through the SDK.

use async_trait::async_trait;
use aws_sdk_iam::Client;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType};

use crate::aws::Iam;
use crate::aws::error::Service;
use crate::aws::meter::{Action, MayWrite, Meter};
use crate::aws::target::{Session, Signer};
use crate::domain::call::CallError;
use crate::domain::class::{ContextValue, Decision, Evaluation, Question};

/// [`Iam`], [`Policies`](crate::aws::Policies) and [`Roles`](crate::aws::Roles) by the AWS SDK.
#[derive(Clone)]
pub struct SdkIam {
    pub(super) client: Client,
    pub(super) meter: Meter,
    signer: Signer,
}

writing_client!(SdkIam, aws_sdk_iam);

/// The most pages that are read: a page holds a hundred results unless IAM makes it shorter.
pub(super) const MAX_PAGES: usize = 20;

#[async_trait]
impl Iam for SdkIam {
    async fn simulate(&self, question: &Question) -> Result<Vec<Evaluation>, CallError> {
        let mut evaluations = Vec::new();
        let mut marker = None;
        for _ in 0..MAX_PAGES {
            let request = self
                .client
                .simulate_principal_policy()
                .policy_source_arn(&question.principal_arn)
                .set_action_names(Some(question.actions.iter().map(ToString::to_string).collect()))
                .set_resource_arns(Some(question.resources.clone()))
                .set_context_entries(Some(question.context.iter().map(entry).collect()))
                .set_marker(marker.take());
            let answer = self.meter.call(Action::read(Service::Iam, "SimulatePrincipalPolicy"), request.send()).await?;
            evaluations.extend(answer.evaluation_results.into_iter().flatten().flat_map(read));
            marker = answer.marker.filter(|_| answer.is_truncated);
            if marker.is_none() {
                break;
            }
        }
        Ok(evaluations)
    }
}

fn entry((key, value): (&String, &ContextValue)) -> ContextEntry {
    let (values, kind) = match value {
        ContextValue::Text(text) => (vec![text.clone()], ContextKeyTypeEnum::String),
        ContextValue::Texts(texts) => (texts.clone(), ContextKeyTypeEnum::StringList),
        ContextValue::Truth(truth) => (vec![truth.to_string()], ContextKeyTypeEnum::Boolean),
    };
    let entry = ContextEntry::builder().context_key_name(key).set_context_key_values(Some(values));
    entry.context_key_type(kind).build()
}

/// What is said of one action: of each resource by itself, where IAM tells them apart.
fn read(result: EvaluationResult) -> Vec<Evaluation> {
    let by_organization = result.organizations_decision_detail.is_some_and(|detail| !detail.allowed_by_organizations);
    let evaluation =
        |resource: String, decision: &PolicyEvaluationDecisionType, missing: Option<Vec<String>>| Evaluation {
            action: result.eval_action_name.clone(),
            resource,
            decision: match decision {
                PolicyEvaluationDecisionType::Allowed => Decision::Allowed,
                _ if by_organization => Decision::RefusedByOrganization,
                PolicyEvaluationDecisionType::ExplicitDeny => Decision::Denied,
                _ => Decision::NotAllowed,
            },
            missing_context: missing.into_iter().flatten().collect(),
        };
    let of_resources = result.resource_specific_results.unwrap_or_default();
    if of_resources.is_empty() {
        let resource = result.eval_resource_name.unwrap_or_default();
        return vec![evaluation(resource, &result.eval_decision, result.missing_context_values)];
    }
    of_resources
        .into_iter()
        .map(|one| evaluation(one.eval_resource_name, &one.eval_resource_decision, one.missing_context_values))
        .collect()
}
