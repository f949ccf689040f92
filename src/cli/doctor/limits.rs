//! What a pool of PHP-FPM allows, beside what the gateway allows.

use super::finding::Finding;
use super::pools::{Pool, size, time};
use crate::handler::fastcgi::Fastcgi;
use crate::upstream::Address;
use crate::value::ByteSize;

/// What PHP has without a php.ini, in bytes.
const POST_MAX_SIZE: u64 = 8 << 20;
const UPLOAD_MAX_FILESIZE: u64 = 2 << 20;

/// Of the pool behind `address`, for all that asks it.
pub(super) fn compare(
    address: &Address,
    pool: &Pool,
    callers: &[&Fastcgi],
    findings: &mut Vec<Finding>,
) {
    let about = format!(
        "pool {} in {}, at {address}",
        pool.name,
        pool.file.display()
    );
    workers(&about, pool, findings);
    findings.extend(terminate(&about, pool, callers));
    findings.extend(control(&about, pool));
    bodies(&about, pool, callers, findings);
}

fn workers(about: &str, pool: &Pool, findings: &mut Vec<Finding>) {
    let Some(children) = pool.get("pm.max_children") else {
        return;
    };
    findings.push(match children {
        "1" => Finding::warning(about, "pm.max_children = 1: one request at a time")
            .why("a script that asks its own site waits for itself, and one slow request stops all")
            .fix("raise pm.max_children as far as the memory goes"),
        number => Finding::fine(about, format!("pm.max_children = {number}: so many requests run at once, the others wait in the gateway")),
    });
}

fn terminate(about: &str, pool: &Pool, callers: &[&Fastcgi]) -> Option<Finding> {
    let limit = time(pool.get("request_terminate_timeout")?).filter(|limit| !limit.is_zero())?;
    let longer = callers.iter().map(|caller| &caller.timeouts.first_byte);
    let mut longer = longer.filter(|ours| ours.duration.is_zero() || ours.duration > limit);
    let ours = longer.next()?;
    let what = format!(
        "request_terminate_timeout = {} s is shorter than {ours}",
        limit.as_secs()
    );
    Some(
        Finding::warning(about, what)
            .why("PHP-FPM kills the worker first: the client gets 502 (UPSTREAM_RESET) or a cut answer, and not 504")
            .fix("make timeouts.first_byte of the upstream the shorter one"),
    )
}

fn control(about: &str, pool: &Pool) -> Option<Finding> {
    let text = pool.global("process_control_timeout").unwrap_or("0");
    time(text).filter(std::time::Duration::is_zero)?;
    Some(
        Finding::note(about, "process_control_timeout = 0")
            .why("a reload of PHP-FPM kills the requests that run: they get 502, or run twice where that is safe")
            .fix("[global] process_control_timeout = 10s in php-fpm.conf"),
    )
}

fn bodies(about: &str, pool: &Pool, callers: &[&Fastcgi], findings: &mut Vec<Finding>) {
    let setting = |name, default| pool.setting(name).and_then(size).unwrap_or(default);
    let post = setting("post_max_size", POST_MAX_SIZE);
    let upload = setting("upload_max_filesize", UPLOAD_MAX_FILESIZE);
    let ours = callers
        .iter()
        .map(|caller| caller.spool.limit)
        .max()
        .unwrap_or(0);
    // 0 is no limit to PHP.
    if post > 0 && post < ours {
        let what = format!(
            "post_max_size = {} is less than limits.body = {}",
            ByteSize(post),
            ByteSize(ours)
        );
        let finding = Finding::warning(about, what).why("PHP runs the script for a body between the two with an empty $_POST and $_FILES, and says so only in its log");
        findings.push(finding.fix("set both to the same: then such a body gets 413"));
    } else if post > ours {
        let what = format!(
            "post_max_size = {}, limits.body = {}",
            ByteSize(post),
            ByteSize(ours)
        );
        findings.push(Finding::note(about, what).why("the gateway's is what holds"));
    }
    if post > 0 && upload > post {
        let what = format!(
            "upload_max_filesize = {} is more than post_max_size = {}",
            ByteSize(upload),
            ByteSize(post)
        );
        findings.push(
            Finding::warning(about, what)
                .why("no file of that size ever comes through")
                .fix("raise post_max_size above it"),
        );
    } else {
        findings.push(Finding::fine(
            about,
            format!("upload_max_filesize = {}", ByteSize(upload)),
        ));
    }
}
