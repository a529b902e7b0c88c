//! What the fuzz targets do with a string of bytes; each panics where a promise of the loaders is broken.
//!
//! The loaders here know bytes alone, so their sources are taken in by path: nothing of Burn is compiled.

pub mod load;

/// A torch file: it is refused, or every tensor of it can be had and is no larger than the file.
pub fn pickle(bytes: &[u8]) {
    let Ok(tensors) = load::pickle::read(bytes) else { return };
    for tensor in tensors.values() {
        if let Ok(values) = tensor.floats(bytes) {
            assert_eq!(values.len(), tensor.shape().iter().product::<usize>());
            assert!(values.len() * 2 <= bytes.len());
        }
    }
}
