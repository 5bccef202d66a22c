//! All classes side by side: which one a Queue is of.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::class::{AllowedNamespaces, NamespacesFrom, QueueClass, QueueClassSpec};
use crate::api::conditions::Reason;
use crate::api::{IS_DEFAULT_CLASS, Queue};

use super::super::desired::Refusal;
use super::super::field::FieldError;
use super::super::fleet::Key;
use super::{Class, FLAGS, Labels, selector};

/// Where a Queue names its class.
const PATH: &str = "spec.queueClassName";

/// The classes and namespaces that the operator sees, and the flags that stand in for a class.
#[derive(Clone, Debug)]
pub struct Catalog {
    built_in: Class,
    classes: BTreeMap<String, QueueClass>,
    namespaces: BTreeMap<String, Labels>,
    /// Classes that are there and cannot be read by this version; nobody may take them for gone.
    unreadable: BTreeSet<String>,
}

impl Catalog {
    /// No classes but the operator's flags.
    #[must_use]
    pub fn new(built_in: Class) -> Self {
        Self { built_in, classes: BTreeMap::new(), namespaces: BTreeMap::new(), unreadable: BTreeSet::new() }
    }

    /// The operator's flags.
    #[must_use]
    pub fn built_in(&self) -> &Class {
        &self.built_in
    }

    /// Whether the class of this name is there and marked as the default.
    #[must_use]
    pub fn is_default(&self, name: &str) -> bool {
        self.classes.get(name).is_some_and(is_default)
    }

    /// All classes that can be read.
    pub fn all(&self) -> impl Iterator<Item = &QueueClass> {
        self.classes.iter().filter(|(name, _)| !self.unreadable.contains(*name)).map(|(_, class)| class)
    }

    /// Takes in a class of which only the metadata can be read. Answers whether Queues may have to decide anew.
    pub fn put_unreadable(&mut self, metadata: ObjectMeta) -> bool {
        let name = metadata.name.clone().unwrap_or_default();
        self.classes.insert(name.clone(), QueueClass { metadata, spec: QueueClassSpec::default(), status: None });
        self.unreadable.insert(name)
    }

