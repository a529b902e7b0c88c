//! Nothing in a checkpoint is left unread: a tensor that no stage asks for says that the configuration describes another model.
//!
//! Biases without a key that announces them, or more blocks than the configuration counts, would otherwise give wrong numbers in
//! silence.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Error;
use crate::burn::Stage;
use crate::models::{Checkpoint, Input, Task, Weights};
use crate::plan::glob::matches;

/// What exports store beside the parameters: masks, positions and frequencies that are computed here, and counters of training.
const COMPUTED: [&str; 5] =
    ["*.attn.bias", "*.attn.masked_bias", "*position_ids", "*.rotary_emb.inv_freq", "*.num_batches_tracked"];

/// Copies of a tied head, and heads and poolers of other uses.
const SPARE: [&str; 3] = ["lm_head.weight", "*pooler.dense.*", "cls.*"];

/// Whether a tensor is no parameter of any model, whatever its type.
pub(crate) fn is_computed(name: &str) -> bool {
    COMPUTED.iter().any(|glob| matches(glob, name))
}

/// The checkpoint that `build` makes of `weights`, found at `path`. Its last stage to be built fails if a tensor is left over.
///
/// # Errors
/// Those of `build`.
pub(super) fn complete(
    path: &Path,
    weights: Arc<dyn Weights>,
    build: impl FnOnce(Arc<dyn Weights>) -> Result<Arc<dyn Checkpoint>, Error>,
) -> Result<Arc<dyn Checkpoint>, Error> {
    let weights = Arc::new(Watched { weights, read: Mutex::default() });
    let checkpoint = build(weights.clone())?;
    Ok(Arc::new(Complete { path: path.to_owned(), checkpoint, weights, built: Mutex::default() }))
}

/// Weights that remember what was asked for.
struct Watched {
    weights: Arc<dyn Weights>,
    /// The names as [`Weights::canonical`] gives them.
    read: Mutex<BTreeSet<String>>,
}

impl Watched {
    /// The first tensor that nobody asked for and that is not spare.
    fn unread(&self) -> Option<String> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = |name: &str| is_computed(name) || SPARE.iter().any(|glob| matches(glob, name));
        self.weights.names().into_iter().find(|name| !read.contains(name) && !spare(name))
    }
}

impl Weights for Watched {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let values = self.weights.get(name, shape)?;
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(self.weights.canonical(name));
        Ok(values)
    }

    fn has(&self, name: &str) -> bool {
        self.weights.has(name)
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.weights.shape(name)
    }
}

/// A checkpoint that knows when all of its stages have been built.
struct Complete {
    path: PathBuf,
    checkpoint: Arc<dyn Checkpoint>,
    weights: Arc<Watched>,
    built: Mutex<BTreeSet<usize>>,
}

impl Checkpoint for Complete {
    fn architecture(&self) -> &str {
        self.checkpoint.architecture()
    }

    fn task(&self) -> Task {
        self.checkpoint.task()
    }

    fn input(&self) -> Input {
        self.checkpoint.input()
    }

    fn stages(&self) -> usize {
        self.checkpoint.stages()
    }

    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error> {
        let stage = self.checkpoint.stage(index)?;
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let first_time = built.insert(index);
        if first_time
            && built.len() == self.stages()
            && let Some(name) = self.weights.unread()
        {
            // A second attempt is to fail as well.
            built.remove(&index);
            return Err(Error::UnreadTensor { path: self.path.clone(), name });
        }
        Ok(stage)
    }
}
