//! One step of one row and one panel of columns, and the walk over the steps.

use super::operand::{ALL_ZERO, Panel, RowExponents};
use super::output::Output;
use super::{Aligned, BIAS, Columns, Joins};
use crate::kernel::level::Level;
use crate::kernel::tiles::{Fallback, TILE_ROWS, Tile, Tiles};
use crate::kernel::{NR, Rows};
use std::marker::PhantomData;

/// A product by an [`Aligned`] unit; `WIDE` sums exceed 32 bits, `SCALED` operands have block scales.
pub(super) struct Steps<'a, O, const WIDE: bool, const SCALED: bool> {
    pub unit: Aligned,
    pub rows: &'a Rows<'a>,
    pub exponents: &'a RowExponents,
    pub columns: &'a Columns,
    pub definition: Fallback<'a>,
    pub output: PhantomData<O>,
}

/// One row of a tile: its accumulators, and the extremes that decide whether they are certain.
#[derive(Clone, Copy)]
struct Lanes {
    accumulators: [f32; NR],
    /// Largest exponent so far, biased.
    highest: [i32; NR],
    /// Least exponent of a step with a product other than 0, biased and counted from [`ALL_ZERO`]; steps of zeros wrap to
    /// the largest numbers.
    lowest: [u16; NR],
    /// Largest magnitude of a rounded sum.
    largest: [f32; NR],
}

impl Lanes {
    const START: Self = Self { accumulators: [0.0; NR], highest: [0; NR], lowest: [u16::MAX; NR], largest: [0.0; NR] };
}

/// The operands of a step.
#[derive(Clone, Copy)]
struct Terms<'a> {
    /// Elements of the row.
    a: &'a [f32],
    ea: &'a [i16],
    /// Elements of the columns.
    b: &'a [[f32; NR]],
    eb: &'a [[i16; NR]],
    /// Scale exponents of the row and the columns.
    scale: (i16, &'a [i16; NR]),
}

impl<O: Output, const WIDE: bool, const SCALED: bool> Tiles for Steps<'_, O, WIDE, SCALED> {
    #[inline(always)]
    fn tile<L: Level>(&self, first: usize, rows: usize, panel: usize) -> Tile {
        let panel = self.columns.panel(panel);
        let mut lanes = [Lanes::START; TILE_ROWS];
        let (k, step) = (self.rows.k, self.unit.step);
        match self.unit.joins {
            Joins::First => {
                for from in (0..k).step_by(step) {
                    for (r, lanes) in lanes[..rows].iter_mut().enumerate() {
                        self.step::<L>(self.terms(first + r, panel, from), lanes);
                    }
                }
            }
            Joins::Last { steps } => {
                for from in (0..k).step_by(step * steps) {
                    for (r, lanes) in lanes[..rows].iter_mut().enumerate() {
                        let before = std::mem::replace(&mut lanes.accumulators, [0.0; NR]);
                        for from in (from..k.min(from + step * steps)).step_by(step) {
                            self.step::<L>(self.terms(first + r, panel, from), lanes);
                        }
                        for (c, before) in before.iter().enumerate() {
                            let sum = O::add(lanes.accumulators[c], *before);
                            lanes.accumulators[c] = sum;
                            lanes.largest[c] = larger(lanes.largest[c], sum.abs());
                        }
                    }
                }
            }
        }
        self.certify(&lanes)
    }

    fn definition(&self, row: usize, column: usize) -> f32 {
        (self.definition)(row, column)
    }
}

/// The larger of two numbers; a NaN `b` counts as larger than all and stays.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a >= b { a } else { b }
}

