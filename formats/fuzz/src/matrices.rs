//! Matrices: the fast path against the reference.

use arbitrary::{Arbitrary, Result, Unstructured};
use interplay_formats::{Format, pack};

/// Any record of the catalogue, any variant, any matrix: no panic, and fast as slow.
pub fn quantize(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let _ = any_matrix(&mut u);
}

fn any_matrix(u: &mut Unstructured) -> Result<()> {
    let format = any_format(u)?;
    let k = u.int_in_range(0..=70)?;
    let near = u8::arbitrary(u)?;
    let any: Vec<u32> = u.arbitrary()?;
    // Half of the matrices have exponents near each other.
    let number = |bits: u32| if near < 128 { bits } else { bits & 0x83FF_FFFF | u32::from(near) << 23 };
    let x: Vec<f32> = any.into_iter().map(|bits| f32::from_bits(number(bits))).collect();
    let whole = if k == 0 { x.len() } else { x.len() / k * k };
    same(format, &x[..whole], k);
    let _ = format.quantize_any(&x[..whole], k, 7).map(|q| q.dequantize());
    let mut fake = x[..whole].to_vec();
    let _ = format.fake_quantize(&mut fake, k);
    Ok(())
}

/// A record of the catalogue, half of the time a variant of it.
pub fn any_format(u: &mut Unstructured) -> Result<&'static Format> {
    let format = u.choose(Format::all())?;
    let changes = ["ceil", "even", "rceil", "floor-log2", "nearest-away", "up", "to-odd", "stochastic-5", "infinity"];
    let changed = if u.ratio(1, 2)? { format.changed(u.choose(&changes)?).ok() } else { None };
    Ok(changed.unwrap_or(format))
}

/// The card and both paths of a record.
pub fn usable(format: &'static Format) {
    assert!(!format.card().to_string().is_empty());
    let x = [1.0, -0.5, 0.0, 3.0e-3, 100.0, -7.25, 1.0e-20, 65504.0];
    same(format, &x, 4);
}

/// Fast and reference path, values included.
fn same(format: &'static Format, x: &[f32], k: usize) {
    match (format.quantize(x, k), format.quantize_reference(x, k)) {
        (Ok(fast), Ok(slow)) => {
            assert!(fast == slow, "{}: {fast:?}, not {slow:?}", format.name);
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
            assert_eq!(bits(fast.dequantize()), bits(slow.dequantize_reference()), "{}", format.name);
            let packed = fast.packed(None).expect("no mask");
            let width = format.element.bits();
            let codes = (0..fast.codes().len()).map(|i| fast.codes().get(i) & (u64::MAX >> (64 - width)));
            assert!(codes.eq(pack::unpack(&packed.values, width, fast.codes().len()).unwrap_or_default()), "{}", format.name);
        }
        // In words, because the error of a NaN holds it.
        (fast, slow) => assert_eq!(format!("{:?}", fast.err()), format!("{:?}", slow.err()), "{}", format.name),
    }
}
