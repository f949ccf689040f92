//! Files found, their restrictions, and the limits of the search.

use super::*;

#[test]
fn restricting_files_are_recognized_by_their_directives() {
    for text in [
        "Require all denied",
        "  require ip 10.0.0.0/8\r\n",
        "AuthType Basic\nRequire valid-user",
        "<RequireAll>\nRequire all granted\nRequire not ip 192.0.2.1\n</RequireAll>",
        "Deny from all",
        "Order deny,allow\nDeny from all\nAllow from 127.0.0.1",
        "Order allow,deny",
        "Order Allow,Deny\nAllow from 10.0.0.1",
        "<Files wp-config.php>\n  order allow,deny\n  deny from all\n</Files>",
        "<IfModule !mod_authz_core.c>\nDENY FROM ALL\n</IfModule>",
        "RewriteRule ^data/ - [F]",
        "RewriteRule \"^(data|conf)/\" \"-\" [NC,F,L]",
        "RewriteRule . - [R=404,L]",
        "RewriteRule ^old - [G]",
        "RedirectMatch 403 ^/\\.git",
        "Redirect gone /old",
        "RedirectMatch \\\n 404 /secret",
        "SSLRequireSSL",
        "php_flag engine off",
        "SetHandler none",
        "RemoveHandler .phtml .php .php5",
        "<FilesMatch \"\\.php$\">\nSetHandler default-handler\n</FilesMatch>",
    ] {
        assert!(restricts(text), "{text}");
    }
    for text in [
        "",
        "# Require all denied",
        "#Deny from all\nOptions -Indexes",
        "Require all granted",
        "Order deny,allow\nAllow from all",
        "Order allow,deny\nAllow from all",
        "Deny from none",
        "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^(.*)$ index.php [QSA,L]",
        "RewriteRule ^f$ /g [R=301,L]",
        "Redirect 301 /old /new",
        "Redirect /old /new",
        "php_flag display_errors off\nphp_flag engine on",
        "SetHandler application/x-httpd-php",
        "RemoveHandler .cgi",
        "ErrorDocument 403 /denied.html",
        "Header set X-Frame-Options DENY",
    ] {
        assert!(!restricts(text), "{text}");
    }
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn search(roots: &[&Path], names: usize) -> HtaccessFiles {
    let end = Instant::now() + Duration::from_secs(60);
    HtaccessFiles::search(roots.iter().copied().collect(), names, end)
}

#[test]
fn all_files_below_all_roots_are_found_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    for (name, text) in [
        (".htaccess", "Options -Indexes"),
        ("data/.htaccess", "Deny from all"),
        ("a/b/c/.htaccess", "Require all denied"),
        (".git/x/.htaccess", "Deny from all"),
        ("htaccess", "Deny from all"),
        ("x/.htaccess.bak", "Deny from all"),
        (".well-known/.htaccess", "Require all granted"),
    ] {
        write(&root, name, text);
    }
    // A folder of this name cannot be read as a file, for which Apache refuses what is below.
    fs::create_dir_all(root.join("odd/.htaccess")).unwrap();
    nix::unistd::mkfifo(&root.join("x/.htaccess"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink(&root, root.join("a/circle")).unwrap();
    std::os::unix::fs::symlink(&root, root.join("a/b/other")).unwrap();
    let link = root.join("a/b/other");
    let found = search(
        &[
            &root,
            &root.join("a"),
            &link,
            Path::new("/not/here"),
            Path::new("/"),
        ],
        1000,
    );
    assert_eq!(found.count, 6, "{found:?}");
    let names = ["a/b/c", "data", "odd", "x"].map(|name| root.join(name).join(".htaccess"));
    assert_eq!(found.restricting, names);
    assert!(!found.cut);
    let line = found.to_string();
    let data = root.join("data/.htaccess");
    assert!(
        line.starts_with("6 .htaccess files below the roots are not read; 4 of them deny access or keep scripts from running: "),
        "{line}"
    );
    assert!(
        line.contains(&*data.to_string_lossy()) && !line.contains('\n'),
        "{line}"
    );
}

#[test]
fn a_search_ends_at_its_bound_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for number in 0..200 {
        fs::create_dir_all(root.join(format!("{number}/deep"))).unwrap();
    }
    write(root, ".htaccess", "Deny from all");
    write(root, "7/deep/.htaccess", "Deny from all");
    let whole = search(&[root], 402);
    assert!(whole.count == 2 && !whole.cut, "{whole:?}");
    // Folders near the root come first.
    let cut = search(&[root], 250);
    assert!(cut.count == 1 && cut.cut, "{cut:?}");
    let line = cut.to_string();
    assert!(
        line.ends_with("; the search ended after 50000 names or 500ms, and there may be more"),
        "{line}"
    );
    let late = HtaccessFiles::search([root].into_iter().collect(), 1000, Instant::now());
    assert!(late.cut && late.count == 0 && late.is_reportable());
    assert!(!search(&[&root.join("1")], 10).is_reportable());
}

#[test]
fn a_line_stays_short() {
    let restricting = (0..50)
        .map(|number| PathBuf::from(format!("/srv/{number}/.htaccess")))
        .collect();
    let many = HtaccessFiles {
        count: 60,
        restricting,
        cut: false,
    };
    let line = many.to_string();
    assert!(line.contains("/srv/19/.htaccess and 30 more"), "{line}");
    let one = HtaccessFiles {
        count: 1,
        ..HtaccessFiles::default()
    };
    assert_eq!(
        one.to_string(),
        "1 .htaccess file below the roots is not read, and none denies access"
    );
}
