//! What an event does to stock: one decision for each kind, action, step and disposition. The table of
//! `docs/formats/epcis.md` is read by a test and held against this.
//!
//! Where it would be a guess, the answer is an error.

use std::fmt;

use super::error::Fault;
use super::vocabulary::{Action, Disposition, EventKind, Step};

/// What becomes of stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing that these books keep.
    None,
    /// On hand stays; less of it is free to sell.
    Reserves,
    /// These papers move the stock.
    Moves(Flow),
    /// Another paper moves the stock: the tills' log for sales and returns, the queue's record for shipments.
    Confirms(Flow),
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// In transit → back room.
    Received,
    /// On hand → in transit.
    Shipped,
    /// The reverse of a shipment.
    ShipmentVoided,
    /// Back room → floor.
    Stocked,
    /// Floor → back room.
    Stored,
    /// Floor → customer.
    Sold,
    /// Customer → floor.
    Returned,
    /// By the variance, floor or back room.
    Counted,
    /// Damage, expiry, theft: off the floor or back room.
    Lost,
    /// Inputs off, outputs onto the floor or back room.
    Transformed,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Reserves => f.write_str("reserves"),
            Self::Moves(flow) => write!(f, "moves: {flow}"),
            Self::Confirms(flow) => write!(f, "confirms: {flow}"),
        }
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Received => "received",
            Self::Shipped => "shipped",
            Self::ShipmentVoided => "shipment voided",
            Self::Stocked => "stocked",
            Self::Stored => "stored",
            Self::Sold => "sold",
            Self::Returned => "returned",
            Self::Counted => "counted",
            Self::Lost => "lost",
            Self::Transformed => "transformed",
        })
    }
}

/// The effect of an event that names things; `step_text` is for the message.
pub(super) fn judge(
    kind: EventKind,
    action: Option<Action>,
    step: Option<Step>,
    disposition: Option<Disposition>,
    step_text: &str,
) -> Result<Effect, Fault> {
    match kind {
        // What is together, and which papers it belongs to: things stay where they are.
        EventKind::Aggregation | EventKind::Association | EventKind::Transaction => Ok(Effect::None),
        // By the kind's own meaning, inputs are used up and outputs made.
        EventKind::Transformation => Ok(Effect::Moves(Flow::Transformed)),
        EventKind::Object => of_things(action, step, disposition).ok_or_else(|| match (step, action) {
            (Some(step), Some(action)) if is_supported(step) => Fault::Kind {
                found: format!(
                    "ObjectEvent of action {}, bizStep {}, disposition {}",
                    action.word(),
                    step.word(),
                    disposition.map_or("(none)", Disposition::word)
                ),
                expected: "see the table of steps in docs/formats/epcis.md",
            },
            _ => Fault::Step {
                found: super::error::shortened(step_text),
                expected: "whether it moves stock would be a guess",
            },
        }),
    }
}

fn of_things(action: Option<Action>, step: Option<Step>, disposition: Option<Disposition>) -> Option<Effect> {
    let (action, step) = (action?, step?);
    let observed = matches!(action, Action::Observe);
    let added = matches!(action, Action::Observe | Action::Add);
    let gone = matches!(action, Action::Observe | Action::Delete);
    let lossy = matches!(
        disposition,
        Some(
            Disposition::Damaged
                | Disposition::Expired
                | Disposition::Stolen
                | Disposition::Disposed
                | Disposition::Destroyed
        )
    );
    match step {
        Step::Receiving => added.then_some(Effect::Moves(Flow::Received)),
        Step::Stocking => added.then_some(Effect::Moves(Flow::Stocked)),
        Step::Storing => added.then_some(Effect::Moves(Flow::Stored)),
        Step::StockTaking | Step::CycleCounting => added.then_some(Effect::Moves(Flow::Counted)),
        Step::Shipping => gone.then_some(Effect::Confirms(Flow::Shipped)),
        Step::VoidShipping => observed.then_some(Effect::Confirms(Flow::ShipmentVoided)),
        Step::RetailSelling => {
            let sold = matches!(disposition, None | Some(Disposition::RetailSold));
            (gone && sold).then_some(Effect::Confirms(Flow::Sold))
        }
        Step::Accepting | Step::Inspecting if disposition == Some(Disposition::Returned) => {
            added.then_some(Effect::Confirms(Flow::Returned))
        }
        Step::Inspecting | Step::Removing if lossy => gone.then_some(Effect::Moves(Flow::Lost)),
        Step::Destroying if lossy || disposition.is_none() => gone.then_some(Effect::Moves(Flow::Lost)),
        Step::Accepting if lossy => None,
        Step::Picking | Step::Reserving if disposition == Some(Disposition::Reserved) => {
            observed.then_some(Effect::Reserves)
        }
        Step::Accepting
        | Step::Inspecting
        | Step::Picking
        | Step::Reserving
        | Step::Packing
        | Step::Unpacking
        | Step::Loading
        | Step::Unloading
        | Step::Arriving
        | Step::Departing
        | Step::Transporting
        | Step::StagingOutbound
        | Step::Holding
        | Step::EnteringExiting
        | Step::SensorReporting => observed.then_some(Effect::None),
        // A number is put on a thing or taken off; the thing is where it was.
        Step::Commissioning | Step::Decommissioning | Step::Encoding | Step::Killing => Some(Effect::None),
        Step::Destroying
        | Step::Removing
        | Step::Assembling
        | Step::Collecting
        | Step::Consigning
        | Step::CreatingClassInstance
        | Step::Disassembling
        | Step::Dispensing
        | Step::Installing
        | Step::Other
        | Step::Repackaging
        | Step::Repairing
        | Step::Replacing
        | Step::Sampling => None,
    }
}

/// Is there any action and disposition with which the step's effect is known?
fn is_supported(step: Step) -> bool {
    Action::ALL.iter().any(|action| {
        let dispositions = std::iter::once(None).chain(Disposition::ALL.iter().copied().map(Some));
        dispositions
            .into_iter()
            .any(|disposition| of_things(Some(*action), Some(step), disposition).is_some())
    })
}
