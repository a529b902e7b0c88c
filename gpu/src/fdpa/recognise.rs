//! Records recognised by their parts.

use super::unit::{Aligned, Grouped, Joins, Port, Rounded, ScalePort, Scaling, Steps, Unit};
use crate::Error;
use interplay_formats::catalog::E8M0;
use interplay_formats::{Encoding, Scalar, Sign, Value};
use interplay_hw::Datapath;
use interplay_hw::datapath::tensor::{Accumulator, Aligned as Sums, Grouped as Groups, Joined, TensorUnit};
use interplay_hw::datapath::{self as record, Codes, Inputs, Nan, Overflow};

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
            TensorUnit::Grouped(sums) => grouped(datapath, &codes, &sums, steps).map(Self::Grouped).map_err(refused),
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
    let scaling = sums.scale_block.map(|block| Scaling { port: ScalePort::Power, block, every: steps.length });
    if scaling.is_some() && steps.ordered {
        return Err("scales of blocks whose positions have an order of their own".to_owned());
    }
    let ports = [port(codes.a)?, port(codes.b)?];
    let (fraction_bits, floor, nan) = (sums.fraction_bits as i32, sums.floor, nan(datapath));
    Ok(Aligned { ports, steps, fraction_bits, floor, rounded, joins, scaling, nan })
}

fn grouped(datapath: &Datapath, codes: &Codes, sums: &Groups, steps: Steps) -> Result<Grouped, String> {
    let [round] = datapath.sum.round else { return Err("several roundings of a sum".to_owned()) };
    let Some(scale) = codes.scale else { return Err("groups without scales".to_owned()) };
    if !32usize.is_multiple_of(sums.group) {
        return Err(format!("groups of {} products, which do not divide 32", sums.group));
    }
    Ok(Grouped {
        ports: [port(codes.a)?, port(codes.b)?],
        steps,
        group: sums.group,
        fraction_bits: sums.fraction_bits as i32,
        floor: sums.floor,
        rounded: rounded(Accumulator::Single, round.overflow)?,
        scaling: Scaling { port: scale_port(scale.format)?, block: scale.block, every: sums.group },
        nan: nan(datapath),
    })
}

/// How scales of a format lie on the device: powers of two by their exponent, others by their code.
fn scale_port(format: Scalar) -> Result<ScalePort, String> {
    if format == E8M0 {
        return Ok(ScalePort::Power);
    }
    let refused = || format!("`{}` scales", format.name);
    let Encoding::Float { sign, exponent_bits, mantissa_bits, bias, subnormals, .. } = format.encoding else {
        return Err(refused());
    };
    if sign == Sign::Signed || format.infinity_code().is_some() {
        return Err(refused());
    }
    let nan = format.nan_code().map_or(u32::MAX, |code| code as u32);
    Ok(ScalePort::Code { width: exponent_bits + mantissa_bits, fraction_bits: mantissa_bits, bias, subnormals, nan })
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
