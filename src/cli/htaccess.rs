//! Finds `.htaccess` files below the roots. Apache reads them and fcgate does not: an administrator has to
//! know which of them restrict access.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;
use tokio::time::Instant;

use crate::handler::Handler;
use crate::site::Snapshot;

/// The `.htaccess` files that were found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HtaccessFiles {
    count: usize,
    /// Those that deny access or keep scripts from running.
    restricting: Vec<PathBuf>,
    /// Whether the search reached its bound.
    cut: bool,
}

impl HtaccessFiles {
    /// Searches below the roots of all sites.
    pub(super) fn below_roots(snapshot: &Snapshot) -> Self {
        let rules = snapshot.sites().flat_map(|site| site.rules.iter());
        let handlers = rules.filter_map(|rule| rule.then.handler.as_ref());
        let roots = handlers.filter_map(root).collect::<BTreeSet<_>>();
        Self::search(roots, NAMES, Instant::now() + TIME)
    }

    /// Searches breadth-first, so that a bound cuts off the deepest folders.
    fn search(roots: BTreeSet<&Path>, names: usize, end: Instant) -> Self {
        let mut found = Self::default();
        let mut left = names;
        let mut folders = outermost(roots);
        while let Some(folder) = folders.pop_front() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if left == 0 || Instant::now() >= end {
                    found.cut = true;
                    return found.sorted();
                }
                left -= 1;
                let name = entry.file_name();
                if name == NAME {
                    found.add(entry.path());
                } else if is_searched(&entry) {
                    folders.push_back(entry.path());
                }
            }
        }
        found.sorted()
    }

    fn add(&mut self, file: PathBuf) {
        self.count += 1;
        if read(&file).is_none_or(|text| restricts(&text)) {
            self.restricting.push(file);
        }
    }

    fn sorted(mut self) -> Self {
        self.restricting.sort();
        self
    }

    /// Reports whether there is anything to say.
    pub(super) fn is_worth_a_line(&self) -> bool {
        self.count > 0 || self.cut
    }

    /// Reports whether one of the files restricts access.
    pub(super) fn has_restrictions(&self) -> bool {
        !self.restricting.is_empty()
    }
}

impl fmt::Display for HtaccessFiles {
    /// Writes one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (s, are) = if self.count == 1 {
            ("", "is")
        } else {
            ("s", "are")
        };
        write!(
            f,
            "{} .htaccess file{s} below the roots {are} not read",
            self.count
        )?;
        match self.restricting.len() {
            0 if self.count == 0 => {}
            0 => f.write_str(", and none denies access")?,
            1 => f.write_str("; 1 of them denies access or keeps scripts from running: ")?,
            many => write!(
                f,
                "; {many} of them deny access or keep scripts from running: "
            )?,
        }
        let shown = self.restricting.iter().take(SHOWN);
        let shown: Vec<_> = shown.map(|file| file.display().to_string()).collect();
        f.write_str(&shown.join(", "))?;
        match self.restricting.len().saturating_sub(SHOWN) {
            0 => {}
            more => write!(f, " and {more} more")?,
        }
        if self.cut {
            write!(
                f,
                "; the search ended after {NAMES} names or {TIME:?}, and there may be more"
            )?;
        }
        Ok(())
    }
}

/// What to do about the files.
pub(super) const ADVICE: &str = "write what they say as rules of the site, or use a `preset`; `fcgate explain URL` shows what a path does";

const NAME: &str = ".htaccess";

/// Bounds of the search, so that it does not delay a start: names of files and folders, and time.
const NAMES: usize = 50_000;
const TIME: Duration = Duration::from_millis(500);

/// Files that are named in the line.
const SHOWN: usize = 20;

/// Bytes of a file that are read; the longest of 183 that were examined has 55 KiB.
const LENGTH: u64 = 256 * 1024;

fn root(handler: &Handler) -> Option<&Path> {
    match handler {
        Handler::Fastcgi(fastcgi) => Some(&fastcgi.mapping.root.0),
        Handler::StaticFiles(files) => Some(&files.root().0),
        Handler::Redirect(_) | Handler::Rewrite(_) | Handler::Respond(_) => None,
        Handler::Deny(_) | Handler::ExcludeProxy => None,
    }
}

/// Returns the existing folders without those that lie in another. `/` is left out: with
/// `to = "fcgi://php/$1"` it is a root, and holds no site.
fn outermost(roots: BTreeSet<&Path>) -> VecDeque<PathBuf> {
    let real = roots.iter().filter_map(|root| root.canonicalize().ok());
    let real: BTreeSet<_> = real.filter(|root| root.parent().is_some()).collect();
    let outer = real.iter().filter(|root| {
        let mut above = root.ancestors().skip(1);
        !above.any(|folder| real.contains(folder))
    });
    outer.cloned().collect()
}

/// Reports whether an entry is a folder to search: no link, and not hidden, as nothing in such a folder
/// is sent.
fn is_searched(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let hidden = name.as_encoded_bytes().starts_with(b".") && name != ".well-known";
    !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// Reads a file; `None` if it cannot be read, in which case Apache refuses all below its folder.
fn read(file: &Path) -> Option<String> {
    // Opening a FIFO would block.
    let mut options = OpenOptions::new();
    let opened = options
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(file)
        .ok()?;
    if !opened.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    opened.take(LENGTH).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reports whether a directive denies access to something or keeps scripts from running. Sections are not
/// evaluated.
fn restricts(text: &str) -> bool {
    let joined = text.replace("\r\n", "\n").replace("\\\n", "");
    let lines: Vec<_> = joined
        .lines()
        .map(|line| line.trim().to_ascii_lowercase())
        .collect();
    let words = lines.iter().map(|line| {
        let words = line.split_whitespace();
        words
            .map(|word| word.trim_matches(['"', '\'']))
            .collect::<Vec<_>>()
    });
    let words: Vec<_> = words.collect();
    // mod_access_compat: what no `Allow` lets in is refused.
    let allows = |words: &Vec<&str>| matches!(words.as_slice(), ["allow", "from", "all"]);
    let all = words.iter().any(allows);
    words.iter().any(|words| match words.as_slice() {
        ["order", "allow,deny" | "mutual-failure"] => !all,
        words => denies(words) || stops_scripts(words),
    })
}

fn denies(words: &[&str]) -> bool {
    match words {
        ["require", "all", "granted"] => false,
        ["require", _, ..] | ["sslrequire" | "sslrequiressl", ..] => true,
        ["deny", "from", "none"] => false,
        ["deny", "from", _, ..] => true,
        ["redirect" | "redirectmatch", status, ..] => *status == "gone" || is_refusal(status),
        ["rewriterule", _, _, flags @ ..] => flags.iter().any(|flags| {
            let mut flags = flags.trim_matches(['[', ']']).split(',');
            flags.any(|flag| match flag.trim_start_matches("r=") {
                "f" | "forbidden" | "g" | "gone" => true,
                status => is_refusal(status),
            })
        }),
        _ => false,
    }
}

fn is_refusal(status: &str) -> bool {
    status.len() == 3 && status.starts_with('4') && status.parse::<u16>().is_ok()
}

fn stops_scripts(words: &[&str]) -> bool {
    match words {
        ["php_flag" | "php_admin_flag", "engine", value, ..] => matches!(*value, "off" | "0"),
        ["sethandler", handler, ..] => matches!(*handler, "none" | "default-handler"),
        ["removehandler" | "removetype", extensions @ ..] => extensions
            .iter()
            .any(|extension| extension.trim_start_matches('.').starts_with("php")),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
