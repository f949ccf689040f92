//! Names that are never sent as files, wherever a rule points: sources of scripts, dotfiles, and
//! what editors and version control leave behind. The path is decoded by then, so that no
//! encoding of a name gets around this.

use std::sync::Arc;

use crate::section::{Key, Kind, Lowered, Problem, Problems};

/// Extensions that PHP configurations commonly execute; to send one is to disclose its source.
/// Wherever it stands in a name: Apache's AddHandler runs `a.php.jpg`, and MultiViews finds
/// `a.php.en`.
const SCRIPT_EXTENSIONS: [&str; 9] = [
    "php", "php3", "php4", "php5", "php6", "php7", "php8", "phtml", "pht",
];

/// The same of what is also offered for download: an archive, or a source that is shown on purpose.
const ARCHIVE_EXTENSIONS: [&str; 2] = ["phar", "phps"];

/// Extensions of copies that editors and people make beside a file, and the name that included
/// sources have had since PHP 3. At the end of a name: `photo.orig.jpg` is a photo.
const BACKUP_EXTENSIONS: [&str; 9] = [
    "bak", "swp", "swo", "swn", "orig", "save", "old", "rej", "inc",
];

pub(super) const ALLOWED_NAMES: Key = Key::new("allowed_names", Kind::Texts, "Names that are sent although they look like a dotfile, a backup or a source: a name, or `*` and what names end with. A folder counts as well: with \".config\" the files in it are sent. A name with an extension by which PHP runs (.php, .phtml, .pht, .php3 to .php8) is never sent.").example("[\"*.orig\", \"composer.phar\"]");

/// Why a name is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// It begins with a dot, or lies in a folder that does.
    Dotfile,
    /// It is that of a script.
    Script,
    /// It is that of an archive of scripts, or of a source.
    Archive,
    /// It is that of a copy which an editor left.
    Backup,
}

/// `allowed_names`, understood.
#[derive(Clone, Debug, Default)]
pub(super) struct AllowedNames(Arc<[Pattern]>);

#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    Name(Box<str>),
    EndsWith(Box<str>),
}

impl Withheld {
    /// The reason, for logs and `fcgate explain`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Dotfile => {
                "dotfiles, and what lies in dot folders, are sent by `allowed_names` alone"
            }
            Self::Script => "the name is that of a PHP script, which is never sent as a file",
            Self::Archive => {
                "the name is that of a PHP archive or source, which is sent by `allowed_names` alone"
            }
            Self::Backup => "the name is that of a backup, which is sent by `allowed_names` alone",
        }
    }

    /// Whether it is about files alone: a folder of such a name is like any other.
    pub(super) fn is_of_a_file(self) -> bool {
        self != Self::Dotfile
    }
}

impl AllowedNames {
    /// Builds them from a section that has the key; what can be no name is a problem.
    pub(super) fn build(section: &Lowered, problems: &mut Problems) -> Self {
        let texts = section.texts("allowed_names").into_iter();
        let patterns = texts.filter_map(|text| {
            let pattern = Pattern::parse(&text.value);
            let told = pattern.map_err(|message| {
                let help = "write a name as \"composer.phar\", or \"*.orig\" for all that end so";
                problems.push(Problem::new(text.place, message).help(help));
            });
            told.ok()
        });
        Self(patterns.collect())
    }

    fn have(&self, name: &[u8]) -> bool {
        self.0.iter().any(|pattern| match pattern {
            Pattern::Name(whole) => name == whole.as_bytes(),
            Pattern::EndsWith(end) => name.ends_with(end.as_bytes()),
        })
    }
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
                "`{text}` would send PHP scripts, which is never done"
            ));
        }
        Ok(match is_end {
            true => Self::EndsWith(rest.into()),
            false => Self::Name(rest.into()),
        })
    }
}

/// Returns why what the decoded, normalised path names is not sent; `None` for what may be.
pub fn withheld(path: &[u8]) -> Option<Withheld> {
    withheld_but(path, &AllowedNames::default())
}

/// As [`withheld`], but for names that are `allowed`.
pub(super) fn withheld_but(path: &[u8], allowed: &AllowedNames) -> Option<Withheld> {
    let mut segments = path
        .split(|byte| *byte == b'/')
        .filter(|segment| !segment.is_empty());
    // RFC 8615: the one dot folder that is meant for the public.
    if path.starts_with(b"/.well-known/") {
        segments.next();
    }
    let is_hidden = |name: &&[u8]| name.starts_with(b".") && !allowed.have(name);
    if segments.clone().any(|name| is_hidden(&name)) {
        return Some(Withheld::Dotfile);
    }
    let file = segments.next_back().filter(|_| !path.ends_with(b"/"))?;
    if has_extension(file, &SCRIPT_EXTENSIONS) {
        return Some(Withheld::Script);
    }
    unusual(file).filter(|_| !allowed.have(file))
}

