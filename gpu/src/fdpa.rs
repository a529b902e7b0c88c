//! The tensor cores that align and truncate, on the device: T-, ST- and GST-FDPA, with the bits of the CPU.
//!
//! [`Fdpa`] is a unit's kernels. An operand is prepared once, then multiplied any number of times; nothing is copied to
//! the host. Rules are cube functions over integers of 32 bits, called on the host as they are:
//! [`element`](mod@element) reads numbers, [`align`] cuts terms, [`register`] rounds, [`step`] puts a step together,
//! [`simple`] walks over the steps of one output. [`tiled`] does the same for many outputs at once.

pub mod align;
pub mod element;
pub mod group;
pub mod group_simple;
pub mod group_tiled;
pub mod prepare;
mod recognise;
pub mod register;
pub mod simple;
pub mod step;
pub mod tile;
pub mod tiled;
pub mod unit;

use crate::Error;
use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;
use interplay_hw::Datapath;
use tile::Tile;
use unit::{Side, Unit};

/// Units of a cube of the kernels that are not tiled.
const CUBE: u32 = 64;

/// Tiles, best first: the first one that fits the device's shared memory is taken.
const TILES: [([usize; 2], [usize; 2]); 5] =
    [([16, 16], [4, 4]), ([8, 16], [4, 4]), ([8, 8], [4, 4]), ([8, 8], [2, 2]), ([4, 4], [2, 2])];

/// Positions that a tile holds where steps are short.
const POSITIONS: usize = 32;

/// A matrix on the device, row-major `[rows, k]`.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// `[rows, k]` FP32 bits; elements without their scales where there are scales.
    pub elements: Handle,
    /// Number of rows.
    pub rows: usize,
    /// Elements in a row, padding of the last block included.
    pub k: usize,
    /// `[rows, k / block]` exponents of powers of two, 0x8000_0000 for NaN.
    pub scales: Option<Handle>,
}

/// Which side of `y = x w^T` an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// x.
    Activations,
    /// w.
    Weights,
}

/// An operand as the kernels of one unit read it.
#[derive(Clone, Debug)]
pub struct Prepared {
    words: Handle,
    masks: Handle,
    factors: Handle,
    rows: usize,
    k: usize,
    side: Side,
}

impl Prepared {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Length of the reduction.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Steps of the reduction.
    fn steps(&self) -> usize {
        step::count(self.k, self.side.steps)
    }

    /// Words of one element or exponent each.
    fn words(&self) -> BufferArg {
        buffer(&self.words, self.rows * self.steps() * self.side.steps.length)
    }

    fn masks(&self) -> BufferArg {
        buffer(&self.masks, self.rows * self.steps() * self.side.steps.words() * 2)
    }

    fn factors(&self) -> BufferArg {
        buffer(&self.factors, (self.rows * self.steps() * self.side.scales()).max(1))
    }
}

/// The kernels of one unit.
#[derive(Clone, Debug)]
pub struct Fdpa {
    unit: Unit,
    /// The positions of an instruction in the order of its steps.
    order: Vec<u32>,
}

/// A buffer of words.
fn buffer(handle: &Handle, words: usize) -> BufferArg {
    // SAFETY: every handle here was made, or was checked, to have at least so many words.
    unsafe { BufferArg::from_raw_parts(handle.clone(), words) }
}

impl Fdpa {
    /// The kernels of a record.
    ///
    /// # Errors
    /// [`Error::CpuOnly`] for a record that no kernel covers, with the part that decides.
    pub fn new(datapath: &Datapath) -> Result<Self, Error> {
        let unit = Unit::of(datapath)?;
        let steps = unit.side(0).steps;
        let positions = datapath.order.positions(steps.length * steps.instruction);
        Ok(Self { unit, order: positions.iter().map(|&position| position as u32).collect() })
    }

