//! The one error type of this crate.

use std::path::PathBuf;

/// What went wrong: what was given, what is allowed, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor that the architecture needs is not in the checkpoint.
    #[error("the checkpoint has no tensor `{name}`{}; check that config.json describes this checkpoint", nearest(.near))]
    MissingTensor {
        /// The name that was looked up.
        name: String,
        /// The nearest name that the checkpoint has.
        near: Option<String>,
    },
    /// A tensor of the checkpoint that no part of the model reads.
    #[error(
        "{path}: the checkpoint has tensor `{name}`, which this configuration does not use; check that it describes this \
         checkpoint (architecture, number of blocks, biases, variants)",
        path = .path.display()
    )]
    UnreadTensor {
        /// The configuration.
        path: PathBuf,
        /// The tensor's name.
        name: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("tensor `{name}` has shape {given:?}, but the configuration asks for {expected:?}")]
    Shape {
        /// The tensor's name.
        name: String,
        /// The shape found.
        given: Vec<usize>,
        /// The shape the configuration implies.
        expected: Vec<usize>,
    },
    /// A file could not be read, made or removed.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {path}: {source}", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A file is there but is not what its name says.
    #[error("{path}: {problem}", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A rule for layers that the model does not have.
    #[error("no layer of this model matches `{glob}`{}; `*` stands for any characters", nearest(.near))]
    UnknownLayer {
        /// The glob.
        glob: String,
        /// The nearest layer name.
        near: Option<String>,
    },
    /// A layer could not be stored or multiplied as configured.
    #[error("layer `{layer}`: {source}")]
    Layer {
        /// The layer's name.
        layer: String,
        /// What went wrong there.
        source: Box<Error>,
    },
    /// A quantised tensor of Burn that no format here describes, or the other way round.
    #[error("{given}: {problem}")]
    Scheme {
        /// The scheme or the format.
        given: String,
        /// Why not, and what would do.
        problem: &'static str,
    },
    /// Another number of parts of a quantised tensor than its scheme and shape imply.
    #[error("{given} {what} given, but the scheme and the shape ask for {allowed}; check both")]
    Length {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        given: usize,
        /// How many there must be.
        allowed: usize,
    },
    /// The formats crate refused.
    #[error(transparent)]
    Format(#[from] interplay_formats::Error),
    /// The compression crate refused.
    #[error(transparent)]
    Compress(#[from] interplay_compress::Error),
    /// The hardware crate refused.
    #[error(transparent)]
    Hardware(#[from] interplay_hw::Error),
    /// The GPU, or its kernels, refused.
    #[cfg(feature = "wgpu")]
    #[error(transparent)]
    Gpu(#[from] interplay_gpu::Error),
    /// An input or an option outside of what is allowed.
    #[error("{0}")]
    Invalid(String),
}

/// ", did you mean `x`?" where a near name is known.
fn nearest(near: &Option<String>) -> String {
    near.as_ref().map_or_else(String::new, |n| format!("; the nearest name it has is `{n}`"))
}
