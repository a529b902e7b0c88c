//! Axes: where a value stands, and which values are written beside it.

use interplay_formats::math::ln;

/// How values become places.
#[derive(Debug, Clone, PartialEq)]
pub enum Scale {
    /// Equal steps are equal lengths.
    Linear {
        /// The least value.
        low: f64,
        /// The largest value.
        high: f64,
        /// Whether only whole numbers are written.
        whole: bool,
    },
    /// Equal factors are equal lengths.
    Log {
        /// The least value, above 0.
        low: f64,
        /// The largest value.
        high: f64,
    },
    /// Equal steps near zero, equal factors far from it, on both sides: asinh(value / near).
    Symlog {
        /// The least value.
        low: f64,
        /// The largest value.
        high: f64,
        /// Up to here steps count.
        near: f64,
    },
    /// Names at 0, 1, 2 and so on; a line break begins a new line.
    Names(Vec<String>),
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digits {
    /// As they are.
    Plain,
    /// With a prefix: 1.2 M.
    Prefixed,
}

/// One axis of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Quantity and unit.
    pub name: String,
    /// Where values stand.
    pub scale: Scale,
    /// How they are written.
    pub digits: Digits,
}

impl Axis {
    /// An axis with plain numbers.
    pub fn new(name: impl Into<String>, scale: Scale) -> Self {
        Self { name: name.into(), scale, digits: Digits::Plain }
    }

    /// The same with prefixes.
    pub fn prefixed(self) -> Self {
        Self { digits: Digits::Prefixed, ..self }
    }

    /// The text of a value on the axis.
    pub fn text(&self, value: f64) -> String {
        match (&self.scale, self.digits) {
            (Scale::Names(names), _) => names.get(value.max(0.0) as usize).cloned().unwrap_or_default(),
            (_, Digits::Prefixed) => prefixed(value),
            (_, Digits::Plain) => plain(value),
        }
    }
}

/// The least and largest finite value; (0, 1) where there is none.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let fold = |(low, high): (f64, f64), v: f64| (low.min(v), high.max(v));
    let (low, high) = values.filter(|v| v.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), fold);
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

impl Scale {
    /// Linear over finite values, with a share of their spread as room at both ends.
    pub fn linear(values: impl Iterator<Item = f64>, room: f64) -> Self {
        let (low, high) = ends(values);
        let room = if high > low { room * (high - low) } else { low.abs().max(1.0) * 0.1 };
        Self::Linear { low: low - room, high: high + room, whole: false }
    }

    /// Linear over whole numbers.
    pub fn whole(values: impl Iterator<Item = f64>, room: f64) -> Self {
        match Self::linear(values, room) {
            Self::Linear { low, high, .. } => Self::Linear { low, high, whole: true },
            other => other,
        }
    }

    /// Logarithmic over finite positive values, wider by a factor at both ends.
    pub fn log(values: impl Iterator<Item = f64>, factor: f64) -> Self {
        let (low, high) = ends(values.filter(|v| *v > 0.0));
        let low = if low > 0.0 { low } else { 0.1 };
        Self::Log { low: low / factor, high: high * factor }
    }

    /// Linear up to `near` and logarithmic beyond, over finite values, wider by a factor at both ends.
    pub fn symlog(values: impl Iterator<Item = f64>, near: f64, factor: f64) -> Self {
        let (low, high) = ends(values);
        Self::Symlog { low: low.min(-near) * factor, high: high.max(near) * factor, near }
    }

    /// The ends.
    pub fn ends(&self) -> (f64, f64) {
        match self {
            Self::Linear { low, high, .. } | Self::Log { low, high } | Self::Symlog { low, high, .. } => (*low, *high),
            Self::Names(names) => (-0.5, names.len().max(1) as f64 - 0.5),
        }
    }

    /// Where a value stands, from 0 at the low end to 1 at the high end; outside for what is beyond. What is not positive is at
    /// the low end of a logarithmic scale.
    pub fn place(&self, value: f64) -> f64 {
        let (low, high) = self.ends();
        match self {
            Self::Log { .. } => ln(value.max(low) / low) / ln(high / low),
            Self::Symlog { near, .. } => {
                let to = |v: f64| {
                    let u = v.abs() / near;
                    ln(u + (u * u + 1.0).sqrt()).copysign(v)
                };
                (to(value) - to(low)) / (to(high) - to(low))
            }
            _ => (value - low) / (high - low),
        }
    }

    /// Sets of values to write, each inside the ends, from many to few.
    pub fn ticks(&self) -> Vec<Vec<f64>> {
        let (low, high) = self.ends();
        let inside = |set: Vec<f64>| set.into_iter().filter(|v| (low..=high).contains(v)).collect();
        match self {
            Self::Names(names) => vec![(0..names.len()).map(|i| i as f64).collect()],
            Self::Linear { whole, .. } => steps(low, high, *whole).into_iter().map(inside).collect(),
            // Over less than a factor of two, equal steps are as good and finer.
            Self::Log { .. } if high / low < 2.0 => steps(low, high, false).into_iter().map(inside).collect(),
            Self::Log { .. } => mantissas(exponent(low), exponent(high)).into_iter().map(inside).collect(),
            Self::Symlog { near, .. } => {
                let (from, to) = (exponent(*near), exponent(high.max(-low)));
                // Where zero takes little room, fewer and fewer powers stand beside it.
                let sparse = (from..=to).map(|e| (e..=to).map(|e| decimal("1", e)).collect());
                let sets = mantissas(from, to).into_iter().chain(sparse).map(|set: Vec<f64>| {
                    let positive: Vec<f64> = set.into_iter().filter(|v| v >= near).collect();
                    let negative: Vec<f64> = positive.iter().rev().map(|v| -v).collect();
                    inside([negative, vec![0.0], positive].concat())
                });
                sets.collect()
            }
        }
    }
}

