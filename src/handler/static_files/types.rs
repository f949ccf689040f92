//! The media type of a file by its extension: from the site's `types`, from its `mime.types`, from a built-in table.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use http::HeaderValue;

use crate::files::Files;
use crate::section::{At, Problem, Problems, absolute_path};

/// The largest `mime.types`, in bytes: Debian's has 70 KiB.
const MOST: u64 = 4 * 1024 * 1024;

/// The charset of text types without one.
pub(super) const DEFAULT_CHARSET: &str = "utf-8";

/// Extensions with a prepared field value; those of others are built for each request.
const FREQUENT: [&str; 40] = [
    "html",
    "htm",
    "css",
    "js",
    "mjs",
    "json",
    "map",
    "txt",
    "xml",
    "svg",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "webp",
    "avif",
    "ico",
    "woff",
    "woff2",
    "ttf",
    "otf",
    "eot",
    "pdf",
    "zip",
    "gz",
    "tar",
    "mp3",
    "mp4",
    "webm",
    "ogg",
    "wav",
    "csv",
    "md",
    "wasm",
    "webmanifest",
    "doc",
    "docx",
    "xls",
    "xlsx",
    "ics",
];

/// The built-in types in the default charset, shared by the sites that change neither.
static COMMON: LazyLock<Arc<HashMap<String, HeaderValue>>> =
    LazyLock::new(|| Arc::new(frequent(DEFAULT_CHARSET)));

/// Media types by extension.
#[derive(Clone, Debug)]
pub(super) struct Types {
    known: Arc<HashMap<String, HeaderValue>>,
    /// Configured types, to be rebuilt for another charset.
    given: Vec<(String, String)>,
    charset: String,
}

impl Types {
    /// Builds the built-in types; text has `charset`, or none if that is empty.
    pub(super) fn new(charset: &str) -> Self {
        Self {
            known: match charset {
                DEFAULT_CHARSET => Arc::clone(&COMMON),
                _ => Arc::new(frequent(charset)),
            },
            given: Vec::new(),
            charset: charset.to_owned(),
        }
    }

    /// Returns the same types with text in another charset.
    pub(super) fn in_charset(self, charset: &str) -> Self {
        let mut types = Self::new(charset);
        for (extension, kind) in &self.given {
            types.insert(extension, kind);
        }
        types
    }

    /// Returns the type of the file at `path`.
    pub(super) fn of(&self, path: &[u8]) -> HeaderValue {
        let extension = extension(path);
        if let Some(known) = self.known.get(extension) {
            return known.clone();
        }
        let lower = extension.to_ascii_lowercase();
        match self.known.get(&lower) {
            Some(known) => known.clone(),
            None => header(essence(&lower), &self.charset),
        }
    }

    /// Sets a configured type: `extension` with or without its dot.
    pub(super) fn set(
        &mut self,
        extension: &At<String>,
        kind: &At<String>,
        problems: &mut Problems,
    ) {
        let valid = kind.value.contains('/') && HeaderValue::from_str(&kind.value).is_ok();
        if !valid {
            let message = format!("`{}` is not a media type", kind.value);
            let problem = Problem::new(kind.place.clone(), message);
            problems.push(problem.help("write one as \"text/plain\""));
            return;
        }
        self.insert(extension.value.trim_start_matches('.'), &kind.value);
    }

    /// Reads a file in the format of Debian's /etc/mime.types: a type and its extensions a line.
    pub(super) fn read(&mut self, file: &At<String>, files: &Files, problems: &mut Problems) {
        let Some(path) = absolute_path(file, problems) else {
            return;
        };
        match read(&path, files) {
            Ok(text) => self.add_lines(&text),
            Err(error) => {
                let message = format!("`{}` cannot be read: {error}", file.value);
                let problem = Problem::new(file.place.clone(), message);
                problems.push(problem.help("mime_types = \"/etc/mime.types\""));
            }
        }
    }

