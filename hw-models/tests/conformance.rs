//! `docs/conformance.md`: what every record was checked against, made by running the checks. With `INTERPLAY_UPDATE=1`
//! it is written anew; otherwise it is compared byte for byte.

use crate::support::{case, committed, oracle_path};
use crate::{mmasim, silicon};
use interplay_hw::Datapath;
use interplay_hw::datapath::{Inputs, Overflow, Proof};
use libtest_mimic::Trial;
use std::collections::BTreeMap;

pub fn trials() -> Vec<Trial> {
    vec![
        case("conformance::silicon_proofs", silicon_proofs),
        oracle_path("conformance::document", "vectors/silicon", |silicon| document(&silicon)),
    ]
}

/// The proof `silicon` is claimed where results of the machine itself were recorded, and nowhere else.
fn silicon_proofs() {
    let recorded = silicon::recorded();
    for record in Datapath::all() {
        let claimed = record.proof == Proof::Silicon;
        assert_eq!(claimed, recorded.contains(record.name), "{}: {:?}", record.name, record.proof);
    }
}

/// Rows checked against the two oracles, and those that differ.
#[derive(Clone, Copy, Default)]
struct Counts {
    silicon: usize,
    simulator: usize,
    wrong: usize,
    /// Rows where the oracle is known to be wrong.
    marked: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.silicon += other.silicon;
        self.simulator += other.simulator;
        self.wrong += other.wrong;
        self.marked += other.marked;
    }
}

fn document(silicon: &std::path::Path) {
    let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
    for outcome in silicon::all(silicon) {
        let found = Counts { silicon: outcome.rows, wrong: outcome.wrong, ..Counts::default() };
        counts.entry(outcome.record).or_default().add(found);
    }
    for outcome in mmasim::all(&silicon.with_file_name("mmasim")) {
        let (wrong, marked) = (outcome.wrong.len(), outcome.marked.len());
        let found = Counts { simulator: outcome.rows, wrong, marked, silicon: 0 };
        counts.entry(outcome.record.name).or_default().add(found);
    }
    for record in Datapath::all() {
        let simulated = counts.get(record.name).is_some_and(|counts| counts.simulator > 0);
        // The directed roundings have SoftFloat, see `softfloat`.
        let directed = ["-rz", "-rm", "-rp"].iter().any(|suffix| record.name.ends_with(suffix));
        let expected = record.proof != Proof::Silicon && (simulated || directed);
        assert_eq!(record.proof == Proof::Simulator, expected, "{}: {:?}", record.name, record.proof);
    }
    committed("../docs/conformance.md", &page(&counts));
}

/// Records of one unit that differ in their operands' formats, or in the hypothesis on their steps.
struct Family {
    unit: String,
    inputs: Vec<String>,
    accumulator: String,
    sample: &'static Datapath,
    records: usize,
    counts: Counts,
}

impl Family {
    fn holds(&self, (unit, accumulator): (&str, &str), record: &Datapath) -> bool {
        let scale = |record: &Datapath| match record.inputs {
            Inputs::Codes(codes) => codes.scale,
            _ => None,
        };
        let known = self.sample;
        let same = (known.product, known.accumulator, known.source, known.proof, scale(known))
            == (record.product, record.accumulator, record.source, record.proof, scale(record));
        let sparse = unit.ends_with("-sp-{h1,h2}");
        self.unit == unit
            && self.accumulator == accumulator
            && same
            && (sparse || (known.sum, known.order) == (record.sum, record.order))
    }

    /// `unit.{inputs}.accumulator`; of many pairs of formats only the first ones.
    fn label(&self) -> String {
        let dots = |part: &str| if part.is_empty() { String::new() } else { format!(".{part}") };
        let inputs = match &self.inputs[..] {
            [one] => one.clone(),
            few if few.len() <= 6 => format!("{{{}}}", few.join(",")),
            many => {
                let mut formats: Vec<&str> = many.iter().map(|input| first_format(input)).collect();
                formats.dedup();
                format!("{{{}}}", formats.join(","))
            }
        };
        format!("`{}{}{}`", self.unit, dots(&inputs), dots(&self.accumulator))
    }

