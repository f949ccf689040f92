//! Comparison of the limits of a PHP-FPM pool with those of the gateway.

use std::time::Duration;

use super::finding::Finding;
use super::pools::{Pool, size, time};
use crate::handler::fastcgi::{CallTimeouts, Fastcgi};
use crate::upstream::Address;
use crate::value::{ByteSize, TimeLimit};

/// Defaults of PHP without a php.ini, in bytes.
const POST_MAX_SIZE: u64 = 8 << 20;
const UPLOAD_MAX_FILESIZE: u64 = 2 << 20;

/// Compares the pool behind `address` with all its callers; `queues`: requests beyond its workers wait in
/// the gateway.
pub(super) fn compare(
    address: &Address,
    pool: &Pool,
    (callers, queues): (&[&Fastcgi], bool),
    findings: &mut Vec<Finding>,
) {
    let about = format!(
        "pool {} in {}, at {address}",
        pool.name,
        pool.file.display()
    );
    workers(&about, pool, queues, findings);
    findings.extend(terminate(&about, pool, callers));
    findings.extend(control(&about, pool));
    bodies(&about, pool, callers, findings);
}

fn workers(about: &str, pool: &Pool, queues: bool, findings: &mut Vec<Finding>) {
    let Some(children) = pool.get("pm.max_children") else {
        return;
    };
    findings.push(match children {
        "1" => Finding::warning(about, "pm.max_children = 1: one request at a time")
            .why("a script that requests its own site waits for itself, and one slow request blocks all others")
            .fix("raise pm.max_children as far as memory permits"),
        number => {
            let place = if queues { "in the gateway" } else { "in PHP-FPM's backlog" };
            Finding::fine(about, format!("pm.max_children = {number}: the maximum number of concurrent requests; others wait {place}"))
        }
    });
}

fn terminate(about: &str, pool: &Pool, callers: &[&Fastcgi]) -> Option<Finding> {
    let limit = time(pool.get("request_terminate_timeout")?).filter(|limit| !limit.is_zero())?;
    let ours = callers
        .iter()
        .find_map(|caller| longer(&caller.timeouts, limit))?;
    let what = format!(
        "request_terminate_timeout = {} s is shorter than {ours}",
        limit.as_secs()
    );
    Some(
        Finding::warning(about, what)
            .why("PHP-FPM kills the worker first: the client gets 502 (UPSTREAM_RESET) or a cut answer, and not 504")
            .fix(format!("set {} of the upstream below it", ours.name)),
    )
}

/// Returns a time for which a worker may run, if it is longer than `limit`, the pool's own.
fn longer(times: &CallTimeouts, limit: Duration) -> Option<&TimeLimit> {
    let CallTimeouts {
        first_byte, total, ..
    } = times;
    let is_longer = |ours: &&TimeLimit| ours.duration > limit;
    if total.duration.is_zero() {
        return Some(first_byte).filter(|ours| ours.duration.is_zero() || is_longer(ours));
    }
    // The answer may go on after its first byte, up to the end of the total time.
    [first_byte, total]
        .into_iter()
        .find(|ours| total.duration > limit && is_longer(ours))
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
    let limits = Limits {
        ours: callers
            .iter()
            .map(|caller| caller.spool.limit)
            .max()
            .unwrap_or(0),
        post: setting("post_max_size", POST_MAX_SIZE),
        upload: setting("upload_max_filesize", UPLOAD_MAX_FILESIZE),
    };
    findings.extend(limits.check_forms(about));
    findings.push(limits.check_files(about));
}

/// Size limits of a request, in bytes.
struct Limits {
    /// `limits.body`, the largest of all callers.
    ours: u64,
    /// `post_max_size`; 0 is no limit.
    post: u64,
    /// `upload_max_filesize`.
    upload: u64,
}

