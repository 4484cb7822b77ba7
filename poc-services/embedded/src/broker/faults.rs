//! Faults on purpose: rules that delay, refuse, cut off or swallow requests, added and removed while the broker runs.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use embedded::broker::Broker;
//! # use embedded::broker::faults::{Api, Effect, Fault, Moment, When};
//! # fn example(broker: &Broker) {
//! let faults = broker.faults();
//! // Every tenth produce request to a topic is applied, but the answer never arrives.
//! let lost = faults.add(
//!     Fault::new(Effect::Disconnect(Moment::After))
//!         .api(Api::Produce)
//!         .topic("movements")
//!         .when(When::Chance { one_in: 10, seed: 7 }),
//! );
//! // …
//! assert!(faults.hits(lost) > 0, "it did happen");
//! faults.remove(lost);
//! # }
//! ```
//!
//! Invariant: without a rule a request costs one atomic read. A rule hits a request as a whole, also one that names
//! other topics beside the rule's. It knows no request but by api, topics, node and the name of its client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Kafka's name of an error.
pub use kafka_protocol::ResponseError as ErrorCode;
/// Kafka's name of a request.
pub use kafka_protocol::messages::ApiKey as Api;

/// Before or after the request has had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Before,
    /// Applied, but the client cannot know.
    After,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is served later; other rules apply as well.
    Delay(Duration),
    /// It is answered with this error, in every partition that it names.
    Error(ErrorCode, Moment),
    /// Its connection is cut.
    Disconnect(Moment),
    /// It is never answered, and nothing that comes after it on its connection is read, until the client gives up.
    Silence(Moment),
}

/// How often a rule hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Always,
    /// The first so many times.
    Times(u64),
    /// With this chance, drawn from a ChaCha8 stream of this seed: the same requests in the same order meet the same
    /// fate.
    Chance {
        one_in: u32,
        seed: u64,
    },
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    api: Option<Api>,
    topic: Option<String>,
    node: Option<i32>,
    client: Option<String>,
    effect: Effect,
    when: When,
}

impl Fault {
    /// A rule that hits every request on every node, until it is narrowed.
    pub fn new(effect: Effect) -> Self {
        Self {
            api: None,
            topic: None,
            node: None,
            client: None,
            effect,
            when: When::Always,
        }
    }

    /// Only this kind of request.
    #[must_use]
    pub fn api(self, api: Api) -> Self {
        Self {
            api: Some(api),
            ..self
        }
    }

    /// Only requests that name this topic. Requests that name no topic (groups, transactions' ends) are never hit.
    #[must_use]
    pub fn topic(self, topic: impl Into<String>) -> Self {
        Self {
            topic: Some(topic.into()),
            ..self
        }
    }

    /// Only requests to this node.
    #[must_use]
    pub fn node(self, node: i32) -> Self {
        Self {
            node: Some(node),
            ..self
        }
    }

    /// Only requests of clients whose id is this, or this with a dash and more behind it: all connections of an instance
    /// that names its clients after itself, and none of instance 12 for instance 1.
    #[must_use]
    pub fn client(self, name: impl Into<String>) -> Self {
        Self {
            client: Some(name.into()),
            ..self
        }
    }

    #[must_use]
    pub fn when(self, when: When) -> Self {
        Self { when, ..self }
    }
}

/// Names a rule that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultId(u64);

#[derive(Debug)]
struct Rule {
    id: FaultId,
    fault: Fault,
    hits: u64,
    stream: Option<ChaCha8Rng>,
}

impl Rule {
    fn covers(&self, api: Api, node: i32, client: &str, topics: Option<&[String]>) -> bool {
        let fault = &self.fault;
        let is_of = |name: &String| {
            client
                .strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        fault.api.is_none_or(|wanted| wanted == api)
            && fault.node.is_none_or(|wanted| wanted == node)
            && fault.client.as_ref().is_none_or(is_of)
            && fault
                .topic
                .as_ref()
                .is_none_or(|wanted| topics.is_some_and(|topics| topics.iter().any(|topic| topic == wanted)))
    }

    fn strikes(&mut self) -> bool {
        let strikes = match self.fault.when {
            When::Always => true,
            When::Times(times) => self.hits < times,
            When::Chance { one_in, .. } => self
                .stream
                .as_mut()
                .is_some_and(|stream| stream.next_u64() % u64::from(one_in.max(1)) == 0),
        };
        self.hits += u64::from(strikes);
        strikes
    }
}

#[derive(Debug, Default)]
struct Inner {
    rules: Vec<Rule>,
    /// What removed rules had hit.
    past: Vec<(FaultId, u64)>,
    next_id: u64,
}

/// The rules of one broker; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    count: Arc<AtomicUsize>,
    inner: Arc<Mutex<Inner>>,
}

/// What is to happen to one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub delay: Duration,
    /// Never a delay.
    pub effect: Option<Effect>,
}

impl Faults {
    /// Adds a rule; rules are asked in the order in which they were added, and the first that is no delay decides.
    pub fn add(&self, fault: Fault) -> FaultId {
        let mut inner = self.inner.lock();
        inner.next_id += 1;
        let id = FaultId(inner.next_id);
        let stream = match fault.when {
            When::Chance { seed, .. } => Some(ChaCha8Rng::seed_from_u64(seed)),
            _ => None,
        };
        inner.rules.push(Rule {
            id,
            fault,
            hits: 0,
            stream,
        });
        self.count.store(inner.rules.len(), Ordering::Release);
        id
    }

