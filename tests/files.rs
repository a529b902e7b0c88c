//! Files that are whole or absent, what is no file, leftovers, and folders that one process has.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;

use interplay::Error;
use interplay::files::{Claim, Scratch, folder, ready, replace, write};
use libtest_mimic::{Failed, Trial};

pub fn cases() -> Vec<Trial> {
    let unix = |name: &str, case: fn() -> Result<(), Failed>| {
        Trial::test(format!("files::{name}"), case).with_ignored_flag(!cfg!(unix))
    };
    let nodes = tempfile::tempdir().is_ok_and(|folder| node(&folder.path().join("null")));
    let why = if nodes { "" } else { " (device nodes cannot be made)" };
    vec![
        unix("pipes_are_written_to", pipes_are_written_to),
        Trial::test(format!("files::devices_stay{why}"), devices_stay).with_ignored_flag(!nodes),
        unix("links_stay", links_stay),
        unix("an_input_is_no_output", an_input_is_no_output),
        unix("leftovers_go_and_what_is_in_use_stays", leftovers_go_and_what_is_in_use_stays),
        Trial::test("files::what_fails_leaves_nothing", what_fails_leaves_nothing),
        Trial::test("files::folders_are_made_by_name_alone", folders_are_made_by_name_alone),
        unix("a_folder_has_one_owner", a_folder_has_one_owner),
        Trial::test("files::floats_are_read_as_they_were_written", floats_are_read_as_they_were_written),
    ]
}

/// Makes a device that swallows everything; only root can.
fn node(path: &Path) -> bool {
    Command::new("mknod").arg(path).args(["c", "1", "3"]).output().is_ok_and(|made| made.status.success())
}

#[cfg(unix)]
fn link(to: &str, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, path)
}

#[cfg(not(unix))]
fn link(_to: &str, _path: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

fn names(folder: &Path) -> Result<Vec<String>, Failed> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<std::io::Result<_>>()?;
    names.sort();
    Ok(names)
}

fn message<T>(result: Result<T, Error>) -> Result<String, Failed> {
    match result {
        Ok(_) => Err("it was not refused".into()),
        Err(error) => Ok(error.to_string()),
    }
}

fn pipes_are_written_to() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status()?.success());
    let (at, content) = (path.clone(), vec![7; 300_000]);
    let reader = std::thread::spawn(move || {
        let mut read = Vec::new();
        File::open(at).and_then(|mut file| file.read_to_end(&mut read)).map(|_| read)
    });
    ready(&path, &[])?;
    write(&path, &content)?;
    assert!(reader.join().map_err(|_| "the reader failed")?? == content, "the pipe gave other bytes");
    assert!(!fs::symlink_metadata(&path)?.is_file(), "the pipe was replaced by a file");
    assert_eq!(names(folder.path())?, ["pipe"]);
    Ok(())
}

fn devices_stay() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("null");
    assert!(node(&path));
    write(&path, b"gone")?;
    assert!(!fs::symlink_metadata(&path)?.is_file(), "the device was replaced by a file");
    Ok(())
}

fn links_stay() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("deep"))?;
    fs::write(at("deep/file"), "old")?;
    for (to, name) in [
        ("deep/file", "direct"),
        ("direct", "twice"),
        ("deep/new", "dangling"),
        ("circle", "circle"),
        ("missing/file", "nowhere"),
    ] {
        link(to, &at(name))?;
    }
    for (name, file) in [("direct", "deep/file"), ("twice", "deep/file"), ("dangling", "deep/new")] {
        write(&at(name), name.as_bytes())?;
        assert!(fs::symlink_metadata(at(name))?.is_symlink(), "{name} was replaced by a file");
        assert_eq!(fs::read_to_string(at(file))?, name);
    }
    assert!(write(&at("circle"), b"x").is_err());
    assert!(message(write(&at("nowhere"), b"x"))?.contains("no folder"));
    Ok(())
}

