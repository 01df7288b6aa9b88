//! Fields of a definition that nothing reads: a slip of the pen, or of another version.

use serde_json::{Map, Value};

/// The JSON paths of all fields that the schema does not name.
pub(crate) fn fields(document: &Value, schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Walk { root: schema, found: &mut found }.look(document, &[schema], "");
    found
}

struct Walk<'a> {
    root: &'a Value,
    found: &'a mut Vec<String>,
}

impl<'a> Walk<'a> {
    /// Looks at a value that any of the schemas may describe.
    fn look(&mut self, value: &Value, schemas: &[&'a Value], path: &str) {
        let schemas: Vec<&'a Value> = schemas.iter().flat_map(|schema| self.alternatives(schema)).collect();
        match value {
            Value::Object(map) => self.look_into(map, &schemas, path),
            Value::Array(items) => {
                let inner: Vec<&'a Value> = schemas.iter().filter_map(|schema| schema.get("items")).collect();
                for (at, item) in items.iter().enumerate() {
                    self.look(item, &inner, &format!("{path}[{at}]"));
                }
            }
            _ => {}
        }
    }

    fn look_into(&mut self, map: &Map<String, Value>, schemas: &[&'a Value], path: &str) {
        let objects: Vec<&'a Value> = schemas
            .iter()
            .copied()
            .filter(|schema| {
                schema.get("properties").is_some() || schema.get("additionalProperties").is_some()
            })
            .collect();
        for (key, value) in map {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let named =
                |schema: &&'a Value| schema["properties"].get(key).or(schema.get("additionalProperties"));
            let inner: Vec<&'a Value> = objects.iter().filter_map(named).collect();
            if inner.is_empty() {
                self.found.push(path);
            } else {
                self.look(value, &inner, &path);
            }
        }
    }

    /// A schema, or what it refers to, or each that it offers.
    fn alternatives(&self, schema: &'a Value) -> Vec<&'a Value> {
        if let Some(target) = schema["$ref"].as_str().and_then(|text| text.strip_prefix('#')) {
            return self.root.pointer(target).map(|schema| self.alternatives(schema)).unwrap_or_default();
        }
        match schema["anyOf"].as_array() {
            Some(offered) => offered.iter().flat_map(|schema| self.alternatives(schema)).collect(),
            None => vec![schema],
        }
    }
}