    /// The class of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&QueueClass> {
        self.classes.get(name)
    }

    /// Takes in a class, or its newer version. Answers whether Queues may have to decide anew.
    pub fn put_class(&mut self, class: QueueClass) -> bool {
        let name = class.metadata.name.clone().unwrap_or_default();
        let was_unreadable = self.unreadable.remove(&name);
        let news = (class.spec.clone(), is_default(&class));
        let before = self.classes.insert(name, class);
        was_unreadable || before.is_none_or(|before| (before.spec.clone(), is_default(&before)) != news)
    }

    /// Forgets a class. Answers whether it was known.
    pub fn remove_class(&mut self, name: &str) -> bool {
        self.unreadable.remove(name);
        self.classes.remove(name).is_some()
    }

    /// Forgets the classes that are not among `names`: they were deleted while the watch was down. Answers whether any was.
    pub fn keep_classes(&mut self, names: &BTreeSet<String>) -> bool {
        let before = self.classes.len();
        self.classes.retain(|name, _| names.contains(name));
        self.unreadable.retain(|name| names.contains(name));
        self.classes.len() != before
    }

    /// Takes in the labels of a namespace. Answers whether its Queues may have to decide anew.
    pub fn put_namespace(&mut self, name: &str, labels: Labels) -> bool {
        let news = labels.clone();
        self.namespaces.insert(name.to_owned(), labels).is_none_or(|before| before != news)
    }

    /// The labels of a namespace, when they are known.
    #[must_use]
    pub fn labels_of(&self, namespace: &str) -> Option<&Labels> {
        self.namespaces.get(namespace)
    }

    /// Forgets a namespace.
    pub fn remove_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    /// Forgets the namespaces that are not among `names`: they were deleted while the watch was down.
    pub fn keep_namespaces(&mut self, names: &BTreeSet<String>) {
        self.namespaces.retain(|name, _| names.contains(name));
    }

    /// The class of this name, whosever Queues are of it; `None` when it is not there or cannot be used.
    #[must_use]
    pub fn class_named(&self, name: &str) -> Option<Class> {
        if name == FLAGS {
            return Some(self.built_in.clone());
        }
        let object = self.classes.get(name).filter(|_| !self.unreadable.contains(name))?;
        Class::of(object, &self.built_in, &Labels::new()).ok()
    }

    /// The class of `queue`: see [`Catalog::object_for`], or the operator's flags.
    ///
    /// # Errors
    /// Why it has none, with what is waited for or to be mended.
    pub fn class_for(&self, queue: &Queue) -> Result<Class, Refusal> {
        let Some(object) = self.object_for(queue)? else {
            return Ok(self.built_in.clone());
        };
        let none = Labels::new();
        let labels = self.namespaces.get(&Key::of(queue).namespace).unwrap_or(&none);
        Class::of(object, &self.built_in, labels).map_err(|fault| {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            refusal(Reason::ClassNotFound, format!("class {name:?} cannot be used: {fault}"))
        })
    }

    /// The object that says what class `queue` is of: the one that it names, else the one marked as the default, else none:
    /// the operator's flags. What a class allows by now does not keep a Queue from being deleted.
    ///
    /// # Errors
    /// Why it has none, with what is waited for or to be mended.
    pub fn object_for(&self, queue: &Queue) -> Result<Option<&QueueClass>, Refusal> {
        let Some(object) = self.choose(queue)? else {
            return Ok(None);
        };
        let name = object.metadata.name.as_deref().unwrap_or_default();
        if self.unreadable.contains(name) {
            let why = format!("class {name:?} cannot be read by this version of the operator");
            return Err(refusal(Reason::ClassNotFound, why));
        }
        if queue.metadata.deletion_timestamp.is_some() {
            return Ok(Some(object));
        }
        self.refuses_namespace_of(queue, object).map_or(Ok(Some(object)), Err)
    }

    /// Why the class `object` is not for the namespace of `queue`; nothing when it is.
    fn refuses_namespace_of(&self, queue: &Queue, object: &QueueClass) -> Option<Refusal> {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let namespace = Key::of(queue).namespace;
        let labels = self.namespaces.get(&namespace);
        let needs_labels =
            object.spec.allowed_namespaces.selector.is_some() || object.spec.tags_from_namespace_labels.is_some();
        if needs_labels && labels.is_none() {
            let why =
                format!("class {name:?} depends on the labels of the namespace {namespace}, which are not known yet");
            return Some(refusal(Reason::ClassNotFound, why));
        }
        let none = Labels::new();
        let rule = refuses(&object.spec.allowed_namespaces, &namespace, labels.unwrap_or(&none))?;
        let why = format!("class {name:?} is not for the namespace {namespace}: {rule}");
        Some(Refusal::of(vec![FieldError::of_class(PATH, why)]))
    }

    /// `None`: the operator's flags.
    ///
    /// A Queue that is being deleted is of the class that it would have alive, if it could live under that class and its
    /// queue is in that class's place: the rules of today hold. Else it is of the class under which its queue was made; where
    /// that is gone, nobody may say what becomes of the queue.
    fn choose(&self, queue: &Queue) -> Result<Option<&QueueClass>, Refusal> {
        let alive = self.choose_alive(queue);
        let target = queue.status.as_ref().and_then(|status| status.target.as_ref());
        let Some(target) = target.filter(|_| queue.metadata.deletion_timestamp.is_some()) else {
            return alive;
        };
        let is_there = |class: Option<&QueueClass>| {
            let place = class.map_or_else(|| self.built_in.place.clone(), |class| class.spec.aws.place());
            place == target.place()
        };
        let recorded = &target.queue_class_name;
        // Deleting must be no way into a class that is not for the namespace. Its own it keeps: there must be a way out.
        let could_live = |class: Option<&QueueClass>| {
            class.is_none_or(|class| {
                class.metadata.name.as_ref() == Some(recorded) || self.refuses_namespace_of(queue, class).is_none()
            })
        };
        match (&alive, self.classes.get(recorded)) {
            (Ok(class), _) if is_there(*class) && could_live(*class) => alive,
            (_, Some(recorded)) => Ok(Some(recorded)),
            (_, None) if recorded == FLAGS => Ok(None),
            (Ok(class), None) if queue.spec.queue_class_name.is_some() && could_live(*class) => alive,
            (_, None) => Err(gone(recorded)),
        }
    }

    fn choose_alive(&self, queue: &Queue) -> Result<Option<&QueueClass>, Refusal> {
        let target = queue.status.as_ref().and_then(|status| status.target.as_ref());
        let recorded = target.map(|target| target.queue_class_name.as_str());
        if let Some(name) = &queue.spec.queue_class_name {
            let missing =
                || refusal(Reason::ClassNotFound, format!("there is no QueueClass {name:?}; it is waited for"));
            return self.classes.get(name).map(Some).ok_or_else(missing);
        }
        let marked: Vec<(&String, &QueueClass)> = self.classes.iter().filter(|(_, class)| is_default(class)).collect();
        // Of several, whoever has one keeps it.
        let mine = marked.iter().find(|(name, _)| marked.len() == 1 || recorded == Some(name.as_str()));
        match (mine, recorded) {
            (Some((_, class)), _) => Ok(Some(class)),
            // A mark that was taken away gives nobody to the flags.
            (None, Some(name)) if marked.is_empty() && name != FLAGS => {
                self.classes.get(name).map(Some).ok_or_else(|| gone(name))
            }
            (None, _) if marked.is_empty() => Ok(None),
            (None, _) => {
                let names: Vec<&str> = marked.iter().map(|(name, _)| name.as_str()).collect();
                let why = format!(
                    "is omitted, and more than one QueueClass is marked as the default ({IS_DEFAULT_CLASS}): {}; name one here, or leave the mark on one of them",
                    names.join(", ")
                );
                Err(refusal(Reason::SeveralDefaultClasses, why))
            }
        }
    }
}

/// The class under which a Queue's queue was made is not there.
fn gone(name: &str) -> Refusal {
    let why =
        format!("the QueueClass {name:?}, under which the queue was made, is gone; it is waited for, or name another");
    refusal(Reason::ClassNotFound, why)
}

fn refusal(reason: Reason, why: String) -> Refusal {
    Refusal { reason, errors: vec![FieldError::new(PATH, why)] }
}

fn is_default(class: &QueueClass) -> bool {
    let annotations = class.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(IS_DEFAULT_CLASS)).is_some_and(|mark| mark == "true")
}

/// Why a namespace may not use a class; nothing when it may. No other namespace is named: tenants need not know each
/// other.
fn refuses(allowed: &AllowedNamespaces, namespace: &str, labels: &Labels) -> Option<String> {
    match allowed.from {
        NamespacesFrom::All => None,
        NamespacesFrom::Names => {
            let is_listed = allowed.names.iter().flatten().any(|name| name == namespace);
            (!is_listed).then(|| "it is not in its allowedNamespaces".to_owned())
        }
        NamespacesFrom::Selector => {
            let selector = allowed.selector.as_ref();
            let is_selected = selector.is_some_and(|selector| selector::matches(selector, labels));
            let wanted = || selector.map(selector::in_words).unwrap_or_default();
            (!is_selected).then(|| format!("its allowedNamespaces are those with the labels {}", wanted()))
        }
    }
}
