//! `interplay figures`: figures and captions drawn again from their tables.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::engine::frame::Frame;
use crate::engine::write::drawn;
use crate::output::{sayln, write_atomic};
use crate::studies::{self, methods};

/// Arguments of `figures`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  interplay figures                      # every folder of figures/ with the data.csv of a study
  interplay figures figures/orders       # one of them

Nothing is measured: figure.svg and caption.md follow from data.csv alone, to the same bytes.")]
pub struct Args {
    /// Folders with a data.csv [default: those in figures/].
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,
}

/// Draws again.
///
/// # Errors
/// A folder has no table of a study of this version, or cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let given = !args.folders.is_empty();
    let folders = if given { args.folders.clone() } else { found(Path::new("figures"))? };
    let mut count = 0;
    for folder in &folders {
        let path = folder.join("data.csv");
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let frame = Frame::parse(&text).with_context(|| path.display().to_string())?;
        match frame.study().map(studies::kind).transpose().with_context(|| path.display().to_string())? {
            Some(kind) => {
                drawn(kind, folder, &frame).with_context(|| path.display().to_string())?;
                sayln!("drew {}", folder.display());
                count += 1;
            }
            None => match methods::redrawn(&frame) {
                Ok(figure) => {
                    write_atomic(&folder.join("figure.svg"), figure.svg().as_bytes())?;
                    sayln!("drew {}, without its caption, which needs the cells", folder.display());
                    count += 1;
                }
                Err(_) if given => {
                    bail!("{} is no table of a study: it has no column `study` with a row in it", path.display())
                }
                Err(_) => {}
            },
        }
    }
    if count == 0 {
        bail!("figures/ has no folder with a table of a study; run `interplay study orders`, or name a folder");
    }
    Ok(())
}

/// The folders in `parent` that hold a table, by name.
fn found(parent: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(parent).with_context(|| format!("cannot read {}", parent.display()))?;
    let mut folders: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join("data.csv").is_file()).collect();
    folders.sort();
    Ok(folders)
}
