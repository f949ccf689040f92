//! Checks of one FastCGI server: its reachability, its reaction to a probe, and PHP's view of the files
//! of its requests.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::access::{Right, denied};
use super::finding::Finding;
use super::peer::{self, Class, Reply};
use super::pools::Pool;
use crate::cgi::{Mapping, Responder};
use crate::handler::fastcgi::explain_unknown_script;
use crate::privilege::User;
use crate::upstream::{Address, explain_denied, is_passing};

const FOREIGN: &str = "the server does not speak FastCGI";

/// Consequence of an unreachable server if others of its upstream are reachable.
const OTHERS_SERVE: &str = "the other servers of its upstream get its requests";

/// Extensions of files that no PHP runs: it refuses or sends them.
const PLAIN: [&str; 9] = [
    "txt", "css", "js", "ico", "png", "jpg", "svg", "webp", "gif",
];

/// Requests for the files of one root.
#[derive(Debug)]
pub(super) struct RootProbe<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) responder: &'a Responder,
    /// A script of the configuration, below the root.
    pub(super) script: Option<Vec<u8>>,
    /// Runs the script.
    pub(super) run: bool,
}

/// Checks the reachability of a server and its reaction to probes; `None` if further checks are useless. `others` are
/// the other servers of each of its upstreams.
pub(super) async fn reach(
    (address, others): (&Address, &[Vec<Address>]),
    pools: &[Pool],
    user: &User,
    findings: &mut Vec<Finding>,
) -> Option<Class> {
    if let Err(error) = peer::check_connect(address).await {
        let finding = if error.kind() == io::ErrorKind::PermissionDenied {
            denied_socket(address, pools, user)
        } else {
            unreachable(address, &error, pools)
        };
        findings.push(if peer::has_one_in_each(others).await {
            finding.why(OTHERS_SERVE)
        } else {
            finding
        });
        return None;
    }
    let classified = peer::classify(address).await;
    let class = classified.unwrap_or_else(|error| Class::Foreign(error.to_string()));
    findings.push(class_finding(address, &class));
    Some(class).filter(|class| !matches!(class, Class::Foreign(_)))
}

/// Returns the finding of a socket that the user may not connect to: a folder on the way, or its owner and mode.
fn denied_socket(address: &Address, pools: &[Pool], user: &User) -> Finding {
    let why = "every request for PHP gets 503 (UPSTREAM_DENIED)";
    let folder = match address {
        Address::Unix(path) => path
            .parent()
            .and_then(|folder| denied(folder, Right::Search)),
        Address::Tcp(..) => None,
    };
    if let Some(folder) = folder {
        let what = format!("no permission to connect to the socket: {folder}");
        let finding = Finding::error(address, what).why(why);
        return finding.fix(folder.remedy(user));
    }
    let story = explain_denied(address);
    let (facts, fix) = story.split_once("; ").unwrap_or((story.as_str(), ""));
    let facts = facts.trim_start_matches([':', ' ']);
    let what = format!("no permission to connect to the socket: {facts}");
    let pool = pools.iter().find(|pool| pool.listens_at(address));
    let file = pool.map_or_else(String::new, |pool| {
        format!(" (the pool {} is in {})", pool.name, pool.file.display())
    });
    let fix = if fix.contains("listen.mode") {
        format!("{fix}; or listen.acl_users = {}{file}", user.name)
    } else {
        fix.to_owned()
    };
    Finding::error(address, what).why(why).fix(fix)
}

fn unreachable(address: &Address, error: &io::Error, pools: &[Pool]) -> Finding {
    let here = pools.iter().find(|pool| pool.listens_at(address));
    let others: Vec<_> = pools.iter().filter_map(|pool| pool.get("listen")).collect();
    let fix = match (here, others.as_slice()) {
        (Some(pool), _) => format!(
            "start PHP-FPM: its pool {} in {} has this address",
            pool.name,
            pool.file.display()
        ),
        (None, []) => "start PHP-FPM, or set the address of its pool (`listen`) here".to_owned(),
        (None, others) => format!(
            "start PHP-FPM, or set the address of its pool (`listen`) here; pools configured on this host listen on {}",
            others.join(", ")
        ),
    };
    let why = if is_passing(error) {
        "every request for PHP waits for it, and gets 503 (UPSTREAM_DOWN) once timeouts.queue has passed"
    } else {
        "every request for PHP gets 503 (UPSTREAM_DOWN) at once"
    };
    Finding::error(address, describe_unreachable(address, error))
        .why(why)
        .fix(fix)
}

