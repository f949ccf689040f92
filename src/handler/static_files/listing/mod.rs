//! Directory listings: HTML, or JSON if Accept prefers it. Names that are never sent are not shown.

mod order;
mod page;

use std::io;
use std::sync::Arc;

use http::{HeaderValue, Method, Response, header};
use serde_json::json;
use tokio::sync::Semaphore;

pub(super) use order::Order;

use super::unsafe_name::{NamePolicy, withheld_by};
use crate::disk::{Entries, Entry, entries};
use crate::failure::Failure;
use crate::handler::Body;
use crate::message::{OpenFolder, Request};

/// Entries of one list, at most: a page that a phone can still show.
const MOST: usize = 10_000;

/// A folder to be listed.
#[derive(Debug)]
pub struct Listing {
    folder: OpenFolder,
    /// The path of the request.
    path: Vec<u8>,
    order: Order,
    json: bool,
    head_only: bool,
    names: NamePolicy,
    turns: Arc<Semaphore>,
}

impl Listing {
    /// Builds the listing of `folder` for `request`; `names` selects the entries that are shown.
    pub(super) fn new(
        request: &Request,
        folder: OpenFolder,
        names: NamePolicy,
        turns: Arc<Semaphore>,
    ) -> Self {
        Self {
            folder,
            path: request.target.path().to_vec(),
            order: Order::parse(request.target.query().unwrap_or_default()),
            json: prefers_json(request),
            head_only: request.method == Method::HEAD,
            names,
            turns,
        }
    }

    /// Reads the folder, on a thread that may block on the disk, and writes the list.
    pub async fn into_response(self) -> Result<Response<Body>, Failure> {
        const CLOSED: Failure = Failure::Internal("the semaphore of directory listings is closed");
        let acquired = Arc::clone(&self.turns).acquire_owned().await;
        let turn = acquired.map_err(|_| CLOSED)?;
        let (json, head_only) = (self.json, self.head_only);
        let written = tokio::task::spawn_blocking(move || {
            // A client that disconnects does not end the work, which keeps its permit to the end.
            let _turn = turn;
            self.write()
        });
        let text = written
            .await
            .map_err(|_| Failure::Internal("a directory listing was aborted"))?
            .map_err(Failure::Disk)?;
        Ok(answer(text, json, head_only))
    }

    fn write(self) -> io::Result<String> {
        let below = self.folder.path.clone();
        let shown = |name: &[u8], is_folder: bool| {
            let full = [below.as_slice(), name].concat();
            let withheld = withheld_by(&full, &self.names);
            // Names with control bytes cannot be requested.
            withheld.is_none_or(|why| is_folder && why.is_of_a_file())
                && !name.iter().any(u8::is_ascii_control)
        };
        let mut found = entries(self.folder, MOST, shown)?;
        self.order.sort(&mut found.list);
        Ok(if self.json {
            write_json(&self.path, &found)
        } else {
            page::write(&self.path, &found, self.order)
        })
    }
}

fn answer(text: String, json: bool, head_only: bool) -> Response<Body> {
    let length = HeaderValue::from(text.len());
    let mut response = Response::new(if head_only {
        Body::empty()
    } else {
        Body::bytes(text)
    });
    let kind = if json {
        "application/json"
    } else {
        "text/html; charset=utf-8"
    };
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_LENGTH, length);
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::VARY, "Accept"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // File names are untrusted: no script in them can run.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Reports whether Accept (RFC 9110 §12.5.1) names JSON with a higher weight than HTML.
fn prefers_json(request: &Request) -> bool {
    let fields = request.fields.get_all(header::ACCEPT);
    let ranges: Vec<_> = fields
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(media_range)
        .collect();
    let quality = |wanted: &[&str]| {
        let found = wanted
            .iter()
            .find_map(|name| ranges.iter().find(|(range, _)| range == name));
        found.map(|(_, quality)| *quality)
    };
    let json = quality(&["application/json"]).unwrap_or(0.0);
    json > 0.0 && json > quality(&["text/html", "text/*"]).unwrap_or(0.0)
}

fn media_range(text: &str) -> (String, f32) {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default().to_ascii_lowercase();
    let quality = parts
        .find_map(|part| part.strip_prefix("q="))
        .and_then(|number| number.parse().ok());
    (range, quality.unwrap_or(1.0))
}

fn write_json(path: &[u8], found: &Entries) -> String {
    let entry = |entry: &Entry| {
        json!({
            "name": String::from_utf8_lossy(&entry.name),
            "href": page::href(entry),
            "type": if entry.is_folder { "directory" } else { "file" },
            "size": (!entry.is_folder).then_some(entry.length),
            "mtime": page::timestamp(entry.modified).map(|time| time.to_string()),
        })
    };
    let list = json!({
        "path": String::from_utf8_lossy(path),
        "complete": found.complete,
        "entries": found.list.iter().map(entry).collect::<Vec<_>>(),
    });
    list.to_string()
}

#[cfg(test)]
mod tests;
