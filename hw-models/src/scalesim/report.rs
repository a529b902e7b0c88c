//! The four reports: their columns in SCALE-Sim's words, one layer a row.

use super::{
    cell::Cell,
    config::Config,
    memory::Transfer,
    topology::{Input, Layer},
};
use crate::{
    Error, Ratio,
    cost::{Accesses, CycleModel, Dataflow, Engine, Job},
};
use serde::{Serialize, Serializer};

/// Largest count of a layer: sums of a few of them fit 64 bits, products with the elements of an array 128.
const MAX_COUNT: u64 = 1 << 61;

/// What the reports say of one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// Its place in the topology, from 0.
    pub id: usize,
    /// Its name there.
    pub name: String,
    /// Rows of the product that it is.
    pub m: u64,
    /// Length of the reduction, pruned positions included.
    pub k: u64,
    /// Columns.
    pub n: u64,
    /// Index of the last cycle where memory never makes the array wait.
    pub stall_free_cycles: u64,
    /// COMPUTE_REPORT.csv.
    pub compute: Report,
    /// BANDWIDTH_REPORT.csv.
    pub bandwidth: Report,
    /// DETAILED_ACCESS_REPORT.csv.
    pub detail: Report,
    /// SPARSE_REPORT.csv.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparse: Option<Report>,
    /// Why some of it is `n/a`.
    pub unknown: Vec<String>,
}

/// A row: columns and what stands in them.
#[derive(Clone, Debug, PartialEq)]
pub struct Report(pub Vec<(&'static str, Cell)>);

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(column, cell)| (column, cell)))
    }
}

/// All files that there are. Rows end in a comma, as SCALE-Sim's do.
pub(super) fn files(layers: &[LayerReport]) -> Vec<(&'static str, String)> {
    type Pick = fn(&LayerReport) -> Option<&Report>;
    let kinds: [(&str, Pick, &str); 4] = [
        ("COMPUTE_REPORT.csv", |layer| Some(&layer.compute), ",\n"),
        ("BANDWIDTH_REPORT.csv", |layer| Some(&layer.bandwidth), ",\n"),
        ("DETAILED_ACCESS_REPORT.csv", |layer| Some(&layer.detail), ",\n"),
        ("SPARSE_REPORT.csv", |layer| layer.sparse.as_ref(), ", \n"),
    ];
    let file = |(name, pick, end): (&'static str, Pick, &str)| {
        let columns: Vec<&str> = pick(layers.first()?)?.0.iter().map(|(column, _)| *column).collect();
        let mut text = format!("LayerID, {}{end}", columns.join(", "));
        for layer in layers {
            let cells: Vec<String> = pick(layer)?.0.iter().map(|(_, cell)| cell.to_string()).collect();
            text += &format!("{}, {},\n", layer.id, cells.join(", "));
        }
        Some((name, text))
    };
    kinds.into_iter().filter_map(file).collect()
}

/// One layer on one array.
pub(super) fn layer(id: usize, layer: &Layer, config: &Config) -> Result<LayerReport, Error> {
    let run = Run::new(layer, config)?;
    let mut unknown = Vec::new();
    let figures = run.figures(&mut unknown);
    Ok(LayerReport {
        id,
        name: layer.name.clone(),
        m: layer.m,
        k: layer.k,
        n: layer.n,
        stall_free_cycles: run.last,
        compute: figures.compute(),
        bandwidth: figures.bandwidth(),
        detail: figures.detail(),
        sparse: run.sparse(&figures),
        unknown,
    })
}

/// A layer laid over the array.
struct Run<'a> {
    layer: &'a Layer,
    config: &'a Config,
    /// Stored positions of K.
    kept: u64,
    /// Index of the last cycle.
    last: u64,
    counts: Accesses,
    /// Along the rows, along the columns, in time.
    mapped: [u64; 3],
    folds: u64,
    /// Cycles of one fold.
    fold: u64,
}

/// First and last cycle, reads or writes: of a buffer or of main memory.
#[derive(Clone)]
struct Span([Cell; 3]);

/// Everything that more than one report needs.
struct Figures {
    prefetch: Cell,
    last: Cell,
    stalls: Cell,
    overall: Cell,
    mapping: Cell,
    compute: Cell,
    /// Activations, weights, outputs: at the buffer, then at main memory.
    spans: [Span; 6],
    averages: [Cell; 6],
    metadata: Option<Cell>,
}

