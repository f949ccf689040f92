//! The `[[site]]` section and its keys.

use super::front::{FRONT_CONTROLLER, INDEX};
use super::mount::MOUNTS;
use super::preset::PRESET;
use super::rule::RULE;
use super::server::SLOW;
use crate::access_log::section::ACCESS_LOG;
use crate::auth::access::{ALLOW, DENY};
use crate::cgi::contract::{AUTHORIZATION, CANONICAL_NAME, PASS_FIELDS};
use crate::filter::compress::COMPRESS;
use crate::filter::error_page::ERROR_PAGE;
use crate::handler::answer::send_file::SEND_FILE;
use crate::handler::fastcgi::REQUEST_BODY;
use crate::handler::https::HTTPS;
use crate::handler::static_files::FILES;
use crate::limits::SITE_LIMITS;
use crate::modifier::reserve::RESERVE;
use crate::section::{At, Key, Section, Table, Tables};
pub(super) use crate::site::hosts::{HOSTS, LISTEN};
use crate::tls::SITE_TLS;

pub(super) static SITES: Key<Tables> = Key::tables("site", &SITE, "Sites.");

/// The `[[site]]` section.
pub(super) static SITE: Section = Section {
    title: "[[site]]",
    doc: "Rules and settings for some hosts. The rules come first, in their order; then the mounts, then the rules of `preset`. Then, with `root` and `php`: an existing file is sent, an existing .php script runs, a folder tries `index`, and everything else goes to the front controller; with `root` alone: files.",
    groups: &[&[
        &HOSTS,
        &LISTEN,
        &ROOT,
        &PHP,
        &INDEX,
        &FRONT_CONTROLLER,
        &PRESET,
        &IMPLIED_RULES,
        &ENCODED_SLASH,
        &REQUEST_BODY,
        &TLS,
        &HTTPS_KEY,
        &COMPRESS_KEY,
        &ALLOW,
        &DENY,
        &CANONICAL_NAME,
        &AUTHORIZATION,
        &PASS_FIELDS,
        &LIMITS,
        &RESERVE,
        &ACCESS_LOG,
        &SLOW,
        &SEND_FILE_KEY,
        &ERROR_PAGES,
        &FILES_TABLE,
        &MOUNTS,
        &RULES,
    ]],
};

pub(super) static ROOT: Key<Option<At<String>>> =
    Key::text("root", "The document root, an absolute path.").shown("\"/srv/app/public\"");

pub(super) static PHP: Key<Option<At<String>>> = Key::text("php", "Address of PHP-FPM: \"unix:/path\", \"host:port\", the name of an [upstream.NAME], or in Apache's notation \"unix:/path|fcgi://localhost\".").example("\"unix:/run/php/php-fpm.sock\"");

pub(super) static IMPLIED_RULES: Key<bool> = Key::flag("implied_rules", "Adds the rules implied by `root` and `php`, after all others. With false they are only defaults for rules.").default("true");

pub(super) static ENCODED_SLASH: Key<At<String>> = Key::one_of("encoded_slash", &["reject", "keep", "decode"], "Handling of %2F in a path: \"reject\" answers 404, \"keep\" leaves the three bytes, \"decode\" makes it a slash before any rule is matched.").default("\"reject\"");

pub(super) static TLS: Key<Table> = Key::table("tls", &SITE_TLS, "The certificate of the site.")
    .example("{ certificate = \"/etc/tls/example.pem\", key = \"/etc/tls/example.key\" }");

pub(super) static HTTPS_KEY: Key<Table> = Key::flag_or("https", &HTTPS, "Requires TLS.");

pub(super) static COMPRESS_KEY: Key<Table> = Key::flag_or(
    "compress",
    &COMPRESS,
    "Content codings: gzip, brotli and zstd, for clients that accept them.",
);

pub(super) static LIMITS: Key<Table> = Key::table(
    "limits",
    &SITE_LIMITS,
    "Limits of this site that differ from server.limits.",
)
.example("{ body = \"128MiB\" }");

pub(super) static SEND_FILE_KEY: Key<Table> = Key::table(
    "send_file",
    &SEND_FILE,
    "Files named by a script and sent by the gateway.",
)
.example("{ roots = [\"/srv/files\"] }");

pub(super) static ERROR_PAGES: Key<Tables> = Key::tables(
    "error_page",
    &ERROR_PAGE,
    "Content in place of error answers.",
)
.example("[{ status = [\"404\"], body = \"Not here.\" }]");

pub(super) static FILES_TABLE: Key<Table> =
    Key::table("files", &FILES, "Settings for static files.");

pub(super) static RULES: Key<Tables> = Key::tables(
    "rule",
    &RULE,
    "Rules before those implied by `root` and `php`.",
)
.example("[]");
