//! What `cost --out` writes: layers as CSV, and four figures.

mod csv;
mod energy;
mod heat;
mod roofline;
mod waterfall;

use interplay_hw::cost::{Accelerator, Cost};

use crate::report::figure::Figure;

/// The figures by name.
pub fn figures(work: &str, machine: &Accelerator, cost: &Cost) -> [(&'static str, Figure); 4] {
    [
        ("roofline.svg", roofline::draw(work, machine, cost)),
        ("energy.svg", energy::draw(work, machine, cost)),
        ("losses.svg", waterfall::draw(work, machine, cost)),
        ("utilisation.svg", heat::draw(work, machine, cost)),
    ]
}

/// Every file by name with its text.
pub fn files(work: &str, machine: &Accelerator, cost: &Cost) -> Vec<(&'static str, String)> {
    let figures = figures(work, machine, cost).into_iter().map(|(name, figure)| (name, figure.svg()));
    [("layers.csv", csv::layers(cost))].into_iter().chain(figures).collect()
}

#[cfg(test)]
mod tests {
    use interplay_formats::Format;
    use interplay_hw::cost::{CycleModel, Gemm, Layer, PriceList, Workload, cost};

    use super::*;

    /// A transformer's products on several machines: names of layers lie close on the roofline.
    #[test]
    fn no_text_overlaps_a_mark_an_axis_or_another_text() {
        let format = |name| Format::by_name(name).unwrap();
        let shapes =
            [("q_proj", 192, 192), ("k_proj", 192, 192), ("out_proj", 192, 192), ("fc1", 192, 768), ("fc2", 768, 192)];
        let gemms =
            (0..6).flat_map(|block| shapes.map(|(name, k, n)| Gemm::new(format!("layers.{block}.{name}"), 197, k, n)));
        for (name, own) in [("systolic-128", "hbfp6"), ("h100", "int8"), ("b200", "mxfp8")] {
            let mut layers: Vec<Layer> =
                gemms.clone().map(|gemm| Layer::dense(gemm, format(own), format(own)).unwrap()).collect();
            layers.push(Layer::dense(Gemm::new("head", 1, 192, 1000), format("bf16"), format("bf16")).unwrap());
            let machine = Accelerator::by_name(name).unwrap();
            let model = CycleModel::by_name(&machine.cycle_model).unwrap();
            let counted =
                cost(&Workload::from(layers), machine, model, PriceList::by_name("horowitz45").unwrap()).unwrap();
            for (file, figure) in figures("model", machine, &counted) {
                let found = figure.scene().collisions();
                assert!(found.is_empty(), "{name}, {file}: {found:#?}");
                assert!(!figure.svg().contains("NaN"), "{name}, {file}");
            }
        }
    }
}