    /// What the kernels are specialised for.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// Prepares a matrix for one side. `status`, two words, has a 1 at 0 (x) or 1 (w) where the matrix has an element
    /// that the unit's input format does not have.
    pub fn prepare(&self, client: &Client, matrix: &Matrix, operand: Operand, status: &Handle) -> Prepared {
        let side = self.unit.side(usize::from(operand == Operand::Weights));
        let steps = step::count(matrix.k, side.steps);
        let Matrix { elements, rows, k, scales } = matrix;
        let words = |count: usize| client.empty(4 * count.max(1));
        let prepared = Prepared {
            words: words(rows * steps * side.steps.length),
            masks: words(rows * steps * side.steps.words() * 2),
            factors: words(rows * steps * side.scales()),
            rows: *rows,
            k: *k,
            side,
        };
        let units = rows * steps * side.steps.words();
        if units == 0 {
            return prepared;
        }
        let order = client.create_from_slice(u32::as_bytes(&self.order));
        let blocks = side.scaling.map_or(0, |scaling| k / scaling.block);
        let scales = match scales {
            Some(scales) => buffer(scales, rows * blocks),
            None => buffer(&order, 1),
        };
        let dimension = CubeDim::new_1d(CUBE);
        // SAFETY: every unit stays inside the matrices, whose sizes the buffers have.
        unsafe {
            prepare::prepare::launch_unchecked(
                client,
                calculate_cube_count_elemwise(client, units, dimension),
                dimension,
                buffer(elements, rows * k),
                scales,
                buffer(&order, self.order.len()),
                prepared.words(),
                prepared.masks(),
                prepared.factors(),
                buffer(status, 2),
                *rows,
                *k,
                steps,
                side,
            );
        }
        prepared
    }

    /// `x w^T`, `[m, n]` FP32 bits; FP16 results as FP32 numbers.
    pub fn run(&self, client: &Client, x: &Prepared, w: &Prepared) -> Handle {
        let y = client.empty(4 * (x.rows * w.rows).max(1));
        if x.rows * w.rows > 0 {
            self.tiled(client, x, w, &y);
            self.simple(client, x, w, &y, true);
        }
        y
    }

    /// The same, one output after the other: the judge of [`Fdpa::run`].
    pub fn run_simple(&self, client: &Client, x: &Prepared, w: &Prepared) -> Handle {
        let y = client.empty(4 * (x.rows * w.rows).max(1));
        if x.rows * w.rows > 0 {
            self.simple(client, x, w, &y, false);
        }
        y
    }

    fn tiled(&self, client: &Client, x: &Prepared, w: &Prepared, y: &Handle) {
        let (m, n, steps) = (x.rows, w.rows, x.steps());
        let tile = self.tile(client.properties().hardware.max_shared_memory_size);
        let cubes = |rows: usize, side: usize| rows.div_ceil(tile.rows(side)) as u32;
        let count = CubeCount::Static(cubes(n, 1), cubes(m, 0), 1);
        let dimension = CubeDim::new_2d(tile.units[1] as u32, tile.units[0] as u32);
        let operands = [x.words(), w.words(), x.masks(), w.masks(), x.factors(), w.factors()];
        let [xw, ww, xm, wm, xf, wf] = operands;
        let y = buffer(y, m * n);
        // SAFETY: every unit stays inside the matrices, whose sizes the buffers have.
        unsafe {
            match self.unit {
                Unit::Aligned(unit) => tiled::tiled::launch_unchecked(
                    client, count, dimension, xw, ww, xm, wm, xf, wf, y, m, n, steps, tile, unit,
                ),
                Unit::Grouped(unit) => group_tiled::tiled::launch_unchecked(
                    client, count, dimension, xw, ww, xm, wm, xf, wf, y, m, n, steps, tile, unit,
                ),
            }
        }
    }

    fn simple(&self, client: &Client, x: &Prepared, w: &Prepared, y: &Handle, unsettled: bool) {
        let (m, n, steps) = (x.rows, w.rows, x.steps());
        let dimension = CubeDim::new_1d(CUBE);
        let count = calculate_cube_count_elemwise(client, m * n, dimension);
        let [xw, ww, xf, wf] = [x.words(), w.words(), x.factors(), w.factors()];
        let y = buffer(y, m * n);
        // SAFETY: every unit stays inside the matrices, whose sizes the buffers have.
        unsafe {
            match self.unit {
                Unit::Aligned(unit) => simple::simple::launch_unchecked(
                    client, count, dimension, xw, ww, xf, wf, y, m, n, steps, unsettled, unit,
                ),
                Unit::Grouped(unit) => group_simple::simple::launch_unchecked(
                    client, count, dimension, xw, ww, xf, wf, y, m, n, steps, unsettled, unit,
                ),
            }
        }
    }

    /// The largest tile that fits so many bytes of shared memory.
    fn tile(&self, bytes: usize) -> Tile {
        let steps = (POSITIONS / self.unit.side(0).steps.length).max(1);
        let tiles = TILES.map(|(units, outputs)| Tile { units, outputs, steps });
        let taken = |tile: &Tile| match &self.unit {
            Unit::Aligned(unit) => tiled::bytes(*tile, unit),
            Unit::Grouped(unit) => group_tiled::bytes(*tile, unit),
        };
        // Steps have 128 products at most: the smallest tile has less than 16 KiB, which every device has.
        tiles.into_iter().find(|tile| taken(tile) <= bytes).unwrap_or(tiles[TILES.len() - 1])
    }
}
