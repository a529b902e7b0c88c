//! Handwritten digits: reading them, splitting them without overlap, and bending them a little.

use std::collections::HashSet;

use serde::Deserialize;

use super::random::SplitMix64;
use crate::Error;
use crate::load::text::sha256;

/// Rows and columns of an image.
pub const SIDE: usize = 28;
/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;
/// Classes.
pub const CLASSES: usize = 10;

/// A labelled image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digit {
    /// Row-major grey values, 0 the background.
    pub pixels: Vec<u8>,
    /// The digit.
    pub label: u8,
}

/// Digits to learn from and digits to be judged on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Training side, in a seeded order.
    pub train: Vec<Digit>,
    /// Test side, by class.
    pub test: Vec<Digit>,
    /// Images that were dropped because their pixels occur elsewhere.
    pub duplicates: usize,
}

/// A file `N.json`: all pixels of all images of digit `N`, as values in `[0, 1]` rounded to three decimals.
#[derive(Deserialize)]
struct DigitFile {
    data: Vec<f64>,
}

/// The images in the contents of `0.json` to `9.json`, in this order, with the SHA-256 of each file.
///
/// # Errors
/// There are not ten files, or one is not a whole number of images of values in `[0, 1]`.
pub fn parse(files: &[Vec<u8>]) -> Result<(Vec<Digit>, Vec<String>), Error> {
    if files.len() != CLASSES {
        return Err(Error::Invalid(format!("{} digit files were given; give 0.json to 9.json", files.len())));
    }
    let mut digits = Vec::new();
    for (label, bytes) in (0u8..).zip(files) {
        let malformed = |problem: String| Error::Malformed { path: format!("{label}.json").into(), problem };
        let file: DigitFile = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if !file.data.len().is_multiple_of(PIXELS) || file.data.iter().any(|value| !(0.0..=1.0).contains(value)) {
            return Err(malformed(format!("`data` is not a multiple of {PIXELS} values from 0 to 1")));
        }
        // Three decimals tell all 256 grey values apart.
        let grey = |value: &f64| (value * 255.0).round() as u8;
        let images = file.data.chunks_exact(PIXELS);
        digits.extend(images.map(|image| Digit { pixels: image.iter().map(grey).collect(), label }));
    }
    Ok((digits, files.iter().map(|bytes| sha256(bytes)).collect()))
}

/// Takes `per_class` test images of each class by `seed`; the others train. An image whose pixels were seen before is
/// dropped first, so that no test image has a copy on the training side.
///
/// # Errors
/// A class has no more than `per_class` different images.
pub fn split(digits: Vec<Digit>, per_class: usize, seed: u64) -> Result<Split, Error> {
    let total = digits.len();
    let mut seen = HashSet::new();
    let mut unique: Vec<Digit> = digits.into_iter().filter(|digit| seen.insert(sha256(&digit.pixels))).collect();
    let duplicates = total - unique.len();
    SplitMix64::new(seed, "split").shuffle(&mut unique);
    let mut taken = [0; CLASSES];
    let (mut test, train): (Vec<_>, Vec<_>) = unique.into_iter().partition(|digit| {
        let count = &mut taken[usize::from(digit.label)];
        *count += 1;
        *count <= per_class
    });
    if let Some((class, count)) = taken.iter().enumerate().find(|(_, count)| **count <= per_class) {
        return Err(Error::Invalid(format!("class {class} has {count} images, too few to hold out {per_class}")));
    }
    test.sort_by_key(|digit| digit.label);
    Ok(Split { train, test, duplicates })
}

/// What the model reads of a grey value: 0 to 255 as -1 to 1.
pub fn normalised(grey: f32) -> f32 {
    grey / 127.5 - 1.0
}

