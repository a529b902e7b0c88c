//! The tensor cores that align and truncate, on the device: T-, ST- and GST-FDPA, with the bits of the CPU.
//!
//! [`Fdpa`] is a unit's kernels. An operand is prepared once, then multiplied any number of times; nothing is copied to
//! the host. Rules are cube functions over integers of 32 bits, called on the host as they are:
//! [`element`](mod@element) reads numbers, [`align`] cuts terms, [`register`] rounds, [`step`] puts a step together,
//! [`simple`] walks over the steps of one output. [`tiled`] does the same for many outputs at once.

pub mod align;
pub mod element;
pub mod factors;
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

use crate::device::check_size;
use crate::{DeviceOperand, Error};
use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::{CubeCountSelection, Handle};
use factors::ONE;
use interplay_hw::Datapath;
use interplay_hw::datapath::Codes;
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
    /// `[rows, k / block]`: exponents of powers of two, 0x8000_0000 for NaN, or codes, by the unit's scale format.
    pub scales: Option<Handle>,
    /// FP32 bits of the factor of each row of results, `[rows]`.
    pub factors: Option<Handle>,
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
    scales: Handle,
    factors: Option<Handle>,
    rows: usize,
    k: usize,
    side: Side,
}

impl Prepared {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Length of the reduction, padding of the last block included.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Steps of the reduction.
    fn steps(&self) -> usize {
        step::count(self.k, self.side.steps)
    }

    fn words(&self) -> BufferArg {
        buffer(&self.words, self.rows * self.steps() * self.side.steps.length)
    }

    fn masks(&self) -> BufferArg {
        buffer(&self.masks, self.rows * self.steps() * self.side.steps.words() * 2)
    }

    fn scales(&self) -> BufferArg {
        buffer(&self.scales, (self.rows * self.steps() * self.side.scales()).max(1))
    }
}

/// The kernels of one unit.
#[derive(Clone, Debug)]
pub struct Fdpa {
    unit: Unit,
    codes: Codes,
    /// The positions of an instruction in the order of its steps.
    order: Vec<u32>,
}

/// A buffer of words.
fn buffer(handle: &Handle, words: usize) -> BufferArg {
    // SAFETY: every handle here was made, or is said by its owner, to have at least so many words.
    unsafe { BufferArg::from_raw_parts(handle.clone(), words) }
}

