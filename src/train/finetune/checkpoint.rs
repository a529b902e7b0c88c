//! A folder of checkpoints: a killed run goes on from the last of them with the same bits.
//!
//! `run.json` says which run the folder belongs to and which checkpoints are whole, newest first, with the sha256 of each. It is replaced
//! after a checkpoint is on the disk, so that whatever it names was whole when it was written. The last checkpoint and the one before it are
//! kept: where the last is damaged, the other serves. Another run's folder is refused and left as it is.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use crate::files;
use crate::load::SafeTensors;
use crate::load::text::{sha256, sha256_of_file};
use crate::train::Point;
use crate::train::export::HostTensor;

/// The folder's name inside the output folder.
const FOLDER: &str = ".checkpoints";
/// The file that says what is whole.
const INDEX: &str = "run.json";
/// The version of this layout.
const LAYOUT: u32 = 1;
/// Checkpoints that are kept.
const KEPT: usize = 2;

/// What `run.json` holds.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    layout: u32,
    run: Value,
    checkpoints: Vec<Entry>,
}

/// One checkpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    step: usize,
    file: String,
    sha256: String,
}

/// What the loop has gathered beside the model.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sums {
    /// The sum of the losses since the last look at the held-out data.
    pub running: f64,
    /// Steps since then.
    pub since: usize,
    /// The curve so far.
    pub curve: Vec<Point>,
}

/// The checkpoints of one run.
#[derive(Debug)]
pub(super) struct Checkpoints {
    folder: PathBuf,
    run: Value,
    kept: Vec<Entry>,
}

impl Checkpoints {
    /// Those in `out`; `run` is everything that decides the result. Nothing is written yet.
    ///
    /// # Errors
    /// The folder belongs to another run or another version's, and how they differ; it cannot be read.
    pub fn open(out: &Path, run: &Value) -> Result<Self, Error> {
        let folder = out.join(FOLDER);
        let place = folder.join(INDEX);
        let mut kept = Vec::new();
        if place.is_file() {
            let malformed = |problem| Error::Malformed { path: place.clone(), problem };
            let text = fs::read(&place).map_err(|source| Error::Io { path: place.clone(), source })?;
            let index: Value = serde_json::from_slice(&text).map_err(|e| malformed(e.to_string()))?;
            if index["layout"] != LAYOUT {
                return Err(malformed(format!(
                    "the checkpoints have layout {}, and this version reads {LAYOUT}; finish the run with the version that began it, or give another folder",
                    index["layout"]
                )));
            }
            let index: Index = serde_json::from_value(index).map_err(|e| malformed(e.to_string()))?;
            same_run(&place, &index.run, run)?;
            kept = index.checkpoints;
        }
        Ok(Self { folder, run: run.clone(), kept })
    }

    /// The newest checkpoint that is whole: its step, the loop's sums, and the file with the model's state.
    ///
    /// # Errors
    /// There are checkpoints, and none is whole.
    pub fn newest(&self) -> Result<Option<(usize, Sums, SafeTensors)>, Error> {
        let mut problem = None;
        for entry in &self.kept {
            match self.read(entry) {
                Ok((sums, file)) => return Ok(Some((entry.step, sums, file))),
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        problem.map_or(Ok(None), Err)
    }

    fn read(&self, entry: &Entry) -> Result<(Sums, SafeTensors), Error> {
        let path = self.folder.join(&entry.file);
        if sha256_of_file(&path)? != entry.sha256 {
            let problem =
                "the checkpoint is damaged: its sha256 is not the recorded one; begin anew with --restart".into();
            return Err(Error::Malformed { path, problem });
        }
        let file = SafeTensors::open(&path)?;
        Ok((Sums::read(&file)?, file))
    }

    /// Keeps the state after step `step`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keep(&mut self, step: usize, sums: &Sums, state: &[(String, HostTensor)]) -> Result<(), Error> {
        files::folder(&self.folder)?;
        let bytes = sums.write(state)?;
        let entry = Entry { step, file: format!("step-{step:08}.safetensors"), sha256: sha256(&bytes) };
        files::write(&self.folder.join(&entry.file), &bytes)?;
        let others = self.kept.iter().filter(|known| known.step != step).cloned();
        let kept: Vec<Entry> = std::iter::once(entry).chain(others).take(KEPT).collect();
        let index = Index { layout: LAYOUT, run: self.run.clone(), checkpoints: kept.clone() };
        files::write(&self.folder.join(INDEX), &crate::train::export::json_bytes(&index)?)?;
        for old in self.kept.iter().filter(|old| kept.iter().all(|entry| entry.file != old.file)) {
            // Nobody reads it again; that it stays is no reason to stop.
            drop(fs::remove_file(self.folder.join(&old.file)));
        }
        self.kept = kept;
        Ok(())
    }

    /// Steps done at the last checkpoint.
    pub fn step(&self) -> Option<usize> {
        self.kept.first().map(|entry| entry.step)
    }
}

/// Whether `out` holds checkpoints, of whatever run.
pub(super) fn are_in(out: &Path) -> bool {
    out.join(FOLDER).join(INDEX).is_file()
}

/// Removes the checkpoints in `out`, if there are any.
///
/// # Errors
/// Something cannot be removed.
pub(super) fn remove(out: &Path) -> Result<(), Error> {
    let path = out.join(FOLDER);
    match fs::remove_dir_all(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Io { path, source }),
        _ => Ok(()),
    }
}