/// The image turned, scaled and shifted at random, as the model reads it: at most 12 degrees, a tenth and two pixels.
pub fn augmented(pixels: &[u8], stream: &mut SplitMix64) -> Vec<f32> {
    let mut symmetric = |limit: f32| (2.0 * stream.uniform() - 1.0) * limit;
    let angle = symmetric(12f32.to_radians());
    let scale = 1.0 + symmetric(0.1);
    let (shift_x, shift_y) = (symmetric(2.0), symmetric(2.0));
    let (sin, cos) = (angle.sin() / scale, angle.cos() / scale);
    let centre = (SIDE as f32 - 1.0) / 2.0;
    let mut out = Vec::with_capacity(PIXELS);
    for row in 0..SIDE {
        for column in 0..SIDE {
            let (x, y) = (column as f32 - centre - shift_x, row as f32 - centre - shift_y);
            out.push(normalised(sample(pixels, cos * x - sin * y + centre, sin * x + cos * y + centre)));
        }
    }
    out
}

/// Bilinear interpolation at column `x`, row `y`; outside is background.
fn sample(pixels: &[u8], x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (right_share, bottom_share) = (x - left, y - top);
    let at = |column: f32, row: f32| {
        let inside = |value: f32| (0.0..SIDE as f32).contains(&value);
        if inside(column) && inside(row) { f32::from(pixels[row as usize * SIDE + column as usize]) } else { 0.0 }
    };
    let upper = at(left, top) * (1.0 - right_share) + at(left + 1.0, top) * right_share;
    let lower = at(left, top + 1.0) * (1.0 - right_share) + at(left + 1.0, top + 1.0) * right_share;
    upper * (1.0 - bottom_share) + lower * bottom_share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digit(label: u8, mark: u8) -> Digit {
        let mut pixels = vec![0; PIXELS];
        pixels[usize::from(mark)] = 255;
        pixels[PIXELS - 1] = label;
        Digit { pixels, label }
    }

    fn digits() -> Vec<Digit> {
        (0..10).flat_map(|label| (0..6).map(move |mark| digit(label, mark))).collect()
    }

    #[test]
    fn split_is_balanced_repeats_and_does_not_overlap() {
        let mut all = digits();
        all.extend((0..10).map(|label| digit(label, 3)));
        let split = split(all, 2, 5).unwrap();
        assert_eq!((split.train.len(), split.test.len(), split.duplicates), (40, 20, 10));
        assert!((0..10).all(|label| split.test.iter().filter(|digit| digit.label == label).count() == 2));
        assert!(split.test.iter().all(|digit| !split.train.iter().any(|other| other.pixels == digit.pixels)));
        assert_eq!(split, super::split(digits(), 2, 5).map(|again| Split { duplicates: 10, ..again }).unwrap());
        assert_ne!(split.test, super::split(digits(), 2, 6).unwrap().test);
    }

    #[test]
    fn files_are_read_back_to_grey_values() {
        let file =
            |grey: u8| format!("{{\"data\": [{}]}}", vec![format!("{:.3}", f32::from(grey) / 255.0); PIXELS].join(","));
        let files: Vec<Vec<u8>> = (0..10).map(|label| file(25 * label + 1).into_bytes()).collect();
        let (digits, checksums) = parse(&files).unwrap();
        assert_eq!((digits.len(), checksums.len()), (10, 10));
        assert!(digits.iter().all(|digit| digit.pixels == vec![25 * digit.label + 1; PIXELS]));
        assert!(parse(&files[..9]).is_err());
        let bad = |text: &str| [&[text.as_bytes().to_vec()], &files[1..]].concat();
        assert!(parse(&bad("{\"data\": [0, 1]}")).unwrap_err().to_string().starts_with("0.json"));
        assert!(parse(&bad("nothing")).is_err());
    }

    #[test]
    fn too_few_images_are_an_error() {
        assert!(split(digits(), 6, 1).is_err());
    }

    #[test]
    fn sampling_interpolates_between_pixels() {
        let mut pixels = vec![0; PIXELS];
        pixels[SIDE + 1] = 100;
        assert_eq!(sample(&pixels, 1.0, 1.0), 100.0);
        assert_eq!(sample(&pixels, 1.5, 1.0), 50.0);
        assert_eq!(sample(&pixels, 0.5, 1.5), 25.0);
        assert_eq!(sample(&pixels, -9.0, 40.0), 0.0);
    }
}
