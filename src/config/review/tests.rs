//! Rules with a warning, beside similar ones without.

use crate::config;
use crate::files::Files;

/// Listeners for conditions to name.
const LISTENERS: &str = "[[listen]]\naddress = '127.0.0.1:8081'\nname = 'a'\n\
                         [[listen]]\naddress = '127.0.0.1:8082'\nname = 'b'\n";

/// Returns the warnings about a site of these lines, each as its first line and its place.
fn warned(lines: &str) -> Vec<(String, String)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("[[site]]\n{lines}\n{LISTENERS}")).unwrap();
    let snapshot = config::load(file.path(), None, &Files::own())
        .unwrap_or_else(|error| panic!("{lines}\n{error}"));
    let mut warnings: Vec<(String, String)> = Vec::new();
    for line in snapshot.warnings.lines() {
        if let Some(message) = line.strip_prefix("warning: ") {
            warnings.push((message.to_owned(), String::new()));
        }
        if let (Some((_, place)), Some(last)) = (line.split_once("--> "), warnings.last_mut()) {
            let name = file.path().to_string_lossy();
            last.1 = place
                .trim_start_matches(&*name)
                .trim_start_matches(':')
                .to_owned();
        }
    }
    warnings
}

/// Fails unless there is exactly one warning, with these words, at `marked` in the last line but `back`
/// of a list of rules.
#[track_caller]
pub(super) fn warns(lines: &str, back: usize, marked: &str, words: &str) {
    let warnings = warned(lines);
    let [(message, at)] = warnings.as_slice() else {
        panic!("{lines}\n{warnings:#?}")
    };
    assert!(message.contains(words), "{lines}\n{message}");
    let number = lines.lines().count() - 1 - back;
    let line = lines.lines().nth(number - 1).unwrap();
    let column = line.find(marked).unwrap() + 1;
    // The line of [[site]] precedes them.
    assert_eq!(
        *at,
        format!("{}:{column}", number + 1),
        "{lines}\n{message}"
    );
}

#[track_caller]
pub(super) fn does_not_warn(lines: &str) {
    assert_eq!(warned(lines), [], "{lines}");
}

/// A site with scripts.
pub(super) const PHP: &str = "root = '/srv/a'\nphp = 'unix:/run/php.sock'\n";

/// Writes rules, one a line.
pub(super) fn rules(rules: &[&str]) -> String {
    let rules: Vec<_> = rules
        .iter()
        .map(|rule| format!("{{ {rule} }},\n"))
        .collect();
    format!("{PHP}rule = [\n{}]", rules.concat())
}

#[test]
fn conditions_that_hold_for_no_request_are_shown() {
    for (condition, marked, words) in [
        ("match = '^(data|conf)/'", "'^(", "a path begins with `/`"),
        (
            "match = '^/index\\.php\\?id='",
            "'^/",
            "a path has no query",
        ),
        ("match = '//'", "'//'", "are resolved before"),
        ("match = '^/a/\\.\\./b'", "'^/", "are resolved before"),
        ("path = '/wp-admin/*'", "*", "`*` is not a wildcard here"),
        ("path = ['/a', '/b?c=d']", "?", "`?` begins the query"),
        ("prefix = '/a//b'", "//", "repeated slashes"),
        ("prefix = '/a/../b'", "..", "`.` and `..` are resolved"),
        (
            "extension = ['tar.gz']",
            "'tar",
            "no path has the extension",
        ),
        (
            "prefix = '/x', not = { path = '/x/*' }",
            "*",
            "not a wildcard",
        ),
        (
            "any = [{ path = '/x/*' }, { path = '/y' }]",
            "*",
            "not a wildcard",
        ),
    ] {
        let rule = rules(&[&format!("{condition}, deny = true")]);
        warns(&rule, 0, marked, words);
    }
    for (rule, marked, words) in [
        (
            "static_files = { mounted_at = '/x/*/' }",
            "*",
            "not a wildcard",
        ),
        (
            "proxy_pass = '/app/*', to = 'fcgi://a/srv/a/'",
            "*",
            "not a wildcard",
        ),
        (
            "proxy_pass_match = '^app/(.*)$', to = 'fcgi://a/srv/a/$1'",
            "'^app",
            "a path begins with `/`",
        ),
        (
            "set_handler = 'proxy:fcgi://a', files_match = '/x\\.php$'",
            "'/x",
            "the name of a file has no `/`",
        ),
    ] {
        warns(&rules(&[rule]), 0, marked, words);
    }
    let mounts = format!("{PHP}mount = [\n{{ path = '/x/*/', root = '/srv/b' }},\n]");
    warns(&mounts, 0, "*", "not a wildcard");
}

