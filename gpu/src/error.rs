//! What can go wrong on the way to a device and on it.

/// An error of this crate.
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
    /// A format that no kernel covers.
    #[error(
        "the format `{format}` runs on the CPU only: no kernel has {part}; choose another format, or the CPU backend"
    )]
    FormatOnCpu {
        /// The format.
        format: String,
        /// The part of its record that decides.
        part: String,
    },
    /// Nothing to run kernels on.
    #[error(
        "no GPU was found: wgpu sees no Vulkan, Metal or DirectX 12 device; install a driver (without a GPU: Debian's \
         `mesa-vulkan-drivers`), or choose the CPU backend"
    )]
    NoDevice,
    /// A device that is not there.
    #[error("there is no GPU `{given}`; there are: {known}")]
    UnknownDevice {
        /// The index or name given.
        given: String,
        /// The devices, with their indices.
        known: String,
    },
    /// A device that could not be opened.
    #[error("the GPU `{device}` cannot be opened: {reason}")]
    Open {
        /// The device.
        device: String,
        /// What the driver said.
        reason: String,
    },
    /// A device without something that the kernels need.
    #[error("the GPU `{device}` has {has} {feature}; the kernels need {needs}: choose another one, or the CPU backend")]
    Feature {
        /// The device.
        device: String,
        /// What is missing or too little.
        feature: &'static str,
        /// How much of it there is.
        has: u64,
        /// How much is needed.
        needs: u64,
    },
    /// A buffer that no device memory holds.
    #[error(
        "{what} takes {needs} bytes; the GPU `{device}` has buffers of {has} at most: give fewer rows at once, or choose \
         the CPU backend"
    )]
    Memory {
        /// The device.
        device: String,
        /// What was to be stored.
        what: &'static str,
        /// Its size in bytes.
        needs: u64,
        /// The largest buffer in bytes.
        has: u64,
    },
    /// The device is gone: reset by its driver, hung, or taken away. Nothing on it can be read any more.
    #[error("the GPU `{device}` was lost: {reason}; start again, on the CPU backend if it happens again")]
    Lost {
        /// The device.
        device: String,
        /// What the driver said.
        reason: String,
    },
    /// The driver refused a kernel or a copy.
    #[error("the GPU `{device}` failed: {reason}")]
    Device {
        /// The device.
        device: String,
        /// What the driver said.
        reason: String,
    },
    /// A value that a format has no code for.
    #[error("layer `{layer}`: a value that is not finite came to a format without it; the backend `flex` says which")]
    NotFinite {
        /// The layer.
        layer: String,
    },
    /// An element that the unit's input format does not have.
    #[error(
        "layer `{layer}`: the {side} have an element that the unit's input format does not have; quantise them to it"
    )]
    NotRepresentable {
        /// The layer.
        layer: String,
        /// `activations` or `weights`.
        side: &'static str,
    },
    /// An operand in another format than the kernel was made for, or of another shape than it says.
    #[error("{side} is {given}, not {wanted}")]
    Operand {
        /// `x` or `w`.
        side: &'static str,
        /// What it is.
        given: String,
        /// What the product takes.
        wanted: String,
    },
    /// What the unit itself refuses, in the words of the CPU.
    #[error("{0}")]
    Refused(String),
}
