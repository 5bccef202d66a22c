//! Condition types and reasons. Each is one constant; a test holds the reference in docs/ against this list.

/// The types of a Queue's conditions. `Reconciling`, `Stalled` and `Drifted` are there only while true (kstatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// Ownership proved, the URL answers, every write of this generation accepted, nothing held back.
    Ready,
    /// AWS reads back what was written.
    Propagated,
    /// Work is in progress, or waits for something that comes by itself.
    Reconciling,
    /// A person must mend something.
    Stalled,
    /// The queue differs from its declaration and is left so.
    Drifted,
}

impl ConditionType {
    /// All of them, in the order in which a Queue shows them.
    pub const ALL: [Self; 5] = [Self::Ready, Self::Propagated, Self::Reconciling, Self::Stalled, Self::Drifted];

    /// The word in `conditions[].type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Propagated => "Propagated",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Drifted => "Drifted",
        }
    }
}

/// The types of a `QueueClass`'s conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassConditionType {
    /// The class can be used: none of the others is False.
    Ready,
    /// AWS answers to the class's credentials, they are of its account, and SQS lets queues be listed.
    Reachable,
    /// The policies of the class's role allow all that the operator does with queues, and with the roles of workloads.
    Permitted,
    /// A Queue with an empty spec is possible for each type that the class allows.
    Satisfiable,
}

impl ClassConditionType {
    /// All of them, in the order in which a class shows them.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Reachable, Self::Permitted, Self::Satisfiable];

    /// The word in `conditions[].type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reachable => "Reachable",
            Self::Permitted => "Permitted",
            Self::Satisfiable => "Satisfiable",
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        /// Why a condition is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// All of them, each with its meaning.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, concat!($($doc),+)),)+];

            /// The word in `conditions[].reason`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

reasons! {
    /// The queue is as declared.
    Converged,
    /// The queue exists; managementPolicy is Observe.
    Observed,
    /// Calls to AWS are under way, or a queue just made does not answer yet.
    Progressing,
    /// AWS reads back what was written.
    ReadBack,
    /// AWS does not read back yet what was written; attributes take up to 60 s, retention up to 15 minutes.
    Propagating,
    /// AWS was not asked.
    NotRead,
    /// The queue differs from its declaration.
    Differs,
    /// A queue of this name was deleted less than 60 s ago; AWS refuses the name until then.
    NameCoolDown,
    /// AWS asks for fewer calls; the operator slows down for the whole account.
    Throttled,
    /// AWS cannot be reached or answers with errors of its own.
    AWSUnavailable,
    /// AWS denies a call, or says that a queue does not exist without proof of it.
    Denied,
    /// The operator or the queue may not use the KMS key.
    KMSDenied,
    /// The dead-letter queue is not there, is not ready, or does not allow this source yet.
    DeadLetterNotReady,
    /// A change that could destroy messages waits for the queue to be empty or for the annotation that allows it.
    HeldBack,
    /// The spec breaks a rule; nothing of it was written to AWS.
    InvalidSpec,
    /// AWS refuses what was sent.
    Refused,
    /// The queue in AWS has no owner tags, or another cluster's; it is left untouched.
    NotOwned,
    /// The queue in AWS, or its name, belongs to another Queue; it is left untouched.
    NameConflict,
    /// The queue carries the tags of a cluster of the same name with another UID.
    ClusterIdentityChanged,
    /// The class, flags or credentials point to another place than the one where this Queue's queue lives.
    TargetChanged,
    /// The spec asks for what its class does not allow; nothing of it was written to AWS.
    NotAllowedByClass,
    /// The class is not there, or cannot be used yet; it is waited for.
    ClassNotFound,
    /// The Queue names no class, and more than one is marked as the default.
    SeveralDefaultClasses,
    /// The dead-letter queue has ten sources already, as many as SQS allows.
    TooManySources,
    /// Following the dead-letter queues leads back to this Queue.
    DeadLetterCycle,
    /// A principal of the queue policy was deleted in IAM, or that of a `QueueAccess` is not there.
    PrincipalGone,
    /// A Secret or ConfigMap of the output's name exists and is not this Queue's.
    OutputConflict,
    /// The API server did not take a write: it cannot be reached, or answers with errors of its own.
    KubernetesUnavailable,
    /// The API server refuses a write: a quota, an admission rule, or an object that may not be changed.
    KubernetesRefused,
    /// The subject of the `QueueAccess` has what is declared.
    Granted,
    /// The Queue of the `QueueAccess` is not there; it is waited for.
    QueueNotFound,
    /// The Queue's policy is not written now: it is suspended, only observed, being deleted, or refused.
    QueueNotReady,
    /// There is no Queue of this name in the other namespace that allows the `QueueAccess`'s namespace.
    NotAllowedByQueue,
    /// The queue policy, or the subject's role, has no room left for the `QueueAccess`.
    PolicyFull,
    /// The ServiceAccount of the `QueueAccess` is not there; it is waited for.
    ServiceAccountNotFound,
    /// The class lets no policies be attached to the role that the `QueueAccess` or the ServiceAccount's annotation names.
    RoleNotAllowed,
    /// A role that is no longer wanted has something on it that others put there, and waits until that is gone.
    RoleInUse,
    /// A class can be used.
    Usable,
    /// AWS answers to the class's credentials, and they are of its account.
    Reached,
    /// The class's credentials are of another account than the one that it names.
    WrongAccount,
    /// The policies of the class's role allow all that the operator does with queues, and with the roles of workloads.
    Permitted,
    /// The policies of the class's role lack actions that the operator needs; the message names them.
    MissingPermissions,
    /// IAM does not say whether the class's role may do all that the operator does.
    NotKnown,
    /// A Queue with an empty spec is possible for each type that the class allows.
    Satisfiable,
    /// The class's limits refuse what its defaults and the built-in ones come to.
    Unsatisfiable,
    /// The queue does not exist, and is not made: it is only observed, or was deleted from outside and the class reports
    /// such changes.
    NotFound,
    /// Deletion waits for the queue and its dead-letter queues to be empty.
    WaitingForEmpty,
    /// The queue is being deleted in AWS.
    Deleting,
    /// Deletion waits for the Queues that use this one as their dead-letter queue.
    InUseAsDeadLetter,
    /// An IAM policy that is no longer wanted is attached to somebody, and waits until it is detached.
    PolicyAttached,
}

macro_rules! event_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        /// Reasons of the events about what the operator did. Events about what is wrong carry the condition's
        /// [`Reason`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventReason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl EventReason {
            /// All of them, each with its meaning.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, concat!($($doc),+)),)+];

            /// The word in the event.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

event_reasons! {
    /// A queue or an IAM policy was created in AWS.
    Created,
    /// Attributes of a queue, or what an IAM policy allows, were changed as declared.
    Updated,
    /// What was changed from outside was set back: attributes of a queue, or an IAM policy.
    DriftRepaired,
    /// Tags of a queue were changed.
    Tagged,
    /// A queue without owner tags was taken over, as adoptionPolicy Adopt says.
    Adopted,
    /// New messages are refused, so that the queue can be seen to be empty.
    Fenced,
    /// A queue or an IAM policy was deleted in AWS.
    Deleted,
    /// The owner tags were removed and the queue or the IAM policy let go.
    Released,
    /// A queue policy lets the subject of a `QueueAccess` in.
    LetIn,
    /// A dead-letter queue is no longer used and will be deleted when empty.
    DeadLetterRetired,
    /// The Queue is gone or let go, and a queue in AWS was left as it is.
    LeftBehind,
}
