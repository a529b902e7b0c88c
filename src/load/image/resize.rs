//! Resizing as the Pillow library does it for 8-bit images, to the bit.
//!
//! Each side is resampled by itself, the width first (Pillow 11.3; 13.0 also takes the height first where an image gets wider and
//! lower, which moves some values by one); the image in between is rounded to 8 bits. A filter that shrinks is stretched
//! by the ratio, so that every pixel counts. Weights are computed in `f64`, normalised, and rounded to 22 binary places; the sums
//! are exact integers, rounded half up and limited to 0..=255.

use super::{LONGEST_SIDE, Picture};
use crate::Error;

/// Binary places of a weight: 32 bits less 8 of a pixel and 2 for sums that overshoot.
const PLACES: u32 = 22;

/// A kernel of resampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// A triangle over two pixels.
    Bilinear,
    /// The cubic convolution with a = -1/2, over four pixels.
    Bicubic,
}

impl Filter {
    /// The filter of that number in Pillow and in `preprocessor_config.json`.
    pub fn by_number(number: u64) -> Option<Self> {
        match number {
            2 => Some(Self::Bilinear),
            3 => Some(Self::Bicubic),
            _ => None,
        }
    }

    /// Pixels to each side of the middle.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
            _ => 0.0,
        }
    }
}

/// The weights of one resampled pixel: the first pixel that counts, and the weight of each from there.
struct Taps {
    first: usize,
    weights: Vec<i64>,
}

/// `picture` at `height` x `width`.
///
/// # Errors
/// A side is 0 or longer than 8192.
pub fn resize(picture: &Picture, height: usize, width: usize, filter: Filter) -> Result<Picture, Error> {
    if height.min(width) == 0 || height.max(width) > LONGEST_SIDE {
        return Err(Error::Invalid(format!(
            "an image cannot be resized to {height} x {width}; give sides from 1 to {LONGEST_SIDE}"
        )));
    }
    let channels = picture.channels;
    let mut values = picture.values.clone();
    if width != picture.width {
        let taps = taps(picture.width, width, filter);
        let rows = values.chunks_exact(picture.width * channels);
        values = rows.flat_map(|row| line(row, channels, &taps)).collect();
    }
    if height != picture.height {
        let taps = taps(picture.height, height, filter);
        // A column of rows: each pixel of the line is a whole row.
        values = line(&values, width * channels, &taps);
    }
    Picture::new(width, height, channels, values)
}

/// The taps of `to` pixels made of `from`.
fn taps(from: usize, to: usize, filter: Filter) -> Vec<Taps> {
    let ratio = from as f64 / to as f64;
    let stretch = ratio.max(1.0);
    let support = filter.support() * stretch;
    let one = |pixel: usize| {
        let centre = (pixel as f64 + 0.5) * ratio;
        // Truncated towards 0, as a cast does, and never below 0.
        let first = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weights: Vec<f64> =
            (0..end - first).map(|i| filter.at(((i + first) as f64 - centre + 0.5) * (1.0 / stretch))).collect();
        let total: f64 = weights.iter().sum();
        let fixed = |weight: &f64| {
            let scaled = weight / total * f64::from(1u32 << PLACES);
            // Half away from zero, by truncation.
            (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i64
        };
        Taps { first, weights: weights.iter().map(fixed).collect() }
    };
    (0..to).map(one).collect()
}

/// The resampled line; a pixel of it has `size` values.
fn line(values: &[u8], size: usize, taps: &[Taps]) -> Vec<u8> {
    let mut out = Vec::with_capacity(taps.len() * size);
    for Taps { first, weights } in taps {
        for channel in 0..size {
            let pixels = values[first * size + channel..].iter().step_by(size);
            let sum: i64 = pixels.zip(weights).map(|(&pixel, weight)| i64::from(pixel) * weight).sum();
            out.push(((sum + (1 << (PLACES - 1))) >> PLACES).clamp(0, 255) as u8);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[u8]) -> Picture {
        Picture::new(values.len(), 1, 1, values.to_vec()).unwrap()
    }

    #[test]
    fn halves_and_doubles_by_hand() {
        // Halved: three of the triangle's four pixels are inside, with weights 3/7, 3/7, 1/7 from the edge on: 400/7, 1280/7.
        let halved = resize(&row(&[0, 80, 160, 240]), 1, 2, Filter::Bilinear).unwrap();
        assert_eq!(halved.values(), [57, 183]);
        // Doubled: centres at a quarter between two pixels.
        let doubled = resize(&row(&[0, 100]), 1, 4, Filter::Bilinear).unwrap();
        assert_eq!(doubled.values(), [0, 25, 75, 100]);
    }

    /// Values of Pillow 11.3.0, `Image.resize` of a grey image of 5 x 7.
    #[test]
    fn smaller_and_larger_as_pillow_does() {
        let values = (0..5).flat_map(|y| (0..7).map(move |x| ((x * 37 + y * 91 + x * y * 13) % 256) as u8));
        let picture = Picture::new(7, 5, 1, values.collect()).unwrap();
        let at = |height, width, filter| resize(&picture, height, width, filter).unwrap().values().to_vec();
        let smaller = [58, 125, 166, 154, 151, 120, 123, 153, 155, 117, 132, 120];
        assert_eq!(at(4, 3, Filter::Bilinear), smaller);
        let mixed = [79, 113, 125, 132, 171, 120, 133, 152, 147, 87, 137, 135, 116, 175, 144, 132, 135, 147];
        assert_eq!(at(2, 9, Filter::Bilinear), mixed);
        let smaller = [45, 124, 172, 163, 151, 114, 121, 153, 161, 113, 131, 119];
        assert_eq!(at(4, 3, Filter::Bicubic), smaller);
        let mixed = [77, 111, 125, 131, 170, 112, 134, 160, 146, 87, 149, 139, 106, 174, 147, 129, 132, 145];
        assert_eq!(at(2, 9, Filter::Bicubic), mixed);
    }

    #[test]
    fn constants_stay_and_equal_sizes_change_nothing() {
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            let flat = Picture::new(5, 7, 3, vec![201; 105]).unwrap();
            assert!(resize(&flat, 11, 3, filter).unwrap().values().iter().all(|&value| value == 201));
            let any = row(&[3, 1, 4, 1, 5]);
            assert_eq!(resize(&any, 1, 5, filter).unwrap(), any);
        }
        assert!(resize(&row(&[1]), 0, 1, Filter::Bilinear).is_err());
    }
}
