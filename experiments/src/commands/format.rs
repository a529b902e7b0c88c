//! `interplay format NAME [VALUES]`: what a format is, and what it does to values.

use anyhow::{Result, ensure};
use interplay_formats::{Codes, Encoding, Format, Quantized, Scalar, Scale, Scales, Sign, Value};
use serde_json::json;

use crate::output::{say, sayln};
use crate::report::table::Table;

/// Elements of at most this many bits are shown with all their codes.
const WIDEST_TABLE: u32 = 8;

/// Characters of a line.
const LINE: usize = 110;

/// Arguments of `format`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  interplay format mxfp8                        # bits, range, special codes, laws, source, all codes and values
  interplay format mxfp8 0.7                    # one value, step by step, under each rounding
  interplay format int4 0.7 --amax 2            # the same in a block whose largest magnitude is 2
  interplay format mxfp8 1.0 0.7 -0.3 0.004     # codes, scale and values of one row
  interplay format mxfp8@ceil 0.7               # a variant: another scale rule, rounding or overflow
  interplay --define mine.toml format mine      # a format of one's own")]
pub struct Args {
    /// The format's name.
    name: String,

    /// Values of one row, quantised with blocks along it; a single value is explained step by step.
    #[arg(allow_negative_numbers = true)]
    values: Vec<f32>,

