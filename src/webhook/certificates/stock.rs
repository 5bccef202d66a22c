//! Which certificates there are, when another is made, which is shown and which are trusted. All of it follows from when each was
//! made, so that a leader that dies at any point leaves nothing half done.
//!
//! A certificate is its own issuer, and the API server trusts exactly those in the webhook's configuration: there is no key that could issue
//! another. A new one is trusted from the moment that it is made, shown once every API server has had time to learn of it, and its
//! predecessor goes when every replica has had time to stop showing it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::tls::Pem;

/// For how long a certificate is good.
pub(super) const VALID: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How old it is when the next is made.
const RENEW: SignedDuration = SignedDuration::from_hours(60 * 24);

/// How long API servers may take to learn whom to trust, and replicas to see a change.
const SETTLE: SignedDuration = SignedDuration::from_mins(10);

/// Certificates by when they were made, in whole seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stock(pub(super) BTreeMap<Timestamp, Pem>);

impl Stock {
    /// Whether another certificate has to be made.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.newest().is_none_or(|made| age(made, now) >= RENEW)
    }

    /// The certificate to show: the newest that everybody had time to learn of. Until there is one, the oldest that is good.
    pub(super) fn shown(&self, now: Timestamp) -> Option<(Timestamp, &Pem)> {
        let good = || self.0.iter().filter(move |(made, _)| age(**made, now) < VALID);
        let settled = good().rfind(|(made, _)| age(**made, now) >= SETTLE);
        settled.or_else(|| good().next()).map(|(made, pem)| (*made, pem))
    }

    /// Without those that nobody shows any more.
    pub(super) fn tidied(mut self, now: Timestamp) -> Self {
        let newest = self.newest();
        let is_settled = self.is_settled(now);
        self.0.retain(|made, _| Some(*made) == newest || (!is_settled && age(*made, now) < VALID));
        self
    }

    /// What to trust, where `trusted` is so far: PEM. Nothing is taken away while a replica may still show it, whether or not it is known
    /// here.
    pub(super) fn trust(&self, trusted: &str, now: Timestamp) -> String {
        let own: Vec<String> = self.0.values().flat_map(|pem| certificates(&pem.0)).collect();
        let mut all = certificates(trusted);
        if self.is_settled(now) {
            all.retain(|certificate| own.contains(certificate));
        }
        for certificate in own {
            if !all.contains(&certificate) {
                all.push(certificate);
            }
        }
        all.concat()
    }

    /// Whether every replica shows the newest.
    fn is_settled(&self, now: Timestamp) -> bool {
        self.newest().is_some_and(|made| age(made, now) >= SETTLE * 2)
    }

    fn newest(&self) -> Option<Timestamp> {
        self.0.keys().next_back().copied()
    }
}

fn age(made: Timestamp, now: Timestamp) -> SignedDuration {
    now.duration_since(made)
}

/// The certificates in a PEM text, each as one text of its own.
fn certificates(pem: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let bodies = pem.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
    let lines = |body: &str| body.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    bodies.map(|(body, _)| format!("{BEGIN}\n{}\n{END}\n", lines(body))).collect()
}