    fn unsettled(&self) -> &'static str {
        let wraps = self.sample.sum.round.iter().any(|round| round.overflow == Overflow::Wrap);
        match self.sample.proof {
            Proof::Hypothesis if self.unit.contains("-sp-") && wraps => "no: h1 and h2 give the same bits",
            Proof::Hypothesis if self.unit.contains("-sp-") => "unsettled (h1, h2)",
            Proof::Hypothesis => "unsettled (not recorded)",
            _ => "",
        }
    }
}

/// `A` of `AxB`, with the kind before it; the whole of a name without a pair.
fn first_format(input: &str) -> &str {
    let from = match input.split_once("f4-") {
        Some((kind, _)) => kind.len() + 3,
        None if input.starts_with("mx") => input.len(),
        None => 0,
    };
    let joined = input[from..].char_indices().skip(1).find(|(_, c)| *c == 'x').map(|(at, _)| from + at);
    &input[..joined.unwrap_or(input.len())]
}

fn families(counts: &BTreeMap<&str, Counts>) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for record in Datapath::all() {
        let (unit, input, accumulator) = match &record.name.split('.').collect::<Vec<_>>()[..] {
            [arch, unit, input, accumulator] => (format!("{arch}.{unit}"), (*input).to_owned(), *accumulator),
            _ => (record.name.to_owned(), String::new(), ""),
        };
        let unit = unit.replace("-sp-h1", "-sp-{h1,h2}").replace("-sp-h2", "-sp-{h1,h2}");
        let own = counts.get(record.name).copied().unwrap_or_default();
        match families.iter_mut().find(|family| family.holds((&unit, accumulator), record)) {
            Some(family) => {
                family.records += 1;
                family.counts.add(own);
                if !family.inputs.contains(&input) {
                    family.inputs.push(input);
                }
            }
            None => {
                let (inputs, accumulator) = (vec![input], accumulator.to_owned());
                families.push(Family { unit, inputs, accumulator, sample: record, records: 1, counts: own });
            }
        }
    }
    families
}

fn page(counts: &BTreeMap<&str, Counts>) -> String {
    let families = families(counts);
    let mut total = Counts::default();
    families.iter().for_each(|family| total.add(family.counts));
    let records: usize = families.iter().map(|family| family.records).sum();
    let mut page = format!(
        "# Conformance of the datapaths

Made by `INTERPLAY_UPDATE=1 cargo test -p interplay-hw conformance`, compared byte for byte by `cargo test -p interplay-hw`
where the recorded vectors are at hand (`INTERPLAY_ORACLES`). Do not edit.

{records} records in {} families; {} results compared with recorded silicon, {} with MMA-Sim 2.1.1 (a row counts once for
each record that computes it), {} mismatches. Comparison is bit for bit; AMD's NaN payloads and signs of zeros are unspecified.

* *silicon*: MATLAB-tensor-core's recordings of V100, A100, Ada (RTX 1000), H100 and B200. *MMA-Sim*: every set of 119
  variants at its own instruction depth, specials and subnormals included.
* In {} of these rows MMA-Sim is wrong and we differ: bf8_bf8 of CDNA3, where its GTR model takes a NaN accumulator for
  zero (`oracle::mmasim::disagreement`).
* More than six inputs are listed by the format of A.
* Every record that takes codes also equals the published formulas in integers without limits (`evaluator`), and FMA
  chains equal Berkeley SoftFloat in their four roundings (`softfloat`): the proof of the directed ones.
* The committed pack `hw-models/tests/packs/conformance.txt` repeats a sample of these results without other files.
* Sparse units: `h1` fills a step with stored products, `h2` with logical positions; no recording settles which.

| records | number | source | proof | rows, silicon | rows, MMA-Sim | mismatches | unsettled |
|---|---|---|---|---|---|---|---|
",
        families.len(),
        total.silicon,
        total.simulator,
        total.wrong,
        total.marked,
    );
    for family in &families {
        let Counts { silicon, simulator, wrong, .. } = family.counts;
        let proof = serde_json::to_value(family.sample.proof).expect("a proof is a word");
        let source = family.sample.source;
        page += &format!(
            "| {} | {} | {source} | {} | {silicon} | {simulator} | {wrong} | {} |\n",
            family.label(),
            family.records,
            proof.as_str().unwrap_or_default(),
            family.unsettled(),
        );
    }
    page
}
