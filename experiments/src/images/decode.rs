//! PNG and JPEG files to 8-bit values. Sizes are bounded, and compared with the file before anything is unpacked.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use interplay::load::image::{LONGEST_SIDE, Picture};
use png::{DecodeOptions, Decoder, Transformations};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::options::DecoderOptions;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Bytes that one packed byte can become: 258 for every two bits (RFC 1951, 3.2.5).
const DENSEST: usize = 1032;

/// The image in `bytes`, a PNG or JPEG file; `origin` names it in messages. Colours are red, green, blue; transparency is left
/// out; 16 bits a channel become their upper 8.
///
/// # Errors
/// The bytes are neither, are damaged, or a side is longer than [`LONGEST_SIDE`].
pub fn decode(origin: &Path, bytes: &[u8]) -> Result<Picture> {
    let picture = match bytes {
        bytes if bytes.starts_with(SIGNATURE) => png(bytes),
        [0xff, 0xd8, ..] => jpeg(bytes),
        _ => bail!("{}: this is neither a PNG nor a JPEG file; convert it to one of them", origin.display()),
    };
    picture.with_context(|| format!("{} cannot be read", origin.display()))
}

fn jpeg(bytes: &[u8]) -> Result<Picture> {
    let options = DecoderOptions::default().set_max_width(LONGEST_SIDE).set_max_height(LONGEST_SIDE);
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), options);
    let values = decoder.decode().map_err(|e| anyhow::anyhow!("the JPEG file is damaged or not supported: {e:?}"))?;
    let info = decoder.info().context("the JPEG file has no size")?;
    Ok(Picture::new(info.width.into(), info.height.into(), 3, values)?)
}

fn png(bytes: &[u8]) -> Result<Picture> {
    let mut options = DecodeOptions::default();
    options.set_ignore_checksums(false);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let header = decoder.read_header_info().context("the PNG file's header is damaged")?;
    let (width, height) = (header.width as usize, header.height as usize);
    ensure!(
        (1..=LONGEST_SIDE).contains(&width) && (1..=LONGEST_SIDE).contains(&height),
        "the image has {height} x {width} pixels; a side has 1 to {LONGEST_SIDE}"
    );
    // A pixel has one bit at least.
    ensure!(width * height / 8 / DENSEST <= bytes.len(), "the PNG file is too short for {height} x {width} pixels");
    let mut reader = decoder.read_info().context("the PNG file is damaged")?;
    let mut values = vec![0; reader.output_buffer_size().context("the PNG file's size cannot be counted")?];
    let frame = reader.next_frame(&mut values).context("the PNG file is damaged or cut off")?;
    reader.finish().context("the PNG file is cut off")?;
    values.truncate(frame.buffer_size());
    let stored = frame.color_type.samples();
    let kept = if stored > 2 { 3 } else { 1 };
    let values = values.chunks_exact(stored).flat_map(|pixel| &pixel[..kept]).copied().collect();
    Ok(Picture::new(width, height, kept, values)?)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Crc;

    use super::*;

    /// A PNG file of two pixels a row by the format's definition; `rows` begin with their filters.
    fn file(depth: u8, colour: u8, height: u32, rows: &[u8], palette: &[u8]) -> Vec<u8> {
        let header = [&2u32.to_be_bytes()[..], &height.to_be_bytes(), &[depth, colour, 0, 0, 0]].concat();
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(rows).unwrap();
        let mut out = SIGNATURE.to_vec();
        let palette = (!palette.is_empty()).then(|| (b"PLTE", palette.to_vec()));
        let rest = [(b"IDAT", encoder.finish().unwrap()), (b"IEND", Vec::new())];
        for (kind, data) in [(b"IHDR", header)].into_iter().chain(palette).chain(rest) {
            let named = [&kind[..], &data].concat();
            let mut crc = Crc::new();
            crc.update(&named);
            out.extend([&(data.len() as u32).to_be_bytes()[..], &named, &crc.sum().to_be_bytes()].concat());
        }
        out
    }

    fn values(depth: u8, colour: u8, row: &[u8], palette: &[u8]) -> Vec<u8> {
        let rows = [&[0], row].concat();
        decode(Path::new("x"), &file(depth, colour, 1, &rows, palette)).unwrap().values().to_vec()
    }

    #[test]
    fn every_kind_of_colour_becomes_grey_or_colours() {
        assert_eq!(values(8, 0, &[1, 2], &[]), [1, 2]);
        assert_eq!(values(16, 0, &[1, 9, 2, 9], &[]), [1, 2]);
        assert_eq!(values(8, 4, &[1, 9, 2, 9], &[]), [1, 2]);
        assert_eq!(values(8, 2, &[1, 2, 3, 4, 5, 6], &[]), [1, 2, 3, 4, 5, 6]);
        assert_eq!(values(8, 6, &[1, 2, 3, 9, 4, 5, 6, 9], &[]), [1, 2, 3, 4, 5, 6]);
        assert_eq!(values(8, 3, &[1, 0], &[1, 2, 3, 4, 5, 6]), [4, 5, 6, 1, 2, 3]);
        // A colour beyond the palette is black, as in other decoders.
        assert_eq!(values(8, 3, &[1, 9], &[1, 2, 3, 4, 5, 6]), [4, 5, 6, 0, 0, 0]);
    }

    #[test]
    fn rows_are_predicted_from_their_neighbours() {
        // Left: 10, 10+5. Above: 15 under 15. Mean: (0+10)/2+1, (6+20)/2+1. Nearest: above at the edge, then by the estimate.
        let rows = [1, 10, 5, 2, 0, 5, 3, 1, 1, 4, 4, 3];
        let picture = decode(Path::new("x"), &file(8, 0, 4, &rows, &[])).unwrap();
        assert_eq!(picture.values(), [10, 15, 10, 20, 6, 14, 10, 17]);
    }

    #[test]
    fn damaged_files_are_errors_and_no_panic() {
        let whole = file(8, 2, 1, &[0, 1, 2, 3, 4, 5, 6], &[]);
        for end in 0..whole.len() {
            assert!(format!("{:#}", decode(Path::new("x.png"), &whole[..end]).unwrap_err()).contains("x.png"));
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            assert!(decode(Path::new("x.png"), &damaged).is_err());
        }
        for rows in [&[9, 0, 0][..], &[0, 0]] {
            assert!(decode(Path::new("x.png"), &file(8, 0, 1, rows, &[])).is_err());
        }
        assert!(decode(Path::new("x.jpg"), &[0xff, 0xd8, 0xff, 0xe0, 0, 1]).is_err());
        assert!(decode(Path::new("x.gif"), b"GIF89a").unwrap_err().to_string().contains("PNG"));
    }
}
