//! What the papers of inventory control say.

use super::{
    codes::{AdjustmentReason, Coded, DocumentStatus, InventoryKind, Room, Text, UnitType},
    retail::{ItemId, Measured},
};
use crate::ids::Quantity;

/// A place that goods come from or go to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    pub kind: Option<Coded<'a, UnitType>>,
    pub id: Text<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryDocument<'a> {
    pub kind: InventoryKind,
    /// `None` is posted.
    pub status: Option<Coded<'a, DocumentStatus>>,
    /// `DocumentType`, the loss's `TypeCode`, the count's `CountType`.
    pub type_code: Option<Text<'a>>,
    /// Of an adjustment.
    pub reason: Option<Coded<'a, AdjustmentReason>>,
    pub id: Option<Text<'a>>,
    pub source: Option<Place<'a>>,
    pub destination: Option<Place<'a>>,
    pub room: Room,
    pub lines: Vec<InventoryLine<'a>>,
}

impl InventoryDocument<'_> {
    pub const fn new(kind: InventoryKind) -> Self {
        Self {
            kind,
            status: None,
            type_code: None,
            reason: None,
            id: None,
            source: None,
            destination: None,
            room: Room::Floor,
            lines: Vec::new(),
        }
    }

    /// The number of the despatch advice, if that is what the document is known by.
    pub fn despatch_advice(&self) -> Option<u64> {
        matches!(self.kind, InventoryKind::Receive | InventoryKind::Transfer)
            .then(|| super::decimal::number(self.id.as_deref()?))
            .flatten()
    }

    /// It confirms a delivery between places of ours, whose goods are moved by the scan at the door. What a supplier brings has
    /// no other paper.
    pub fn is_confirmation(&self) -> bool {
        let source = self.source.as_ref().and_then(|place| place.kind.as_ref());
        self.kind == InventoryKind::Receive
            && self.despatch_advice().is_some()
            && matches!(
                source,
                Some(Coded::Known(UnitType::RetailStore | UnitType::DistributionCenter))
            )
    }
}

/// Which of the quantities moves depends on the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InventoryLine<'a> {
    pub item: ItemId<'a>,
    pub ordered: Option<Measured<'a>>,
    pub received: Option<Measured<'a>>,
    /// `DispositionQuantity`: what left or was corrected.
    pub disposed: Option<Measured<'a>>,
    /// `Quantity`: what was counted or lost.
    pub quantity: Option<Measured<'a>>,
    /// What the till's books had when it was counted, in the unit of the quantity.
    pub book: Option<Quantity>,
}