#[test]
fn conditions_that_hold_for_some_request_are_not() {
    for condition in [
        "match = '^/(data|conf)/'",
        "match = '(data|conf)/'",
        "match = '^/a\\*b$'",
        "match = '\\?|%3F'",
        "path = ['/wp-admin/', '/100%', '/.git', '/a b']",
        "prefix = '/a/..b'",
        "extension = ['.gz', 'tar']",
        "query = { name = 'a', match = '^//\\?' }",
        "header = { name = 'Referer', match = '^http://a\\.example/\\?x' }",
    ] {
        does_not_warn(&rules(&[&format!("{condition}, deny = true")]));
    }
}

const WIDE: &str = "prefix = '/x', deny = true";

/// Rules, and the conditions of a later one that can never match.
const COVERED: &[(&[&str], &str)] = &[
    (&[WIDE], "path = '/x'"),
    (&[WIDE], "path = ['/x/a', '/x']"),
    (&[WIDE], "prefix = '/x/y'"),
    (&[WIDE], "prefix = '/x', method = 'POST'"),
    (&[WIDE], "match = '^/x/(.*)$'"),
    (
        &["prefix = '/x', listener = ['a', 'b'], deny = true"],
        "path = '/x/y', listener = 'b'",
    ),
    (
        &["match = '(?i)\\.(png|jpg)$', static_files = {}"],
        "path = '/a.PNG'",
    ),
    (&["match = '^/x', deny = true"], "path = '/xy'"),
    (
        &["extension = 'css', deny = true"],
        "path = ['/a.css', '/a.css/b']",
    ),
    (
        &["any = [{ prefix = '/x' }, { path = '/y' }], deny = true"],
        "path = ['/y', '/x/y']",
    ),
    (
        &["prefix = '/x', not = { path = '/x/a' }, deny = true"],
        "path = '/x/b'",
    ),
    (
        &["path = '/x', deny = true", "prefix = '/x/', deny = true"],
        "prefix = '/x'",
    ),
    (
        &["path = '/a', deny = true", "path = '/b', deny = true"],
        "path = ['/a', '/b']",
    ),
    (&["prefix = '/x', static_files = {}"], "path = '/x/y'"),
    (
        &["prefix = '/x', static_files = { mounted_at = '' }"],
        "path = '/x/y'",
    ),
    (&["prefix = '/x', fastcgi = {}"], "path = '/x/y'"),
    (
        &["prefix = '/x', fastcgi = { missing = 'pass' }"],
        "path = '/x/y'",
    ),
    (
        &["static_files = { root = '/srv/b', mounted_at = '/x' }"],
        "path = ['/x', '/x/y']",
    ),
    (
        &["prefix = '/x', fastcgi = { root = '/srv/b', mounted_at = '/x/y/' }"],
        "prefix = '/x/y'",
    ),
    (
        &[
            "path = '/x', deny = true",
            "fastcgi = { root = '/srv/b', mounted_at = '/x' }",
        ],
        "match = '^/x/(.*)$'",
    ),
    (
        &["proxy_pass = '/x/', to = 'fcgi://a/srv/a/'"],
        "path = '/x/y'",
    ),
];

