//! What did not go as the scenario has it: orders that could not be carried out, services that failed by themselves, faults that
//! were broken and hit nothing.
//!
//! Invariant: what is noted once stays, whatever is started again or mended later. What a key asks for and does not get is no
//! wrong: whoever pressed it was told.

use std::collections::BTreeSet;

use scenario::Fault;

use crate::snapshot::FaultView;

/// Of each kind; what comes after would say nothing new.
const KEPT_MAX: usize = 20;

#[derive(Debug, Default)]
pub struct Wrongs {
    refused: Vec<String>,
    failed: Vec<String>,
    by_script: BTreeSet<Fault>,
}

impl Wrongs {
    /// An order of the scenario that was not carried out.
    pub fn refused(&mut self, reason: String) {
        keep(&mut self.refused, reason);
    }

    /// A service that ended without being told to.
    pub fn failed(&mut self, reason: String) {
        keep(&mut self.failed, reason);
    }

    pub fn broken_by_script(&mut self, fault: Fault) {
        self.by_script.insert(fault);
    }

    /// Sentences: services first.
    pub fn sentences(&self) -> Vec<String> {
        let refused = self.refused.iter();
        let refused = refused.map(|reason| format!("a step was not carried out: {reason}"));
        self.failed.iter().cloned().chain(refused).collect()
    }

    /// Faults that the scenario broke and that never hit anything, as sentences.
    pub fn never_happened(&self, faults: &[FaultView]) -> Vec<String> {
        let never = |fault: &&Fault| {
            let mut of_it = faults.iter().filter(|view| view.name == fault.name());
            of_it.all(|view| view.hits == 0)
        };
        let sentence = |fault: &Fault| {
            format!(
                "not met: {fault} happens (it was broken, and hit nothing: break it for longer, or under more load)"
            )
        };
        self.by_script.iter().filter(never).map(sentence).collect()
    }
}

fn keep(kept: &mut Vec<String>, reason: String) {
    if kept.len() < KEPT_MAX && !kept.contains(&reason) {
        kept.push(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(fault: Fault, hits: u64) -> FaultView {
        FaultView {
            name: fault.name(),
            broken_at_s: 1.0,
            mended_at_s: Some(2.0),
            converged_after_s: None,
            hits,
        }
    }

    #[test]
    fn a_fault_of_the_script_has_to_hit_once_and_one_of_a_key_does_not() {
        let mut wrongs = Wrongs::default();
        wrongs.broken_by_script(Fault::AnswersLost);
        let of_key = view(Fault::NodeLost, 0);
        let nothing = [view(Fault::AnswersLost, 0), of_key.clone()];
        let sentences = wrongs.never_happened(&nothing);
        assert_eq!(sentences.len(), 1, "{sentences:?}");
        assert!(sentences[0].contains("answers-lost"), "{sentences:?}");
        let once = [view(Fault::AnswersLost, 0), view(Fault::AnswersLost, 3), of_key];
        assert_eq!(wrongs.never_happened(&once), [""; 0]);
    }

    #[test]
    fn what_failed_once_is_said_to_the_end() {
        let mut wrongs = Wrongs::default();
        wrongs.failed("normaliser failed: it panicked".into());
        wrongs.failed("normaliser failed: it panicked".into());
        wrongs.refused("node-lost does not break: it is the last node".into());
        let sentences = wrongs.sentences();
        assert_eq!(sentences.len(), 2, "{sentences:?}");
        assert!(sentences[0].contains("normaliser failed"), "{sentences:?}");
        assert!(sentences[1].contains("not carried out"), "{sentences:?}");
    }
}
