//! Every named datapath: records and nothing else.

mod amd;
mod build;
mod ieee;
mod nvidia;
mod own;

pub(super) use own::{BLOCK, FAKE, FP32, INT8};

use super::Datapath;
use std::sync::LazyLock;

/// All of them, in the order of listings: this project's own first, then machines by vendor and age.
pub(super) static ALL: LazyLock<Vec<&'static Datapath>> = LazyLock::new(|| {
    let own = own::ALL.into_iter();
    let machines = ieee::records().into_iter().chain(nvidia::records()).chain(amd::records());
    own.chain(machines.map(|record| &*Box::leak(Box::new(record)))).collect()
});
