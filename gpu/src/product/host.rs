//! The host's side of a product.

use super::simple::simple;
use super::tiled::{SIDE, Side, TILE, prepare, tiled};
use super::unit::{Unit, table};
use crate::device::check_size;
use crate::operand::bytes;
use crate::{DeviceOperand, Error};
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;
use interplay_formats::Format;
use interplay_hw::Datapath;

/// Products of one datapath for a pair of formats.
#[derive(Clone, Debug)]
pub struct Product {
    datapath: Datapath,
    x: &'static Format,
    w: &'static Format,
    table: Vec<u32>,
}

/// An operand as the tiled kernel reads it, for many products: weights are prepared once.
#[derive(Clone)]
pub struct Prepared {
    words: Handle,
    scales: Handle,
    operand: DeviceOperand,
}

/// Which side of `y = x w^T` an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Activations.
    X,
    /// Weights.
    W,
}

impl Product {
    /// The product of activations in `x` and weights in `w`.
    ///
    /// # Errors
    /// [`Error::CpuOnly`] for a datapath, or for formats, that no kernel covers; [`Error::Refused`] for formats that the
    /// datapath does not take.
    pub fn new(datapath: &Datapath, x: &'static Format, w: &'static Format) -> Result<Self, Error> {
        Unit::of(datapath, x, w, 1)?;
        let mut codes = table(x);
        codes.resize(256, 0);
        codes.extend(table(w));
        codes.resize(512, 0);
        Ok(Self { datapath: *datapath, x, w, table: codes })
    }

    /// Brings an operand into the form that [`Product::multiply`] takes.
    ///
    /// # Errors
    /// [`Error::Operand`] for one of another format, [`Error::Memory`].
    pub fn prepare(&self, client: &Client, which: Which, operand: &DeviceOperand) -> Result<Prepared, Error> {
        let unit = self.unit(operand.k)?;
        self.check(which, operand)?;
        let count = operand.rows * operand.k_padded;
        check_size(client, "a prepared operand", count as u64)?;
        let side = Side::both(&unit)[usize::from(which == Which::W)];
        let runs = operand.k_padded.div_ceil(unit.run());
        let (words, scales) = (client.empty(count * 4), client.empty(operand.rows * runs * 4));
        // SAFETY: every handle has as many words as is said; `check` has seen those of the operand.
        unsafe {
            prepare::launch(
                client,
                cubes((operand.rows * runs).div_ceil(256)),
                CubeDim::new_1d(256),
                BufferArg::from_raw_parts(operand.elements.clone(), count),
                buffer(client, operand.scales.as_ref(), operand.rows * runs, 0),
                BufferArg::from_raw_parts(client.create_from_slice(&bytes(&self.table)), self.table.len()),
                BufferArg::from_raw_parts(words.clone(), count),
                BufferArg::from_raw_parts(scales.clone(), operand.rows * runs),
                operand.k_padded,
                runs,
                side,
            );
        }
        Ok(Prepared { words, scales, operand: operand.clone() })
    }

    /// `x w^T` of prepared operands, `[m, n]` FP32 bits.
    ///
    /// # Errors
    /// [`Error::Operand`] for operands of different K, [`Error::Refused`] for a K that the datapath does not take,
    /// [`Error::Memory`].
    pub fn multiply(&self, client: &Client, x: &Prepared, w: &Prepared) -> Result<Handle, Error> {
        let unit = self.unit(x.operand.k)?;
        let (m, n, k) = self.shape(client, &x.operand, &w.operand)?;
        let runs = k.div_ceil(unit.run());
        let y = client.empty(m * n * 4);
        let count = CubeCount::Static(n.div_ceil(TILE) as u32, m.div_ceil(TILE) as u32, 1);
        // SAFETY: `prepare` made the handles of this size.
        unsafe {
            tiled::launch(
                client,
                count,
                CubeDim::new_2d(SIDE as u32, SIDE as u32),
                BufferArg::from_raw_parts(x.words.clone(), m * k),
                BufferArg::from_raw_parts(w.words.clone(), n * k),
                BufferArg::from_raw_parts(x.scales.clone(), m * runs),
                BufferArg::from_raw_parts(w.scales.clone(), n * runs),
                buffer(client, x.operand.factors.as_ref(), m, ONE),
                buffer(client, w.operand.factors.as_ref(), n, ONE),
                BufferArg::from_raw_parts(y.clone(), m * n),
                m,
                n,
                k,
                unit,
            );
        }
        Ok(y)
    }

    /// `x w^T`, `[m, n]` FP32 bits as [`Datapath::gemm`] gives them. A NaN scale of a block, which the CPU refuses, makes
    /// the results of its row NaN.
    ///
    /// # Errors
    /// As [`Product::prepare`] and [`Product::multiply`].
    pub fn run(&self, client: &Client, x: &DeviceOperand, w: &DeviceOperand) -> Result<Handle, Error> {
        let (x, w) = (self.prepare(client, Which::X, x)?, self.prepare(client, Which::W, w)?);
        self.multiply(client, &x, &w)
    }

