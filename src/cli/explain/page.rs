//! An explanation as text.

use std::fmt::{self, Write};

use http::{HeaderMap, StatusCode};

use super::trace::{Explanation, Failed, Outcome, Round, Step, text};

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.method, self.url)?;
        writeln!(f, "listener {}, client {}", self.listener, self.client)?;
        for note in &self.notes {
            writeln!(f, "  ({note})")?;
        }
        if let Some(site) = &self.site {
            writeln!(f, "site {site}")?;
        }
        for (index, round) in self.rounds.iter().enumerate() {
            show_round(f, index + 1, round)?;
        }
        writeln!(f)?;
        if let Some(Failed { cause, why, .. }) = &self.failure {
            writeln!(f, "{cause}: {why}")?;
        }
        if let (Some(failed), Outcome::Call { .. }) = (&self.failure, &self.outcome) {
            writeln!(f, "the page in place of {}:", failed.status)?;
        }
        show_outcome(f, &self.outcome)
    }
}

fn show_round(f: &mut fmt::Formatter<'_>, number: usize, round: &Round) -> fmt::Result {
    write!(f, "\nround {number}: path {}", round.path)?;
    if let Some(query) = &round.query {
        write!(f, ", query {query}")?;
    }
    if let Some(cause) = &round.cause {
        write!(f, " ({cause})")?;
    }
    f.write_char('\n')?;
    round.steps.iter().try_for_each(|step| show_step(f, step))
}

fn show_step(f: &mut fmt::Formatter<'_>, step: &Step) -> fmt::Result {
    let place = match step.place.as_str() {
        "" => "implied by root and php of the site",
        place => place,
    };
    let handler = step.handler.unwrap_or("changes only");
    writeln!(f, "  rule {}, {handler}, {place}", step.number)?;
    let matched = if step.matched { "matches" } else { "no" };
    writeln!(f, "    {matched}: {}", step.why)?;
    if let Some(limit) = &step.limit {
        writeln!(f, "    {limit}")?;
    }
    if let Some(target) = &step.subrequest {
        writeln!(
            f,
            "    asks {target} by forward_auth (its script is assumed to grant access)"
        )?;
    }
    for lookup in &step.lookups {
        writeln!(
            f,
            "    is there {} at {}? {}",
            lookup.asked, lookup.path, lookup.found
        )?;
    }
    match &step.plan {
        Some(plan) => writeln!(f, "    {plan}"),
        None => Ok(()),
    }
}

fn show_outcome(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    match outcome {
        Outcome::Call {
            upstream,
            servers,
            script,
            reserve,
            params,
        } => {
            writeln!(f, "FastCGI: {script}")?;
            writeln!(f, "upstream {upstream}: {}", servers.join(", "))?;
            if let Some(reserve) = reserve {
                writeln!(f, "reserve {reserve}")?;
            }
            params
                .iter()
                .try_for_each(|(name, value)| writeln!(f, "  {}={}", text(name), text(value)))
        }
        Outcome::Answer {
            file,
            status,
            fields,
        } => {
            if let Some(file) = file {
                writeln!(f, "file {file}")?;
            }
            show_head(f, *status, fields)
        }
    }
}

fn show_head(f: &mut fmt::Formatter<'_>, status: StatusCode, fields: &HeaderMap) -> fmt::Result {
    writeln!(f, "status {status}")?;
    fields
        .iter()
        .try_for_each(|(name, value)| writeln!(f, "  {name}: {}", text(value.as_bytes())))
}
