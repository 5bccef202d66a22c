//! What typed entries come to, judged by the text of the policies: exactly those declared may do exactly what is declared.

use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};

use super::access::{DEAD_LETTERS, ENDPOINT, ORGANIZATION, STRANGER, TOPIC, WORKER, access, compile_as};
use super::evaluator::{Caller, Decision, Request, evaluate};
use super::strategy::{requests, role, service};
use super::{FOREIGN, OWN, QUEUE, as_value, context};
use crate::api::class::AccessLimits;
use crate::domain::permission::Permission;
use crate::domain::policy::{PrincipalGrant, StatementContext, Trust, compile_statements};

/// Entries of every kind, of friends and of strangers.
fn entries() -> Vec<Value> {
    vec![
        json!({"principalArn": WORKER}),
        json!({"principalArn": WORKER, "vpcEndpointId": ENDPOINT}),
        json!({"principalArn": "arn:aws:iam::123456789012:user/alice"}),
        json!({"principalArn": "arn:aws:iam::999999999999:role/worker"}),
        json!({"accountId": OWN}),
        json!({"accountId": FOREIGN}),
        json!({"accountId": FOREIGN, "vpcEndpointId": ENDPOINT}),
        json!({"organizationId": ORGANIZATION}),
        json!({"organizationId": ORGANIZATION, "vpcEndpointId": "vpce-0f0f0f0f"}),
        json!({"vpcEndpointId": ENDPOINT}),
    ]
}

fn services() -> Vec<Value> {
    let topics = "arn:aws:sns:eu-central-1:123456789012:top*";
    let bucket = "arn:aws:s3:::bucket";
    vec![
        json!({"service": "sns.amazonaws.com", "sourceArn": TOPIC}),
        json!({"service": "sns.amazonaws.com", "sourceArn": topics}),
        json!({"service": "sns.amazonaws.com", "sourceArn": TOPIC.replace(OWN, FOREIGN)}),
        json!({"service": "sns.amazonaws.com", "sourceArn": TOPIC, "sourceAccount": OWN}),
        json!({"service": "sns.amazonaws.com", "sourceAccount": FOREIGN}),
        json!({"service": "s3.amazonaws.com", "sourceArn": bucket, "sourceAccount": OWN}),
        json!({"service": "events.amazonaws.com", "sourceAccount": OWN}),
    ]
}

fn specs() -> impl Strategy<Value = Value> {
    let producers = [entries(), services()].concat();
    let raw = vec![
        json!({"Effect": "Allow", "Principal": {"AWS": WORKER}, "Action": "sqs:ReceiveMessage", "Resource": QUEUE}),
        json!({"Effect": "Deny", "Principal": {"AWS": FOREIGN}, "Action": "sqs:SendMessage", "Resource": QUEUE}),
    ];
    (any::<bool>(), subsequence(producers, 0..=5), subsequence(entries(), 0..=5), subsequence(raw, 0..=2)).prop_map(
        |(tls, producers, consumers, statements)| {
            json!({"requireTLS": tls, "producers": producers, "consumers": consumers, "statements": statements})
        },
    )
}

/// Callers that entries mean, and some that none means, each with each action on both queues.
fn calls() -> Vec<Request> {
    let alice = Caller::Aws {
        arn: "arn:aws:iam::123456789012:user/alice".to_owned(),
        identity: "arn:aws:iam::123456789012:user/alice".to_owned(),
    };
    let organization = ("aws:principalorgid", ORGANIZATION);
    let endpoint = ("aws:sourcevpce", ENDPOINT);
    let other_endpoint = ("aws:sourcevpce", "vpce-0f0f0f0f");
    let foreign_topic = TOPIC.replace(OWN, FOREIGN);
    let of = |arn, account| vec![("aws:sourcearn", arn), ("aws:sourceaccount", account)];
    let mut all = requests(&[
        (role(OWN, "worker"), vec![]),
        (role(OWN, "worker"), vec![("aws:securetransport", "false"), endpoint]),
        (role(OWN, "worker"), vec![organization, endpoint]),
        (role(OWN, "other"), vec![other_endpoint]),
        (role(OWN, "other"), vec![organization, endpoint]),
        (alice, vec![]),
        (role(FOREIGN, "worker"), vec![]),
        (role(FOREIGN, "worker"), vec![organization, other_endpoint]),
        (role(FOREIGN, "other"), vec![endpoint]),
        (role(STRANGER, "worker"), vec![endpoint]),
        (role(STRANGER, "worker"), vec![organization]),
        (role(STRANGER, "worker"), vec![("aws:principalorgid", "o-zzzzzzzzzz"), other_endpoint]),
        (Caller::Anonymous, vec![]),
        (Caller::Anonymous, vec![endpoint]),
        (Caller::Federated("accounts.example.com".to_owned()), vec![]),
        (service("sns"), vec![]),
        (service("sns"), of(TOPIC, OWN)),
        (service("sns"), of("arn:aws:sns:eu-central-1:123456789012:topaz", OWN)),
        (service("sns"), of("arn:aws:sns:eu-west-1:123456789012:topic", OWN)),
        (service("sns"), of(&foreign_topic, FOREIGN)),
        (service("s3"), of("arn:aws:s3:::bucket", OWN)),
        (service("s3"), of("arn:aws:s3:::bucket", STRANGER)),
        (service("s3"), of("arn:aws:s3:::bucket-2", OWN)),
        (service("events"), of("arn:aws:events:eu-central-1:123456789012:rule/x", OWN)),
        (service("events"), of("arn:aws:events:eu-central-1:888888888888:rule/x", STRANGER)),
        (service("logs"), of("arn:aws:logs:eu-central-1:123456789012:x", OWN)),
    ]);
    let on_dead_letters: Vec<Request> =
        all.iter().map(|request| Request { resource: DEAD_LETTERS.to_owned(), ..request.clone() }).collect();
    all.extend(on_dead_letters);
    all
}

