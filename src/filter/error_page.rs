//! `[[site.error_page]]`: content in place of that of an error, as with nginx's error_page. The status is always kept. Files
//! and texts are in memory, so that they are available when PHP and the disk are not.

mod fields;

use std::path::{Component, Path};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::ext::ReasonPhrase;

use crate::files::Files;
use crate::handler::{Body, Trace};
use crate::message::Root;
use crate::section::{At, Key, Lowered, Problem, Problems, Section, absolute_path};

/// The `[[site.error_page]]` section.
pub static ERROR_PAGE: Section = Section {
    title: "[[site.error_page]]",
    doc: "Content in place of that of an error: exactly one of `file`, `body` and `path`. The status is unchanged. The first matching page applies.",
    groups: &[&[&STATUS, &WHEN, &FILE, &BODY, &CONTENT_TYPE, &PATH]],
};

static STATUS: Key<Vec<At<String>>> =
    Key::texts("status", "Statuses and classes of statuses.").example("[\"404\", \"5xx\"]");

static WHEN: Key<At<String>> = Key::one_of("when", &["gateway", "empty", "always"], "Errors with this page. \"gateway\": those of the gateway itself, for a missing file, a refusal, a PHP that cannot be reached; \"empty\": also those of PHP without content; \"always\": all.").default("\"gateway\"");

static FILE: Key<Option<At<String>>> = Key::text("file", "A file: an absolute path, or one relative to the site's root. Read with the configuration, up to 1 MiB.").example("\"errors/404.html\"");

static BODY: Key<Option<At<String>>> =
    Key::text("body", "A text, sent literally, without substitution.")
        .example("\"Back in a minute.\"");

static CONTENT_TYPE: Key<Option<At<String>>> = Key::text(
    "content_type",
    "The Content-Type of `file` or `body`; default: by the file's name, else text.",
)
.example("\"text/html; charset=utf-8\"");

static PATH: Key<Option<At<String>>> = Key::text("path", "A path of this site, requested by GET in an internal round, as with Apache's ErrorDocument: a script gets REDIRECT_STATUS, REDIRECT_URL, REDIRECT_QUERY_STRING and REDIRECT_REQUEST_METHOD. If it fails too, the gateway's own page is sent.").example("\"/error.php\"");

/// The largest file, in bytes: it is kept in memory.
const MOST_BYTES: u64 = 1024 * 1024;

/// The error pages of a site, in order.
#[derive(Debug, Default)]
pub struct ErrorPages(Vec<ErrorPage>);

#[derive(Debug)]
struct ErrorPage {
    statuses: Vec<Statuses>,
    when: When,
    content: Content,
}

