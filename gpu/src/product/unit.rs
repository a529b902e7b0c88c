//! What a kernel is specialised for: a unit and the formats of its operands as plain data.

use crate::Error;
use crate::bits::NAN;
use interplay_formats::{Format, Scalar, Scale as FormatScale, Value};
use interplay_hw::Datapath;
use interplay_hw::datapath::{ExactSums, Family, Nan, Overflow, Zero, element_units, family};

/// How elements are read: an integer significand times a power of two, in units of the format's last place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Element {
    /// Whether all elements are integers times the last place; else they are floats of `precision` bits.
    pub fixed: bool,
    /// Significant bits of a float.
    pub precision: i32,
    /// Exponent of the last place of the format's smallest number.
    pub last_place: i32,
    /// The largest significand.
    pub significand: u32,
    /// The most places that a significand is moved up; 0 for integers.
    pub places: u32,
}

/// How the scale of a block is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scale {
    /// Blocks have none: the results of a row have a factor.
    None,
    /// The exponent of a power of two.
    Exponent,
    /// The code of a float of so many significant bits, at most 8, looked up in a table.
    Code(i32),
}

/// What an exact sum becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sums {
    /// An integer in a register of 32 bits, then FP32.
    Integers {
        /// The register is held to its ends; else it holds every sum, or wraps.
        saturates: bool,
    },
    /// A part of an FP32 accumulator, block by block.
    Blocks {
        /// Elements in a block.
        length: usize,
        /// Whether the accumulator is part of the exact sum.
        fused: bool,
    },
}

/// What the sum of a block is held in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Register {
    /// One integer.
    Word,
    /// So many integers, each for products that are moved up by `width` places more than those of the one before.
    Buckets {
        /// Integers.
        count: u32,
        /// Places, a power of two.
        width: u32,
    },
}

/// A unit for a pair of formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unit {
    /// Elements of x.
    pub x: Element,
    /// Elements of w.
    pub w: Element,
    /// Scales of x's blocks.
    pub x_scale: Scale,
    /// Scales of w's blocks.
    pub w_scale: Scale,
    /// What sums become.
    pub sums: Sums,
    /// What holds a sum.
    pub register: Register,
    /// The NaN of results.
    pub nan: u32,
    /// Whether results of zero are +0.
    pub positive_zero: bool,
}

/// The largest number of a register of 32 bits.
const LARGEST: u128 = i32::MAX as u128;

impl Element {
    /// The elements of a format of at most 16 significant bits.
    fn of(scalar: Scalar) -> Option<Self> {
        let grid = scalar.grid();
        let last_place = grid.lsb_min;
        let element = match grid.precision {
            None => {
                let significand = u32::try_from(element_units(scalar)).ok()?;
                Self { fixed: true, precision: 1, last_place, significand, places: 0 }
            }
            Some(bits @ 1..=16) => {
                let precision = bits as i32;
                let largest = scalar.max().leading_exponent()?;
                let places = u32::try_from(largest - (last_place + precision - 1)).ok()?;
                Self { fixed: false, precision, last_place, significand: (1 << bits) - 1, places }
            }
            Some(_) => return None,
        };
        // Elements come as FP32 numbers.
        (element.significand < 1 << 16 && last_place > -120 && scalar.emax() < 127).then_some(element)
    }

    /// The largest element in units of the last place.
    fn units(self) -> u128 {
        if self.places > 90 { u128::MAX >> 16 } else { u128::from(self.significand) << self.places }
    }
}

impl Scale {
    fn of(format: &Format) -> Option<Self> {
        match format.scaling?.scale {
            FormatScale::E8M0 | FormatScale::Exponent(_) => Some(Self::Exponent),
            FormatScale::Code(scalar) if scalar.bits() <= 8 => {
                let bits = scalar.grid().precision.filter(|bits| *bits <= 8)?;
                Some(Self::Code(bits as i32))
            }
            FormatScale::Float32 => Some(Self::None),
            _ => None,
        }
    }

    /// The largest significand.
    fn significand(self) -> u128 {
        if let Self::Code(bits) = self { (1 << bits) - 1 } else { 1 }
    }
}

/// FP32 bits of what each code of a scale stands for; none where scales are no codes.
pub(super) fn table(format: &Format) -> Vec<u32> {
    match format.scaling.map(|scaling| scaling.scale) {
        Some(FormatScale::Code(scalar)) => {
            let bits = |code: u64| match scalar.decode(code) {
                Value::Nan => NAN,
                value => value.to_f32().to_bits(),
            };
            (0..256).map(|code| if code < 1 << scalar.bits() { bits(code) } else { NAN }).collect()
        }
        _ => vec![0],
    }
}

impl Register {
    /// The narrowest register for sums of `length` products, and of such a sum times the scales.
    fn of(x: Element, w: Element, length: u128, scales: u128, fused: bool) -> Option<Self> {
        let sum = x.units().checked_mul(w.units()).and_then(|units| units.checked_mul(length * scales));
        // A fused sum tells a block of negative zeros, which an integer has no code for.
        if !fused && sum.is_some_and(|sum| sum <= LARGEST) {
            return Some(Self::Word);
        }
        let products = u128::from(x.significand) * u128::from(w.significand) * length * scales;
        let width = [16u32, 8].into_iter().find(|width| products << (width - 1) <= LARGEST)?;
        let count = (x.places + w.places) / width + 1;
        (count * width <= 64).then_some(Self::Buckets { count, width })
    }
}

