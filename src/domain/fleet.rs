//! All Queues side by side: who claims which name, and who is whose dead-letter queue.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::Queue;
use crate::api::queue::{DeadLetterMode, ManagementPolicy, QueueType, RedriveAllowMode};

use super::access::{Grant, Subject, allows_namespace, in_turn};
use super::arn::Place;
use super::class::Class;
use super::names::QueueName;
use super::redrive::MAX_SOURCES;
use super::settings::{Names, effective};

/// The namespace and name of a Queue, or of another object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// Of an object as the API server gave it.
    #[must_use]
    pub fn of(queue: &Queue) -> Self {
        Self::of_metadata(&queue.metadata)
    }

    /// Of an object of any kind.
    #[must_use]
    pub fn of_metadata(metadata: &ObjectMeta) -> Self {
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What others need to know of a Queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Which Queue.
    pub key: Key,
    /// Standard or FIFO.
    pub queue_type: QueueType,
    /// Where its queue lives, there or not.
    pub place: Place,
    /// The ARN of its queue, there or not.
    pub arn: String,
    /// Seconds that its queue is to keep a message; `None` when the spec breaks a rule.
    pub retention_seconds: Option<i64>,
    /// The KMS key that its queue is to be encrypted with.
    pub kms_key: Option<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether its queue was there and proved to be its own when last seen.
    pub exists: bool,
    /// The sources that its queue is to allow, by its last status; `None`: all, or there is no status yet.
    pub allows: Option<BTreeSet<String>>,
    /// The older object wins.
    seniority: Seniority,
    /// The ARNs of its names: a name is taken in one account and region only.
    claims: Vec<String>,
    managed_dead_letter_arn: Option<String>,
    /// What its `redriveAllow` lists, and whether sources found are added.
    listed_sources: Vec<String>,
    adds_found_sources: bool,
    /// By spec.
    uses: Option<Use>,
    /// The ARN of the dead-letter queue that its queue names in AWS, as last read.
    wired_to: Option<String>,
}

/// The dead-letter queue that a Queue names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Queue(Key),
    Arn(String),
}

/// By what Queues find each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Link {
    /// Claims the name in AWS of this ARN.
    Claims(String),
    /// Has, or is to have, the queue of this ARN.
    Has(String),
    /// Has the managed dead-letter queue of this ARN.
    Manages(String),
    /// Is to use this dead-letter queue.
    Uses(Use),
    /// Has a queue that uses the dead-letter queue of this ARN.
    WiredTo(String),
}

/// All Queues that the operator sees, or those that matter to one of them.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    members: BTreeMap<Key, Arc<Member>>,
    links: BTreeMap<Link, BTreeSet<Key>>,
    grants: BTreeMap<Key, Arc<Grant>>,
    /// The grants that point to a Queue, the oldest first.
    granted: BTreeMap<Key, BTreeSet<(Seniority, Key)>>,
    /// The grants of a subject of a namespace, the oldest first.
    subjects: BTreeMap<(String, Subject), BTreeSet<(Seniority, Key)>>,
}

/// The older object comes first, then the smaller UID.
pub type Seniority = (Option<Timestamp>, String);

/// More grants on one Queue than this, of namespaces that it allows, are not looked at: SQS has room for fewer, and nobody's number of objects may keep the
/// others waiting.
pub const MOST_GRANTS: usize = 200;