/// Rules, and the conditions of a later one that can match. Paths outside of a mount are left to the next
/// rule.
const LEFT: &[(&[&str], &str)] = &[
    (&[WIDE], "path = ['/x', '/y']"),
    (&[WIDE], "prefix = '/xy'"),
    (&[WIDE], "match = '^/x'"),
    (&[WIDE], "match = '/x/'"),
    (&["prefix = '/x/', deny = true"], "prefix = '/x'"),
    (&["path = '/x', deny = true"], "prefix = '/x'"),
    (
        &["path = '/x', deny = true", "prefix = '/x/y', deny = true"],
        "prefix = '/x'",
    ),
    (
        &[
            "path = '/a', deny = true",
            "path = '/b', method = 'GET', deny = true",
        ],
        "path = ['/a', '/b']",
    ),
    (
        &["prefix = '/x', not = { path = '/x/a' }, deny = true"],
        "path = '/x/a'",
    ),
    (
        &["prefix = '/x', method = 'GET', deny = true"],
        "path = '/x/y'",
    ),
    (
        &["prefix = '/x', listener = 'a', deny = true"],
        "path = '/x/y', listener = ['a', 'b']",
    ),
    (
        &["prefix = '/x', listener = 'a', deny = true"],
        "path = '/x/y'",
    ),
    (
        &["prefix = '/x', internal = true, deny = true"],
        "path = '/x/y'",
    ),
    (&["prefix = '/x', expires = '1d'"], "path = '/x/y'"),
    (
        &["prefix = '/x', static_files = { missing = 'decline' }"],
        "path = '/x/y'",
    ),
    (
        &["prefix = '/x', fastcgi = { missing = 'decline' }"],
        "path = '/x/y'",
    ),
    (
        &["static_files = { root = '/srv/b', mounted_at = '/b' }"],
        "path = '/x'",
    ),
    (
        &["fastcgi = { root = '/srv/b', mounted_at = '/b' }"],
        "path = '/x'",
    ),
    (
        &["prefix = '/x', static_files = { root = '/srv/b', mounted_at = '/x/y' }"],
        "prefix = '/x'",
    ),
    (
        &["fastcgi = { root = '/srv/b', mounted_at = '/b' }"],
        "path = ['/b', '/bc']",
    ),
    (
        &["static_files = { root = '/srv/b', mounted_at = '/b', missing = 'decline' }"],
        "path = '/b/c'",
    ),
    (&["set_handler = 'proxy:fcgi://a'"], "path = '/x.php'"),
    (&["proxy_pass = '/x', to = '!'"], "path = '/x'"),
    (
        &[
            "proxy_pass = '/x', to = '!'",
            "proxy_pass = '/', to = 'fcgi://a/srv/a/'",
        ],
        "path = '/x'",
    ),
];

#[test]
fn rules_behind_one_that_answers_are_shown() {
    for (before, narrow) in COVERED {
        let last = format!("{narrow}, respond = {{}}");
        let all = [before, &[&*last][..]].concat();
        warns(&rules(&all), 0, "{", "this rule can never match");
    }
}

#[test]
fn rules_behind_one_that_leaves_something_are_not() {
    for (before, narrow) in LEFT {
        let last = format!("{narrow}, respond = {{}}");
        let all = [before, &[&*last][..]].concat();
        does_not_warn(&rules(&all));
    }
}

#[test]
fn rules_for_hosts_are_judged_among_the_sites_of_their_listener() {
    let own = "hosts = ['a.example']\nroot = '/srv/a'\n[[site]]\nhosts = ['b.example']\nroot = '/srv/b'\n";
    let rule = "rule = [\n{ host = 'c.example', deny = true },\n]";
    warns(
        &format!("{own}{rule}"),
        0,
        "'c.",
        "the site has no such host",
    );
    // It answers for all hosts of its listener.
    does_not_warn(&format!("{own}listen = ['a']\n{rule}"));
}

#[test]
fn refusals_that_a_longer_path_gets_round_are_shown() {
    for (condition, marked) in [
        ("match = '\\.php$'", "'\\."),
        ("match = '^/uploads/.*\\.php$'", "'^/"),
        ("match = '(?i)\\.(phtml|phar|php)$'", "'(?i)"),
        (
            "match = '^/(uploads|files)/.*\\.ph(p[3457]?|t|tml)$'",
            "'^/",
        ),
        ("match = '^/(config|setup)\\.php\\z'", "'^/"),
        ("match = '^/(?!index\\.php).+\\.php$'", "'^/"),
        ("match = '\\.php$', not = { remote = '10.0.0.0/8' }", "'\\."),
        ("match = '\\.php$', method = 'POST'", "'\\."),
        (
            "any = [{ match = '^/a/.*\\.php$' }, { extension = 'b' }]",
            "[{",
        ),
    ] {
        for refuses in [
            "deny = true",
            "deny = { status = 404 }",
            "respond = { status = 410 }",
        ] {
            let rule = rules(&[&format!("{condition}, {refuses}")]);
            warns(&rule, 0, marked, "which runs the same script");
        }
    }
    let rule = "match = '^/up/.*\\.php$', deny = true";
    let words = "this rule refuses `/up/x.php` and not `/up/x.php/x`, which runs the same script";
    warns(&rules(&[rule]), 0, "'^/up", words);
    for runs in [
        "proxy_pass_match = '^/(.*\\.php(/.*)?)$', to = 'fcgi://a/srv/a/$1'",
        "proxy_pass_match = '^/(.*)$', to = 'fcgi://a/srv/b/$1'",
        "set_handler = 'proxy:fcgi://a'",
        "fastcgi = { mounted_at = '/up' }",
        "method = 'POST', fastcgi = {}",
    ] {
        let rules = rules(&[rule, runs]);
        warns(
            &format!("implied_rules = false\n{rules}"),
            1,
            "'^/up",
            words,
        );
    }
}

