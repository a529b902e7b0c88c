//! Learned sparsity on a block: how much of each row goes, by the block's own output error.

use super::super::learned::{BlockLoss, Sample};
use super::super::work::Work;
use crate::Error;
use crate::burn::Stage;
use crate::compress::Criterion;
use crate::compress::learn::{Linear, Options, ascending, learn as run};

/// Learns and applies the masks of every layer. `stage` gives the block's other parameters; its vectors are those that steps before have
/// changed.
pub(super) fn learn(
    work: &mut Work<'_>,
    stage: &dyn Stage,
    criterion: Criterion,
    options: &Options,
) -> Result<(), Error> {
    let changed = work.vectors.clone();
    let stage =
        stage.replaced(&mut |path, _| Ok(changed.iter().find(|(name, _)| name == path).map(|(_, v)| v.clone())))?;
    let mut linears = Vec::new();
    for (layer, seen) in work.layers.iter().zip(&work.seen) {
        let scores = criterion.scores(layer, seen)?;
        let linear = Linear::new(layer.k, layer.values.clone(), ascending(&scores, layer.k))?;
        linears.push(if options.quantization_error > 0.0 {
            let error = layer.original.iter().zip(&layer.values).map(|(w, q)| w - q).collect();
            linear.with_error(error)?
        } else {
            linear
        });
    }
    let names = work.block.linears().iter().map(|linear| linear.name.clone()).collect();
    let sample =
        |index: usize| Ok(Sample { input: work.inputs[index].clone(), reference: work.reference[index].clone() });
    let mut objective = BlockLoss::new(&*stage, names, work.inputs.len(), sample);
    let learned = run(linears, &mut objective, options.clone())?;
    for (layer, mask) in work.layers.iter_mut().zip(learned.masks) {
        layer.apply_mask(mask)?;
    }
    Ok(())
}
