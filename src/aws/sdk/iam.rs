//! IAM through the SDK.

use async_trait::async_trait;
use aws_sdk_iam::Client;
use aws_sdk_iam::config::IdentityCache;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType};

use crate::aws::Iam;
use crate::aws::error::Service;
use crate::aws::meter::{Action, MayWrite, Meter};
use crate::aws::target::{Session, Signer};
use crate::domain::call::CallError;
use crate::domain::class::{ContextValue, Question, Refused};

/// [`Iam`] and [`Policies`](crate::aws::Policies) by the AWS SDK.
#[derive(Clone)]
pub struct SdkIam {
    pub(super) client: Client,
    pub(super) meter: Meter,
    signer: Signer,
}

impl SdkIam {
    pub(super) fn new(client: Client, meter: Meter, signer: Signer) -> Self {
        Self { client, meter, signer }
    }

    /// The same client, which writes in the name of `session` where a role is assumed.
    #[must_use]
    pub fn writing_as(&self, session: Session) -> Self {
        Self { signer: self.signer.of_session(session), ..self.clone() }
    }

    pub(super) async fn writer(&self) -> Client {
        let Some(credentials) = self.signer.credentials().await else {
            return self.client.clone();
        };
        let config = self.client.config().to_builder().credentials_provider(credentials);
        // They are kept for the clients of all services.
        Client::from_conf(config.identity_cache(IdentityCache::no_cache()).build())
    }

    pub(super) fn writing_while(mut self, may_write: MayWrite) -> Self {
        self.meter.may_write = may_write;
        self
    }
}

#[async_trait]
impl Iam for SdkIam {
    async fn refused_actions(&self, question: &Question) -> Result<Vec<Refused>, CallError> {
        let mut refused = Vec::new();
        let mut marker = None;
        // A page holds 100 results unless IAM makes it shorter.
        for _ in 0..=question.actions.len() {
            let request = self
                .client
                .simulate_principal_policy()
                .policy_source_arn(&question.principal_arn)
                .set_action_names(Some(question.actions.iter().map(ToString::to_string).collect()))
                .resource_arns(&question.resource)
                .set_context_entries(Some(question.context.iter().map(entry).collect()))
                .set_marker(marker.take());
            let answer = self.meter.call(Action::read(Service::Iam, "SimulatePrincipalPolicy"), request.send()).await?;
            refused.extend(answer.evaluation_results.into_iter().flatten().filter_map(|result| refusal(&result)));
            marker = answer.marker.filter(|_| answer.is_truncated);
            if marker.is_none() {
                break;
            }
        }
        Ok(refused)
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

fn refusal(result: &EvaluationResult) -> Option<Refused> {
    let is_explicit = match result.eval_decision {
        PolicyEvaluationDecisionType::Allowed => return None,
        PolicyEvaluationDecisionType::ExplicitDeny => true,
        _ => false,
    };
    Some(Refused { action: result.eval_action_name.clone(), is_explicit })
}
