//! Visits every state that a model can reach, in the order of distance, and finds the shortest way to a violation.
//!
//! Breadth first, level by level, with as many threads as asked for. Of a visited state only a fingerprint of 64 bits is
//! kept: of ten million states two share one with a probability of about three in a million, and then a state would be
//! taken for visited. The way to a violation is found by walking the fingerprints back and taking the steps again.

use std::fmt::{Debug, Display};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// What is explored.
pub trait Model: Sync {
    type State: Clone + Debug + Eq + Hash + Send + Sync;
    /// One step, for people.
    type Action: Clone + Display + Send;
    type Violation: Clone + Debug + Display + Ord + Send;

    fn initial(&self) -> Self::State;

    /// All steps that are possible, each with the state that it leads to.
    fn steps(&self, state: &Self::State, out: &mut Vec<(Self::Action, Self::State)>);

    /// What is wrong in a state; `is_final`: no step leads on.
    fn violation(&self, state: &Self::State, is_final: bool) -> Option<Self::Violation>;
}

/// A way to a state that must not be.
#[derive(Clone, Debug)]
pub struct Counterexample<V> {
    pub violation: V,
    /// Steps from the start, in words.
    pub trace: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Exploration<V> {
    pub states: usize,
    /// Steps of the longest shortest way.
    pub depth: usize,
    /// States without a next step.
    pub final_states: usize,
    pub counterexample: Option<Counterexample<V>>,
}

const SHARDS: usize = 64;
const CHUNK: usize = 256;

/// Fingerprint to the fingerprint that it was reached from.
type Shard = HashMap<u64, u64, Plain>;

struct Visited {
    shards: Vec<Mutex<Shard>>,
}

impl Visited {
    fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// True where it is new.
    fn insert(&self, fingerprint: u64, parent: u64) -> bool {
        let mut shard = self.shard(fingerprint).lock().expect("no holder panics");
        match shard.entry(fingerprint) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(parent);
                true
            }
        }
    }

    fn parent(&self, fingerprint: u64) -> u64 {
        self.shard(fingerprint).lock().expect("no holder panics")[&fingerprint]
    }

    fn shard(&self, fingerprint: u64) -> &Mutex<Shard> {
        &self.shards[(fingerprint >> 58) as usize % SHARDS]
    }

    fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().expect("no holder panics").len())
            .sum()
    }
}

struct Found<M: Model> {
    next: Vec<(u64, M::State)>,
    /// Of the level at hand.
    violations: Vec<(M::Violation, u64)>,
    final_states: usize,
}

/// Explores all of it, or up to the level of the nearest violation.
pub fn explore<M: Model>(model: &M, threads: usize) -> Exploration<M::Violation> {
    let visited = Visited::new();
    let initial = model.initial();
    let first = fingerprint(&initial);
    visited.insert(first, first);
    let mut level = vec![(first, initial)];
    let (mut depth, mut final_states) = (0, 0);
    loop {
        let taken = AtomicUsize::new(0);
        let found: Vec<Found<M>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.max(1))
                .map(|_| scope.spawn(|| visit(model, &level, &taken, &visited)))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().expect("a step does not panic"))
                .collect()
        });
        let mut next = Vec::new();
        let mut violations = Vec::new();
        for part in found {
            next.extend(part.next);
            violations.extend(part.violations);
            final_states += part.final_states;
        }
        let counterexample = violations
            .into_iter()
            .min()
            .map(|(violation, at)| Counterexample {
                violation,
                trace: trace(model, &visited, first, at),
            });
        if counterexample.is_some() || next.is_empty() {
            return Exploration {
                states: visited.len(),
                depth,
                final_states,
                counterexample,
            };
        }
        level = next;
        depth += 1;
    }
}

fn visit<M: Model>(model: &M, level: &[(u64, M::State)], taken: &AtomicUsize, visited: &Visited) -> Found<M> {
    let mut found = Found {
        next: Vec::new(),
        violations: Vec::new(),
        final_states: 0,
    };
    let mut steps = Vec::new();
    loop {
        let start = taken.fetch_add(CHUNK, Ordering::Relaxed);
        if start >= level.len() {
            return found;
        }
        for (at, state) in &level[start..level.len().min(start + CHUNK)] {
            steps.clear();
            model.steps(state, &mut steps);
            found.final_states += usize::from(steps.is_empty());
            if let Some(violation) = model.violation(state, steps.is_empty()) {
                found.violations.push((violation, *at));
                continue;
            }
            for (_, next) in steps.drain(..) {
                let fingerprint = fingerprint(&next);
                if visited.insert(fingerprint, *at) {
                    found.next.push((fingerprint, next));
                }
            }
        }
    }
}

/// Takes the steps to a state again.
fn trace<M: Model>(model: &M, visited: &Visited, first: u64, last: u64) -> Vec<String> {
    let mut way = vec![last];
    let mut at = last;
    while at != first {
        at = visited.parent(at);
        way.push(at);
    }
    way.pop();
    let mut state = model.initial();
    let mut trace = Vec::with_capacity(way.len());
    let mut steps = Vec::new();
    while let Some(wanted) = way.pop() {
        steps.clear();
        model.steps(&state, &mut steps);
        let (action, next) = steps
            .drain(..)
            .find(|(_, next)| fingerprint(next) == wanted)
            .expect("the step was possible before");
        trace.push(action.to_string());
        state = next;
    }
    trace
}

fn fingerprint(state: &impl Hash) -> u64 {
    let mut hasher = Fold(0x243f_6a88_85a3_08d3);
    state.hash(&mut hasher);
    hasher.finish()
}

/// Folds words; the same on every run, so that fingerprints can be walked back.
struct Fold(u64);

impl Fold {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15_u128;
        self.0 = (product as u64) ^ (product >> 64) as u64 ^ word.rotate_left(23);
    }
}

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.fold(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.fold(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.fold(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.fold(value as u64);
    }

    fn finish(&self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }
}

/// Fingerprints are mixed already.
#[derive(Clone, Copy, Default)]
struct Plain;

impl BuildHasher for Plain {
    type Hasher = PlainHasher;

    fn build_hasher(&self) -> PlainHasher {
        PlainHasher(0)
    }
}

struct PlainHasher(u64);

impl Hasher for PlainHasher {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are keys");
    }

    fn write_u64(&mut self, value: u64) {
        // The highest bits choose the shard.
        self.0 = value.rotate_left(7);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