impl<'a> Run<'a> {
    fn new(layer: &'a Layer, config: &'a Config) -> Result<Self, Error> {
        let &Config { rows, columns, dataflow, .. } = config;
        let (k, skip) = match config.sparsity {
            None => (layer.k, None),
            Some(sparsity) => match sparsity.block {
                None => (layer.k, Some(layer.ratio)),
                Some(_) if dataflow != Dataflow::WeightStationary => {
                    let problem = "OptimizedMapping is defined for Dataflow = ws only";
                    return Err(super::wrong("config", None, problem));
                }
                // Whole pairs of blocks, of which one half is stored whatever is drawn.
                Some(block) => (layer.k.checked_next_multiple_of(2 * block).ok_or_else(|| too_large(layer))?, None),
            },
        };
        let halved = config.sparsity.is_some_and(|sparsity| sparsity.block.is_some());
        let k = if halved { k / 2 } else { k };
        let engine = Engine::Systolic { arrays: 1, rows, columns, dataflow };
        let rate = rows.checked_mul(columns).ok_or_else(|| too_large(layer))?;
        let job = Job { m: layer.m, k, n: layer.n, engine: &engine, rate, instruction: None, skip };
        let model = CycleModel::by_name("scalesim")?;
        // Sizes were checked: only overflow is left, and here the layer has a name.
        let timed = model.time(&job).and_then(|timing| Ok((timing.compute.0, model.accesses(&job)?)));
        let (last, counts) = timed.map_err(|_| too_large(layer))?;
        let counted = [last, counts.activation_reads, counts.weight_reads, counts.partial_writes, counts.output_writes];
        if counted.into_iter().any(|count| count > MAX_COUNT) {
            return Err(too_large(layer));
        }
        let kept = skip.map_or(k, |ratio| ratio.kept(k));
        let mapped = match dataflow {
            Dataflow::OutputStationary => [layer.m, layer.n, kept],
            Dataflow::WeightStationary => [kept, layer.n, layer.m],
            Dataflow::InputStationary => [kept, layer.m, layer.n],
        };
        let folds = mapped[0].div_ceil(rows) * mapped[1].div_ceil(columns);
        Ok(Self { layer, config, kept, last, counts, mapped, folds, fold: (last + 1) / folds })
    }

