//! `fcgate doctor`: checks that PHP can be reached and sees its scripts, and compares its limits with those
//! of the gateway. Nothing is written, and no script of the application runs without `--run`.

mod access;
mod certificates;
mod finding;
mod host;
mod kernel;
mod limits;
mod peer;
mod pools;
mod server;
mod user;

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use serde_json::json;

use super::{Configuration, configuration_file};
use crate::config;
use crate::files::Files;
use crate::handler::Handler;
use crate::handler::fastcgi::{Fastcgi, Missing, ScriptRule};
use crate::privilege::User;
use crate::site::Snapshot;
use crate::upstream::Address;
use finding::{Finding, Severity};
use peer::Class;
use pools::Pool;
use server::RootProbe;
use user::Impersonation;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: Configuration,
    /// PHP-FPM's php-fpm.conf, if it is not in a usual place; may be repeated.
    #[arg(long = "pool", value_name = "FILE")]
    pools: Vec<PathBuf>,
    /// Run the front controllers with HEAD, which runs the application.
    #[arg(long)]
    run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the findings. The exit code is 1 for warnings, 2 for errors, else 0.
pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let json = arguments.json;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let findings = runtime.block_on(examine(arguments));
    let worst = findings.iter().map(|finding| finding.severity).max();
    let code = worst.unwrap_or(Severity::Fine).exit_code();
    // A closed stdout does not change the exit code.
    let _ = write!(std::io::stdout(), "{}", render(&findings, json));
    Ok(ExitCode::from(code))
}

fn render(findings: &[Finding], as_json: bool) -> String {
    if as_json {
        let findings: Vec<_> = findings.iter().map(Finding::json).collect();
        return format!("{:#}\n", json!({ "findings": findings }));
    }
    findings.iter().map(ToString::to_string).collect()
}

async fn examine(arguments: Arguments) -> Vec<Finding> {
    let file = configuration_file(arguments.configuration.file.clone());
    let mut findings = Vec::new();
    let snapshot = match config::load(&file, None, &Files::own()) {
        Ok(snapshot) => snapshot,
        Err(invalid) => {
            let what = format!("the configuration cannot be used\n{invalid}");
            return vec![unusable(Finding::error(file.display(), what))];
        }
    };
    findings.extend(host::warnings(&snapshot, &file));
    kernel::examine(&mut findings);
    host::examine(&snapshot, &mut findings);
    for certificate in snapshot
        .certificates()
        .into_iter()
        .flat_map(|all| all.inspect())
    {
        certificates::examine(&certificate, &mut findings);
    }
    let pools = pools::find(&arguments.pools);
    let user = user::of_server(&snapshot.server.user, &mut findings);
    match Impersonation::begin(&user) {
        Ok(as_server) => {
            examine_as_server(&snapshot, &user, (&pools, arguments.run), &mut findings).await;
            drop(as_server);
        }
        Err(error) => findings.push(user::cannot_check(&user, error)),
    }
    deduplicate(findings)
}

/// Adds the remedy to the finding of a configuration with a file that this process may not read, such as a key.
fn unusable(finding: Finding) -> Finding {
    if !finding.what.contains("Permission denied") {
        return finding;
    }
    let user = user::show_own();
    finding.fix(format!(
        "doctor runs as {user}: start it as fcgate is started. If that is this user, give it the file by setfacl -m u:NAME:r, or its group by          SupplementaryGroups= of the unit (ssl-cert for /etc/ssl/private on Debian); a parent that is root reads it for the server"
    ))
}

/// Checks what the server does with the rights of its user, which this process has too.
async fn examine_as_server(
    snapshot: &Snapshot,
    user: &User,
    (pools, run): (&[Pool], bool),
    findings: &mut Vec<Finding>,
) {
    findings.push(user::finding(user));
    findings.extend(host::spool(&snapshot.server.spool_directory, user));
    findings.extend(host::htaccess(snapshot));
    let callers = callers(snapshot);
    roots(&callers, user, findings);
    for server in servers(&callers, snapshot) {
        findings.extend(examine_server(&server, user, (pools, run)).await);
    }
}

/// Checks one server; returns a single finding if it does not speak FastCGI.
async fn examine_server(
    checked: &Server<'_>,
    user: &User,
    (pools, run): (&[Pool], bool),
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (address, others) = (&checked.address, &checked.others);
    let reached = server::reach((address, others), pools, user, &mut findings).await;
    if let Some(class) = reached {
        let pool = pools.iter().find(|pool| pool.listens_at(&checked.address));
        let queues = class == Class::Kept || checked.is_bounded;
        examine_application(checked, pool, (queues, run), &mut findings).await;
    }
    let foreign = findings.iter().find(|finding| server::is_foreign(finding));
    foreign.cloned().map_or(findings, |foreign| vec![foreign])
}

