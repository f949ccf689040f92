//! Settings of file delivery, apart from the root: `files` of a site, and the same keys in a rule's `static_files`, which
//! take precedence for that rule.

use std::sync::Arc;

use http::HeaderValue;
use tokio::sync::Semaphore;

use super::caching::{CACHE, CacheRule, UNCHANGING, is_hashed};
use super::types::{DEFAULT_CHARSET, Types};
use super::unsafe_name::{ALLOWED_NAMES, NamePolicy, WITHHELD_EXTENSIONS};
use crate::files::Files;
use crate::message::{HandlerId, Symlinks};
use crate::section::{At, Group, Key, Lowered, Pairs, Problems, Section, Tables};

/// Concurrent listings of a site: each takes a thread.
const LISTINGS: usize = 4;

pub(crate) static LISTING: Key<bool> = Key::flag("listing", "Lists a folder without index file: as HTML, or as JSON if the client prefers it by Accept. Files that are never sent are not listed.").default("false");

/// The policies of `symlinks`.
const POLICIES: [&str; 4] = ["within-root", "never", "same-owner", "anywhere"];

/// `symlinks` of a rule's `fastcgi`.
pub static SCRIPT_SYMLINKS: Key<Option<At<String>>> = Key::one_of(
    "symlinks",
    &POLICIES,
    "Symbolic links that may lead to scripts, as in `files.symlinks` of the site, which is the default.",
)
.example("\"same-owner\"");

pub(crate) static SYMLINKS: Key<At<String>> = Key::one_of("symlinks", &POLICIES, "Followed symbolic links. \"within-root\": relative ones that stay below the root; \"never\": none; \"same-owner\": those to files of the owner of the link, anywhere; \"anywhere\": all. The root itself may be a link; it is resolved anew each second, and for each request with `server.file_cache = \"0\"`.").default("\"within-root\"");

pub(super) static MIME_TYPES: Key<Option<At<String>>> = Key::text("mime_types", "File of media types and their extensions, an absolute path, in the format of Debian's /etc/mime.types, of at most 4 MiB; it takes precedence over the built-in types.").example("\"/etc/mime.types\"");

pub(super) static TYPES: Key<Pairs> = Key::pairs(
    "types",
    "Media types by extension; they take precedence over all others.",
)
.example("{ gpx = \"application/gpx+xml\" }");

pub(super) static CHARSET: Key<At<String>> = Key::text(
    "charset",
    "charset parameter of text types without one; \"\": none.",
)
.default("\"utf-8\"");

pub(super) static CACHE_RULES: Key<Tables> = Key::tables("cache", &CACHE, "Freshness lifetime of files in caches; the first matching entry applies. `types`, as \"text/css\" or \"image/*\", and `match`, a regular expression on the path, are any by default; `expires` is the lifetime, or `control` the whole of Cache-Control.")
.example("[{ types = [\"image/*\"], expires = \"30d\" }]");

pub(crate) static IMMUTABLE: Key<bool> = Key::flag("immutable", "Sends files with a hash in front of their extension, as in `app.3f2a1b9c.js`, with a lifetime of a year and without revalidation (immutable): such a name is never used for other content. Takes precedence over `cache`.").default("false");

/// The `files` section of a site.
pub static FILES: Section = Section {
    title: "[site.files]",
    doc: "Settings of the files of `root`, and defaults for every static_files rule. Mounts have them too, except `listing`.",
    groups: &[KEYS],
};

/// The `files` section of a mount.
pub static MOUNTED_FILES: Section = Section {
    title: "[site.mount.files]",
    doc: "Settings of the files of the mount. Default: those of `files` of the site, except `listing`, which is off unless the mount sets it.",
    groups: &[KEYS],
};

const KEYS: Group = &[
    &LISTING,
    &SYMLINKS,
    &MIME_TYPES,
    &TYPES,
    &CHARSET,
    &CACHE_RULES,
    &IMMUTABLE,
    &WITHHELD_EXTENSIONS,
    &ALLOWED_NAMES,
];

/// Settings of file delivery.
#[derive(Clone, Debug)]
pub struct FileSettings {
    /// Directory listings are enabled.
    pub(super) listing: bool,
    pub(super) symlinks: Symlinks,
    pub(super) types: Types,
    pub(super) listings: Arc<Semaphore>,
    /// Identity of the settings: the key of the fields cached with a file.
    pub(super) handler_id: Arc<HandlerId>,
    /// Names that are sent and names that are withheld.
    pub(super) names: NamePolicy,
    cache: Vec<CacheRule>,
    immutable: bool,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            listing: false,
            symlinks: Symlinks::default(),
            types: Types::new(DEFAULT_CHARSET),
            listings: Arc::new(Semaphore::new(LISTINGS)),
            handler_id: Arc::default(),
            names: NamePolicy::default(),
            cache: Vec::new(),
            immutable: false,
        }
    }
}

impl FileSettings {
    /// Builds the settings of `section`; keys without a value have that of `base`.
    pub fn build(section: &Lowered, base: &Self, files: &Files, problems: &mut Problems) -> Self {
        let mut settings = Self {
            handler_id: Arc::default(),
            ..base.clone()
        };
        if let Some(listing) = section.given(&LISTING) {
            settings.listing = listing;
        }
        if let Some(text) = section.given(&SYMLINKS) {
            settings.symlinks = policy(&text);
        }
        if let Some(rules) = section.given(&CACHE_RULES) {
            settings.cache = rules
                .iter()
                .filter_map(|rule| CacheRule::build(rule, problems))
                .collect();
        }
        if let Some(immutable) = section.given(&IMMUTABLE) {
            settings.immutable = immutable;
        }
        settings.names = base.names.with(section, problems);
        settings.add_types(section, files, problems);
        settings
    }

    fn add_types(&mut self, section: &Lowered, files: &Files, problems: &mut Problems) {
        if let Some(charset) = section.given(&CHARSET) {
            self.types = self.types.clone().in_charset(&charset);
        }
        if let Some(file) = section.get(&MIME_TYPES) {
            self.types.read(&file, files, problems);
        }
        for (extension, kind) in section.get(&TYPES) {
            self.types.set(&extension, &kind, problems);
        }
    }

    /// Returns the policy for symbolic links.
    pub fn symlinks(&self) -> Symlinks {
        self.symlinks
    }

    /// Returns Cache-Control of the file at `path`; `None` if no setting applies to it.
    pub(super) fn cache_control(&self, path: &[u8], kind: &HeaderValue) -> Option<HeaderValue> {
        if self.immutable && is_hashed(path) {
            return Some(HeaderValue::from_static(UNCHANGING));
        }
        let rule = self.cache.iter().find(|rule| rule.fits(path, kind));
        rule.map(CacheRule::value)
    }
}

/// Returns the policy of a word of `POLICIES`.
pub fn policy(word: &str) -> Symlinks {
    match word {
        "never" => Symlinks::Never,
        "same-owner" => Symlinks::SameOwner,
        "anywhere" => Symlinks::Anywhere,
        _ => Symlinks::WithinRoot,
    }
}
