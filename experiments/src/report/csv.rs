//! Cells and layer errors as CSV, one header line, one line a record; a path with a comma is quoted (RFC 4180).

use std::borrow::Cow;
use std::fmt::Write;

use crate::report::layers::LayerError;
use crate::result::Cell;

/// The columns of [`cells`], in order; units are last in each name.
const CELL_HEADER: &str = "model,data,format,sparsity,order,datapath,metric,value,stderr,fp32_value,values_bits,scales_bits,\
metadata_bits,other_bits,total_bits,cycle_model,cycles,prices,energy_pj";

/// One line a cell.
pub fn cells(cells: &[Cell]) -> String {
    let mut out = format!("{CELL_HEADER}\n");
    for c in cells {
        let f = c.footprint_bits;
        let _ = writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            field(&c.model),
            field(&c.data),
            c.format,
            c.sparsity,
            c.order,
            c.datapath,
            c.metric.name,
            c.metric.value,
            c.metric.stderr,
            c.fp32.value,
            f.values,
            f.scales,
            f.metadata,
            f.other,
            f.total,
            c.cycles.model,
            c.cycles.total,
            c.energy_pj.prices,
            c.energy_pj.total
        );
    }
    out
}

/// One line a layer, format and order.
pub fn layers(errors: &[LayerError]) -> String {
    let mut out = String::from("model,layer,format,sparsity,order,relative_error\n");
    for e in errors {
        let _ = writeln!(out, "{},{},{},{},{},{}", field(&e.model), e.layer, e.format, e.sparsity, e.order, e.relative);
    }
    out
}

/// A field as it stands, or quoted where it would be read as more than one.
pub fn field(text: &str) -> Cow<'_, str> {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")).into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn only_ambiguous_fields_are_quoted() {
        assert_eq!(field("./opt-125m"), "./opt-125m");
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
