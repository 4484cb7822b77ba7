//! Services beside the way of the stock: the reconciler of papers and, where the scenario asks for it, the item projector.
//!
//! What they have not read yet is waited for at the end.

use contracts::topics;
use scenario::ServiceName;

use super::services::Services;

/// Group of a service beside the way, and the topic that it reads.
pub type Reads = (&'static str, &'static str);

pub const RECONCILER: Reads = (reconciler::GROUP, topics::PAPERS);
pub const PROJECTOR: Reads = (item_projector::GROUP, topics::MOVEMENTS);

impl Services {
    /// Those that this run has inside it.
    pub fn names(&self) -> impl Iterator<Item = ServiceName> + use<> {
        let (is_inside, projects) = (!self.outside(), self.project_items);
        ServiceName::ALL
            .into_iter()
            .filter(move |name| is_inside && (projects || *name != ServiceName::ItemProjector))
    }

    /// What is waited for beside the stock.
    pub fn extras(&self) -> Vec<Reads> {
        self.names()
            .filter_map(|name| match name {
                ServiceName::Reconciler => Some(RECONCILER),
                ServiceName::ItemProjector => Some(PROJECTOR),
                _ => None,
            })
            .collect()
    }

    /// Deliveries that contradict each other now; `None`: nobody here looks.
    pub fn discrepancies(&self) -> Option<u64> {
        (!self.outside()).then(|| self.counters.reconciler.snapshot().open)
    }
}
