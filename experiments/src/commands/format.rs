//! `interplay format NAME [VALUES]`: what a format is, and what it does to values.

use anyhow::Result;
use interplay_formats::{Codes, Format, Quantized, Scales};
use serde_json::json;

use crate::output::{say, sayln};
use crate::report::table::Table;

/// Prints the format's card, or the codes, scales and values that a row of `values` becomes.
///
/// # Errors
/// An unknown name, a value that is not finite.
pub fn run(name: &str, values: &[f32], as_json: bool) -> Result<()> {
    let format = Format::by_name(name)?;
    if values.is_empty() {
        let card = format.card();
        match as_json {
            true => sayln!("{}", serde_json::to_string_pretty(&card)?),
            false => sayln!("{card}"),
        }
        return Ok(());
    }
    let quantized = format.quantize(values, values.len())?;
    let dequantized = quantized.dequantize();
    if as_json {
        let codes: Vec<String> = (0..values.len()).map(|i| code_text(&quantized, i)).collect();
        let scales = scale_texts(quantized.scales());
        let object = json!({"format": format.name, "values": values, "codes": codes, "scales": scales, "dequantized": dequantized});
        sayln!("{object}");
        return Ok(());
    }
    let mut table = Table::new(String::new(), ["value", "block", "scale", "code", "element", "becomes", "error"]);
    let (elements, scales) = (quantized.elements(), scale_texts(quantized.scales()));
    for (i, (&given, &becomes)) in values.iter().zip(&dequantized).enumerate() {
        let block = i / quantized.block_len();
        let scale = scales.get(block).map_or("-", String::as_str);
        table.row([
            format!("{given}"),
            format!("{block}"),
            scale.to_owned(),
            code_text(&quantized, i),
            format!("{}", elements[i]),
            format!("{becomes}"),
            format!("{:.2e}", f64::from(becomes) - f64::from(given)),
        ]);
    }
    say(format_args!("{table}"));
    Ok(())
}

/// A float's code in hexadecimal, an integer's as the number it is.
fn code_text(quantized: &Quantized, i: usize) -> String {
    let bits = quantized.format().element.bits();
    match quantized.codes() {
        Codes::I8(codes) => codes[i].to_string(),
        codes => format!("{:#0width$x}", codes.get(i), width = bits.div_ceil(4) as usize + 2),
    }
}

fn scale_texts(scales: &Scales) -> Vec<String> {
    match scales {
        Scales::E8M0(bytes) => bytes.iter().map(|&b| format!("2^{}", i32::from(b) - 127)).collect(),
        Scales::Exponent(exponents) => exponents.iter().map(|e| format!("2^{e}")).collect(),
        Scales::Float32(factors) => factors.iter().map(f32::to_string).collect(),
        _ => Vec::new(),
    }
}