#[test]
fn refusals_of_both_paths_are_not() {
    for one in [
        "match = '^/uploads/.*\\.php(/|$)', deny = true",
        "match = '\\.php', deny = true",
        "match = '^/uploads/.*\\.php/?', deny = true",
        "extension = 'php', deny = true",
        "prefix = '/admin.php', deny = true",
        "match = '\\.sql$', deny = true",
        "path = '/readme.html', deny = true",
        "path = ['/readme.html', '/admin.php'], deny = true",
        "prefix = '/uploads', match = '\\.php$', deny = true",
        "match = '\\.php$', respond = { status = 200 }",
        "match = '\\.php$', expires = '1d'",
        "match = '\\.php$', fastcgi = {}",
        "match = '\\.php$', internal = true, deny = true",
    ] {
        does_not_warn(&rules(&[one]));
    }
    let narrow = "match = '^/up/.*\\.php$', deny = true";
    for more in [
        // The target is one script, whatever the path.
        "proxy_pass_match = '^(/.*)$', to = 'fcgi://a/srv/a/index.php$1'",
        "proxy_pass = '/', to = 'fcgi://a/srv/a/app.phtml/'",
        // Another rule covers the rest, before or after.
        "match = '\\.php/', deny = true",
        "prefix = '/up', respond = { status = 404 }",
        "prefix = '/up', static_files = {}",
        "prefix = '/up', method = 'GET', deny = true",
        "fastcgi = { script = '/srv/a/index.php' }",
    ] {
        does_not_warn(&rules(&[narrow, more]));
    }
    does_not_warn(&rules(&[
        "prefix = '/up', static_files = {}",
        "path = '/a', deny = true",
    ]));
    // The front controller gets neither.
    does_not_warn(&format!(
        "front_controller = {{ except = ['png'] }}\n{}",
        rules(&["match = '\\.png$', deny = true"])
    ));
    // Nothing runs here.
    does_not_warn(&format!("root = '/srv/a'\nrule = [{{ {narrow} }}]"));
    does_not_warn(&format!(
        "root = '/srv/a'\nrule = [{{ {narrow} }}, {{ fastcgi = {{ upstream = 'a:1', mounted_at = '/b' }} }}]"
    ));
}

