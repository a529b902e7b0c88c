//! What the loop asks of a kind of model: how it is built, what it is shown, how its answers are judged.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::Error;
use crate::emu::Layers;
use crate::models::Weights;
use crate::train::engine::Dropout;
use crate::train::random::SplitMix64;

/// A model's kind with its data.
pub(super) trait Learner: Sync {
    /// The module.
    type Model: Module + Sync + Send;
    /// A part of a batch.
    type Shard: Sync;

    /// The architecture's name, by which plans choose layers.
    const ARCHITECTURE: &'static str;
    /// What stands before the module's paths in a checkpoint's names.
    const PREFIX: &'static str;

    /// The model from `weights` on `device`, its layers as `layers` says.
    fn model(&self, weights: &dyn Weights, device: &Device, layers: &Layers) -> Result<Self::Model, Error>;

    /// The parts of the batch of a step, which depend on the seed and the step alone.
    fn shards(&self, step: usize) -> Vec<Self::Shard>;

    /// The logits `[R, C]` of a part.
    fn logits(model: &Self::Model, shard: &Self::Shard, device: &Device, dropout: &mut Dropout) -> Tensor<2>;

    /// The right class of each row of a part's logits.
    fn classes(shard: &Self::Shard) -> &[u32];

    /// The mean held-out loss.
    fn held_out_loss(&self, model: &Self::Model) -> f64;
}

/// An endless order of `count` items, shuffled anew every time around, of which any place is found without the ones before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// Items.
    pub count: usize,
    /// The seed.
    pub seed: u64,
}

impl Order {
    /// The items at `places`, each with the time around that it belongs to.
    pub fn at(&self, places: std::ops::Range<usize>) -> Vec<(usize, usize)> {
        let mut shuffled: Option<(usize, Vec<usize>)> = None;
        let mut items = Vec::with_capacity(places.len());
        for place in places {
            let (epoch, index) = (place / self.count, place % self.count);
            if shuffled.as_ref().is_none_or(|(known, _)| *known != epoch) {
                let mut order: Vec<usize> = (0..self.count).collect();
                SplitMix64::new(self.seed, &format!("order {epoch}")).shuffle(&mut order);
                shuffled = Some((epoch, order));
            }
            items.extend(shuffled.as_ref().map(|(_, order)| (epoch, order[index])));
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_comes_once_a_time_around_and_any_place_is_found() {
        let order = Order { count: 7, seed: 3 };
        let all = order.at(0..21);
        for epoch in 0..3 {
            let mut items: Vec<usize> = all.iter().filter(|(e, _)| *e == epoch).map(|(_, item)| *item).collect();
            items.sort_unstable();
            assert_eq!(items, (0..7).collect::<Vec<_>>());
        }
        assert_ne!(
            all[..7].iter().map(|i| i.1).collect::<Vec<_>>(),
            all[7..14].iter().map(|i| i.1).collect::<Vec<_>>()
        );
        assert_eq!(order.at(5..16), all[5..16]);
        assert_ne!(Order { seed: 4, ..order }.at(0..21), all);
    }
}