/// A decimal number as it is read, the same on every machine.
fn decimal(mantissa: &str, exponent: i32) -> f64 {
    format!("{mantissa}e{exponent}").parse().unwrap_or(f64::NAN)
}

/// The power of ten at or below a positive number, by its decimal text.
fn exponent(value: f64) -> i32 {
    format!("{value:e}").split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

/// Multiples of 1, 2 and 5 times the powers of ten.
fn steps(low: f64, high: f64, whole: bool) -> Vec<Vec<f64>> {
    let finest = exponent((high - low).max(f64::MIN_POSITIVE)) - 2;
    let sizes = (finest..finest + 4).flat_map(|e| ["1", "2", "5"].map(|m| (m, e)));
    let coarse = sizes.filter(|(_, e)| !whole || *e >= 0);
    let set = |(mantissa, e): (&str, i32)| {
        let step = decimal(mantissa, e);
        let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
        let unit: i64 = mantissa.parse().unwrap_or(1);
        // As decimals, so that 3 steps of 0.1 are 0.3.
        (first..=last).take(200).map(|i| decimal(&(i * unit).to_string(), e)).collect()
    };
    coarse.map(set).collect()
}

/// Values of a logarithmic axis over powers of ten.
fn mantissas(low: i32, high: i32) -> Vec<Vec<f64>> {
    const SETS: [&[&str]; 6] = [
        &[
            "1", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9", "2", "2.2", "2.4", "2.6", "2.8", "3",
            "3.5", "4", "4.5", "5", "5.5", "6", "6.5", "7", "7.5", "8", "8.5", "9", "9.5",
        ],
        &["1", "1.2", "1.5", "2", "2.5", "3", "4", "5", "6", "7", "8", "9"],
        &["1", "1.5", "2", "3", "4", "5", "7"],
        &["1", "2", "5"],
        &["1", "3"],
        &["1"],
    ];
    let dense = SETS.iter().map(|set| (low..=high).flat_map(|e| set.iter().map(move |m| decimal(m, e))).collect());
    let sparse = [2, 3, 6, 10].map(|every| (low..=high).filter(|e| e % every == 0).map(|e| decimal("1", e)).collect());
    dense.chain(sparse).collect()
}

/// A number of an axis as it is read best.
pub fn plain(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if !(1e-3..1e6).contains(&v) => format!("{value:e}").replace('-', "−"),
        _ => value.to_string().replace('-', "−"),
    }
}

/// A number with a prefix: 1.2 M.
pub fn prefixed(value: f64) -> String {
    const PREFIXES: [(f64, &str); 10] = [
        (1e15, "P"),
        (1e12, "T"),
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1.0, ""),
        (1e-3, "m"),
        (1e-6, "µ"),
        (1e-9, "n"),
        (1e-12, "p"),
    ];
    let fitting = PREFIXES.into_iter().find(|(size, _)| value.abs() >= *size);
    let (size, prefix) = fitting.unwrap_or((1.0, ""));
    let number = value / size;
    let number = if number >= 100.0 { format!("{number:.0}") } else { format!("{number:.1}") };
    let number = number.strip_suffix(".0").unwrap_or(&number);
    format!("{number} {prefix}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_stand_at_the_ends_and_order_is_kept() {
        let values = [-3.0, 0.02, 7.0, 400.0];
        let scales = [
            Scale::linear(values.into_iter(), 0.1),
            Scale::log(values.into_iter(), 1.2),
            Scale::symlog(values.into_iter(), 0.1, 1.2),
            Scale::Names(["a", "b"].map(str::to_owned).to_vec()),
        ];
        for scale in scales {
            let (low, high) = scale.ends();
            assert!(scale.place(low).abs() < 1e-12 && (scale.place(high) - 1.0).abs() < 1e-12, "{scale:?}");
            let places: Vec<f64> = [0.01, 0.5, 1.0].map(|t| scale.place(low + t * (high - low))).to_vec();
            assert!(places.is_sorted(), "{scale:?}: {places:?}");
            for set in scale.ticks() {
                assert!(set.iter().all(|v| (low..=high).contains(v)) && set.is_sorted(), "{scale:?}: {set:?}");
            }
        }
    }

    #[test]
    fn ticks_are_decimals() {
        let ticks = Scale::Linear { low: 0.0, high: 1.0, whole: false }.ticks();
        assert!(ticks.contains(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(|i| f64::from(i) / 10.0).to_vec()), "{ticks:?}");
        let log = Scale::Log { low: 0.04, high: 3.0 }.ticks();
        assert!(log.contains(&vec![0.05, 0.1, 0.2, 0.5, 1.0, 2.0]), "{log:?}");
        assert_eq!([0.05, 1e-5, 20000.0, -2.5].map(plain), ["0.05", "1e−5", "20000", "−2.5"]);
        assert_eq!([2.0, 20.0, 1500.0, 150.0, 5e-5].map(prefixed), ["2", "20", "1.5 k", "150", "50 µ"]);
    }
}
