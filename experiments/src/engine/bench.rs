//! What the cells of a study share: models with their data, machines, the FP32 results; and the workers that measure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use interplay::burn::Backend;
use interplay::plan::{LayerConfig, Plan, Preset};
use interplay::session::Session;
use interplay_formats::{Format, Order, Pattern};
use interplay_hw::Datapath;
use interplay_hw::cost::Pair;

use super::key::{Key, digest_of};
use super::spec::Spec;
use crate::cell::{Baseline, Labels, Machine, evaluate};
use crate::commands::cost::MachineNames;
use crate::commands::define;
use crate::subject::{Amount, Data, Subject};

/// What all cells of a study share.
pub struct Bench {
    /// The study.
    pub spec: Spec,
    /// The models with their data, in the order of the study's file.
    pub subjects: Vec<Subject>,
    /// The machines, in the order of the study's file.
    pub machines: Vec<Machine>,
    /// Where models run.
    pub backend: Backend,
    baselines: Vec<Mutex<Option<Arc<Baseline>>>>,
}

impl Bench {
    /// Opens the models, the data and the machines of a study.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub fn open(spec: Spec, backend: Backend) -> Result<Self> {
        let subjects = spec.models.iter().map(|model| {
            let data = spec.data.get(model).map(String::as_str);
            Subject::open(model, data, amount(&spec)).with_context(|| format!("cannot study `{model}`"))
        });
        let subjects = subjects.collect::<Result<Vec<_>>>()?;
        let machines = spec
            .accelerators
            .iter()
            .map(|name| MachineNames::new(name, &spec.prices, spec.cycle_model.as_deref()).machine());
        let machines = machines.collect::<Result<Vec<_>>>()?;
        let baselines = subjects.iter().map(|_| Mutex::new(None)).collect();
        Ok(Self { spec, subjects, machines, backend, baselines })
    }

    /// The formats of the study.
    ///
    /// # Errors
    /// An unknown name, or none at all.
    pub fn formats(&self) -> Result<Vec<&'static Format>> {
        self.spec.needs("formats", &self.spec.formats)?;
        self.spec.formats.iter().map(|name| Ok(Format::by_name(name)?)).collect()
    }

    /// The patterns of the study.
    ///
    /// # Errors
    /// One that is malformed, or none at all.
    pub fn patterns(&self) -> Result<Vec<Pattern>> {
        self.spec.needs("sparsity", &self.spec.sparsity)?;
        self.spec.sparsity.iter().map(|name| Ok(name.parse::<Pattern>()?)).collect()
    }

    /// The orders of the study.
    ///
    /// # Errors
    /// Another word than `sq` or `qs`, or none at all.
    pub fn orders(&self) -> Result<Vec<Order>> {
        self.spec.needs("orders", &self.spec.orders)?;
        let orders: Vec<Order> = self.spec.orders.iter().map(|name| Ok(name.parse()?)).collect::<Result<_>>()?;
        ensure!(!orders.contains(&Order::None), "`orders`: give `sq`, `qs` or both; what has no order comes of itself");
        Ok(orders)
    }

    /// The formats and patterns of a study that compares orders.
    ///
    /// # Errors
    /// Those of [`Bench::formats`] and [`Bench::patterns`]; a format that rounds nothing or a pattern that prunes nothing has no order.
    pub fn ordered(&self) -> Result<(Vec<&'static Format>, Vec<Pattern>)> {
        let (formats, patterns) = (self.formats()?, self.patterns()?);
        ensure!(
            formats.iter().all(|format| !format.is_exact()) && !patterns.contains(&Pattern::Dense),
            "this study compares orders: give formats that round and patterns that prune"
        );
        Ok((formats, patterns))
    }

    /// Which layers are compressed.
    ///
    /// # Errors
    /// An unknown name.
    pub fn preset(&self) -> Result<Preset> {
        Ok(Preset::by_name(&self.spec.preset)?)
    }

    /// The subject of that model, with its place.
    ///
    /// # Errors
    /// The model is none of the study's.
    pub fn subject(&self, model: &str) -> Result<(usize, &Subject)> {
        let found = self.subjects.iter().enumerate().find(|(_, s)| s.model_name == model);
        found.with_context(|| format!("`{model}` is none of the study's models"))
    }

    /// The machine of that name, as the study's file has it.
    ///
    /// # Errors
    /// It is none of the study's.
    pub fn machine(&self, name: &str) -> Result<&Machine> {
        let place = self.spec.accelerators.iter().position(|known| known == name);
        place
            .and_then(|i| self.machines.get(i))
            .with_context(|| format!("`{name}` is none of the study's accelerators"))
    }

    /// A plan on the study's first machine; on the default one where the study names none.
    pub fn on_first(&self, plan: Plan) -> Plan {
        match self.machines.first() {
            Some(machine) => plan.on(Arc::clone(&machine.accelerator)),
            None => plan,
        }
    }

    /// A key with what a model and its data decide.
    pub fn key_of(&self, subject: &Subject) -> Key {
        let checksums = subject.checksums.iter().map(|(name, sum)| format!("{name} {sum}"));
        Key::new(&self.spec.study)
            .with("model", subject.model_name.as_str())
            .with("data", subject.data_name.as_str())
            .with("inputs", digest_of(checksums))
            .with("window", subject.window())
            .with("windows", subject.inputs())
            .with("preset", self.spec.preset.as_str())
            .with("backend", self.backend.name())
            .with("host", self.backend.host().name())
    }

    /// The same with the machines on which cells are costed, by what their records say.
    pub fn with_machines(&self, key: Key) -> Key {
        let records = self.machines.iter().zip(&self.spec.accelerators).flat_map(|(m, name)| {
            let record = (&*m.accelerator, m.cycle_model.name, &*m.prices);
            let units = m.accelerator.units.iter().filter_map(|unit| declared(&unit.datapath));
            // A machine of the user's is named in results as its file is.
            let file = Some(name.clone()).filter(|name| *name != m.accelerator.name);
            std::iter::once(serde_json::to_string(&record).unwrap_or_default()).chain(units).chain(file)
        });
        key.with("machines", digest_of(records))
    }

    /// The result of the dense FP32 model, measured once.
    ///
    /// # Errors
    /// The model cannot run.
    pub fn baseline(&self, place: usize, session: &mut Session) -> Result<Arc<Baseline>> {
        let mut kept = self.baselines[place].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(baseline) = &*kept {
            return Ok(Arc::clone(baseline));
        }
        session.set_plan(Plan::fp32())?;
        let baseline = Arc::new(evaluate(&self.subjects[place], session, None)?.into_baseline());
        *kept = Some(Arc::clone(&baseline));
        Ok(baseline)
    }
}

