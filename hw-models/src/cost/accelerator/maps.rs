//! Whether a machine's record gives every pair of formats to one thing at most, and to what can take it.

use super::record::{Accelerator, Unit};
use super::{NATURAL, any_matches, glob_matches};
use crate::datapath::{Codes, Inputs, Scales};
use crate::{Datapath, Error};
use interplay_formats::Format;

impl Accelerator {
    /// Refuses units that cannot take what they are given, skips that nothing computes, and pairs that are given twice.
    pub(super) fn maps(&self) -> Result<(), Error> {
        self.units.iter().try_for_each(|unit| self.unit_takes(unit))?;
        self.units_once()?;
        self.rules()?;
        self.rules_once()
    }

    fn unit_takes(&self, unit: &Unit) -> Result<(), Error> {
        let wrong =
            |field: &str, problem: String| Err(self.problem(format!("`units.{}.{field}` {problem}", unit.called())));
        let natural = NATURAL.contains(&unit.datapath.as_str());
        let mut taken: Vec<&Format> = Vec::new();
        for glob in &unit.formats {
            let named = (!glob.contains('*')).then(|| Format::by_name(glob)).transpose()?;
            let all = Format::all().iter().filter(|format| named.is_none() && glob_matches(glob, format.name));
            let matching = named.into_iter().chain(all);
            let record = |format: &Format| unit.record(&unit.datapath, [format, format]);
            let own: Vec<&Format> =
                matching.filter(|f| natural || record(f).is_ok_and(|d| d.takes(f, f).is_ok())).collect();
            if let ([], Some(format)) = (&own[..], named) {
                let why = record(format).and_then(|datapath| datapath.takes(format, format));
                return wrong(
                    "formats",
                    format!("names `{glob}`: {}", why.map_or_else(|e| e.to_string(), |()| String::new())),
                );
            }
            taken.extend(own);
        }
        let Some(format) = taken.first() else {
            return wrong("formats", format!("is {}, of which `{}` takes none", unit.formats.join(" "), unit.datapath));
        };
        let dense = unit.record(&unit.datapath, [format, format])?;
        if dense.is_host() {
            return wrong("datapath", format!("is `{}`, which is no unit", dense.name));
        }
        match &unit.sparse {
            Some(_) if unit.skips.is_empty() => wrong("sparse", "is given, but nothing in `skips`".to_owned()),
            Some(name) => self.sparse_takes(unit, unit.record(name, [format, format])?),
            None if !unit.skips.is_empty() && !natural && !dense.leaves_zeros_out() => wrong(
                "skips",
                format!(
                    "names {}, but `{}` does not give the same bits without the zeros: name the unit that multiplies pruned weights in \
                     `sparse`",
                    unit.skips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                    dense.name
                ),
            ),
            None => Ok(()),
        }
    }

    /// A sparse unit keeps what `skips` says.
    fn sparse_takes(&self, unit: &Unit, sparse: &Datapath) -> Result<(), Error> {
        let Inputs::Codes(Codes { sparse: Some(stored), .. }) = sparse.inputs else {
            let called = unit.called();
            return Err(self.problem(format!("`units.{called}.sparse` is `{}`, which has no sparse side", sparse.name)));
        };
        match unit.skips.iter().find(|ratio| (ratio.n, ratio.m) != (stored.n as u64, stored.m as u64)) {
            None => Ok(()),
            Some(ratio) => Err(self.problem(format!(
                "`units.{}.skips` names {ratio}, but `{}` keeps {}:{}",
                unit.called(),
                sparse.name,
                stored.n,
                stored.m
            ))),
        }
    }

    /// No two units take one pair.
    fn units_once(&self) -> Result<(), Error> {
        for (at, unit) in self.units.iter().enumerate() {
            // Natural units of different names take different pairs whatever their globs.
            let natural = |unit: &Unit| NATURAL.contains(&unit.datapath.as_str());
            let apart = |other: &&Unit| !(natural(unit) && natural(other) && unit.datapath != other.datapath);
            for other in self.units[at + 1..].iter().filter(apart) {
                let both = |f: &&Format| any_matches(&unit.formats, f.name) && any_matches(&other.formats, f.name);
                let common: Vec<&Format> = Format::all().iter().filter(both).collect();
                for weight in &common {
                    for activation in &common {
                        self.unit_of(weight, activation)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What is dequantised becomes something that the machine multiplies, with scales where they can be.
    fn rules(&self) -> Result<(), Error> {
        for (at, rule) in self.dequantised.iter().enumerate() {
            let wrong =
                |field: &str, problem: String| Err(self.problem(format!("`dequantised[{at}].{field}` {problem}")));
            let to = Format::by_name(&rule.to)?;
            let unit = self.unit_of(to, to)?;
            let Some(unit) = unit.filter(|_| ["bf16", "fp16"].contains(&to.name)) else {
                return wrong("to", format!("is `{}`; `bf16` or `fp16` is meant, and a unit that takes it", to.name));
            };
            let record = unit.record(rule.datapath.as_ref().unwrap_or(&unit.datapath), [to, to])?;
            if let Err(error) = record.takes(to, to) {
                return wrong("datapath", format!("is `{}`: {error}", record.name));
            }
            let named = Format::all().iter().filter(|format| any_matches(&rule.weights, format.name));
            let mut named = named.peekable();
            if named.peek().is_none() {
                return wrong("weights", format!("is {}, which no format is called", rule.weights.join(" ")));
            }
            let outside = |format: &&Format| record.takes(format, to).is_err();
            if let (Scales::Epilogue, Some(format)) = (rule.scales, named.find(outside)) {
                let of = format!(
                    "`epilogue`, but `{}` has scales inside a row, or elements that `{}` lacks",
                    format.name, to.name
                );
                return wrong("scales", of);
            }
        }
        Ok(())
    }

    /// No pair stands in two of the rules for what no unit takes.
    fn rules_once(&self) -> Result<(), Error> {
        let dequantised = self.dequantised.iter().map(|rule| (&rule.weights, &rule.activations));
        let rules: Vec<_> =
            dequantised.chain(self.refused.iter().map(|rule| (&rule.weights, &rule.activations))).collect();
        for (at, one) in rules.iter().enumerate() {
            for other in &rules[at + 1..] {
                let shared = |one: &[String], other: &[String]| {
                    let both = |f: &&Format| any_matches(one, f.name) && any_matches(other, f.name);
                    Format::all().iter().find(both).map(|format| format.name)
                };
                let (weights, activations) = (shared(one.0, other.0), shared(one.1, other.1));
                if let (Some(weight), Some(activation)) = (weights, activations) {
                    return Err(self.problem(format!(
                        "`dequantised` and `refused` map `{weight}` weights by `{activation}` activations twice"
                    )));
                }
            }
        }
        Ok(())
    }
}
