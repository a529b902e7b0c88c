//! Records: names, declarations and JSON.

use crate::matrices::usable;
use arbitrary::{Arbitrary, Result, Unstructured};
use interplay_formats::{Format, Order, Rounding};
use serde_json::{Value, json};

/// Names and variants never panic, and give the same record each time; nor do the names of roundings and orders.
pub fn by_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Format::by_name(text) {
        Ok(format) => {
            assert!(Format::by_name(text).is_ok_and(|again| std::ptr::eq(again, format)));
            usable(format);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(rounding) = text.parse::<Rounding>() {
        assert_eq!(rounding.to_string().parse(), Ok(rounding));
    }
    let _ = text.parse::<Order>();
}

/// A declaration never panics, and what it made is found and usable. Half of the texts are any bytes, half are made of
/// the words that a declaration has.
pub fn declare(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    match std::str::from_utf8(rest) {
        Ok(text) if kind % 2 == 0 => declared(text),
        Err(_) if kind % 2 == 0 => {}
        _ => drop(written(&mut Unstructured::new(rest)).map(|text| declared(&text))),
    }
}

fn declared(text: &str) {
    if let Ok(format) = Format::declare(text) {
        assert!(Format::by_name(format.name).is_ok_and(|found| std::ptr::eq(found, format)));
        assert!(Format::declare(text).is_ok_and(|again| std::ptr::eq(again, format)));
        usable(format);
    }
}

/// Keys of a declaration, and for each what may stand there besides numbers.
const KEYS: [(&str, &[&str]); 19] = [
    ("element", &["\"e2m1\"", "\"s7\"", "\"mxfp4\"", "\"fp64\"", "\"u5@up\""]),
    ("exponent_bits", &["4", "11"]),
    ("mantissa_bits", &["3", "52"]),
    ("bias", &["7", "-1074"]),
    ("specials", &["\"ieee\"", "\"nan-only\"", "\"fnuz\"", "\"none\""]),
    ("sign", &["\"signed\"", "\"unsigned\"", "\"ignored\""]),
    ("subnormals", &["true", "false"]),
    ("bits", &["8", "16"]),
    ("fraction_bits", &["4"]),
    ("range", &["\"symmetric\"", "\"full\"", "\"unsigned\""]),
    ("block", &["{ run = 16 }", "\"row\"", "\"column\"", "\"tensor\"", "{ tile = { rows = 2, k = 4 } }"]),
    ("scale", &["\"e8m0\"", "\"float32\"", "{ exponent = 8 }", "{ micro = { run = 2 } }", "{ code = \"ue4m3\" }"]),
    ("scale", &["{ affine = 4 }", "{ exponent = 99 }", "{ micro = { run = 0 } }", "{ code = \"s4\" }"]),
    ("rule", &["\"floor\"", "\"ceil\"", "\"rceil\"", "\"enclosing\"", "\"above\"", "\"absmax\"", "\"minmax\""]),
    ("two_level", &["true"]),
    ("input", &["\"bf16\"", "\"e8m0\""]),
    ("rounding", &["\"up\"", "\"stochastic-5\"", "\"to-odd\""]),
    ("overflow", &["\"saturate\"", "\"infinity\"", "\"nan\"", "\"wrap\""]),
    ("source", &["\"x\""]),
];

fn written(u: &mut Unstructured) -> Result<String> {
    let mut text = format!("[format]\nname = \"f{}\"\n", u.int_in_range(0..=999)?);
    // A format has an element, and a scale or none; the rest is at random.
    let element = *u.choose(&[0, 1, 7])?;
    let wanted = u32::arbitrary(u)? & u32::arbitrary(u)? | 1 << element | u32::from(element == 1) << 2;
    let scaled = if u.arbitrary()? { 1 << 10 | 1 << *u.choose(&[11, 12])? | 1 << 13 } else { 0 };
    for (i, (key, words)) in KEYS.iter().enumerate() {
        let rest = !matches!(i, 0 | 1 | 2 | 7 | 10..=13) || u.ratio(1, 16)?;
        if wanted >> i & 1 == 1 && rest || scaled >> i & 1 == 1 || i == element || (i == 2 && element == 1) {
            let word = *u.choose(words)?;
            let number = if u.ratio(1, 2)? && word.parse::<i64>().is_ok() { Some(small(u)?) } else { None };
            text += &number.map_or(format!("{key} = {word}\n"), |number| format!("{key} = {number}\n"));
        }
    }
    Ok(text)
}

/// Mostly a small number.
fn small(u: &mut Unstructured) -> Result<i64> {
    if u.ratio(15, 16)? { u.int_in_range(-3..=70) } else { u.arbitrary() }
}

/// A record of the catalogue as JSON with some of its fields changed: refused or usable, and never a panic.
pub fn record(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let _ = changed(&mut u).map(|json| {
        let Ok(format) = serde_json::from_value::<Format>(json) else { return };
        if let Ok(format) = format.adopt() {
            usable(format);
        }
    });
}

fn changed(u: &mut Unstructured) -> Result<Value> {
    let mut json = serde_json::to_value(u.choose(Format::all())?).map_err(|_| arbitrary::Error::IncorrectFormat)?;
    json["name"] = json!(format!("r{}", u.int_in_range(0..=999)?));
    json["aliases"] = json!([]);
    for _ in 0..u.int_in_range(1..=4)? {
        let fields = leaves(&json, String::new());
        let place = u.choose(&fields)?;
        let other = serde_json::to_value(u.choose(Format::all())?).map_err(|_| arbitrary::Error::IncorrectFormat)?;
        let value = match u.int_in_range(0..=3)? {
            0 => other.pointer(place).cloned().unwrap_or(Value::Null),
            1 => other.pointer(place.rsplit_once('/').map_or("", |(above, _)| above)).cloned().unwrap_or(Value::Null),
            2 => json!(u.arbitrary::<i32>()?),
            _ => json!(small(u)?),
        };
        if let Some(field) = json.pointer_mut(place) {
            *field = value;
        }
    }
    Ok(json)
}

/// JSON pointers to everything inside.
fn leaves(json: &Value, at: String) -> Vec<String> {
    let inside: Vec<(String, &Value)> = match json {
        Value::Object(fields) => fields.iter().map(|(key, value)| (format!("{at}/{key}"), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| (format!("{at}/{i}"), value)).collect(),
        _ => Vec::new(),
    };
    let below = inside.into_iter().flat_map(|(at, value)| leaves(value, at)).collect::<Vec<_>>();
    if at.is_empty() { below } else { [vec![at], below].concat() }
}