/// The content of an error page.
#[derive(Debug)]
pub enum Content {
    /// Bytes in memory and their type.
    Ready(Bytes, HeaderValue),
    /// The path of an internal redirect.
    Path(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statuses {
    One(u16),
    Class(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Gateway,
    Empty,
    Always,
}

impl ErrorPages {
    /// Builds the pages from the sections of a site; files that cannot be read are problems.
    pub fn build(
        sections: &[Lowered],
        root: Option<&Root>,
        files: &Files,
        problems: &mut Problems,
    ) -> Self {
        let pages = sections.iter();
        Self(
            pages
                .filter_map(|section| ErrorPage::build(section, root, files, problems))
                .collect(),
        )
    }

    /// Reports whether one of them is an internal redirect.
    pub fn has_paths(&self) -> bool {
        let is_path = |page: &ErrorPage| matches!(page.content, Content::Path(_));
        self.0.iter().any(is_path)
    }

    /// Returns the page for an answer with this status; `own`: the gateway has made it; `empty`: it has no content.
    pub fn find(&self, status: StatusCode, own: bool, empty: bool) -> Option<&Content> {
        let fits = |page: &&ErrorPage| {
            let wanted = match page.when {
                When::Always => true,
                When::Empty => own || empty,
                When::Gateway => own,
            };
            wanted
                && page
                    .statuses
                    .iter()
                    .any(|statuses| statuses.contains(status))
        };
        self.0.iter().find(fits).map(|page| &page.content)
    }
}

impl ErrorPage {
    fn build(
        section: &Lowered,
        root: Option<&Root>,
        files: &Files,
        problems: &mut Problems,
    ) -> Option<Self> {
        let given = [&FILE, &BODY, &PATH].map(|key| section.is_given(key));
        if given.iter().filter(|given| **given).count() != 1 {
            let message = "an error page has one of `file`, `body` and `path`";
            problems.push(Problem::new(section.place(), message));
            return None;
        }
        let statuses: Vec<_> = section
            .get(&STATUS)
            .iter()
            .filter_map(|text| Statuses::parse(text, problems))
            .collect();
        if statuses.is_empty() && !section.get(&STATUS).is_empty() {
            // Each of them is a problem already.
            return None;
        }
        if statuses.is_empty() {
            let message = "an error page needs `status`";
            problems
                .push(Problem::new(section.place(), message).help("status = [\"404\", \"5xx\"]"));
            return None;
        }
        let when = match section.get(&WHEN).as_str() {
            "always" => When::Always,
            "empty" => When::Empty,
            _ => When::Gateway,
        };
        Some(Self {
            statuses,
            when,
            content: content(section, root, files, problems)?,
        })
    }
}

impl Statuses {
    fn parse(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        let class = text.value.strip_suffix("xx").map(str::parse::<u16>);
        let found = match (class, text.value.parse()) {
            (Some(Ok(class @ 4..=5)), _) => Some(Self::Class(class)),
            (None, Ok(status @ 400..=599)) => Some(Self::One(status)),
            (Some(_) | None, _) => None,
        };
        if found.is_none() {
            let message = format!("`{}` is not an error status", text.value);
            problems.push(
                Problem::new(text.place.clone(), message)
                    .help("write \"404\", or \"4xx\" or \"5xx\" for all of a class"),
            );
        }
        found
    }

    fn contains(self, status: StatusCode) -> bool {
        match self {
            Self::One(one) => status == one,
            Self::Class(class) => status.as_u16() / 100 == class,
        }
    }
}

fn content(
    section: &Lowered,
    root: Option<&Root>,
    files: &Files,
    problems: &mut Problems,
) -> Option<Content> {
    if let Some(path) = section.get(&PATH) {
        if !path.value.starts_with('/') {
            let message = format!("`{}` does not begin with `/`", path.value);
            problems.push(Problem::new(path.place.clone(), message));
            return None;
        }
        return Some(Content::Path(path.value.into_bytes()));
    }
    let (bytes, guessed) = match section.get(&FILE) {
        Some(file) => read(&file, root, files, problems)?,
        None => {
            let body = section.get(&BODY).map(|text| text.value);
            (Bytes::from(body.unwrap_or_default()), TEXT.to_owned())
        }
    };
    let written = section.get(&CONTENT_TYPE);
    let media_type = written
        .as_ref()
        .map_or(guessed.as_str(), |text| &text.value);
    match HeaderValue::from_str(media_type) {
        Ok(value) => Some(Content::Ready(bytes, value)),
        Err(_) => {
            let message = "the content type cannot be the value of a header field";
            problems.push(Problem::new(section.place_of(&CONTENT_TYPE), message));
            None
        }
    }
}

fn read(
    file: &At<String>,
    root: Option<&Root>,
    files: &Files,
    problems: &mut Problems,
) -> Option<(Bytes, String)> {
    let path = match root {
        Some(root) if is_below(&file.value) => root.0.join(&file.value),
        Some(_) | None => absolute_path(file, problems)?,
    };
    let read = match files.status(&path) {
        Ok(status) if status.is_file() && status.size <= MOST_BYTES => files
            .read(&path, MOST_BYTES)
            .map_err(|error| error.to_string()),
        Ok(status) if status.is_file() => Err(format!("{} bytes, more than 1 MiB", status.size)),
        Ok(_) => Err("not a regular file".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    match read {
        Ok(content) => Some((Bytes::copy_from_slice(&content), media_type(&path))),
        Err(message) => {
            let message = format!("the error page {}: {message}", path.display());
            problems.push(Problem::new(file.place.clone(), message));
            None
        }
    }
}

/// Reports whether a path is relative and does not climb.
fn is_below(path: &str) -> bool {
    let mut components = Path::new(path).components();
    components.all(|component| matches!(component, Component::Normal(_) | Component::CurDir))
}

fn media_type(path: &Path) -> String {
    let essence = mime_guess::from_path(path)
        .first_raw()
        .unwrap_or("text/html");
    if essence.starts_with("text/") {
        format!("{essence}; charset=utf-8")
    } else {
        essence.to_owned()
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

/// Builds the page of bytes in memory, with the trace of the response in whose place it is sent.
pub fn ready_page(bytes: Bytes, media_type: HeaderValue, trace: Trace) -> Response<Body> {
    let mut page = Response::new(Body::bytes(bytes));
    page.headers_mut().insert(header::CONTENT_TYPE, media_type);
    page.body_mut().trace = trace;
    page
}

/// Returns `failed` with the content of `page`, and with the fields of both that hold for it.
pub fn substitute(failed: &Response<Body>, mut page: Response<Body>) -> Response<Body> {
    let status = failed.status();
    *page.status_mut() = status;
    // The reason phrase goes with the status: that of the page belongs to its own.
    page.extensions_mut().remove::<ReasonPhrase>();
    if let Some(reason) = failed.extensions().get::<ReasonPhrase>() {
        page.extensions_mut().insert(reason.clone());
    }
    *page.headers_mut() = fields::combine(status, failed.headers(), page.headers());
    page
}

/// Reports whether an answer is known to have no content.
pub fn is_empty(response: &Response<Body>) -> bool {
    http_body::Body::size_hint(response.body()).exact() == Some(0)
}

/// Removes the fields of a request that do not apply to its error page.
pub fn remove_content_fields(fields: &mut HeaderMap) {
    for name in [
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::RANGE,
        header::IF_RANGE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
        header::EXPECT,
    ] {
        fields.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_makers_select_the_page() {
        let page = |statuses, when| ErrorPage {
            statuses,
            when,
            content: Content::Path(Vec::new()),
        };
        let pages = |when| {
            ErrorPages(vec![page(
                vec![Statuses::One(404), Statuses::Class(5)],
                when,
            )])
        };
        let found = |when, status: u16, own, empty| {
            let status = StatusCode::from_u16(status).unwrap();
            pages(when).find(status, own, empty).is_some()
        };
        for (when, own, empty, expected) in [
            (When::Gateway, true, false, true),
            (When::Gateway, false, true, false),
            (When::Empty, true, false, true),
            (When::Empty, false, true, true),
            (When::Empty, false, false, false),
            (When::Always, false, false, true),
        ] {
            assert_eq!(
                found(when, 404, own, empty),
                expected,
                "{when:?} {own} {empty}"
            );
            assert_eq!(
                found(when, 503, own, empty),
                expected,
                "{when:?} {own} {empty}"
            );
            assert!(!found(when, 403, own, empty));
        }
    }
}