fn describe_unreachable(address: &Address, error: &io::Error) -> String {
    let what = match (error.kind(), address) {
        (io::ErrorKind::NotFound, Address::Unix(path)) => {
            if path.parent().is_some_and(Path::is_dir) {
                "the socket does not exist"
            } else {
                "the socket does not exist, nor does its folder: a container has its own /run"
            }
        }
        (io::ErrorKind::ConnectionRefused, Address::Unix(path)) => {
            if std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
                "the socket has no listener: a killed PHP-FPM left it"
            } else {
                "the path is not a socket"
            }
        }
        (io::ErrorKind::ConnectionRefused, Address::Tcp(..)) => "no process listens there",
        _ => return format!("connecting failed: {error}"),
    };
    what.to_owned()
}

fn class_finding(address: &Address, class: &Class) -> Finding {
    match class {
        Class::Kept => Finding::fine(address, "it accepts connections, answers probes and keeps the connection open (Kept)"),
        Class::Closes => Finding::note(address, "it answers a probe and closes the connection (Closes)")
            .why("connections are not reused, and requests wait in PHP-FPM's backlog, which no metric of the gateway shows")
            .fix("use PHP 8.2 or later (bug 76922), or set `capacity` of the upstream to pm.max_children"),
        Class::Multiplexed => Finding::fine(address, "it accepts connections, and parallel requests on each (Multiplexed)"),
        Class::Busy => Finding::warning(address, "it accepts connections, and none of its workers was free to answer a probe")
            .why("requests wait here until a worker is free, and get 503 (QUEUE_TIMEOUT) once timeouts.queue has passed")
            .fix("check PHP-FPM's slow log and pm.max_children; or it is not a FastCGI server: an HTTP server waits for the end of a line"),
        Class::Silent => Finding::warning(address, "it answers requests but no probe (Silent)")
            .why("it is not PHP-FPM: each request gets a connection of its own, and the gateway does not queue them")
            .fix("set `type = \"generic\"`, and `capacity` to the number of its workers"),
        Class::Foreign(what) => Finding::error(address, format!("{FOREIGN}: {what}"))
            .why("every request gets 502 or 503")
            .fix("set the port of PHP-FPM (its pool's `listen`), not that of a web server"),
    }
}

/// Checks PHP's view of the root, and the script with `--run`.
pub(super) async fn files(address: &Address, probe: &RootProbe<'_>, findings: &mut Vec<Finding>) {
    if *probe.responder == Responder::Generic {
        findings.push(Finding::note(
            address,
            "not checked: a generic application is not asked for PHP's files",
        ));
        return;
    }
    let finding = match root(address, probe).await {
        Ok(finding) => finding,
        Err(error) => failed_request(address, &error),
    };
    findings.push(finding);
    if let Some(script) = probe.script.as_deref().filter(|_| probe.run) {
        let path = [probe.mapping.document_root(), script].concat();
        let reply = ask(address, &path, "HEAD").await;
        findings.push(match reply {
            Ok(reply) => script_finding(address, probe.mapping, (script, &path), &reply),
            Err(error) => failed_request(address, &error),
        });
    }
}

/// Checks PHP's view of the root. PHP-FPM resolves the script first, and then runs only names that end in
/// .php (security.limit_extensions): an existing folder is refused, a missing one unknown.
async fn root(address: &Address, probe: &RootProbe<'_>) -> io::Result<Finding> {
    let mapping = probe.mapping;
    let root = mapping.document_root();
    let shown = String::from_utf8_lossy(root).into_owned();
    let absent = [root, b"/.fcgate-doctor-asks-for-what-is-not-there"].concat();
    if !ask(address, &absent, "GET").await?.is_unknown() {
        return Ok(Finding::note(
            address,
            format!("it is unknown whether PHP sees {shown}"),
                    )
                    .why("with cgi.fix_pathinfo = 0 PHP-FPM does not look for a file before it runs it")
                    .fix("`fcgate doctor --run` requests the front controller, which runs the application"));
    }
    let script = probe.script.as_deref().unwrap_or(b"/index.php");
    let unseen = |what: &str| {
        Finding::error(address, format!("PHP does not see {what}"))
            .why("PHP-FPM answers 404 `File not found.` (Primary script unknown)")
            .fix(explain_unknown_script(mapping, script))
    };
    if ask(address, root, "GET").await?.is_unknown() {
        return Ok(unseen(&format!("the document root {shown}")));
    }
    let Some(file) = plain_file(&mapping.root.0) else {
        return Ok(Finding::fine(
            address,
            format!("PHP sees the document root {shown}"),
        ));
    };
    let path = [root, b"/", file.as_bytes()].concat();
    let shown_file = String::from_utf8_lossy(&path).into_owned();
    if ask(address, &path, "GET").await?.is_unknown() {
        return Ok(unseen(&format!(
            "{shown_file}, which is here: its document root is another folder"
        )));
    }
    Ok(Finding::fine(
        address,
        format!("PHP sees the document root {shown} and {shown_file} in it"),
    ))
}