    /// With a single value: the largest magnitude among the others of its block and tensor.
    #[arg(long, value_name = "A")]
    amax: Option<f32>,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the format's card, the way of one value, or what a row of values becomes.
///
/// # Errors
/// An unknown name, a value that the format refuses.
pub fn run(args: &Args) -> Result<()> {
    let format = Format::by_name(&args.name)?;
    ensure!(args.amax.is_none() || args.values.len() == 1, "--amax goes with a single value");
    match args.values[..] {
        [] => card(format, args.json),
        [value] => {
            let explanation = format.explain(value, args.amax)?;
            match args.json {
                true => sayln!("{}", serde_json::to_string_pretty(&explanation)?),
                false => say(format_args!("{explanation}")),
            }
            Ok(())
        }
        _ => row(format, &args.values, args.json),
    }
}

fn card(format: &'static Format, as_json: bool) -> Result<()> {
    let (card, element) = (format.card(), format.element);
    let small = element.bits() <= WIDEST_TABLE;
    if as_json {
        let mut object = serde_json::to_value(&card)?;
        if small {
            let entry = |code: u64| json!({"code": code, "value": value_json(element.decode(code))});
            object["codes"] = (0..1 << element.bits()).map(entry).collect();
        }
        sayln!("{}", serde_json::to_string_pretty(&object)?);
        return Ok(());
    }
    sayln!("{card}");
    if small {
        say(format_args!("{}", code_table(element)));
    }
    Ok(())
}

/// A number, or what it is instead.
fn value_json(value: Value) -> serde_json::Value {
    match value {
        Value::Finite(_) => json!(value.to_f64()),
        other => json!(value_text(other)),
    }
}

fn value_text(value: Value) -> String {
    match value {
        Value::Nan => "NaN".to_owned(),
        Value::Infinite { negative } => if negative { "-inf" } else { "inf" }.to_owned(),
        Value::Finite(x) if x.significand == 1 && !(-10..20).contains(&x.exponent) => format!("2^{}", x.exponent),
        Value::Finite(_) => value.to_f64().to_string(),
    }
}

/// All codes and what they stand for: the row says the upper digits of a code, the column the last bits. Where the
/// highest bit is a sign, the half without it is shown.
fn code_table(element: Scalar) -> String {
    let signed = matches!(element.encoding, Encoding::Float { sign: Sign::Signed, .. });
    let count = 1u64 << (element.bits() - u32::from(signed));
    let texts: Vec<String> = (0..count).map(|code| value_text(element.decode(code))).collect();
    let width = texts.iter().map(String::len).max().unwrap_or(0).max(2) + 2;
    let columns = [16, 8, 4, 2].into_iter().find(|n| 8 + n * width <= LINE).unwrap_or(1).min(texts.len());
    let mut table = format!("\n  {:<6}", "codes");
    for column in 0..columns {
        table += &format!("{:>width$}", format!("+{column:x}"));
    }
    for (row, values) in texts.chunks(columns).enumerate() {
        table += &format!("\n  {:<6}", format!("{:#04x}", row * columns));
        table.extend(values.iter().map(|text| format!("{text:>width$}")));
    }
    if signed {
        let top = 1u64 << (element.bits() - 1);
        let zero = match element.decode(top) {
            Value::Nan => format!("{top:#04x} is NaN"),
            _ => format!("{top:#04x} is -0"),
        };
        table += &format!("\n  from {top:#04x} the same, negative; {zero}");
    }
    table + "\n"
}

fn row(format: &'static Format, values: &[f32], as_json: bool) -> Result<()> {
    let quantized = format.quantize_any(values, values.len(), 0)?;
    let (dequantized, scales) = (quantized.dequantize(), scale_texts(&quantized));
    if as_json {
        let codes: Vec<String> = (0..values.len()).map(|i| code_text(&quantized, i)).collect();
        let object = json!({
            "format": format.name,
            "values": values,
            "codes": codes,
            "scales": scales,
            "tensor_scale": quantized.tensor_scale(),
            "dequantized": dequantized,
        });
        sayln!("{object}");
        return Ok(());
    }
    let mut table = Table::new(String::new(), ["value", "block", "scale", "code", "element", "becomes", "error"]);
    let elements = quantized.elements();
    for (i, (&given, &becomes)) in values.iter().zip(&dequantized).enumerate() {
        let block = i / quantized.block_len();
        table.row([
            format!("{given}"),
            format!("{block}"),
            scales.get(block).map_or("-", String::as_str).to_owned(),
            code_text(&quantized, i),
            format!("{}", elements[i] - zero_point(&quantized, block)),
            format!("{becomes}"),
            format!("{:.2e}", f64::from(becomes) - f64::from(given)),
        ]);
    }
    table.print();
    if let Some(scale) = quantized.tensor_scale() {
        sayln!("  tensor scale {scale:e}");
    }
    Ok(())
}

fn zero_point(quantized: &Quantized, block: usize) -> f32 {
    match quantized.scales() {
        Scales::Affine(_, zeros) => f32::from(zeros[block]),
        _ => 0.0,
    }
}

/// A float's code in hexadecimal, an integer's as the number it is.
fn code_text(quantized: &Quantized, i: usize) -> String {
    let element = quantized.format().element;
    match (quantized.codes(), element.encoding) {
        (Codes::I8(codes), _) => codes[i].to_string(),
        (Codes::I16(codes), _) => codes[i].to_string(),
        (codes, Encoding::Integer { .. }) => codes.get(i).to_string(),
        (codes, _) => format!("{:#0width$x}", codes.get(i), width = element.bits().div_ceil(4) as usize + 2),
    }
}

/// The scale of each block.
fn scale_texts(quantized: &Quantized) -> Vec<String> {
    let code_value = |code: u8| match quantized.format().scaling.map(|s| s.scale) {
        Some(Scale::Code(scalar)) => scalar.decode(u64::from(code)).to_f64().to_string(),
        _ => code.to_string(),
    };
    match quantized.scales() {
        Scales::E8M0(bytes) => {
            let text = |&b: &u8| if b == u8::MAX { "NaN".to_owned() } else { format!("2^{}", i32::from(b) - 127) };
            bytes.iter().map(text).collect()
        }
        Scales::Exponent(exponents) => exponents.iter().map(|e| format!("2^{e}")).collect(),
        Scales::Micro(words) => words.iter().map(|w| format!("2^{} bits {:b}", *w as i8, w >> 8)).collect(),
        Scales::Float32(factors) => factors.iter().map(f32::to_string).collect(),
        Scales::Affine(factors, zeros) => factors.iter().zip(zeros).map(|(f, z)| format!("{f} zero {z}")).collect(),
        Scales::Code(codes) => codes.iter().map(|&code| code_value(code)).collect(),
        _ => Vec::new(),
    }
}
