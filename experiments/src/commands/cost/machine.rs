//! The machine, the cycle model and the prices, by name or by file.

use std::path::Path;

use anyhow::{Context, Result};
use interplay_hw::cost::{Accelerator, CycleModel, PriceList};

use crate::cell::Machine;

/// The machine that is costed, by name.
#[derive(Debug, Clone, clap::Args)]
pub struct MachineNames {
    /// The accelerator, or a TOML file that describes one; `interplay list accelerators` shows all.
    #[arg(long, alias = "accelerators", value_name = "NAME|FILE.toml", default_value = "systolic-128-sparse24")]
    accelerator: String,

    /// The price list of energy, or a TOML file with one; `interplay list prices` shows all.
    #[arg(long, value_name = "NAME|FILE.toml", default_value = "horowitz45")]
    prices: String,

    /// How cycles are counted; `interplay list cycle-models` shows all [default: the machine's own].
    #[arg(long, value_name = "NAME")]
    cycle_model: Option<String>,
}

/// A machine with the way in which it is counted and priced.
pub struct Chosen {
    /// The machine.
    pub machine: Accelerator,
    /// How cycles are counted.
    pub model: &'static CycleModel,
    /// What an event costs.
    pub prices: PriceList,
}

impl MachineNames {
    /// Those names.
    pub fn new(accelerator: &str, prices: &str, cycle_model: Option<&str>) -> Self {
        Self {
            accelerator: accelerator.to_owned(),
            prices: prices.to_owned(),
            cycle_model: cycle_model.map(str::to_owned),
        }
    }

    /// Looks the names up and reads the files.
    ///
    /// # Errors
    /// An unknown name, a file that cannot be read, a record that cannot be.
    pub fn resolve(&self) -> Result<Chosen> {
        let (machine, prices) = (machine_of(&self.accelerator)?, prices_of(&self.prices)?);
        let model = CycleModel::by_name(self.cycle_model.as_deref().unwrap_or(&machine.cycle_model))?;
        Ok(Chosen { machine, model, prices })
    }

    /// The same for a whole run.
    ///
    /// # Errors
    /// Those of [`MachineNames::resolve`].
    pub fn machine(&self) -> Result<Machine> {
        let Chosen { machine, model, prices } = self.resolve()?;
        Ok(Machine { accelerator: machine.into(), cycle_model: model, prices: prices.into() })
    }
}

/// A machine by name or by file.
///
/// # Errors
/// An unknown name, a file that cannot be read, a machine that cannot be.
pub fn machine_of(name: &str) -> Result<Accelerator> {
    match text_of(name)? {
        Some(text) => Accelerator::from_toml(&text).with_context(|| name.to_owned()),
        None => Ok(Accelerator::by_name(name)?.clone()),
    }
}

/// A price list by name or by file.
///
/// # Errors
/// An unknown name, a file that cannot be read, a list that cannot be.
pub fn prices_of(name: &str) -> Result<PriceList> {
    match text_of(name)? {
        Some(text) => PriceList::from_toml(&text).with_context(|| name.to_owned()),
        None => Ok(PriceList::by_name(name)?.clone()),
    }
}

/// The text of a file, where the name is that of one.
fn text_of(name: &str) -> Result<Option<String>> {
    let path = Path::new(name);
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
        return Ok(None);
    }
    interplay::load::read_to_string(path).map(Some).with_context(|| format!("cannot read {name}"))
}
