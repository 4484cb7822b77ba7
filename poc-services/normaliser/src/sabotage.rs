//! How this service errs when it is told to: what goes on of a transaction, and as whose.

use contracts::ids::Quantity;
use contracts::records::MovementLine;
use contracts::sabotage::{Sabotage, SabotageClass, SabotageStage, neighbour};

use crate::Transaction;

/// With a buffer that it uses again.
#[derive(Debug, Default)]
pub struct Saboteur {
    sabotage: Option<Sabotage>,
    altered: Vec<MovementLine>,
}

impl Saboteur {
    /// Obeys only what names this service.
    pub fn new(sabotage: Option<Sabotage>) -> Self {
        Self {
            sabotage: Sabotage::at(sabotage, SabotageStage::Normaliser),
            altered: Vec::new(),
        }
    }

    /// Hands on what is to be sent of a transaction: once and as it is, unless it is hit. Whether it was.
    pub fn send<E>(
        &mut self,
        transaction: &Transaction,
        lines: &[MovementLine],
        mut send: impl FnMut(&Transaction, &[MovementLine]) -> Result<(), E>,
    ) -> Result<bool, E> {
        let Some(sabotage) = self.sabotage.filter(|sabotage| sabotage.hits(&transaction.id)) else {
            return send(transaction, lines).map(|()| false);
        };
        match sabotage.class {
            SabotageClass::Drop => {}
            SabotageClass::Double => {
                send(transaction, lines)?;
                send(transaction, lines)?;
            }
            SabotageClass::Alter => {
                self.altered.clear();
                self.altered.extend_from_slice(lines);
                if let Some(first) = self.altered.first_mut() {
                    first.quantity += Quantity::ONE.0;
                }
                send(transaction, &self.altered)?;
            }
            SabotageClass::Misroute => {
                let mut misrouted = transaction.clone();
                let location = &mut misrouted.id.source.location;
                *location = neighbour(*location);
                send(&misrouted, lines)?;
            }
            SabotageClass::Stale | SabotageClass::Lie => send(transaction, lines)?,
        }
        Ok(true)
    }
}
