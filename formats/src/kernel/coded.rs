//! NVFP4 and its variants: elements under a factor in a narrow float and a factor of the whole tensor. `nvfp4` is the
//! judge; the FP32 operations and their order are the same here.

use super::{Amax, Cast, Float, GROUP, Kernel, Scales, Summary, least, maxima, within};
use crate::decode::{Element, Floats};
use crate::nvfp4::TensorScale;
use crate::simd::Level;
use crate::{Exact, Format, Overflow, Rounding, Scalar, Scale, ScaleRule, Value};

/// How a block's factor follows from its amax, for one tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    rule: ScaleRule,
    two_level: bool,
    tensor: TensorScale,
    /// The scale's format: to it and back, its smallest normal and its largest number.
    narrowing: Narrowing,
    scale_least: f32,
    scale_max: f32,
    /// The largest element.
    max: f32,
}

/// FP32 numbers that are not negative to the scale's format and back.
#[derive(Clone, Copy, Debug)]
enum Narrowing {
    /// To nearest even.
    Nearest(Float),
    /// By any rounding.
    Any(Cast, Floats),
}

impl Narrowing {
    fn new(scale: Scalar, rounding: Rounding) -> Option<Self> {
        match Float::coder(scale, rounding, Overflow::Saturate) {
            Some(float) => Some(Self::Nearest(float)),
            None => Some(Self::Any(Cast::new(scale, rounding, Overflow::Saturate)?, Floats::new(scale)?)),
        }
    }

    /// The code and what it stands for.
    #[inline(always)]
    fn of(self, value: f32) -> (u8, f32) {
        match self {
            Self::Nearest(float) => (float.coded(value) as u8, float.rounded(value)),
            Self::Any(cast, floats) => {
                let code = cast.code_as::<false>(value, cast.lsb_min, 0);
                (code as u8, floats.value(code))
            }
        }
    }
}

/// What elements need of a block's scale.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Factors {
    /// What values are multiplied by before they are rounded; torchao divides by it.
    by: f32,
    /// What the scale's code stands for.
    value: f32,
}

impl Recipe {
    /// `None` for scales that are no codes, or of formats that the kernels do not reach.
    pub(crate) fn new(format: &Format, amax: f32) -> Option<Self> {
        let scaling = format.scaling?;
        let Scale::Code(scale) = scaling.scale else { return None };
        let rounding = match scaling.rule {
            ScaleRule::Nvfp4CuDnn => Rounding::Up,
            _ => Rounding::NearestEven,
        };
        let largest = |scalar: Scalar| Value::Finite(scalar.max()).to_f32();
        Some(Self {
            rule: scaling.rule,
            two_level: scaling.two_level,
            tensor: TensorScale::new(format, scale, amax),
            narrowing: Narrowing::new(scale, rounding)?,
            scale_least: Value::Finite(Exact::integer(1).scaled(scale.emin())).to_f32(),
            scale_max: largest(scale),
            max: largest(format.element),
        })
    }

    /// TransformerEngine's factors for a wanted scale.
    #[inline(always)]
    fn te(self, target: f32) -> (Factors, u8) {
        let (stored, value) = self.narrowing.of(target);
        let by = least(1.0 / (value * self.tensor.decode), f32::MAX);
        (Factors { by, value }, stored)
    }

    /// TransformerEngine's wanted scale.
    #[inline(always)]
    fn te_target(self, amax: f32) -> f32 {
        least(amax * (self.tensor.encode * (1.0 / 6.0)), f32::MAX)
    }

    /// torchao's factors: values are divided. Without a tensor scale its factor is 1.
    #[inline(always)]
    fn torchao(self, amax: f32) -> (Factors, u8) {
        let own = amax / self.max;
        let target = if self.two_level { own / self.tensor.decode } else { own };
        let target = if target > self.scale_least { target } else { self.scale_least };
        let (stored, value) = self.narrowing.of(least(target, self.scale_max));
        (Factors { by: self.tensor.decode * value, value }, stored)
    }

