//! Labelled images by the names of the command line: safetensors, folders, and what packages carry, as a model's pixels.

mod decode;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use interplay::catalogue::{self, Item, Kind};
use interplay::load::image::{Picture, Preprocess, labelled};
use interplay::load::{SafeTensors, text};
use interplay::models::embedded;
use interplay::train::digits::{SIDE, parse};

use crate::commands::train::digit_files;
use crate::images::decode::decode;
use crate::subject::Checksums;

/// The largest table of digits, unpacked.
const LARGEST_TABLE: u64 = 64 << 20;

/// What images are for: the model's input, and how many of them are wanted.
pub struct Wanted<'a> {
    /// Channels, rows, columns.
    pub shape: (usize, usize, usize),
    /// At most so many, from the start.
    pub count: usize,
    /// The model by name, beside which its `preprocessor_config.json` is looked for.
    pub model: &'a str,
    /// Another such file.
    pub preprocess: Option<&'a Path>,
}

/// Pixels `[N, C, H, W]` and labels of the images called `name`.
///
/// # Errors
/// There are no such images, a file is damaged, or they do not become what the model takes.
pub fn open(name: &str, wanted: &Wanted<'_>, checksums: &mut Checksums) -> Result<(Vec<f32>, Vec<usize>)> {
    let (channels, height, width) = wanted.shape;
    let size = channels * height * width;
    let file = match name {
        "heldout" => Some(SafeTensors::from_bytes("heldout", embedded::heldout_images().to_vec())?),
        name if name.ends_with(".safetensors") => Some(SafeTensors::open(Path::new(name))?),
        _ => None,
    };
    let (mut pixels, mut labels) = match file {
        Some(file) => {
            checksums.insert(format!("data:{name}"), text::sha256(file.bytes()));
            embedded::labelled_images(&file)?
        }
        None => {
            let steps = steps(wanted)?;
            let (mut pixels, mut labels) = (Vec::new(), Vec::new());
            for (picture, label) in pictures(name, wanted.count, checksums)? {
                pixels.extend(steps.pixels(picture, wanted.shape)?);
                labels.push(label);
            }
            (pixels, labels)
        }
    };
    let count = wanted.count.min(labels.len());
    if count == 0 || pixels.len() < count * size {
        bail!(
            "`{name}` has {} values for {} labels; an image is {channels} x {height} x {width}",
            pixels.len(),
            labels.len()
        );
    }
    pixels.truncate(count * size);
    labels.truncate(count);
    Ok((pixels, labels))
}

/// The steps from an image to the model's pixels.
fn steps(wanted: &Wanted<'_>) -> Result<Preprocess> {
    const FILE: &str = "preprocessor_config.json";
    if let Some(path) = wanted.preprocess {
        return Ok(Preprocess::open(path)?);
    }
    if wanted.model == "vit" {
        return Ok(Preprocess::parse(Path::new(FILE), embedded::vit_preprocessor())?);
    }
    if let Some(text) = Item::by_name(wanted.model).ok().and_then(|item| item.preprocessing) {
        return Ok(Preprocess::parse(Path::new(FILE), text)?);
    }
    let path = Path::new(wanted.model).join(FILE);
    ensure!(path.is_file(), "there is no {}; name such a file by --preprocess", path.display());
    Ok(Preprocess::open(&path)?)
}

/// The first `count` images of a folder or a package.
fn pictures(name: &str, count: usize, checksums: &mut Checksums) -> Result<Vec<(Picture, usize)>> {
    let known = Item::by_name(name).ok().filter(|item| item.kind == Kind::Images);
    let place = match known {
        Some(item) => catalogue::locate(item.name)?,
        None if Path::new(name).is_dir() => PathBuf::from(name),
        None => bail!(
            "there are no images `{name}`: give `heldout`, a name of `interplay list data`, a folder, or a .safetensors file"
        ),
    };
    if place.is_dir() {
        return folder(name, &place, count, checksums);
    }
    let bytes = interplay::load::read(&place).with_context(|| format!("cannot read {}", place.display()))?;
    checksums.insert(format!("data:{name}"), text::sha256(&bytes));
    let digits = if name.eq_ignore_ascii_case("mnist") { archive(&place)? } else { table(&place, &bytes)? };
    digits.into_iter().take(count).map(|(grey, label)| Ok((Picture::new(SIDE, SIDE, 1, grey)?, label))).collect()
}

/// Image files, with one checksum over all that are used.
fn folder(name: &str, place: &Path, count: usize, checksums: &mut Checksums) -> Result<Vec<(Picture, usize)>> {
    let (mut pictures, mut files) = (Vec::new(), Vec::new());
    for image in labelled(place)?.into_iter().take(count) {
        let bytes =
            interplay::load::read(&image.path).with_context(|| format!("cannot read {}", image.path.display()))?;
        pictures.push((decode(&image.path, &bytes)?, image.label));
        let below = image.path.strip_prefix(place).unwrap_or(&image.path);
        files.push((below.to_string_lossy().into_owned(), bytes));
    }
    checksums.insert(format!("data:{name}"), text::sha256(catalogue::listing(&files).as_bytes()));
    Ok(pictures)
}

/// Grey values and a label.
type Digit = (Vec<u8>, usize);

/// The digits of the npm package.
fn archive(place: &Path) -> Result<Vec<Digit>> {
    let (digits, _) = parse(&digit_files(place)?)?;
    Ok(in_turn(digits.into_iter().map(|digit| (digit.pixels, usize::from(digit.label)))))
}

/// The digits of a gzipped table: 784 grey values and the label, a line each.
fn table(place: &Path, bytes: &[u8]) -> Result<Vec<Digit>> {
    let mut text = String::new();
    let mut reader = flate2::read::GzDecoder::new(bytes).take(LARGEST_TABLE);
    reader.read_to_string(&mut text).with_context(|| format!("{} does not unpack", place.display()))?;
    let mut digits = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let values: Option<Vec<u8>> = line.split(',').map(|value| grey(value.trim())).collect();
        let split = values.as_deref().and_then(<[u8]>::split_last).filter(|(_, grey)| grey.len() == SIDE * SIDE);
        let (&label, grey) = split.with_context(|| {
            format!("{}: line {} is not {} numbers from 0 to 255 and a label", place.display(), index + 1, SIDE * SIDE)
        })?;
        digits.push((grey.to_vec(), usize::from(label)));
    }
    Ok(in_turn(digits.into_iter()))
}

/// One of each class, then a second of each, and so on: packages have them class by class, but the first should be of every class.
fn in_turn(digits: impl Iterator<Item = Digit>) -> Vec<Digit> {
    let mut seen = BTreeMap::<usize, usize>::new();
    let turn = |digit: Digit| {
        let turn = seen.entry(digit.1).or_default();
        *turn += 1;
        (*turn, digit)
    };
    let mut digits: Vec<_> = digits.map(turn).collect();
    digits.sort_by_key(|(turn, (_, label))| (*turn, *label));
    digits.into_iter().map(|(_, digit)| digit).collect()
}

/// A whole number from 0 to 255, however it is written.
fn grey(text: &str) -> Option<u8> {
    let value: f64 = text.parse().ok()?;
    ((0.0..=255.0).contains(&value) && value.fract() == 0.0).then_some(value as u8)
}
