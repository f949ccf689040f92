//! Names that are never sent as files, under any rule: sources of scripts, dotfiles, keys and dumps, and the backups of
//! editors and version control. The path is decoded here, so that no encoding of a name evades the check.

use std::sync::Arc;

use crate::section::{At, Key, Lowered, Problem, Problems};

/// Extensions that PHP configurations commonly execute; to send one is to disclose its source. They count at any position
/// in a name: Apache's AddHandler runs `a.php.jpg`, and MultiViews finds `a.php.en`.
const SCRIPT_EXTENSIONS: [&str; 9] = [
    "php", "php3", "php4", "php5", "php6", "php7", "php8", "phtml", "pht",
];

/// The same of files that are also offered for download: archives, and sources that are shown on purpose.
const ARCHIVE_EXTENSIONS: [&str; 2] = ["phar", "phps"];

/// Extensions of copies that editors and people make beside a file, and that of included sources since PHP 3. They count
/// at the end of a name: `photo.orig.jpg` is a photo.
const BACKUP_EXTENSIONS: [&str; 9] = [
    "bak", "swp", "swo", "swn", "orig", "save", "old", "rej", "inc",
];

/// Extensions of compressed files and archives. A number or a date at the end marks a copy, too.
const PACKED_EXTENSIONS: [&str; 17] = [
    "gz", "bz2", "xz", "zst", "lz4", "br", "zip", "7z", "rar", "tar", "tgz", "tbz2", "txz", "tzst",
    "lzma", "z", "zstd",
];

pub(super) static WITHHELD_EXTENSIONS: Key<Vec<At<String>>> = Key::texts("withheld_extensions", "Extensions of files that are not sent, case-insensitive: private keys and key stores (.key, .pem, .p12, .pfx, .jks, .ppk, .kdbx), databases and their dumps (.sql, .sqlite, .sqlite3, .db, .dump), and settings (.env). The file may be packed, numbered or a copy: dump.sql.gz, dump.sql-2026, dump.sql.1. A value replaces the whole list; []: none. `allowed_names` exempts single files.").default("[\"key\", \"pem\", \"p12\", \"pfx\", \"jks\", \"ppk\", \"kdbx\", \"sql\", \"sqlite\", \"sqlite3\", \"db\", \"dump\", \"env\"]");

pub(super) static ALLOWED_NAMES: Key<Vec<At<String>>> = Key::texts("allowed_names", "Names that are sent although they look like a dotfile, a backup or a source: a name, or `*` and the end of names. Names of folders apply to the files in them, as \".config\". A name with an extension of PHP (.php, .phtml, .pht, .php3 to .php8) is never sent.").example("[\"*.orig\", \"composer.phar\"]");

/// The reason for which a name is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The name of a dotfile, or of a file in a dot folder.
    Dotfile,
    /// The name of a script.
    Script,
    /// The name of an archive of scripts, or of a source.
    Archive,
    /// The name of an editor's backup.
    Backup,
    /// The name of a key, a dump or settings.
    Private,
}

/// The parsed `allowed_names` and `withheld_extensions`.
#[derive(Clone, Debug, Default)]
pub(super) struct NamePolicy {
    allowed: Arc<[Pattern]>,
    /// Extensions without their dots; `None` before a section has set them.
    withheld: Option<Arc<[Box<str>]>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    Name(Box<str>),
    EndsWith(Box<str>),
}

impl Withheld {
    /// Returns the reason as text, for logs and `fcgate explain`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Dotfile => {
                "dotfiles, and files in dot folders, are sent only if `allowed_names` permits it"
            }
            Self::Script => "the name is that of a PHP script, which is never sent as a file",
            Self::Archive => {
                "the name is that of a PHP archive or source, which is sent only if `allowed_names` permits it"
            }
            Self::Backup => {
                "the name is that of a backup, which is sent only if `allowed_names` permits it"
            }
            Self::Private => {
                "the name is that of a key, a database or settings (`withheld_extensions`), which is sent only if `allowed_names` permits it"
            }
        }
    }

    /// Reports whether it applies to files alone: a folder of such a name is like any other.
    pub(super) fn is_of_a_file(self) -> bool {
        self != Self::Dotfile
    }
}

impl NamePolicy {
    /// Returns the policy of a section; keys without a value have that of this policy. A text that cannot be a name is a
    /// problem.
    pub(super) fn with(&self, section: &Lowered, problems: &mut Problems) -> Self {
        let mut policy = self.clone();
        if section.is_given(&ALLOWED_NAMES) {
            policy.allowed = allowed_names(section, problems);
        }
        // The default of the key is for the site; a rule or mount without it has the list of the site.
        if section.is_given(&WITHHELD_EXTENSIONS) || self.withheld.is_none() {
            policy.withheld = Some(withheld_extensions(section, problems));
        }
        policy
    }

    fn allows(&self, name: &[u8]) -> bool {
        self.allowed.iter().any(|pattern| match pattern {
            Pattern::Name(whole) => name == whole.as_bytes(),
            Pattern::EndsWith(end) => name.ends_with(end.as_bytes()),
        })
    }
}

fn allowed_names(section: &Lowered, problems: &mut Problems) -> Arc<[Pattern]> {
    let texts = section.get(&ALLOWED_NAMES).into_iter();
    let patterns = texts.filter_map(|text| {
        let pattern = Pattern::parse(&text.value);
        let checked = pattern.map_err(|message| {
            let help = "write a name as \"composer.phar\", or \"*.orig\" for all names that end so";
            problems.push(Problem::new(text.place, message).help(help));
        });
        checked.ok()
    });
    patterns.collect()
}

