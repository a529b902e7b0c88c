//! `interplay list methods`: what a recipe of `compress` can say.

use anyhow::{Result, bail};
use interplay::compress::recipe::{METHODS, Method};
use serde_json::{Value, json};

use crate::report::table::Table;

/// All methods, a line each; with a `word` that method's arguments.
///
/// # Errors
/// There is no such method.
pub(super) fn list(word: Option<&str>) -> Result<(Table, Value)> {
    let Some(name) = word else {
        let mut table = Table::new("", ["method", "what it does", "example"]).text();
        for method in METHODS {
            table.row([method.name, method.about, method.example]);
        }
        return Ok((table, METHODS.iter().map(described).collect()));
    };
    let Some(method) = METHODS.iter().find(|method| method.name == name.trim().to_lowercase()) else {
        let known = METHODS.iter().map(|method| method.name).collect::<Vec<_>>().join(", ");
        bail!("there is no method `{name}`; it is one of {known}")
    };
    let mut table = Table::new(format!("{}: {}", method.example, method.about), ["argument", "what it says"]).text();
    for parameter in method.parameters {
        table.row([parameter.name, parameter.about]);
    }
    Ok((table, described(method)))
}

fn described(method: &Method) -> Value {
    let parameters: Vec<_> = method.parameters.iter().map(|p| json!({"name": p.name, "about": p.about})).collect();
    json!({"name": method.name, "about": method.about, "example": method.example, "parameters": parameters})
}
