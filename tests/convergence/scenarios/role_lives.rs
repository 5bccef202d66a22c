//! Random lives of `QueueAccess`es for a `ServiceAccount` and for a role of others, with crashes, lost answers, caches that lag
//! and an IAM that shows late.

use prism_queue::domain::identity::RoleArn;
use prism_queue::domain::tags::Tags;
use serde_json::{Value, json};

use super::roles::{BATCH, for_resizer, for_role, making_roles, seeded};
use crate::model::{Fault, RoleView, Timing, Trap};
use crate::stage::{Stage, key};

const QUEUE: &str = "media/images";
const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";
const PATTERNS: &[&str] = &["arn:aws:iam::123456789012:role/batch/*"];

/// The `QueueAccess`es, and whether each is for the `ServiceAccount`.
const NAMES: [(&str, bool); 4] = [("web/a", true), ("web/b", true), ("web/c", true), ("web/role", false)];
const PERMISSIONS: [&[&str]; 3] = [&["Send"], &["Consume"], &["Send", "Consume"]];
const WRITES: [&str; 12] = [
    "CreateRole",
    "CreatePolicy",
    "CreatePolicyVersion",
    "AttachRolePolicy",
    "DetachRolePolicy",
    "DeletePolicy",
    "DeletePolicyVersion",
    "DeleteRole",
    "WriteAccessStatus",
    "SetAccessFinalizers",
    "Annotate",
    "",
];

struct Life {
    stage: Stage,
    seed: u64,
    /// From which namespaces the Queue may be used.
    from: &'static str,
}

impl Life {
    fn one_of<T: Copy>(&self, all: &[T]) -> T {
        all[self.stage.kube.draw(all.len() - 1)]
    }

    fn batch(&self) -> RoleView {
        self.stage.world.role(&RoleArn::parse(BATCH).unwrap()).expect("a role of others")
    }

    fn apply(&self) {
        let is_going =
            self.stage.kube.queue(&key(QUEUE)).is_some_and(|queue| queue.metadata.deletion_timestamp.is_some());
        if !is_going {
            self.stage.apply(QUEUE, json!({"access": {"allowedNamespaces": {"from": self.from}}}));
        }
    }

    fn something_happens(&mut self) {
        let (name, is_for_account) = self.one_of(&NAMES);
        let permissions = self.one_of(&PERMISSIONS);
        match self.stage.kube.draw(11) {
            0..=4 => {
                let access = self.stage.kube.access(&key(name));
                if access.is_none_or(|access| access.metadata.deletion_timestamp.is_none()) {
                    let (to_account, to_role) = (for_resizer("images", permissions), for_role(BATCH, permissions));
                    self.stage.grant(name, if is_for_account { to_account } else { to_role });
                }
            }
            5 => self.stage.kube.delete_access(&key(name)),
            6 => self.from = self.one_of(&["None", "All"]),
            7 => self.stage.delete(QUEUE),
            8 => self.stage.kube.put_account(&key("web/resizer"), self.one_of(&[None, Some(BATCH)])),
            9 => self.stage.kube.delete_account(&key("web/resizer")),
            _ => self.trouble(),
        }
        if self.one_of(&[true, false]) {
            self.apply();
        }
    }

    fn trouble(&mut self) {
        let trap = Trap::new(self.one_of(&[Fault::CrashBefore, Fault::CrashAfter, Fault::LoseAnswer]));
        match self.one_of(&WRITES) {
            "" => {
                let patterns = self.one_of(&[PATTERNS, &[]]);
                self.allow(patterns);
            }
            action @ ("WriteAccessStatus" | "SetAccessFinalizers" | "Annotate") => {
                self.stage.kube.inject(trap.on(action));
            }
            action => self.stage.world.inject(trap.on(action)),
        }
    }

    fn allow(&mut self, patterns: &[&str]) {
        making_roles(&mut self.stage, patterns);
        self.stage.operator.restart();
    }

    /// Whatever happens, of the role of others nothing changes but what is attached to it by the operator.
    fn check_others(&self) {
        let Self { seed, .. } = self;
        let role = self.batch();
        assert!(role.boundary.is_none() && role.tags.is_empty(), "seed {seed}");
        assert!(role.trust.to_string().contains("ec2.amazonaws.com"), "seed {seed}");
        assert!(role.attached.contains(READ_ONLY), "seed {seed}");
    }

