//! The kernels of any datapath that has some, for a pair of formats.

use crate::fdpa::{self, Fdpa};
use crate::format::{self, DeviceQuantized, NOT_FINITE, REFUSED};
use crate::product::{self, Product, Which};
use crate::{DeviceOperand, Error};
use cubecl::client::Client;
use cubecl::server::Handle;
use interplay_formats::{Block, Format, Scale};
use interplay_hw::Datapath;

/// Which side of `y = x w^T` an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Activations, x.
    Activations,
    /// Weights, w.
    Weights,
}

/// The kernels of one datapath for a pair of formats.
#[derive(Clone, Debug)]
pub enum Kernels {
    /// Exact sums, of integers or of blocks.
    Sums(Box<Product>),
    /// A tensor core that aligns and truncates.
    Aligned(Box<Fdpa>),
}

/// An operand as the kernels of one datapath read it.
#[derive(Clone)]
pub enum Prepared {
    /// Of exact sums.
    Sums(product::Prepared),
    /// Of a tensor core.
    Aligned(fdpa::Prepared),
}

/// What kernels could not take, noted on the device so that nothing is read back in between.
#[derive(Clone, Debug)]
pub struct Status {
    formats: format::Status,
    units: Handle,
}

impl Status {
    /// Nothing noted.
    pub fn new(client: &Client) -> Self {
        Self { formats: format::Status::new(client), units: client.create_from_slice(&[0; 8]) }
    }

    /// What quantisers note their part in.
    pub fn formats(&self) -> &format::Status {
        &self.formats
    }

    /// Waits for all that was launched, and reads the notes.
    ///
    /// # Errors
    /// [`Error::NotFinite`] and [`Error::NotRepresentable`] name the layer; [`Error::Lost`], [`Error::Device`].
    pub fn check(&self, client: &Client, layer: &str) -> Result<(), Error> {
        if self.formats.read(client)? & (REFUSED | NOT_FINITE) != 0 {
            return Err(Error::NotFinite { layer: layer.to_owned() });
        }
        let units = crate::device::read(client, self.units.clone())?;
        match units.iter().position(|&flag| flag != 0) {
            None => Ok(()),
            Some(side) => {
                let side = if side == 0 { "activations" } else { "weights" };
                Err(Error::NotRepresentable { layer: layer.to_owned(), side })
            }
        }
    }
}

impl Kernels {
    /// The kernels of `datapath` for activations in `x` and weights in `w`.
    ///
    /// # Errors
    /// [`Error::CpuOnly`] for a datapath, or for formats, that no kernel covers, with the part that decides;
    /// [`Error::Refused`] for formats that the datapath does not take.
    pub fn new(datapath: &Datapath, x: &'static Format, w: &'static Format) -> Result<Self, Error> {
        if datapath.exact_sums().is_some() {
            return Ok(Self::Sums(Box::new(Product::new(datapath, x, w)?)));
        }
        Ok(Self::Aligned(Box::new(Fdpa::new(datapath)?)))
    }

    /// Brings an operand into the form that [`Kernels::multiply`] takes; weights once for many products. Elements that the unit
    /// does not have are noted in `status`.
    ///
    /// # Errors
    /// [`Error::Operand`] for one of another format or of blocks that the unit does not read, [`Error::Memory`].
    pub fn prepare(
        &self,
        client: &Client,
        side: Side,
        operand: &DeviceOperand,
        status: &Status,
    ) -> Result<Prepared, Error> {
        match self {
            Self::Sums(product) => {
                let which = if side == Side::Weights { Which::W } else { Which::X };
                Ok(Prepared::Sums(product.prepare(client, which, operand)?))
            }
            Self::Aligned(fdpa) => {
                let side = if side == Side::Weights { fdpa::Operand::Weights } else { fdpa::Operand::Activations };
                let matrix = fdpa.matrix(operand, side)?;
                Ok(Prepared::Aligned(fdpa.prepare(client, &matrix, side, &status.units)?))
            }
        }
    }

    /// `x w^T`, `[m, n]` FP32 bits as [`Datapath::gemm`] gives them.
    ///
    /// # Errors
    /// [`Error::Operand`] for operands of other kernels or of different lengths, [`Error::Refused`] for a length that the
    /// datapath does not take, [`Error::Memory`].
    pub fn multiply(&self, client: &Client, x: &Prepared, w: &Prepared) -> Result<Handle, Error> {
        match (self, x, w) {
            (Self::Sums(product), Prepared::Sums(x), Prepared::Sums(w)) => product.multiply(client, x, w),
            (Self::Aligned(fdpa), Prepared::Aligned(x), Prepared::Aligned(w)) => fdpa.run(client, x, w),
            _ => Err(Error::Operand {
                side: "an operand",
                given: "prepared for the kernels of another datapath".to_owned(),
                wanted: "prepared for these".to_owned(),
            }),
        }
    }
}

impl DeviceOperand {
    /// FP32 numbers that lie on a device, `[rows, k]`, as they are.
    pub fn values(values: &Handle, (rows, k): (usize, usize)) -> Self {
        let (elements, format) = (values.clone(), Format::fp32());
        Self { elements, scales: None, factors: None, format, rows, k, k_padded: k, block: 1 }
    }

    /// What was quantised to `format` on the device.
    ///
    /// # Errors
    /// [`Error::Operand`] for a format whose scales no kernel reads: zero points, microexponents, factors of anything but rows.
    pub fn quantized(format: &'static Format, q: DeviceQuantized) -> Result<Self, Error> {
        let DeviceQuantized { elements, scales, tensor_scale, rows, k, k_padded, block, .. } = q;
        let (scales, factors) = match format.scaling.map(|scaling| (scaling.scale, scaling.block)) {
            None => (None, None),
            Some((Scale::Float32, Block::Row)) => (None, scales),
            Some((Scale::E8M0 | Scale::Exponent(_) | Scale::Code(_), Block::Run(_))) => (scales, tensor_scale),
            Some(_) => {
                return Err(Error::Operand {
                    side: "an operand",
                    given: format!("in format `{}`", format.name),
                    wanted: "elements with one scale a block or one factor a row".to_owned(),
                });
            }
        };
        Ok(Self { elements, scales, factors, format, rows, k, k_padded, block })
    }
}
