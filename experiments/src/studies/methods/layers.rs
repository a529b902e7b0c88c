//! What moving errors gains, layer by layer: SparseGPT against its bare mask, GPTQ against rounding to nearest.

use std::fmt::Write;

use interplay::compression::LayerReport;

use super::run::Model;
use crate::report::csv::field;

/// How often an update pays.
pub(super) struct Share {
    /// What is compared.
    pub(super) name: &'static str,
    /// Layers of all recipes together.
    pub(super) layers: usize,
    /// Those in which the update wins.
    pub(super) wins: usize,
    /// The others: recipe, layer, error with and without the update.
    pub(super) exceptions: Vec<(String, String, f64, f64)>,
}

/// The shares of recipes of one step, where nothing else is in the numbers.
pub(super) fn shares(model: &Model) -> Vec<Share> {
    let of = |name, step: &str| {
        let mut share = Share { name, layers: 0, wins: 0, exceptions: Vec::new() };
        let single = |recipe: &str| recipe.starts_with(&format!("[{step}(")) && !recipe.contains(", ");
        for measured in model.cells.iter().filter(|m| single(m.recipe())) {
            for (report, with, without) in measured.reports.iter().filter_map(gained) {
                share.layers += 1;
                if with < without {
                    share.wins += 1;
                } else {
                    share.exceptions.push((measured.recipe().to_owned(), report.layer.clone(), with, without));
                }
            }
        }
        share
    };
    let all = [of("SparseGPT against its bare mask", "sparsegpt"), of("GPTQ against rounding to nearest", "gptq")];
    all.into_iter().filter(|share| share.layers > 0).collect()
}

fn gained(report: &LayerReport) -> Option<(&LayerReport, f64, f64)> {
    Some((report, report.output_error?, report.without_update?))
}

/// One line a layer and recipe; errors that nobody needed to know are empty.
pub(super) fn csv(models: &[Model]) -> String {
    let mut out = String::from("model,recipe,layer,rows,k,sparsity,weight_error,output_error,without_update,on_grid\n");
    let number = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
    for model in models {
        for measured in &model.cells {
            for r in &measured.reports {
                let grid = r.on_grid.map_or("", |on| if on { "yes" } else { "no" });
                let (with, without) = (number(r.output_error), number(r.without_update));
                let (name, recipe) = (field(&model.name), field(measured.recipe()));
                let _ = writeln!(
                    out,
                    "{name},{recipe},{},{},{},{},{},{with},{without},{grid}",
                    r.layer, r.rows, r.k, r.sparsity, r.weight_error
                );
            }
        }
    }
    out
}
