//! As much of JSON Schema as the schema of scenarios uses, patterns of text apart.

use serde_json::Value;

/// Where and how a value departs from the schema; `None` if it does not.
pub fn difference(schema: &Value, value: &Value) -> Option<String> {
    check(schema, schema, value, "").err()
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(path) = schema["$ref"].as_str() {
        let target = root
            .pointer(path.trim_start_matches('#'))
            .expect("a reference within the schema");
        check(root, target, value, at)?;
    }
    let conforms = |schema: &&Value| check(root, schema, value, at).is_ok();
    if let Some(choices) = schema["oneOf"].as_array()
        && choices.iter().filter(conforms).count() != 1
    {
        return Err(format!("{at}: {value} is not one of the choices"));
    }
    if let Some(choices) = schema["anyOf"].as_array()
        && !choices.iter().any(|choice| conforms(&choice))
    {
        return Err(format!("{at}: {value} is none of the choices"));
    }
    if let Some(constant) = schema.get("const")
        && constant != value
    {
        return Err(format!("{at}: {value} is not {constant}"));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return Err(format!("{at}: {value} is not one of {values:?}"));
    }
    types(schema, value, at)?;
    bounds(schema, value, at)?;
    if let Some(items) = value.as_array() {
        for (index, item) in items.iter().enumerate() {
            check(root, &schema["items"], item, &format!("{at}/{index}"))?;
        }
    }
    members(root, schema, value, at)
}

fn types(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        other => panic!("unknown type {other:?}"),
    };
    let right = match &schema["type"] {
        Value::Null => true,
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    };
    if right {
        Ok(())
    } else {
        Err(format!("{at}: {value} is no {}", schema["type"]))
    }
}

fn bounds(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let Some(number) = value.as_f64() else {
        return Ok(());
    };
    let below = schema["minimum"].as_f64().is_some_and(|least| number < least);
    let above = schema["maximum"].as_f64().is_some_and(|most| number > most);
    if below || above {
        Err(format!("{at}: {number} is out of bounds"))
    } else {
        Ok(())
    }
}

fn members(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let Some(members) = value.as_object() else {
        return Ok(());
    };
    for required in schema["required"].as_array().into_iter().flatten() {
        if !required.as_str().is_some_and(|key| members.contains_key(key)) {
            return Err(format!("{at}: {required} is missing"));
        }
    }
    let patterns = schema["patternProperties"].as_object();
    for (key, member) in members {
        let at = format!("{at}/{key}");
        let by_name = schema["properties"].get(key);
        let by_pattern = patterns.and_then(|patterns| patterns.values().next());
        match by_name.or(by_pattern) {
            Some(inner) => check(root, inner, member, &at)?,
            None if schema["additionalProperties"] == Value::Bool(false) => {
                return Err(format!("{at}: unknown key"));
            }
            None => {}
        }
    }
    Ok(())
}
