//! The commands that pages and help show, as a shell would take them apart.

/// The words of every `interplay` command in lines of a shell, `cargo run --release` among them.
pub fn commands(shell: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for line in shell.replace("\\\n", " ").lines() {
        let mut words: Vec<String> = Vec::new();
        for word in words_of(line).into_iter().chain(["\n".to_owned()]) {
            match word.as_str() {
                "&&" | "||" | "|" | ";" | "\n" => found.extend(program(&std::mem::take(&mut words))),
                _ => words.push(word),
            }
        }
    }
    found
}

/// The words of a line, without its prompt and its comment.
fn words_of(line: &str) -> Vec<String> {
    let line = line.trim_start();
    let line = line.strip_prefix("$ ").unwrap_or(line);
    let (mut words, mut word, mut quote): (Vec<String>, Option<String>, Option<char>) = (Vec::new(), None, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '#') if word.is_none() => return words,
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// The command where it is this program's, without what it is redirected to.
fn program(words: &[String]) -> Option<Vec<String>> {
    let end = words.iter().position(|word| word == ">").unwrap_or(words.len());
    let rest = match words[..end].iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["interplay", rest @ ..] | ["cargo", "run", "--release", "--", rest @ ..] => rest.to_vec(),
        ["cargo", "run", "--release"] => Vec::new(),
        _ => return None,
    };
    Some(["interplay"].into_iter().chain(rest).map(str::to_owned).collect())
}

/// The commands of a page in Markdown: in its blocks, and in its text where that does more than name one.
pub fn of_page(page: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    // Every second part lies between fences.
    for (place, part) in page.split("```").enumerate() {
        if place % 2 == 1 {
            found.extend(commands(part.split_once('\n').map_or("", |(_, block)| block)));
            continue;
        }
        let spans = part.split('`').skip(1).step_by(2).flat_map(commands);
        found.extend(spans.filter(|words| words.len() != 2 && !words.iter().any(|word| is_placeholder(word))));
    }
    found
}

/// Whether a word stands for others: in capitals, or one of several.
fn is_placeholder(word: &str) -> bool {
    let capital = |letter: char| letter.is_ascii_uppercase() || letter == '…';
    word.contains('|') || word.chars().all(capital)
}
