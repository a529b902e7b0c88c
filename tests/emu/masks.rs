//! Masks that are chosen in every step, and masks that stay.

use burn::tensor::{Device, Tensor};
use interplay::emu::{Emulation, matmul};
use interplay::formats::{Format, Order, Pattern, Pipeline};
use interplay::plan::LayerConfig;
use libtest_mimic::{Failed, Trial};

use super::host;

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("emu::a_mask_follows_the_weights", follows),
        Trial::test("emu::a_frozen_mask_stays", frozen),
        Trial::test("emu::a_frozen_mask_is_that_of_the_order", of_the_order),
    ]
}

fn sparse(order: Order, format: &str) -> Result<Emulation, Failed> {
    // Activations stay as they are: an identity then shows the weights.
    let weights = Pipeline::ordered(order, "1:2".parse::<Pattern>()?, Format::by_name(format)?)?;
    Ok(Emulation::new("layer", LayerConfig { weights, ..LayerConfig::fp32() })?)
}

/// What is stored of the weights `[2, 1]`.
fn stored(w: [f32; 2], emulation: &Emulation) -> Vec<f32> {
    let identity = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &Device::flex());
    host(matmul(identity, Tensor::<2>::from_floats([[w[0]], [w[1]]], &Device::flex()), emulation))
}

fn follows() -> Result<(), Failed> {
    let emulation = sparse(Order::None, "fp32")?;
    assert_eq!(stored([1.75, 1.0], &emulation), [1.75, 0.0]);
    assert_eq!(stored([1.75, 3.0], &emulation), [0.0, 3.0]);
    Ok(())
}

fn frozen() -> Result<(), Failed> {
    for (order, format) in [(Order::None, "fp32"), (Order::Sq, "hbfp8"), (Order::Qs, "hbfp8")] {
        let start = Tensor::<2>::from_floats([[1.75], [1.0]], &Device::flex());
        let emulation = sparse(order, format)?.frozen(&start)?;
        assert_eq!(stored([1.75, 1.0], &emulation), [1.75, 0.0], "{format}");
        assert_eq!(stored([1.75, 3.0], &emulation), [1.75, 0.0], "{format}");
    }
    Ok(())
}

/// Rounding to INT4 makes 6.6 and 7 equal, so that the lower index is pruned; before it the smaller one is.
fn of_the_order() -> Result<(), Failed> {
    let start = Tensor::<2>::from_floats([[7.0], [6.6]], &Device::flex());
    let first = |order| Ok::<_, Failed>(stored([7.0, 7.0], &sparse(order, "int4")?.frozen(&start)?));
    assert_eq!(first(Order::Sq)?, [7.0, 0.0]);
    assert_eq!(first(Order::Qs)?, [0.0, 7.0]);
    Ok(())
}
