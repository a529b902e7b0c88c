//! Globs over layer names: `*` is any run of characters, dots included; `?` is one character; all else is itself.

/// Whether `glob` matches the whole of `name`, in time of at most the product of their lengths.
pub fn matches(glob: &str, name: &str) -> bool {
    let (glob, name): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
    let (mut g, mut n) = (0, 0);
    // Where the last star stood, and how much of the name it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if g < glob.len() && glob[g] == '*' {
            star = Some((g, n));
            g += 1;
        } else if g < glob.len() && (glob[g] == '?' || glob[g] == name[n]) {
            g += 1;
            n += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            g = at + 1;
            n = taken + 1;
        } else {
            return false;
        }
    }
    glob[g..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn whole_names_with_stars_and_question_marks() {
        for (glob, name, expected) in [
            ("decoder.layers.*.fc2", "decoder.layers.11.fc2", true),
            ("decoder.layers.*.fc2", "decoder.layers.11.fc1", false),
            ("decoder.layers.?.fc2", "decoder.layers.11.fc2", false),
            ("*", "", true),
            ("*proj", "layers.0.self_attn.q_proj", true),
            ("*q*proj", "layers.0.self_attn.q_proj", true),
            ("layers.0", "layers.0.self_attn", false),
            ("layers.0*", "layers.0.self_attn", true),
            ("", "x", false),
            ("a*b*a", "abaaba", true),
            ("a*b*c", "abaaba", false),
        ] {
            assert_eq!(matches(glob, name), expected, "{glob} {name}");
        }
    }
}
