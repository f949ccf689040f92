//! Settings of file delivery, apart from the root: `files` of a site, and the same keys in a rule's `static_files`, which
//! take precedence for that rule.

use std::sync::Arc;

use http::HeaderValue;
use tokio::sync::Semaphore;

use super::caching::{CACHE, CacheRule, IMMUTABLE, is_hashed};
use super::types::{CHARSET, Types};
use super::unsafe_name::{ALLOWED_NAMES, NamePolicy, WITHHELD_EXTENSIONS};
use crate::message::{Speaker, Symlinks};
use crate::section::{Key, Kind, Lowered, Problems, Section};

/// Concurrent listings of a site: each takes a thread.
const LISTINGS: usize = 4;

pub(super) const LISTING: Key = Key::new("listing", Kind::Flag, "Whether a folder without index file is shown as a list: as HTML, or as JSON where the client prefers it by Accept. What is never sent is not shown.").default("false");

/// The policies of `symlinks`.
const POLICIES: Kind = Kind::OneOf(&["within-root", "never", "same-owner", "anywhere"]);

/// `symlinks` of a rule's `fastcgi`.
pub const SCRIPT_SYMLINKS: Key = Key::new(
    "symlinks",
    POLICIES,
    "Which symbolic links lead to scripts, as `files.symlinks` of the site, which is the default.",
)
.example("\"same-owner\"");

pub(super) const SYMLINKS: Key = Key::new("symlinks", POLICIES, "Which symbolic links are followed: \"within-root\" relative ones that stay below the root; \"never\" none; \"same-owner\" those to what the owner of the link owns, wherever it is; \"anywhere\" all. The root itself may be a link; it is resolved anew each second, and for each request with `server.file_cache = \"0\"`.").default("\"within-root\"");

pub(super) const MIME_TYPES: Key = Key::new("mime_types", Kind::Text, "A file of types and their extensions, an absolute path, in the format of Debian's /etc/mime.types; it comes before what is commonly known.").example("\"/etc/mime.types\"");

pub(super) const TYPES: Key = Key::new(
    "types",
    Kind::Pairs,
    "Types by extension, before all others.",
)
.example("{ gpx = \"application/gpx+xml\" }");

pub(super) const CHARSET_KEY: Key = Key::new(
    "charset",
    Kind::Text,
    "What is said of text whose type does not say it; \"\" for nothing.",
)
.default("\"utf-8\"");

pub(super) const CACHE_KEY: Key = Key::new(
    "cache",
    Kind::Tables(&CACHE),
    "How long caches may keep files; the first that fits counts. `types` are as \"text/css\" or \"image/*\" and `match` is a regular expression for the path, both any by default; `expires` is for how long, or `control` the whole of Cache-Control.",
)
.example("[{ types = [\"image/*\"], expires = \"30d\" }]");

pub(super) const IMMUTABLE_KEY: Key = Key::new("immutable", Kind::Flag, "Whether names with a hash in front of their extension, as in `app.3f2a1b9c.js`, are kept for a year and never asked for again: such a name is never used for other content. Comes before `cache`.").default("false");

/// The `files` section of a site.
pub static FILES: Section = Section {
    title: "[site.files]",
    doc: "How files are sent: those of `root`, and those of every static_files rule that does not say it otherwise. Mounts have it too, but for `listing`.",
    keys: &KEYS,
};

/// The `files` section of a mount.
pub static MOUNTED_FILES: Section = Section {
    title: "[site.mount.files]",
    doc: "How files of the mount are sent; what is not said here is as `files` of the site says it, but `listing` is not: a folder of a mount is listed where the mount says so.",
    keys: &KEYS,
};

const KEYS: [Key; 9] = [
    LISTING,
    SYMLINKS,
    MIME_TYPES,
    TYPES,
    CHARSET_KEY,
    CACHE_KEY,
    IMMUTABLE_KEY,
    WITHHELD_EXTENSIONS,
    ALLOWED_NAMES,
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
    pub(super) speaker: Arc<Speaker>,
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
            types: Types::new(CHARSET),
            listings: Arc::new(Semaphore::new(LISTINGS)),
            speaker: Arc::default(),
            names: NamePolicy::default(),
            cache: Vec::new(),
            immutable: false,
        }
    }
}

impl FileSettings {
    /// Builds the settings of `section`; keys without a value have that of `base`.
    pub fn build(section: &Lowered, base: &Self, problems: &mut Problems) -> Self {
        let mut settings = Self {
            speaker: Arc::default(),
            ..base.clone()
        };
        if section.is_given("listing") {
            settings.listing = section.flag("listing");
        }
        if let Some(symlinks) = symlinks(section) {
            settings.symlinks = symlinks;
        }
        if section.is_given("cache") {
            let rules = section.tables("cache").iter();
            settings.cache = rules
                .filter_map(|rule| CacheRule::build(rule, problems))
                .collect();
        }
        if section.is_given("immutable") {
            settings.immutable = section.flag("immutable");
        }
        settings.names = base.names.with(section, problems);
        settings.add_types(section, problems);
        settings
    }

    fn add_types(&mut self, section: &Lowered, problems: &mut Problems) {
        if section.is_given("charset") {
            let text = section.text("charset");
            let charset = text.as_ref().map_or("", |text| text.value.as_str());
            self.types = self.types.clone().in_charset(charset);
        }
        if let Some(file) = section.text("mime_types") {
            self.types.read(&file, problems);
        }
        for (extension, kind) in section.pairs("types") {
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
            return Some(HeaderValue::from_static(IMMUTABLE));
        }
        let rule = self.cache.iter().find(|rule| rule.fits(path, kind));
        rule.map(CacheRule::value)
    }
}

/// Returns the policy for symbolic links of a section that has one.
pub fn symlinks(section: &Lowered) -> Option<Symlinks> {
    let text = section.text("symlinks");
    let given = text.filter(|_| section.is_given("symlinks"))?;
    Some(match given.value.as_str() {
        "never" => Symlinks::Never,
        "same-owner" => Symlinks::SameOwner,
        "anywhere" => Symlinks::Anywhere,
        _ => Symlinks::WithinRoot,
    })
}
