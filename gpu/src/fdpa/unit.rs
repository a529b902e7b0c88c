//! What a kernel is specialised for: a unit's parts as plain data, built from its record.

use crate::Error;
use interplay_formats::{Scalar, Value};
use interplay_hw::Datapath;
use interplay_hw::datapath::tensor::{Accumulator, Aligned as Sums, Joined, TensorUnit};
use interplay_hw::datapath::{self as record, Codes, Inputs, Nan, Overflow};

/// How the elements of one operand are read from FP32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// Low bits of the FP32 register that the unit does not read.
    pub ignored_bits: u32,
    /// Significant bits of an element; at most 12.
    pub precision: i32,
    /// Exponent of the last place of the format's subnormal numbers.
    pub last_place: i32,
    /// The least exponent that an element presents: subnormal numbers are not normalised.
    pub emin: i32,
    /// FP32 bits of the largest number.
    pub largest: u32,
    /// Whether the format has infinities.
    pub infinity: bool,
    /// Whether the format has NaN.
    pub nan: bool,
}

/// What a sum is rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rounded {
    /// Significant bits.
    pub precision: i32,
    /// Least exponent of normal numbers.
    pub emin: i32,
    /// Largest exponent.
    pub emax: i32,
    /// To nearest, ties to even; toward zero otherwise.
    pub nearest: bool,
    /// Infinity beyond the largest number; the largest number otherwise.
    pub infinite: bool,
}

/// Where the accumulator joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Joins {
    /// As a term of every step.
    First,
    /// By an addition of its own after the steps of an instruction, which start from +0.
    Last(Rounded),
}

/// Which positions meet in which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Steps {
    /// Products of a step, L.
    pub length: usize,
    /// Steps of an instruction; K is filled with zeros to whole instructions.
    pub instruction: usize,
    /// Whether the positions of an instruction have an order of their own, which a buffer holds.
    pub ordered: bool,
}

/// What an operand is prepared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Side {
    /// How its elements are read.
    pub port: Port,
    /// Which positions meet.
    pub steps: Steps,
    /// Elements that share a power-of-two scale; 0 where there are no scales.
    pub scale_block: usize,
    /// 0 for x, 1 for w.
    pub index: usize,
}

impl Steps {
    /// Words that hold one bit a product of a step.
    pub const fn words(&self) -> usize {
        self.length.div_ceil(32)
    }
}

/// T-FDPA and ST-FDPA: the products of a step and the accumulator are aligned to the largest exponent among them,
/// truncated to F fraction bits, added exactly and rounded once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Aligned {
    /// How x and w are read.
    pub ports: [Port; 2],
    /// Which positions meet.
    pub steps: Steps,
    /// Fraction bits kept below the common exponent, F; 1 to 25.
    pub fraction_bits: i32,
    /// The exponent that a zero term presents.
    pub floor: i32,
    /// What the sum of a step is rounded to.
    pub rounded: Rounded,
    /// Where the accumulator joins.
    pub joins: Joins,
    /// Elements that share a power-of-two scale, a multiple of the step; 0 where there are no scales.
    pub scale_block: usize,
    /// FP32 bits of the NaN that is written.
    pub nan: u32,
}

/// A record's unit, as kernels take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// See [`Aligned`].
    Aligned(Aligned),
}

impl Unit {
    /// The unit of a record, recognised by its parts.
    ///
    /// # Errors
    /// [`Error::CpuOnly`] with the part that no kernel covers.
    pub fn of(datapath: &Datapath) -> Result<Self, Error> {
        let refused = |part: String| Error::CpuOnly { datapath: datapath.name.to_owned(), part };
        let Inputs::Codes(codes) = datapath.inputs else {
            return Err(refused("operands that are not codes of scalar formats".to_owned()));
        };
        if codes.sparse.is_some() {
            return Err(refused("a sparse operand".to_owned()));
        }
        let Some(unit) = datapath.tensor_unit() else {
            return Err(refused("sums other than products and accumulator aligned and truncated together".to_owned()));
        };
        let steps = steps(datapath).map_err(refused)?;
        match unit {
            TensorUnit::Aligned(sums) => aligned(datapath, &codes, &sums, steps).map(Self::Aligned).map_err(refused),
            TensorUnit::Grouped(_) => Err(refused("exact groups".to_owned())),
        }
    }
}

/// The steps of a record whose group is a number.
fn steps(datapath: &Datapath) -> Result<Steps, String> {
    let record::Group::Of(group) = datapath.order.group else {
        return Err("steps of another length than a fixed number of products".to_owned());
    };
    let ordered = datapath.order.classes.len() > 1;
    match datapath.depths.last() {
        Some(&depth) => {
            let length = group.min(depth);
            Ok(Steps { length, instruction: depth / length, ordered })
        }
        None if ordered => Err("positions in classes without a depth of the instruction".to_owned()),
        None => Ok(Steps { length: group, instruction: 1, ordered }),
    }
}

