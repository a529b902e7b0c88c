//! Reading records: by name, from a user's text, and as changes of another record.

use super::record::Accelerator;
use crate::{Error, names};
use interplay_formats::placed;
use std::sync::LazyLock;
use toml::{Table, Value};

/// The project's records, in the order of listings.
const FILES: [&str; 17] = [
    include_str!("../../../data/accelerators/systolic-128.toml"),
    include_str!("../../../data/accelerators/systolic-128-sparse24.toml"),
    include_str!("../../../data/accelerators/systolic-128-nofm.toml"),
    include_str!("../../../data/accelerators/a100.toml"),
    include_str!("../../../data/accelerators/h100.toml"),
    include_str!("../../../data/accelerators/h200.toml"),
    include_str!("../../../data/accelerators/b200.toml"),
    include_str!("../../../data/accelerators/tpuv4.toml"),
    include_str!("../../../data/accelerators/tpuv4i.toml"),
    include_str!("../../../data/accelerators/tpuv5e.toml"),
    include_str!("../../../data/accelerators/tpuv5p.toml"),
    include_str!("../../../data/accelerators/tpuv6e.toml"),
    include_str!("../../../data/accelerators/gemmini.toml"),
    include_str!("../../../data/accelerators/eyeriss-like.toml"),
    include_str!("../../../data/accelerators/hbfp-128.toml"),
    include_str!("../../../data/accelerators/vmxdotp-like.toml"),
    include_str!("../../../data/accelerators/s2ta-like.toml"),
];

/// The records read, each with its text.
static ALL: LazyLock<Vec<Accelerator>> = LazyLock::new(|| {
    let mut records = Vec::with_capacity(FILES.len());
    for text in FILES {
        let record = read(text, &records).expect("a record of the project, which a test reads");
        records.push(record);
    }
    records
});

impl Accelerator {
    /// Every machine of the project.
    pub fn all() -> &'static [Accelerator] {
        &ALL
    }

    /// The machine of that name, in any case.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name.
    pub fn by_name(name: &str) -> Result<&'static Accelerator, Error> {
        let known: Vec<_> = ALL.iter().map(|accelerator| (accelerator.name.as_str(), accelerator)).collect();
        names::find("accelerator", name, &known)
    }

    /// The machine that a TOML text describes: whole, or as changes of the machine that its `base` names. There tables
    /// are merged field by field; the entries of `memory` and `units` with the name of one of the base change that one,
    /// further units are added and have their formats from those of the base.
    ///
    /// # Errors
    /// [`Error::Accelerator`] with the place and the nearest field; [`Error::Record`] for a machine that cannot be.
    pub fn from_toml(text: &str) -> Result<Accelerator, Error> {
        read(text, Accelerator::all())
    }

    /// The same machine with one field changed, addressed as in the file: `engine.rows`, `memory.l2.kib`,
    /// `units.block.macs_per_cycle`.
    ///
    /// # Errors
    /// Those of [`Accelerator::from_toml`]; an entry that there is not.
    pub fn with(&self, path: &str, value: Value) -> Result<Accelerator, Error> {
        let mut table = self.table()?;
        let steps: Vec<&str> = path.split('.').collect();
        set(&mut table, &steps, value).map_err(|problem| refused(&self.name, format!("`{path}`: {problem}")))?;
        let changed = built(table, None)?;
        // Nothing else of a record says who multiplies what.
        if ["units", "dequantised", "refused"].contains(&steps[0]) {
            changed.maps()?;
        }
        Ok(changed)
    }

    /// The record as the table of its file.
    fn table(&self) -> Result<Table, Error> {
        Table::try_from(self).map_err(|error| refused(&self.name, error.to_string()))
    }
}

fn refused(name: &str, problem: String) -> Error {
    Error::Accelerator { name: name.to_owned(), problem }
}

/// The record of a text whose base, if it has one, is among `known`.
fn read(text: &str, known: &[Accelerator]) -> Result<Accelerator, Error> {
    let given: Table = toml::from_str(text).map_err(|error| refused("", placed(text, &error)))?;
    let name = given.get("name").and_then(Value::as_str).unwrap_or("").to_owned();
    let Some(base) = given.get("base") else {
        let record = built(given, Some(text))?;
        record.maps()?;
        return Ok(record);
    };
    let Some(base) = base.as_str() else { return Err(refused(&name, "`base` is a name in quotes".to_owned())) };
    let names: Vec<_> = known.iter().map(|machine| (machine.name.as_str(), machine)).collect();
    let base = names::find("accelerator", base, &names)?;
    let mut table = base.table()?;
    for (key, value) in given.into_iter().filter(|(key, _)| key != "base") {
        merge(&mut table, &key, value).map_err(|problem| refused(&name, problem))?;
    }
    let record = built(table, None)?;
    record.maps()?;
    Ok(record)
}

