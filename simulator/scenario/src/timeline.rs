//! The steps in order, each handed out once, when it is due.

use crate::step::Step;
use crate::time::SimOffset;

/// Walks the steps of a scenario.
#[derive(Clone, Debug)]
pub struct Timeline<'a> {
    steps: &'a [Step],
    next: usize,
}

impl<'a> Timeline<'a> {
    pub(crate) const fn new(steps: &'a [Step]) -> Self {
        Self { steps, next: 0 }
    }

    /// When the next step is due; `None` behind the last one.
    pub fn next_at(&self) -> Option<SimOffset> {
        self.steps.get(self.next).map(|step| step.at)
    }

    /// The next step with its index if it is due at `now`. Call it until it gives `None`: several may be due at once.
    pub fn next_due(&mut self, now: SimOffset) -> Option<(usize, &'a Step)> {
        let index = self.next;
        let step = self.steps.get(index).filter(|step| step.at <= now)?;
        self.next += 1;
        Some((index, step))
    }

    /// How many steps have been handed out.
    pub const fn taken(&self) -> usize {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(seconds: u64) -> Step {
        Step {
            at: SimOffset::from_secs(seconds),
            say: None,
            action: None,
            expect: Vec::new(),
        }
    }

    #[test]
    fn each_step_is_due_once_and_in_order() {
        let steps = [step(0), step(5), step(5), step(9)];
        let mut timeline = Timeline::new(&steps);
        let mut due = |seconds| {
            std::iter::from_fn(|| timeline.next_due(SimOffset::from_secs(seconds)))
                .map(|(index, _)| index)
                .collect::<Vec<_>>()
        };
        assert_eq!(due(0), [0]);
        assert_eq!(due(4), [0; 0]);
        assert_eq!(due(7), [1, 2]);
        assert_eq!(due(100), [3]);
        assert_eq!(due(200), [0; 0]);
        assert_eq!(timeline.taken(), 4);
        assert_eq!(timeline.next_at(), None);
    }
}
