//! Search for `.htaccess` files below the roots. Apache reads them and fcgate does not: an administrator has to
//! know the ones that restrict access.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;
use tokio::time::Instant;

use crate::site::Snapshot;

/// The `.htaccess` files below some folders.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HtaccessFiles {
    count: usize,
    /// Files that deny access or keep scripts from running.
    restricting: Vec<PathBuf>,
    /// The search reached its limit.
    cut: bool,
}

impl HtaccessFiles {
    /// Searches below the roots of all sites.
    pub(super) fn below_roots(snapshot: &Snapshot) -> Self {
        let roots = snapshot.sites().flat_map(|site| site.roots()).collect();
        Self::search(roots, NAMES, Instant::now() + TIME)
    }

    /// Searches breadth-first, so that the limit cuts off the deepest folders.
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

    /// Reports whether there are files, or may be.
    pub(super) fn is_reportable(&self) -> bool {
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
        let paths: Vec<_> = shown.map(|file| file.display().to_string()).collect();
        f.write_str(&paths.join(", "))?;
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

/// Remedy for files that restrict access.
pub(super) const ADVICE: &str = "write their directives as rules of the site, or use a `preset`; `fcgate explain URL` shows the rules of a path";

const NAME: &str = ".htaccess";

/// Limits of the search, so that it does not delay a start: names of files and folders, and time.
const NAMES: usize = 50_000;
const TIME: Duration = Duration::from_millis(500);

/// Maximum number of files in the line.
const SHOWN: usize = 20;

/// Bytes read of a file; the longest of 183 examined files has 55 KiB.
const LENGTH: u64 = 256 * 1024;

/// Returns the existing folders without those inside another. `/` is left out: with
/// `to = "fcgi://php/$1"` it is a root, and has no site.
fn outermost(roots: BTreeSet<&Path>) -> VecDeque<PathBuf> {
    let real: BTreeSet<_> = roots
        .iter()
        .filter_map(|root| root.canonicalize().ok())
        .filter(|root| root.parent().is_some())
        .collect();
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

/// Reads a file; `None` if it is unreadable, in which case Apache refuses everything below its folder.
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
    let directives: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| {
            line.split_whitespace()
                .map(|word| word.trim_matches(['"', '\'']))
                .collect()
        })
        .collect();
    // mod_access_compat: clients without an `Allow` are refused.
    let allows = |words: &Vec<&str>| matches!(words.as_slice(), ["allow", "from", "all"]);
    let all = directives.iter().any(allows);
    directives.iter().any(|words| match words.as_slice() {
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