impl Unit {
    /// The unit of a record for two formats; for integers, of a sum over `k` products.
    ///
    /// # Errors
    /// [`Error::CpuOnly`] with the part that no kernel covers, [`Error::Refused`] for what the unit does not take.
    pub fn of(datapath: &Datapath, x: &Format, w: &Format, k: usize) -> Result<Self, Error> {
        let refused = |part: &str| Error::CpuOnly { datapath: datapath.name.to_owned(), part: part.to_owned() };
        let sums = sums(datapath)?;
        let parts = |format: &Format| {
            let element = Element::of(format.element).ok_or_else(|| refused("elements of so many bits"))?;
            Ok((element, Scale::of(format).ok_or_else(|| refused("scales of that kind"))?))
        };
        let ((x_element, x_scale), (w_element, w_scale)) = (parts(x)?, parts(w)?);
        let (sums, length, fused) = match (sums, family(x), family(w)) {
            (ExactSums::Integers { overflow, once }, Family::Integers, Family::Integers) => {
                let saturates = saturates(datapath, [x_element, w_element], overflow, once, k)?;
                (Sums::Integers { saturates }, 1, false)
            }
            (ExactSums::Blocks { fused }, Family::Blocks { length }, Family::Blocks { length: other })
                if length == other =>
            {
                (Sums::Blocks { length, fused }, length as u128, fused)
            }
            _ => {
                let (x, w, name) = (x.name, w.name, datapath.name);
                return Err(Error::Refused(format!(
                    "datapath `{name}` cannot multiply `{x}` and `{w}`: it takes {} on both sides",
                    match sums {
                        ExactSums::Integers { .. } => "symmetric integers with one scale a row",
                        ExactSums::Blocks { .. } => "block formats of one block length",
                    }
                )));
            }
        };
        let scales = x_scale.significand() * w_scale.significand();
        let register = Register::of(x_element, w_element, length, scales, fused)
            .ok_or_else(|| refused("block sums of so many bits"))?;
        let nan = if datapath.accumulator.nan == Nan::Ones { 0x7FFF_FFFF } else { NAN };
        let positive_zero = datapath.accumulator.zero == Zero::Positive;
        Ok(Self { x: x_element, w: w_element, x_scale, w_scale, sums, register, nan, positive_zero })
    }

    /// Exponent of the last place of products.
    pub const fn last_place(&self) -> i32 {
        self.x.last_place + self.w.last_place
    }

    /// Whether sums are integers in the end.
    pub const fn is_integer(&self) -> bool {
        matches!(self.sums, Sums::Integers { .. })
    }

    /// Whether an integer register is held to its ends.
    pub const fn is_saturating(&self) -> bool {
        matches!(self.sums, Sums::Integers { saturates: true })
    }

    /// Whether the accumulator is part of the exact sum.
    pub const fn is_fused(&self) -> bool {
        matches!(self.sums, Sums::Blocks { fused: true, .. })
    }

    /// Elements that are prepared together: a block, or a part of a row where there are no blocks.
    pub const fn run(&self) -> usize {
        if let Sums::Blocks { length, .. } = self.sums { length } else { 64 }
    }

    /// Integers that hold a sum.
    pub const fn words(&self) -> u32 {
        if let Register::Buckets { count, .. } = self.register { count } else { 1 }
    }

    /// Places from one of them to the next.
    pub const fn width(&self) -> u32 {
        if let Register::Buckets { width, .. } = self.register { width } else { 0 }
    }
}

/// The sums of a record, if kernels compute them.
pub(super) fn sums(datapath: &Datapath) -> Result<ExactSums, Error> {
    datapath.exact_sums().ok_or_else(|| Error::CpuOnly {
        datapath: datapath.name.to_owned(),
        part: "sums other than of 32-bit integers, or of blocks into an FP32 accumulator to nearest even".to_owned(),
    })
}

/// Whether a register of integers must be held to its ends, checked as the CPU does.
fn saturates(
    datapath: &Datapath,
    elements: [Element; 2],
    overflow: Overflow,
    once: bool,
    k: usize,
) -> Result<bool, Error> {
    let product = (elements[0].units() * elements[1].units()).max(1);
    let max = (LARGEST / product) as usize;
    if k <= max {
        return Ok(false);
    }
    let name = datapath.name.to_owned();
    match overflow {
        Overflow::Error => {
            Err(Error::Refused(interplay_hw::Error::ReductionTooLong { datapath: name, k, max }.to_string()))
        }
        // The tiles of a sum are added in 64 bits.
        Overflow::Saturate if once => Ok(true),
        Overflow::Wrap => Ok(false),
        _ => Err(Error::CpuOnly {
            datapath: name,
            part: "a register that is held to its range at every step".to_owned(),
        }),
    }
}
