//! Rendering of problems: the message, the file with line and column, the line with the place marked,
//! and the remedy.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::source::{Source, Sources};
use crate::section::Problem;

/// Renders errors as plain text, separated by empty lines.
pub fn render(problems: &[Problem], sources: &Sources) -> String {
    render_with(&Renderer::plain(), &Level::ERROR, problems, sources)
}

/// Renders warnings likewise.
pub fn render_warnings(problems: &[Problem], sources: &Sources) -> String {
    render_with(&Renderer::plain(), &Level::WARNING, problems, sources)
}

/// Renders errors with the colours of a terminal.
pub fn render_coloured(problems: &[Problem], sources: &Sources) -> String {
    render_with(&Renderer::styled(), &Level::ERROR, problems, sources)
}

/// Limit of the problems shown; one mistake can cause a great many.
pub(super) const MAX_SHOWN: usize = 100;

fn render_with(
    renderer: &Renderer,
    level: &'static Level<'static>,
    problems: &[Problem],
    sources: &Sources,
) -> String {
    let mut text = String::new();
    for problem in problems.iter().take(MAX_SHOWN) {
        let source = sources.get(problem.place.file);
        text.extend([&renderer.render(&[group(level, problem, source)]), "\n\n"]);
    }
    let more = problems.len().saturating_sub(MAX_SHOWN);
    if more > 0 {
        text.push_str(&format!("and {more} more\n\n"));
    }
    text.truncate(text.trim_end().len());
    text.extend((!text.is_empty()).then_some('\n'));
    text
}

fn group<'a>(
    level: &'static Level<'static>,
    problem: &'a Problem,
    source: Option<&'a Source>,
) -> Group<'a> {
    let mut group = Group::with_title(level.clone().primary_title(&problem.message));
    if let Some(source) = source {
        group = match line(&source.text, &problem.place.span) {
            Some(line) => group.element(snippet(problem, source, line)),
            None => group.element(Origin::path(source.path.to_string_lossy())),
        };
    }
    match &problem.help {
        Some(help) => group.element(Level::HELP.message(help)),
        None => group,
    }
}

fn snippet<'a>(
    problem: &'a Problem,
    source: &'a Source,
    line: Line<'a>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let mark = AnnotationKind::Primary
        .span(line.mark)
        .label(problem.label.as_deref());
    let snippet = Snippet::source(line.text).line_start(line.number);
    snippet.path(source.path.to_string_lossy()).annotation(mark)
}

/// Source line of a problem.
struct Line<'a> {
    /// Line number, from 1.
    number: usize,
    text: &'a str,
    /// Marked bytes of `text`.
    mark: Range<usize>,
}

/// Returns the first line of the span, with the part of the span in it; `None` in an empty file. The
/// renderer, whose time is proportional to its input, receives only this line.
fn line<'a>(text: &'a str, span: &Range<usize>) -> Option<Line<'a>> {
    if text.is_empty() {
        return None;
    }
    let before = text.get(..text.floor_char_boundary(span.start))?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(start..)?.lines().next().unwrap_or_default();
    let from = before.len().saturating_sub(start).min(line.len());
    let to = text
        .floor_char_boundary(span.end)
        .saturating_sub(start)
        .clamp(from, line.len());
    Some(Line {
        number: before.matches('\n').count() + 1,
        text: line,
        mark: from..to,
    })
}

#[cfg(test)]
mod tests;