impl Fleet {
    /// The Queues of one class as they are now.
    pub fn of<'a>(queues: impl IntoIterator<Item = &'a Queue>, class: &Class) -> Self {
        let mut fleet = Self::default();
        for queue in queues {
            fleet.put(queue, class);
        }
        fleet
    }

    /// Takes in a Queue, or its newer version. Answers which others may have to decide anew; nothing when what others need
    /// to know of it has not changed. A Queue without a class is still known by where its queue lives.
    pub fn put<'a>(&mut self, queue: &Queue, class: impl Into<Option<&'a Class>>) -> Option<BTreeSet<Key>> {
        let Some(member) = Member::of(queue, class.into()) else {
            return self.remove(&Key::of(queue));
        };
        if self.members.get(&member.key).is_some_and(|before| **before == member) {
            return None;
        }
        let key = member.key.clone();
        let mut affected = self.neighbours(&key);
        self.insert(Arc::new(member));
        affected.append(&mut self.neighbours(&key));
        Some(affected)
    }

    /// Forgets a Queue. Answers which others may have to decide anew; nothing when it was not known.
    pub fn remove(&mut self, key: &Key) -> Option<BTreeSet<Key>> {
        let affected = self.neighbours(key);
        self.take_out(key).map(|_| affected)
    }

    /// What decisions about `queue`, in this version, depend on: the Queue itself, those that claim a name of its, those
    /// that use its queue, the way along its dead-letter queues, who else uses the first of them, and the first of the
    /// grants of namespaces that it allows.
    #[must_use]
    pub fn around(&self, queue: &Queue, class: &Class) -> Self {
        let mut near = Self::default();
        let Some(me) = Member::of(queue, Some(class)).map(Arc::new) else {
            return near;
        };
        let named = match &me.uses {
            Some(Use::Arn(arn)) => vec![Link::Has(arn.clone()), Link::Manages(arn.clone())],
            _ => Vec::new(),
        };
        let claims = me.claims.iter().cloned().map(Link::Claims);
        let links: Vec<Link> = claims.chain(named).collect();
        let mut found: Vec<&Member> = links.iter().flat_map(|link| self.linked(link)).chain(self.users(&me)).collect();
        let mut at = self.used_by(&me);
        found.extend(at.into_iter().flat_map(|dead_letter| self.users(dead_letter)));
        let mut way: BTreeSet<&Key> = BTreeSet::new();
        while let Some(dead_letter) = at.filter(|dead_letter| way.insert(&dead_letter.key)) {
            found.push(dead_letter);
            at = self.used_by(dead_letter);
        }
        let keys: BTreeSet<&Key> = found.into_iter().map(|member| &member.key).collect();
        for member in keys.into_iter().filter_map(|key| self.members.get(key)) {
            near.insert(member.clone());
        }
        // Who is not allowed takes no place of those who are.
        let may_enter = |grant: &&Arc<Grant>| {
            !grant.deleting && allows_namespace(queue, &grant.key.namespace, grant.labels.as_ref())
        };
        for grant in in_turn(queue, self.principals_on(&me.key).filter(may_enter)).into_iter().take(MOST_GRANTS) {
            near.insert_grant(grant.clone());
        }
        near.insert(me);
        near
    }

    /// Takes in a `QueueAccess`, or its newer version. Answers which Queues may have to decide anew; nothing when what they
    /// need to know of it has not changed.
    pub fn put_grant(&mut self, grant: Grant) -> Option<BTreeSet<Key>> {
        let before = self.grants.get(&grant.key);
        if before.is_some_and(|before| **before == grant) {
            return None;
        }
        let affected = before.map(|before| before.queue.clone()).into_iter().chain([grant.queue.clone()]).collect();
        self.remove_grant(&grant.key.clone());
        self.insert_grant(Arc::new(grant));
        Some(affected)
    }

    /// Forgets a `QueueAccess`. Answers which Queue may have to decide anew.
    pub fn remove_grant(&mut self, key: &Key) -> Option<Key> {
        let grant = self.grants.remove(key)?;
        let entry = (grant.seniority().clone(), key.clone());
        take(&mut self.granted, &grant.queue, &entry);
        take(&mut self.subjects, &(key.namespace.clone(), grant.subject.clone()), &entry);
        Some(grant.queue.clone())
    }

    /// The `QueueAccess` of this name.
    #[must_use]
    pub fn grant(&self, key: &Key) -> Option<&Grant> {
        self.grants.get(key).map(AsRef::as_ref)
    }

    /// The `QueueAccess`es known.
    pub fn grant_keys(&self) -> impl Iterator<Item = &Key> {
        self.grants.keys()
    }

    /// The grants that point to the Queue `key`, there or not, the oldest first.
    pub fn grants_on(&self, key: &Key) -> impl Iterator<Item = &Arc<Grant>> {
        self.granted.get(key).into_iter().flatten().filter_map(|(_, key)| self.grants.get(key))
    }

    /// Those of them that the Queue's policy is to name.
    pub fn principals_on(&self, key: &Key) -> impl Iterator<Item = &Arc<Grant>> {
        self.grants_on(key).filter(|grant| grant.subject.principal_arn().is_some())
    }

    /// The `QueueAccess`es of `namespace` for `subject`, the oldest first.
    pub fn grants_of(&self, namespace: &str, subject: &Subject) -> impl Iterator<Item = &Arc<Grant>> {
        let keys = self.subjects.get(&(namespace.to_owned(), subject.clone()));
        keys.into_iter().flatten().filter_map(|(_, key)| self.grants.get(key))
    }

    fn insert_grant(&mut self, grant: Arc<Grant>) {
        let entry = (grant.seniority().clone(), grant.key.clone());
        let subject = (grant.key.namespace.clone(), grant.subject.clone());
        self.granted.entry(grant.queue.clone()).or_default().insert(entry.clone());
        self.subjects.entry(subject).or_default().insert(entry);
        self.grants.insert(grant.key.clone(), grant);
    }

    fn insert(&mut self, member: Arc<Member>) {
        self.take_out(&member.key);
        for link in member.links() {
            self.links.entry(link).or_default().insert(member.key.clone());
        }
        self.members.insert(member.key.clone(), member);
    }

    fn take_out(&mut self, key: &Key) -> Option<Arc<Member>> {
        let member = self.members.remove(key)?;
        for link in member.links() {
            take(&mut self.links, &link, key);
        }
        Some(member)
    }

    fn linked(&self, link: &Link) -> impl Iterator<Item = &Member> {
        self.links.get(link).into_iter().flatten().filter_map(|key| self.get(key))
    }

    /// The Queues known.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.members.keys()
    }

    /// The Queue of this name.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Member> {
        self.members.get(key).map(AsRef::as_ref)
    }

    /// Another Queue that claims one of `key`'s names with the better right: the older, then the smaller UID. It
    /// counts only while no queue exists; then the owner tags say whose it is.
    #[must_use]
    pub fn rival(&self, key: &Key, name: &QueueName) -> Option<&Member> {
        let me = self.members.get(key)?;
        self.linked(&Link::Claims(me.place.queue_arn(name).to_string()))
            .filter(|other| other.key != *key && other.seniority < me.seniority)
            .min_by(|a, b| a.seniority.cmp(&b.seniority))
    }

    /// The Queue whose managed dead-letter queue has this ARN: proved to be, not merely claimed.
    #[must_use]
    pub fn manager_of(&self, arn: &str) -> Option<&Member> {
        self.linked(&Link::Manages(arn.to_owned())).next()
    }

    /// The sources that the queue of `key` is to allow: those it lists, then those found among the Queues of its
    /// namespace, the oldest first, those being deleted last, ten in all.
    #[must_use]
    pub fn allowed_sources(&self, key: &Key) -> BTreeSet<String> {
        let Some(me) = self.members.get(key) else {
            return BTreeSet::new();
        };
        let mut allowed: BTreeSet<String> = me.listed_sources.iter().cloned().collect();
        if me.adds_found_sources {
            for source in self.sources(me) {
                if allowed.len() >= MAX_SOURCES {
                    break;
                }
                allowed.insert(source.arn.clone());
            }
        }
        allowed
    }

    /// Whether the queue of `key` adds the sources it finds and has no room left for `source_arn`.
    #[must_use]
    pub fn is_crowded_out(&self, key: &Key, source_arn: &str) -> bool {
        let Some(me) = self.members.get(key) else {
            return false;
        };
        let allowed = self.allowed_sources(key);
        me.adds_found_sources && allowed.len() >= MAX_SOURCES && !allowed.contains(source_arn)
    }

    /// The Queues that use the queue of `key` as their dead-letter queue, as they may, and are not being deleted.
    #[must_use]
    pub fn live_sources(&self, key: &Key) -> Vec<&Key> {
        let Some(me) = self.members.get(key) else {
            return Vec::new();
        };
        let is_let_in = |source: &&Member| source.is_beside(me) || me.listed_sources.contains(&source.arn);
        self.users(me).filter(|source| !source.deleting).filter(is_let_in).map(|source| &source.key).collect()
    }

    /// The way from `key` along its dead-letter queues back to itself, if there is one.
    #[must_use]
    pub fn cycle(&self, key: &Key) -> Option<Vec<&Key>> {
        let mut way: Vec<&Key> = Vec::new();
        let mut at = self.get(key)?;
        loop {
            way.push(&at.key);
            at = self.used_by(at)?;
            if at.key == *key {
                way.push(&at.key);
                return Some(way);
            }
            if way.contains(&&at.key) {
                return None; // A cycle further on; it is refused there.
            }
        }
    }

    /// The Queue whose queue the Queue `key` names as its dead-letter queue, by name or by ARN.
    #[must_use]
    pub fn dead_letter_of(&self, key: &Key) -> Option<&Member> {
        self.used_by(self.get(key)?)
    }

    /// The Queues whose decisions depend on the Queue `key`: its dead-letter queue, those that use it as theirs, and
    /// those that claim a name of its.
    #[must_use]
    pub fn neighbours(&self, key: &Key) -> BTreeSet<Key> {
        let Some(me) = self.members.get(key) else {
            return BTreeSet::new();
        };
        let claims = me.claims.iter().cloned().map(Link::Claims);
        let links: Vec<Link> = claims.chain(me.wired_to.clone().map(Link::Has)).collect();
        let others = links.iter().flat_map(|link| self.linked(link));
        let others = others.chain(self.users(me)).chain(self.used_by(me));
        let mut keys: BTreeSet<Key> = others.map(|member| member.key.clone()).collect();
        keys.remove(key);
        keys
    }

    fn used_by(&self, member: &Member) -> Option<&Member> {
        match member.uses.as_ref()? {
            Use::Queue(key) => self.get(key),
            // Of several that claim it, the one that has it.
            Use::Arn(arn) => self
                .linked(&Link::Has(arn.clone()))
                .filter(|other| other.is_claimant())
                .max_by_key(|other| other.exists),
        }
    }

    /// Who uses the queue of `me`, by spec or still in AWS: a source that is to use another one keeps this one until it
    /// has let go of it.
    fn users(&self, me: &Member) -> impl Iterator<Item = &Member> {
        let links = [
            Link::Uses(Use::Queue(me.key.clone())),
            Link::Uses(Use::Arn(me.arn.clone())),
            Link::WiredTo(me.arn.clone()),
        ];
        let keys: BTreeSet<&Key> = links.iter().filter_map(|link| self.links.get(link)).flatten().collect();
        keys.into_iter().filter_map(|key| self.get(key))
    }

    /// Who uses the queue of `me` and is let in without being listed: Queues of its namespace, type and place.
    fn sources(&self, me: &Member) -> Vec<&Member> {
        let mut sources: Vec<&Member> = self.users(me).filter(|other| other.is_beside(me)).collect();
        // Who is in stays in, even when an older Queue comes to use this one later.
        let is_out = |source: &Member| me.allows.as_ref().is_some_and(|allows| !allows.contains(&source.arn));
        sources.sort_by_key(|source| (source.deleting, is_out(source), source.seniority.clone()));
        sources
    }
}

