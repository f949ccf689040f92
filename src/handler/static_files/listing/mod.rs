//! A folder as a list of what stands in it: HTML for people, JSON where Accept prefers it. What
//! would never be sent is not shown.

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

/// Entries of one list: a page that a phone can still show.
const MOST: usize = 10_000;

/// A folder that is to be listed.
#[derive(Debug)]
pub struct Listing {
    folder: OpenFolder,
    /// Its path as the client knows it.
    path: Vec<u8>,
    order: Order,
    json: bool,
    head_only: bool,
    names: NamePolicy,
    turns: Arc<Semaphore>,
}

impl Listing {
    /// The list that `request` gets of `folder`; `names` says which are shown.
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

    /// Reads the folder, on a thread that may wait for the disk, and writes the list.
    pub async fn into_response(self) -> Result<Response<Body>, Failure> {
        const CLOSED: Failure = Failure::Internal("no folder is listed any more");
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| CLOSED)?;
        let (json, head_only) = (self.json, self.head_only);
        let written = tokio::task::spawn_blocking(move || {
            // A client that leaves does not end the work: it keeps its turn to the end.
            let _turn = turn;
            self.write()
        });
        let text = written
            .await
            .map_err(|_| Failure::Internal("a listing broke off"))?
            .map_err(Failure::Disk)?;
        Ok(answer(text, json, head_only))
    }

    fn write(self) -> io::Result<String> {
        let below = self.folder.path.clone();
        let shown = |name: &[u8], is_folder: bool| {
            let full = [below.as_slice(), name].concat();
            let withheld = withheld_by(&full, &self.names);
            // Names with control bytes cannot be asked for.
            withheld.is_none_or(|why| is_folder && why.is_of_a_file())
                && !name.iter().any(u8::is_ascii_control)
        };
        let mut found = entries(self.folder, MOST, shown)?;
        self.order.sort(&mut found.list);
        Ok(match self.json {
            true => write_json(&self.path, &found),
            false => page::write(&self.path, &found, self.order),
        })
    }
}

fn answer(text: String, json: bool, head_only: bool) -> Response<Body> {
    let length = HeaderValue::from(text.len());
    let mut response = Response::new(match head_only {
        true => Body::empty(),
        false => Body::bytes(text),
    });
    let kind = match json {
        true => "application/json",
        false => "text/html; charset=utf-8",
    };
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_LENGTH, length);
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::VARY, "Accept"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Names are written by others: no script of theirs can ever run.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// RFC 9110 §12.5.1, for the two types that there are: JSON where it is named and HTML is not
/// wanted more.
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
