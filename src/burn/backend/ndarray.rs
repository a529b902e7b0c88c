//! The backend on the `ndarray` crate.

// Burn says of every item that it is deprecated; so do `Backend::NdArray` and the command line's help.
#![allow(deprecated)]

use burn::backend::flex::FlexTensor;
use burn::backend::ndarray::NdArrayTensor;
use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{NdArray, NdArrayDevice, TensorMetadata, read_sync};
use burn::tensor::{BoolStore, DType, Device, TensorData};

use super::Engine;
use crate::Error;

/// The backend itself.
pub(crate) type Host = NdArray;

impl Engine for NdArray {
    fn lift(tensor: FlexTensor) -> Result<NdArrayTensor, Error> {
        let (dtype, device) = (tensor.dtype(), NdArrayDevice::default());
        match dtype {
            DType::F32 | DType::F64 => Ok(Self::float_from_data(tensor.into_data(), &device)),
            DType::Bool(BoolStore::Native) => Ok(Self::bool_from_data(tensor.into_data(), &device)),
            _ if dtype.is_int() || dtype.is_uint() => Ok(Self::int_from_data(tensor.into_data(), &device)),
            _ => Err(Error::Invalid(format!(
                "the backend `ndarray` has no tensors of {dtype:?}; cast the module to f32, or use the backend `flex`"
            ))),
        }
    }

    fn device() -> Device {
        Device::ndarray()
    }

    fn lower(tensor: NdArrayTensor) -> Result<FlexTensor, Error> {
        let dtype = tensor.dtype();
        // The elements are in memory, so that reading them cannot fail.
        let data = if dtype.is_float() {
            read_sync(Self::float_into_data(tensor))
        } else if dtype.is_bool() {
            read_sync(Self::bool_into_data(tensor))
        } else {
            read_sync(Self::int_into_data(tensor))
        };
        Ok(FlexTensor::from_data(data.unwrap_or_else(|_| TensorData::new(Vec::<f32>::new(), [0]))))
    }
}
