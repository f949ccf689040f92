//! Files that scripts may name, and the variables that announce this to them.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use toml::de::DeTable;

use super::*;
use crate::disk::RealDisk;
use crate::section::Problems;

/// Builds the settings from the lines of the section, or returns the messages of all problems.
fn build(text: &str) -> Result<SendFile, Vec<String>> {
    let table = DeTable::parse(text).unwrap();
    let mut problems = Problems::default();
    let place = Default::default();
    let section = SEND_FILE.lower(table.get_ref(), place, &|_| None, &mut problems);
    let send_file = SendFile::build(&section, &mut problems);
    if problems.is_empty() {
        Ok(send_file)
    } else {
        let sorted = problems.into_sorted().into_iter();
        Err(sorted.map(|problem| problem.message).collect())
    }
}

/// Creates `files` with some in it, `outside` beside it, and `current`, a link to `files`.
fn tree() -> TempDir {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir_all(path("files/sub")).unwrap();
    for name in ["a.txt", "sub/b c%20?.txt", ".env", "x.php", "ä.txt"] {
        fs::write(path("files").join(name), name).unwrap();
    }
    fs::write(path("outside"), "secret").unwrap();
    symlink(path("outside"), path("files/leak")).unwrap();
    symlink("a.txt", path("files/link")).unwrap();
    symlink("files", path("current")).unwrap();
    directory
}