    /// Takes a rule away. What it has hit stays known; a connection that it has silenced stays silent.
    pub fn remove(&self, id: FaultId) {
        let mut inner = self.inner.lock();
        if let Some(index) = inner.rules.iter().position(|rule| rule.id == id) {
            let rule = inner.rules.remove(index);
            inner.past.push((id, rule.hits));
        }
        self.count.store(inner.rules.len(), Ordering::Release);
    }

    /// Takes all rules away.
    pub fn clear(&self) {
        let mut inner = self.inner.lock();
        let rules = std::mem::take(&mut inner.rules);
        inner
            .past
            .extend(rules.into_iter().map(|rule| (rule.id, rule.hits)));
        self.count.store(0, Ordering::Release);
    }

    /// How many requests a rule has hit, also after it was removed.
    pub fn hits(&self, id: FaultId) -> u64 {
        let inner = self.inner.lock();
        let present = inner.rules.iter().map(|rule| (rule.id, rule.hits));
        let mut all = present.chain(inner.past.iter().copied());
        all.find(|(known, _)| *known == id).map_or(0, |(_, hits)| hits)
    }

    /// Whether there is any rule.
    pub(super) fn are_set(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Whether a rule asks for the topics of such a request, which costs decoding it once more.
    pub(super) fn want_topics(&self, api: Api, node: i32) -> bool {
        let asks = |rule: &Rule| {
            let fault = &rule.fault;
            fault.topic.is_some()
                && fault.api.is_none_or(|wanted| wanted == api)
                && fault.node.is_none_or(|wanted| wanted == node)
        };
        self.inner.lock().rules.iter().any(asks)
    }

    /// Asks the rules about one request.
    pub(super) fn decide(&self, api: Api, node: i32, client: &str, topics: Option<&[String]>) -> Fate {
        let mut fate = Fate::default();
        for rule in &mut self.inner.lock().rules {
            if !rule.covers(api, node, client, topics) || !rule.strikes() {
                continue;
            }
            match rule.fault.effect {
                Effect::Delay(delay) => fate.delay += delay,
                effect => {
                    fate.effect = Some(effect);
                    break;
                }
            }
        }
        fate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUT: Effect = Effect::Disconnect(Moment::Before);

    fn struck(faults: &Faults, times: usize) -> usize {
        (0..times)
            .filter(|_| faults.decide(Api::Produce, 1, "", None).effect.is_some())
            .count()
    }

    #[test]
    fn rule_hits_only_what_it_names() {
        let faults = Faults::default();
        let rule = faults.add(Fault::new(CUT).api(Api::Fetch).node(2).topic("a"));
        let topics = ["a".to_owned(), "b".to_owned()];
        let hit = |api, node, topics| faults.decide(api, node, "", topics).effect.is_some();
        assert!(hit(Api::Fetch, 2, Some(&topics)));
        assert!(!hit(Api::Produce, 2, Some(&topics)));
        assert!(!hit(Api::Fetch, 1, Some(&topics)));
        assert!(!hit(Api::Fetch, 2, Some(&topics[1..])));
        assert!(!hit(Api::Fetch, 2, None));
        assert_eq!(faults.hits(rule), 1);
        assert!(faults.want_topics(Api::Fetch, 2) && !faults.want_topics(Api::Fetch, 1));
    }

    #[test]
    fn rule_of_a_client_hits_all_its_connections_and_nobody_else() {
        let faults = Faults::default();
        let rule = faults.add(Fault::new(CUT).client("inventory-1"));
        let hit = |client| faults.decide(Api::Produce, 1, client, None).effect.is_some();
        assert!(hit("inventory-1") && hit("inventory-1-look"));
        assert!(!hit("inventory-12") && !hit("inventory") && !hit("") && !hit("an-inventory-1"));
        assert_eq!(faults.hits(rule), 2);
    }

    #[test]
    fn rule_with_a_count_is_used_up_and_its_hits_stay_known() {
        let faults = Faults::default();
        let rule = faults.add(Fault::new(CUT).when(When::Times(3)));
        assert_eq!(struck(&faults, 10), 3);
        faults.remove(rule);
        assert!(!faults.are_set());
        assert_eq!((struck(&faults, 10), faults.hits(rule)), (0, 3));
    }

    #[test]
    fn chance_is_the_same_for_the_same_seed() {
        let run = |seed| -> Vec<bool> {
            let faults = Faults::default();
            faults.add(Fault::new(CUT).when(When::Chance { one_in: 4, seed }));
            (0..200).map(|_| struck(&faults, 1) == 1).collect()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let hits = run(1).iter().filter(|hit| **hit).count();
        assert!((20..=80).contains(&hits), "{hits} of 200 at one in four");
    }

    #[test]
    fn delays_add_up_and_the_first_other_effect_decides() {
        let faults = Faults::default();
        for milliseconds in [5, 7] {
            faults.add(Fault::new(Effect::Delay(Duration::from_millis(milliseconds))));
        }
        faults.add(Fault::new(CUT));
        let behind = faults.add(Fault::new(Effect::Silence(Moment::After)));
        let fate = faults.decide(Api::Produce, 1, "", None);
        assert_eq!((fate.delay, fate.effect), (Duration::from_millis(12), Some(CUT)));
        assert_eq!(faults.hits(behind), 0);
    }
}