/// Refuses the files of another run.
///
/// # Errors
/// Every value that differs.
pub(super) fn same_run(place: &Path, there: &Value, here: &Value) -> Result<(), Error> {
    let mut differences = Vec::new();
    differ("", there, here, &mut differences);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::Malformed {
        path: place.to_owned(),
        problem: format!(
            "the folder holds another run: {}; go on with its settings, give another folder, or begin anew with --restart",
            differences.join(", ")
        ),
    })
}

fn differ(name: &str, there: &Value, here: &Value, found: &mut Vec<String>) {
    if let (Value::Object(a), Value::Object(b)) = (there, here) {
        let others = b.keys().filter(|key| !a.contains_key(*key));
        for key in a.keys().chain(others) {
            let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            differ(&name, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), found);
        }
    } else if there != here {
        found.push(format!("`{name}` is {there} there and {here} here"));
    }
}

impl Sums {
    /// A safetensors file with these sums, bit for bit, and the model's state.
    fn write(&self, state: &[(String, HostTensor)]) -> Result<Vec<u8>, Error> {
        let bits = |value: f64| value.to_bits().to_le_bytes();
        let points = self
            .curve
            .iter()
            .flat_map(|point| [(point.step as u64).to_le_bytes(), bits(point.train_loss), bits(point.held_out_loss)]);
        let curve: Vec<u8> = points.flatten().collect();
        let sums = [bits(self.running), (self.since as u64).to_le_bytes()].concat();
        let floats: Vec<Vec<u8>> = state
            .iter()
            .map(|(_, (_, values))| values.iter().flat_map(|value| value.to_le_bytes()).collect())
            .collect();
        let refused = |error| Error::Invalid(format!("safetensors: {error}"));
        let mut views = vec![
            ("sums", TensorView::new(Dtype::I64, vec![2], &sums).map_err(refused)?),
            ("curve", TensorView::new(Dtype::I64, vec![self.curve.len(), 3], &curve).map_err(refused)?),
        ];
        for ((name, (shape, _)), bytes) in state.iter().zip(&floats) {
            views.push((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(refused)?));
        }
        safetensors::serialize(views, None).map_err(refused)
    }

    fn read(file: &SafeTensors) -> Result<Self, Error> {
        let malformed = || Error::Malformed { path: file.origin().to_owned(), problem: "this is no checkpoint".into() };
        let float = |bits: i64| f64::from_bits(bits.cast_unsigned());
        let count = |value: i64| usize::try_from(value).map_err(|_| malformed());
        let &[running, since] = &file.integers("sums")?[..] else { return Err(malformed()) };
        let points = file.integers("curve")?;
        let points = points.chunks_exact(3).map(|point| {
            Ok(Point { step: count(point[0])?, train_loss: float(point[1]), held_out_loss: float(point[2]) })
        });
        Ok(Self { running: float(running), since: count(since)?, curve: points.collect::<Result<_, Error>>()? })
    }

    /// Counts the loss of one step.
    pub fn add(&mut self, loss: f64) {
        self.running += loss;
        self.since += 1;
    }

    /// A look at the held-out data after step `step`.
    pub fn look(&mut self, step: usize, held_out_loss: f64) -> Point {
        let point = Point { step, train_loss: self.running / self.since.max(1) as f64, held_out_loss };
        self.curve.push(point);
        (self.running, self.since) = (0.0, 0);
        point
    }
}