fn an_input_is_no_output() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    fs::write(at("in"), "content")?;
    fs::write(at("other"), "content")?;
    fs::hard_link(at("in"), at("hard"))?;
    link("in", &at("soft"))?;
    for name in ["in", "./in", "hard", "soft"] {
        let refused = message(ready(&at(name), &[&at("other"), &at("in")]))?;
        assert!(refused.contains("is the input"), "{name}: {refused}");
    }
    ready(&at("new"), &[&at("in")])?;
    ready(&at("other"), &[&at("in")])?;
    Ok(())
}

fn leftovers_go_and_what_is_in_use_stays() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let [left, used, user] = [".interplay-1-0.partial", ".interplay-1-1.partial", ".interplay-mine.partial"];
    fs::write(at(left), "half")?;
    fs::create_dir(at(".interplay-1-2.partial"))?;
    fs::write(at(".interplay-1-2.partial/file"), "half")?;
    fs::write(at(user), "the user's")?;
    let open = File::create(at(used))?;
    open.lock()?;
    write(&at("file"), b"whole")?;
    assert_eq!(names(folder.path())?, [used, user, "file"]);
    let scratch = Scratch::new(folder.path())?;
    fs::write(scratch.path().join("file"), "x")?;
    let path = scratch.path().to_owned();
    drop(scratch);
    assert!(!path.exists(), "a scratch folder outlives its owner");
    Ok(())
}

fn what_fails_leaves_nothing() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("file");
    write(&path, b"old")?;
    let failed = replace(&path, |mut file| {
        std::io::Write::write_all(&mut file, b"half").map_err(|e| Error::Invalid(e.to_string()))?;
        Err(Error::Invalid("no more".to_owned()))
    });
    assert_eq!(message(failed)?, "no more");
    assert_eq!(fs::read_to_string(&path)?, "old");
    assert_eq!(names(folder.path())?, ["file"]);
    Ok(())
}

fn folders_are_made_by_name_alone() -> Result<(), Failed> {
    let place = tempfile::tempdir()?;
    let at = |name: &str| place.path().join(name);
    let missing = at("missing");
    for refused in [write(&missing.join("file"), b"x"), ready(&missing.join("file"), &[])] {
        let refused = message(refused)?;
        assert!(
            refused.contains("there is no folder") && refused.contains(&missing.display().to_string()),
            "{refused}"
        );
    }
    assert!(!missing.exists());
    folder(&at("a/b"))?;
    write(&at("a/b/file"), b"x")?;
    assert!(message(folder(&at("a/b/file")))?.contains("is a file"));
    assert!(message(write(&at("a"), b"x"))?.contains("is a folder"));
    Ok(())
}

fn a_folder_has_one_owner() -> Result<(), Failed> {
    let place = tempfile::tempdir()?;
    let run = place.path().join("run");
    let first = Claim::new(&run)?;
    assert!(message(Claim::new(&run))?.contains("in use"));
    drop(first);
    assert!(!run.exists(), "a folder in which nothing was written stays");
    let first = Claim::new(&run)?;
    fs::remove_dir_all(&run)?;
    assert!(!first.holds(), "the folder is gone");
    let second = Claim::new(&run)?;
    assert!(!first.holds() && second.holds(), "the folder is another's");
    drop(first);
    assert!(second.holds(), "the former owner took the lock of the present one");
    Ok(())
}

fn floats_are_read_as_they_were_written() -> Result<(), Failed> {
    // SplitMix64 over all exponents.
    let mut state: u64 = 1;
    for _ in 0..100_000 {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let value = f64::from_bits(z ^ (z >> 27));
        if value.is_finite() {
            let text = serde_json::to_string(&value)?;
            let read: f64 = serde_json::from_str(&text)?;
            assert_eq!(read.to_bits(), value.to_bits(), "{text}");
        }
    }
    Ok(())
}
