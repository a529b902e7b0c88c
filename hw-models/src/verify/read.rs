//! Words as codes of a format.

use super::Words;
use crate::datapath::{Nan, Port, Zero};
use crate::{Datapath, Error};
use interplay_formats::catalog::FP16;
use interplay_formats::{Encoding, Exact, Overflow, Rounding, Scalar, Value, scalar};

/// An array that was given: its name, its words, and their shape.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub name: &'static str,
    pub words: &'a Words<'a>,
    pub shape: (usize, usize),
}

/// What the words are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Codes,
    Numbers(Scalar),
}

impl Source<'_> {
    /// Elements of an operand.
    pub fn elements(self, datapath: &Datapath, port: Port) -> Result<Vec<u64>, Error> {
        let kind = self.kind(datapath, port.format)?;
        self.each(|word| exact(word, kind, port.format))
    }

    /// Codes of a format.
    pub fn codes(self, datapath: &Datapath, format: Scalar) -> Result<Vec<u64>, Error> {
        self.elements(datapath, Port::plain(format))
    }

    /// Accumulators that enter: FP16 in 16-bit words; wider floats are rounded to an FP16 accumulator.
    pub fn accumulators(self, datapath: &Datapath) -> Result<Vec<u64>, Error> {
        let format = datapath.accumulator.c;
        let kind = match self.kind(datapath, format) {
            Err(_) if self.words.width() == 16 && format == scalar::FP32 => Kind::Numbers(FP16),
            kind => kind?,
        };
        self.each(|word| match kind {
            Kind::Numbers(from) if format == FP16 => {
                let code = format.encode(from.decode(word), Rounding::NearestEven, Overflow::Infinity);
                code.ok_or_else(|| format!("{word:#x} has no `{}` code", format.name))
            }
            kind => exact(word, kind, format),
        })
    }

    /// Results. A NaN that was widened has lost its payload and stands for the unit's own.
    pub fn results(self, datapath: &Datapath) -> Result<Vec<u64>, Error> {
        let format = datapath.accumulator.d;
        let kind = self.kind(datapath, format)?;
        self.each(|word| match kind {
            Kind::Numbers(from) if from.decode(word) == Value::Nan => Ok(datapath.code(Value::Nan)),
            kind => exact(word, kind, format),
        })
    }

    /// One code a word, checked.
    pub fn each(self, one: impl Fn(u64) -> Result<u64, String>) -> Result<Vec<u64>, Error> {
        let (rows, columns) = self.shape;
        let (given, name) = (self.words.len(), self.name);
        match rows.checked_mul(columns) {
            Some(wanted) if wanted == given => {}
            wanted => return Err(Error::Lengths { field: name, given, wanted: wanted.unwrap_or(usize::MAX) }),
        }
        let code = |index: usize| {
            let (row, column) = (index / columns, index % columns);
            one(self.words.at(index)).map_err(|problem| Error::Element { array: name, row, column, problem })
        };
        (0..given).map(code).collect()
    }

    /// What the words are, by their width where they do not say.
    fn kind(&self, datapath: &Datapath, format: Scalar) -> Result<Kind, Error> {
        match (self.words, self.words.width()) {
            _ if self.words.are_codes(format) => Ok(Kind::Codes),
            (Words::Numbers(own, _), _) => Ok(Kind::Numbers(*own)),
            (_, 32) => Ok(Kind::Numbers(scalar::FP32)),
            (_, 64) => Ok(Kind::Numbers(scalar::FP64)),
            (_, width) => Err(Error::Words {
                datapath: datapath.name.to_owned(),
                array: self.name,
                given: width,
                format: format.name.to_string(),
                own: own_width(format),
            }),
        }
    }
}

/// Width of the words that hold a format's codes.
pub(crate) fn own_width(format: Scalar) -> u32 {
    format.bits().next_power_of_two().max(8)
}

/// The code of a word that stands for a number of the format.
fn exact(word: u64, kind: Kind, format: Scalar) -> Result<u64, String> {
    let Kind::Numbers(from) = kind else {
        return match word.checked_shr(format.bits()) {
            None | Some(0) => Ok(word),
            Some(_) => Err(format!(
                "{word:#x} is no `{}` code, which has {} bits, in the low ones",
                format.name,
                format.bits()
            )),
        };
    };
    let value = from.decode(word);
    let code = format.encode(value, Rounding::NearestEven, Overflow::Infinity);
    let same = |code: &u64| match (value, format.decode(*code)) {
        (Value::Finite(x), Value::Finite(y)) => x.same_value(y),
        (x, y) => x == y,
    };
    code.filter(same).ok_or_else(|| {
        let given =
            if from == scalar::FP32 { format!("{:e}", value.to_f32()) } else { format!("{:e}", value.to_f64()) };
        format!("{given} is no `{}` number; quantise to `{}` first", format.name, format.name)
    })
}

/// How a given result stands to the unit's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Distance {
    /// Whether they are the same by the record's rule.
    pub same: bool,
    /// Units in the last place between them; none where one of them is a NaN and they are not the same.
    pub ulp: Option<u64>,
}

/// Whether two codes of a unit's results are the same by the record's rule for NaN and zeros.
pub(crate) fn same(datapath: &Datapath, given: u64, own: u64) -> bool {
    let format = datapath.accumulator.d;
    let nan = |code| format.decode(code) == Value::Nan;
    let zero = |code| format.decode(code).finite().is_some_and(Exact::is_zero);
    given == own
        || datapath.accumulator.zero == Zero::Either && zero(given) && zero(own)
        || datapath.accumulator.nan == Nan::Any && nan(given) && nan(own)
}

/// Compares two codes of a unit's results.
pub(crate) fn distance(datapath: &Datapath, given: u64, own: u64) -> Distance {
    let format = datapath.accumulator.d;
    let nan = |code| format.decode(code) == Value::Nan;
    let same = same(datapath, given, own);
    let number = !nan(given) && !nan(own);
    let ulp = match same {
        true => Some(0),
        false => number.then(|| ordered(format, given).abs_diff(ordered(format, own)) as u64),
    };
    Distance { same, ulp }
}

/// A code's place among all codes in the order of their values; both zeros have one place.
fn ordered(format: Scalar, code: u64) -> i128 {
    let sign = 1u64 << (format.bits() - 1);
    match (format.encoding, format.decode(code)) {
        (Encoding::Integer { .. }, Value::Finite(x)) if x.negative => -(x.significand as i128),
        (Encoding::Integer { .. }, Value::Finite(x)) => x.significand as i128,
        _ if format.is_signed() && code & sign != 0 => -i128::from(code & (sign - 1)),
        _ => i128::from(code),
    }
}
