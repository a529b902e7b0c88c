//! Ctrl-C and a polite kill, in every command; and what a terminal is shown on the way.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use nix::libc::O_NONBLOCK;
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::run::{command_in, interplay_in};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("interrupt::waiting_for_a_pipe", waiting_for_a_pipe),
        Trial::test("interrupt::at_work", at_work),
        Trial::test("interrupt::a_second_signal_is_not_waited_for", a_second_signal),
        Trial::test("interrupt::what_was_started_ends_too", what_was_started_ends_too),
        Trial::test("interrupt::nothing_unfinished_is_left", nothing_unfinished_is_left),
        Trial::test("interrupt::a_study_keeps_its_cells", a_study_keeps_its_cells),
        Trial::test("interrupt::a_terminal_is_shown_progress", a_terminal_is_shown_progress),
        Trial::test("interrupt::a_pipe_is_not", a_pipe_is_not),
    ]
}

/// The signals and the exit codes that shells expect of a program that they end.
const SIGNALS: [(Signal, i32); 2] = [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)];
/// Against a program that does not end at all, on the slowest machine.
const HANGS: Duration = Duration::from_secs(120);

fn until(what: &str, mut there: impl FnMut() -> bool) -> Result<(), Failed> {
    let since = Instant::now();
    while !there() {
        if since.elapsed() > HANGS {
            return Err(format!("{what}: not within {HANGS:?}").into());
        }
        sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn start(folder: &Path, arguments: &[&str]) -> Result<Child, Failed> {
    let mut command = command_in(folder, arguments);
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?)
}

fn send(child: &Child, signal: Signal) -> Result<(), Failed> {
    Ok(kill(Pid::from_raw(i32::try_from(child.id())?), signal)?)
}

/// The exit code of a program that was told to end, and its words; one that hangs is killed.
fn ended(mut child: Child, what: &str) -> Result<(Option<i32>, String), Failed> {
    let in_time = until(what, || matches!(child.try_wait(), Ok(Some(_))));
    if let Err(late) = in_time {
        child.kill()?;
        return Err(late);
    }
    let output = child.wait_with_output()?;
    Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// Every command, with an input that nobody writes to: a pipe of the name `FIFO` or `FIFO.toml`, or a file of the run `run`. Commands that map
/// their files wait for a declaration.
const READING: [&[&str]; 26] = [
    &["eval", "--model", "lm", "--data", "FIFO"],
    &["eval", "--layers", "FIFO"],
    &["study", "FIFO.toml"],
    &["study", "FIFO.toml", "--dry-run"],
    &["compress", "--pipeline", "rtn(int8)", "--out", "out", "--calibration", "FIFO"],
    &["finetune", "--data", "FIFO", "--out", "out"],
    &["train", "lm", "--data", "FIFO", "--out", "out"],
    &["train", "vit", "--data", "FIFO", "--out", "out"],
    &["cost", "--gemm", "8x8x8", "--accelerator", "FIFO.toml"],
    &["sweep", "FIFO"],
    &["trace", "--layers", "FIFO"],
    &["logits", "--model", "lm", "--define", "FIFO", "--input", "in", "--out", "out"],
    &["fetch", "wiki", "--file", "FIFO"],
    &["list", "formats", "--define", "FIFO"],
    &["format", "mxfp8", "--define", "FIFO"],
    &["quantize", "--format", "mxfp8", "--define", "FIFO", "--input", "in", "--out", "out"],
    &["dequantize", "--define", "FIFO", "--input", "in", "--out", "out"],
    &["sparsify", "--pattern", "2:4", "--define", "FIFO", "--input", "in", "--out", "out"],
    &["dot", "--datapath", "fp32", "--define", "FIFO", "--vectors", "in", "--out", "out"],
    &["verify", "--datapath", "fp32", "--define", "FIFO", "--vectors", "in"],
    &["explain", "--datapath", "fp32", "--row", "0", "--define", "FIFO", "--vectors", "in"],
    &["identify", "--define", "FIFO", "--vectors", "in"],
    &["bench", "formats", "--define", "FIFO"],
    &["completions", "bash", "--define", "FIFO"],
    &["figures", "run"],
    &["report", "run"],
];

/// The program, once it reads from a pipe in `folder`, and the pipe's other end.
fn reading(folder: &Path, arguments: &[&str]) -> Result<(Child, File), Failed> {
    fs::create_dir_all(folder.join("run"))?;
    let named = arguments.iter().find(|argument| argument.starts_with("FIFO"));
    let of_a_run = if arguments[0] == "report" { "run/run.json" } else { "run/data.csv" };
    let pipe = folder.join(named.unwrap_or(&of_a_run));
    if !pipe.exists() {
        mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
    }
    let mut child = start(folder, arguments)?;
    let mut writer = None;
    until(&format!("{arguments:?} reads"), || {
        // A pipe can be opened for writing at once where somebody reads from it.
        writer = OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(&pipe).ok();
        writer.is_some() || matches!(child.try_wait(), Ok(Some(_)))
    })?;
    match writer {
        Some(writer) => Ok((child, writer)),
        None => Err(format!("{arguments:?} ended: {}", ended(child, "it")?.1).into()),
    }
}

fn waiting_for_a_pipe() -> Result<(), Failed> {
    for (signal, code) in SIGNALS {
        for arguments in READING {
            let folder = tempfile::tempdir()?;
            let (child, _writer) = reading(folder.path(), arguments)?;
            send(&child, signal)?;
            let (got, words) = ended(child, &format!("{arguments:?} after {signal}"))?;
            assert_eq!(got, Some(code), "{arguments:?} after {signal}: {words}");
        }
    }
    Ok(())
}

/// A sweep of more points than a machine costs while a test lasts.
const SWEEP: &str = "gemm = [\"512x512x512\"]\n[grid]\nformat = [\"hbfp8\", \"mxfp8\"]\n";

/// Work of many seconds.
const WORKING: [&[&str]; 7] = [
    &["eval", "--model", "lm", "--stride", "1", "--windows", "20000", "--format", "mxfp4"],
    &["eval", "--model", "lm", "--windows", "175", "--format", "mxfp4@stochastic-8"],
    &["sweep", "grid.toml", "--out", "out"],
    &["bench", "formats"],
    &["bench", "model", "--rounds", "100000"],
    &["compress", "--pipeline", "gptq(mxfp4)", "--samples", "4096", "--out", "out"],
    &["study", "orders", "--models", "lm", "--windows", "170", "--out", "out"],
];

fn at_work() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let sizes = |from: usize| (from..from + 900).map(|size| size.to_string()).collect::<Vec<_>>().join(", ");
    let axes = format!("\"engine.rows\" = [{}]\n\"memory.sram.kib\" = [{}]\n", sizes(32), sizes(256));
    fs::write(folder.path().join("grid.toml"), format!("{SWEEP}{axes}"))?;
    for (signal, code) in SIGNALS {
        for arguments in WORKING {
            let mut child = start(folder.path(), arguments)?;
            sleep(Duration::from_millis(700));
            assert!(child.try_wait()?.is_none(), "{arguments:?} is no work of many seconds");
            send(&child, signal)?;
            let (got, words) = ended(child, &format!("{arguments:?} after {signal}"))?;
            assert_eq!(got, Some(code), "{arguments:?} after {signal}: {words}");
        }
    }
    Ok(())
}

/// A command that keeps what is finished gets a moment for it, and then says so; a second signal leaves it no moment.
fn a_second_signal() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let training = ["train", "lm", "--data", "FIFO", "--out", "out"];
    let (child, _writer) = reading(folder.path(), &training)?;
    send(&child, Signal::SIGTERM)?;
    let (code, words) = ended(child, "one signal")?;
    assert!(code == Some(143) && words.contains("interrupted: "), "{code:?}: {words}");
    // On a machine that is busy enough the moment may be over before the second signal comes.
    for _ in 0..8 {
        let (child, _writer) = reading(folder.path(), &training)?;
        send(&child, Signal::SIGTERM)?;
        sleep(Duration::from_millis(50));
        send(&child, Signal::SIGINT)?;
        let (code, words) = ended(child, "two signals")?;
        assert!(matches!(code, Some(130 | 143)), "{code:?}: {words}");
        if !words.contains("interrupted: ") {
            return Ok(());
        }
    }
    Err("a second signal was waited with".into())
}

