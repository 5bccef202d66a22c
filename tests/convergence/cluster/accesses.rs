//! What the API server does with a change of a `QueueAccess`, whoever asks for it.

use prism_queue::api::{QueueAccess, QueueAccessSpec, QueueAccessStatus};
use prism_queue::domain::fleet::Key;

use super::changes::{born, doom};
use super::{Kube, State};

impl Kube {
    /// Creates a `QueueAccess`.
    pub fn create_access(&self, key: &Key, spec: QueueAccessSpec) {
        let mut state = self.state();
        let (version, now) = (state.next(), state.world.now());
        assert!(!state.accesses.contains_key(key), "{key} exists");
        let access = QueueAccess {
            metadata: born(key, version, now),
            spec,
            // The CRD's default.
            status: Some(QueueAccessStatus { observed_generation: Some(-1), ..QueueAccessStatus::default() }),
        };
        state.put_access(key, access);
    }

    /// Replaces the spec of a `QueueAccess`.
    pub fn edit_access(&self, key: &Key, spec: QueueAccessSpec) {
        self.change_access(key, |access| {
            if access.spec != spec {
                access.spec = spec;
                access.metadata.generation = access.metadata.generation.map(|generation| generation + 1);
            }
        });
    }

    /// Asks for the deletion of a `QueueAccess`.
    pub fn delete_access(&self, key: &Key) {
        let now = self.state().world.now();
        self.change_access(key, |access| doom(&mut access.metadata, now));
    }

    /// A `QueueAccess` as it is.
    pub fn access(&self, key: &Key) -> Option<QueueAccess> {
        self.state().accesses.get(key).cloned()
    }

    /// Annotates a `QueueAccess`.
    pub fn annotate_access(&self, key: &Key, annotation: &str, value: &str) {
        self.change_access(key, |access| {
            let annotations = access.metadata.annotations.get_or_insert_default();
            annotations.insert(annotation.to_owned(), value.to_owned());
        });
    }

    /// Somebody takes every finalizer off a `QueueAccess` by hand.
    pub fn tear_off_access_finalizers(&self, key: &Key) {
        self.change_access(key, |access| access.metadata.finalizers = None);
    }

    /// The status is lost, as in a backup that has none.
    pub fn forget_access_status(&self, key: &Key) {
        self.change_access(key, |access| access.status = Some(QueueAccessStatus::default()));
    }

    /// Creates a `ServiceAccount`, or annotates the one that is there with `role_arn`, or with none.
    pub fn put_account(&self, key: &Key, role_arn: Option<&str>) {
        let mut state = self.state();
        let version = state.next();
        state.accounts.insert(key.clone(), (role_arn.map(str::to_owned), version));
    }

    /// Deletes a `ServiceAccount`.
    pub fn delete_account(&self, key: &Key) {
        self.state().accounts.remove(key);
    }

    /// The role that a `ServiceAccount` is annotated with.
    pub fn role_of(&self, key: &Key) -> Option<String> {
        self.state().accounts.get(key).and_then(|(role_arn, _)| role_arn.clone())
    }

    fn change_access(&self, key: &Key, change: impl FnOnce(&mut QueueAccess)) {
        let mut state = self.state();
        let Some(mut access) = state.accesses.get(key).cloned() else { return };
        change(&mut access);
        state.put_access(key, access);
    }
}

impl State {
    /// As [`State::put`].
    pub(super) fn put_access(&mut self, key: &Key, mut access: QueueAccess) -> QueueAccess {
        if self.accesses.get(key) == Some(&access) {
            return access;
        }
        access.metadata.resource_version = Some(self.next().to_string());
        let is_held = access.metadata.finalizers.iter().flatten().next().is_some();
        if access.metadata.deletion_timestamp.is_some() && !is_held {
            self.accesses.remove(key);
            self.access_changes.push((key.clone(), None));
            self.collect_garbage(access.metadata.uid.as_deref());
        } else {
            self.accesses.insert(key.clone(), access.clone());
            self.access_changes.push((key.clone(), Some(access.clone())));
        }
        access
    }
}
