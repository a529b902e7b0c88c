//! The walk over an output whose elements are certified one by one: tiles first, then whatever they could not vouch for.

use super::level::{self, Level};
use super::{NR, simd::Path, tasks};
use rayon::prelude::*;

/// Rows of a tile: one step of a panel is read from the nearest cache this many times.
pub(super) const TILE_ROWS: usize = 16;

/// Results of a tile and which of them are certainly the machine's.
pub(super) struct Tile {
    /// `[rows][NR]`.
    pub results: [[f32; NR]; TILE_ROWS],
    /// `[rows][NR]`.
    pub certain: [[bool; NR]; TILE_ROWS],
}

/// An output element computed by definition, from its row and column.
pub type Fallback<'a> = &'a (dyn Fn(usize, usize) -> f32 + Sync);

/// A product whose tiles can be computed in any order.
pub(super) trait Tiles: Sync {
    /// Computes the `rows` rows (at most [`TILE_ROWS`]) from row `first` on and the columns of panel `panel`.
    fn tile<L: Level>(&self, first: usize, rows: usize, panel: usize) -> Tile;

    /// The definition, for outputs that a tile does not certify.
    fn definition(&self, row: usize, column: usize) -> f32;

    /// Computes consecutive output rows from row `place.0` on, all starting at panel `place.1`.
    #[inline(always)]
    fn rectangle<L: Level>(&self, (row, panel): (usize, usize), rows: &mut [&mut [f32]]) {
        let panels = rows.first().map_or(0, |row| row.len().div_ceil(NR));
        for panel_here in 0..panels {
            for (strip, rows) in rows.chunks_mut(TILE_ROWS).enumerate() {
                let first = row + strip * TILE_ROWS;
                let tile = self.tile::<L>(first, rows.len(), panel + panel_here);
                for (r, values) in rows.iter_mut().enumerate() {
                    let from = panel_here * NR;
                    let to = values.len().min(from + NR);
                    for (c, value) in values[from..to].iter_mut().enumerate() {
                        let certain = tile.certain[r][c];
                        *value = if certain {
                            tile.results[r][c]
                        } else {
                            self.definition(first + r, (panel + panel_here) * NR + c)
                        };
                    }
                }
            }
        }
    }
}

/// The whole output `[m, n]`, on all threads of the current pool.
pub(super) fn multiply<T: Tiles>(path: Path, tiles: &T, (m, n): (usize, usize)) -> Vec<f32> {
    let mut y = vec![0.0; m * n];
    tasks(&mut y, n)
        .into_par_iter()
        .for_each(|mut task| level::run(path, tiles, (task.row, task.panel), &mut task.rows));
    y
}