/// The record of a whole table; `text` is what errors point into.
fn built(table: Table, text: Option<&str>) -> Result<Accelerator, Error> {
    let name = table.get("name").and_then(Value::as_str).unwrap_or("").to_owned();
    let read = match text {
        Some(text) => toml::from_str(text).map_err(|error| placed(text, &error)),
        None => table.try_into().map_err(|error: toml::de::Error| error.message().to_owned()),
    };
    let record: Accelerator = read.map_err(|problem| refused(&name, names::with_nearest(&problem)))?;
    record.check()?;
    Ok(record)
}

/// Puts a field of a file over that of the base.
fn merge(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    match (table.get_mut(key), value) {
        (Some(Value::Table(base)), Value::Table(own)) if !changes_kind(base, &own) => {
            own.into_iter().try_for_each(|(key, value)| merge(base, &key, value))
        }
        (Some(Value::Array(base)), Value::Array(own))
            if !own.is_empty() && own.iter().all(|entry| entry_name(entry).is_some()) =>
        {
            own.into_iter().try_for_each(|entry| merge_entry(key, base, entry))
        }
        (_, value) => {
            table.insert(key.to_owned(), value);
            Ok(())
        }
    }
}

/// An engine of another kind replaces the base's; its fields have nothing in common.
fn changes_kind(base: &Table, own: &Table) -> bool {
    own.get("kind").is_some_and(|kind| base.get("kind") != Some(kind))
}

fn merge_entry(list: &str, base: &mut Vec<Value>, entry: Value) -> Result<(), String> {
    let name = entry_name(&entry).unwrap_or_default().to_owned();
    let known: Vec<String> = base.iter().filter_map(entry_name).map(str::to_owned).collect();
    match (base.iter_mut().find(|known| entry_name(known) == Some(&name)), entry) {
        (Some(Value::Table(known)), Value::Table(own)) => {
            own.into_iter().try_for_each(|(key, value)| merge(known, &key, value))
        }
        (_, entry) if list == "units" => {
            let formats = entry.get("formats").and_then(Value::as_array).cloned().unwrap_or_default();
            base.iter_mut().filter_map(Value::as_table_mut).for_each(|unit| give_up(unit, &formats));
            base.insert(0, entry);
            Ok(())
        }
        _ => Err(format!("the base has no {list} entry `{name}`; it has {}", known.join(", "))),
    }
}

/// Leaves pairs of these formats to a unit that a file adds to its base.
fn give_up(unit: &mut Table, formats: &[Value]) {
    let except = unit.entry("except").or_insert_with(|| Value::Array(Vec::new()));
    if let Some(except) = except.as_array_mut() {
        except.extend(formats.iter().filter(|format| format.as_str() != Some("*")).cloned());
    }
}

/// What an entry of a list of tables is called.
fn entry_name(entry: &Value) -> Option<&str> {
    let table = entry.as_table()?;
    table.get("name").or_else(|| table.get("datapath"))?.as_str()
}

/// Sets the field at the end of a path; the last step may be new (an optional field), the others may not.
fn set(table: &mut Table, path: &[&str], value: Value) -> Result<(), String> {
    let (step, rest) = path.split_first().ok_or("an empty path")?;
    if rest.is_empty() {
        table.insert((*step).to_owned(), value);
        return Ok(());
    }
    let known = table.keys().cloned().collect::<Vec<_>>().join(", ");
    match table.get_mut(*step) {
        Some(Value::Table(inner)) => set(inner, rest, value),
        Some(Value::Array(entries)) => {
            let names = entries.iter().filter_map(entry_name).collect::<Vec<_>>().join(", ");
            // Names of datapaths have points: the longest run of steps that is a name.
            for end in (1..rest.len()).rev() {
                let name = rest[..end].join(".");
                if let Some(Value::Table(entry)) = entries.iter_mut().find(|e| entry_name(e) == Some(name.as_str())) {
                    return set(entry, &rest[end..], value);
                }
            }
            Err(format!("`{step}` has no such entry; it has {names}"))
        }
        _ => Err(format!("no table `{step}` here; there are {known}")),
    }
}
