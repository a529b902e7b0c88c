//! The look that all figures and the page share: the palette, the shapes of marks, the sizes of text.
//!
//! Filled marks are dense, or S→Q, or know no order; hollow marks are Q→S. No figure says anything else by it.

/// A colour on light ground and on dark ground, as red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Colour {
    /// On light ground.
    pub light: [u8; 3],
    /// On dark ground.
    pub dark: [u8; 3],
}

impl Colour {
    const fn new(light: u32, dark: u32) -> Self {
        let [[_, r, g, b], [_, dr, dg, db]] = [light.to_be_bytes(), dark.to_be_bytes()];
        Self { light: [r, g, b], dark: [dr, dg, db] }
    }
}

/// `#rrggbb`.
pub fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// What is behind everything.
pub const GROUND: Colour = Colour::new(0xffffff, 0x1a2029);
/// Text and axes.
pub const INK: Colour = Colour::new(0x1c2330, 0xe6e9ee);
/// Text that stands back, and the fronts.
pub const SOFT: Colour = Colour::new(0x5b6675, 0x9aa5b4);
/// Grid lines.
pub const GRID: Colour = Colour::new(0xdfe3ea, 0x333c49);
/// Every other band of a figure of bands.
pub const BAND: Colour = Colour::new(0xf3f5f8, 0x222a35);

/// Behind the cards of the page.
const PAGE: Colour = Colour::new(0xeef1f5, 0x10141a);

const BLUE: Colour = Colour::new(0x10489e, 0x5b8fe6);
const AZURE: Colour = Colour::new(0x2f86d6, 0x79b4f5);
const SKY: Colour = Colour::new(0x7db8ee, 0xb3d6fb);
const ORANGE: Colour = Colour::new(0xe26e1e, 0xf5944a);
const SAND: Colour = Colour::new(0xf2a65a, 0xfbc48d);
const BROWN: Colour = Colour::new(0x9e3a0a, 0xd9692f);
const GREEN: Colour = Colour::new(0x007a52, 0x2fbf8f);
const MINT: Colour = Colour::new(0x4fb98a, 0x8fe0bd);
const PLUM: Colour = Colour::new(0x955087, 0xc069ab);
const GREY: Colour = Colour::new(0x8c94a0, 0x8c94a0);
const YELLOW: Colour = Colour::new(0xd9a400, 0xf0cc4a);
const BLACK: Colour = Colour::new(0x1e2228, 0xe8ebf0);

/// Colours of kinds that a figure tells apart, far from each other for eyes of all kinds.
pub const HUES: [Colour; 9] = [BLUE, ORANGE, GREEN, SKY, BROWN, PLUM, GREY, YELLOW, MINT];

/// Formats with a colour of their own: greys for scalar formats, greens for integers, blues for MX, oranges for HBFP;
/// the fewer the bits, the lighter.
pub const FORMATS: [(&str, Colour); 11] = [
    ("fp32", BLACK),
    ("bf16", Colour::new(0x6e7682, 0xaab2bd)),
    ("fp16", GREY),
    ("int8", GREEN),
    ("int4", MINT),
    ("mxfp8", BLUE),
    ("mxfp6", AZURE),
    ("mxfp4", SKY),
    ("hbfp8", BROWN),
    ("hbfp6", ORANGE),
    ("hbfp4", SAND),
];

/// The colour of a format; a format without one of its own is plum.
pub fn colour(format: &str) -> Colour {
    FORMATS.iter().find(|(name, _)| *name == format).map_or(PLUM, |&(_, colour)| colour)
}

/// The colour of the kind in that place of a list, from the start again behind the last.
pub fn hue(at: usize) -> Colour {
    HUES[at % HUES.len()]
}

/// The palette as variables of CSS for the page, light and dark: `--ink` and the like, `--hue-0`, `--format-int8`.
pub fn variables() -> String {
    let named = [
        ("ink", INK),
        ("soft", SOFT),
        ("line", GRID),
        ("card", GROUND),
        ("band", BAND),
        ("page", PAGE),
        ("link", BLUE),
        ("bar", SKY),
    ];
    let named = named.map(|(name, colour)| (name.to_owned(), colour));
    let hues = HUES.iter().enumerate().map(|(at, colour)| (format!("hue-{at}"), *colour));
    let formats = FORMATS.iter().chain(&[("other", PLUM)]).map(|(name, colour)| (format!("format-{name}"), *colour));
    let all: Vec<(String, Colour)> = named.into_iter().chain(hues).chain(formats).collect();
    let rules = |pick: fn(&Colour) -> [u8; 3]| {
        all.iter().map(|(name, c)| format!("--{name}:{};", hex(pick(c)))).collect::<String>()
    };
    format!(":root{{{}}}@media(prefers-color-scheme:dark){{:root{{{}}}}}", rules(|c| c.light), rules(|c| c.dark))
}

