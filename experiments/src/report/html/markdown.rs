//! The caption, from Markdown to HTML.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// A caption as HTML, its words apart from its tables, and its paragraphs that start with `Note:`, which are caveats.
pub struct Caption {
    pub findings: String,
    pub tables: String,
    /// Plain text, without the leading `Note:`.
    pub notes: Vec<String>,
}

/// Converts `markdown`. HTML in it is shown as text; links and images become their text, since the page loads nothing.
/// Headings and paragraphs that say no more than `known`, which the page has already, are left out.
pub fn caption(markdown: &str, known: &[&str]) -> Caption {
    let events: Vec<_> = Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(harmless).collect();
    let notes = notes(&events);
    let mut parts = [Part::default(), Part::default()];
    let mut after_table = false;
    let mut blocks = blocks(&events).into_iter().filter(|block| !known.contains(&text(block).trim())).peekable();
    while let Some(block) = blocks.next() {
        let table = |block: &[Event<'_>]| matches!(block.first(), Some(Event::Start(Tag::Table(_))));
        // The title of a table stands before it, a list of notes on it behind it.
        let of_table = table(block)
            || blocks.peek().is_some_and(|next| table(next) && is_bold(block))
            || after_table && matches!(block.first(), Some(Event::Start(Tag::List(_))));
        match block.first() {
            Some(Event::Start(Tag::Heading { .. })) => parts.iter_mut().for_each(|part| part.heading(block)),
            _ => parts[usize::from(of_table)].add(block),
        }
        after_table = table(block);
    }
    let [findings, tables] = parts.map(|part| part.html);
    Caption { findings, tables, notes }
}

/// One of the two parts; a heading is written when something follows it.
#[derive(Default)]
struct Part<'a> {
    html: String,
    heading: Option<&'a [Event<'a>]>,
}

impl<'a> Part<'a> {
    fn heading(&mut self, block: &'a [Event<'a>]) {
        self.heading = Some(block);
    }

    fn add(&mut self, block: &'a [Event<'a>]) {
        for events in self.heading.take().into_iter().chain([block]) {
            html::push_html(&mut self.html, events.iter().cloned());
        }
    }
}

/// The events of each block that is in no other.
fn blocks<'a>(events: &'a [Event<'a>]) -> Vec<&'a [Event<'a>]> {
    let (mut blocks, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            blocks.push(&events[start..=at]);
            start = at + 1;
        }
    }
    blocks
}

/// The words of a block.
fn text(block: &[Event<'_>]) -> String {
    let words = block.iter().filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(&**text),
        Event::SoftBreak | Event::HardBreak => Some(" "),
        _ => None,
    });
    words.collect()
}

/// Whether a block is a paragraph in bold and nothing else.
fn is_bold(block: &[Event<'_>]) -> bool {
    matches!(
        block,
        [
            Event::Start(Tag::Paragraph),
            Event::Start(Tag::Strong),
            ..,
            Event::End(TagEnd::Strong),
            Event::End(TagEnd::Paragraph)
        ]
    )
}

fn harmless(event: Event<'_>) -> Option<Event<'_>> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock)
        | Event::End(TagEnd::Link | TagEnd::Image | TagEnd::HtmlBlock) => None,
        Event::Start(Tag::Heading { level, .. }) => {
            Some(Event::Start(Tag::Heading { level: below(level), id: None, classes: Vec::new(), attrs: Vec::new() }))
        }
        Event::End(TagEnd::Heading(level)) => Some(Event::End(TagEnd::Heading(below(level)))),
        event => Some(event),
    }
}

/// The level of a caption's heading in the page, whose own headings are of the first two levels.
fn below(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    }
}

fn notes(events: &[Event<'_>]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut paragraph = String::new();
    for event in events {
        match event {
            Event::Start(Tag::Paragraph) => paragraph.clear(),
            Event::Text(text) | Event::Code(text) => paragraph.push_str(text),
            Event::SoftBreak | Event::HardBreak => paragraph.push(' '),
            Event::End(TagEnd::Paragraph) => {
                notes.extend(paragraph.strip_prefix("Note:").map(|note| note.trim().to_owned()));
            }
            _ => {}
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_html_and_links_are_text() {
        let html =
            caption("a <b onclick='x'>c</b> [d](https://e.org) ![f](http://g)\n\n<script>h</script>\n", &[]).findings;
        assert!(!html.contains("<b") && !html.contains("<script") && !html.contains("http"), "{html}");
        assert!(html.contains("&lt;script&gt;"), "{html}");
    }

    #[test]
    fn headings_are_below_those_of_the_page_and_stand_over_something() {
        assert_eq!(
            caption("# a\n\nb\n\n#### c\n\nd\n\n# e\n", &[]).findings,
            "<h3>a</h3>\n<p>b</p>\n<h6>c</h6>\n<p>d</p>\n"
        );
        assert_eq!(caption("# a\n\nb\n\nc\n", &["a", "b"]).findings, "<p>c</p>\n");
    }

    #[test]
    fn tables_stand_apart_with_their_titles_and_headings() {
        let table = "**title**\n\n| a | b |\n| --- | ---: |\n| x | 1 |\n\n- on it\n\n";
        let text = format!("## m\n\nwords\n\n{table}Note: not `in`\nthe table\n\nNo Note: here\n");
        let caption = caption(&text, &[]);
        assert!(caption.tables.starts_with("<h4>m</h4>\n<p><strong>title</strong></p>\n<table>"), "{}", caption.tables);
        assert!(
            caption.tables.contains("text-align: right") && !caption.findings.contains("<table"),
            "{}",
            caption.findings
        );
        assert!(caption.tables.contains("on it") && !caption.findings.contains("on it"), "{}", caption.tables);
        assert!(caption.findings.starts_with("<h4>m</h4>\n<p>words</p>"), "{}", caption.findings);
        assert_eq!(caption.notes, ["not in the table"]);
    }
}
