//! What the lines of `results.jsonl` say of single layers.

use serde_json::{Map, Value, json};

/// Names of a cell's parts, in the order in which a label gives them.
const LABELS: [&str; 8] = ["model", "recipe", "format", "sparsity", "order", "accelerator", "datapath", "data"];

/// The cells that have layers: a label, the columns, and the rows as text.
pub fn cells(results: &[Value]) -> Value {
    let cells = results.iter().enumerate().filter_map(|(at, result)| {
        let rows: Vec<_> = ["layers", "rows"]
            .into_iter()
            .find_map(|name| result.get(name)?.as_array())?
            .iter()
            .filter_map(Value::as_object)
            .collect();
        (!rows.is_empty()).then(|| cell(&label(at, result), &rows))
    });
    cells.collect()
}

fn cell(label: &str, rows: &[&Map<String, Value>]) -> Value {
    let mut columns: Vec<&str> = Vec::new();
    for key in rows.iter().flat_map(|row| row.keys()) {
        if !columns.contains(&key.as_str()) {
            columns.push(key);
        }
    }
    let text = |row: &Map<String, Value>, name: &str| row.get(name).map_or(String::new(), text);
    let rows: Vec<Vec<String>> = rows.iter().map(|row| columns.iter().map(|name| text(row, name)).collect()).collect();
    json!({ "label": label, "columns": columns, "rows": rows })
}

fn label(at: usize, result: &Value) -> String {
    let parts: Vec<_> = LABELS.iter().filter_map(|name| result.get(name)).filter(|v| !v.is_null()).map(text).collect();
    if parts.is_empty() { format!("cell {}", at + 1) } else { parts.join(" · ") }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_and_rows_become_tables() {
        let results = [
            json!({"model": "lm", "format": "int8", "layers": [{"layer": "q", "bits": 8}, {"layer": "k", "macs": 2}]}),
            json!({"rows": [{"a": null}], "study": "x"}),
            json!({"model": "lm", "layers": []}),
            json!(3),
        ];
        let expected = json!([
            {"label": "lm · int8", "columns": ["layer", "bits", "macs"], "rows": [["q", "8", ""], ["k", "", "2"]]},
            {"label": "cell 2", "columns": ["a"], "rows": [[""]]},
        ]);
        assert_eq!(cells(&results), expected);
    }
}
