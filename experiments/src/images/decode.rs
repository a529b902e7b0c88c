//! PNG and JPEG files to 8-bit values.
//!
//! The PNG reader takes what data sets have: 8 or 16 bits a channel, grey, colours or a palette, with or without transparency,
//! rows in order. Sizes are bounded and compared with the file before anything is unpacked.

use std::io::{Cursor, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::Crc;
use flate2::read::ZlibDecoder;
use interplay::load::image::{LONGEST_SIDE, Picture};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::options::DecoderOptions;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The image in `bytes`, a PNG or JPEG file; `origin` names it in messages. Colours are red, green, blue; transparency is left
/// out; 16 bits a channel become their upper 8.
///
/// # Errors
/// The bytes are neither, are damaged, or a side is longer than [`LONGEST_SIDE`].
pub fn decode(origin: &Path, bytes: &[u8]) -> Result<Picture> {
    let picture = match bytes {
        bytes if bytes.starts_with(SIGNATURE) => png(&bytes[SIGNATURE.len()..]),
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

/// What a PNG file's header says.
struct Header {
    width: usize,
    height: usize,
    /// Channels as stored, and how many of them are kept.
    channels: (usize, usize),
    /// Bytes a channel.
    depth: usize,
    palette: bool,
}

fn png(mut rest: &[u8]) -> Result<Picture> {
    let (kind, data) = chunk(&mut rest)?;
    ensure!(&kind == b"IHDR" && data.len() == 13, "the PNG file does not begin with its header");
    let header = header(data)?;
    let (mut packed, mut palette) = (Vec::new(), &[][..]);
    loop {
        let (kind, data) = chunk(&mut rest)?;
        match &kind {
            b"IDAT" => packed.extend_from_slice(data),
            b"PLTE" => palette = data,
            b"IEND" => break,
            _ => {}
        }
    }
    let values = unfiltered(&header, &packed)?;
    let (stored, kept) = header.channels;
    let pixels = values.chunks_exact(stored * header.depth);
    let values: Vec<u8> = match header.palette {
        false => pixels.flat_map(|pixel| pixel.iter().step_by(header.depth).take(kept)).copied().collect(),
        true => {
            let colour = |pixel: &[u8]| palette.get(3 * usize::from(pixel[0])..)?.get(..3);
            pixels.map(colour).collect::<Option<Vec<_>>>().context("a colour is not in the palette")?.concat()
        }
    };
    Ok(Picture::new(header.width, header.height, if header.palette { 3 } else { kept }, values)?)
}

/// The next chunk: its kind and content, whose checksum must be right.
fn chunk<'a>(rest: &mut &'a [u8]) -> Result<([u8; 4], &'a [u8])> {
    let cut = "the PNG file is cut off";
    let (length, after) = rest.split_first_chunk::<4>().context(cut)?;
    let length = usize::try_from(u32::from_be_bytes(*length))?;
    let (named, after) = after.split_at_checked(length.checked_add(4).context(cut)?).context(cut)?;
    let (sum, after) = after.split_first_chunk::<4>().context(cut)?;
    let mut crc = Crc::new();
    crc.update(named);
    ensure!(crc.sum() == u32::from_be_bytes(*sum), "the PNG file is damaged: a checksum is wrong");
    *rest = after;
    let (kind, data) = named.split_first_chunk::<4>().context(cut)?;
    Ok((*kind, data))
}

fn header(data: &[u8]) -> Result<Header> {
    let side = |at: usize| usize::try_from(u32::from_be_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]));
    let (width, height) = (side(0)?, side(4)?);
    ensure!(
        (1..=LONGEST_SIDE).contains(&width) && (1..=LONGEST_SIDE).contains(&height),
        "the image has {height} x {width} pixels; a side has 1 to {LONGEST_SIDE}"
    );
    let (depth, colour) = (data[8], data[9]);
    let channels = match colour {
        0 | 3 => (1, 1),
        2 => (3, 3),
        4 => (2, 1),
        6 => (4, 3),
        _ => bail!("the PNG file has an unknown kind of colour, {colour}"),
    };
    let known = depth == 8 || (depth == 16 && colour != 3);
    ensure!(known, "the PNG file has {depth} bits a channel; convert it to 8");
    ensure!(
        data[10..13] == [0, 0, 0],
        "the PNG file is interlaced or packed in another way; save it without interlacing"
    );
    Ok(Header { width, height, channels, depth: usize::from(depth / 8), palette: colour == 3 })
}

/// The unpacked rows, each predicted from its neighbours to the left and above.
fn unfiltered(header: &Header, packed: &[u8]) -> Result<Vec<u8>> {
    let pixel = header.channels.0 * header.depth;
    let row = header.width * pixel;
    let size = header.height * (row + 1);
    let mut rows = Vec::new();
    let reader = ZlibDecoder::new(packed).take(size as u64 + 1);
    { reader }.read_to_end(&mut rows).context("the PNG file does not unpack")?;
    ensure!(rows.len() == size, "the PNG file unpacks to another size than its header says");
    let mut out: Vec<u8> = Vec::with_capacity(header.height * row);
    for line in rows.chunks_exact(row + 1) {
        let start = out.len();
        for (at, &value) in line[1..].iter().enumerate() {
            let left = if at >= pixel { out[start + at - pixel] } else { 0 };
            let above = if start >= row { out[start - row + at] } else { 0 };
            let corner = if at >= pixel && start >= row { out[start - row + at - pixel] } else { 0 };
            let predicted = match line[0] {
                0 => 0,
                1 => left,
                2 => above,
                3 => left.midpoint(above),
                4 => nearest(left, above, corner),
                other => bail!("the PNG file is damaged: a row has filter {other}"),
            };
            out.push(value.wrapping_add(predicted));
        }
    }
    Ok(out)
}

/// The neighbour that is nearest to `left + above - corner`, the first of equal ones (PNG specification, 9.4).
fn nearest(left: u8, above: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(above) - i16::from(corner);
    let distance = |value: u8| (estimate - i16::from(value)).abs();
    if distance(left) <= distance(above) && distance(left) <= distance(corner) {
        left
    } else if distance(above) <= distance(corner) {
        above
    } else {
        corner
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A PNG file of two pixels a row by the format's definition; `rows` begin with their filters.
    fn file(depth: u8, colour: u8, height: u32, rows: &[u8], palette: &[u8]) -> Vec<u8> {
        let header = [&2u32.to_be_bytes()[..], &height.to_be_bytes(), &[depth, colour, 0, 0, 0]].concat();
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(rows).unwrap();
        let mut out = SIGNATURE.to_vec();
        let chunks = [(b"IHDR", header), (b"PLTE", palette.to_vec()), (b"IDAT", encoder.finish().unwrap())];
        for (kind, data) in chunks.into_iter().chain([(b"IEND", Vec::new())]) {
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
        for (depth, colour, rows) in [(1, 0, &[0, 0][..]), (8, 3, &[0, 0, 9]), (8, 0, &[9, 0, 0]), (8, 0, &[0, 0])] {
            assert!(decode(Path::new("x.png"), &file(depth, colour, 1, rows, &[0; 3])).is_err());
        }
        assert!(decode(Path::new("x.jpg"), &[0xff, 0xd8, 0xff, 0xe0, 0, 1]).is_err());
        assert!(decode(Path::new("x.gif"), b"GIF89a").unwrap_err().to_string().contains("PNG"));
    }
}
