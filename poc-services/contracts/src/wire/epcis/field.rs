//! The fields that an event may have, and which kind has which, as in the standard's schema.

use super::vocabulary::EventKind;

/// A field of the standard's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Context,
    Type,
    EventTime,
    RecordTime,
    Offset,
    EventId,
    CertificationInfo,
    ErrorDeclaration,
    Action,
    BizStep,
    Disposition,
    PersistentDisposition,
    ReadPoint,
    BizLocation,
    BizTransactionList,
    SourceList,
    DestinationList,
    SensorElementList,
    Ilmd,
    EpcList,
    QuantityList,
    ParentId,
    ChildEpcs,
    ChildQuantityList,
    InputEpcList,
    InputQuantityList,
    OutputEpcList,
    OutputQuantityList,
    TransformationId,
}

const NAMES: [(&str, Field); 29] = [
    ("@context", Field::Context),
    ("type", Field::Type),
    ("eventTime", Field::EventTime),
    ("recordTime", Field::RecordTime),
    ("eventTimeZoneOffset", Field::Offset),
    ("eventID", Field::EventId),
    ("certificationInfo", Field::CertificationInfo),
    ("errorDeclaration", Field::ErrorDeclaration),
    ("action", Field::Action),
    ("bizStep", Field::BizStep),
    ("disposition", Field::Disposition),
    ("persistentDisposition", Field::PersistentDisposition),
    ("readPoint", Field::ReadPoint),
    ("bizLocation", Field::BizLocation),
    ("bizTransactionList", Field::BizTransactionList),
    ("sourceList", Field::SourceList),
    ("destinationList", Field::DestinationList),
    ("sensorElementList", Field::SensorElementList),
    ("ilmd", Field::Ilmd),
    ("epcList", Field::EpcList),
    ("quantityList", Field::QuantityList),
    ("parentID", Field::ParentId),
    ("childEPCs", Field::ChildEpcs),
    ("childQuantityList", Field::ChildQuantityList),
    ("inputEPCList", Field::InputEpcList),
    ("inputQuantityList", Field::InputQuantityList),
    ("outputEPCList", Field::OutputEpcList),
    ("outputQuantityList", Field::OutputQuantityList),
    ("transformationID", Field::TransformationId),
];

impl Field {
    pub(super) fn of(key: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, field)| *field)
    }

    pub(super) fn name(self) -> &'static str {
        NAMES[self as usize].0
    }
}

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(u32);

impl Fields {
    const fn all(fields: &[Field]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < fields.len() {
            bits |= 1 << fields[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    pub(super) const fn of(kind: EventKind) -> Self {
        const COMMON: Fields = Fields::all(&[
            Field::Context,
            Field::Type,
            Field::EventTime,
            Field::RecordTime,
            Field::Offset,
            Field::EventId,
            Field::CertificationInfo,
            Field::ErrorDeclaration,
            Field::BizStep,
            Field::Disposition,
            Field::ReadPoint,
            Field::BizLocation,
            Field::BizTransactionList,
            Field::SourceList,
            Field::DestinationList,
            Field::SensorElementList,
        ]);
        let own: &[Field] = match kind {
            EventKind::Object => &[
                Field::Action,
                Field::EpcList,
                Field::QuantityList,
                Field::PersistentDisposition,
                Field::Ilmd,
            ],
            EventKind::Aggregation | EventKind::Association => &[
                Field::Action,
                Field::ParentId,
                Field::ChildEpcs,
                Field::ChildQuantityList,
            ],
            EventKind::Transaction => &[
                Field::Action,
                Field::ParentId,
                Field::EpcList,
                Field::QuantityList,
            ],
            EventKind::Transformation => &[
                Field::InputEpcList,
                Field::InputQuantityList,
                Field::OutputEpcList,
                Field::OutputQuantityList,
                Field::TransformationId,
                Field::PersistentDisposition,
                Field::Ilmd,
            ],
        };
        Self(COMMON.0 | Self::all(own).0)
    }

    pub(super) const fn has(self, field: Field) -> bool {
        self.0 & (1 << field as u32) != 0
    }

    /// Was it new?
    pub(super) const fn insert(&mut self, field: Field) -> bool {
        let new = !self.has(field);
        self.0 |= 1 << field as u32;
        new
    }

    pub(super) fn first_outside(self, allowed: Self) -> Option<Field> {
        NAMES
            .iter()
            .map(|(_, field)| *field)
            .find(|field| self.has(*field) && !allowed.has(*field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_own_name() {
        for (index, (name, field)) in NAMES.iter().enumerate() {
            assert_eq!(*field as usize, index);
            assert_eq!(Field::of(name).map(Field::name), Some(*name));
        }
    }
}
