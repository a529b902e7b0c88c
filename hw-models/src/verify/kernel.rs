//! Whole products on the kernels, which give the interpreter's bits in a thousandth of its time.

use super::operands::{Layout, Prepared, Rows};
use crate::datapath::{BlockScale, Operand, Port};
use interplay_formats::{Codes, Encoding, Format, Quantized, Scale, Scales, Value};

/// Integers below this are FP32 numbers, as which the kernels give them.
const EXACT: f32 = (1 << 24) as f32;

impl Prepared<'_> {
    /// Every output, but for integers too large for FP32; nothing where no kernel covers the unit, its instructions and
    /// the operands.
    pub(super) fn by_kernel(&self) -> Option<Vec<Option<u64>>> {
        let (datapath, codes) = (self.datapath, self.datapath.codes().ok()?);
        let usual = datapath.depth(None, self.b.length).ok()? == self.depth;
        let from_zero = self.c.iter().all(|&code| code == 0);
        let Layout::Matrices { .. } = self.layout else { return None };
        if !usual || !from_zero || codes.sparse.is_some() || datapath.accumulator.d.bits() > 32 {
            return None;
        }
        let y = match codes.scale {
            None => {
                let [a, b] = [(codes.a, &self.a), (codes.b, &self.b)].map(|(port, rows)| values(port, rows));
                let operand = |data| Operand::Values { data, k: self.b.length };
                datapath.gemm_by_kernel(operand(&a), operand(&b))?
            }
            Some(scale) => {
                let format = |weights| Format::all().iter().find(|format| codes.takes(format, weights));
                let a = quantized(format(false)?, &self.a, &self.scale_a, scale)?;
                let b = quantized(format(true)?, &self.b, &self.scale_b, scale)?;
                datapath.gemm_by_kernel(Operand::Quantized(&a), Operand::Quantized(&b))?
            }
        };
        let integers = matches!(datapath.accumulator.d.encoding, Encoding::Integer { .. });
        let code = |y: f32| (!integers || y.abs() < EXACT).then(|| datapath.code(Value::from_f32(y)));
        Some(y.into_iter().map(code).collect())
    }
}

/// The numbers that codes stand for.
fn values(port: Port, rows: &Rows) -> Vec<f32> {
    rows.codes.iter().map(|&code| port.format.decode(code).to_f32()).collect()
}

/// Codes and scales as a matrix of a format that has both; nothing where a scale is no number.
fn quantized(format: &'static Format, rows: &Rows, scales: &Rows, scale: BlockScale) -> Option<Quantized> {
    if scales.codes.iter().any(|&code| scale.format.decode(code).finite().is_none()) {
        return None;
    }
    let bytes = |codes: &[u64]| codes.iter().map(|&code| code as u8).collect();
    let scales = match format.scaling?.scale {
        Scale::E8M0 => Scales::E8M0(bytes(&scales.codes)),
        _ => Scales::Code(bytes(&scales.codes)),
    };
    let tensor_scale = format.scaling?.two_level.then_some(1.0);
    let count = rows.codes.len() / rows.length.max(1);
    Quantized::from_parts(format, count, rows.length, Codes::U8(bytes(&rows.codes)), scales, tensor_scale).ok()
}