/// How much of its data a model is given.
fn amount(spec: &Spec) -> Amount {
    Amount { window: spec.window, windows: spec.windows, images: spec.images, ..Amount::default() }
}

/// One configuration of all layers of a preset, by the names of a key.
#[derive(Debug, Clone)]
pub struct Point {
    /// The format of weights and activations.
    pub format: &'static Format,
    /// The pattern of the weights.
    pub pattern: Pattern,
    /// The order of pruning and rounding.
    pub order: Order,
    /// The unit; none is the formats' natural one.
    pub datapath: Option<&'static Datapath>,
}

impl Point {
    /// The point that a key's fields `format`, `sparsity`, `order` and `datapath` name.
    ///
    /// # Errors
    /// One is missing or unknown.
    pub fn of(key: &Key) -> Result<Self> {
        Ok(Self {
            format: Format::by_name(key.text("format")?)?,
            pattern: key.text("sparsity")?.parse()?,
            order: key.text("order")?.parse()?,
            datapath: unit(key.text("datapath").unwrap_or("auto"))?,
        })
    }

    /// A key with this point's names.
    pub fn name(&self, key: Key, datapath: &str) -> Key {
        let key = key.with("format", self.format.name).with("sparsity", self.pattern.to_string());
        let records = [format!("{:?}", self.format), format!("{:?}", self.datapath)].into_iter();
        let records = records.chain(activations(self.format));
        key.with("order", self.order.to_string()).with("datapath", datapath).with("records", digest_of(records))
    }

    /// The names that results carry.
    pub fn labels(&self) -> Labels {
        Labels {
            format: self.format.name.to_owned(),
            sparsity: self.pattern.to_string(),
            order: self.order.to_string(),
        }
    }

    /// What the choice of a unit depends on, for sums of whole groups and blocks.
    pub fn pair(&self) -> Pair {
        Pair { datapath: self.datapath, ..Pair::of(self.format, self.format.for_activations(), self.pattern) }
    }

