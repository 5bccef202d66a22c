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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    const MINUTE: i64 = 60;
    const DAY: i64 = 24 * 60 * MINUTE;

    /// A certificate that was made then, and can be told from others.
    fn pem(made: i64) -> Pem {
        Pem(format!("-----BEGIN CERTIFICATE-----\n{made}\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n\n"))
    }

    fn stock(made: &[i64]) -> Stock {
        Stock(made.iter().map(|made| (at(*made), pem(*made))).collect())
    }

    fn trusted(made: &[i64]) -> String {
        made.iter().flat_map(|made| certificates(&pem(*made).0)).collect()
    }

    #[test]
    fn the_first_is_made_and_shown_at_once() {
        assert!(stock(&[]).is_due(at(0)));
        assert_eq!(stock(&[]).shown(at(0)), None);
        assert!(!stock(&[0]).is_due(at(0)));
        assert_eq!(stock(&[0]).shown(at(0)), Some((at(0), &pem(0))));
        assert_eq!(stock(&[0]).trust("", at(0)), trusted(&[0]));
    }

    #[test]
    fn the_next_is_made_a_month_before_the_end_and_shown_once_everybody_knows_it() {
        assert!(!stock(&[0]).is_due(at(60 * DAY - 1)));
        assert!(stock(&[0]).is_due(at(60 * DAY)));
        let next = 60 * DAY;
        let both = stock(&[0, next]);
        for (time, shown, kept) in [
            (next, 0, &[0, next][..]),
            (next + 10 * MINUTE - 1, 0, &[0, next]),
            (next + 10 * MINUTE, next, &[0, next]),
            (next + 20 * MINUTE - 1, next, &[0, next]),
            (next + 20 * MINUTE, next, &[next]),
        ] {
            assert_eq!(both.shown(at(time)), Some((at(shown), &pem(shown))), "{time}");
            let tidied = both.clone().tidied(at(time));
            assert_eq!(tidied, stock(kept), "{time}");
            assert_eq!(tidied.trust(&trusted(&[0]), at(time)), trusted(kept), "{time}");
        }
    }

    #[test]
    fn one_that_has_run_out_is_not_shown_whatever_else_there_is() {
        assert_eq!(stock(&[0]).shown(at(90 * DAY)), None);
        let late = 90 * DAY - MINUTE;
        assert_eq!(stock(&[0, late]).shown(at(90 * DAY)), Some((at(late), &pem(late))));
        assert_eq!(stock(&[0, late]).tidied(at(90 * DAY)), stock(&[late]));
    }

    #[test]
    fn what_is_trusted_and_not_known_here_stays_until_nobody_shows_it() {
        // As after the Secret was deleted: replicas go on with what they had.
        assert_eq!(stock(&[100]).trust(&trusted(&[0]), at(100)), trusted(&[0, 100]));
        assert_eq!(stock(&[100]).trust(&trusted(&[0, 100]), at(100 + 20 * MINUTE)), trusted(&[100]));
    }

    #[test]
    fn what_is_trusted_is_not_written_again_for_its_line_breaks() {
        let with_breaks = trusted(&[0]).replace('\n', "\r\n");
        assert_eq!(certificates(&with_breaks), certificates(&trusted(&[0])));
        assert_eq!(certificates("no certificate"), [""; 0]);
    }

    /// Minutes for the most part, and days.
    fn pauses() -> impl Strategy<Value = i64> {
        prop_oneof![8 => 1..5 * MINUTE, 1 => 1..40 * DAY]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Leaders that come late, die between any two writes or find no Secret; API servers that learn of a change some minutes later:
        /// whatever certificate is shown, they trust it.
        #[test]
        fn what_is_shown_is_trusted_by_every_api_server(
            looks in proptest::collection::vec((pauses(), 0..4_u8, 0..50_u8), 400),
            lag in 0..5 * MINUTE,
        ) {
            let mut secret = Stock::default();
            // What was to be trusted, and since when.
            let mut bundles = vec![(-DAY, String::new())];
            let mut replica: Option<(Timestamp, Pem)> = None;
            let mut time = 0;
            let mut generations = 0;
            for (pause, fate, accident) in looks {
                time += pause;
                let now = at(time);
                if accident == 0 {
                    secret = Stock::default();
                }
                let bundle = bundles.last().unwrap().1.clone();
                if fate > 0 {
                    let mut stock = secret.clone().tidied(now);
                    if stock.is_due(now) {
                        stock.0.insert(now, pem(time));
                        generations += 1;
                    }
                    let trust = stock.trust(&bundle, now);
                    if trust != bundle {
                        bundles.push((time, trust));
                    }
                    // The leader may die here.
                    if fate > 1 {
                        secret = stock;
                    }
                }
                let known = &bundles.iter().rfind(|(since, _)| since + lag <= time).unwrap().1;
                // A replica remembers what it shows.
                let mut seen = secret.clone();
                seen.0.extend(replica.take());
                let is_first = !seen.0.keys().any(|made| (SETTLE..VALID).contains(&age(*made, now)));
                replica = seen.shown(now).map(|(made, pem)| (made, pem.clone()));
                if let Some((_, shown)) = &replica {
                    // The first, also after all have run out, is shown before everybody could learn of it.
                    let is_trusted = certificates(&shown.0).iter().all(|one| known.contains(one.as_str()));
                    prop_assert!(is_trusted || is_first, "{time}: {shown:?} is not trusted: {known}");
                }
            }
            prop_assert!(generations > 1);
        }
    }
}