fn aligned(datapath: &Datapath, codes: &Codes, sums: &Sums, steps: Steps) -> Result<Aligned, String> {
    let [round] = datapath.sum.round else { return Err("several roundings of a sum".to_owned()) };
    let rounded = rounded(sums.accumulator, round.overflow)?;
    let joins = match (sums.joins, datapath.order.joins) {
        (Joined::Last { .. }, record::Joins::Last(last)) => {
            let narrow = sums.accumulator == Accumulator::Half;
            let wide = Rounded { precision: 24, emin: -126, emax: 127, nearest: true, infinite: true };
            let infinite = is_infinite(last.overflow, true)?;
            Joins::Last(Rounded { infinite, ..if narrow { rounded } else { wide } })
        }
        _ => Joins::First,
    };
    let scale_block = sums.scale_block.unwrap_or(0);
    if scale_block > 0 && steps.ordered {
        return Err("scales of blocks whose positions have an order of their own".to_owned());
    }
    let ports = [port(codes.a)?, port(codes.b)?];
    let (fraction_bits, floor, nan) = (sums.fraction_bits as i32, sums.floor, nan(datapath));
    Ok(Aligned { ports, steps, fraction_bits, floor, rounded, joins, scale_block, nan })
}

/// The NaN that a unit writes.
fn nan(datapath: &Datapath) -> u32 {
    match datapath.accumulator.nan {
        Nan::Ones => 0x7FFF_FFFF,
        Nan::Quiet | Nan::Any => 0x7FC0_0000,
    }
}

/// Whether numbers beyond the largest become infinities.
fn is_infinite(overflow: Overflow, nearest: bool) -> Result<bool, String> {
    match overflow {
        Overflow::Infinity => Ok(true),
        Overflow::Ieee => Ok(nearest),
        Overflow::Saturate => Ok(false),
        Overflow::Unbounded | Overflow::Wrap | Overflow::Error => {
            Err("sums that neither saturate nor become infinite".to_owned())
        }
    }
}

fn rounded(accumulator: Accumulator, overflow: Overflow) -> Result<Rounded, String> {
    let (precision, emin, emax, nearest) = match accumulator {
        Accumulator::Single => (24, -126, 127, false),
        Accumulator::E8M13 => (14, -126, 127, false),
        Accumulator::Half => (11, -14, 15, true),
    };
    Ok(Rounded { precision, emin, emax, nearest, infinite: is_infinite(overflow, nearest)? })
}

/// A port whose elements an FP32 register holds with 12 significant bits.
fn port(port: record::Port) -> Result<Port, String> {
    let format: Scalar = port.format;
    let grid = format.grid();
    let emin = port.emin.unwrap_or(format.emin());
    let Some(precision) = grid.precision.filter(|_| emin <= format.emin()) else {
        return Err("elements whose subnormals present a greater exponent than they have".to_owned());
    };
    Ok(Port {
        ignored_bits: port.ignored_bits,
        precision: (precision - port.ignored_bits) as i32,
        last_place: grid.lsb_min + port.ignored_bits as i32,
        emin,
        largest: Value::Finite(format.max()).to_f32().to_bits(),
        infinity: format.infinity_code().is_some(),
        nan: format.nan_code().is_some(),
    })
}

/// How the significands of a product are laid out in 32 bits; see [`term`](super::align::term).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Places below the last one that a term can have, where the left significand has a one at the lowest; 0 where
    /// products have too many bits for that.
    pub below: i32,
    /// Places that the left significand is moved up beside those.
    pub left: i32,
    /// Places that products are moved down on top of their distance.
    pub down: i32,
}

impl Aligned {
    /// What x (0) or w (1) is prepared for.
    pub const fn side(&self, index: usize) -> Side {
        Side { port: self.ports[index], steps: self.steps, scale_block: self.scale_block, index }
    }

    /// The layout of products.
    pub const fn layout(&self) -> Layout {
        let [a, b] = self.ports;
        let fraction = a.precision + b.precision - 2;
        let left = if self.fraction_bits > fraction { self.fraction_bits - fraction } else { 0 };
        let down = fraction + left - self.fraction_bits;
        let below = if fraction + left + b.precision + 2 <= 31 { b.precision } else { 0 };
        Layout { below, left, down: down + below }
    }

    /// What the accumulator between instructions is.
    pub const fn result(&self) -> Rounded {
        match self.joins {
            Joins::First => self.rounded,
            Joins::Last(last) => last,
        }
    }

    /// Products whose terms add up in 32 bits: each is below `2^(F + 2)`, and no sum reaches `2^31`.
    pub const fn run(&self) -> usize {
        let run = 1usize << (29 - self.fraction_bits);
        if run < self.steps.length { run } else { self.steps.length }
    }

    /// Whether a whole step, the accumulator included, adds up in 32 bits: `(4 L + 2) 2^F <= 2^31`.
    pub const fn is_narrow(&self) -> bool {
        (4 * self.steps.length as u64 + 2) << self.fraction_bits <= 1 << 31
    }
}
