//! The JSON Schema of scenario files, for editors that complete and check while one writes.

use crate::scenario::Scenario;

/// Generated from the types. `scenarios/scenario.schema.json` holds it.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Scenario);
    schema.insert("title".to_owned(), "stockstream scenario".into());
    schema.to_value()
}

/// The keys that stand below a key of the top, each with that key: `(world, stores)`.
pub(crate) fn keys_below() -> Vec<(String, String)> {
    let schema = schema();
    let keys = |object: &serde_json::Value| -> Vec<String> {
        object["properties"]
            .as_object()
            .map(|keys| keys.keys().cloned().collect())
            .unwrap_or_default()
    };
    let mut all = Vec::new();
    for parent in keys(&schema) {
        let property = &schema["properties"][&parent];
        let reference = [property, &property["anyOf"][0], &property["items"]]
            .into_iter()
            .find_map(|holder| holder["$ref"].as_str());
        if let Some(target) = reference.and_then(|path| schema.pointer(path.trim_start_matches('#'))) {
            all.extend(keys(target).into_iter().map(|key| (parent.clone(), key)));
        }
    }
    all
}