/// Whether the entry, as its documentation has it, means whoever makes this call.
fn means(entry: &Value, request: &Request) -> bool {
    let found = |key: &str| request.context.get(key).map(|values| values[0].as_str()).unwrap_or_default();
    let who = match (&entry["principalArn"], &entry["accountId"], &entry["service"], &entry["organizationId"]) {
        (Value::String(arn), ..) => matches!(&request.caller, Caller::Aws { identity, .. } if identity == arn),
        (_, Value::String(account), ..) => found("aws:principalaccount") == account,
        (_, _, Value::String(name), _) => matches!(&request.caller, Caller::Service(service) if service == name),
        (_, _, _, Value::String(organization)) => found("aws:principalorgid") == organization,
        _ => found("aws:principalaccount") == OWN,
    };
    let is_source = entry["sourceArn"].as_str().is_none_or(|arn| match arn.strip_suffix('*') {
        Some(beginning) => found("aws:sourcearn").starts_with(beginning),
        None => found("aws:sourcearn") == arn,
    });
    let is = |field: &str, key: &str| entry[field].as_str().is_none_or(|wanted| found(key) == wanted);
    who && is_source && is("sourceAccount", "aws:sourceaccount") && is("vpcEndpointId", "aws:sourcevpce")
}

/// What the spec promises about this call.
fn promised(spec: &Value, request: &Request) -> Decision {
    let raw = evaluate(&json!({"Statement": spec["statements"]}), request);
    if raw == Decision::Deny || spec["requireTLS"] == true && request.context["aws:securetransport"] == ["false"] {
        return Decision::Deny;
    }
    let action = request.action.strip_prefix("sqs:").unwrap();
    let is_on_queue = request.resource == QUEUE;
    let may = |list: &str, actions: &dyn Fn(&Value) -> &'static [&'static str]| {
        let entries = spec[list].as_array().unwrap();
        entries.iter().any(|entry| actions(entry).contains(&action) && means(entry, request))
    };
    let sends = may("producers", &|entry| match (is_on_queue, &entry["service"]) {
        (true, Value::Null) => &["SendMessage", "GetQueueUrl", "GetQueueAttributes"],
        (true, _) => &["SendMessage"],
        (false, _) => &[],
    });
    let reads = may("consumers", &|_| {
        if is_on_queue {
            &["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueUrl", "GetQueueAttributes"]
        } else {
            &["ReceiveMessage", "ChangeMessageVisibility", "GetQueueUrl", "GetQueueAttributes"]
        }
    });
    if raw == Decision::Allow || sends || reads { Decision::Allow } else { Decision::Neither }
}

#[test]
fn every_entry_lets_somebody_in_and_keeps_somebody_out() {
    for entry in [entries(), services()].concat() {
        let meant: Vec<bool> = calls().iter().map(|request| means(&entry, request)).collect();
        assert!(meant.contains(&true) && meant.contains(&false), "{entry}");
    }
}

