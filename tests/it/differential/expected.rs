//! `tests/differential/expected_differences.toml`: what may differ, and must.

use std::collections::BTreeMap;

use super::Style;
use super::table::{Entry, entries, fits};

/// Something that was not the same.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) request: String,
    pub(super) protocol: &'static str,
    pub(super) variable: String,
    pub(super) apache: String,
    pub(super) fcgate: String,
}

/// The entries of the table.
pub(super) struct Expected(Vec<Rule>);

/// One entry. `None` is anything; in a list one of the patterns must fit.
struct Rule {
    variables: Vec<String>,
    requests: Option<Vec<String>>,
    protocols: Option<Vec<String>>,
    styles: Option<Vec<String>>,
    apache: Option<String>,
    fcgate: Option<String>,
    /// It may come and need not: for a race on Apache's side.
    sometimes: bool,
}

impl Expected {
    pub(super) fn read() -> Self {
        Self::of(include_str!("../../differential/expected_differences.toml"))
    }

    fn of(text: &str) -> Self {
        let entries = entries(text, "difference").into_iter();
        Self(entries.map(Rule::of).collect())
    }

    /// What is wrong: differences that no entry expects, and what entries expect that did not come.
    pub(super) fn judge(&self, style: Style, found: &[Difference]) -> Vec<String> {
        let rules: Vec<&Rule> = self.0.iter().filter(|rule| rule.is_for(style)).collect();
        let unexpected = found
            .iter()
            .filter(|difference| !rules.iter().any(|rule| rule.covers(difference)));
        let mut complaints = told(unexpected);
        complaints.extend(rules.iter().flat_map(|rule| rule.vanished(found)));
        complaints
    }
}

impl Rule {
    fn of(mut entry: Entry) -> Self {
        let rule = Self {
            variables: entry.texts("variable").unwrap_or_default(),
            requests: entry.texts("requests"),
            protocols: entry.texts("protocols"),
            styles: entry.texts("styles"),
            apache: entry.optional("apache"),
            fcgate: entry.optional("fcgate"),
            sometimes: entry.flag("sometimes"),
        };
        let reason = entry.text("reason");
        assert!(
            !rule.variables.is_empty(),
            "an entry without `variable`: {reason}"
        );
        assert!(reason.len() > 20, "not a reason: {reason:?}");
        entry.finish();
        rule
    }

    fn is_for(&self, style: Style) -> bool {
        one_fits(self.styles.as_deref(), style.name())
    }

    fn covers(&self, difference: &Difference) -> bool {
        let Difference {
            request,
            protocol,
            variable,
            apache,
            fcgate,
        } = difference;
        one_fits(Some(&self.variables), variable)
            && one_fits(self.requests.as_deref(), request)
            && one_fits(self.protocols.as_deref(), protocol)
            && self
                .apache
                .as_ref()
                .is_none_or(|pattern| fits(pattern, apache))
            && self
                .fcgate
                .as_ref()
                .is_none_or(|pattern| fits(pattern, fcgate))
    }

    /// Each variable, request and protocol that it names must have come at least once.
    fn vanished(&self, found: &[Difference]) -> Vec<String> {
        if self.sometimes {
            return Vec::new();
        }
        let covered: Vec<_> = found
            .iter()
            .filter(|difference| self.covers(difference))
            .collect();
        let gone = |patterns: &[String], value: fn(&Difference) -> &str| -> Vec<String> {
            let came = |pattern: &String| {
                covered
                    .iter()
                    .any(|difference| fits(pattern, value(difference)))
            };
            patterns
                .iter()
                .filter(|pattern| !came(pattern))
                .cloned()
                .collect()
        };
        let mut vanished = gone(&self.variables, |difference| &difference.variable);
        let requests = self.requests.as_deref().unwrap_or_default();
        vanished.extend(gone(requests, |difference| &difference.request));
        let protocols = self.protocols.as_deref().unwrap_or_default();
        vanished.extend(gone(protocols, |difference| difference.protocol));
        let variables = self.variables.join(", ");
        let told = vanished
            .iter()
            .map(|what| format!("VANISHED {what} of the entry for {variables}"));
        told.collect()
    }
}

fn one_fits(patterns: Option<&[String]>, text: &str) -> bool {
    patterns.is_none_or(|patterns| patterns.iter().any(|pattern| fits(pattern, text)))
}

/// Differences with the same values as one message.
fn told<'a>(differences: impl Iterator<Item = &'a Difference>) -> Vec<String> {
    let mut groups: BTreeMap<_, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for Difference {
        request,
        protocol,
        variable,
        apache,
        fcgate,
    } in differences
    {
        let group = groups.entry((variable, apache, fcgate)).or_default();
        group.entry(request).or_default().push(protocol);
    }
    let told = groups
        .into_iter()
        .map(|((variable, apache, fcgate), requests)| {
            let requests = requests
                .iter()
                .map(|(request, protocols)| format!("{request:?} {}", protocols.join(" ")));
            let requests: Vec<_> = requests.collect();
            format!(
                "UNEXPECTED {variable}\n  apache: {apache}\n  fcgate: {fcgate}\n  in {}",
                requests.join(", ")
            )
        });
    told.collect()
}

#[test]
fn what_nobody_expects_and_what_does_not_come_is_told() {
    let expected = Expected::of(
        "[[difference]]\nvariable = [\"server:A*\", \"server:B\"]\nrequests = [\"one\", \"two *\"]\n\
         styles = \"SetHandler\"\napache = \"*x*\"\nreason = \"It is there for this test only.\"\n",
    );
    let difference = |request: &str, variable: &str, apache: &str| Difference {
        request: request.to_owned(),
        protocol: "1.1",
        variable: variable.to_owned(),
        apache: apache.to_owned(),
        fcgate: "y".to_owned(),
    };
    let all = [
        difference("one", "server:AB", "x"),
        difference("two three", "server:B", "1x2"),
    ];
    assert_eq!(expected.judge(Style::SetHandler, &all), [""; 0]);
    let unexpected = expected.judge(Style::ProxyPassMatch, &all[..1]);
    assert_eq!(unexpected.len(), 1, "{unexpected:?}");
    assert!(unexpected[0].starts_with("UNEXPECTED server:AB\n  apache: x\n  fcgate: y\n"));
    let others = [
        difference("one", "server:AB", "x"),
        difference("one", "server:B", "other"),
        difference("three", "status", "x"),
    ];
    let complaints = expected.judge(Style::SetHandler, &others);
    let begins = |start: &str| {
        complaints
            .iter()
            .any(|complaint| complaint.starts_with(start))
    };
    for start in [
        "UNEXPECTED server:B\n",
        "UNEXPECTED status\n",
        "VANISHED server:B of",
        "VANISHED two * of",
    ] {
        assert!(begins(start), "{start} in {complaints:?}");
    }
    assert_eq!(complaints.len(), 4, "{complaints:?}");
}
