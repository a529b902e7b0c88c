//! `interplay fetch NAME`: models and data from package registries.

use std::path::PathBuf;

use anyhow::Result;
use interplay::catalogue::Item;

use crate::fetch::{Outcome, fetch};
use crate::output::sayln;

/// Arguments of `fetch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  interplay fetch smollm2 wiki
  interplay fetch minilm wordsim353
  interplay fetch smollm2 --file ~/models/SmolLM2-135M-Instruct.Q4_1.gguf
  interplay fetch imagenet-20 --file foolbox-3.3.4-py3-none-any.whl")]
pub struct Args {
    /// What to fetch; `interplay list models` and `interplay list data` show all.
    #[arg(required = true)]
    names: Vec<String>,

    /// Take the content from here instead of downloading it: the file, a folder of the files, or the package's archive. It is
    /// checked all the same.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
}

/// Fetches each item and prints where it is.
///
/// # Errors
/// An unknown name, a missing client, a failed download, or content that is not the known one.
pub fn run(args: &Args) -> Result<()> {
    let items = args.names.iter().map(|name| Item::by_name(name)).collect::<Result<Vec<_>, _>>()?;
    anyhow::ensure!(args.file.is_none() || items.len() == 1, "--file is the content of one item; give one name");
    for item in items {
        let (path, outcome) = fetch(item, args.file.as_deref())?;
        let how = match outcome {
            Outcome::Present => "was in the cache",
            Outcome::Downloaded => "downloaded",
            Outcome::Copied => "copied",
        };
        sayln!("{}: {how}, sha256 checked: {}", item.name, path.display());
        sayln!("  licence: {}", item.licence);
        if let Some(unread) = item.unread() {
            sayln!("  not loadable: {unread}");
        }
        if let Some(caveat) = item.caveat {
            sayln!("  note: {caveat}");
        }
    }
    Ok(())
}