    /// Why nothing but counts at the buffers is known.
    fn stalls(&self) -> Option<&'static str> {
        let tiny = "an OFMAP buffer of fewer than four rows of the array may stall it";
        let small = self.config.ofmap_kib * 256 < self.config.columns;
        self.config.stalls.or(small.then_some(tiny))
    }

    fn drawn(&self) -> bool {
        self.config.sparsity.is_some_and(|sparsity| sparsity.block.is_some())
    }

    fn figures(&self, unknown: &mut Vec<String>) -> Figures {
        let stalls = self.stalls();
        unknown.extend(stalls.map(|reason| format!("cycles, and what is divided by them: {reason}")));
        if self.drawn() {
            unknown
                .push("OptimizedMapping: IFMAP reads and all that depends on the pattern are drawn at random".into());
        }
        let known = |cell: Cell| if stalls.is_none() { cell } else { Cell::Unknown };
        let over_cycles = |count: u64| known(Cell::quotient(count.into(), self.last.into()));
        let (buffers, transfers) = (self.buffers(), self.transfers(unknown));
        let reads = if self.drawn() { Cell::Unknown } else { over_cycles(self.counts.activation_reads) };
        let written = self.written();
        let words =
            |transfer: Option<Transfer>| transfer.map_or(Cell::Unknown, |t| Cell::quotient(t.words.into(), t.cycles()));
        let [activations, weights, outputs] = transfers;
        let prefetch = activations.zip(weights).zip(outputs);
        let prefetch = prefetch.map(|((a, w), o)| o.stop.abs_diff(a.start.min(w.start)));
        let busy = self.mapped.iter().map(|size| u128::from(*size));
        let elements = u128::from(self.config.rows) * u128::from(self.config.columns);
        // Columns are counted twice in a fold of the other two.
        let again = if self.config.dataflow == Dataflow::OutputStationary { 0 } else { self.config.columns - 1 };
        let macs = [self.layer.m, self.layer.n, self.layer.k].into_iter().map(u128::from);
        let mapping = Cell::percent(busy.clone().take(2).product(), elements * u128::from(self.folds));
        let compute = Cell::percent(busy.product(), elements * u128::from(self.folds) * u128::from(self.fold + again));
        let [first, second, third] = buffers;
        let [fourth, fifth, sixth] = transfers.map(Span::of);
        Figures {
            prefetch: prefetch.map_or(Cell::Unknown, Cell::Whole),
            last: known(Cell::Whole(self.last)),
            stalls: known(Cell::Whole(0)),
            overall: known(Cell::percent(macs.product(), elements * u128::from(self.last))),
            mapping: if self.drawn() { Cell::Unknown } else { mapping },
            compute,
            spans: [first, second, third, fourth, fifth, sixth],
            averages: [
                reads,
                over_cycles(self.counts.weight_reads),
                over_cycles(written),
                words(activations),
                words(weights),
                words(outputs),
            ],
            metadata: self.metadata().map(|words| match known(Cell::real(self.last)) {
                Cell::Real(last) if last > 0.0 => words.map_or(Cell::Unknown, |words| Cell::Real(words / last)),
                _ => Cell::Unknown,
            }),
        }
    }

    /// Writes of outputs and partial sums at the buffer.
    fn written(&self) -> u64 {
        self.counts.output_writes + self.counts.partial_writes
    }

    /// When buffers are first and last used. A read is served a cycle after its request, a write in its own.
    fn buffers(&self) -> [Span; 3] {
        let &Config { rows, columns, dataflow, .. } = self.config;
        let [along_rows, along_columns, time] = self.mapped;
        let used = |size: u64, side: u64| (size.min(side), size - (size - 1) / side * side);
        let ((first_row, last_row), (_, last_column)) = (used(along_rows, rows), used(along_columns, columns));
        let before_last = (self.folds - 1) * self.fold;
        let span = |start, stop| Some((start, before_last + stop));
        let idle = rows - first_row;
        let (activations, weights, outputs) = match dataflow {
            Dataflow::OutputStationary => (
                span(1, time + last_row - 1),
                span(1, time + last_column - 1),
                span(time - 1 + idle, time + rows + last_column - 3),
            ),
            _ => {
                let held = span(1 + idle, rows);
                let streamed = span(rows + 1, rows + time + last_row - 1);
                let written = span(2 * rows - 1, 2 * rows + time + last_column - 3);
                let inputs = dataflow == Dataflow::InputStationary;
                if inputs { (held, streamed, written) } else { (streamed, held, written) }
            }
        };
        let overhang = matches!(self.layer.input, Input::Image { overhang: true, .. });
        let known = |span: Option<(u64, u64)>| span.filter(|_| self.stalls().is_none() && !self.drawn());
        let sparse = self.config.sparsity.is_some();
        // A weight-stationary array multiplies its reads by a float.
        let reads = match self.counts.activation_reads {
            _ if self.drawn() => Cell::Unknown,
            _ if sparse && dataflow == Dataflow::WeightStationary => {
                let Ratio { n, m } = self.layer.ratio;
                let passes = self.layer.n.div_ceil(columns);
                Cell::Real((self.layer.m * self.kept * passes) as f64 * (m as f64 / n as f64))
            }
            reads => Cell::Whole(reads),
        };
        [
            Span::at_buffer(known(activations).filter(|_| !overhang), reads),
            Span::at_buffer(known(weights), Cell::Whole(self.counts.weight_reads)),
            Span::at_buffer(known(outputs), Cell::Whole(self.written())),
        ]
    }

    /// What passes to and from main memory.
    fn transfers(&self, unknown: &mut Vec<String>) -> [Option<Transfer>; 3] {
        let overhang = matches!(self.layer.input, Input::Image { overhang: true, .. });
        if overhang {
            unknown.push("IFMAP start and stop cycles where windows reach over the edge of the image".into());
        }
        if self.stalls().is_some() || self.drawn() {
            unknown.push("main memory: SCALE-Sim's prefetching decides".into());
            return [None; 3];
        }
        let config = self.config;
        let elements = match self.layer.input {
            Input::Image { touched, .. } if config.sparsity.is_none() => Some(touched),
            Input::Image { .. } => None,
            Input::Matrix => self.layer.m.checked_mul(self.kept),
        };
        let written = match config.dataflow {
            Dataflow::OutputStationary => self.layer.m * self.layer.n,
            _ => self.written(),
        };
        let transfers = [
            elements.and_then(|elements| Transfer::read(elements, config.ifmap_kib)),
            Transfer::read(self.kept * self.layer.n, config.filter_kib),
            Transfer::write(written, config.ofmap_kib, config.columns, self.last),
        ];
        if transfers.iter().any(Option::is_none) {
            unknown
                .push("main memory where an operand exceeds half its buffer: SCALE-Sim's prefetching decides".into());
        }
        transfers
    }

    /// Words of metadata, when sparsity is on: how many there are, where no drawing decides.
    fn metadata(&self) -> Option<Option<f64>> {
        let sparsity = self.config.sparsity?;
        let stored = u128::from(self.kept) * u128::from(self.layer.n);
        let bits = f64::from(64 - (self.layer.ratio.m - 1).leading_zeros());
        Some(match sparsity.representation {
            "ellpack_block" => Some(stored as f64 * bits / 32.0),
            _ if self.drawn() => None,
            "csr" => Some((stored + u128::from(self.layer.k) + 1) as f64),
            _ => Some((stored + u128::from(self.layer.n) + 1) as f64),
        })
    }

    fn sparse(&self, figures: &Figures) -> Option<Report> {
        let representation = self.config.sparsity?.representation;
        let metadata = self.metadata()?;
        let stored = (u128::from(self.kept) * u128::from(self.layer.n)) as f64;
        // Only the bits of ellpack make a word that is not whole.
        let cell = |words: Option<f64>| match words {
            None => Cell::Unknown,
            Some(words) if representation == "ellpack_block" => Cell::Real(words),
            Some(words) => Cell::Whole(words as u64),
        };
        let original = u128::from(self.layer.k) * u128::from(self.layer.n);
        Some(Report(vec![
            ("Sparsity Representation", Cell::Text(representation)),
            ("Original Filter Storage", u64::try_from(original).map_or(Cell::Unknown, Cell::Whole)),
            ("New Storage (Filter+Metadata)", cell(metadata.map(|words| stored + words))),
            ("Filter Metadata Storage", cell(metadata)),
            ("Avg FILTER Metadata SRAM BW", figures.metadata.clone().unwrap_or(Cell::Unknown)),
        ]))
    }
}

