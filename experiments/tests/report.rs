//! The page of `interplay report`, written by the program and opened in Chromium.

use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};

use crate::run::interplay_in;

/// Names under which systems install it.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The rows of the test, as `format,energy_pj`: by text, 9 would come after 10 and 1e3.
const ROWS: [(&str, &str); 4] = [("ten", "10"), ("none", ""), ("thousand", "1e3"), ("nine", "9")];

pub fn cases() -> Vec<Trial> {
    let browser = BROWSERS.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok());
    let in_browser = |name: &str, case: fn(&str) -> Result<(), Failed>| {
        let missing = if browser.is_none() { " (no Chromium: scripts/chromium.sh installs it)" } else { "" };
        let name = format!("report::{name}{missing}");
        Trial::test(name, move || case(browser.unwrap_or_default())).with_ignored_flag(browser.is_none())
    };
    vec![
        Trial::test("report::a_folder_without_a_run_is_refused", a_folder_without_a_run_is_refused),
        Trial::test("report::the_page_stands_alone", the_page_stands_alone),
        in_browser("the_fragment_sorts_as_numbers", the_fragment_sorts_as_numbers),
        in_browser("the_chart_and_the_layers_are_drawn", the_chart_and_the_layers_are_drawn),
    ]
}

/// A run folder with a report.
fn reported() -> Result<tempfile::TempDir, Failed> {
    let folder = tempfile::tempdir()?;
    let run = folder.path().join("run");
    std::fs::create_dir(&run)?;
    let rows: String = ROWS.iter().map(|(format, energy)| format!("orders,{format},7.5,{energy}\n")).collect();
    std::fs::write(run.join("data.csv"), format!("study,format,value,energy_pj\n{rows}"))?;
    let record = serde_json::json!({
        "schema_version": 1, "study": "orders", "title": "A & B", "question": "Which?", "command": "interplay study x",
        "version": "0.1.0", "burn": "0.22.1", "cpu_features": [], "seeds": [0], "checksums": {}, "caveats": ["small"],
        "cells": 4, "seconds": 1.5,
    });
    std::fs::write(run.join("run.json"), record.to_string())?;
    let cell = serde_json::json!({"model": "lm", "layers": [{"layer": "the-query", "cycles": 12}]});
    std::fs::write(run.join("results.jsonl"), format!("{cell}\n"))?;
    let output = interplay_in(folder.path(), &["report", "run"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("report.html"));
    Ok(folder)
}

/// The page as it is once its script has run.
fn opened(browser: &str, folder: &Path, fragment: &str) -> Result<String, Failed> {
    let address = format!("file://{}/run/report.html{fragment}", folder.display());
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(address)
        .output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The formats in the order of the data table's rows.
fn order(page: &str) -> Result<Vec<&str>, Failed> {
    let table = page.split_once("id=\"data\"").ok_or("no data table")?.1;
    let body = table.split_once("<tbody>").and_then(|(_, rest)| rest.split_once("</tbody>")).ok_or("no rows")?.0;
    let mut places: Vec<_> = ROWS
        .iter()
        .map(|(format, _)| Ok((body.find(&format!("<td>{format}</td>")).ok_or("a row is missing")?, *format)))
        .collect::<Result<_, Failed>>()?;
    places.sort_unstable();
    Ok(places.into_iter().map(|(_, format)| format).collect())
}

fn the_fragment_sorts_as_numbers(browser: &str) -> Result<(), Failed> {
    let folder = reported()?;
    let given = opened(browser, folder.path(), "")?;
    assert_eq!(order(&given)?, ["ten", "none", "thousand", "nine"]);
    let down = opened(browser, folder.path(), "#sort=data:energy_pj:desc")?;
    assert_eq!(order(&down)?, ["thousand", "ten", "nine", "none"]);
    assert!(down.contains("aria-sort=\"descending\""));
    let up = opened(browser, folder.path(), "#sort=data:energy_pj:asc")?;
    assert_eq!(order(&up)?, ["nine", "ten", "thousand", "none"]);
    Ok(())
}

/// Three rows have both coordinates, so the chart has three marks.
fn the_chart_and_the_layers_are_drawn(browser: &str) -> Result<(), Failed> {
    let folder = reported()?;
    let page = opened(browser, folder.path(), "")?;
    assert_eq!(page.matches("<circle").count(), 3);
    assert!(page.contains(">the-query</td>"));
    Ok(())
}

/// The policy forbids every load, and nothing in the page names another host.
fn the_page_stands_alone() -> Result<(), Failed> {
    let folder = reported()?;
    let page = std::fs::read_to_string(folder.path().join("run/report.html"))?;
    assert!(page.contains("default-src 'none'"));
    assert!(page.contains("A &amp; B"));
    for word in ["https://", "src=\"http", "href=\"http", "@import", "url("] {
        assert!(!page.contains(word), "{word}");
    }
    Ok(())
}

fn a_folder_without_a_run_is_refused() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let output = interplay_in(folder.path(), &["report", "."]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains("run.json") && error.contains("data.csv"), "{error}");
    Ok(())
}
