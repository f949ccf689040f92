//! The list as an HTML page: for small screens too, in light and dark, without a script.

use std::fmt::Write;
use std::time::SystemTime;

use super::order::{Column, Order};
use crate::disk::{Entries, Entry};
use crate::message::Target;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#666;--link:#0b57d0}\
@media(prefers-color-scheme:dark){:root{--soft:#aaa;--link:#8ab4f8}}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}\
h1{font-size:1.25rem;overflow-wrap:anywhere}\
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}\
table{width:100%;border-collapse:collapse}\
th,td{text-align:left;padding:.5rem .25rem;border-bottom:1px solid var(--line)}\
td:first-child{overflow-wrap:anywhere}td:first-child a{display:block}\
th:nth-child(2),td:nth-child(2){text-align:right}\
th:nth-child(3),td:nth-child(3){text-align:right}\
th+th,td+td{width:1%;padding-left:1.5rem;white-space:nowrap}\
td+td{color:var(--soft);font-variant-numeric:tabular-nums}\
p{color:var(--soft)}\
@media(max-width:30rem){th+th,td+td{padding-left:.75rem;font-size:.8rem}td:nth-child(3){white-space:normal}td span{white-space:nowrap}}";

/// Writes the page of the folder at `path`, which begins and ends with `/`.
pub(super) fn write(path: &[u8], found: &Entries, order: Order) -> String {
    let title = escape(&String::from_utf8_lossy(path));
    let mut page = String::with_capacity(4096 + found.list.len() * 256);
    page.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    push(
        &mut page,
        format_args!("<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"),
    );
    push(&mut page, format_args!("<h1>{}</h1>\n", trail(path)));
    push(
        &mut page,
        format_args!(
            "<table>\n<thead><tr>{}</tr></thead>\n<tbody>\n",
            columns(order)
        ),
    );
    if path != b"/" {
        page.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in &found.list {
        push_row(&mut page, entry);
    }
    page.push_str("</tbody>\n</table>\n");
    if !found.complete {
        push(
            &mut page,
            format_args!(
                "<p>There is more: only {} entries are shown.</p>\n",
                found.list.len()
            ),
        );
    }
    page.push_str("</body>\n</html>\n");
    page
}

/// Appends a formatted text; writing to a `String` cannot fail.
fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = page.write_fmt(text);
}

/// Returns the parent folders, each as a link.
fn trail(path: &[u8]) -> String {
    let mut trail = "<a href=\"/\">/</a>".to_owned();
    let mut above = b"/".to_vec();
    let names = path.split(|byte| *byte == b'/');
    for name in names.filter(|name| !name.is_empty()) {
        above.extend_from_slice(name);
        above.push(b'/');
        let (href, name) = (Target::encode_path(&above), String::from_utf8_lossy(name));
        push(
            &mut trail,
            format_args!(" <a href=\"{}\">{}/</a>", escape(&href), escape(&name)),
        );
    }
    trail
}

fn columns(order: Order) -> String {
    let columns = [
        (Column::Name, "Name"),
        (Column::Size, "Size"),
        (Column::Modified, "Modified"),
    ];
    let mut heads = String::new();
    for (column, name) in columns {
        let (sorted, arrow) = match (order.column == column, order.descending) {
            (false, _) => ("none", ""),
            (true, false) => ("ascending", " ↑"),
            (true, true) => ("descending", " ↓"),
        };
        let href = escape(&order.query_for(column));
        push(
            &mut heads,
            format_args!("<th aria-sort=\"{sorted}\"><a href=\"{href}\">{name}{arrow}</a></th>"),
        );
    }
    heads
}

fn push_row(page: &mut String, entry: &Entry) {
    let slash = if entry.is_folder { "/" } else { "" };
    let name = String::from_utf8_lossy(&entry.name);
    push(
        page,
        format_args!(
            "<tr><td><a href=\"{}\">{}{slash}</a></td>",
            escape(&href(entry)),
            escape(&name)
        ),
    );
    let size = if entry.is_folder {
        String::new()
    } else {
        size(entry.length)
    };
    push(page, format_args!("<td>{size}</td><td>"));
    if let Some(time) = timestamp(entry.modified) {
        let shown = time.strftime("<span>%Y-%m-%d</span> <span>%H:%M</span>");
        push(
            page,
            format_args!("<time datetime=\"{time}\">{shown}</time>"),
        );
    }
    page.push_str("</td></tr>\n");
}

/// Returns the relative reference to the entry from its folder. It begins with `./`: `a:b` by itself would be a scheme
/// (RFC 3986 §4.2).
pub(super) fn href(entry: &Entry) -> String {
    let slash = if entry.is_folder { "/" } else { "" };
    format!(".{}{slash}", Target::encode_path(&entry.name))
}

/// Returns the timestamp in whole seconds.
pub(super) fn timestamp(time: SystemTime) -> Option<jiff::Timestamp> {
    let exact = jiff::Timestamp::try_from(time).ok()?;
    jiff::Timestamp::from_second(exact.as_second()).ok()
}

/// Formats a size: `512 B`, `1.5 MiB`.
fn size(length: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if length < 1024 {
        return format!("{length} B");
    }
    // Tenths of the unit, rounded up: no file with content is shown with size zero.
    let mut tenths = u128::from(length) * 10;
    let mut unit = "B";
    for larger in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths = tenths.div_ceil(1024);
        unit = larger;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