/// Returns what a file of this name is beside a plain one.
fn unusual(name: &[u8]) -> Option<Withheld> {
    if has_extension(name, &ARCHIVE_EXTENSIONS) {
        return Some(Withheld::Archive);
    }
    let is_backup = name.ends_with(b"~")
        || (name.starts_with(b"#") && name.ends_with(b"#"))
        || extensions(name)
            .last()
            .is_some_and(|last| is_among(last, &BACKUP_EXTENSIONS));
    is_backup.then_some(Withheld::Backup)
}

fn has_extension(name: &[u8], known: &[&str]) -> bool {
    extensions(name).any(|extension| is_among(extension, known))
}

/// Returns what follows each dot of a name, without the spaces that some systems drop and the marks of
/// editors; a name that ends with dots or spaces is the same without them.
fn extensions(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let all = name.split(|byte| *byte == b'.').skip(1);
    all.map(|extension| {
        let is_mark = |byte: &u8| matches!(byte, b'~' | b'#') || byte.is_ascii_whitespace();
        let end = extension.iter().rposition(|byte| !is_mark(byte));
        extension
            .get(..end.map_or(0, |end| end + 1))
            .unwrap_or_default()
    })
    .filter(|extension| !extension.is_empty())
}

fn is_among(extension: &[u8], known: &[&str]) -> bool {
    let is = |known: &&str| extension.eq_ignore_ascii_case(known.as_bytes());
    known.iter().any(is)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allowed(patterns: &[&str]) -> AllowedNames {
        let patterns = patterns.iter().map(|text| Pattern::parse(text).unwrap());
        AllowedNames(patterns.collect())
    }

    #[test]
    fn sources_dotfiles_and_backups_are_withheld() {
        use Withheld::{Archive, Backup, Dotfile, Script};
        for (path, why) in [
            ("/.env", Dotfile),
            ("/.git/config", Dotfile),
            ("/.git/", Dotfile),
            ("/a/.htaccess", Dotfile),
            ("/.index.php.swp", Dotfile),
            ("/.well-known/.env", Dotfile),
            ("/index.php", Script),
            ("/INDEX.PHP", Script),
            ("/index.php.bak", Script),
            ("/index.php~", Script),
            ("/index.php.", Script),
            ("/index.php ", Script),
            ("/index.php.en", Script),
            ("/index.php.jpg", Script),
            ("/a.phtml", Script),
            ("/.well-known/a.php", Script),
            ("/dir.php/a.php", Script),
            ("/a.phar", Archive),
            ("/a.phar.gz", Archive),
            ("/a.phps", Archive),
            ("/#index.php#", Script),
            ("/#index.html#", Backup),
            ("/a.css~", Backup),
            ("/a.orig", Backup),
            ("/a.orig.", Backup),
            ("/a.old ", Backup),
            ("/a.jpg.BAK", Backup),
            ("/db.inc", Backup),
        ] {
            assert_eq!(withheld(path.as_bytes()), Some(why), "{path}");
        }
    }

    #[test]
    fn the_last_extension_decides_and_that_of_a_folder_does_not() {
        for path in [
            "/",
            "/a.css",
            "/.well-known/acme-challenge/x",
            "/a.b.js",
            "/phpinfo.html",
            "/a/b.tar.gz",
            "/olds/x.png",
            "/#a",
            "/photo.orig.jpg",
            "/report.old.pdf",
            "/app.bak.js",
            "/jquery.inc.js",
            "/site.old/a.css",
            "/site.old/",
            "/www.php.net.old/a.css",
            "/old",
        ] {
            assert_eq!(withheld(path.as_bytes()), None, "{path}");
        }
    }

    #[test]
    fn names_that_are_allowed_are_sent_but_no_scripts() {
        let names = allowed(&["*.orig", "composer.phar", ".config", "*~", "*p"]);
        for path in ["/a.orig", "/x/composer.phar", "/.config/a.css", "/a~"] {
            assert_eq!(withheld_but(path.as_bytes(), &names), None, "{path}");
        }
        for path in [
            "/a.old",
            "/other.phar",
            "/.env",
            "/.config/.env",
            "/a.php.orig",
            "/a.php",
        ] {
            assert!(withheld_but(path.as_bytes(), &names).is_some(), "{path}");
        }
        for text in ["", "*", "**.orig", "a/b", "*.php", "a.PHP", "*.phtml"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_key_lets_a_script_out(before in "[a-z.]{0,6}", after in "(\\.[a-z]{1,4}){0,2}") {
            let path = format!("/{before}.php{after}");
            prop_assert!(withheld_but(path.as_bytes(), &allowed(&["*p", "*a", "*.b"])).is_some());
        }
    }
}
