//! GEMM by the definition: every output by the interpreter of records.

use super::evaluate::Rows as Dot;
use super::operand::{Prepared, Side};
use super::record::{Codes, Datapath, Inputs};
use super::term::Term;
use crate::kernel::Rows;
use rayon::prelude::*;

/// Output columns whose terms are held at once.
const TILE: usize = 64;

/// `x w^T`, without the scales that are applied to results.
pub(super) fn gemm(datapath: &Datapath, (x, px): (&Rows<'_>, &Prepared), (w, pw): (&Rows<'_>, &Prepared)) -> Vec<f32> {
    let tiles: Vec<usize> = (0..w.rows).step_by(TILE).collect();
    let columns: Vec<Vec<f32>> = tiles
        .par_iter()
        .flat_map_iter(|&first| {
            let weights: Vec<Vec<Term>> =
                (first..w.rows.min(first + TILE)).map(|row| pw.terms(datapath, Side::Weights, w, row)).collect();
            let mut columns = vec![Vec::with_capacity(x.rows); weights.len()];
            for row in 0..x.rows {
                let activations = px.terms(datapath, Side::Activations, x, row);
                for (column, weights) in columns.iter_mut().zip(&weights) {
                    column.push(output(datapath, px.block_length, &activations, weights));
                }
            }
            columns
        })
        .collect();
    (0..x.rows).flat_map(|row| columns.iter().map(move |column| column[row])).collect()
}

/// One output of a pair of rows.
pub(super) fn one(
    datapath: &Datapath,
    (x, px): (&Rows<'_>, &Prepared),
    (w, pw): (&Rows<'_>, &Prepared),
    at: (usize, usize),
) -> f32 {
    let activations = px.terms(datapath, Side::Activations, x, at.0);
    output(datapath, px.block_length, &activations, &pw.terms(datapath, Side::Weights, w, at.1))
}

/// One output of two rows of terms.
fn output(datapath: &Datapath, block: usize, x: &[Term], w: &[Term]) -> f32 {
    let depth = datapath.depths.last().copied().unwrap_or(x.len()).max(1);
    let c = datapath.accumulator_term(0);
    let rows = match datapath.inputs {
        Inputs::Codes(Codes { sparse: Some(sparsity), .. }) => {
            let kept = sparsity.kept(w);
            let pick = |row: &[Term]| kept.iter().map(|&p| row[p]).collect::<Vec<Term>>();
            let (stored, met) = (pick(w), pick(x));
            let depth = depth * sparsity.n / sparsity.m;
            return datapath.evaluate(Dot { a: &stored, b: &met, depth, block }, c, &mut ()).to_f32();
        }
        _ => Dot { a: x, b: w, depth, block },
    };
    datapath.evaluate(rows, c, &mut ()).to_f32()
}
