//! Running `pip download` and `npm pack`, which download a package and run nothing of it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use interplay::catalogue::{Item, Registry};

use crate::interrupt;

/// Names under which pip may be installed, best first.
const PIP: [&[&str]; 4] = [&["pip"], &["pip3"], &["python3", "-m", "pip"], &["python", "-m", "pip"]];
/// How often pip resumes a download whose connection broke.
const RESUMPTIONS: &str = "5";
/// Names under which npm may be installed.
const NPM: [&[&str]; 2] = [&["npm"], &["npm.cmd"]];

/// The archive of `item`'s package in `folder`, downloaded unless it is there.
///
/// pip moves a finished file into place and resumes a broken connection where its version can; npm leaves a broken file, which the
/// caller finds out by its content.
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
    interplay::files::folder(folder)?;
    if let Some(archive) = finished(folder, suffix)? {
        return Ok(archive);
    }
    run_first(clients, &arguments, folder, item)?;
    finished(folder, suffix)?.with_context(|| {
        format!("the download of {package} {version} ended without an archive (.{suffix}); try again, or use --file")
    })
}

/// The file of that suffix in `folder`.
fn finished(folder: &Path, suffix: &str) -> Result<Option<PathBuf>> {
    let found = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    Ok(found.filter(|path| path.extension().is_some_and(|extension| extension == suffix)).min())
}

/// Runs the first of `clients` that is installed.
fn run_first(clients: &[&[&str]], arguments: &[String], folder: &Path, item: &Item) -> Result<()> {
    for client in clients {
        let mut command = Command::new(client[0]);
        command.args(&client[1..]).args(arguments).current_dir(folder).stdin(Stdio::null());
        // Read by a pip that can resume, passed over by an older one.
        command.env("PIP_RESUME_RETRIES", RESUMPTIONS);
        // The client's progress is no result of this program.
        command.stdout(std::io::stderr());
        match interrupt::status_of(&mut command) {
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