impl Limits {
    fn check_forms(&self, about: &str) -> Option<Finding> {
        let (ours, post) = (ByteSize(self.ours), ByteSize(self.post));
        if self.post > 0 && self.post < self.ours {
            let what = format!("post_max_size = {post} is less than limits.body = {ours}");
            let finding = Finding::warning(about, what).why("PHP runs the script for a body between the two with an empty $_POST and $_FILES, and warns in its log alone");
            return Some(finding.fix("set both to the same: then such a body gets 413"));
        }
        (self.post != self.ours).then(|| {
            let what = format!("post_max_size = {post}, limits.body = {ours}");
            Finding::note(about, what).why("the gateway's limit applies")
        })
    }

    /// Checks the limit of a file, which is a part of a form and thus of a body.
    fn check_files(&self, about: &str) -> Finding {
        let upload = ByteSize(self.upload);
        let form = Some(self.post).filter(|post| *post > 0);
        let (name, least) = match form.filter(|post| *post < self.ours) {
            Some(post) => ("post_max_size", post),
            None => ("limits.body", self.ours),
        };
        let other = format!("{name} = {}", ByteSize(least));
        if self.upload > least {
            let what = format!("upload_max_filesize = {upload} is more than {other}");
            return Finding::warning(about, what)
                .why("no file of that size reaches the script")
                .fix(format!("raise {name} above it"));
        }
        if self.upload < least {
            let what = format!("upload_max_filesize = {upload} is less than {other}");
            return Finding::note(about, what)
                .why("a file between the two is received and discarded: the script finds UPLOAD_ERR_INI_SIZE in $_FILES")
                .fix("raise upload_max_filesize to accept files of that size");
        }
        Finding::fine(about, format!("upload_max_filesize = {upload}, {other}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity::{self, Fine, Note, Warning};
    use super::*;

    const MIB: u64 = 1 << 20;

    fn check(limits: [u64; 3], form: Option<Severity>, file: (Severity, &str)) {
        let [ours, post, upload] = limits.map(|mebibytes| mebibytes * MIB);
        let limits = Limits { ours, post, upload };
        let found = limits.check_forms("x").map(|finding| finding.severity);
        assert_eq!(found, form, "{ours} {post} {upload}");
        let found = limits.check_files("x");
        assert_eq!(found.severity, file.0, "{found}");
        assert!(found.what.contains(file.1), "{found}");
    }

    #[test]
    fn the_time_that_php_fpm_ends_first_is_named() {
        let seconds = |seconds| Duration::from_secs(seconds);
        let limit = |name, length| TimeLimit {
            name,
            duration: seconds(length),
            place: "default".into(),
        };
        for (first_byte, total, expected) in [
            (10, 0, None),
            (30, 0, Some("first_byte")),
            (0, 0, Some("first_byte")),
            (0, 20, None),
            (30, 20, None),
            (10, 30, Some("total")),
            (25, 30, Some("first_byte")),
            (0, 30, Some("total")),
        ] {
            let times = CallTimeouts {
                queue: limit("queue", 1),
                first_byte: limit("first_byte", first_byte),
                idle: limit("idle", 60),
                total: limit("total", total),
            };
            let found = longer(&times, seconds(20)).map(|found| found.name);
            assert_eq!(found, expected, "{first_byte} {total}");
        }
    }

    #[test]
    fn limits_of_forms_and_files_are_compared_with_ours() {
        check([8, 8, 8], None, (Fine, "limits.body = 8MiB"));
        check([32, 8, 8], Some(Warning), (Fine, "post_max_size = 8MiB"));
        check([32, 8, 2], Some(Warning), (Note, "less than post_max_size"));
        check([8, 8, 2], None, (Note, "less than limits.body = 8MiB"));
        check([8, 8, 9], None, (Warning, "more than limits.body = 8MiB"));
        check(
            [8, 4, 9],
            Some(Warning),
            (Warning, "more than post_max_size"),
        );
        check([8, 16, 9], Some(Note), (Warning, "more than limits.body"));
        check([8, 0, 8], Some(Note), (Fine, "limits.body"));
        check([8, 0, 2], Some(Note), (Note, "less than limits.body"));
    }
}