    /// cuDNN's factors.
    #[inline(always)]
    fn cudnn(self, amax: f32) -> (Factors, u8) {
        let (stored, value) = self.narrowing.of(amax / self.max);
        let by = if value == 0.0 { 0.0 } else { 1.0 / value };
        (Factors { by, value }, stored)
    }

    /// The factors of a block, by every rule but four-over-six.
    #[inline(always)]
    fn factors(self, amax: f32) -> (Factors, u8) {
        match self.rule {
            ScaleRule::Nvfp4TorchAo => self.torchao(amax),
            ScaleRule::Nvfp4CuDnn => self.cudnn(amax),
            _ => self.te(self.te_target(amax)),
        }
    }

    /// The product that is rounded to an element and held to the largest. Zero loses its sign in the recipes of
    /// TransformerEngine.
    #[inline(always)]
    fn product(self, v: f32, factors: Factors) -> f32 {
        let product = if self.rule == ScaleRule::Nvfp4TorchAo { v / factors.by } else { v * factors.by };
        let signed = matches!(self.rule, ScaleRule::Nvfp4TorchAo | ScaleRule::Nvfp4CuDnn);
        // Only torchao's factor may be infinite: zero times it is NaN, for which E2M1 has no code but 0. Adding +0 turns
        // -0 into +0 and changes nothing else.
        let number = if signed && product.is_nan() { 0.0 } else { product };
        if signed { number } else { number + 0.0 }
    }

    /// The same with a rule that a loop takes for a constant.
    #[inline(always)]
    const fn by(self, rule: ScaleRule) -> Self {
        Self { rule, ..self }
    }

    /// The value of an element.
    #[inline(always)]
    fn value(self, element: f32, factors: Factors) -> f32 {
        within(element * factors.value * self.tensor.decode, f32::MAX)
    }
}

impl Recipe {
    /// The factors of neighbouring blocks, which the compiler vectorises.
    #[inline(always)]
    fn each(self, amax: [u32; GROUP]) -> ([Factors; GROUP], [u8; GROUP]) {
        let (mut by, mut value, mut stored) = ([0.0; GROUP], [0.0; GROUP], [0; GROUP]);
        let factors = by.iter_mut().zip(&mut value).zip(&mut stored);
        for (((by, value), stored), amax) in factors.zip(amax) {
            let (block, code) = self.factors(f32::from_bits(amax));
            (*by, *value, *stored) = (block.by, block.value, code);
        }
        (std::array::from_fn(|g| Factors { by: by[g], value: value[g] }), stored)
    }
}

/// How an element is rounded.
pub(crate) trait Rounded: Copy + Sync {
    /// Whether it draws random words.
    const DRAWS: bool;
    /// [`Kernel::COMMON`].
    const COMMON: bool;
    /// The code.
    fn code(self, v: f32, random: u32) -> u32;
    /// The value.
    fn value(self, v: f32, random: u32) -> f32;
}

impl Rounded for Float {
    const DRAWS: bool = false;
    const COMMON: bool = true;

    #[inline(always)]
    fn code(self, v: f32, _: u32) -> u32 {
        self.coded(v)
    }

    #[inline(always)]
    fn value(self, v: f32, _: u32) -> f32 {
        self.rounded(v)
    }
}

/// Any rounding and overflow of numbers held to the largest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnyRounding<const DRAWS: bool> {
    pub(crate) cast: Cast,
    pub(crate) element: Element,
    pub(crate) max: f32,
}

impl<const DRAWS: bool> Rounded for AnyRounding<DRAWS> {
    const DRAWS: bool = DRAWS;
    const COMMON: bool = false;

    #[inline(always)]
    fn code(self, v: f32, random: u32) -> u32 {
        self.cast.code(within(v, self.max), self.cast.lsb_min, random)
    }

