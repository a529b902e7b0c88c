//! Quantised matrices of any format to compressed codes and back; scales stay where they are.

use super::{Compressed, Layout};
use crate::error::Error;
use crate::{Mask, Quantized};

impl Quantized {
    /// The codes that `mask` keeps, in a sparse layout. Padding of a short last block is not stored.
    ///
    /// # Errors
    /// [`Error::MaskShape`] where the mask belongs to another matrix; as [`Compressed::compress`].
    pub fn compressed(&self, mask: &Mask, layout: Layout) -> Result<Compressed, Error> {
        mask.check_shape(self.rows(), self.k())?;
        let code = |i: usize| self.codes().get(i / self.k() * self.k_padded() + i % self.k());
        let codes: Vec<u64> = (0..mask.kept().len()).map(code).collect();
        Compressed::compress(layout, self.format().element.bits(), &codes, mask)
    }

    /// The same matrix with the codes of `compressed`: scales stay, what is not stored is zero (the zero
    /// point, where there is one).
    ///
    /// # Errors
    /// [`Error::MaskShape`], [`Error::Width`] where the codes are of another matrix; as [`Compressed::decompress`].
    pub fn with_compressed(&self, compressed: &Compressed) -> Result<Self, Error> {
        let (element, width) = (self.format().element, compressed.shape().width);
        if element.bits() != width {
            return Err(Error::Width { given: width, format: self.format().name, allowed: element.bits() });
        }
        let (stored, mask) = compressed.decompress()?;
        mask.check_shape(self.rows(), self.k())?;
        let mut sparse = self.clone();
        sparse.apply_mask(&mask)?;
        for (i, code) in stored.into_iter().enumerate().filter(|(i, _)| mask.kept()[*i]) {
            sparse.set_code(i / self.k() * self.k_padded() + i % self.k(), element.sign_extended(code));
        }
        Ok(sparse)
    }
}
