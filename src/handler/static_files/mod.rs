//! `static_files`: files below a root. The decision depends on the path and on the file system object at it; `representation`
//! builds the answer.

mod caching;
mod content;
mod listing;
mod multipart;
mod representation;
mod settings;
mod types;
pub mod unsafe_name;

use http::{HeaderValue, Method, Response, StatusCode, header};

pub use content::FileContent;
pub use listing::Listing;
pub use multipart::Multipart;
pub use representation::{Description, Representation};
pub use settings::{FILES, FileSettings, MOUNTED_FILES, SCRIPT_SYMLINKS, policy};
pub(crate) use settings::{IMMUTABLE, LISTING, SYMLINKS};

use super::mount::{MOUNTED_AT, Mount};
use super::{Body, Decision, Plan, redirect};
use crate::cgi::script;
use crate::failure::Failure;
use crate::message::{Cause, Disk, Found, Request, Root, Symlinks, Target};
use crate::section::{At, Key, Lowered, Problem, Problems, Section, Table};
use unsafe_name::Withheld;

/// Allow of a file (RFC 9110 §10.2.1).
const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// The `static_files` key of a rule.
pub static KEY: Key<Table> = Key::table("static_files", &STATIC_FILES, "Sends files.")
    .example("{ root = \"/srv/app/public\", missing = \"decline\" }");

/// The `static_files` section.
pub static STATIC_FILES: Section = Section {
    title: "[site.rule.static_files]",
    doc: "Sends files. PHP scripts are never sent; dotfiles (except /.well-known/), other sources, keys, dumps and editor backups only by `allowed_names`; and nothing outside the root.",
    groups: &[&[
        &ROOT,
        &MOUNTED_AT,
        &INDEX,
        &MISSING,
        &settings::LISTING,
        &settings::SYMLINKS,
        &settings::MIME_TYPES,
        &settings::TYPES,
        &settings::CHARSET,
        &settings::CACHE_RULES,
        &settings::IMMUTABLE,
        &unsafe_name::WITHHELD_EXTENSIONS,
        &unsafe_name::ALLOWED_NAMES,
    ]],
};

static ROOT: Key<Option<At<String>>> = Key::text(
    "root",
    "Folder of the files, an absolute path; default: the site's root.",
)
.example("\"/srv/app/public\"");

static INDEX: Key<Vec<At<String>>> =
    Key::texts("index", "Index files of a folder, in order of preference.")
        .default("[\"index.html\"]");

static MISSING: Key<At<String>> = Key::one_of(
    "missing",
    &["404", "decline"],
    "Handling of a request whose file does not exist: \"404\", or \"decline\" to the next rule.",
)
.default("\"404\"");

/// A handler for files below a root.
#[derive(Debug)]
pub struct StaticFiles {
    root: Root,
    mount: Mount,
    index: Vec<String>,
    declines: bool,
    settings: FileSettings,
}

impl StaticFiles {
    /// Builds the handler from its section; `site_root` is the default of `root`, `site` that of the file settings.
    pub fn build(
        section: &Lowered,
        site_root: Option<&Root>,
        site: &FileSettings,
        problems: &mut Problems,
    ) -> Option<Self> {
        let root = match section.get(&ROOT) {
            Some(own) => Root::at(&own, problems)?,
            None => site_root.cloned().or_else(|| {
                let problem = Problem::new(section.place(), "static_files needs a `root`");
                problems.push(problem.help("set it here or on the site"));
                None
            })?,
        };
        let index = section
            .get(&INDEX)
            .into_iter()
            .map(|text| text.value)
            .collect();
        let declines = section.get(&MISSING).value == "decline";
        Some(Self {
            root,
            mount: Mount::build(section, problems),
            index,
            declines,
            settings: FileSettings::build(section, site, problems),
        })
    }

    /// Returns the root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Returns the policy for symbolic links.
    pub fn symlinks(&self) -> Symlinks {
        self.settings.symlinks()
    }

    /// Implements [`crate::handler::Handler::settled_below`].
    pub(super) fn settled_below(&self) -> Option<&str> {
        (!self.declines).then(|| self.mount.as_str())
    }

    /// Reports whether the path alone leaves every request for it to the next rule.
    pub(super) fn leaves(&self, path: &[u8]) -> bool {
        let below = self.mount.below(path);
        below.is_none_or(|below| self.surely_lacks(below))
    }

    /// Reports whether no file is sent for `below` for any content of the disk. A folder may have the name of a backup;
    /// none is assumed to have that of a script.
    fn surely_lacks(&self, below: &[u8]) -> bool {
        match unsafe_name::withheld_by(below, &self.settings.names) {
            Some(Withheld::Dotfile | Withheld::Script) => true,
            Some(Withheld::Archive | Withheld::Backup | Withheld::Private) => false,
            None => script::candidates(below).any(|end| end < below.len()),
        }
    }

