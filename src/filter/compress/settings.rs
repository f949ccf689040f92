//! The settings of `compress`.

use std::sync::Arc;

use http::HeaderValue;

use crate::handler::coded::{CodedCache, Effort};
use crate::message::accept_encoding::Coding;
use crate::section::{At, Key, Lowered, Problem, Problems, Section};
use crate::value::ByteSize;

/// The `compress` section of a site.
pub static COMPRESS: Section = Section {
    title: "[site.compress]",
    doc: "Compresses answers in a content coding that the client accepts: files, and the output of scripts, each piece when it is flushed. Excluded are event streams, answers that have a coding already, parts of files, and answers with no-transform. A coded answer has its own ETag, `\"abc~br\"` for `\"abc\"`; scripts only see their own.",
    groups: &[&[
        &CODINGS,
        &TYPES,
        &LEVEL,
        &MINIMUM,
        &SCRIPTS,
        &PRECOMPRESSED,
        &CACHE,
    ]],
};

static CODINGS: Key<Vec<At<String>>> = Key::texts("codings", "Codings, in order of preference among those that the client accepts equally: \"br\", \"zstd\", \"gzip\".").default("[\"br\", \"zstd\", \"gzip\"]");

static TYPES: Key<Vec<At<String>>> = Key::texts("types", "Media types: \"text/css\", \"text/*\" for all that begin so, \"*+json\" for all that end so. Event streams are always excluded.").default("[\"text/*\", \"*+json\", \"*+xml\", \"application/json\", \"application/javascript\", \"application/xml\", \"application/wasm\", \"application/manifest+json\", \"application/vnd.ms-fontobject\", \"font/ttf\", \"font/otf\", \"image/bmp\", \"image/x-icon\", \"image/vnd.microsoft.icon\"]");

static LEVEL: Key<At<String>> = Key::one_of("level", &["fast", "balanced", "dense"], "Compression level: \"fast\" is gzip 1, brotli 1, zstd 1; \"balanced\" gzip 6, brotli 4, zstd 3; \"dense\" gzip 9, brotli 6, zstd 9.").default("\"balanced\"");

static MINIMUM: Key<ByteSize> = Key::size(
    "minimum",
    "Minimum size of a compressed answer; one that is known to be smaller is sent as it is.",
)
.default("\"1KiB\"");

static SCRIPTS: Key<At<String>> = Key::one_of("scripts", &["guarded", "all", "none"], "Compression of answers for one user, whose compressed size can reveal secrets in them (BREACH): those that set a cookie or have private or no-store, and those of scripts to requests with Cookie or Authorization, unless they have public. \"guarded\": only for requests that were not sent by a page of another site, according to the browser's Sec-Fetch-Site. \"all\": always. \"none\": no answer of a script is compressed.").default("\"guarded\"");

static PRECOMPRESSED: Key<bool> = Key::flag("precompressed", "Sends `app.js.br`, `app.js.zst` or `app.js.gz` for app.js if it exists, is accepted, and is not more than a minute older than it. Costs a lookup for each coding that the client accepts.").default("false");

static CACHE: Key<ByteSize> = Key::size("cache", "Memory for compressed contents of frequently requested files, each at most 1 MiB; \"0B\": none. Empty after a reload.").default("\"32MiB\"");

/// The policy for answers that may hold secrets of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    /// Code them if no other site's page caused the request.
    Guarded,
    /// Code all.
    All,
    /// Code no answer of a script, secret or not.
    None,
}

/// Settings of content codings of a site.
#[derive(Debug)]
pub struct Compress {
    pub(super) codings: Vec<Coding>,
    types: Vec<Type>,
    pub(super) effort: Effort,
    /// The least length that is coded, in bytes.
    pub(super) minimum: u64,
    pub(super) scripts: Scripts,
    pub(super) precompressed: bool,
    pub(super) cache: Arc<CodedCache>,
}

/// A pattern of media types, in lower case.
#[derive(Debug)]
enum Type {
    Is(String),
    Begins(String),
    Ends(String),
}

impl Compress {
    /// Builds the settings from their section.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Self {
        let codings = section.get(&CODINGS);
        let types = section.get(&TYPES).into_iter();
        Self {
            codings: codings
                .iter()
                .filter_map(|name| coding(name, problems))
                .collect(),
            types: types.map(|text| Type::of(&text.value)).collect(),
            effort: match section.get(&LEVEL).as_str() {
                "fast" => Effort::Fast,
                "dense" => Effort::Dense,
                _ => Effort::Balanced,
            },
            minimum: section.get(&MINIMUM).0,
            scripts: match section.get(&SCRIPTS).as_str() {
                "all" => Scripts::All,
                "none" => Scripts::None,
                _ => Scripts::Guarded,
            },
            precompressed: section.get(&PRECOMPRESSED),
            cache: Arc::new(CodedCache::new(section.get(&CACHE).0)),
        }
    }

    /// Reports whether content of this type is coded.
    pub(super) fn includes(&self, kind: &HeaderValue) -> bool {
        let text = kind.to_str().unwrap_or_default();
        let written = text.split(';').next().unwrap_or_default();
        let essence = written.trim().to_ascii_lowercase();
        essence != "text/event-stream" && self.types.iter().any(|known| known.fits(&essence))
    }
}

impl Type {
    fn of(text: &str) -> Self {
        let text = text.trim().to_ascii_lowercase();
        if let Some(beginning) = text.strip_suffix('*') {
            return Self::Begins(beginning.to_owned());
        }
        match text.strip_prefix('*') {
            Some(end) => Self::Ends(end.to_owned()),
            None => Self::Is(text),
        }
    }

    fn fits(&self, essence: &str) -> bool {
        match self {
            Self::Is(known) => essence == known,
            Self::Begins(beginning) => essence.starts_with(beginning),
            Self::Ends(end) => essence.ends_with(end),
        }
    }
}

fn coding(name: &At<String>, problems: &mut Problems) -> Option<Coding> {
    let known = Coding::ALL
        .iter()
        .find(|coding| coding.name() == name.value);
    if known.is_none() {
        let message = format!("`{}` is not a supported coding", name.value);
        let problem = Problem::new(name.place.clone(), message);
        problems.push(problem.help("codings = [\"br\", \"zstd\", \"gzip\"]"));
    }
    known.copied()
}
