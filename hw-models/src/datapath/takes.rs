//! Which pairs of formats a unit multiplies, whatever their values; what the record decides before there are any.

use super::operand::{BLOCKS, Family, INTEGERS, Side, family, port, unsupported, within};
use super::record::{Arm, Codes, Datapath, Inputs, Node, Port, Sum};
use crate::Error;
use interplay_formats::{Block, Format, Scalar, Scale, Scaling, Value};

impl Datapath {
    /// Whether the unit multiplies matrices in these two formats, whatever their values.
    ///
    /// ```
    /// use interplay_formats::Format;
    /// use interplay_hw::Datapath;
    ///
    /// let (unit, mxfp8) = (Datapath::by_name("b200.tcgen05.mxf8f6f4-e4m3.f32")?, Format::by_name("mxfp8")?);
    /// assert!(unit.takes(mxfp8, mxfp8).is_ok() && unit.takes(Format::by_name("mxfp4")?, mxfp8).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::HostMultiplies`], [`Error::Unsupported`] with what it takes, [`Error::BlockLength`].
    pub fn takes(&self, weight: &Format, activation: &Format) -> Result<(), Error> {
        for (format, side) in [(weight, Side::Weights), (activation, Side::Activations)] {
            let given = || format!("format `{}`", format.name);
            match (self.inputs, family(format)) {
                (Inputs::Host, _) => return Err(Error::HostMultiplies(self.name.to_owned())),
                (Inputs::Values, _)
                | (Inputs::Integers, Family::Integers)
                | (Inputs::Blocks(_), Family::Blocks { .. }) => {}
                (Inputs::Integers, _) => return Err(unsupported(self, given(), INTEGERS.to_owned())),
                (Inputs::Blocks(_), _) => return Err(unsupported(self, given(), BLOCKS.to_owned())),
                (Inputs::Codes(codes), _) => {
                    let port = port(&codes, side);
                    if !codes.reads(port, format) {
                        return Err(unsupported(self, given(), codes.wanted(port)));
                    }
                }
            }
        }
        let lengths = [activation, weight].map(|format| format.block_len(1));
        match (self.inputs, lengths) {
            (Inputs::Blocks(_), [activations, weights]) if activations != weights => {
                Err(Error::BlockLength { activations, weights })
            }
            _ => Ok(()),
        }
    }

    /// Whether leaving positions with zeros out changes no bit: sums of a step are exact, and steps stay where they are.
    pub fn leaves_zeros_out(&self) -> bool {
        match self.inputs {
            Inputs::Values | Inputs::Integers | Inputs::Blocks(_) => exact(self.sum),
            Inputs::Host | Inputs::Codes(_) => false,
        }
    }
}

impl Codes {
    /// Whether a unit with block scales reads the codes and scales of a format as they are, on the left side or, for
    /// `weights`, on the right one; [`Datapath::gemm`]'s x is the left side, unless that is the sparse one.
    pub fn takes(&self, format: &Format, weights: bool) -> bool {
        let side = if weights { Side::Weights } else { Side::Activations };
        self.scale.is_some_and(|scale| takes(format, port(self, side), scale.format, scale.block))
    }

    /// Whether a port reads every matrix of a format.
    fn reads(&self, port: Port, format: &Format) -> bool {
        match (self.scale, format.scaling) {
            (Some(scale), _) => takes(format, port, scale.format, scale.block),
            (None, None) => port.covers(format.element),
            (None, Some(Scaling { block: Block::Row | Block::Tensor, scale: Scale::Float32, .. })) => {
                port.covers(format.element)
            }
            (None, Some(_)) => false,
        }
    }

    /// What a port reads, for messages.
    pub(super) fn wanted(&self, port: Port) -> String {
        let element = port.format.name;
        match self.scale {
            Some(scale) => {
                format!(
                    "block formats with `{element}` elements and one `{}` scale a run of {}",
                    scale.format.name, scale.block
                )
            }
            None => format!("`{element}` elements without a scale, or with one FP32 scale a row or tensor"),
        }
    }
}

/// Whether a format is what a scaled port reads.
pub(super) fn takes(format: &Format, port: Port, scale: Scalar, block: usize) -> bool {
    let scaling = format.scaling.filter(|scaling| scaling.block == Block::Run(block));
    let same = match scaling.map(|scaling| scaling.scale) {
        Some(Scale::E8M0) => scale == interplay_formats::catalog::E8M0,
        Some(Scale::Code(own)) => own.encoding == scale.encoding,
        _ => false,
    };
    same && format.element.encoding == port.format.encoding
}

impl Port {
    /// Whether every number of `element` is one of the port's format.
    fn covers(self, element: Scalar) -> bool {
        let (own, grid) = (element.grid(), self.format.grid());
        let precision = |scalar: Scalar| match scalar.grid().precision {
            Some(bits) => bits,
            None => 128 - scalar.max().significand.leading_zeros(),
        };
        let magnitude = |scalar: Scalar| Value::Finite(scalar.max()).to_f64();
        let fits =
            own.lsb_min >= grid.lsb_min && (grid.precision.is_none() || precision(element) <= precision(self.format));
        within(element, self.format) || fits && magnitude(element) <= magnitude(self.format)
    }
}

/// Whether nothing is cut on the way to the roundings of a sum.
fn exact(sum: &Sum) -> bool {
    let inner = |arm: &Arm| match arm.node {
        Node::Runs { sum, .. } | Node::Sum(sum) => exact(sum),
        Node::Products { .. } | Node::Accumulator => true,
    };
    sum.align.is_none() && sum.arms.iter().all(inner)
}