/// Returns the path below the folder, or the reason of the refusal.
fn open(send_file: &SendFile, named: NamedFile<'_>) -> Result<String, &'static str> {
    match send_file.open(named, &RealDisk::default().one_release()) {
        Ok((path, _)) => Ok(String::from_utf8(path).unwrap()),
        Err(Refusal::Because(why)) => Err(why),
        Err(Refusal::Trouble(errno)) => panic!("errno {errno}"),
    }
}

#[test]
fn paths_are_looked_up_below_the_roots() {
    let tree = tree();
    let at = |name: &str| format!("{}/{name}", tree.path().display());
    let text = format!("roots = ['/nonexistent', '{}']", at("current/"));
    let send_file = build(&text).unwrap();
    let outside = "it is outside site.send_file.roots";
    let missing = "the file does not exist";
    for (path, expected) in [
        (at("current/a.txt"), Ok("/a.txt")),
        // The path as realpath returns it.
        (at("files/a.txt"), Ok("/a.txt")),
        (at("files/sub/../link"), Ok("/link")),
        (at("other/../files//./a.txt"), Ok("/a.txt")),
        (at("files/sub/b c%20?.txt"), Ok("/sub/b c%20?.txt")),
        (at("files/ä.txt"), Ok("/ä.txt")),
        (at("files/%61.txt"), Err(missing)),
        (at("files/a.txt/"), Err(missing)),
        (at("files/sub"), Err("it is a folder")),
        (at("outside"), Err(outside)),
        (at("files/../outside"), Err(outside)),
        (at("files-too/a"), Err(outside)),
        ("/etc/passwd".to_owned(), Err(outside)),
        ("/../etc/passwd".to_owned(), Err("the path cannot be read")),
        ("a.txt".to_owned(), Err("the path is not absolute")),
        (String::new(), Err("the path is not absolute")),
        (
            at("files/leak"),
            Err("a symbolic link leads out of the root"),
        ),
    ] {
        let value = HeaderValue::from_bytes(path.as_bytes()).unwrap();
        let found = open(&send_file, NamedFile::Path(&value));
        assert_eq!(found.as_deref(), expected.as_deref(), "{path}");
    }
}

#[test]
fn uris_are_decoded_and_mapped_by_the_longest_prefix() {
    let tree = tree();
    let files = tree.path().join("files");
    let text = format!(
        "internal = {{ '/p' = '/nonexistent', '/p/files/' = '{}' }}",
        files.display()
    );
    let send_file = build(&text).unwrap();
    let outside = "it is outside site.send_file.internal";
    let unreadable = "the URI cannot be read";
    for (uri, expected) in [
        ("/p/files/a.txt", Ok("/a.txt")),
        ("/p/files/a.txt?token=/../x", Ok("/a.txt")),
        ("%2Fp%2Ffiles%2Fa.txt", Ok("/a.txt")),
        ("/p/files/sub/b%20c%2520%3F.txt", Ok("/sub/b c%20?.txt")),
        ("/p/files/%C3%A4.txt", Ok("/ä.txt")),
        ("/p/files/ä.txt", Ok("/ä.txt")),
        ("/p/files/../files/a.txt", Ok("/a.txt")),
        ("/p/a.txt", Err("the file does not exist")),
        ("/p/files/../../outside", Err(outside)),
        ("/p/files/%2e%2e/%2e%2e/outside", Err(outside)),
        ("/pfiles/a.txt", Err(outside)),
        ("/../p/files/a.txt", Err(unreadable)),
        ("/p/files/%zz", Err(unreadable)),
        ("/p/files/a%00.txt", Err(unreadable)),
        (
            "/p/files/leak",
            Err("a symbolic link leads out of the root"),
        ),
    ] {
        let value = HeaderValue::from_bytes(uri.as_bytes()).unwrap();
        let found = open(&send_file, NamedFile::Uri(&value));
        assert_eq!(found.as_deref(), expected.as_deref(), "{uri}");
    }
}

#[test]
fn sources_and_dotfiles_need_to_be_allowed() {
    let tree = tree();
    let files = tree.path().join("files").display().to_string();
    let withheld = build(&format!("roots = '{files}'")).unwrap();
    let all = build(&format!("roots = '{files}'\nall_names = true")).unwrap();
    for name in ["/.env", "/x.php"] {
        let value = HeaderValue::try_from(format!("{files}{name}")).unwrap();
        assert!(open(&withheld, NamedFile::Path(&value)).is_err(), "{name}");
        assert_eq!(open(&all, NamedFile::Path(&value)).as_deref(), Ok(name));
    }
}

#[test]
fn only_fields_that_are_configured_name_a_file() {
    let both = Orders {
        x_accel_redirect: Some(HeaderValue::from_static("/p/a")),
        x_sendfile: Some(HeaderValue::from_static("/srv/a")),
        is_live: false,
    };
    let kind = |text: &str| match build(text).unwrap().named(&both) {
        Some(NamedFile::Path(_)) => "path",
        Some(NamedFile::Uri(_)) => "uri",
        None => "nothing",
    };
    assert_eq!(kind("roots = '/srv'"), "path");
    assert_eq!(kind("internal = { '/p' = '/srv' }"), "uri");
    assert_eq!(kind("roots = '/srv'\ninternal = { '/p' = '/srv' }"), "uri");
    let nothing = SendFile::default();
    assert!(nothing.named(&both).is_none());
    assert_eq!(nothing.missing_key(&Orders::default()), None);
    let clone = nothing.clone();
    assert_eq!(nothing.missing_key(&both), Some("site.send_file.internal"));
    assert_eq!(clone.missing_key(&both), None, "once");
}

#[test]
fn scripts_are_told_which_field_works() {
    let mapping = |backend_root: Option<&str>| Mapping {
        root: Root("/srv/public".into()),
        backend_root: backend_root.map(PathBuf::from),
        symlinks: crate::message::Symlinks::default(),
        resolves_root: false,
    };
    let told = |text: &str, backend_root| {
        let mapping = mapping(backend_root);
        let send_file = build(text).unwrap().seen_through(&mapping);
        let constants = send_file.announce(Constants::new(&mapping));
        let plain = Constants::new(&mapping);
        let added = constants.encoded().strip_prefix(plain.encoded()).unwrap();
        String::from_utf8_lossy(added).into_owned()
    };
    let internal = "internal = { '/p' = '/srv/files/', '/q/' = '/srv/public/up' }";
    let accel = |mapping: &str| {
        let length = char::from(u8::try_from(mapping.len()).unwrap());
        format!(
            "\x14\x10HTTP_X_SENDFILE_TYPEX-Accel-Redirect\x14{length}HTTP_X_ACCEL_MAPPING{mapping}"
        )
    };
    assert_eq!(
        told("roots = '/srv'", None),
        "\x14\x0aHTTP_X_SENDFILE_TYPEX-Sendfile"
    );
    assert_eq!(
        told(internal, None),
        accel("/srv/public/up/=/q/,/srv/files/=/p/")
    );
    assert_eq!(
        told(internal, Some("/app")),
        accel("/srv/files/=/p/,/app/up/=/q/")
    );
    let elsewhere = format!("{internal}\nbackend_roots = {{ '/srv/files' = '/data' }}");
    assert_eq!(
        told(&elsewhere, Some("/app")),
        accel("/app/up/=/q/,/data/=/p/")
    );
}

#[test]
fn what_cannot_work_is_a_problem() {
    for (text, expected) in [
        ("", "send_file has neither `roots` nor `internal`"),
        ("roots = 'srv'", "`srv` is not an absolute path"),
        (
            "internal = { p = '/srv' }",
            "the prefix `p` does not begin with a slash",
        ),
        (
            "internal = { '/p,q' = '/srv' }",
            "a comma, a quote, `=` or `\\` cannot be passed to a script in HTTP_X_ACCEL_MAPPING",
        ),
        (
            "roots = '/srv'\nbackend_roots = { '/other' = '/app' }",
            "`/other` is not a folder of `roots` or `internal`",
        ),
        (
            "roots = '/srv'\nbackend_roots = { '/srv' = 'app' }",
            "`app` is not an absolute path",
        ),
    ] {
        assert_eq!(build(text).unwrap_err(), [expected], "{text}");
    }
}
