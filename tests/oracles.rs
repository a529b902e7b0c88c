//! Where reference data are, and what a case does when they are not.
//!
//! The folder is `$INTERPLAY_ORACLES`, else `../shared` beside the repository. A case without its data is ignored with the reason;
//! `INTERPLAY_REQUIRE_ORACLES=1` makes that a failure. Models that `interplay fetch` brings are looked up in its cache and are
//! never required: a test fetches nothing.

use std::path::{Path, PathBuf};

use libtest_mimic::{Completion, Failed, Trial};

/// The folder of reference data.
pub fn folder() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    std::env::var_os("INTERPLAY_ORACLES").map_or_else(default, PathBuf::from)
}

/// Whether missing reference data are a failure.
fn required() -> bool {
    std::env::var_os("INTERPLAY_REQUIRE_ORACLES").is_some_and(|value| value == "1")
}

/// A case that needs `path` inside the folder of reference data and is given its place.
pub fn case(name: &str, path: &'static str, run: impl FnOnce(&Path) -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || {
        let place = folder().join(path);
        if place.exists() {
            return run(&place).map(|()| Completion::Completed);
        }
        let reason = format!("no reference data `{path}`; set INTERPLAY_ORACLES to their folder");
        if required() { Err(reason.into()) } else { Ok(Completion::ignored_with(reason)) }
    })
}

/// A case that also needs the catalogue's file `item`, and is given its place.
pub fn case_with_fetched(
    name: &str,
    path: &'static str,
    item: &'static str,
    run: impl FnOnce(&Path, &Path) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || {
        let place = folder().join(path);
        match interplay::catalogue::locate(item) {
            Ok(file) if place.exists() => run(&place, &file).map(|()| Completion::Completed),
            Ok(_) if required() => Err(format!("no reference data `{path}`").into()),
            Ok(_) => Ok(Completion::ignored_with(format!("no reference data `{path}`"))),
            Err(_) => Ok(Completion::ignored_with(format!("run `interplay fetch {item}`"))),
        }
    })
}

/// A case that needs the catalogue's file `item` alone, and is given its place.
pub fn case_of_fetched(
    name: &str,
    item: &'static str,
    run: impl FnOnce(&Path) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || match interplay::catalogue::locate(item) {
        Ok(file) => run(&file).map(|()| Completion::Completed),
        Err(_) => Ok(Completion::ignored_with(format!("run `interplay fetch {item}`"))),
    })
}
