//! What a sabotage has damaged, and how much of it the audit has found: the exam of the proof.
//!
//! Invariant: the audit knows nothing of it. What should be found comes from the world that is played again and the rule
//! by which a sabotage hits; what was found comes from the audit's report.

use std::collections::BTreeSet;

use audit::AuditReport;
use contracts::ids::{Sku, TransactionId};
use contracts::sabotage::{Effect, Sabotage, SabotageClass, SabotageStage, raw};
use serde::Serialize;
use world::events::{Channel, Message, PlaceEvents};

/// Things that a report names.
const NAMED_MAX: usize = 100;

#[derive(Clone, Debug, Serialize)]
pub struct SabotageView {
    pub planted: String,
    /// `red` or `healed`.
    pub expected: &'static str,
    /// Transactions, or articles where the stage knows no transactions.
    pub damaged: u64,
    /// Transactions that were hit besides, and move nothing: windows, digests and completeness tell of them, stock cannot.
    pub hit_without_lines: u64,
    /// Of the damaged, those that the audit names.
    pub found: u64,
    /// Damaged and not named, the first 100. Must be empty where red is expected.
    pub missed: Vec<String>,
    /// Named and not damaged, the first 100.
    pub unexpected: Vec<String>,
}

/// Collects what is hit while the world is played again.
#[derive(Debug)]
pub struct Damaged {
    sabotage: Sabotage,
    transactions: BTreeSet<TransactionId>,
    /// Hit as well, but nothing moves in them: stock is right, and only digests, windows and completeness tell.
    without_lines: BTreeSet<TransactionId>,
    articles: BTreeSet<Sku>,
}

impl Damaged {
    pub const fn new(sabotage: Sabotage) -> Self {
        Self {
            sabotage,
            transactions: BTreeSet::new(),
            without_lines: BTreeSet::new(),
            articles: BTreeSet::new(),
        }
    }

    #[allow(dead_code, reason = "tests ask")]
    pub fn has(&self, id: &TransactionId) -> bool {
        self.transactions.contains(id) || self.without_lines.contains(id)
    }

    /// A message that was released. A transaction without lines leaves no trace in stock, so none can be damaged by it.
    pub fn message(&mut self, events: &PlaceEvents, message: &Message) {
        let with_lines = || {
            events
                .transactions_of(message)
                .iter()
                .filter(|transaction| !transaction.lines.is_empty())
                .map(|transaction| transaction.id)
        };
        let sabotage = &self.sabotage;
        let without_lines = || {
            events
                .transactions_of(message)
                .iter()
                .filter(|transaction| transaction.lines.is_empty())
                .map(|transaction| transaction.id)
        };
        let takes_whole = matches!(
            sabotage.class,
            SabotageClass::Drop | SabotageClass::Double | SabotageClass::Misroute
        );
        match sabotage.stage {
            SabotageStage::StoreGateway | SabotageStage::MqSource => {
                let is_queue = message.channel == Channel::Queue;
                if is_queue != (sabotage.stage == SabotageStage::MqSource) {
                    return;
                }
                let Some(first) = events.transactions_of(message).first() else {
                    return;
                };
                let location = first.id.source.location;
                let bytes = events.bytes_of(message);
                if !sabotage.hits_message(location, bytes) {
                    return;
                }
                if sabotage.class == SabotageClass::Alter {
                    let is_alterable = raw::altered(message.format, bytes).is_some();
                    self.transactions
                        .extend(with_lines().next().filter(|_| is_alterable));
                } else {
                    self.transactions.extend(with_lines());
                    if takes_whole {
                        self.without_lines.extend(without_lines());
                    }
                }
            }
            SabotageStage::Normaliser | SabotageStage::Inventory => {
                let hit: Vec<_> = with_lines().filter(|id| sabotage.hits(id)).collect();
                self.transactions.extend(hit);
                if takes_whole && sabotage.stage == SabotageStage::Normaliser {
                    self.without_lines
                        .extend(without_lines().filter(|id| sabotage.hits(id)));
                }
            }
            // An article that nothing happened to has no total.
            SabotageStage::ItemInventory => {
                let lines = events
                    .transactions_of(message)
                    .iter()
                    .flat_map(|transaction| events.lines_of(transaction));
                let hit = lines
                    .map(|line| line.sku)
                    .filter(|sku| sabotage.hits_article(*sku));
                self.articles.extend(hit);
            }
        }
    }

    /// Compares with what the audit found.
    pub fn examine(&self, report: &AuditReport) -> SabotageView {
        let sabotage = &self.sabotage;
        if sabotage.stage == SabotageStage::ItemInventory {
            let damaged = &self.articles;
            let found = report.diverging_items.iter().map(|item| item.sku).collect();
            return self.without_harm_to_others(view(sabotage, damaged, &found));
        }
        let of = |named: &[&audit::Named]| -> BTreeSet<TransactionId> {
            named.iter().flat_map(|named| &named.ids).copied().collect()
        };
        let found = match sabotage.class {
            SabotageClass::Drop => of(&[&report.transactions_lost]),
            SabotageClass::Double => of(&[&report.transactions_doubled]),
            SabotageClass::Alter => of(&[&report.transactions_altered]),
            // It can also collide with a number of the other place: then one of the two is a dead letter, and lost.
            SabotageClass::Misroute => of(&[&report.transactions_misrouted, &report.transactions_lost]),
            SabotageClass::Stale => of(&[&report.transactions_stale]),
            SabotageClass::Lie => {
                let sources: BTreeSet<_> = self.transactions.iter().map(|id| id.source).collect();
                let found = report.false_claims.iter().map(|claim| claim.source).collect();
                return view(sabotage, &sources, &found);
            }
        };
        self.without_harm_to_others(view(sabotage, &self.transactions, &found))
    }

    /// Those whose place was taken, and those that came after in the same cell: no false alarm, though nothing was
    /// planted in them.
    fn without_harm_to_others(&self, mut view: SabotageView) -> SabotageView {
        view.hit_without_lines = self.without_lines.len() as u64;
        if matches!(
            self.sabotage.class,
            SabotageClass::Misroute | SabotageClass::Stale
        ) {
            view.unexpected.clear();
        }
        view
    }
}

fn view<T: Ord + ToString>(sabotage: &Sabotage, damaged: &BTreeSet<T>, found: &BTreeSet<T>) -> SabotageView {
    let names = |set: Vec<&T>| set.into_iter().take(NAMED_MAX).map(ToString::to_string).collect();
    SabotageView {
        planted: sabotage.to_string(),
        expected: match sabotage.effect() {
            Effect::Red => "red",
            Effect::Healed | Effect::NotApplicable => "healed",
        },
        damaged: damaged.len() as u64,
        hit_without_lines: 0,
        found: damaged.intersection(found).count() as u64,
        missed: match sabotage.effect() {
            Effect::Red => names(damaged.difference(found).collect()),
            Effect::Healed | Effect::NotApplicable => Vec::new(),
        },
        unexpected: names(found.difference(damaged).collect()),
    }
}