fn withheld_extensions(section: &Lowered, problems: &mut Problems) -> Arc<[Box<str>]> {
    let texts = section.get(&WITHHELD_EXTENSIONS).into_iter();
    let extensions = texts.filter_map(|text| {
        let extension = text.value.trim_start_matches('.');
        if extension.is_empty() || !extension.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let message = format!("`{}` is not an extension", text.value);
            let help = "write the letters and digits after the last dot: \"sql\"; for other names write a rule with `match` and `deny`";
            problems.push(Problem::new(text.place, message).help(help));
            return None;
        }
        Some(extension.into())
    });
    extensions.collect()
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let (is_end, rest) = match text.strip_prefix('*') {
            Some(end) => (true, end),
            None => (false, text),
        };
        if rest.is_empty() || rest.contains(['*', '/']) {
            return Err(format!("`{text}` is neither a name nor the end of names"));
        }
        if has_extension(rest.as_bytes(), &SCRIPT_EXTENSIONS) {
            return Err(format!(
                "`{text}` matches PHP scripts, which are never sent"
            ));
        }
        Ok(if is_end {
            Self::EndsWith(rest.into())
        } else {
            Self::Name(rest.into())
        })
    }
}

/// Returns the reason for which a file that a script names is not sent; `None` if it may be. The script decides about keys
/// and dumps.
pub fn withheld(path: &[u8]) -> Option<Withheld> {
    withheld_by(path, &NamePolicy::default())
}

/// Returns the reason for which the file at the decoded, normalised path is not sent under a policy; `None` if it may be.
pub(super) fn withheld_by(path: &[u8], policy: &NamePolicy) -> Option<Withheld> {
    let mut segments = path
        .split(|byte| *byte == b'/')
        .filter(|segment| !segment.is_empty());
    // RFC 8615: the one public dot folder.
    if path.starts_with(b"/.well-known/") {
        segments.next();
    }
    let is_hidden = |name: &&[u8]| name.starts_with(b".") && !policy.allows(name);
    if segments.clone().any(|name| is_hidden(&name)) {
        return Some(Withheld::Dotfile);
    }
    let file = segments.next_back().filter(|_| !path.ends_with(b"/"))?;
    if has_extension(file, &SCRIPT_EXTENSIONS) {
        return Some(Withheld::Script);
    }
    classify(file, policy.withheld.as_deref().unwrap_or_default()).filter(|_| !policy.allows(file))
}

/// Returns the class of a file by its name, if it is not a plain one.
fn classify(name: &[u8], private: &[Box<str>]) -> Option<Withheld> {
    if has_extension(name, &ARCHIVE_EXTENSIONS) {
        return Some(Withheld::Archive);
    }
    if is_private(name, private) {
        return Some(Withheld::Private);
    }
    let is_backup = name.ends_with(b"~")
        || (name.starts_with(b"#") && name.ends_with(b"#"))
        || extensions(name)
            .last()
            .is_some_and(|last| is_among(last, &BACKUP_EXTENSIONS));
    is_backup.then_some(Withheld::Backup)
}

/// Reports whether the last extension is private, behind those of packed files and of copies.
fn is_private(name: &[u8], private: &[Box<str>]) -> bool {
    let mut rest = name;
    while let Some(dot) = rest.iter().rposition(|byte| *byte == b'.') {
        let (before, extension) = rest.split_at_checked(dot).unwrap_or_default();
        let extension = strip_marks(extension.strip_prefix(b".").unwrap_or_default());
        let is_of_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        let is_neutral = extension.iter().all(is_of_number)
            || is_among(extension, &PACKED_EXTENSIONS)
            || is_among(extension, &BACKUP_EXTENSIONS);
        if !is_neutral {
            return is_among(word(extension), private);
        }
        rest = before;
    }
    false
}

/// Reports whether an extension begins with one of the known ones, followed by neither a letter nor a digit:
/// `x.php~`, `x.php_`, `x.php-bak`, `x.php,v` and `x.php copy` are sources too.
fn has_extension(name: &[u8], known: &[&str]) -> bool {
    extensions(name).any(|extension| is_among(word(extension), known))
}

/// Returns the letters and digits at the beginning of an extension.
fn word(extension: &[u8]) -> &[u8] {
    let end = extension
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric());
    extension
        .get(..end.unwrap_or(extension.len()))
        .unwrap_or_default()
}

/// Returns the extensions of a name: the text behind each of its dots.
fn extensions(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let all = name.split(|byte| *byte == b'.').skip(1).map(strip_marks);
    all.filter(|extension| !extension.is_empty())
}

/// Returns an extension without the spaces that some systems drop and the marks of editors; a name that ends with
/// dots or spaces is the same without them.
fn strip_marks(extension: &[u8]) -> &[u8] {
    let is_mark = |byte: &u8| matches!(byte, b'~' | b'#') || byte.is_ascii_whitespace();
    let last = extension.iter().rposition(|byte| !is_mark(byte));
    let end = last.map_or(0, |last| last + 1);
    extension.get(..end).unwrap_or_default()
}

fn is_among(extension: &[u8], known: &[impl AsRef<str>]) -> bool {
    let is = |known: &str| extension.eq_ignore_ascii_case(known.as_bytes());
    known.iter().any(|known| is(known.as_ref()))
}

#[cfg(test)]
mod tests;
