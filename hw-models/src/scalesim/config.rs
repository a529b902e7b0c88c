//! The configuration: an INI file.

use super::wrong;
use crate::{Error, cost::Dataflow, names};

/// What of a configuration has a say in the reports.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub run_name: String,
    pub rows: u64,
    pub columns: u64,
    pub dataflow: Dataflow,
    pub ifmap_kib: u64,
    pub filter_kib: u64,
    pub ofmap_kib: u64,
    /// Why SCALE-Sim's stall model has a say, where it has.
    pub stalls: Option<&'static str>,
    pub sparsity: Option<Sparsity>,
}

/// The section of that name, when support is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sparsity {
    pub representation: &'static str,
    /// "Optimized mapping": a random pattern of at most half of every block, drawn for each filter.
    pub block: Option<u64>,
}

/// Sections and keys that SCALE-Sim knows, those without any effect here included. Keys are compared in lower case.
const KNOWN: [(&str, &[&str]); 6] = [
    ("general", &["run_name"]),
    (
        "architecture_presets",
        &[
            "arrayheight",
            "arraywidth",
            "ifmapsramszkb",
            "filtersramszkb",
            "ofmapsramszkb",
            "ifmapoffset",
            "filteroffset",
            "ofmapoffset",
            "bandwidth",
            "dataflow",
            "memorybanks",
            "readrequestbuffer",
            "writerequestbuffer",
        ],
    ),
    (
        "layout",
        &[
            "ifmapcustomlayout",
            "ifmapsrambankbandwidth",
            "ifmapsrambanknum",
            "ifmapsrambankport",
            "filtercustomlayout",
            "filtersrambankbandwidth",
            "filtersrambanknum",
            "filtersrambankport",
        ],
    ),
    (
        "sparsity",
        &["sparsitysupport", "sparserep", "optimizedmapping", "blocksize", "nonzeroelems", "randomnumbergeneratorseed"],
    ),
    ("run_presets", &["interfacebandwidth", "useramulatortrace"]),
    ("network_presets", &["topologycsvloc"]),
];

const REPRESENTATIONS: [&str; 3] = ["csr", "csc", "ellpack_block"];

/// Largest size of a buffer, which keeps counts of its lines far from overflow.
const MAX_KIB: u64 = 1 << 40;

/// One `key = value`.
struct Entry<'a> {
    line: usize,
    section: &'static str,
    key: &'static str,
    value: &'a str,
}

/// All of them.
struct Entries<'a>(Vec<Entry<'a>>);

impl Config {
    /// The configuration, and notes on keys that nobody knows.
    ///
    /// Where nothing is said: `run_name` is `scale_run`, bandwidth is computed (`CALC`), sparsity and custom layouts are
    /// off.
    pub fn read(text: &str) -> Result<(Self, Vec<String>), Error> {
        let (entries, notes) = Entries::read(text)?;
        let architecture = "architecture_presets";
        let dataflow = entries.required(architecture, "dataflow")?;
        let kinds =
            [("os", Dataflow::OutputStationary), ("ws", Dataflow::WeightStationary), ("is", Dataflow::InputStationary)];
        let (rows, columns) = (entries.size(architecture, "arrayheight")?, entries.size(architecture, "arraywidth")?);
        let config = Self {
            run_name: entries.get("general", "run_name").map_or("scale_run", |entry| entry.value).to_owned(),
            rows,
            columns,
            dataflow: dataflow.choice(&kinds)?,
            ifmap_kib: entries.size(architecture, "ifmapsramszkb")?,
            filter_kib: entries.size(architecture, "filtersramszkb")?,
            ofmap_kib: entries.size(architecture, "ofmapsramszkb")?,
            stalls: entries.stalls()?,
            sparsity: entries.sparsity(rows)?,
        };
        Ok((config, notes))
    }
}

