//! Reading lists: those of the project, a user's, and one as changes of another.

use super::{Price, PriceList, Sram};
use crate::{Error, names};
use interplay_formats::placed;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use toml::{Table, Value};

const FILES: [&str; 4] = [
    include_str!("../../../data/prices/horowitz45.toml"),
    include_str!("../../../data/prices/jouppi7.toml"),
    include_str!("../../../data/prices/aladdin40.toml"),
    include_str!("../../../data/prices/npuwattch10.toml"),
];

/// Main memories, which no list of operations owns.
static DRAM: LazyLock<BTreeMap<String, Price>> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../data/prices/dram.toml")).expect("a file of the project, which a test reads")
});

/// The project's lists, the default first.
pub(super) static ALL: LazyLock<Vec<PriceList>> = LazyLock::new(|| {
    FILES.into_iter().map(|text| read(text, &[]).expect("a list of the project, which a test reads")).collect()
});

impl PriceList {
    /// The list that a TOML text describes: whole, or as changes of the list that its `base` names. There tables are
    /// merged field by field, and everything else is replaced.
    ///
    /// # Errors
    /// [`Error::Prices`] with the place, and the nearest field for one that there is not; [`Error::UnknownName`] for an
    /// unknown base.
    pub fn from_toml(text: &str) -> Result<PriceList, Error> {
        read(text, &ALL)
    }
}

fn refused(name: &str, problem: impl Into<String>) -> Error {
    Error::Prices { name: name.to_owned(), problem: problem.into() }
}

fn read(text: &str, known: &[PriceList]) -> Result<PriceList, Error> {
    let given: Table = toml::from_str(text).map_err(|error| refused("", placed(text, &error)))?;
    let name = given.get("name").and_then(Value::as_str).unwrap_or("").to_owned();
    let misread = |problem: String| refused(&name, names::with_nearest(&problem));
    let mut list: PriceList = match given.get("base") {
        None => toml::from_str(text).map_err(|error| misread(placed(text, &error)))?,
        Some(Value::String(base)) => {
            let known: Vec<_> = known.iter().map(|list| (list.name.as_str(), list)).collect();
            let base = names::find("price list", base, &known)?;
            let mut table = Table::try_from(base).map_err(|error| refused(&name, error.to_string()))?;
            merge(&mut table, given);
            table.remove("base");
            table.try_into().map_err(|error: toml::de::Error| misread(error.message().to_owned()))?
        }
        Some(_) => return Err(refused(&name, "`base` is the name of a list, in quotes")),
    };
    for (technology, price) in DRAM.iter() {
        list.dram.entry(technology.clone()).or_insert_with(|| price.clone());
    }
    list.check()?;
    Ok(list)
}

/// Puts a file over its base. Memories of another model have nothing in common and are replaced.
fn merge(base: &mut Table, own: Table) {
    for (key, value) in own {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(own))
                if own.get("model").is_none_or(|m| base.get("model") == Some(m)) =>
            {
                merge(base, own);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

impl PriceList {
    /// Refuses what cannot be.
    fn check(&self) -> Result<(), Error> {
        let refused = |problem: String| Err(refused(&self.name, problem));
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if self.name.is_empty() || !self.name.chars().all(fits) {
            return refused("`name` is one or more small letters, digits, `-`, `_` and `.`".to_owned());
        }
        if self.source.trim().is_empty() {
            return refused("`source` says where the figures come from".to_owned());
        }
        if super::super::scale::Technology::new(self.node_nm, self.volts).is_err() {
            return refused("`node_nm` is 2 to 130 and `volts` 0.4 to 1.4".to_owned());
        }
        for (place, price) in self.prices() {
            if let Some(problem) = price.problem() {
                return refused(format!("`{place}`: {problem}"));
            }
        }
        if !self.dram.contains_key(&self.main_memory) {
            let problem =
                self.dram(&self.main_memory).map_or_else(|error| error.to_string(), |_| "use small letters".to_owned());
            return refused(format!("`main_memory`: {problem}"));
        }
        self.sram.problem().map_or(Ok(()), |problem| refused(format!("`sram`: {problem}")))
    }
}

impl Price {
    /// What is wrong with it.
    fn problem(&self) -> Option<&'static str> {
        if self.bits == 0 {
            return Some("`bits` is at least 1");
        }
        if !self.energy.is_sound() || self.area.is_some_and(|area| !area.is_sound()) {
            return Some("a band has 0 <= low <= typical <= high, all finite");
        }
        self.source.trim().is_empty().then_some("`source` says where the figure comes from")
    }
}

impl Sram {
    fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Cacti { node_nm } => (!(2.0..=130.0).contains(node_nm)).then_some("`node_nm` is 2 to 130"),
            Self::Points { points } if points.is_empty() => Some("`points` lists one macro or more"),
            Self::Points { points } => {
                let sound = points.iter().all(|p| p.kib > 0 && p.bits > 0 && p.pj.is_sound() && p.pj.low > 0.0);
                let rising = points.windows(2).all(|pair| pair[0].kib < pair[1].kib);
                if !(sound && rising) {
                    return Some("`points` have sizes above 0 that rise, `bits` above 0 and bands above 0");
                }
                points.iter().any(|p| p.source.trim().is_empty()).then_some("every point has a `source`")
            }
        }
    }
}
