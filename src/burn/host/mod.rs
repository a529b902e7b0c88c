//! The fixed host: what no unit computes, with the same bits on every machine.
//!
//! Burn's CPU backend leaves products, reductions and elementary functions to libraries that choose by the CPU, and with the choice their
//! roundings change. On [`Host::Fixed`] the executor takes these operations over: [`treat`] decides for each operation that a graph can
//! hold, [`ops`] computes it with [`interplay_hw::host`]. Every other operation stays Burn's, where each number of the output is one
//! IEEE operation, one comparison, one copy, or a loop in an order of its own.

mod ops;
mod treat;

pub(crate) use ops::{convolution, fill, layer_norm, matmul, power, reduce, reduce_all, softmax};
pub(crate) use treat::{Treatment, treat};

use crate::Error;
use crate::load::nearest;

/// Who computes what no modelled unit does, on Burn's CPU backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Host {
    /// This project's own operations: one fixed sequence of IEEE operations each, the same bits everywhere.
    #[default]
    Fixed,
    /// Burn's own: the bits of eager Burn on this machine.
    Burn,
}

impl Host {
    /// Every host.
    pub const ALL: [Self; 2] = [Self::Fixed, Self::Burn];

    /// The name: `fixed` or `burn`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Burn => "burn",
        }
    }

    /// A host by its name, in any case.
    ///
    /// # Errors
    /// There is no such host.
    pub fn by_name(name: &str) -> Result<Self, Error> {
        let given = name.trim().to_lowercase();
        Self::ALL.into_iter().find(|host| host.name() == given).ok_or_else(|| {
            let near = nearest(&given, Self::ALL.into_iter().map(Self::name));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Error::Invalid(format!("there is no host `{name}`: give `fixed` or `burn`{near}"))
        })
    }
}
