//! Opening a device: no panic where there is none, and errors that say what to do.

use crate::Error;
use cubecl::Device;
use cubecl::client::Client;
use cubecl::server::{Handle, ServerError};
use cubecl::wgpu::{AutoGraphicsApi, RuntimeOptions, WgpuDevice, WgpuDeviceKind, WgpuInitError, try_init_setup};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

/// Which device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The one that wgpu prefers, which is also Burn's default device.
    #[default]
    Default,
    /// By its place in [`Gpu::list`], counted from 0.
    Index(usize),
    /// By a part of its name, in any case.
    Name(String),
}

/// An open device.
#[derive(Clone)]
pub struct Gpu {
    device: WgpuDevice,
    client: Client,
    name: String,
}

/// Invocations of a workgroup that kernels use.
const UNITS: u64 = 256;
/// Bytes that the invocations of a workgroup share.
const SHARED: u64 = 16 << 10;
/// Buffers of one kernel.
const BUFFERS: u64 = 8;

/// Devices that were opened here: a device is set up once in a process.
static OPEN: Mutex<Vec<WgpuDevice>> = Mutex::new(Vec::new());

impl Gpu {
    /// Opens a device and checks that it has what the kernels need.
    ///
    /// # Errors
    /// [`Error::NoDevice`], [`Error::UnknownDevice`], [`Error::Open`]; [`Error::Feature`] for one that lacks something.
    pub fn open(choice: &Choice) -> Result<Self, Error> {
        let all = devices()?;
        let unknown = |given: String| {
            let known: Vec<_> = all.iter().enumerate().map(|(i, device)| format!("{i}: {device:?}")).collect();
            Error::UnknownDevice { given, known: known.join(", ") }
        };
        let gpu = match choice {
            Choice::Default => Self::of(WgpuDevice::default())?,
            Choice::Index(index) => Self::of(all.get(*index).ok_or_else(|| unknown(index.to_string()))?.clone())?,
            Choice::Name(part) => {
                let wanted = part.to_lowercase();
                let open = all.iter().filter_map(|device| Self::of(device.clone()).ok());
                let mut named = open.filter(|gpu| gpu.name.to_lowercase().contains(&wanted));
                named.next().ok_or_else(|| unknown(part.clone()))?
            }
        };
        gpu.check()?;
        Ok(gpu)
    }

    /// The names of all devices, in the order of [`Choice::Index`].
    ///
    /// # Errors
    /// [`Error::NoDevice`], [`Error::Open`].
    pub fn list() -> Result<Vec<String>, Error> {
        devices()?.into_iter().map(|device| Self::of(device).map(|gpu| gpu.name)).collect()
    }

    /// The device, set up if nobody did so before.
    fn of(device: WgpuDevice) -> Result<Self, Error> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.contains(&device) {
            let failed = |reason: String| Error::Open { device: format!("{device:?}"), reason };
            let options = RuntimeOptions::try_default().map_err(|error| failed(error.to_string()))?;
            match try_init_setup::<AutoGraphicsApi>(&device, options) {
                // Someone else, Burn for one, has set it up: the client below is theirs.
                Ok(_) | Err(WgpuInitError::Registration { .. }) => open.push(device.clone()),
                Err(error) => return Err(failed(error.to_string())),
            }
        }
        let client = Device::Wgpu(device.clone()).client();
        let name = client.properties().identity.name.clone();
        Ok(Self { device, client, name })
    }

    /// Whether the device has what kernels need.
    fn check(&self) -> Result<(), Error> {
        let hardware = &self.client.properties().hardware;
        let limits = [
            ("invocations of a workgroup", u64::from(hardware.max_units_per_cube), UNITS),
            ("bytes of workgroup memory", hardware.max_shared_memory_size as u64, SHARED),
            ("storage buffers of a kernel", u64::from(hardware.max_bindings), BUFFERS),
        ];
        match limits.into_iter().find(|(_, has, needs)| has < needs) {
            Some((feature, has, needs)) => Err(Error::Feature { device: self.name.clone(), feature, has, needs }),
            None => Ok(()),
        }
    }

    /// The device, as Burn's backend for wgpu takes it.
    pub fn device(&self) -> &WgpuDevice {
        &self.device
    }

    /// What launches kernels.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The adapter's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a buffer of so many 32-bit words fits.
    ///
    /// # Errors
    /// [`Error::Memory`], `what` in words of the user.
    pub fn check_size(&self, what: &'static str, words: u64) -> Result<(), Error> {
        check_size(&self.client, what, words)
    }

    /// The words of a buffer, after all that was launched before.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Device`].
    pub fn read(&self, handle: Handle) -> Result<Vec<u32>, Error> {
        read(&self.client, handle)
    }
}

/// As [`Gpu::check_size`].
pub(crate) fn check_size(client: &Client, what: &'static str, words: u64) -> Result<(), Error> {
    let properties = client.properties();
    let (needs, has) = (words.saturating_mul(4), properties.memory.max_page_size);
    // Positions are counted in 32 bits.
    let has = has.min(u64::from(u32::MAX));
    if needs <= has {
        Ok(())
    } else {
        Err(Error::Memory { device: properties.identity.name.clone(), what, needs, has })
    }
}

/// As [`Gpu::read`], for those who have only the client.
///
/// # Errors
/// [`Error::Lost`], [`Error::Device`].
pub fn read(client: &Client, handle: Handle) -> Result<Vec<u32>, Error> {
    let device = || client.properties().identity.name.clone();
    // wgpu reports what it can at a read; the rest, such as memory that ran out, panics on its own thread and again here.
    match catch_unwind(AssertUnwindSafe(|| client.read_one(handle))) {
        Ok(Ok(bytes)) => Ok(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()),
        Ok(Err(error)) => Err(failure(device(), &error)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let reason = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("its thread ended").to_owned();
            Err(Error::Device { device: device(), reason })
        }
    }
}

/// What the runtime reported, sorted.
fn failure(device: String, error: &ServerError) -> Error {
    let reason = error.to_string();
    if error.is_device_poisoned() { Error::Lost { device, reason } } else { Error::Device { device, reason } }
}

/// The devices that wgpu sees. OpenGL, which it falls back to, is no substitute: it has no compute on many machines, and
/// its contexts belong to one thread.
fn devices() -> Result<Vec<WgpuDevice>, Error> {
    let native = [Device::vulkan, Device::metal_msl, Device::dx12];
    if native.iter().all(|open| open(WgpuDeviceKind::DefaultDevice).is_err()) {
        return Err(Error::NoDevice);
    }
    let wgpu = |device| if let Device::Wgpu(device) = device { Some(device) } else { None };
    let all: Vec<_> = Device::enumerate_all().into_iter().filter_map(wgpu).collect();
    if all.is_empty() { Err(Error::NoDevice) } else { Ok(all) }
}