    /// Whether one of the `QueueAccess`es gives `permission`.
    fn is_given(&self, permission: &str, is_for_account: bool) -> bool {
        let of = NAMES.iter().filter(|(_, for_account)| *for_account == is_for_account);
        let mut all = of.filter_map(|(name, _)| self.stage.kube.access(&key(name)));
        all.any(|access| {
            serde_json::to_value(&access.spec.permissions)
                .unwrap()
                .as_array()
                .unwrap()
                .contains(&Value::from(permission))
        })
    }

    /// Exactly what is declared is allowed, to exactly those roles.
    fn check_end(&self, annotated: Option<&str>) {
        let Self { stage, seed, .. } = self;
        for (name, _) in NAMES {
            if let Some(access) = stage.kube.access(&key(name)) {
                assert!(access.metadata.deletion_timestamp.is_none(), "seed {seed}: {name} never goes");
                assert_eq!(
                    stage.access_ready(name),
                    "True/Granted",
                    "seed {seed}: {name} {}",
                    stage.access_words(name)
                );
            }
        }
        let batch = self.batch();
        let made: Vec<RoleView> = stage.world.roles().into_iter().filter(|role| role.arn != batch.arn).collect();
        let has_account = NAMES.iter().any(|(name, is_for)| *is_for && stage.kube.access(&key(name)).is_some());
        assert_eq!(made.len(), usize::from(has_account && annotated.is_none()), "seed {seed}: {made:?}");
        assert_eq!(stage.annotation(), annotated.map(str::to_owned).or(made.first().map(|role| role.arn.to_string())));
        for (action, permission) in [("sqs:SendMessage", "Send"), ("sqs:ReceiveMessage", "Consume")] {
            let to_account = self.is_given(permission, true);
            let of_batch = self.is_given(permission, false) || (annotated.is_some() && to_account);
            assert_eq!(stage.may(&batch, action, "media_images"), of_batch, "seed {seed}: {permission} of the role");
            for role in &made {
                assert_eq!(stage.may(role, action, "media_images"), to_account, "seed {seed}: {permission}");
                assert_eq!(role.boundary.as_deref(), Some(crate::stage::BOUNDARY), "seed {seed}");
            }
        }
    }
}

#[tokio::test]
async fn whatever_happens_in_the_end_roles_may_exactly_what_is_declared_and_nothing_is_left() {
    for seed in 0..24 {
        let timing = if seed % 3 == 0 { Timing::prompt() } else { Timing::aws() };
        let mut life = Life { stage: seeded(seed, timing).await, seed, from: "All" };
        life.stage.operator.lag = life.one_of(&[0, 1, 2]);
        life.stage.world.put_role(&RoleArn::parse(BATCH).unwrap(), &Tags::new(), &[READ_ONLY]);
        for _ in 0..40 {
            life.something_happens();
            let seconds = life.one_of(&[0, 1, 5, 40, 400]);
            life.stage.run(seconds).await;
            life.check_others();
        }
        life.stage.world.calm();
        life.stage.kube.calm();
        life.allow(PATTERNS);
        life.from = "All";
        let annotated = life.one_of(&[None, Some(BATCH)]);
        life.stage.kube.put_account(&key("web/resizer"), annotated);
        life.stage.run(400).await;
        life.apply();
        life.stage.run(3000).await;
        life.check_end(annotated);
        life.check_others();
        life.stage.assert_at_rest().await;

        for (name, _) in NAMES {
            life.stage.kube.delete_access(&key(name));
        }
        life.stage.run(1200).await;
        assert!(NAMES.iter().all(|(name, _)| life.stage.kube.access(&key(name)).is_none()), "seed {seed}");
        life.check_others();
        assert_eq!(life.batch().attached.len(), 1, "seed {seed}");
        assert_eq!(life.stage.world.roles().len(), 1, "seed {seed}");
        assert!(life.stage.world.policies().is_empty(), "seed {seed}: {:?}", life.stage.world.policies());
        assert_eq!(life.stage.annotation().as_deref(), annotated, "seed {seed}");
    }
}
