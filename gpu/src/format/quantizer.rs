//! Quantising matrices that lie on the device: nothing comes back to the host.

use super::kernel::{self, UNITS, Wanted};
use super::launch::{arg, every_row, per_cube, per_unit};
use super::quantized::{DeviceQuantized, Status};
use super::spec::{Shared, Spec};
use crate::Error;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;
use interplay_formats::{Block, Format};

/// Blocks of at most this many elements are summed up by one unit.
const SHORT: usize = 64;
/// Elements of a piece of a matrix whose largest magnitude is sought.
const PIECE: usize = 256 * UNITS as usize;

/// A format made ready for kernels.
#[derive(Clone, Copy, Debug)]
pub struct Quantizer {
    format: &'static Format,
    spec: Spec,
}

/// One call: the matrix and how it is cut into blocks.
#[derive(Clone, Copy)]
struct Call<'a> {
    client: &'a Client,
    values: &'a Handle,
    rows: usize,
    k: usize,
    block_rows: usize,
    block: usize,
}

/// Scales as kernels made them, dummies where there are none.
struct Scales {
    tensor: Handle,
    scales: Handle,
    aids: Handle,
    blocks: usize,
}

impl Quantizer {
    /// A format made ready for kernels.
    ///
    /// # Errors
    /// [`Error::FormatOnCpu`] names the part of the record that no kernel has.
    pub fn new(format: &'static Format) -> Result<Self, Error> {
        Ok(Self { format, spec: Spec::new(format)? })
    }

