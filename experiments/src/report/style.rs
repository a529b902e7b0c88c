//! The look that all figures share: one hue a format family, one shade a width, one marker a pattern, filled or hollow by order.

use plotters::chart::MeshStyle;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;

/// A part of a figure.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
/// What drawing into text can refuse, which it does not.
pub type Error = DrawingAreaErrorKind<std::io::Error>;

/// The colour of dark text and axes.
pub const INK: RGBColor = RGBColor(40, 44, 52);
/// The colour of grid lines.
pub const GRID: RGBColor = RGBColor(228, 231, 236);
/// The colour of the Pareto front.
pub const FRONT: RGBColor = RGBColor(120, 128, 140);
/// The font family.
pub const FONT: &str = "sans-serif";

/// Formats with a colour of their own: greys for scalar formats, green for integers, blues for MX, oranges for HBFP; the fewer
/// the bits, the lighter.
const COLOURS: [(&str, RGBColor); 11] = [
    ("fp32", RGBColor(30, 34, 40)),
    ("bf16", RGBColor(110, 118, 130)),
    ("fp16", RGBColor(140, 148, 160)),
    ("int8", RGBColor(0, 140, 90)),
    ("int4", RGBColor(110, 200, 150)),
    ("mxfp8", RGBColor(16, 72, 158)),
    ("mxfp6", RGBColor(52, 132, 216)),
    ("mxfp4", RGBColor(138, 190, 246)),
    ("hbfp8", RGBColor(158, 58, 10)),
    ("hbfp6", RGBColor(226, 110, 30)),
    ("hbfp4", RGBColor(250, 178, 110)),
];

/// The colour of a format; a format without one of its own is violet.
pub fn colour(format: &str) -> RGBColor {
    COLOURS.iter().find(|(name, _)| *name == format).map_or(RGBColor(130, 80, 170), |&(_, c)| c)
}

/// The same colour for what stands behind.
pub fn faint(RGBColor(r, g, b): RGBColor) -> RGBColor {
    let light = |c: u8| 255 - (255 - c) / 4;
    RGBColor(light(r), light(g), light(b))
}

/// The shape that stands for a sparsity pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
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
}

/// The marker of a sparsity pattern by its name.
pub fn marker(sparsity: &str) -> Marker {
    match sparsity {
        "dense" => Marker::Circle,
        "2:4" => Marker::Triangle,
        "1:4" => Marker::Diamond,
        s if s.contains('%') => Marker::Square,
        _ => Marker::Down,
    }
}

impl Marker {
    /// The outline around (0, 0), in pixels; empty for a circle.
    fn outline(self) -> Vec<(i32, i32)> {
        match self {
            Self::Circle => Vec::new(),
            Self::Square => vec![(-5, -5), (5, -5), (5, 5), (-5, 5), (-5, -5)],
            Self::Triangle => vec![(0, -6), (6, 5), (-6, 5), (0, -6)],
            Self::Diamond => vec![(0, -7), (7, 0), (0, 7), (-7, 0), (0, -7)],
            Self::Down => vec![(0, 6), (6, -5), (-6, -5), (0, 6)],
        }
    }

    /// The marker as a drawable anchored at data coordinate `at`.
    pub fn draw<'a, DB: DrawingBackend + 'a, C: Clone + 'a>(
        self,
        at: C,
        colour: RGBColor,
        filled: bool,
    ) -> DynElement<'a, DB, C> {
        let edge = ShapeStyle { color: colour.to_rgba(), filled: false, stroke_width: 2 };
        let body = if filled { colour.mix(0.85).filled() } else { WHITE.mix(0.85).filled() };
        let points = self.outline();
        if points.is_empty() {
            return (EmptyElement::at(at) + Circle::new((0, 0), 5, body) + Circle::new((0, 0), 5, edge)).into_dyn();
        }
        (EmptyElement::at(at) + Polygon::new(points.clone(), body) + PathElement::new(points, edge)).into_dyn()
    }
}

/// A text style of the house font.
pub fn text(size: u32) -> TextStyle<'static> {
    TextStyle::from((FONT, size)).color(&INK)
}

/// The axes and the grid of every chart, for the caller to name and draw.
pub fn mesh<'a, 'b, X, Y, DB>(chart: &'b mut ChartContext<'a, DB, Cartesian2d<X, Y>>) -> MeshStyle<'a, 'b, X, Y, DB>
where
    DB: DrawingBackend,
    X: Ranged + ValueFormatter<X::ValueType>,
    Y: Ranged + ValueFormatter<Y::ValueType>,
{
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(text(13))
        .axis_desc_style(text(15));
    mesh
}