proptest! {
    #[test]
    fn exactly_those_declared_may_do_exactly_what_is_declared(spec in specs()) {
        // SQS has no room for some; that is told at one place.
        let Ok(policies) = compile_as(&access(&spec), Trust::Anything).map_err(|errors| {
            assert!(errors.iter().all(|(path, _)| path == "spec.access"), "{spec}: {errors:?}");
        }) else { return Ok(()) };
        let (source, dead_letter) = (as_value(&policies.source), as_value(&policies.dead_letter));
        for request in calls() {
            let policy = if request.resource == QUEUE { &source } else { &dead_letter };
            prop_assert_eq!(evaluate(policy, &request), promised(&spec, &request), "{}\n{}\n{:?}", spec, policy, request);
        }
    }

    /// Typed or pasted, what means the same is trusted the same.
    #[test]
    fn an_entry_is_trusted_like_the_statement_that_it_stands_for(
        entry in prop::sample::select([entries(), services()].concat()),
        accounts in subsequence(vec![FOREIGN, STRANGER], 0..=2),
        services in prop::option::of(subsequence(vec!["sns.amazonaws.com", "s3.amazonaws.com"], 0..=2)),
        organizations in subsequence(vec![ORGANIZATION, "o-zzzzzzzzzz"], 0..=2),
        public in any::<bool>(),
    ) {
        let spec = access(&json!({"requireTLS": false, "producers": [entry]}));
        let policy = as_value(&compile_as(&spec, Trust::Anything).unwrap().source);
        let mut limits = json!({"principalAccounts": accounts, "organizationIds": organizations, "allowPublic": public});
        if let Some(services) = services {
            limits["services"] = json!(services);
        }
        let limits: AccessLimits = serde_json::from_value(limits).unwrap();
        for trust in [Trust::OwnAccount, Trust::Class { name: "prod", limits: Some(&limits) }] {
            let raw = compile_statements(policy["Statement"].as_array().unwrap(), "", &StatementContext { trust, ..context() });
            prop_assert_eq!(compile_as(&spec, trust).is_ok(), raw.is_ok(), "{} {:?} {:?}", entry, trust, raw);
        }
    }
}

/// Whether a `QueueAccess` with these permissions, as its documentation has it, covers this call.
fn is_granted(permissions: &[Permission], request: &Request) -> bool {
    let action = request.action.strip_prefix("sqs:").unwrap();
    let actions = |permission: &Permission| -> &[&str] {
        match (permission, request.resource == QUEUE) {
            (Permission::Send, true) => &["SendMessage", "GetQueueUrl", "GetQueueAttributes"],
            (Permission::Consume, true) => {
                &["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueUrl", "GetQueueAttributes"]
            }
            (Permission::Redrive, true) => &["SendMessage"],
            (Permission::Inspect, false) => {
                &["ReceiveMessage", "ChangeMessageVisibility", "GetQueueUrl", "GetQueueAttributes"]
            }
            (Permission::Redrive, false) => &[
                "StartMessageMoveTask",
                "CancelMessageMoveTask",
                "ListMessageMoveTasks",
                "ReceiveMessage",
                "DeleteMessage",
                "GetQueueAttributes",
            ],
            _ => &[],
        }
    };
    permissions.iter().any(|permission| actions(permission).contains(&action))
}

proptest! {
    /// What others are granted comes on top, and takes nothing from anybody.
    #[test]
    fn exactly_those_granted_may_do_more_and_exactly_what_is_granted(
        spec in specs(),
        worker in subsequence(Permission::ALL.to_vec(), 0..=4),
        other in subsequence(Permission::ALL.to_vec(), 0..=4),
    ) {
        let grants = [(WORKER, &worker), ("arn:aws:iam::123456789012:role/other", &other)];
        let Ok(policies) = compile_as(&access(&spec), Trust::Anything) else { return Ok(()) };
        let parts: Vec<PrincipalGrant> = grants
            .iter()
            .map(|(arn, permissions)| {
                let permissions = permissions.iter().copied().collect();
                PrincipalGrant::compile(arn, &permissions, "", Some(DEAD_LETTERS), &context()).unwrap()
            })
            .collect();
        let Ok(with) = policies.with_grants(&parts.iter().collect::<Vec<_>>(), QUEUE, Some(DEAD_LETTERS)) else { return Ok(()) };
        let (source, dead_letter) = (as_value(&with.source), as_value(&with.dead_letter));
        let moves = calls().into_iter().map(|call| Request { action: "sqs:StartMessageMoveTask".to_owned(), ..call });
        for request in calls().into_iter().chain(moves) {
            let policy = if request.resource == QUEUE { &source } else { &dead_letter };
            let is_granted = grants.iter().any(|(arn, permissions)| {
                means(&json!({"principalArn": arn}), &request) && is_granted(permissions, &request)
            });
            let wanted = match promised(&spec, &request) {
                Decision::Neither if is_granted => Decision::Allow,
                before => before,
            };
            prop_assert_eq!(evaluate(policy, &request), wanted, "{}\n{}\n{:?}", spec, policy, request);
        }
    }
}