impl Member {
    /// Whether it claims the names of its queues; who only observes does not.
    fn is_claimant(&self) -> bool {
        !self.claims.is_empty()
    }

    /// Whether it may use the queue of `other` without being listed there.
    fn is_beside(&self, other: &Self) -> bool {
        self.key.namespace == other.key.namespace && self.queue_type == other.queue_type && self.place == other.place
    }

    fn links(&self) -> impl Iterator<Item = Link> {
        let claims = self.claims.iter().cloned().map(Link::Claims);
        let others = [
            Some(Link::Has(self.arn.clone())),
            self.managed_dead_letter_arn.clone().map(Link::Manages),
            self.uses.clone().map(Link::Uses),
            self.wired_to.clone().map(Link::WiredTo),
        ];
        claims.chain(others.into_iter().flatten())
    }

    /// `None` for a Queue without a valid name, or with one that its class does not allow, or without a class, as long as no
    /// queue is on record; it is refused where it is reconciled.
    fn of(queue: &Queue, class: Option<&Class>) -> Option<Self> {
        let key = Key::of(queue);
        let spec = &class.map_or_else(|| queue.spec.clone(), |class| class.spec_of(queue));
        let target = queue.status.as_ref().and_then(|status| status.target.as_ref());
        let is_allowed = |class: &&Class| class.limits.check_names(spec, &key.namespace).is_empty();
        let names = class.filter(is_allowed).and_then(|class| Names::of(queue, class).ok());
        // Where the queue lives is on record; flags may point elsewhere by now.
        let (place, name) = match target {
            Some(target) => (target.place(), QueueName::parse(&target.queue_name).ok()?),
            None => (class?.place.clone(), names.as_ref()?.queue.clone()),
        };
        let managed = names.and_then(|names| names.dead_letter);
        let observes = spec.management_policy == Some(ManagementPolicy::Observe);
        let status = queue.status.as_ref();
        let reference = spec.dead_letter.as_ref().and_then(|dead_letter| {
            let reference =
                dead_letter.reference.as_ref().filter(|_| dead_letter.mode == Some(DeadLetterMode::Reference))?;
            match (&reference.queue_ref, &reference.queue_arn) {
                (Some(to), _) => Some(Use::Queue(Key { namespace: key.namespace.clone(), name: to.name.clone() })),
                (None, Some(arn)) => Some(Use::Arn(arn.clone())),
                (None, None) => None,
            }
        });
        let allow = spec.redrive_allow.as_ref();
        let mode = allow.and_then(|allow| allow.mode).unwrap_or(RedriveAllowMode::Auto);
        let on_record = status.and_then(|status| status.effective.as_ref()).filter(|_| !observes);
        let allows = on_record.and_then(|on_record| {
            (on_record.redrive_allow.mode != RedriveAllowMode::AllowAll)
                .then(|| on_record.redrive_allow.source_queue_arns.iter().cloned().collect())
        });
        let wired_to = status.and_then(|status| Some(status.dead_letter.as_ref()?.queue_arn.clone()));
        let recorded = target.and_then(|target| QueueName::parse(target.dead_letter_queue_name.as_ref()?).ok());
        let recorded = recorded.map(|name| place.queue_arn(&name).to_string());
        let names_claimed = std::iter::once(&name).chain(&managed);
        let settings = effective(spec).ok();
        Some(Self {
            queue_type: spec.queue_type,
            arn: place.queue_arn(&name).to_string(),
            retention_seconds: settings.as_ref().map(|settings| settings.message_retention_seconds),
            kms_key: settings.and_then(|settings| settings.encryption.key),
            deleting: queue.metadata.deletion_timestamp.is_some(),
            exists: status.is_some_and(|status| status.queue_url.is_some()),
            allows,
            seniority: (
                queue.metadata.creation_timestamp.as_ref().map(|time| time.0),
                queue.metadata.uid.clone().unwrap_or_default(),
            ),
            managed_dead_letter_arn: recorded.filter(|arn| !observes && wired_to.as_ref() == Some(arn)),
            claims: if observes {
                Vec::new()
            } else {
                names_claimed.map(|name| place.queue_arn(name).to_string()).collect()
            },
            listed_sources: allow.and_then(|allow| allow.source_queue_arns.clone()).unwrap_or_default(),
            adds_found_sources: mode == RedriveAllowMode::Auto,
            uses: reference,
            wired_to,
            key,
            place,
        })
    }
}

/// Takes `entry` out of the set at `key`, and an empty set with it.
fn take<K: Ord, E: Ord>(sets: &mut BTreeMap<K, BTreeSet<E>>, key: &K, entry: &E) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(entry);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}