/// A buffer of at least one word.
fn empty(client: &Client, what: &'static str, words: usize) -> Result<Handle, Error> {
    check_size(client, what, words as u64)?;
    Ok(client.empty(4 * words.max(1)))
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
        let codes = datapath.codes().map_err(|error| Error::Refused(error.to_string()))?;
        Ok(Self { unit, codes, order: positions.iter().map(|&position| position as u32).collect() })
    }

    /// What the kernels are specialised for.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// A quantised operand as a matrix of this unit. Numbers of a unit without block scales may be of any format: those
    /// that the unit's own does not have are reported by [`Fdpa::prepare`].
    ///
    /// # Errors
    /// [`Error::Operand`] for a format whose blocks the unit does not read.
    pub fn matrix(&self, quantised: &DeviceOperand, operand: Operand) -> Result<Matrix, Error> {
        let DeviceOperand { elements, scales, factors, format, rows, k_padded, .. } = quantised;
        let read = match self.codes.scale {
            Some(_) => self.codes.takes(format, operand == Operand::Weights),
            None => scales.is_none(),
        };
        if !read {
            return Err(operand.unlike(format!("in format `{}`", format.name), self.wanted(operand)));
        }
        let (elements, scales, factors) = (elements.clone(), scales.clone(), factors.clone());
        Ok(Matrix { elements, rows: *rows, k: *k_padded, scales, factors })
    }

    /// What one side of the unit takes.
    fn wanted(&self, operand: Operand) -> String {
        let port = if operand == Operand::Weights { self.codes.b } else { self.codes.a };
        match self.codes.scale {
            Some(scale) => {
                let (format, block) = (scale.format.name, scale.block);
                format!("in `{}` elements with one `{format}` scale a run of {block}", port.format.name)
            }
            None => format!("in `{}` elements without block scales", port.format.name),
        }
    }

    /// Prepares a matrix for one side. `status`, two words, has a 1 at 0 (x) or 1 (w) where the matrix has an element
    /// that the unit's input format does not have.
    ///
    /// # Errors
    /// [`Error::Operand`] for scales where the unit has none, or none where it has, or blocks that are not whole;
    /// [`Error::Memory`].
    pub fn prepare(
        &self,
        client: &Client,
        matrix: &Matrix,
        operand: Operand,
        status: &Handle,
    ) -> Result<Prepared, Error> {
        let side = self.unit.side(usize::from(operand == Operand::Weights));
        let whole = side.scaling.is_none_or(|scaling| matrix.k.is_multiple_of(scaling.block));
        if matrix.scales.is_some() != side.scaling.is_some() || !whole {
            let scales = if matrix.scales.is_some() { "with" } else { "without" };
            let given = format!("of {} elements a row, {scales} block scales", matrix.k);
            return Err(operand.unlike(given, self.wanted(operand)));
        }
        let parts = matrix.rows * step::count(matrix.k, side.steps);
        let prepared = Prepared {
            words: empty(client, "a prepared operand", parts * side.steps.length)?,
            masks: empty(client, "a prepared operand's signs", parts * side.steps.words() * 2)?,
            scales: empty(client, "a prepared operand's scales", parts * side.scales())?,
            factors: matrix.factors.clone(),
            rows: matrix.rows,
            k: matrix.k,
            side,
        };
        if parts > 0 {
            self.launch_prepare(client, matrix, &prepared, status);
        }
        Ok(prepared)
    }

    fn launch_prepare(&self, client: &Client, matrix: &Matrix, prepared: &Prepared, status: &Handle) {
        let (side, steps) = (prepared.side, prepared.steps());
        let order = client.create_from_slice(u32::as_bytes(&self.order));
        let scales = match (&matrix.scales, side.scaling) {
            (Some(scales), Some(scaling)) => buffer(scales, matrix.rows * (matrix.k / scaling.block)),
            _ => buffer(&order, 1),
        };
        let dimension = CubeDim::new_1d(CUBE);
        let count = calculate_cube_count_elemwise(client, matrix.rows * steps * side.steps.words(), dimension);
        // SAFETY: every unit stays inside the matrices, whose sizes the buffers have.
        unsafe {
            prepare::prepare::launch_unchecked(
                client,
                count,
                dimension,
                buffer(&matrix.elements, matrix.rows * matrix.k),
                scales,
                buffer(&order, self.order.len()),
                prepared.words(),
                prepared.masks(),
                prepared.scales(),
                buffer(status, 2),
                matrix.rows,
                matrix.k,
                steps,
                side,
            );
        }
    }

    /// `x w^T`, `[m, n]` FP32 bits; FP16 results as FP32 numbers, and results times the factors of their rows where the
    /// operands have some, as [`Datapath::gemm`] gives them.
    ///
    /// # Errors
    /// [`Error::Operand`] for operands of different lengths, or prepared for another unit or side; [`Error::Memory`].
    pub fn run(&self, client: &Client, x: &Prepared, w: &Prepared) -> Result<Handle, Error> {
        self.product(client, x, w, true)
    }

    /// The same, one output after the other: the judge of [`Fdpa::run`].
    ///
    /// # Errors
    /// As [`Fdpa::run`].
    pub fn run_simple(&self, client: &Client, x: &Prepared, w: &Prepared) -> Result<Handle, Error> {
        self.product(client, x, w, false)
    }

    fn product(&self, client: &Client, x: &Prepared, w: &Prepared, tiled: bool) -> Result<Handle, Error> {
        for (prepared, operand) in [(x, Operand::Activations), (w, Operand::Weights)] {
            if prepared.side != self.unit.side(usize::from(operand == Operand::Weights)) {
                return Err(operand.unlike("prepared for another unit or side".to_owned(), self.wanted(operand)));
            }
        }
        if x.k != w.k {
            let wanted = format!("of {}, as w", w.k);
            return Err(Operand::Activations.unlike(format!("of {} elements a row", x.k), wanted));
        }
        let y = empty(client, "a product", x.rows * w.rows)?;
        if x.rows * w.rows > 0 {
            if tiled {
                self.tiled(client, x, w, &y);
            }
            self.simple(client, x, w, &y, tiled);
            self.scale(client, x, w, &y);
        }
        Ok(y)
    }

    fn tiled(&self, client: &Client, x: &Prepared, w: &Prepared, y: &Handle) {
        let (m, n, steps) = (x.rows, w.rows, x.steps());
        let tile = self.tile(client.properties().hardware.max_shared_memory_size);
        let count = m.div_ceil(tile.rows(0)) * n.div_ceil(tile.rows(1));
        let count = CubeCountSelection::new(client, count as u32).cube_count();
        let dimension = CubeDim::new_1d(tile.cube() as u32);
        let [xw, ww, xm, wm, xs, ws] = [x.words(), w.words(), x.masks(), w.masks(), x.scales(), w.scales()];
        let y = buffer(y, m * n);
        // SAFETY: every unit stays inside the matrices, whose sizes the buffers have.
        unsafe {
            match self.unit {
                Unit::Aligned(unit) => tiled::tiled::launch_unchecked(
                    client, count, dimension, xw, ww, xm, wm, xs, ws, y, m, n, steps, tile, unit,
                ),
                Unit::Grouped(unit) => group_tiled::tiled::launch_unchecked(
                    client, count, dimension, xw, ww, xm, wm, xs, ws, y, m, n, steps, tile, unit,
                ),
            }
        }
    }

    fn simple(&self, client: &Client, x: &Prepared, w: &Prepared, y: &Handle, unsettled: bool) {
        let (m, n, steps) = (x.rows, w.rows, x.steps());
        let dimension = CubeDim::new_1d(CUBE);
        let count = calculate_cube_count_elemwise(client, m * n, dimension);
        let [xw, ww, xs, ws] = [x.words(), w.words(), x.scales(), w.scales()];
        let y = buffer(y, m * n);
        // SAFETY: every unit stays inside the matrices, whose sizes the buffers have.
        unsafe {
            match self.unit {
                Unit::Aligned(unit) => simple::simple::launch_unchecked(
                    client, count, dimension, xw, ww, xs, ws, y, m, n, steps, unsettled, unit,
                ),
                Unit::Grouped(unit) => group_simple::simple::launch_unchecked(
                    client, count, dimension, xw, ww, xs, ws, y, m, n, steps, unsettled, unit,
                ),
            }
        }
    }

    /// Multiplies results by the factors of their rows and columns.
    fn scale(&self, client: &Client, x: &Prepared, w: &Prepared, y: &Handle) {
        if x.factors.is_none() && w.factors.is_none() {
            return;
        }
        let (m, n) = (x.rows, w.rows);
        let one = client.create_from_slice(u32::as_bytes(&[ONE]));
        let factors = |prepared: &Prepared| match &prepared.factors {
            Some(factors) => buffer(factors, prepared.rows),
            None => buffer(&one, 1),
        };
        let dimension = CubeDim::new_1d(CUBE);
        let count = calculate_cube_count_elemwise(client, m * n, dimension);
        let given = (x.factors.is_some(), w.factors.is_some());
        let (x, w, y) = (factors(x), factors(w), buffer(y, m * n));
        // SAFETY: every unit stays inside the matrices, whose sizes the buffers have.
        unsafe {
            factors::scale::launch_unchecked(
                client,
                count,
                dimension,
                x,
                w,
                y,
                m,
                n,
                given.0,
                given.1,
                self.unit.nan(),
            );
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

impl Operand {
    /// An operand that is something else than what is taken.
    fn unlike(self, given: String, wanted: String) -> Error {
        Error::Operand { side: if self == Self::Weights { "w" } else { "x" }, given, wanted }
    }
}