    #[inline(always)]
    fn value(self, v: f32, random: u32) -> f32 {
        self.element.value(self.code(v, random))
    }
}

/// Elements of at most 8 bits under a coded factor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coded<R> {
    pub(crate) recipe: Recipe,
    pub(crate) rounded: R,
}

impl<R: Rounded> Kernel for Coded<R> {
    type Code = u8;
    type Scale = u8;
    type Factor = Factors;
    type Summary = Amax;
    const DRAWS: bool = R::DRAWS;
    const LENGTH: usize = 16;
    const COMMON: bool = R::COMMON;
    const GROUPED: bool = true;
    const CROSSES: bool = true;

    #[inline(always)]
    fn factor(self, amax: Amax) -> (Factors, u8) {
        self.recipe.factors(f32::from_bits(amax.0))
    }

    #[inline(always)]
    fn scales<const B: usize>(self, level: Level, x: &[[f32; B]; GROUP]) -> Option<Scales<Self>> {
        let amax = maxima(level, x)?;
        Some(match (self.recipe.rule, self.recipe.narrowing) {
            (ScaleRule::Nvfp4Te, Narrowing::Nearest(float)) => {
                Recipe { narrowing: Narrowing::Nearest(float), ..self.recipe.by(ScaleRule::Nvfp4Te) }.each(amax)
            }
            _ => self.recipe.each(amax),
        })
    }

    #[inline(always)]
    fn fake(self, v: f32, factors: Factors, random: u32) -> f32 {
        self.recipe.value(self.rounded.value(self.recipe.product(v, factors), random), factors)
    }

    #[inline(always)]
    fn bits(self, v: f32, factors: Factors, random: u32) -> u32 {
        self.rounded.code(self.recipe.product(v, factors), random)
    }
}

/// The better of two scales by the error of the block: the sums are FP32's, in the order of the elements, so that only
/// blocks, not elements, go side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FourOverSix<R> {
    pub(crate) coded: Coded<R>,
    /// The comparison rounds to nearest even whatever the record does.
    pub(crate) nearest: Float,
    pub(crate) squared: bool,
}

impl<R: Rounded> FourOverSix<R> {
    /// The sum of errors under one factor.
    #[inline(always)]
    fn error(self, x: &[f32], factors: Factors) -> f32 {
        let recipe = self.coded.recipe;
        let range = 6.0 * recipe.scale_max;
        let mut sum = 0.0;
        for &v in x {
            let element = self.nearest.rounded(recipe.product(v, factors));
            let difference = element * factors.value * recipe.tensor.amax / range - v;
            sum += if self.squared { difference * difference } else { difference.abs() };
        }
        sum
    }
}

impl<R: Rounded> Kernel for FourOverSix<R> {
    type Code = u8;
    type Scale = u8;
    type Factor = Factors;
    type Summary = Amax;
    const DRAWS: bool = R::DRAWS;
    const COMMON: bool = false;

    #[inline(always)]
    fn factor(self, amax: Amax) -> (Factors, u8) {
        let recipe = self.coded.recipe;
        recipe.te(f32::from_bits(amax.0) / 6.0 * recipe.tensor.encode)
    }

    #[inline(always)]
    fn scale(self, x: &[f32]) -> Option<(Factors, u8)> {
        let recipe = self.coded.recipe;
        let amax = Amax::all(x);
        if !amax.is_finite() {
            return None;
        }
        let base = f32::from_bits(amax.0) / 6.0 * recipe.tensor.encode;
        let (six, four) = (recipe.te(base), recipe.te(base * 1.5));
        Some(if self.error(x, four.0) < self.error(x, six.0) { four } else { six })
    }

    #[inline(always)]
    fn fake(self, v: f32, factors: Factors, random: u32) -> f32 {
        self.coded.fake(v, factors, random)
    }

    #[inline(always)]
    fn bits(self, v: f32, factors: Factors, random: u32) -> u32 {
        self.coded.bits(v, factors, random)
    }
}