/// A download is another program's work, and does not go on without this one.
fn what_was_started_ends_too() -> Result<(), Failed> {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir()?;
    let client = folder.path().join("pip");
    fs::write(&client, format!("#!/bin/sh\necho $$ > {}/id\nexec sleep 1000\n", folder.path().display()))?;
    fs::set_permissions(&client, fs::Permissions::from_mode(0o755))?;
    for (signal, code) in SIGNALS {
        let mut command = command_in(folder.path(), &["fetch", "wiki"]);
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let child = command.env("PATH", path).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let id = folder.path().join("id");
        let number = || fs::read_to_string(&id).ok().and_then(|text| text.trim().parse::<i32>().ok());
        until("the download", || number().is_some())?;
        send(&child, signal)?;
        let (got, words) = ended(child, "a download")?;
        assert_eq!(got, Some(code), "{words}");
        let client = Pid::from_raw(number().ok_or("no number")?);
        until("the end of the download", || kill(client, None).is_err())?;
        fs::remove_file(&id)?;
    }
    Ok(())
}

/// A safetensors file of F32 zeros.
fn zeros(path: &Path, elements: usize) -> Result<(), Failed> {
    let bytes = elements * 4;
    let shape = [elements / 1024, 1024];
    let header = serde_json::json!({ "w": { "dtype": "F32", "shape": shape, "data_offsets": [0, bytes] } }).to_string();
    let mut content = (header.len() as u64).to_le_bytes().to_vec();
    content.extend(header.as_bytes());
    content.resize(content.len() + bytes, 0);
    Ok(fs::write(path, content)?)
}

