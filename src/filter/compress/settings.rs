//! `compress` of a site.

use std::sync::Arc;

use http::HeaderValue;

use crate::handler::coded::{CodedCache, Effort};
use crate::message::accept_encoding::Coding;
use crate::section::{At, Key, Lowered, Problem, Problems, Section};
use crate::value::ByteSize;

/// The `compress` section of a site.
pub static COMPRESS: Section = Section {
    title: "[site.compress]",
    doc: "Answers go out in a content coding that the client accepts: files, what scripts print, pieces the moment they are flushed. Never event streams, what has a coding already, parts of files, and what says no-transform. A coded answer has its own ETag, `\"abc~br\"` for `\"abc\"`; scripts only see their own.",
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

static CODINGS: Key<Vec<At<String>>> = Key::texts("codings", "The codings, in the order in which they are preferred where a client likes several equally: \"br\", \"zstd\", \"gzip\".").default("[\"br\", \"zstd\", \"gzip\"]");

static TYPES: Key<Vec<At<String>>> = Key::texts("types", "The types: \"text/css\", \"text/*\" for all that begin so, \"*+json\" for all that end so. Event streams are never among them.").default("[\"text/*\", \"*+json\", \"*+xml\", \"application/json\", \"application/javascript\", \"application/xml\", \"application/wasm\", \"application/manifest+json\", \"application/vnd.ms-fontobject\", \"font/ttf\", \"font/otf\", \"image/bmp\", \"image/x-icon\", \"image/vnd.microsoft.icon\"]");

static LEVEL: Key<At<String>> = Key::one_of("level", &["fast", "balanced", "dense"], "How much work is done: \"fast\" is gzip 1, brotli 1, zstd 1; \"balanced\" gzip 6, brotli 4, zstd 3; \"dense\" gzip 9, brotli 6, zstd 9.").default("\"balanced\"");

static MINIMUM: Key<ByteSize> = Key::size(
    "minimum",
    "Answers that are known to be smaller go out as they are.",
)
.default("\"1KiB\"");

static SCRIPTS: Key<At<String>> = Key::one_of("scripts", &["guarded", "all", "none"], "Which answers are coded as far as they are somebody's own (BREACH). Such are those that set a cookie or say private or no-store, and those of scripts to requests with Cookie or Authorization, unless they say public. \"guarded\": they are coded only for requests of which the browser says (Sec-Fetch-Site) that no other site's page has sent them. \"all\": always. \"none\": nothing of scripts is coded at all.").default("\"guarded\"");

static PRECOMPRESSED: Key<bool> = Key::flag("precompressed", "Whether `app.js.br`, `app.js.zst` or `app.js.gz` is sent for app.js where it is there, is accepted, and is not more than a minute older. A lookup for each coding that the client accepts.").default("false");

static CACHE: Key<ByteSize> = Key::size("cache", "Memory for coded contents of files that are asked for again and again, each at most 1 MiB; \"0B\" for none. Empty after a reload.").default("\"32MiB\"");

/// Which answers are coded although they may hold somebody's secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    /// Those that no other site has made the browser ask for.
    Guarded,
    /// All.
    All,
    /// No answer of a script, secret or not.
    None,
}

/// How the answers of a site are coded.
#[derive(Debug)]
pub struct Compress {
    pub(super) codings: Vec<Coding>,
    types: Vec<Type>,
    pub(super) effort: Effort,
    /// Bytes.
    pub(super) minimum: u64,
    pub(super) scripts: Scripts,
    pub(super) precompressed: bool,
    pub(super) cache: Arc<CodedCache>,
}

/// Types, in lower case.
#[derive(Debug)]
enum Type {
    Is(String),
    Begins(String),
    Ends(String),
}

impl Compress {
    /// From its section.
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

    /// Whether content of this type is coded.
    pub(super) fn includes(&self, kind: &HeaderValue) -> bool {
        let text = kind.to_str().unwrap_or_default();
        let essence = text.split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
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
        let said = format!("`{}` is no coding that is spoken here", name.value);
        let problem = Problem::new(name.place.clone(), said);
        problems.push(problem.help("codings = [\"br\", \"zstd\", \"gzip\"]"));
    }
    known.copied()
}
