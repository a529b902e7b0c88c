//! The caption, from Markdown to HTML.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// A caption as HTML, and its paragraphs that start with `Note:`, which are caveats.
pub struct Caption {
    pub html: String,
    /// Plain text, without the leading `Note:`.
    pub notes: Vec<String>,
}

/// Converts `markdown`. HTML in it is shown as text; links and images become their text, since the page loads nothing.
pub fn caption(markdown: &str) -> Caption {
    let events: Vec<_> = Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(harmless).collect();
    let notes = notes(&events);
    let mut html = String::new();
    html::push_html(&mut html, events.into_iter());
    Caption { html, notes }
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
        let caption = caption("a <b onclick='x'>c</b> [d](https://e.org) ![f](http://g)\n\n<script>h</script>\n");
        assert!(!caption.html.contains("<b") && !caption.html.contains("<script"), "{}", caption.html);
        assert!(!caption.html.contains("http"), "{}", caption.html);
        assert!(caption.html.contains("&lt;script&gt;"), "{}", caption.html);
    }

    #[test]
    fn headings_are_below_those_of_the_page() {
        assert_eq!(caption("# a\n\n#### b\n").html, "<h3>a</h3>\n<h6>b</h6>\n");
    }

    #[test]
    fn tables_and_notes() {
        let caption = caption("| a | b |\n| --- | ---: |\n| x | 1 |\n\nNote: not `in`\nthe table\n\nNo Note: here\n");
        assert!(caption.html.contains("<table>") && caption.html.contains("text-align: right"), "{}", caption.html);
        assert_eq!(caption.notes, ["not in the table"]);
    }
}