    /// The same one output after the other: slow, obvious, and the judge of [`Product::run`].
    ///
    /// # Errors
    /// As [`Product::run`].
    pub fn run_simple(&self, client: &Client, x: &DeviceOperand, w: &DeviceOperand) -> Result<Handle, Error> {
        let unit = self.unit(x.k)?;
        self.check(Which::X, x)?;
        self.check(Which::W, w)?;
        let (m, n, k) = self.shape(client, x, w)?;
        let runs = k.div_ceil(unit.run());
        let y = client.empty(m * n * 4);
        // SAFETY: every handle has as many words as is said; `check` has seen those of the operands.
        unsafe {
            simple::launch(
                client,
                cubes((m * n).div_ceil(64)),
                CubeDim::new_1d(64),
                BufferArg::from_raw_parts(x.elements.clone(), m * k),
                BufferArg::from_raw_parts(w.elements.clone(), n * k),
                buffer(client, x.scales.as_ref(), m * runs, 0),
                buffer(client, w.scales.as_ref(), n * runs, 0),
                BufferArg::from_raw_parts(client.create_from_slice(&bytes(&self.table)), self.table.len()),
                buffer(client, x.factors.as_ref(), m, ONE),
                buffer(client, w.factors.as_ref(), n, ONE),
                BufferArg::from_raw_parts(y.clone(), m * n),
                n,
                k,
                unit,
            );
        }
        Ok(y)
    }

    /// The unit for a reduction over `k`.
    fn unit(&self, k: usize) -> Result<Unit, Error> {
        Unit::of(&self.datapath, self.x, self.w, k)
    }

    /// Whether an operand is what its side takes, and its buffers are as long as it says.
    fn check(&self, which: Which, operand: &DeviceOperand) -> Result<(), Error> {
        let (side, format) = if which == Which::X { ("x", self.x) } else { ("w", self.w) };
        let wrong = |given: String, wanted: String| Err(Error::Operand { side, given, wanted });
        if operand.format != format {
            let in_format = |format: &Format| format!("in format `{}`", format.name);
            return wrong(in_format(operand.format), in_format(format));
        }
        let (rows, k) = (operand.rows as u64, operand.k_padded as u64);
        let has = |handle: &Option<Handle>, words: u64| {
            handle.as_ref().is_none_or(|handle| handle.size_in_used() >= words * 4)
        };
        let blocks = operand.k_padded.div_ceil(operand.block.max(1)) as u64;
        let scaled = format.scaling.is_some_and(|scaling| matches!(scaling.block, interplay_formats::Block::Run(_)));
        if rows * k == 0 || operand.k_padded != format.padded(operand.k) || operand.block != format.block_len(operand.k)
        {
            let given = format!("[{rows}, {}] stored as rows of {k} in blocks of {}", operand.k, operand.block);
            return wrong(given, "of one row and column at least, in whole blocks of its format".to_owned());
        }
        if operand.elements.size_in_used() < rows * k * 4
            || !has(&operand.scales, rows * blocks)
            || !has(&operand.factors, rows)
            || scaled != operand.scales.is_some()
        {
            let wanted = format!("{} elements, {} scales of blocks, {rows} factors of rows", rows * k, rows * blocks);
            return wrong("of other buffers than its format and shape have".to_owned(), wanted);
        }
        Ok(())
    }

    /// M, N and the length of stored rows.
    fn shape(&self, client: &Client, x: &DeviceOperand, w: &DeviceOperand) -> Result<(usize, usize, usize), Error> {
        if x.k != w.k {
            let (given, wanted) = (format!("of rows of {}", w.k), format!("of rows of {}, as x has", x.k));
            return Err(Error::Operand { side: "w", given, wanted });
        }
        check_size(client, "a product", (x.rows as u64).saturating_mul(w.rows as u64))?;
        Ok((x.rows, w.rows, x.k_padded))
    }
}

/// FP32 bits of 1.
const ONE: u32 = 0x3F80_0000;

/// So many cubes, as a grid whose sides no device refuses.
fn cubes(count: usize) -> CubeCount {
    const LONGEST: usize = 1 << 15;
    CubeCount::Static(count.min(LONGEST) as u32, count.div_ceil(LONGEST) as u32, 1)
}

/// A buffer of `length` words, or a single word where there is none.
///
/// # Safety
/// The handle has `length` words.
unsafe fn buffer(client: &Client, handle: Option<&Handle>, length: usize, otherwise: u32) -> BufferArg {
    // SAFETY: the caller's, or a buffer of one word made here.
    unsafe {
        match handle {
            Some(handle) => BufferArg::from_raw_parts(handle.clone(), length),
            None => BufferArg::from_raw_parts(client.create_from_slice(&otherwise.to_le_bytes()), 1),
        }
    }
}