fn script_finding(
    address: &Address,
    mapping: &Mapping,
    (file, path): (&[u8], &[u8]),
    reply: &Reply,
) -> Finding {
    let shown = String::from_utf8_lossy(path);
    if reply.is_unknown() {
        return Finding::error(address, format!("PHP does not see the script {shown}"))
            .why("PHP-FPM answers 404 `File not found.` (Primary script unknown)")
            .fix(explain_unknown_script(mapping, file));
    }
    if reply.has_error("Unable to open primary script") {
        return Finding::error(
            address,
            format!("PHP has no permission to read the script {shown}"),
        )
        .why("PHP-FPM answers 403 or 404")
        .fix(
            "give the user of its pool read access to it, and search access to all folders above",
        );
    }
    match reply.status() {
        status @ 500.. => Finding::warning(
            address,
            format!("the script {shown} answers HEAD with {status}"),
        )
        .fix("see PHP's error log, or the gateway's with PHP's error stream"),
        status => Finding::fine(
            address,
            format!("the script {shown} answers HEAD with {status}"),
        ),
    }
}

/// Checks PHP-FPM's ping and status pages, if the pool has them.
pub(super) async fn pages(address: &Address, pool: &Pool, findings: &mut Vec<Finding>) {
    if let Some(path) = pool.get("ping.path") {
        let wanted = pool.get("ping.response").unwrap_or("pong");
        let reply = ask(address, path.as_bytes(), "GET").await;
        findings.push(match reply {
            Ok(reply) if reply.body().trim() == wanted => {
                Finding::fine(address, format!("{path} answers {wanted}"))
            }
            Ok(reply) => Finding::warning(
                address,
                format!("{path} answers {} and not {wanted}", reply.status()),
            )
            .why("the running pool differs from its file")
            .fix("reload PHP-FPM"),
            Err(error) => failed_request(address, &error),
        });
    }
    if let Some(path) = pool.get("pm.status_path") {
        let reply = ask(address, path.as_bytes(), "GET").await;
        findings.extend(
            reply
                .ok()
                .and_then(|reply| status_finding(address, &reply.body())),
        );
    }
}

fn status_finding(address: &Address, page: &str) -> Option<Finding> {
    let status: serde_json::Value = serde_json::from_str(page).ok()?;
    let number = |name: &str| {
        status
            .get(name)
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0)
    };
    // The number of busy workers is left out: PHP-FPM 8.2 counts one more for each connection that
    // carried probes and no request.
    let what = format!(
        "{} requests wait in the backlog, all workers were busy {} times",
        number("listen queue"),
        number("max children reached"),
    );
    Some(match number("max children reached") {
        0 => Finding::fine(address, what),
        _ => Finding::warning(address, what)
            .why("requests then wait, in the gateway or in the backlog")
            .fix("raise pm.max_children as far as memory permits, or find what is slow (request_slowlog_timeout)"),
    })
}

/// Reports whether a finding is that of a server without FastCGI.
pub(super) fn is_foreign(finding: &Finding) -> bool {
    finding.what.starts_with(FOREIGN)
}

fn failed_request(address: &Address, error: &io::Error) -> Finding {
    if peer::is_foreign(error) {
        return class_finding(address, &Class::Foreign(error.to_string()));
    }
    Finding::error(address, format!("a request failed: {error}"))
        .why("requests of clients fail likewise")
        .fix("see PHP-FPM's log (error_log)")
}

/// Requests a path with the usual variables, and the query of the status page.
async fn ask(address: &Address, path: &[u8], method: &str) -> io::Result<Reply> {
    let query: &[u8] = if method == "HEAD" { b"" } else { b"json" };
    let variables: [(&str, &[u8]); 12] = [
        ("GATEWAY_INTERFACE", b"CGI/1.1"),
        ("SERVER_SOFTWARE", b"fcgate doctor"),
        ("SERVER_PROTOCOL", b"HTTP/1.1"),
        ("SERVER_NAME", b"localhost"),
        ("SERVER_PORT", b"80"),
        ("REMOTE_ADDR", b"127.0.0.1"),
        ("REQUEST_METHOD", method.as_bytes()),
        ("REQUEST_URI", b"/"),
        ("QUERY_STRING", query),
        ("SCRIPT_NAME", path),
        ("SCRIPT_FILENAME", path),
        ("REDIRECT_STATUS", b"200"),
    ];
    peer::ask(address, &variables).await
}

/// Returns the name of a file in the folder that no PHP runs.
fn plain_file(root: &Path) -> Option<std::ffi::OsString> {
    let entries = std::fs::read_dir(root).ok()?.filter_map(Result::ok);
    let plain = entries.filter(|entry| {
        let name = entry.path();
        let extension = name.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| PLAIN.contains(&extension)) && name.is_file()
    });
    plain.map(|entry| entry.file_name()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_server_may_not_speak_fastcgi() {
        let address = Address::parse("127.0.0.1:80").unwrap();
        let finding = class_finding(&address, &Class::Busy);
        assert!(
            finding
                .fix
                .contains("an HTTP server waits for the end of a line")
        );
    }
}
