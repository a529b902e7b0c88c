//! Images to the pixels that a model takes, defined to the bit. Decoding files is the caller's: one decoder's values of a JPEG
//! file differ from another's in the last bits.

mod folder;
mod preprocess;
mod resize;

pub use folder::{Labelled, labelled};
pub use preprocess::Preprocess;
pub use resize::{Filter, resize};

use crate::Error;

/// The longest side of an image, in pixels.
pub const LONGEST_SIDE: usize = 1 << 13;

/// An image of 8-bit values, `[height, width, channels]` row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    channels: usize,
    values: Vec<u8>,
}

impl Picture {
    /// An image of those values.
    ///
    /// # Errors
    /// A side is 0, there are neither 1 nor 3 channels, or there is another number of values.
    pub fn new(width: usize, height: usize, channels: usize, values: Vec<u8>) -> Result<Self, Error> {
        let needed = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(channels));
        if needed != Some(values.len()) || values.is_empty() || !matches!(channels, 1 | 3) {
            return Err(Error::Invalid(format!(
                "{} values are no image of {height} x {width} with {channels} channels (1 or 3)",
                values.len()
            )));
        }
        Ok(Self { width, height, channels, values })
    }

    /// Pixels a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// 1 for grey values, 3 for red, green, blue.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The values.
    pub fn values(&self) -> &[u8] {
        &self.values
    }

    /// The same with `channels` channels: grey values are repeated; colours become the luma of ITU-R BT.601 with 16-bit weights,
    /// as the Pillow library rounds it. Any other number is left to the caller to refuse.
    pub fn with_channels(self, channels: usize) -> Self {
        let values = match (self.channels, channels) {
            (1, 3) => self.values.iter().flat_map(|&grey| [grey; 3]).collect(),
            (3, 1) => self.values.chunks_exact(3).map(|rgb| luma([rgb[0], rgb[1], rgb[2]])).collect(),
            _ => return self,
        };
        Self { channels, values, ..self }
    }

    /// The middle of the image, `height` x `width`, moved by half a pixel up and left where it cannot be in the middle.
    ///
    /// # Errors
    /// The image is smaller.
    pub fn middle(&self, height: usize, width: usize) -> Result<Self, Error> {
        if height > self.height || width > self.width {
            return Err(Error::Invalid(format!(
                "an image of {} x {} is smaller than the {height} x {width} to cut out of it",
                self.height, self.width
            )));
        }
        let (top, left) = ((self.height - height) / 2, (self.width - width) / 2);
        let row = self.width * self.channels;
        let rows = self.values.chunks_exact(row).skip(top).take(height);
        let cut = left * self.channels..(left + width) * self.channels;
        Self::new(width, height, self.channels, rows.flat_map(|row| &row[cut.clone()]).copied().collect())
    }
}

fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue) + 0x8000;
    // The weights sum to 2^16, so at most 255 is left.
    (sum >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_odd_rest_is_up_and_left() {
        let picture = Picture::new(3, 2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(picture.middle(1, 2).unwrap().values(), [1, 2]);
        assert!(picture.middle(3, 2).unwrap_err().to_string().contains("2 x 3"));
    }

    #[test]
    fn channels_are_repeated_or_weighted() {
        let colours = Picture::new(2, 1, 3, vec![255, 255, 255, 255, 0, 0]).unwrap();
        assert_eq!(colours.with_channels(1).values(), [255, 76]);
        let grey = Picture::new(1, 1, 1, vec![7]).unwrap().with_channels(3);
        assert_eq!((grey.channels(), grey.values()), (3, &[7, 7, 7][..]));
        assert!(Picture::new(1, 1, 2, vec![0, 0]).is_err() && Picture::new(2, 1, 1, vec![0]).is_err());
    }
}