impl<'a> Entries<'a> {
    fn read(text: &'a str) -> Result<(Self, Vec<String>), Error> {
        let (mut entries, mut notes) = (Self(Vec::new()), Vec::new());
        let mut section: Option<&'static (&str, &[&str])> = None;
        for (index, text) in text.lines().enumerate() {
            let (line, text) = (Some(index + 1), text.trim().trim_start_matches('\u{feff}'));
            if text.is_empty() || text.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = Some(found("section", name, &KNOWN.each_ref().map(|known| (known.0, known)), line)?);
                continue;
            }
            let Some((name, keys)) = section else {
                return Err(wrong("config", line, "a key before the first [section]"));
            };
            let Some((key, value)) = text.split_once(['=', ':']) else {
                return Err(wrong("config", line, format!("`{text}` is neither `key = value` nor `[section]`")));
            };
            let known: Vec<_> = keys.iter().map(|key| (*key, *key)).collect();
            match names::find("key", key, &known) {
                Ok(key) => entries.add(Entry { line: index + 1, section: name, key, value: value.trim() })?,
                Err(Error::UnknownName { nearest: None, .. }) => {
                    notes.push(format!("line {}: `{}` of [{name}] is unknown and ignored", index + 1, key.trim()));
                }
                Err(misspelt) => return Err(wrong("config", line, misspelt.to_string())),
            }
        }
        Ok((entries, notes))
    }

    fn add(&mut self, entry: Entry<'a>) -> Result<(), Error> {
        if let Some(first) = self.get(entry.section, entry.key) {
            let problem = format!("`{}` was given in line {} already", entry.key, first.line);
            return Err(wrong("config", Some(entry.line), problem));
        }
        self.0.push(entry);
        Ok(())
    }

    fn get(&self, section: &str, key: &str) -> Option<&Entry<'a>> {
        self.0.iter().find(|entry| entry.section == section && entry.key == key)
    }

    fn required(&self, section: &str, key: &str) -> Result<&Entry<'a>, Error> {
        let missing = || wrong("config", None, format!("`{key}` is missing in [{section}]"));
        self.get(section, key).ok_or_else(missing)
    }

    fn size(&self, section: &str, key: &str) -> Result<u64, Error> {
        self.required(section, key)?.size()
    }

    fn flag(&self, section: &str, key: &str) -> Result<bool, Error> {
        let kinds = [("true", true), ("false", false), ("yes", true), ("no", false), ("on", true), ("off", false)];
        self.get(section, key).map_or(Ok(false), |entry| entry.choice(&kinds))
    }

    /// What brings SCALE-Sim's stall model into a run.
    fn stalls(&self) -> Result<Option<&'static str>, Error> {
        let user = "InterfaceBandwidth = USER: its stalls follow from defects, not from bandwidth; CALC has none";
        let user = match self.get("run_presets", "interfacebandwidth") {
            Some(entry) => entry.choice(&[("calc", None), ("user", Some(user))])?,
            None => None,
        };
        if user.is_some() {
            return Ok(user);
        }
        if self.flag("run_presets", "useramulatortrace")? {
            return Ok(Some("UseRamulatorTrace: latencies come from a file that is not read here"));
        }
        let custom = self.flag("layout", "ifmapcustomlayout")? || self.flag("layout", "filtercustomlayout")?;
        Ok(custom.then_some("custom layouts: bank conflicts are not modelled here"))
    }

    fn sparsity(&self, rows: u64) -> Result<Option<Sparsity>, Error> {
        if !self.flag("sparsity", "sparsitysupport")? {
            return Ok(None);
        }
        let representation =
            self.required("sparsity", "sparserep")?.choice(&REPRESENTATIONS.map(|name| (name, name)))?;
        let block = match self.flag("sparsity", "optimizedmapping")? {
            false => None,
            true => {
                let entry = self.required("sparsity", "blocksize")?;
                let block = entry.size()?;
                if block > rows || block % 2 != 0 {
                    return Err(entry.refused("an even number, at most the rows of the array"));
                }
                Some(block)
            }
        };
        Ok(Some(Sparsity { representation, block }))
    }
}

impl Entry<'_> {
    fn refused(&self, allowed: &str) -> Error {
        wrong("config", Some(self.line), format!("`{}` is `{}`; it must be {allowed}", self.key, self.value))
    }

    fn size(&self) -> Result<u64, Error> {
        let size = self.value.parse().ok().filter(|size| (1..=MAX_KIB).contains(size));
        size.ok_or_else(|| self.refused("a whole number from 1 to 2^40"))
    }

    fn choice<T: Copy>(&self, known: &[(&'static str, T)]) -> Result<T, Error> {
        found(self.key, self.value, known, Some(self.line))
    }
}

/// The choice of that name, in any case.
fn found<T: Copy>(
    kind: &'static str,
    given: &str,
    known: &[(&'static str, T)],
    line: Option<usize>,
) -> Result<T, Error> {
    names::find(kind, given, known).map_err(|error| wrong("config", line, error.to_string()))
}