    pub(super) fn decide(&self, request: &Request, disk: &dyn Disk) -> Decision {
        let path = request.target.path();
        let Some(below) = self.mount.below(path) else {
            return Decision::Decline;
        };
        let withheld = unsafe_name::withheld_by(below, &self.settings.names);
        if let Some(withheld) = withheld.filter(|why| !self.is_folder(*why, below, disk)) {
            return self.withheld(withheld);
        }
        match disk.open_recent(&self.root, below, self.settings.symlinks) {
            // A file is not a folder: a path that continues below it names nothing.
            Found::File(_) if request.target.is_directory() => self.missing(),
            Found::File(file) if is_allowed(&request.method) => {
                let representation = Representation::new(request, path, file, &self.settings);
                Decision::Perform(Plan::Send(Box::new(representation)))
            }
            Found::File(_) => wrong_method(&request.method),
            Found::Directory => self.directory(request, below, disk),
            other @ (Found::Missing | Found::TooLong | Found::Refused(_) | Found::Trouble(_)) => {
                self.unsendable(other)
            }
        }
    }

    fn unsendable(&self, found: Found) -> Decision {
        match found {
            // Unreachable for a file and a folder: the caller handles both.
            Found::File(_) | Found::Directory | Found::Missing => self.missing(),
            // No file has this name, but an application may have such a page.
            Found::TooLong if self.declines => Decision::Decline,
            Found::TooLong => Decision::Fail(Failure::NameTooLong),
            Found::Refused(why) => Decision::Fail(Failure::Forbidden(why)),
            Found::Trouble(errno) => {
                Decision::Fail(Failure::Disk(std::io::Error::from_raw_os_error(errno)))
            }
        }
    }

    fn directory(&self, request: &Request, below: &[u8], disk: &dyn Disk) -> Decision {
        if !request.target.is_directory() {
            return to_directory(request);
        }
        let symlinks = self.settings.symlinks;
        let found = self
            .index
            .iter()
            .map(|name| [below, name.as_bytes()].concat())
            .find(|candidate| disk.is_file_by(&self.root, candidate, symlinks));
        match found.map(|candidate| request.target.with_path(self.mount.above(candidate))) {
            Some(Ok(target)) => Decision::Again(target, Cause::Index),
            Some(Err(error)) => Decision::Fail(error.into()),
            None if self.settings.listing => self.listing(request, below, disk),
            None => self.missing(),
        }
    }

    fn listing(&self, request: &Request, below: &[u8], disk: &dyn Disk) -> Decision {
        if !is_allowed(&request.method) {
            return wrong_method(&request.method);
        }
        let turns = std::sync::Arc::clone(&self.settings.listings);
        match disk.open_folder(&self.root, below, self.settings.symlinks) {
            Ok(folder) => {
                let names = self.settings.names.clone();
                let listing = Listing::new(request, folder, names, turns);
                Decision::Perform(Plan::List(Box::new(listing)))
            }
            Err(found) => self.unsendable(found),
        }
    }

    /// A folder may have the name of a backup.
    fn is_folder(&self, withheld: Withheld, below: &[u8], disk: &dyn Disk) -> bool {
        withheld.is_of_a_file() && disk.is_directory(&self.root, below)
    }

    fn withheld(&self, withheld: Withheld) -> Decision {
        if self.declines {
            Decision::Withhold(withheld.reason())
        } else {
            Decision::Fail(Failure::Withheld(withheld.reason()))
        }
    }

    fn missing(&self) -> Decision {
        if self.declines {
            Decision::Decline
        } else {
            Decision::Fail(Failure::NotFound)
        }
    }
}

/// Answers a method other than GET and HEAD: Allow for OPTIONS (RFC 9110 §9.3.7), else 405 with Allow (§15.5.6).
fn wrong_method(method: &Method) -> Decision {
    if *method != Method::OPTIONS {
        return Decision::Fail(Failure::Method(ALLOWED));
    }
    let mut response = Response::new(Body::empty());
    let fields = response.headers_mut();
    fields.insert(header::ALLOW, HeaderValue::from_static(ALLOWED));
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
    Decision::Answer(response)
}

fn is_allowed(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Redirects to the path with a slash at its end (docs/cgi.md, "The behaviours, one by one", no. 10): relative to the host that
/// the client named, so that it can point to no other, with the query, and never beginning with `//`. It applies to every
/// method, as with mod_dir: a request other than GET keeps its method and content (RFC 9110 §15.4.9), which a 301 would
/// let a client change (§15.4.2).
fn to_directory(request: &Request) -> Decision {
    let status = if is_allowed(&request.method) {
        StatusCode::MOVED_PERMANENTLY
    } else {
        StatusCode::PERMANENT_REDIRECT
    };
    let target = &request.target;
    let path = Target::encode_path(target.path()) + "/";
    redirect::to(status, redirect::with_query(path, [target.query()]))
}
