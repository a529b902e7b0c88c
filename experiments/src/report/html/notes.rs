//! What must be known about a column of numbers before one is quoted.

/// Standing caveats: names of columns (a trailing `*` stands for any ending), and what holds for all of them.
const NOTES: &[(&[&str], &str)] = &[
    (
        &["cycles", "cycle_model"],
        "Cycles are modelled, by the cycle model that the run names, and not measured on hardware.",
    ),
    (
        &["energy_pj", "prices"],
        "Energy is modelled: counted events times the price list that the run names. It is not measured.",
    ),
    (
        &["stderr*"],
        "A standard error is over the windows or images that were evaluated. That of a perplexity is on the scale of \
         its logarithm, the mean loss in nats: multiply by the perplexity for an error in perplexity.",
    ),
    (&["perplexity*"], "Perplexities compare only under one tokeniser, one window length and one text."),
    (
        &["total_bits", "values_bits", "scales_bits", "metadata_bits", "other_bits"],
        "Sizes count the bits of values, scales, metadata and all other parameters of the model, not the bytes of a file.",
    ),
    (&["*_s", "seconds", "ns", "*_ns"], "Times are of the machine that ran the study, and differ from run to run."),
];

/// The notes that a table with these columns needs, each with the columns that it is about.
pub fn of<'a>(columns: &[&'a str]) -> Vec<(Vec<&'a str>, &'static str)> {
    NOTES
        .iter()
        .filter_map(|&(patterns, note)| {
            let about: Vec<_> =
                columns.iter().copied().filter(|name| patterns.iter().any(|p| matches(p, name))).collect();
            (!about.is_empty()).then_some((about, note))
        })
        .collect()
}

/// Whether `name` is `pattern`, where a `*` at one end stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    if let Some(start) = pattern.strip_suffix('*') {
        name.starts_with(start)
    } else if let Some(end) = pattern.strip_prefix('*') {
        name.ends_with(end)
    } else {
        name == pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_follow_the_columns() {
        let notes = of(&["model", "stderr", "stderr2", "cycles"]);
        let about: Vec<_> = notes.iter().map(|(about, _)| about.clone()).collect();
        assert_eq!(about, [vec!["cycles"], vec!["stderr", "stderr2"]]);
        assert!(of(&["model", "cycles_of_life"]).is_empty());
        assert_eq!(of(&["calibration_s"]).len(), 1);
    }
}
