//! The backend on wgpu: graphs run on a GPU, and tensors stay there from stage to stage.
//!
//! What Burn computes has the bits of Burn's kernels on that device; products of a modelled unit have those of every backend.

use std::sync::atomic::{AtomicU64, Ordering};

use burn::backend::flex::FlexTensor;
use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{TensorMetadata, Wgpu, read_sync};
use burn::tensor::{BoolStore, DType, Device, DeviceKind};
use burn_cubecl::CubeDevice;
use burn_cubecl::tensor::CubeTensor;
use burn_ir::Conv2dOpIr;

use super::{Engine, Of};
use crate::Error;
use crate::burn::conv;
use crate::burn::hook::Hook;
use crate::burn::product::Product;

/// The backend itself.
pub(crate) type Host = Wgpu;

/// Tensors that were read back to the host since the program began.
static READS: AtomicU64 = AtomicU64::new(0);

/// How many tensors this backend has read back to the host since the program began.
pub fn gpu_reads() -> u64 {
    READS.load(Ordering::Relaxed)
}

impl Engine for Wgpu {
    const RESIDENT: bool = true;

    fn device() -> Device {
        Device::wgpu(DeviceKind::DefaultDevice)
    }

    fn lift(tensor: FlexTensor) -> Result<CubeTensor, Error> {
        let (dtype, device) = (tensor.dtype(), CubeDevice::default());
        match dtype {
            DType::F32 => Ok(Self::float_from_data(tensor.into_data(), &device)),
            // WGSL has no bytes.
            DType::Bool(_) => {
                Ok(Self::bool_from_data(tensor.into_data().convert_dtype(DType::Bool(BoolStore::U32)), &device))
            }
            _ if dtype.is_int() || dtype.is_uint() => Ok(Self::int_from_data(tensor.into_data(), &device)),
            _ => Err(Error::Invalid(format!(
                "the backend `wgpu` runs no models of {dtype:?}; cast the module to f32, or use the backend `flex`"
            ))),
        }
    }

    fn lower(tensor: CubeTensor) -> Result<FlexTensor, Error> {
        READS.fetch_add(1, Ordering::Relaxed);
        let dtype = tensor.dtype();
        let data = if dtype.is_float() {
            read_sync(Self::float_into_data(tensor))
        } else if dtype.is_bool() {
            read_sync(Self::bool_into_data(tensor))
        } else {
            read_sync(Self::int_into_data(tensor))
        };
        let data =
            data.map_err(|error| interplay_gpu::Error::Device { device: "in use".into(), reason: error.to_string() })?;
        let data = if dtype.is_bool() { data.convert_dtype(DType::Bool(BoolStore::Native)) } else { data };
        Ok(FlexTensor::from_data(data))
    }

    fn multiply(
        hook: &mut dyn Hook,
        index: usize,
        product: &Product,
        lhs: Of<Self>,
        rhs: Option<Of<Self>>,
    ) -> Result<Of<Self>, Error> {
        hook.multiply_on_gpu(index, product, lhs, rhs)
    }

    fn im2col(x: Of<Self>, c: &Conv2dOpIr, product: &Product) -> Result<Of<Self>, Error> {
        Ok(conv::windows::<Self>(x, c, product))
    }
}