/// Removes duplicate findings, which several sites and rules may yield.
fn deduplicate(findings: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        if !kept.contains(&finding) {
            kept.push(finding);
        }
    }
    kept
}

/// A server with its callers of all upstreams.
struct Server<'a> {
    address: Address,
    callers: Vec<&'a Fastcgi>,
    /// The other servers of each of these upstreams.
    others: Vec<Vec<Address>>,
    /// An upstream of the server has a `capacity`, beyond which requests wait in the gateway.
    is_bounded: bool,
}

/// Returns all servers without duplicates, in the order of the callers.
fn servers<'a>(callers: &'a [Arc<Fastcgi>], snapshot: &Snapshot) -> Vec<Server<'a>> {
    let mut servers: Vec<Server<'a>> = Vec::new();
    for caller in callers {
        let all = snapshot.servers(&caller.upstream);
        for address in all.clone() {
            let others = all
                .iter()
                .filter(|other| **other != address)
                .cloned()
                .collect();
            let is_bounded = snapshot.capacity(&caller.upstream) > 0;
            match servers.iter_mut().find(|known| known.address == address) {
                Some(known) => {
                    known.callers.push(caller);
                    known.others.push(others);
                    known.is_bounded |= is_bounded;
                }
                None => servers.push(Server {
                    address,
                    callers: vec![caller],
                    others: vec![others],
                    is_bounded,
                }),
            }
        }
    }
    servers
}

/// Returns the FastCGI handlers of all rules.
fn callers(snapshot: &Snapshot) -> Vec<Arc<Fastcgi>> {
    let sites: Vec<_> = snapshot.sites().collect();
    let rules = sites.iter().flat_map(|site| site.rules.iter());
    let callers = rules.filter_map(|rule| match &rule.then.handler {
        Some(Handler::Fastcgi(fastcgi)) => Some(Arc::clone(fastcgi)),
        Some(
            Handler::StaticFiles(_)
            | Handler::Redirect(_)
            | Handler::Rewrite(_)
            | Handler::Respond(_)
            | Handler::Deny(_)
            | Handler::ExcludeProxy,
        )
        | None => None,
    });
    callers.collect()
}

/// Returns the script of a rule, below its root; `None` if it depends on the request.
fn script(caller: &Fastcgi) -> Option<Vec<u8>> {
    let ScriptRule::Fixed { script, .. } = &caller.script else {
        return None;
    };
    let path = script.to_string();
    let folder = caller.mapping.root.0.as_os_str().as_bytes();
    let root = folder.strip_suffix(b"/").unwrap_or(folder);
    let below = path.as_bytes().strip_prefix(root)?;
    (!path.contains('$')).then(|| below.to_vec())
}

fn roots(callers: &[Arc<Fastcgi>], user: &User, findings: &mut Vec<Finding>) {
    for caller in callers {
        let script = script(caller);
        if caller.missing == Missing::Pass {
            continue;
        }
        let root = &caller.mapping.root;
        findings.push(host::root(root, script.as_deref(), user));
    }
}

/// Checks the application behind a reachable address, once for each root. `queues`: requests beyond its
/// workers wait in the gateway.
async fn examine_application(
    checked: &Server<'_>,
    pool: Option<&Pool>,
    (queues, run): (bool, bool),
    findings: &mut Vec<Finding>,
) {
    let (address, callers) = (&checked.address, checked.callers.as_slice());
    let mut roots: Vec<&[u8]> = Vec::new();
    // Callers with a script come first, for the check of the script.
    let names = |caller: &&Fastcgi| script(caller).is_some();
    let (named, others): (Vec<&Fastcgi>, Vec<_>) = callers.iter().copied().partition(names);
    for caller in named.into_iter().chain(others) {
        let root = caller.mapping.document_root();
        if roots.contains(&root) {
            continue;
        }
        roots.push(root);
        let probe = RootProbe {
            mapping: &caller.mapping,
            responder: &caller.contract.responder,
            script: script(caller),
            run,
        };
        server::files(address, &probe, findings).await;
    }
    let Some(pool) = pool else {
        findings.push(
            Finding::note(
                address,
                "the pool's configuration was not found on this host",
            )
            .why("its limits cannot be compared with the gateway's")
            .fix("run doctor where PHP-FPM runs, or pass its php-fpm.conf by --pool"),
        );
        return;
    };
    server::pages(address, pool, findings).await;
    limits::compare(address, pool, (callers, queues), findings);
}
