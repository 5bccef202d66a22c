//! Random lives of a few `QueueAccess`es and of what they depend on, with crashes, caches that lag and the delays of AWS.

use serde_json::{Value, json};

use crate::model::{Fault, Timing, Trap};
use crate::stage::{Stage, key};

const QUEUE: &str = "media/images";
const PRINCIPALS: [&str; 3] =
    ["arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:role/b", "arn:aws:iam::123456789012:role/c"];

/// The `QueueAccess`es, each with its principal: some share one.
const NAMES: [(&str, &str); 5] = [
    ("media/a", PRINCIPALS[0]),
    ("media/b", PRINCIPALS[1]),
    ("web/c", PRINCIPALS[2]),
    ("web/a", PRINCIPALS[0]),
    ("media/c", PRINCIPALS[2]),
];
const PERMISSIONS: [&[&str]; 4] = [&["Send"], &["Consume"], &["Inspect"], &["Send", "Redrive"]];

struct Life {
    stage: Stage,
    /// The Queue's spec.
    queue: Value,
}

impl Life {
    fn one_of<T: Copy>(&self, all: &[T]) -> T {
        all[self.stage.kube.draw(all.len() - 1)]
    }

    fn is_going(&self) -> bool {
        let queue = self.stage.kube.queue(&key(QUEUE));
        queue.is_none_or(|queue| queue.metadata.deletion_timestamp.is_some())
    }

    fn apply(&self) {
        if !self.stage.is_gone(QUEUE) {
            self.stage.apply(QUEUE, self.queue.clone());
        }
    }

    fn something_happens(&mut self) {
        let (name, principal) = self.one_of(&NAMES);
        match self.stage.kube.draw(11) {
            0..=3 => {
                let access = self.stage.kube.access(&key(name));
                if access.is_none_or(|access| access.metadata.deletion_timestamp.is_none()) {
                    let to = json!({
                        "queueRef": {"name": "images", "namespace": "media"},
                        "permissions": self.one_of(&PERMISSIONS),
                        "subject": {"principalArn": principal},
                    });
                    self.stage.grant(name, to);
                }
            }
            4 => self.stage.kube.delete_access(&key(name)),
            5 => self.queue["access"]["allowedNamespaces"]["from"] = json!(self.one_of(&["None", "All"])),
            // Suspended, a deletion lets go of the queue with those who are in.
            6 => self.queue["suspend"] = json!(!self.is_going() && self.one_of(&[true, false])),
            7 => self.queue["deadLetter"]["mode"] = json!(self.one_of(&["None", "Managed"])),
            8 => self.stage.world.delete_principal(self.one_of(&PRINCIPALS)),
            9 => self.stage.world.create_principal(self.one_of(&PRINCIPALS)),
            10 => self.trouble(),
            _ if self.stage.is_gone(QUEUE) => self.stage.apply(QUEUE, self.queue.clone()),
            _ if self.queue["suspend"] != true && self.one_of(&[true, false]) => self.stage.delete(QUEUE),
            _ => {}
        }
        self.apply();
    }

    fn trouble(&mut self) {
        let trap = Trap::new(self.one_of(&[Fault::CrashBefore, Fault::CrashAfter, Fault::LoseAnswer]));
        match self.one_of(&["SetQueueAttributes", "WriteStatus", "SetAccessFinalizers", "WriteAccessStatus", ""]) {
            "" => self.stage.operator.restart(),
            "SetQueueAttributes" => self.stage.world.inject(trap.on("SetQueueAttributes")),
            action => self.stage.kube.inject(trap.on(action)),
        }
    }

    fn is_in(&self, queue: &str, principal: &str) -> bool {
        self.stage.has(queue) && self.stage.lets_in(queue, principal)
    }

    /// Who is in is on record.
    fn check_record(&self, seed: u64) {
        let Some(queue) = self.stage.kube.queue(&key(QUEUE)) else { return };
        let grants = queue.status.unwrap_or_default().grants;
        for principal in PRINCIPALS {
            let names = || NAMES.iter().filter(|(_, of)| *of == principal).map(|(name, _)| key(name));
            let is_listed = grants
                .iter()
                .any(|entry| names().any(|key| (&key.namespace, &key.name) == (&entry.namespace, &entry.name)));
            let is_in = ["media_images", "media_images_dlq"].iter().any(|queue| self.is_in(queue, principal));
            assert!(!is_in || is_listed, "seed {seed}: {principal} is in and not on record");
        }
    }

    /// Exactly those are in who should be, and each says so.
    fn check_end(&self, seed: u64) {
        let stage = &self.stage;
        assert_eq!(stage.ready(QUEUE), "True/Converged", "seed {seed}");
        for principal in PRINCIPALS {
            let mut wanted = [false; 2];
            for (name, _) in NAMES.iter().filter(|(_, of)| *of == principal) {
                let Some(access) = stage.kube.access(&key(name)) else { continue };
                assert!(access.metadata.deletion_timestamp.is_none(), "seed {seed}: {name} never goes");
                let permissions = serde_json::to_string(&access.spec.permissions).unwrap();
                let has = |permission: &str| permissions.contains(permission);
                let is_about_dead_letters = has("Inspect") || has("Redrive");
                let is_allowed =
                    name.starts_with("media/") || self.queue["access"]["allowedNamespaces"]["from"] == "All";
                let is_good = is_allowed && !(is_about_dead_letters && self.queue["deadLetter"]["mode"] == "None");
                let (ready, words) = (stage.access_ready(name), stage.access_words(name));
                assert_eq!(ready == "True/Granted", is_good, "seed {seed}: {name} {ready} {words}");
                wanted[0] |= is_good && !has("Inspect");
                wanted[1] |= is_good && is_about_dead_letters;
            }
            let are_in = ["media_images", "media_images_dlq"].map(|queue| self.is_in(queue, principal));
            assert_eq!(are_in, wanted, "seed {seed}: {principal}");
        }
    }
}

#[tokio::test]
async fn whatever_happens_who_is_in_is_on_record_and_in_the_end_exactly_those_are_in_who_are_allowed() {
    for seed in 0..16 {
        let timing = if seed % 2 == 0 { Timing::prompt() } else { Timing::aws() };
        let mut life = Life { stage: Stage::new(seed, timing), queue: json!({}) };
        life.stage.operator.lag = life.one_of(&[0, 1, 2]);
        for principal in PRINCIPALS {
            life.stage.world.create_principal(principal);
        }
        life.stage.applied(QUEUE, life.queue.clone()).await;
        for _ in 0..40 {
            life.something_happens();
            let seconds = life.one_of(&[0, 1, 5, 40, 400]);
            life.stage.run(seconds).await;
            life.check_record(seed);
        }
        life.stage.world.calm();
        life.stage.kube.calm();
        for principal in PRINCIPALS {
            life.stage.world.create_principal(principal);
        }
        life.stage.run(400).await;
        life.queue["suspend"] = json!(false);
        life.stage.applied(QUEUE, life.queue.clone()).await;
        life.stage.run(2400).await;
        life.check_end(seed);
    }
}
