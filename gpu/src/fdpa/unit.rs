//! What a kernel is specialised for: a unit's parts as plain data, built from its record.

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

/// How a scale is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScalePort {
    /// It is the exponent of a power of two; 0x8000_0000 is NaN.
    Power,
    /// It is the code of a narrow float without a sign.
    Code {
        /// Bits of a code that are read.
        width: u32,
        /// Fraction bits.
        fraction_bits: u32,
        /// The exponent's bias.
        bias: i32,
        /// Whether exponent field 0 holds zero and the subnormal numbers.
        subnormals: bool,
        /// The code of NaN; one that is too wide where there is none.
        nan: u32,
    },
}

/// The scales of an operand's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scaling {
    /// How each is read.
    pub port: ScalePort,
    /// Elements that share one.
    pub block: usize,
    /// Positions of a step that a kernel reads one for; a block is a multiple.
    pub every: usize,
}

impl Scaling {
    /// Significant bits of a scale.
    pub const fn precision(&self) -> i32 {
        match self.port {
            ScalePort::Power => 1,
            ScalePort::Code { fraction_bits, .. } => fraction_bits as i32 + 1,
        }
    }
}

/// What an operand is prepared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Side {
    /// How its elements are read.
    pub port: Port,
    /// Which positions meet.
    pub steps: Steps,
    /// The scales of its blocks.
    pub scaling: Option<Scaling>,
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
    /// The scales of blocks, powers of two; each step has one.
    pub scaling: Option<Scaling>,
    /// FP32 bits of the NaN that is written.
    pub nan: u32,
}

/// GST-FDPA: the products of a group of 4-bit numbers are added exactly, times the scales; these and the accumulator are
/// aligned, truncated to F fraction bits, added exactly and rounded once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grouped {
    /// How x and w are read: E2M1.
    pub ports: [Port; 2],
    /// Which positions meet.
    pub steps: Steps,
    /// Products of a group; a divisor of 32.
    pub group: usize,
    /// Fraction bits kept below the common exponent, F; 1 to 38.
    pub fraction_bits: i32,
    /// The exponent that a zero term presents.
    pub floor: i32,
    /// What the sum of a step is rounded to.
    pub rounded: Rounded,
    /// The scales of blocks; each group has one.
    pub scaling: Scaling,
    /// FP32 bits of the NaN that is written.
    pub nan: u32,
}

impl Grouped {
    /// What x (0) or w (1) is prepared for.
    pub const fn side(&self, index: usize) -> Side {
        Side { port: self.ports[index], steps: self.steps, scaling: Some(self.scaling), index }
    }

    /// Groups of a step.
    pub const fn groups(&self) -> usize {
        self.steps.length / self.group
    }
}

impl Side {
    /// Scales of a step that kernels read.
    pub const fn scales(&self) -> usize {
        match self.scaling {
            Some(scaling) => self.steps.length / scaling.every,
            None => 0,
        }
    }
}

/// A record's unit, as kernels take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// See [`Aligned`].
    Aligned(Aligned),
    /// See [`Grouped`].
    Grouped(Grouped),
}

impl Unit {
    /// What x (0) or w (1) is prepared for.
    pub const fn side(&self, index: usize) -> Side {
        match self {
            Self::Aligned(unit) => unit.side(index),
            Self::Grouped(unit) => unit.side(index),
        }
    }

    /// FP32 bits of the NaN that is written.
    pub const fn nan(&self) -> u32 {
        match self {
            Self::Aligned(unit) => unit.nan,
            Self::Grouped(unit) => unit.nan,
        }
    }
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
        Side { port: self.ports[index], steps: self.steps, scaling: self.scaling, index }
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