/// The shape of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Dense.
    Circle,
    /// Unstructured.
    Square,
    /// 2:4.
    Triangle,
    /// 1:4.
    Diamond,
    /// Any other N:M.
    Down,
    /// What is compared with: it has no inside to fill.
    Cross,
}

/// The shape of a sparsity pattern by its name.
pub fn shape(sparsity: &str) -> Shape {
    match sparsity {
        "dense" => Shape::Circle,
        "2:4" => Shape::Triangle,
        "1:4" => Shape::Diamond,
        s if s.contains('%') => Shape::Square,
        _ => Shape::Down,
    }
}

impl Shape {
    /// The outline around (0, 0) for a circle of radius 1; empty for a circle and a cross.
    pub fn outline(self) -> &'static [(f64, f64)] {
        match self {
            Self::Circle | Self::Cross => &[],
            Self::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Self::Triangle => &[(0.0, -1.2), (1.2, 0.9), (-1.2, 0.9)],
            Self::Diamond => &[(0.0, -1.35), (1.35, 0.0), (0.0, 1.35), (-1.35, 0.0)],
            Self::Down => &[(0.0, 1.2), (1.2, -0.9), (-1.2, -0.9)],
        }
    }
}

/// How a mark looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Its shape.
    pub shape: Shape,
    /// Its colour.
    pub colour: Colour,
    /// Whether its inside is that of the ground: Q→S, and nothing else.
    pub hollow: bool,
    /// Whether it stands back.
    pub faint: bool,
    /// Radius in pixels.
    pub radius: f64,
}

impl Look {
    /// A filled mark of the usual size.
    pub fn new(shape: Shape, colour: Colour) -> Self {
        Self { shape, colour, hollow: false, faint: false, radius: 4.5 }
    }

    /// The same for an order by its name: hollow for Q→S.
    pub fn order(self, order: &str) -> Self {
        Self { hollow: order == "qs", ..self }
    }

    /// The same of another size.
    pub fn radius(self, radius: f64) -> Self {
        Self { radius, ..self }
    }
}

/// The font family.
pub const FONT: &str = "Helvetica, Arial, 'Liberation Sans', sans-serif";
/// Pixels of the title of a panel.
pub const TITLE: f64 = 14.0;
/// Pixels of names of axes and of the legend.
pub const BODY: f64 = 12.0;
/// Pixels of the numbers of axes and of labels.
pub const SMALL: f64 = 11.0;

/// An upper bound on the width of a text in pixels: that of the widest common font without serifs.
pub fn width(text: &str, size: f64, bold: bool) -> f64 {
    let wide = |c: char| match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '|' | '\'' | '!' => 0.34,
        ' ' | 'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' => 0.40,
        'm' | 'w' | 'M' | 'W' | '%' | '→' | '±' | '×' | '−' => 0.95,
        'A'..='Z' => 0.72,
        _ => 0.63,
    };
    text.chars().map(wide).sum::<f64>() * size * if bold { 1.1 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast of two colours by WCAG 2, from 1 to 21.
    fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { interplay_formats::math::powf((c + 0.055) / 1.055, 2.4) }
        };
        let luminance = |[r, g, b]: [u8; 3]| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) + 0.05;
        let (a, b) = (luminance(a), luminance(b));
        if a > b { a / b } else { b / a }
    }

    #[test]
    fn text_is_readable_and_marks_are_seen_on_both_grounds() {
        for text in [INK, SOFT] {
            assert!(contrast(text.light, GROUND.light) > 4.5 && contrast(text.dark, GROUND.dark) > 4.5, "{text:?}");
        }
        for mark in FORMATS.iter().map(|(_, colour)| colour).chain(&HUES) {
            assert!(contrast(mark.light, GROUND.light) > 2.0 && contrast(mark.dark, GROUND.dark) > 2.0, "{mark:?}");
        }
    }
}
