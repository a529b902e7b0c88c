//! Weight matrices as a pipeline leaves them, also where a convolution's blocks must not cross kernel positions.
//!
//! A row `[k]` of a convolution is a sequence of runs of `run` channels, one a kernel position. Pruning sees the row as it is;
//! quantisation sees each run padded with zeros to whole blocks, and so does the unit that multiplies.

use std::borrow::Cow;

use crate::Error;
use crate::burn::Product;
use crate::compress::Layer;
use crate::formats::{Block, Footprint, Format, Mask, Pipeline, Quantized, Step};

/// One stored matrix `[n, k]`.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The values that it stands for, row-major without padding.
    pub(crate) values: Vec<f32>,
    /// The stored form with padded runs; `None` while the values are FP32.
    pub(crate) quantized: Option<Quantized>,
    /// What the last prune step kept.
    pub(crate) mask: Option<Mask>,
    /// Bits that it takes.
    pub(crate) footprint: Footprint,
}

/// How the rows of one product are cut into runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Runs {
    pub(crate) k: usize,
    run: usize,
    padded: usize,
}

impl Runs {
    /// The runs of `product` for operands in `formats`.
    pub(crate) fn new(product: &Product, formats: [&Format; 2]) -> Self {
        let (k, run) = (product.k, product.run);
        let grow = |run: usize, format: &&Format| block(format).map_or(run, |b| run.next_multiple_of(b));
        Self { k, run, padded: if run == k { k } else { formats.iter().fold(run, grow) } }
    }

    /// Whether they are the runs of `product`.
    pub(crate) fn fit(&self, product: &Product) -> bool {
        (self.k, self.run) == (product.k, product.run)
    }

    /// Length of a row with padded runs.
    pub(crate) fn padded_k(&self) -> usize {
        self.k / self.run.max(1) * self.padded
    }

    /// Runs of a row.
    #[cfg(feature = "wgpu")]
    pub(crate) fn count(&self) -> usize {
        self.k / self.run.max(1)
    }

    /// The length of row that a format without padding is to see: blocks restart at each run, row scales do not.
    pub(crate) fn grain(&self, format: &Format) -> usize {
        if block(format).is_some() { self.run } else { self.k }
    }

    /// Rows with each run padded by `fill`.
    fn pad<T: Copy>(&self, rows: &[T], fill: T) -> Vec<T> {
        let mut out = Vec::with_capacity(rows.len() / self.run.max(1) * self.padded);
        for run in rows.chunks(self.run.max(1)) {
            out.extend_from_slice(run);
            out.resize(out.len() + self.padded - self.run, fill);
        }
        out
    }

    /// Rows with each run padded with zeros; the rows themselves where blocks cross nothing.
    pub(crate) fn padded<'a>(&self, rows: &'a [f32]) -> Cow<'a, [f32]> {
        if self.is_padded() { self.pad(rows, 0.0).into() } else { rows.into() }
    }

    /// Whether padding changes anything.
    fn is_padded(&self) -> bool {
        self.padded != self.run
    }

    /// Applies a pipeline to rows `[n, k]`; `given` stands in for the masks that its prune steps would choose.
    ///
    /// # Errors
    /// A value that is not finite, a pattern of pairs or tiles that are no whole ones of the matrix, a mask of another shape.
    pub(crate) fn store(&self, rows: &[f32], pipeline: &Pipeline, given: Option<&Mask>) -> Result<Stored, Error> {
        if !self.is_padded() && given.is_none() {
            let stored = pipeline.apply(rows, self.k)?;
            let footprint = stored.footprint();
            return Ok(Stored { values: stored.values, quantized: stored.quantized, mask: stored.mask, footprint });
        }
        let footprint = Footprint::default();
        let mut stored = Stored { values: rows.to_vec(), quantized: None, mask: None, footprint };
        for step in &pipeline.steps {
            match *step {
                Step::Prune(pattern) => {
                    let chosen = || pattern.magnitude_mask(&stored.values, self.k);
                    let mask = given.cloned().map_or_else(chosen, Ok)?;
                    self.prune(&mut stored, &mask)?;
                    stored.mask = Some(mask);
                }
                Step::Quantize(format) => {
                    stored.quantized = Some(format.quantize(&self.pad(&stored.values, 0.0), self.padded_k())?);
                    format.fake_quantize(&mut stored.values, self.grain(format))?;
                }
                _ => return Err(Error::Invalid(format!("{step:?} is not defined for convolutions"))),
            }
        }
        stored.footprint = self.footprint(&stored, stored.mask.as_ref());
        Ok(stored)
    }

    /// A layer that a compression left.
    ///
    /// # Errors
    /// It is another layer's, or `product` is a convolution whose blocks must not cross kernel positions.
    pub(crate) fn given(&self, layer: &Layer, product: &Product) -> Result<Stored, Error> {
        if self.is_padded() || (layer.rows(), layer.k) != (product.count * product.n, product.k) {
            return Err(Error::Invalid(format!(
                "the given weights are {} x {}, but the layer asks for {} x {} in one run",
                layer.rows(),
                layer.k,
                product.count * product.n,
                product.k
            )));
        }
        let (values, quantized) = (layer.values.clone(), layer.quantized.clone());
        Ok(Stored { values, quantized, mask: None, footprint: layer.footprint() })
    }

    fn prune(&self, stored: &mut Stored, mask: &Mask) -> Result<(), Error> {
        mask.apply(&mut stored.values)?;
        if let Some(quantized) = &mut stored.quantized {
            let kept = self.pad(mask.kept(), true);
            quantized.apply_mask(&Mask::from_kept(mask.pattern(), self.padded_k(), kept)?)?;
        }
        Ok(())
    }

    /// Values and scales of every run's blocks; with a mask only kept values are stored, and metadata.
    fn footprint(&self, stored: &Stored, mask: Option<&Mask>) -> Footprint {
        let format = stored.quantized.as_ref().map_or_else(Format::fp32, Quantized::format);
        let grain = self.grain(format);
        let dense = format.footprint(stored.values.len() / grain.max(1), grain, None);
        match mask {
            None => dense,
            Some(mask) => {
                let kept = format.footprint(mask.rows(), self.k, Some(mask));
                Footprint { scales: dense.scales, ..kept }
            }
        }
    }
}

/// The length of a format's blocks along a row; `None` where a scale covers the row or one element.
fn block(format: &Format) -> Option<usize> {
    match format.scaling.map(|s| s.block) {
        Some(Block::Run(length) | Block::Tile { k: length, .. }) => Some(length),
        _ => None,
    }
}