impl Span {
    fn at_buffer(cycles: Option<(u64, u64)>, count: Cell) -> Self {
        let (start, stop) = cycles.map_or((Cell::Unknown, Cell::Unknown), |(a, b)| (Cell::real(a), Cell::real(b)));
        Self([start, stop, count])
    }

    fn of(transfer: Option<Transfer>) -> Self {
        let cells = |t: Transfer| [Cell::Real(t.start as f64), Cell::Real(t.stop as f64), Cell::Whole(t.words)];
        Self(transfer.map_or_else(|| [const { Cell::Unknown }; 3], cells))
    }
}

impl Figures {
    fn compute(&self) -> Report {
        let columns = [
            ("Total Cycles (incl. prefetch)", &self.prefetch),
            ("Total Cycles", &self.last),
            ("Stall Cycles", &self.stalls),
            ("Overall Util %", &self.overall),
            ("Mapping Efficiency %", &self.mapping),
            ("Compute Util %", &self.compute),
        ];
        Report(columns.map(|(column, cell)| (column, cell.clone())).to_vec())
    }

    fn bandwidth(&self) -> Report {
        let columns = [
            "Avg IFMAP SRAM BW",
            "Avg FILTER SRAM BW",
            "Avg OFMAP SRAM BW",
            "Avg IFMAP DRAM BW",
            "Avg FILTER DRAM BW",
            "Avg OFMAP DRAM BW",
        ];
        let mut row: Vec<_> = columns.into_iter().zip(self.averages.iter().cloned()).collect();
        if let Some(metadata) = &self.metadata {
            row.insert(2, ("Avg FILTER Metadata SRAM BW", metadata.clone()));
        }
        Report(row)
    }

    fn detail(&self) -> Report {
        let columns = [
            ["SRAM IFMAP Start Cycle", "SRAM IFMAP Stop Cycle", "SRAM IFMAP Reads"],
            ["SRAM Filter Start Cycle", "SRAM Filter Stop Cycle", "SRAM Filter Reads"],
            ["SRAM OFMAP Start Cycle", "SRAM OFMAP Stop Cycle", "SRAM OFMAP Writes"],
            ["DRAM IFMAP Start Cycle", "DRAM IFMAP Stop Cycle", "DRAM IFMAP Reads"],
            ["DRAM Filter Start Cycle", "DRAM Filter Stop Cycle", "DRAM Filter Reads"],
            ["DRAM OFMAP Start Cycle", "DRAM OFMAP Stop Cycle", "DRAM OFMAP Writes"],
        ];
        let cells = self.spans.iter().flat_map(|span| span.0.iter().cloned());
        Report(columns.into_iter().flatten().zip(cells).collect())
    }
}

fn too_large(layer: &Layer) -> Error {
    Error::TooLarge { layer: layer.name.clone(), quantity: "cycles and counts" }
}
