//! One FastCGI server: whether it can be reached, what it does with a probe, and whether PHP sees the
//! files that it will be asked for.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::finding::Finding;
use super::peer::{self, Class, Reply};
use super::pools::Pool;
use crate::cgi::{Mapping, Responder};
use crate::handler::fastcgi::explain_unknown_script;
use crate::upstream::{Address, explain_denied, is_passing};

const FOREIGN: &str = "what listens there does not speak FastCGI";

/// What follows from a server that cannot be reached, where others of its upstream can.
const OTHERS_SERVE: &str = "the other servers of its upstream get its requests";

/// A file of such a name is no script of any PHP: asked for, it is refused or sent and never run.
const PLAIN: [&str; 9] = [
    "txt", "css", "js", "ico", "png", "jpg", "svg", "webp", "gif",
];

/// What PHP is asked for below one root.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) responder: &'a Responder,
    /// A script below the root that is named in the configuration.
    pub(super) script: Option<Vec<u8>>,
    /// Whether that may be run.
    pub(super) run: bool,
}

/// Whether it can be reached, and how it answers probes; `None`: there is no use in asking more. `others` are the other
/// servers of each upstream that has it.
pub(super) async fn reach(
    address: &Address,
    others: &[Vec<Address>],
    pools: &[Pool],
    findings: &mut Vec<Finding>,
) -> Option<Class> {
    if let Err(error) = peer::knock(address).await {
        let finding = unreachable(address, &error, pools);
        findings.push(match peer::has_one_in_each(others).await {
            true => finding.why(OTHERS_SERVE),
            false => finding,
        });
        return None;
    }
    let class = peer::classify(address).await;
    let class = class.unwrap_or_else(|error| Class::Foreign(error.to_string()));
    findings.push(of_class(address, &class));
    Some(class).filter(|class| !matches!(class, Class::Foreign(_)))
}

fn unreachable(address: &Address, error: &io::Error, pools: &[Pool]) -> Finding {
    if error.kind() == io::ErrorKind::PermissionDenied {
        let story = explain_denied(address);
        let (facts, fix) = story.split_once("; ").unwrap_or((story.as_str(), ""));
        let facts = facts.trim_start_matches([':', ' ']);
        return Finding::error(
            address,
            format!("we may not connect to the socket: {facts}"),
        )
        .why("every request for PHP gets 503 (UPSTREAM_DENIED)")
        .fix(fix);
    }
    let here = pools.iter().find(|pool| pool.listens_at(address));
    let others: Vec<_> = pools.iter().filter_map(|pool| pool.get("listen")).collect();
    let fix = match (here, others.as_slice()) {
        (Some(pool), _) => format!(
            "start PHP-FPM: its pool {} in {} has this address",
            pool.name,
            pool.file.display()
        ),
        (None, []) => "start PHP-FPM, or name the address of its pool (`listen`) here".to_owned(),
        (None, others) => format!(
            "start PHP-FPM, or name the address of its pool (`listen`) here; those that are configured on this host listen at {}",
            others.join(", ")
        ),
    };
    let why = match is_passing(error) {
        true => {
            "every request for PHP waits for it, and gets 503 (UPSTREAM_DOWN) once timeouts.queue has passed"
        }
        false => "every request for PHP gets 503 (UPSTREAM_DOWN) at once",
    };
    Finding::error(address, not_there(address, error))
        .why(why)
        .fix(fix)
}

fn not_there(address: &Address, error: &io::Error) -> String {
    let what = match (error.kind(), address) {
        (io::ErrorKind::NotFound, Address::Unix(path)) => {
            match path.parent().is_some_and(Path::is_dir) {
                true => "the socket does not exist",
                false => {
                    "the socket does not exist, nor does its folder: a container has its own /run"
                }
            }
        }
        (io::ErrorKind::ConnectionRefused, Address::Unix(path)) => {
            match std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
                true => {
                    "the socket is there and nobody listens on it: a PHP-FPM that was killed left it"
                }
                false => "this is no socket",
            }
        }
        (io::ErrorKind::ConnectionRefused, Address::Tcp(..)) => "nobody listens there",
        _ => return format!("it cannot be connected to: {error}"),
    };
    what.to_owned()
}

fn of_class(address: &Address, class: &Class) -> Finding {
    match class {
        Class::Kept => Finding::fine(address, "it can be connected to, answers probes and serves on (Kept)"),
        Class::Closes => Finding::note(address, "it answers a probe and hangs up (Closes)")
            .why("connections are not used again, and requests wait in PHP-FPM's backlog, where nobody sees them")
            .fix("PHP 8.2 and later does better (bug 76922), or set `capacity` of the upstream to pm.max_children"),
        Class::Multiplexed => Finding::fine(address, "it can be connected to, and takes requests whatever it is doing (Multiplexed)"),
        Class::Busy => Finding::warning(address, "it accepts connections, and none of its workers was free to answer a probe")
            .why("requests wait here until a worker is free, and get 503 (QUEUE_TIMEOUT) once timeouts.queue has passed")
            .fix("look at PHP-FPM's slow log and pm.max_children; or it is no FastCGI server: an HTTP server waits for the end of a line"),
        Class::Silent => Finding::warning(address, "it answers requests and no probe (Silent)")
            .why("it is no PHP-FPM: each request gets a connection of its own, and a crowd of them is not queued here")
            .fix("set `type = \"generic\"`, and `capacity` to the number of its workers"),
        Class::Foreign(what) => Finding::error(address, format!("{FOREIGN}: {what}"))
            .why("every request gets 502 or 503")
            .fix("name the port of PHP-FPM (its pool's `listen`), not that of a web server"),
    }
}

