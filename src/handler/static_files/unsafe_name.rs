//! Names that are never sent as files, wherever a rule points: sources of scripts, dotfiles, and
//! what editors and version control leave behind. The path is decoded by then, so that no
//! encoding of a name gets around this.

/// Extensions that PHP configurations commonly execute; to send one is to disclose its source.
/// `.inc` is executed by none, and has been the name of included sources since PHP 3.
const SCRIPT_EXTENSIONS: [&str; 12] = [
    "php", "php3", "php4", "php5", "php6", "php7", "php8", "phtml", "phps", "phar", "pht", "inc",
];

/// Extensions of copies that editors and people make beside a file.
const BACKUP_EXTENSIONS: [&str; 8] = ["bak", "swp", "swo", "swn", "orig", "save", "old", "rej"];

/// Whether the decoded, normalised path names something that is never sent.
pub fn is_withheld(path: &[u8]) -> bool {
    let mut segments = path
        .split(|byte| *byte == b'/')
        .filter(|segment| !segment.is_empty());
    let well_known = path.starts_with(b"/.well-known/");
    // RFC 8615: the one dot folder that is meant for the public.
    if well_known {
        segments.next();
    }
    segments.any(is_withheld_name)
}

fn is_withheld_name(name: &[u8]) -> bool {
    name.starts_with(b".")
        || name.ends_with(b"~")
        || (name.starts_with(b"#") && name.ends_with(b"#"))
        || is_script_or_backup(name)
}

/// Every extension of a name counts: `config.php.bak` and `a.php.` show a source too.
fn is_script_or_backup(name: &[u8]) -> bool {
    let mut extensions = name.split(|byte| *byte == b'.').skip(1);
    extensions.any(|extension| {
        let extension = extension.trim_ascii_end();
        let is = |known: &&str| extension.eq_ignore_ascii_case(known.as_bytes());
        SCRIPT_EXTENSIONS.iter().any(is) || BACKUP_EXTENSIONS.iter().any(is)
    })
}

#[cfg(test)]
mod tests {
    use super::is_withheld;

    #[test]
    fn sources_dotfiles_and_backups_are_withheld() {
        for path in [
            "/.env",
            "/.git/config",
            "/a/.htaccess",
            "/index.php",
            "/INDEX.PHP",
            "/index.php/",
            "/index.php.bak",
            "/index.php~",
            "/index.php.",
            "/index.php ",
            "/a.phtml",
            "/a.phar",
            "/.index.php.swp",
            "/#index.php#",
            "/a.orig",
            "/dir.php/a.css",
            "/.well-known/.env",
            "/.well-known/a.php",
        ] {
            assert!(is_withheld(path.as_bytes()), "{path}");
        }
        for path in [
            "/",
            "/a.css",
            "/.well-known/acme-challenge/x",
            "/a.b.js",
            "/phpinfo.html",
            "/a/b.tar.gz",
            "/olds/x.png",
            "/#a",
        ] {
            assert!(!is_withheld(path.as_bytes()), "{path}");
        }
    }
}