    fn add_lines(&mut self, text: &str) {
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let Some(kind) = words.next().filter(|kind| kind.contains('/')) else {
                continue;
            };
            words.for_each(|extension| self.insert(extension, kind));
        }
    }

    fn insert(&mut self, extension: &str, kind: &str) {
        let extension = extension.to_ascii_lowercase();
        self.given.push((extension.clone(), kind.to_owned()));
        Arc::make_mut(&mut self.known).insert(extension, header(kind, &self.charset));
    }
}

fn frequent(charset: &str) -> HashMap<String, HeaderValue> {
    let types = FREQUENT.map(|extension| {
        let header = header(essence(extension), charset);
        (extension.to_owned(), header)
    });
    HashMap::from(types)
}

/// Returns the built-in type of the file at `path`.
pub(super) fn common(path: &[u8]) -> HeaderValue {
    header(
        essence(&extension(path).to_ascii_lowercase()),
        DEFAULT_CHARSET,
    )
}

/// Returns the text behind the last dot of the last segment; empty if it is not UTF-8.
fn extension(path: &[u8]) -> &str {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let dot = name.iter().rposition(|byte| *byte == b'.');
    let extension = dot.and_then(|dot| name.get(dot + 1..)).unwrap_or_default();
    str::from_utf8(extension).unwrap_or_default()
}

/// Returns the built-in type without parameters; `extension` is lower-case.
fn essence(extension: &str) -> &'static str {
    // The table of mime_guess is older than the registrations of these.
    let known = match extension {
        "js" | "mjs" => Some("text/javascript"),
        "webp" => Some("image/webp"),
        "avif" => Some("image/avif"),
        "wasm" => Some("application/wasm"),
        "webmanifest" => Some("application/manifest+json"),
        _ => mime_guess::from_ext(extension).first_raw(),
    };
    known.unwrap_or("application/octet-stream")
}

fn header(kind: &str, charset: &str) -> HeaderValue {
    let is_complete = charset.is_empty() || kind.contains(';') || !is_text(kind);
    let value = if is_complete {
        HeaderValue::from_str(kind)
    } else {
        HeaderValue::from_str(&format!("{kind}; charset={charset}"))
    };
    value.unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

fn is_text(kind: &str) -> bool {
    kind.starts_with("text/")
        || matches!(
            kind,
            "application/json" | "application/xml" | "application/manifest+json"
        )
}

fn read(path: &Path, files: &Files) -> io::Result<String> {
    files.read(path, MOST)?.text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(types: &Types, rows: &[(&[u8], &str)]) {
        for (path, expected) in rows {
            assert_eq!(types.of(path), expected, "{}", path.escape_ascii());
        }
    }

    #[test]
    fn known_and_unknown_extensions() {
        let rows: [(&[u8], &str); 9] = [
            (b"/a.html", "text/html; charset=utf-8"),
            (b"/a.HTML", "text/html; charset=utf-8"),
            (b"/a.b.Js", "text/javascript; charset=utf-8"),
            (b"/a.svg", "image/svg+xml"),
            (b"/a.tar.gz", "application/gzip"),
            (b"/a", "application/octet-stream"),
            (b"/a.", "application/octet-stream"),
            (b"/d.html/a", "application/octet-stream"),
            (b"/a.\xff", "application/octet-stream"),
        ];
        check(&Types::new(DEFAULT_CHARSET), &rows);
        assert_eq!(Types::new("").of(b"/a.txt"), "text/plain");
        assert_eq!(common(b"/a.TXT"), "text/plain; charset=utf-8");
    }

    #[test]
    fn a_file_of_types_in_the_format_of_debian() {
        let mut types = Types::new(DEFAULT_CHARSET);
        types.add_lines(
            "# comment\ntext/x-own\town OWN2 # more\n\napplication/x-none\nimage/x-a  svg\nnonsense a\n",
        );
        let rows: [(&[u8], &str); 4] = [
            (b"/a.own", "text/x-own; charset=utf-8"),
            (b"/a.own2", "text/x-own; charset=utf-8"),
            (b"/a.svg", "image/x-a"),
            (b"/a.a", "application/octet-stream"),
        ];
        check(&types, &rows);
        let other = types.in_charset("x");
        check(
            &other,
            &[
                (b"/a.own", "text/x-own; charset=x"),
                (b"/a.svg", "image/x-a"),
            ],
        );
    }
}
