//! The topology: a table of convolutions or of matrix products.

use super::wrong;
use crate::{Error, cost::Ratio};

/// Layers at most; a depthwise convolution is one a channel.
const MAX_LAYERS: usize = 1 << 20;

/// One layer as a product.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub name: String,
    pub m: u64,
    pub k: u64,
    pub n: u64,
    /// N:M of the weights, 1:1 where nothing is said.
    pub ratio: Ratio,
    pub input: Input,
}

/// Where activations come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// A matrix.
    Matrix,
    /// Windows over an image, of which they touch so many elements.
    Image {
        touched: u64,
        /// Whether the last windows reach over the edge, where SCALE-Sim sends no request.
        overhang: bool,
    },
}

/// The two kinds of table: their columns before `Sparsity`.
const PRODUCT: [&str; 4] = ["name", "M", "N", "K"];
const CONVOLUTION: [&str; 8] =
    ["name", "IFMAP height", "IFMAP width", "filter height", "filter width", "channels", "filters", "stride"];

/// All layers; the header tells the kind by its number of columns.
pub(super) fn read(text: &str) -> Result<Vec<Layer>, Error> {
    let mut rows =
        text.lines().enumerate().map(|(index, row)| (index + 1, fields(row))).filter(|row| !row.1.is_empty());
    let (line, header) = rows.next().ok_or_else(|| wrong("topology", None, "there is no header"))?;
    let columns: &[&str] = match header.len() {
        4 | 5 => &PRODUCT,
        8 | 9 => &CONVOLUTION,
        given => {
            let problem = format!(
                "the header has {given} columns; matrix products have {}, convolutions {}, and `Sparsity` may follow",
                PRODUCT.join(", "),
                CONVOLUTION.join(", ")
            );
            return Err(wrong("topology", Some(line), problem));
        }
    };
    let mut layers = Vec::new();
    for (line, row) in rows {
        let (sizes, ratio) = numbers(line, &row, columns)?;
        let name = row[0].to_owned();
        let product = columns.len() == PRODUCT.len();
        let layer = if product { Ok(matrix(name, &sizes, ratio)) } else { convolution(line, name, &sizes, ratio) }?;
        // A depthwise convolution: every channel by itself, with all its filters.
        let depthwise = !product && layer.name.contains("DP");
        let copies = if depthwise { sizes[4] } else { 1 };
        if copies > (MAX_LAYERS - layers.len()) as u64 {
            return Err(wrong("topology", Some(line), format!("more than {MAX_LAYERS} layers")));
        }
        for channel in 0..copies {
            let name = if depthwise { format!("{}Channel_{channel}", layer.name) } else { layer.name.clone() };
            layers.push(Layer { name, ..layer.clone() });
        }
    }
    if layers.is_empty() { Err(wrong("topology", None, "there is no layer below the header")) } else { Ok(layers) }
}

/// The fields of a row without the empty one behind a last comma.
fn fields(row: &str) -> Vec<&str> {
    let row = row.trim().trim_start_matches('\u{feff}');
    let row = row.strip_suffix(',').unwrap_or(row);
    if row.is_empty() { Vec::new() } else { row.split(',').map(str::trim).collect() }
}

/// The sizes behind the name, and the ratio.
fn numbers(line: usize, row: &[&str], columns: &[&str]) -> Result<(Vec<u64>, Ratio), Error> {
    if row.len() < columns.len() || row.len() > columns.len() + 1 {
        let problem = format!("{} fields, not {}: {}", row.len(), columns.len(), columns.join(", "));
        return Err(wrong("topology", Some(line), problem));
    }
    let size = |(column, text): (&&str, &&str)| {
        let size = text.parse().ok().filter(|size: &u64| *size > 0);
        size.ok_or_else(|| {
            wrong("topology", Some(line), format!("{column} is `{text}`; it must be a whole number from 1"))
        })
    };
    let sizes = columns.iter().zip(row).skip(1).map(size).collect::<Result<Vec<_>, _>>()?;
    let text = row.get(columns.len()).copied().unwrap_or("1:1");
    let ratio = text.split_once(':').and_then(|(n, m)| Ratio::new(n.trim().parse().ok()?, m.trim().parse().ok()?).ok());
    let problem = || wrong("topology", Some(line), format!("sparsity is `{text}`; it must be N:M with 1 <= N <= M"));
    Ok((sizes, ratio.ok_or_else(problem)?))
}

fn matrix(name: String, sizes: &[u64], ratio: Ratio) -> Layer {
    Layer { name, m: sizes[0], n: sizes[1], k: sizes[2], ratio, input: Input::Matrix }
}

/// Image to columns: a row a window, `ceil((size - filter + stride) / stride)` windows along each side.
fn convolution(line: usize, name: String, sizes: &[u64], ratio: Ratio) -> Result<Layer, Error> {
    let [height, width, filter_height, filter_width, channels, filters, stride] = *sizes else {
        return Err(wrong("topology", Some(line), "a convolution has seven sizes"));
    };
    if filter_height > height || filter_width > width {
        return Err(wrong("topology", Some(line), "the filter is larger than the image"));
    }
    let channels = if name.contains("DP") { 1 } else { channels };
    let sides = [Side::new(height, filter_height, stride), Side::new(width, filter_width, stride)];
    let product = |factors: [u64; 3]| factors.into_iter().try_fold(1u64, |product, factor| product.checked_mul(factor));
    let sizes = || {
        let m = product([sides[0].windows, sides[1].windows, 1])?;
        let k = product([filter_height, filter_width, channels])?;
        Some((m, k, product([sides[0].touched, sides[1].touched, channels])?))
    };
    let (m, k, touched) =
        sizes().ok_or_else(|| wrong("topology", Some(line), "the sizes multiply to more than 64 bits"))?;
    let overhang = sides.iter().any(|side| side.overhang);
    Ok(Layer { name, m, k, n: filters, ratio, input: Input::Image { touched, overhang } })
}

/// Windows along one side of an image.
struct Side {
    windows: u64,
    /// Positions in at least one window.
    touched: u64,
    overhang: bool,
}

impl Side {
    /// `filter <= size`.
    fn new(size: u64, filter: u64, stride: u64) -> Self {
        let windows = 1 + (size - filter).div_ceil(stride);
        // Where windows leave gaps, the last one may begin beyond the image and touch nothing.
        let start = u128::from(windows - 1) * u128::from(stride);
        let last = u128::from(size).saturating_sub(start).min(filter.into());
        let touched = (u128::from(windows - 1) * u128::from(stride.min(filter)) + last) as u64;
        Self { windows, touched: touched.min(size), overhang: start + u128::from(filter) > u128::from(size) }
    }
}
