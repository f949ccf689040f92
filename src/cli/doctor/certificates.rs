//! Checks of the certificates: their validity, and the names of the hosts they are used for.

use std::time::{SystemTime, UNIX_EPOCH};

use super::finding::Finding;
use crate::tls::Inspected;

/// Days before the expiry from which a certificate is overdue for renewal: an ACME client renews it a month
/// before.
const SOON: i64 = 14;

const DAY: i64 = 86_400;

/// Checks a certificate.
pub(super) fn examine(certificate: &Inspected, findings: &mut Vec<Finding>) {
    let about = certificate.file.display();
    findings.push(dates(certificate, now()));
    for host in &certificate.hosts {
        // For `*.example.org` a client asks for any name below it.
        let asked = host.replacen('*', "any", 1);
        if !certificate.covers(&asked) {
            let what = format!(
                "the certificate is used for {host} and has only the names {}",
                certificate.names.join(", ")
            );
            let finding =
                Finding::error(about.to_string(), what).why("browsers refuse the connection");
            findings.push(finding.fix("request a certificate for all `hosts` of the site"));
        }
    }
}

fn dates(certificate: &Inspected, now: i64) -> Finding {
    let about = certificate.file.display();
    let (begin, end) = certificate.valid;
    let days = (end - now).div_euclid(DAY);
    let fix = "renew it; the gateway reads the file again by itself";
    if now < begin {
        return Finding::error(
            about,
            format!(
                "the certificate becomes valid in {} days",
                (begin - now) / DAY + 1
            ),
        )
        .why("browsers refuse the connection")
        .fix("set the clock of this host, or wait");
    }
    if now > end {
        return Finding::error(
            about,
            format!("the certificate expired {} days ago", (now - end) / DAY),
        )
        .why("browsers refuse the connection")
        .fix(fix);
    }
    match days {
        ..SOON => Finding::warning(about, format!("the certificate expires in {days} days"))
            .why("from then on browsers refuse the connection")
            .fix(fix),
        SOON.. => Finding::fine(about, format!("the certificate is valid for {days} days")),
    }
}

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    fn certificate(valid: (i64, i64)) -> Inspected {
        Inspected {
            file: "/etc/tls/a.pem".into(),
            hosts: vec!["a.test".into(), "*.b.test".into(), "c.test".into()],
            names: vec!["A.test".into(), "*.b.test".into()],
            valid,
        }
    }

    #[test]
    fn dates_and_names_are_looked_at() {
        let at = |begin: i64, end: i64| dates(&certificate((begin * DAY, end * DAY)), 100 * DAY);
        assert_eq!(at(0, 200).severity, Severity::Fine);
        assert!(at(0, 110).what.contains("expires in 10 days"));
        assert!(at(0, 95).what.contains("expired 5 days ago"));
        assert_eq!(at(101, 200).severity, Severity::Error);
        let mut findings = Vec::new();
        examine(&certificate((0, i64::MAX)), &mut findings);
        let errors: Vec<_> = findings
            .iter()
            .skip(1)
            .map(|finding| &finding.what)
            .collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains("used for c.test"), "{errors:?}");
    }
}