impl<O: Output, const WIDE: bool, const SCALED: bool> Steps<'_, O, WIDE, SCALED> {
    /// The operands of the step that starts at `from`.
    #[inline(always)]
    fn terms<'b>(&'b self, row: usize, panel: Panel<'b>, from: usize) -> Terms<'b> {
        let k = self.rows.k;
        let to = k.min(from + self.unit.step);
        let scale = match self.unit.scale_block {
            Some(block) if SCALED => {
                let index = from / block;
                (self.exponents.scales[row * panel.scales.len() + index], &panel.scales[index])
            }
            _ => (0, &[0; NR]),
        };
        Terms {
            a: &self.rows.elements[row * k + from..row * k + to],
            ea: &self.exponents.elements[row * k + from..row * k + to],
            b: &panel.elements[from..to],
            eb: &panel.exponents[from..to],
            scale,
        }
    }

    /// Adds one step to the accumulators of a row.
    #[inline(always)]
    fn step<L: Level>(&self, terms: Terms<'_>, lanes: &mut Lanes) {
        let mut highest = highest(terms.ea, terms.eb);
        let mut scale = [0i16; NR];
        if SCALED {
            let (a, b) = (terms.scale.0, *terms.scale.1);
            for c in 0..NR {
                scale[c] = a + b[c];
                highest[c] = highest[c].saturating_add(scale[c]);
            }
        }
        let exponents = self.window(&highest, lanes);
        let (mut factor, mut c_factor, mut unit) = ([0.0; NR], [0.0; NR], [0.0; NR]);
        let fraction_bits = self.unit.fraction_bits as i32;
        for c in 0..NR {
            let field = fraction_bits + 2 * BIAS - exponents[c];
            c_factor[c] = power(field);
            unit[c] = power(exponents[c] - fraction_bits);
            // Out of range only where the products vanish against the accumulator, or are all 0.
            factor[c] = if SCALED { power((field + i32::from(scale[c])).clamp(1, 2 * BIAS)) } else { power(field) };
        }
        let before = lanes.accumulators;
        let mut narrow = [0; NR];
        L::add_products(&[1.0], &[before], &c_factor, &mut narrow);
        let after = if WIDE {
            let mut sums = [0.0; NR];
            (0..NR).for_each(|c| sums[c] = f64::from(narrow[c]));
            let run = self.unit.run();
            for (a, b) in terms.a.chunks(run).zip(terms.b.chunks(run)) {
                let mut narrow = [0; NR];
                L::add_products(a, b, &factor, &mut narrow);
                (0..NR).for_each(|c| sums[c] += f64::from(narrow[c]));
            }
            O::wide::<L>(&sums, &unit)
        } else {
            L::add_products(terms.a, terms.b, &factor, &mut narrow);
            O::narrow::<L>(&narrow, &unit)
        };
        lanes.accumulators = after;
        if O::MAX < f32::MAX {
            let mut largest = lanes.largest;
            (0..NR).for_each(|c| largest[c] = larger(largest[c], after[c].abs()));
            lanes.largest = largest;
        }
    }

    /// The exponents that a step aligns to, biased, from the largest of its products; remembers the extremes.
    ///
    /// Works on copies, so that the compiler need not ask whether arrays overlap.
    #[inline(always)]
    fn window(&self, products: &[i16; NR], lanes: &mut Lanes) -> [i32; NR] {
        let (accumulators, mut lowest, mut highest) = (lanes.accumulators, lanes.lowest, lanes.highest);
        let low = self.unit.low() + BIAS;
        let mut exponents = [0; NR];
        for c in 0..NR {
            exponents[c] = i32::from(products[c]).max(presented::<O>(accumulators[c])).max(low);
            highest[c] = highest[c].max(exponents[c]);
        }
        for c in 0..NR {
            lowest[c] = lowest[c].min(products[c].wrapping_sub(ALL_ZERO) as u16);
        }
        lanes.lowest = lowest;
        lanes.highest = highest;
        exponents
    }

    /// Results, and which of them the proof covers.
    #[inline(always)]
    fn certify(&self, lanes: &[Lanes; TILE_ROWS]) -> Tile {
        let low = (self.unit.low() + BIAS) as i16;
        let high = self.unit.high() + BIAS;
        // Aligning to the floor is what the machine does; aligning to a higher `LOW` is not.
        let lowest = if self.unit.low() > self.unit.floor { low.wrapping_sub(ALL_ZERO) as u16 } else { 0 };
        let mut tile = Tile { results: [[0.0; NR]; TILE_ROWS], certain: [[false; NR]; TILE_ROWS] };
        for (r, lanes) in lanes.iter().enumerate() {
            tile.results[r] = lanes.accumulators;
            for c in 0..NR {
                tile.certain[r][c] =
                    (lanes.highest[c] <= high) & (lanes.lowest[c] >= lowest) & (lanes.largest[c] <= O::MAX);
            }
        }
        tile
    }
}

/// The exponent that an accumulator presents, biased; that of 0 is below every `LOW`.
#[inline(always)]
fn presented<O: Output>(x: f32) -> i32 {
    let field = (x.to_bits() << 1 >> 24) as i32;
    match O::EMIN {
        Some(emin) if field != 0 => field.max(emin),
        _ => field,
    }
}

/// The power of two with this exponent field.
#[inline(always)]
fn power(field: i32) -> f32 {
    f32::from_bits((field as u32) << 23)
}

/// The largest exponent of a product, column by column.
#[inline(always)]
fn highest(ea: &[i16], eb: &[[i16; NR]]) -> [i16; NR] {
    let mut highest = [i16::MIN; NR];
    for (a, b) in ea.iter().zip(eb) {
        for c in 0..NR {
            highest[c] = highest[c].max(a.wrapping_add(b[c]));
        }
    }
    highest
}
