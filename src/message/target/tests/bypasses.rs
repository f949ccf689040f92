//! Paths that bypassed the rules of other servers.

use super::super::EncodedSlash::Reject;
use super::super::TargetError::{BadPercent, Climb, ControlByte};
use super::{are_refused, become_paths};

#[test]
fn published_bypasses_of_apache_are_closed() {
    become_paths(
        Reject,
        &[
            // CVE-2021-41773 resolved only the second of these dots.
            ("/cgi-bin/.%2e/etc/passwd", b"/etc/passwd"),
            // CVE-2024-38473: an access rule for admin.php saw another path than PHP-FPM.
            ("/admin.php%3fooo.php", b"/admin.php?ooo.php"),
            // CVE-2024-38474: a rewritten path was cut at the question mark.
            (
                "/html/usr/share/doc/x%3F.html",
                b"/html/usr/share/doc/x?.html",
            ),
            // A deny rule for /admin/ must see these as /admin/.
            ("//admin//", b"/admin/"),
            ("/./admin/", b"/admin/"),
            ("/x/../admin/", b"/admin/"),
            ("/%61dmin/", b"/admin/"),
        ],
    );
    are_refused(
        Reject,
        &[
            ("/cgi-bin/.%2e/.%2e/etc/passwd", Climb),
            ("/icons/.%2e/%2e%2e/%2e%2e/etc/passwd", Climb),
            // CVE-2021-42013 decoded twice.
            ("/cgi-bin/.%%32%65/.%%32%65/etc/passwd", BadPercent),
            ("/cgi-bin/%%32%65%%32%65/", BadPercent),
            // CVE-2024-38473 again, with a truncation instead of the question mark.
            ("/admin.php%00ooo.php", ControlByte(0)),
        ],
    );
}

#[test]
fn published_bypasses_of_nginx_and_others_are_closed() {
    become_paths(
        Reject,
        &[
            // `location /static { alias /srv/static/; }`: one segment, not a way up.
            ("/static../settings.py", b"/static../settings.py"),
            // CVE-2010-2263 and its relatives: on Linux these are other files, not /x.php.
            ("/x.php::$DATA", b"/x.php::$DATA"),
            ("/x.php.", b"/x.php."),
            ("/x.php%20", b"/x.php "),
            ("/x.php/.", b"/x.php/"),
            ("/x.PHP", b"/x.PHP"),
            // Servlet path parameters hide nothing here.
            ("/a/..;/manager/", b"/a/..;/manager/"),
            // CVE-2000-0884: overlong UTF-8 is bytes, neither a dot nor a slash.
            ("/%c0%ae%c0%ae/", b"/\xc0\xae\xc0\xae/"),
            ("/a%c0%afb", b"/a\xc0\xafb"),
            // CVE-2001-0333 and CVE-2007-0450: a second decoding, a backslash.
            ("/%252e%252e/", b"/%2e%2e/"),
            ("/%25%32%65/", b"/%2e/"),
            ("/..%255c", b"/..%5c"),
            ("/..%5c..%5cboot.ini", b"/..\\..\\boot.ini"),
            ("/a/..\\b", b"/a/..\\b"),
        ],
    );
    are_refused(
        Reject,
        &[
            // CVE-2019-11043: `.` in fastcgi_split_path_info does not match a line feed.
            ("/index.php/PHP%0Ais_it.php?QQQ", ControlByte(0x0a)),
            ("/index.php%0d/x", ControlByte(0x0d)),
            // CVE-2013-4547, and the truncation that most servers had once.
            ("/a.jpg%20%00.php", ControlByte(0)),
            ("/x.php%00.jpg", ControlByte(0)),
            ("/%c0%ae/%2e%2e/..", Climb),
        ],
    );
}

#[test]
fn very_long_paths_are_only_long() {
    let flat = format!("/{}", "a".repeat(100_000));
    let deep = "/a".repeat(50_000) + &"/..".repeat(50_000);
    become_paths(
        Reject,
        &[
            (&flat, flat.as_bytes()),
            (&deep, b"/"),
            (&"/".repeat(100_000), b"/"),
            (&"/%2e".repeat(50_000), b"/"),
        ],
    );
    are_refused(Reject, &[(&(deep + "/.."), Climb)]);
}
