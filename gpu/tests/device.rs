//! Opening devices; and cases that need one.

use cubecl::client::Client;
use interplay_gpu::{Choice, Error, Gpu};
use libtest_mimic::{Failed, Trial};

/// A case on the host.
pub fn trial(name: &str, run: fn() -> Result<(), Failed>) -> Trial {
    Trial::test(name, run)
}

/// A case on the default device; without one it is ignored, and its name says why.
pub fn on_device(name: String, run: impl FnOnce(&Client) -> Result<(), Failed> + Send + 'static) -> Trial {
    match Gpu::open(&Choice::Default) {
        Ok(gpu) => Trial::test(name, move || run(gpu.client())),
        Err(error) => Trial::test(format!("{name} (ignored: {error})"), || Ok(())).with_ignored_flag(true),
    }
}

pub fn trials() -> Vec<Trial> {
    vec![
        on_device("device::by_index_and_name".to_owned(), |_| by_index_and_name()),
        on_device("device::unknown".to_owned(), |_| unknown()),
        on_device("device::too_large".to_owned(), |_| too_large()),
        on_device("device::words_come_back".to_owned(), words_come_back),
    ]
}

fn by_index_and_name() -> Result<(), Failed> {
    let names = Gpu::list()?;
    let first = Gpu::open(&Choice::Index(0))?;
    assert_eq!(Some(first.name()), names.first().map(String::as_str));
    let part: String = first.name().to_uppercase().chars().take(5).collect();
    assert!(Gpu::open(&Choice::Name(part))?.name().starts_with(&first.name()[..5]));
    Ok(())
}

fn unknown() -> Result<(), Failed> {
    for choice in [Choice::Index(1000), Choice::Name("no such adapter".to_owned())] {
        let error = Gpu::open(&choice).err();
        assert!(matches!(error, Some(Error::UnknownDevice { .. })), "{error:?}");
    }
    Ok(())
}

fn too_large() -> Result<(), Failed> {
    let gpu = Gpu::open(&Choice::Default)?;
    gpu.check_size("a small matrix", 1 << 10)?;
    let error = gpu.check_size("a huge matrix", u64::MAX).err();
    assert!(matches!(error, Some(Error::Memory { what: "a huge matrix", .. })), "{error:?}");
    Ok(())
}

fn words_come_back(client: &Client) -> Result<(), Failed> {
    // Signalling NaN, subnormal, -0.
    let words = [0x7F80_0001u32, 1, 0x8000_0000];
    let handle = client.create_from_slice(&words.map(u32::to_le_bytes).concat());
    assert_eq!(interplay_gpu::device::read(client, handle)?, words);
    Ok(())
}