/// Returns the warnings about a site whose scheme a proxy may determine.
fn redirects(server: &str, site: &str) -> Vec<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!("[server]\n{server}\n[[site]]\nroot = '/srv/a'\n{site}\n");
    std::fs::write(file.path(), text).unwrap();
    let snapshot = config::load(file.path(), None, &Files::own()).unwrap();
    snapshot
        .warnings
        .lines()
        .filter_map(|line| line.strip_prefix("warning: "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn redirects_to_https_that_may_never_end_are_shown() {
    let behind = "trusted_proxies = ['10.0.0.0/8']";
    let with = |fields: &str| format!("{behind}\ntrusted_fields = [{fields}]");
    let rule = "rule = [{ scheme = 'http', redirect = { to = 'https://a.example$uri' } }]";
    for (server, words) in [
        (String::new(), "no listener speaks TLS"),
        (behind.to_owned(), "`trusted_fields` is not set"),
        (with("'x-forwarded-for'"), "names no field for the scheme"),
        (with("'x-forwarded-host'"), "names no field for the scheme"),
        (with(""), "names no field for the scheme"),
    ] {
        for site in ["https = true", "https = { hsts = '1d' }", rule] {
            let warnings = redirects(&server, site);
            assert_eq!(warnings.len(), 1, "{server} {site}: {warnings:?}");
            assert!(warnings[0].contains(words), "{server} {site}: {warnings:?}");
        }
        for site in [
            "https = false",
            "rule = [{ redirect = { to = 'https://a.example$uri' } }]",
        ] {
            assert_eq!(redirects(&server, site), [""; 0], "{server} {site}");
        }
    }
    for fields in ["'x-forwarded-proto'", "'forwarded'"] {
        for site in ["https = true", rule] {
            assert_eq!(redirects(&with(fields), site), [""; 0], "{fields} {site}");
        }
    }
}

#[test]
fn rewrites_that_lead_to_themselves_are_shown() {
    for (conditions, to) in [
        ("", "/index.php"),
        ("prefix = '/', ", "/index.php/$rest"),
        ("match = '^/(.*)$', ", "/index.php"),
        ("match = '^/(.*)$', ", "/app/$1"),
        ("path = '/a', ", "/a"),
        ("prefix = '/a', ", "/a/$rest"),
        ("prefix = '/a', method = 'POST', ", "/a/b"),
        ("match = '^/(?!admin)(?<all>.*)$', ", "/index.php?p=${all}"),
        ("prefix = '/a', not = { path = '/a/b' }, ", "/a/x/../c"),
        ("path = '/a', internal = true, ", "/a"),
        ("prefix = '/a', listener = 'a', ", "/a/b"),
        ("prefix = '/a', not = { listener = 'a' }, ", "/a/b"),
        (
            "prefix = '/a', any = [{ method = 'GET' }, { listener = 'a' }], ",
            "/a/b",
        ),
    ] {
        let rule = format!("{conditions}rewrite = {{ to = '{to}' }}");
        let marked = format!("'{to}' }}");
        warns(&rules(&[&rule]), 0, &marked, "this rewrite loops");
    }
    // PHP sources are not sent, and so are left to the next rule.
    let file = "static_files = { missing = 'decline' }";
    let all = "match = '^/(.*)$', rewrite = { to = '/index.php' }";
    warns(
        &rules(&[file, all]),
        0,
        "'/index.php'",
        "this rewrite loops: `/x` becomes `/index.php` becomes `/index.php`, until the request is refused after 10 rounds",
    );
    // A path below a script is no file of a folder.
    let below = "match = '^/(.*)$', rewrite = { to = '/index.php/$1' }";
    let words = "`/x` becomes `/index.php/x` becomes `/index.php/index.php/x`";
    warns(&rules(&[file, below]), 0, "'/index.php/$1'", words);
    let there = "path = '/a', rewrite = { to = '/b' }";
    let back = "path = '/b', rewrite = { to = '/a' }";
    let warnings = warned(&rules(&[there, back]));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[test]
fn rewrites_that_come_to_an_end_are_not() {
    let all = "match = '^/(.*)$', rewrite = { to = '/index.php' }";
    for one in [
        "path = '/a', rewrite = { to = '/b' }",
        "prefix = '/old', rewrite = { to = '/new/$rest' }",
        "match = '^/(?!index\\.php)(.*)$', rewrite = { to = '/index.php/$1' }",
        "match = '^/(.*)$', not = { prefix = '/index.php' }, rewrite = { to = '/index.php' }",
        "not = { exists = { file = '$root$path' } }, rewrite = { to = '/index.php' }",
        "query = { name = 'p' }, rewrite = { to = '/index.php?q=1' }",
        "path = '/a', rewrite = { to = '$uri' }",
        "prefix = '/a', rewrite = { to = '/${header:X-A}' }",
        "path = '/a', rewrite = { to = '/a/../../..' }",
    ] {
        does_not_warn(&rules(&[one]));
    }
    for before in [
        "extension = 'php', fastcgi = {}",
        "fastcgi = { missing = 'decline' }",
        "path = '/index.php', fastcgi = { script = '/srv/a/index.php' }",
        "internal = true, prefix = '/index.php', fastcgi = {}",
        "header = { name = 'X-A' }, deny = true",
        "static_files = {}",
    ] {
        let warnings = warned(&rules(&[before, all]));
        let loops = warnings
            .iter()
            .filter(|(message, _)| message.contains("itself"));
        assert_eq!(loops.count(), 0, "{before}: {warnings:?}");
    }
    // A folder may have such a name.
    does_not_warn(&rules(&[
        "static_files = { missing = 'decline' }",
        "match = '^/(.*)$', rewrite = { to = '/site.old' }",
    ]));
    // Ten rounds are enough for nine rewrites.
    let steps: Vec<_> = (0..9)
        .map(|n| format!("path = '/{n}', rewrite = {{ to = '/{}' }}", n + 1))
        .collect();
    let lines: Vec<_> = steps.iter().map(String::as_str).collect();
    does_not_warn(&rules(&lines));
    // It leads into the loop of another, which gets the warning.
    let leads = "path = '/a', rewrite = { to = '/b' }";
    let turns = "path = '/b', rewrite = { to = '/b' }";
    warns(&rules(&[leads, turns]), 0, "'/b' } }", "`/b` becomes `/b`");
}