/// Whether PHP sees the root, and the script where that may be run.
pub(super) async fn files(address: &Address, question: &Question<'_>, findings: &mut Vec<Finding>) {
    if *question.responder == Responder::Generic {
        findings.push(Finding::note(
            address,
            "a generic application is not asked for PHP's files",
        ));
        return;
    }
    let finding = match root(address, question).await {
        Ok(finding) => finding,
        Err(error) => no_answer(address, &error),
    };
    findings.push(finding);
    if let Some(script) = question.script.as_deref().filter(|_| question.run) {
        let path = [question.mapping.document_root(), script].concat();
        let reply = ask(address, &path, "HEAD").await;
        findings.push(match reply {
            Ok(reply) => of_script(address, question.mapping, (script, &path), &reply),
            Err(error) => no_answer(address, &error),
        });
    }
}

/// PHP-FPM resolves what it is asked for, and then runs only names that end in .php
/// (security.limit_extensions): a folder is refused if it is there, and unknown if it is not.
async fn root(address: &Address, question: &Question<'_>) -> io::Result<Finding> {
    let mapping = question.mapping;
    let root = mapping.document_root();
    let shown = String::from_utf8_lossy(root).into_owned();
    let absent = [root, b"/.fcgate-doctor-asks-for-what-is-not-there"].concat();
    if !ask(address, &absent, "GET").await?.is_unknown() {
        return Ok(Finding::note(
            address,
            format!("PHP does not tell whether it sees {shown}"),
        )
        .why("with cgi.fix_pathinfo = 0 PHP-FPM looks at no file before it runs it")
        .fix("`fcgate doctor --run` asks for the front controller, which runs the application"));
    }
    let script = question.script.as_deref().unwrap_or(b"/index.php");
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

fn of_script(
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
    if reply.says("Unable to open primary script") {
        return Finding::error(address, format!("PHP may not read the script {shown}"))
            .why("PHP-FPM answers 403 or 404")
            .fix("let the user of its pool read it, and enter all folders above");
    }
    match reply.status() {
        status @ 500.. => Finding::warning(
            address,
            format!("the script {shown} answers HEAD with {status}"),
        )
        .fix("see PHP's error log, or the gateway's: it has what PHP writes to its error stream"),
        status => Finding::fine(
            address,
            format!("the script {shown} answers HEAD with {status}"),
        ),
    }
}

/// What FPM's own pages say, where its pool has them.
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
            .why("the pool's file says otherwise than the pool that runs")
            .fix("reload PHP-FPM"),
            Err(error) => no_answer(address, &error),
        });
    }
    if let Some(path) = pool.get("pm.status_path") {
        let reply = ask(address, path.as_bytes(), "GET").await;
        findings.extend(
            reply
                .ok()
                .and_then(|reply| of_status(address, &reply.body())),
        );
    }
}

fn of_status(address: &Address, page: &str) -> Option<Finding> {
    let status: serde_json::Value = serde_json::from_str(page).ok()?;
    let number = |name: &str| {
        status
            .get(name)
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0)
    };
    // Not the number of busy workers: PHP-FPM 8.2 counts one more for each connection that carried
    // probes and no request.
    let what = format!(
        "{} requests wait in the backlog, all workers were busy {} times",
        number("listen queue"),
        number("max children reached"),
    );
    Some(match number("max children reached") {
        0 => Finding::fine(address, what),
        _ => Finding::warning(address, what)
            .why("then requests wait, here or in the backlog")
            .fix("raise pm.max_children as far as the memory goes, or find what is slow (request_slowlog_timeout)"),
    })
}

/// Whether it is the finding that a server is no FastCGI server.
pub(super) fn is_foreign(finding: &Finding) -> bool {
    finding.what.starts_with(FOREIGN)
}

fn no_answer(address: &Address, error: &io::Error) -> Finding {
    if peer::is_foreign(error) {
        return of_class(address, &Class::Foreign(error.to_string()));
    }
    Finding::error(address, format!("a request was not answered: {error}"))
        .why("so it will be with those of clients")
        .fix("look at PHP-FPM's log (error_log)")
}

/// The same variables as any request has, for a path and no query but that of the status page.
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

/// A file in the folder that no PHP would run.
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
    fn who_says_nothing_may_be_no_fastcgi_server() {
        let address = Address::parse("127.0.0.1:80").unwrap();
        let finding = of_class(&address, &Class::Busy);
        assert!(
            finding
                .fix
                .contains("an HTTP server waits for the end of a line")
        );
    }
}
