//! SCALE-Sim's own files in, its reports out.

use std::path::Path;

use anyhow::{Context, Result};
use interplay::files;
use interplay_hw::scalesim;
use serde_json::json;

use crate::output::{sayln, write_atomic};

/// Reads a configuration and a topology, writes the reports into `out` (else the current folder), and prints the totals.
///
/// # Errors
/// A file that cannot be read or is not in SCALE-Sim's form.
pub fn run(cfg: &Path, topology: &Path, out: Option<&Path>, as_json: bool) -> Result<()> {
    let read =
        |path: &Path| interplay::load::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let both = || format!("{} with {}", topology.display(), cfg.display());
    let reports = scalesim::run(&read(cfg)?, &read(topology)?).with_context(both)?;
    let folder = out.unwrap_or(Path::new("."));
    files::folder(folder)?;
    for (name, _) in &reports.files {
        files::ready(&folder.join(name), &[cfg, topology])?;
    }
    for (name, text) in &reports.files {
        write_atomic(&folder.join(name), text.as_bytes())?;
    }
    let names: Vec<_> = reports.files.iter().map(|(name, _)| name.to_string()).collect();
    if as_json {
        let object = json!({
            "schema_version": crate::result::SCHEMA_VERSION,
            "files": names,
            "layers": reports.layers,
            "notes": reports.notes,
        });
        sayln!("{}", serde_json::to_string_pretty(&object)?);
    } else {
        sayln!("{} layers; wrote {} to {}", reports.layers.len(), names.join(", "), folder.display());
        for note in &reports.notes {
            sayln!("note: {note}");
        }
    }
    Ok(())
}