    /// The format.
    pub const fn format(&self) -> &'static Format {
        self.format
    }

    /// The rounded values of a matrix `[rows, k]` of FP32 bits, as [`Format::fake_quantize_seeded`] gives them; a new buffer.
    ///
    /// NaN and infinities are what the record makes of them; what it refuses is noted in `status`, and the values of that
    /// block mean nothing. The buffers hold at least `rows * k` words, fewer than 2^32.
    pub fn fake(
        &self,
        client: &Client,
        values: &Handle,
        (rows, k): (usize, usize),
        seed: u64,
        status: &Status,
    ) -> Handle {
        if rows * k == 0 {
            return client.empty(4);
        }
        let call = self.call(client, values, rows, k);
        let scales = self.scales(call);
        let out = client.empty(rows * k * 4);
        self.elements(call, &scales, k, (&out, &client.empty(4)), Wanted::Value, seed, status);
        out
    }

    /// Elements, codes and scales of a matrix `[rows, k]` of FP32 bits, as [`Format::quantize_seeded`] gives them; otherwise
    /// as [`Quantizer::fake`].
    pub fn quantize(
        &self,
        client: &Client,
        values: &Handle,
        (rows, k): (usize, usize),
        seed: u64,
        status: &Status,
    ) -> DeviceQuantized {
        let call = self.call(client, values, rows, k);
        let k_padded = self.format.padded(k);
        let words = (rows * k_padded).max(1);
        let (elements, codes) = (client.empty(words * 4), client.empty(words * 4));
        let mut out = DeviceQuantized {
            elements,
            codes,
            scales: None,
            zeros: None,
            tensor_scale: None,
            rows,
            k,
            k_padded,
            block: call.block,
            block_rows: call.block_rows,
        };
        if rows * k == 0 {
            return out;
        }
        let scales = self.scales(call);
        self.elements(call, &scales, k_padded, (&out.elements, &out.codes), Wanted::Element, seed, status);
        if let Shared::Coded(coded) = self.spec.shared
            && coded.two_level
        {
            out.tensor_scale = Some(every_row(client, &scales.tensor, 3, 2, rows));
        }
        out.zeros = matches!(self.spec.shared, Shared::Affine(_)).then_some(scales.aids);
        out.scales = (!matches!(self.spec.shared, Shared::Nothing)).then_some(scales.scales);
        out
    }

    fn call<'a>(&self, client: &'a Client, values: &'a Handle, rows: usize, k: usize) -> Call<'a> {
        let (block_rows, block) = (self.format.block_rows(rows), self.format.block_len(k));
        Call { client, values, rows, k, block_rows, block }
    }

    /// The scales of all blocks.
    fn scales(&self, call: Call) -> Scales {
        let Call { client, values, rows, k, block_rows, block } = call;
        let tensor = client.empty(12);
        let blocks = match self.spec.shared {
            Shared::Nothing => return Scales { tensor, scales: client.empty(4), aids: client.empty(4), blocks: 1 },
            _ => rows.div_ceil(block_rows) * k.div_ceil(block),
        };
        let (scales, aids) = (client.empty(blocks * 4), client.empty(blocks * 4));
        let out = Scales { tensor, scales, aids, blocks };
        let compares = match self.spec.shared {
            Shared::Coded(coded) => {
                self.tensor(call, &out.tensor, coded.two_level);
                coded.compares()
            }
            Shared::Micro { .. } => true,
            _ => false,
        };
        let whole = matches!(self.format.scaling.map(|s| s.block), Some(Block::Tensor));
        if whole {
            let pieces = self.pieces(call, false);
            kernel::finish_block::launch(
                client,
                CubeCount::new_single(),
                CubeDim::new_1d(UNITS),
                arg(&pieces.0, pieces.2),
                arg(&pieces.1, pieces.2),
                arg(&out.tensor, 3),
                arg(&out.scales, 1),
                arg(&out.aids, 1),
                pieces.2 as u32,
                self.spec,
            );
            return out;
        }
        let sizes = [rows, k, block_rows, block, blocks].map(|n| n as u32);
        let [rows, k, block_rows, block_k, all] = sizes;
        let buffers =
            (arg(values, call.rows * call.k), arg(&out.tensor, 3), arg(&out.scales, blocks), arg(&out.aids, blocks));
        let (values, tensor, scales, aids) = buffers;
        if compares || call.block_rows * call.block <= SHORT {
            let (dim, count) = per_unit(client, blocks);
            kernel::scales_by_unit::launch(
                client, count, dim, values, tensor, scales, aids, rows, k, block_rows, block_k, all, self.spec,
            );
        } else {
            let (dim, count) = per_cube(client, blocks);
            kernel::scales_by_cube::launch(
                client, count, dim, values, tensor, scales, aids, rows, k, block_rows, block_k, all, self.spec,
            );
        }
        out
    }

    /// The tensor's scale: its largest magnitude decides, or nothing where the recipe has none.
    fn tensor(&self, call: Call, tensor: &Handle, two_level: bool) {
        // Without a tensor scale no number is looked at, and the kernel writes ones.
        let (heights, depths, pieces) =
            if two_level { self.pieces(call, true) } else { (call.client.empty(4), call.client.empty(4), 0) };
        kernel::finish_tensor::launch(
            call.client,
            CubeCount::new_single(),
            CubeDim::new_1d(UNITS),
            arg(&heights, pieces.max(1)),
            arg(&depths, pieces.max(1)),
            arg(tensor, 3),
            pieces as u32,
            self.spec,
        );
    }

    /// The summaries of pieces of the matrix, and how many.
    fn pieces(&self, call: Call, finite: bool) -> (Handle, Handle, usize) {
        let count = call.rows * call.k;
        let pieces = count.div_ceil(PIECE);
        let (heights, depths) = (call.client.empty(pieces * 4), call.client.empty(pieces * 4));
        let (dim, cubes) = per_cube(call.client, pieces);
        kernel::piece_summaries::launch(
            call.client,
            cubes,
            dim,
            arg(call.values, count),
            arg(&heights, pieces),
            arg(&depths, pieces),
            count as u32,
            PIECE as u32,
            pieces as u32,
            finite,
            self.spec,
        );
        (heights, depths, pieces)
    }

    /// Every element under its scale.
    #[allow(clippy::too_many_arguments)]
    fn elements(
        &self,
        call: Call,
        scales: &Scales,
        width: usize,
        (first, second): (&Handle, &Handle),
        wanted: Wanted,
        seed: u64,
        status: &Status,
    ) {
        let Call { client, values, rows, k, block_rows, block } = call;
        let places = rows * width;
        let (dim, count) = per_unit(client, places);
        let other = if wanted == Wanted::Value { 1 } else { places };
        kernel::elements::launch(
            client,
            count,
            dim,
            arg(values, rows * k),
            arg(&scales.tensor, 3),
            arg(&scales.scales, scales.blocks),
            arg(&scales.aids, scales.blocks),
            arg(status.word(), 1),
            arg(first, places),
            arg(second, other),
            rows as u32,
            k as u32,
            width as u32,
            block_rows as u32,
            block as u32,
            seed as u32,
            (seed >> 32) as u32,
            wanted,
            self.spec,
        );
    }
}
