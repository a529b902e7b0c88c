//! What can go wrong on the way to a device.

/// Why a kernel cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A unit that no kernel covers.
    #[error("`{datapath}` runs on the CPU only: no kernel has {part}; choose another datapath, or the CPU backend")]
    CpuOnly {
        /// The unit.
        datapath: String,
        /// The part of its record that decides.
        part: String,
    },
}
