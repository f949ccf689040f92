//! The commented reference of the configuration, generated from the section descriptions.
//!
//! It is a valid file. A line that starts with `#` and no space is a setting that is switched off;
//! `# ` with a space is prose.

use super::{Descriptor, Kind, Section};

/// Returns the whole reference for a file whose top level is `root`.
pub fn reference(root: &'static Section) -> String {
    let mut page = Page::default();
    page.prose(root.doc);
    page.prose(LEGEND);
    page.body(
        root,
        &Header {
            path: String::new(),
            on: true,
        },
    );
    page.text
}

const LEGEND: &str = "\n`key = value` shows the default. `#key = value`, without a space, is a setting without a \
    default, or a table that is off until it is written. Every text may contain ${NAME} or \
    ${NAME:-default} from the environment; $${ is a literal ${.";

/// Width of prose, in characters.
const WIDTH: usize = 90;

#[derive(Default)]
struct Page {
    text: String,
}

/// Header of a section.
struct Header {
    /// Dotted path of its keys; empty for the root.
    path: String,
    /// In force, rather than commented out with `#`.
    on: bool,
}

impl Header {
    fn below(&self, key: &Descriptor) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        let name = if matches!(key.kind, Kind::Named(_)) {
            ".NAME"
        } else {
            ""
        };
        let optional = matches!(key.kind, Kind::FlagOr(_)) || key.example.is_some();
        Self {
            path: format!("{}{dot}{}{name}", self.path, key.name),
            on: self.on && !optional,
        }
    }
}

impl Page {
    /// Writes the keys of a section: first the one-line keys, as TOML demands, then the nested ones.
    fn body(&mut self, section: &'static Section, header: &Header) {
        let with_section =
            |key: &Descriptor| key.kind.section().filter(|section| !section.doc.is_empty());
        for key in section.keys().filter(|key| with_section(key).is_none()) {
            self.setting(key, header.on);
        }
        for key in section.keys() {
            if let Some(nested) = with_section(key) {
                self.nested(key, nested, &header.below(key));
            }
        }
    }

    fn setting(&mut self, key: &Descriptor, on: bool) {
        self.text.push('\n');
        self.prose(key.doc);
        self.prose(&capitalised(&key.kind.expected()));
        let (on, literal) = match (key.default, key.example) {
            (Some(default), _) => (on, default.to_owned()),
            (None, Some(example)) => (on && key.shown, example.to_owned()),
            (None, None) => (false, placeholder(key.kind)),
        };
        self.line(on, &format!("{} = {literal}", key.name));
    }

    fn nested(&mut self, key: &Descriptor, section: &'static Section, header: &Header) {
        self.text.push('\n');
        self.prose(section.doc);
        if matches!(key.kind, Kind::FlagOr(_)) {
            self.prose(&format!(
                "`{} = true` is the same with all its defaults.",
                key.name
            ));
        }
        if let (Kind::TextOr(_) | Kind::OneOrMore(_), Some(first)) = (key.kind, section.first_key())
        {
            self.prose(&format!(
                "`{} = \"…\"` is the same with `{}` alone.",
                key.name, first.name
            ));
        }
        if matches!(key.kind, Kind::OneOrMore(_)) {
            self.prose(&format!("`{} = [{{ … }}, …]` has several.", key.name));
        }
        let path = &header.path;
        let brackets = if matches!(key.kind, Kind::Tables(_)) {
            format!("[[{path}]]")
        } else {
            format!("[{path}]")
        };
        self.line(header.on, &brackets);
        self.body(section, header);
    }

    fn line(&mut self, on: bool, line: &str) {
        self.text.extend([if on { "" } else { "#" }, line, "\n"]);
    }

    /// Writes paragraphs as comments, wrapped at words.
    fn prose(&mut self, prose: &str) {
        for paragraph in prose.lines() {
            let mut line = "#".to_owned();
            for word in paragraph.split_whitespace() {
                if line.chars().count() + 1 + word.chars().count() > WIDTH {
                    self.text.extend([line.as_str(), "\n"]);
                    line.truncate(1);
                }
                line.extend([" ", word]);
            }
            self.text.extend([line.as_str(), "\n"]);
        }
    }
}

/// Capitalises a phrase: `A duration such as "60s".`
fn capitalised(phrase: &str) -> String {
    let mut rest = phrase.chars();
    let first = rest.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(rest).chain(['.']).collect()
}

/// Returns a literal of the kind, for descriptions without one.
fn placeholder(kind: Kind) -> String {
    let literal = match kind {
        Kind::Integer { min, .. } => return min.to_string(),
        Kind::OneOf(words) => return format!("{:?}", words.first().unwrap_or(&"")),
        Kind::Text | Kind::TextOr(_) => r#""""#,
        Kind::Flag | Kind::FlagOr(_) => "false",
        Kind::Size => r#""64KiB""#,
        Kind::Duration => r#""60s""#,
        Kind::Percent => r#""20 %""#,
        Kind::Texts | Kind::Tables(_) | Kind::OneOrMore(_) => "[]",
        Kind::Pairs | Kind::Table(_) | Kind::Named(_) => "{}",
    };
    literal.to_owned()
}

#[cfg(test)]
mod tests;
