//! One HTML page about the run of a study. It needs no other file and no network.

mod escape;
mod layers;
mod markdown;
mod notes;
mod parts;
mod read;

use std::path::Path;

use anyhow::Result;

use crate::report::style;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page about the run in `folder`: at least `data.csv` and `run.json`; figures, caption, study file and results
/// where they are.
///
/// # Errors
/// A needed file is missing, or a file cannot be read or is malformed; the error names the file and what to do.
pub fn page(folder: &Path) -> Result<String> {
    let run = read::run(folder)?;
    let record = &run.record;
    let caption = markdown::caption(run.caption.as_deref().unwrap_or_default(), &[&record.title, &record.question]);
    Ok(fill(PAGE, |name| match name {
        "palette" => style::variables(),
        "style" => STYLE.to_owned(),
        "script" => SCRIPT.to_owned(),
        "title" => escape::html(&record.title),
        "study" => escape::html(&record.study),
        "question" => escape::html(&record.question),
        "facts" => parts::facts(&run),
        "findings" => parts::findings(&run.figures, &caption.findings),
        "tables" => parts::tables(&caption.tables),
        "data" => parts::data(&run.data),
        "layers" => escape::json(&layers::cells(&run.results)),
        "caveats" => parts::caveats(&run, &caption.notes),
        "command" => parts::code("command", "Command", &record.command),
        "study_file" => parts::code("study-file", "Study file", run.study_file.as_deref().unwrap_or_default()),
        "provenance" => parts::provenance(record),
        // A test holds that the template names nothing else.
        _ => String::new(),
    }))
}

/// `template` with each `{{name}}` replaced by its value; values are not searched again.
fn fill(template: &str, mut value: impl FnMut(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, (name, after))) =
        rest.split_once("{{").and_then(|(before, after)| Some((before, after.split_once("}}")?)))
    {
        out.push_str(before);
        out.push_str(&value(name));
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    const RECORD: &[u8] = br#"{"schema_version":1,"study":"orders","title":"T {{script}} <i>","command":"a && b"}"#;

    #[test]
    fn values_are_not_searched_again() {
        assert_eq!(fill("a{{x}}b{{y}}", |name| format!("{{{{{name}}}}}")), "a{{x}}b{{y}}");
        assert_eq!(fill("a{{x", |_| String::new()), "a{{x");
    }

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "</script><img src=x onerror=alert(1)>";
        let csv = format!("study,{hostile}\norders,{hostile}\n");
        let layers = format!("{{\"model\":\"{hostile}\",\"layers\":[{{\"layer\":\"{hostile}\"}}]}}\n");
        let svg = format!("<svg xmlns='http://www.w3.org/2000/svg'>{hostile}</svg>");
        let folder = folder(&[
            ("run.json", RECORD),
            ("data.csv", csv.as_bytes()),
            ("results.jsonl", layers.as_bytes()),
            ("caption.md", hostile.as_bytes()),
            ("study.toml", hostile.as_bytes()),
            ("figure.svg", svg.as_bytes()),
        ]);
        let page = page(folder.path()).unwrap();
        assert!(!page.contains("<img src=x"));
        assert_eq!(page.matches("</script>").count(), PAGE.matches("</script>").count());
        assert!(page.contains("T {{script}} &lt;i&gt;"));
        assert!(page.contains("a &amp;&amp; b"));
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn malformed_folders_are_errors() {
        let error = |files: &[(&str, &[u8])]| format!("{:#}", page(folder(files).path()).unwrap_err());
        assert!(error(&[]).contains("run.json"));
        assert!(error(&[("run.json", RECORD)]).contains("data.csv"));
        assert!(error(&[("run.json", RECORD), ("data.csv", b"a\n\xff\n")]).contains("not UTF-8"));
        assert!(error(&[("run.json", RECORD), ("data.csv", b"a,b\n1\n")]).contains("data.csv"));
        let line = error(&[("run.json", RECORD), ("data.csv", b"a\n1\n"), ("results.jsonl", b"{}\n{\n")]);
        assert!(line.contains("line 2"), "{line}");
    }
}