    /// The configuration of a layer.
    ///
    /// # Errors
    /// Both pruning and rounding without an order.
    pub fn config(&self) -> Result<LayerConfig> {
        Ok(LayerConfig { datapath: self.datapath, ..LayerConfig::new(self.format, self.pattern, self.order)? })
    }
}

/// The record of a unit that the user declared; none of a unit of this version's catalogue.
fn declared(name: &str) -> Option<String> {
    let known = Datapath::all().iter().any(|unit| unit.name == name);
    Datapath::by_name(name).ok().filter(|_| !known).map(|unit| format!("{unit:?}"))
}

/// The record of what a format does to activations, where that is another one.
pub fn activations(format: &'static Format) -> Option<String> {
    let own = format.for_activations();
    (own.name != format.name && !Format::all().iter().any(|known| known.name == own.name)).then(|| format!("{own:?}"))
}

/// The unit of that name or file; none for `auto`.
///
/// # Errors
/// An unknown name, or a file that declares none.
pub fn unit(name: &str) -> Result<Option<&'static Datapath>> {
    if name.trim().eq_ignore_ascii_case("auto") { Ok(None) } else { Ok(Some(define::datapath(name)?)) }
}

/// The points of a grid, patterns outermost: what has nothing to round or nothing to prune has no order and comes once.
pub fn points(formats: &[&'static Format], patterns: &[Pattern], orders: &[Order]) -> Vec<Point> {
    let mut points = Vec::new();
    for &pattern in patterns {
        for &format in formats {
            let both = pattern != Pattern::Dense && !format.is_exact();
            let orders = if both { orders } else { &[Order::None] };
            points.extend(orders.iter().map(|&order| Point { format, pattern, order, datapath: None }));
        }
    }
    points
}

/// One who measures cells, with sessions of its own.
pub struct Worker<'a> {
    /// What it shares with the others.
    pub bench: &'a Bench,
    sessions: BTreeMap<(usize, &'static str), Session>,
}

impl<'a> Worker<'a> {
    /// A worker without sessions.
    pub fn new(bench: &'a Bench) -> Self {
        Self { bench, sessions: BTreeMap::new() }
    }

    /// The session `role` of a model, which keeps its plan from one cell to the next.
    ///
    /// # Errors
    /// The model cannot be built.
    pub fn session(&mut self, place: usize, role: &'static str) -> Result<&mut Session> {
        if !self.sessions.contains_key(&(place, role)) {
            let checkpoint = Arc::clone(&self.bench.subjects[place].model.checkpoint);
            let session = Session::on(self.bench.backend, checkpoint, Plan::fp32())?;
            self.sessions.insert((place, role), session);
        }
        self.sessions.get_mut(&(place, role)).context("a session that was just made is there")
    }

    /// Two sessions of a model at once, as [`Worker::session`] gives one.
    ///
    /// # Errors
    /// The model cannot be built, or both roles are one.
    pub fn sessions(&mut self, place: usize, roles: [&'static str; 2]) -> Result<[&mut Session; 2]> {
        for role in roles {
            self.session(place, role)?;
        }
        let mut found = roles.map(|_| None);
        for (key, session) in &mut self.sessions {
            if let Some(i) = roles.iter().position(|role| *key == (place, role)) {
                found[i] = Some(session);
            }
        }
        match found {
            [Some(one), Some(other)] => Ok([one, other]),
            _ => bail!("the roles {roles:?} are not two"),
        }
    }

    /// The result of the dense FP32 model.
    ///
    /// # Errors
    /// It cannot run.
    pub fn baseline(&mut self, place: usize) -> Result<Arc<Baseline>> {
        let bench = self.bench;
        bench.baseline(place, self.session(place, "cell")?)
    }
}

/// Windows or images, for the time that a cell takes.
pub fn inputs(subject: &Subject) -> u64 {
    match &subject.data {
        Data::Windows(windows) => windows.len() as u64,
        Data::Images { labels, .. } => labels.len() as u64,
        Data::Pairs { pairs, .. } => pairs.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cells_with_something_to_order_come_twice() {
        let formats = ["fp32", "int8", "hbfp4"].map(|n| Format::by_name(n).unwrap());
        let patterns = ["dense", "2:4"].map(|n| n.parse().unwrap());
        let points = points(&formats, &patterns, &[Order::Sq, Order::Qs]);
        let orders: Vec<String> = points.iter().map(|p| p.order.to_string()).collect();
        assert_eq!(orders, ["none", "none", "none", "none", "sq", "qs", "sq", "qs"]);
    }
}
