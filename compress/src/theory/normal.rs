//! The normal distribution from uniform words by +, -, *, / and roots alone, so that every machine draws the same bits.

/// The normal quantile of the middle of the `word`-th of 2^32 equal parts of (0, 1), to about 7 digits (Wichura, "Algorithm AS 241",
/// Applied Statistics 37, 1988, PPND7). The smallest part is so large that the algorithm's far tail is never reached.
pub(super) fn quantile(word: u32) -> f64 {
    let p = probability(word);
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        let above = ((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179;
        return q * above / (((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1.0);
    }
    let r = (-ln(p.min(1.0 - p))).sqrt() - 1.6;
    let above = ((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777;
    (above / ((0.12021132975 * r + 0.73700164250) * r + 1.0)).copysign(q)
}

/// The quantile of Student's t with 2 degrees of freedom, which has a closed form.
pub(super) fn heavy_quantile(word: u32) -> f64 {
    let p = probability(word);
    (2.0 * p - 1.0) / (2.0 * p * (1.0 - p)).sqrt()
}

/// The middle of the `word`-th of 2^32 parts: exact, never 0 or 1.
fn probability(word: u32) -> f64 {
    (f64::from(word) + 0.5) / 4_294_967_296.0
}

/// The natural logarithm of a normal number, to about 12 digits: ln(m 2^e) with ln m = 2 artanh((m - 1) / (m + 1)).
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let half = f64::from_bits(bits & 0x000F_FFFF_FFFF_FFFF | 0x3FE0_0000_0000_0000);
    let exponent = (bits >> 52) as i32 - 1022;
    let (m, exponent) =
        if half < std::f64::consts::FRAC_1_SQRT_2 { (2.0 * half, exponent - 1) } else { (half, exponent) };
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let series = (0..7).rev().fold(0.0, |sum, i| sum * square + 1.0 / f64::from(2 * i + 1));
    2.0 * s * series + f64::from(exponent) * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_quantiles() {
        let word = |p: f64| (p * 4_294_967_296.0) as u32;
        let table: [(f64, f64); 5] =
            [(0.5, 0.0), (0.841344746, 1.0), (0.975, 1.959963985), (0.001, -3.090232306), (1e-6, -4.753424309)];
        for (p, z) in table {
            // A word stands for 2^-32 of probability, and in the tail the density is about p |z|.
            let tolerance = 2e-6 + 2.4e-10 / p.min(1.0 - p);
            assert!((quantile(word(p)) - z).abs() < tolerance, "{p}: {}", quantile(word(p)));
        }
        // t with 2 degrees of freedom: 4.302653 is the 97.5% point.
        assert!((heavy_quantile(word(0.975)) - 4.302653).abs() < 1e-5);
        assert_eq!(quantile(7), -quantile(u32::MAX - 7));
        assert_eq!(heavy_quantile(7), -heavy_quantile(u32::MAX - 7));
    }

    #[test]
    fn logarithm_is_near_the_hosts() {
        for x in [1e-10, 0.03, 0.5, 0.69, 0.72, 1.0, 3.0] {
            #[expect(clippy::disallowed_methods, reason = "what a test expects may come from the system")]
            let system = f64::ln(x);
            assert!((ln(x) - system).abs() < 1e-11, "{x}");
        }
    }
}