fn nothing_unfinished_is_left() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    zeros(&folder.path().join("in"), 1 << 25)?;
    let names = || -> Vec<String> {
        let entries = fs::read_dir(folder.path()).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    for (signal, code) in SIGNALS {
        let child = start(folder.path(), &["quantize", "--format", "nvfp4", "--input", "in", "--out", "out"])?;
        until("a temporary file", || names().iter().any(|name| name.starts_with(".interplay-")))?;
        send(&child, signal)?;
        let (got, words) = ended(child, "quantize")?;
        assert_eq!(got, Some(code), "{words}");
        assert_eq!(names(), ["in"], "something unfinished was left");
    }
    Ok(())
}

fn a_study_keeps_its_cells() -> Result<(), Failed> {
    for (signal, code) in SIGNALS {
        let folder = tempfile::tempdir()?;
        let study = [
            "study",
            "orders",
            "--models",
            "vit",
            "--formats",
            "int8,mxfp4,hbfp6",
            "--windows",
            "60",
            "--sparsity",
            "2:4",
            "--jobs",
            "1",
            "--out",
            "run",
        ];
        let child = start(folder.path(), &study)?;
        let cells = folder.path().join("run/.cells");
        // A cell's file has the 32 digits of its digest for a name.
        let finished = || {
            let entries = fs::read_dir(&cells).into_iter().flatten().flatten();
            entries.filter(|entry| entry.file_name().len() == 32 + ".json".len()).count()
        };
        until("two cells", || finished() >= 2)?;
        send(&child, signal)?;
        let (got, words) = ended(child, "a study")?;
        assert_eq!(got, Some(code), "{words}");
        assert!(words.contains("interrupted: run holds the cells that were finished"), "{words}");
        let lines = fs::read_to_string(folder.path().join("run/results.jsonl"))?;
        assert_eq!(lines.lines().count(), finished(), "the table has the cells that were finished");
        let output = interplay_in(folder.path(), &study);
        assert!(String::from_utf8_lossy(&output.stderr).contains("cells are there already"), "it does not go on");
    }
    Ok(())
}

const SHOWN: [&str; 8] = ["eval", "--model", "lm", "--windows", "20", "--format", "mxfp4", "--json"];

/// What the program draws on a terminal.
fn drawn(folder: &Path, arguments: &[&str]) -> Result<String, Failed> {
    let size = Winsize { ws_row: 24, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(&size, None)?;
    let mut command: Command = command_in(folder, arguments);
    command.env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(terminal.slave));
    let mut child = command.spawn()?;
    // The command holds the other end of the terminal, which must be closed for the reading to end.
    drop(command);
    let (mut screen, mut text, mut bytes) = (File::from(terminal.master), Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = screen.read(&mut bytes) {
        text.extend(&bytes[..count]);
    }
    assert!(child.wait()?.success(), "{arguments:?}");
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn a_terminal_is_shown_progress() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let text = drawn(folder.path(), &SHOWN)?;
    // Five stages, which 20 windows pass twice, and which are prepared before.
    for part in ["/205 ", "preparing stage", "FP32: window", "mxfp4: window", " of 20, stage", "about ", " left"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    let text = drawn(folder.path(), &["bench", "formats", "mxfp4", "--elements", "4194304"])?;
    assert!(text.contains("0/1 ") && text.contains("mxfp4"), "{text}");
    Ok(())
}

fn a_pipe_is_not() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let output = interplay_in(folder.path(), &SHOWN);
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "progress is for terminals");
    Ok(())
}
