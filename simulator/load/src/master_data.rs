//! What the services know of the world before anything happens.

use std::ops::RangeInclusive;
use std::time::Duration;

use backbone::{Backbone, BackboneError};
use contracts::ids::SourceId;
use contracts::records::{self, Article, ExpectedSource, SourceKind};
use contracts::topics::{CATALOGUE, PLACES, partition_of};
use prost::Message as _;
use world::events::Place;

/// Publishes what the services know of articles.
pub fn publish_catalogue(backbone: &Backbone, articles: &[Article]) -> Result<(), BackboneError> {
    let mut producer = backbone.producer("stockstream-catalogue")?;
    for article in articles {
        let key = article.sku.to_string();
        producer.send(CATALOGUE, 0, key.as_bytes(), &article.encode_to_vec(), None, &[])?;
    }
    producer.flush(Duration::from_secs(30))
}

/// Publishes which sources each place has: master data.
pub fn publish_places(backbone: &Backbone, places: &[Place]) -> Result<(), BackboneError> {
    let mut producer = backbone.producer("stockstream-places")?;
    for place in places {
        let key = place.location.to_string();
        let record = place_record(place).encode_to_vec();
        let partition = partition_of(place.location);
        producer.send(PLACES, partition, key.as_bytes(), &record, None, &[])?;
    }
    producer.flush(Duration::from_secs(30))
}

/// A place and its sources, whose numbers begin at 1.
fn place_record(place: &Place) -> records::Place {
    let sources = |kind: SourceKind, units: RangeInclusive<u16>| {
        units.map(move |unit| ExpectedSource {
            source_kind: kind.into(),
            source_unit: unit.into(),
            first_number: 1,
        })
    };
    let queue = (!place.location.is_store()).then_some(SourceId::queue(place.location).unit);
    records::Place {
        location: place.location.to_string(),
        sources: sources(SourceKind::Till, 1..=place.tills)
            .chain(
                queue
                    .into_iter()
                    .flat_map(|unit| sources(SourceKind::Queue, unit..=unit)),
            )
            .chain(sources(SourceKind::Reader, 1..=place.readers))
            .collect(),
        name: place.name.clone(),
        region: place.region.clone(),
        data_centre: place.data_centre.into(),
    }
}

#[cfg(test)]
mod tests {
    use contracts::ids::LocationId;

    use super::*;

    fn sources(location: LocationId, tills: u16, readers: u16) -> Vec<(SourceKind, u32, u64)> {
        let place = Place {
            location,
            data_centre: 2,
            region: "north-2".into(),
            name: "Leeds Market Street".into(),
            tills,
            readers,
        };
        let record = place_record(&place);
        assert_eq!((record.location, record.data_centre), (location.to_string(), 2));
        record
            .sources
            .iter()
            .map(|s| (s.source_kind(), s.source_unit, s.first_number))
            .collect()
    }

    #[test]
    fn a_store_has_tills_and_readers_and_a_warehouse_has_its_queue() {
        assert_eq!(
            sources(LocationId::store(42), 2, 1),
            [
                (SourceKind::Till, 1, 1),
                (SourceKind::Till, 2, 1),
                (SourceKind::Reader, 1, 1)
            ]
        );
        assert_eq!(
            sources(LocationId::warehouse(7), 0, 0),
            [(SourceKind::Queue, 0, 1)]
        );
    }
}
