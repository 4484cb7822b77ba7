//! The JSON Schema of scenario files, for editors that complete and check while one writes.

use crate::scenario::Scenario;

/// Generated from the types. `scenarios/scenario.schema.json` holds it.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Scenario);
    schema.insert("title".to_owned(), "stockstream scenario".into());
    schema.to_value()
}
