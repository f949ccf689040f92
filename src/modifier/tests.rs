//! Modifiers on requests: their edits, questions and refusals.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use http::{HeaderName, StatusCode};
use tokio::time::Instant;
use toml::de::DeTable;

use super::fact::{Answer, Ask, Fact, Facts};
use super::probe::Probe;
use super::readings::{Judged, Readings, judge};
use super::taken::Taken;
use super::*;
use crate::auth::Authentication;
use crate::auth::basic::{HASHING, user_file, verdict};
use crate::handler::Handler;
use crate::handler::deny::{DENY, Deny};
use crate::message::request::Origin;
use crate::message::{
    Disk, EncodedSlash, Found, Host, Request, RequestId, Root, Target, Upload, Wire,
};
use crate::route::condition::{Condition, Prefix};
use crate::route::{Captures, Rule, Rules};
use crate::section::{At, Lowered, Place, Problems, Section};

static SECTION: Section = Section {
    title: "[[site.rule]]",
    doc: "Modifiers and nothing else.",
    groups: &[KEYS],
};

/// A disk without files.
#[derive(Debug)]
struct Empty;

impl Disk for Empty {
    fn open(&self, _: &Root, _: &[u8]) -> Found {
        Found::Missing
    }

    fn is_file(&self, _: &Root, _: &[u8]) -> bool {
        false
    }
}

fn request(target: &str, fields: &[(&'static str, &str)]) -> Request {
    let mut parts = http::Request::new(()).into_parts().0;
    for (name, value) in fields {
        parts.headers.insert(*name, value.parse().unwrap());
    }
    let [client, server] = [4711, 80].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let origin = Origin {
        host: Host::parse("example.org").unwrap(),
        canonical: None,
        wire: Arc::new(Wire::tcp(client, server)),
        id: RequestId::new(1, 2),
    };
    let target = Target::parse(target, EncodedSlash::Reject).unwrap();
    Request::new(parts, target, Upload::Empty, origin)
}

fn lower(section: &'static Section, lines: &str, problems: &mut Problems) -> Lowered {
    let table = DeTable::parse(lines).unwrap();
    section.lower(table.get_ref(), Place::default(), &|_| None, problems)
}

/// Builds the modifiers of these lines, and returns the problems with them.
fn built(lines: &str) -> (Modifiers, Vec<String>) {
    let mut problems = Problems::default();
    let section = lower(&SECTION, lines, &mut problems);
    assert_eq!(are_given(&section), !lines.is_empty(), "{lines}");
    let show = |place: &Place| format!("site.toml:{}", place.span.start);
    let names = (&Groups::default(), &show as &dyn Fn(&Place) -> String);
    let authentication = &Authentication::new(HASHING);
    let place = "site.toml:7".into();
    let modifiers = Modifiers::build(&section, place, names, authentication, &mut problems);
    let sorted = problems.into_sorted().into_iter();
    (modifiers, sorted.map(|problem| problem.message).collect())
}

fn modifiers(lines: &str) -> Modifiers {
    let (modifiers, problems) = built(lines);
    assert_eq!(problems, [] as [&str; 0], "{lines}");
    modifiers
}

fn apply(
    modifiers: &Modifiers,
    request: &Request,
    facts: &Facts,
) -> Result<Option<RuleEdits>, Interruption> {
    let captures = &Captures::default();
    let taken = &mut Taken::default();
    let scope = Scope::new(request, captures);
    modifiers.apply(RuleId::of_site(3), &scope, &mut inputs(facts, taken))
}

fn inputs<'a>(facts: &'a Facts, taken: &'a mut Taken) -> Inputs<'a> {
    Inputs {
        facts,
        taken,
        disk: &Empty,
        now: Instant::now(),
        wall: SystemTime::now(),
        asked_by: &[],
    }
}

/// Returns the answer to a subrequest with this status.
fn answered(code: u16) -> Fact {
    Fact::Answered(Box::new(Answer {
        status: StatusCode::from_u16(code).unwrap(),
        ..Answer::default()
    }))
}

#[test]
fn each_key_makes_a_modifier() {
    let (_folder, users) = user_file();
    for key in KEYS {
        let key = key.descriptor();
        let example = key.example.unwrap().replace("$1", "$path");
        let line = format!(
            "{} = {}",
            key.name,
            example.replace("/etc/fcgate/users", &users.display().to_string())
        );
        let (modifiers, problems) = built(&line);
        assert_eq!((modifiers.list.len(), problems), (1, vec![]), "{line}");
    }
}

#[test]
fn a_rule_has_one_value_of_all_its_modifiers() {
    let all = "
        set_env = { A = '1', PATH = '$path' }
        unset_env = ['B']
        php_value = { memory_limit = '1M' }
        php_admin_value = { open_basedir = '/srv:/tmp' }
        request_headers = { remove = ['Accept'] }
        response_headers = { set = { X-Host = '$host' }, add = { X-Bad = \"a\\nb\" } }
        expires = '1m'
        reserve = '20 %'
        limits = { body = '1KiB' }
        timeouts = { queue = '2s', idle = '3s' }";
    let request = request("/a", &[]);
    let applied = apply(&modifiers(all), &request, &Facts::default());
    let edits = applied.unwrap().unwrap();
    assert_eq!(
        (edits.rule, &*edits.place),
        (RuleId::of_site(3), "site.toml:7")
    );
    let assignments = edits.environment.iter();
    let environment: Vec<_> = assignments
        .map(|assignment| (&*assignment.name, assignment.value.as_deref()))
        .collect();
    let expected: [(_, Option<&[u8]>); 3] = [("A", Some(b"1")), ("PATH", Some(b"/a")), ("B", None)];
    assert_eq!(environment, expected);
    let lines = edits.php_values.each_ref().map(Option::as_deref);
    let expected = ["memory_limit=1M", "open_basedir=\"/srv:/tmp\""];
    assert_eq!(lines, expected.map(Some));
    let fields = |edits| format!("{edits:?}");
    assert_eq!(fields(&edits.request), r#"[Remove("accept")]"#);
    // No field can have a line feed in its value.
    assert_eq!(fields(&edits.answer), r#"[Set("x-host", "example.org")]"#);
    assert_eq!(edits.expires.map(|age| age.as_secs()), Some(60));
    assert_eq!((edits.body_limit, edits.has_reserve), (Some(1024), true));
    let limits = edits.timeouts.iter().flat_map(|limits| limits.iter());
    let timeouts: BTreeMap<_, _> = limits
        .map(|limit| (limit.name, limit.duration.as_secs()))
        .collect();
    let expected = BTreeMap::from([("timeouts.idle", 3), ("timeouts.queue", 2)]);
    assert_eq!(timeouts, expected);
    assert_eq!(
        modifiers(all).reserve().map(|percent| percent.value),
        Some(20)
    );
}

#[test]
fn empty_modifiers_have_no_edits() {
    for lines in ["", "set_env = {}", "response_headers = {}", "limits = {}"] {
        let edits = apply(&modifiers(lines), &request("/", &[]), &Facts::default());
        assert!(edits.unwrap().is_none(), "{lines}");
    }
}

/// Evaluates the modifiers until they ask for nothing more, as a driver does; returns the questions, and the status of the
/// refusal or the variables of the edits.
fn drive(modifiers: &Modifiers, request: &Request) -> (Vec<&'static str>, Result<String, u16>) {
    let (mut facts, mut asked) = (Facts::default(), Vec::new());
    loop {
        match apply(modifiers, request, &facts) {
            Ok(edits) => {
                let assignments = edits.into_iter().flat_map(|edits| edits.environment);
                let names = assignments.map(|assignment| assignment.name.to_string());
                return (asked, Ok(names.collect()));
            }
            Err(Interruption::Refuse(failure)) => return (asked, Err(failure.status().as_u16())),
            Err(Interruption::Answer(response)) => return (asked, Err(response.status().as_u16())),
            Err(Interruption::Ask(ask)) => {
                let (name, fact) = find(&ask);
                asked.push(name);
                facts.insert(ask, fact);
            }
        }
    }
}

/// Answers a question: the password is `right`, and `/yes` is the only target.
fn find(ask: &Ask) -> (&'static str, Fact) {
    match ask {
        Ask::Verify(verification) => {
            let is_right = *verification.credentials.password == *b"right";
            ("verify", Fact::Verified(verdict(is_right)))
        }
        Ask::Subrequest(asked) => {
            let is_there = asked.target.path() == b"/yes";
            ("subrequest", answered(if is_there { 200 } else { 403 }))
        }
    }
}

#[test]
fn guards_ask_and_let_pass_or_refuse() {
    let (password, yes, no) = (
        Probe::Password,
        Probe::Subrequest("/yes"),
        Probe::Subrequest("/no"),
    );
    let (verify, subrequest) = ("verify", "subrequest");
    for (guards, sent, asked, expected) in [
        (&[password][..], "", &[][..], Err(401)),
        (&[password], "wrong", &[verify], Err(401)),
        (&[password], "right", &[verify], Ok("A")),
        (&[yes], "", &[subrequest], Ok("A")),
        (&[no], "", &[subrequest], Err(403)),
        (&[password, yes], "right", &[verify, subrequest], Ok("A")),
        (&[password, no], "wrong", &[verify], Err(401)),
        (&[no, password], "right", &[subrequest], Err(403)),
        // A known fact is not asked for again.
        (&[password, password], "right", &[verify], Ok("A")),
    ] {
        let own = modifiers("set_env = { A = '1' }");
        let modifiers = guards.iter().fold(own, |all, guard| all.with(*guard));
        let field = [("authorization", sent)];
        let fields = &field[..usize::from(!sent.is_empty())];
        let found = drive(&modifiers, &request("/", fields));
        let expected = (asked.to_vec(), expected.map(str::to_owned));
        assert_eq!(found, expected, "{guards:?} {sent}");
    }
}

#[test]
fn forward_auth_asks_about_each_client_and_not_for_itself() {
    let modifiers = modifiers(
        "forward_auth = { path = '/verify?a', copy_response_headers = ['Remote-User'], user = 'X-Name' }",
    );
    let sent = [
        ("remote_user", "root"),
        ("x-name", "root"),
        ("cookie", "a=1"),
    ];
    let request = request("/in?b", &sent);
    let Err(Interruption::Ask(ask)) = apply(&modifiers, &request, &Facts::default()) else {
        panic!("no question");
    };
    let Ask::Subrequest(asked) = &ask else {
        panic!("{ask:?}");
    };
    assert_eq!(
        (asked.target.raw(), asked.rule),
        ("/verify?a", RuleId::of_site(3))
    );
    let mut fields: Vec<_> = asked.fields.keys().map(HeaderName::as_str).collect();
    fields.sort_unstable();
    let written =
        ["for", "host", "method", "proto", "uri"].map(|name| format!("x-forwarded-{name}"));
    let expected: Vec<&str> = ["cookie"]
        .into_iter()
        .chain(written.iter().map(String::as_str))
        .collect();
    assert_eq!(fields, expected);
    // To its own subrequest the rule does not apply, and it trusts the client no more.
    let (facts, captures, taken) = (Facts::default(), Captures::default(), &mut Taken::default());
    let own = Inputs {
        asked_by: &[RuleId::of_site(3)],
        ..inputs(&facts, taken)
    };
    let scope = Scope::new(&request, &captures);
    let applied = modifiers.apply(RuleId::of_site(3), &scope, &mut { own });
    let edits = applied.unwrap().unwrap();
    let removed = format!("{:?}", edits.request);
    assert!(
        removed.contains("remote_user") && removed.contains("x-name"),
        "{removed}"
    );
    assert_eq!(edits.user, None);
}

#[test]
fn forward_auth_is_never_open() {
    let modifiers = modifiers("forward_auth = { path = '/verify' }");
    let request = request("/in", &[]);
    for code in 200..=599 {
        let Err(Interruption::Ask(ask)) = apply(&modifiers, &request, &Facts::default()) else {
            panic!("no question");
        };
        let mut facts = Facts::default();
        facts.insert(ask, answered(code));
        let found = match apply(&modifiers, &request, &facts) {
            Ok(_) => "granted".to_owned(),
            Err(Interruption::Answer(response)) => response.status().as_str().to_owned(),
            Err(Interruption::Refuse(failure)) => failure.code().to_owned(),
            Err(Interruption::Ask(ask)) => format!("{ask:?}"),
        };
        let expected = match code {
            200..=299 => "granted".to_owned(),
            304 => "FORWARD_AUTH".to_owned(),
            300..=399 | 401 | 403 => code.to_string(),
            _ => "FORWARD_AUTH".to_owned(),
        };
        assert_eq!(found, expected, "{code}");
    }
}

/// Returns the rule for `/admin` with this step.
fn admin(then: Step) -> Rule<Step> {
    let path = At {
        value: "/admin".to_owned(),
        place: Place::default(),
    };
    let prefix = Prefix::new(&path, &mut Problems::default()).unwrap();
    Rule::new(vec![Condition::Prefix(prefix)], Vec::new(), then)
}

/// Returns the result of the rule for `/admin` for a request without a password.
fn outcome(step: Step, target: &str) -> &'static str {
    let rules = Rules::new(vec![admin(step)]);
    let rule = rules.iter().next().unwrap();
    let request = request(target, &[]);
    let mut readings = Readings::of(&request);
    let facts = Facts::default();
    let whole = |captures: &Captures| {
        let scope = Scope::new(&request, captures);
        let taken = &mut Taken::default();
        let inputs = &mut inputs(&facts, taken);
        let edits = rule.then.modifiers.apply(RuleId::default(), &scope, inputs);
        edits.map(|_| "whole rule")
    };
    let passed = match judge(rule, &request, readings.as_deref_mut(), &Empty).unwrap() {
        Judged::Fails(_) => return "next rule",
        Judged::Holds(captures) => whole(&captures),
        Judged::Guards(_) if rule.then.refuses() => whole(&Captures::default()),
        Judged::Guards(_) => {
            let readings = readings.as_mut().unwrap();
            let taken = &mut Taken::default();
            let inputs = &mut inputs(&facts, taken);
            let passed = readings.guard((RuleId::default(), rule), inputs);
            passed.map(|_| "next rule after its guards")
        }
    };
    match passed {
        Ok(outcome) => outcome,
        Err(Interruption::Refuse(_) | Interruption::Answer(_)) => "refused",
        Err(Interruption::Ask(_)) => "asks",
    }
}

#[test]
fn guards_are_held_against_all_readings_of_a_path() {
    let password = || Modifiers::default().with(Probe::Password);
    let subrequest = || Modifiers::default().with(Probe::Subrequest("/auth"));
    let deny = || {
        let section = lower(&DENY, "", &mut Problems::default());
        Some(Handler::Deny(Deny::build(&section, &[])))
    };
    let step = |modifiers, handler, internal| Step {
        internal,
        modifiers,
        handler,
    };
    let odd = [
        "/admin/../x",
        "/index.php/admin",
        "//host/admin/",
        "/?/admin",
    ];
    for target in odd {
        for (then, expected) in [
            (step(password(), None, false), "refused"),
            (step(password(), deny(), false), "refused"),
            (step(subrequest(), None, false), "asks"),
            (step(password(), None, true), "next rule"),
            (step(modifiers("expires = '1m'"), None, false), "next rule"),
            (
                step(modifiers("expires = '1m'"), deny(), false),
                "whole rule",
            ),
        ] {
            let shown = format!("{target}: {then:?}");
            assert_eq!(outcome(then, target), expected, "{shown}");
        }
    }
    assert_eq!(outcome(step(subrequest(), None, false), "/admin/x"), "asks");
    for target in ["/", "/x/../y", "/administrator", "/index.php/x"] {
        let then = step(password(), None, false);
        assert_eq!(outcome(then, target), "next rule", "{target}");
    }
}

/// Returns the questions of guards about the readings of a target, until one of them refuses.
fn asked_about(target: &str, then: Step) -> Vec<String> {
    let rule = admin(then);
    let mut readings = Readings::of(&request(target, &[])).unwrap();
    let (mut facts, mut asked) = (Facts::default(), Vec::new());
    let taken = &mut Taken::default();
    loop {
        let guarded = readings.guard((RuleId::default(), &rule), &mut inputs(&facts, taken));
        let Err(Interruption::Ask(ask)) = guarded else {
            return asked;
        };
        let Ask::Subrequest(question) = &ask else {
            panic!("{ask:?}");
        };
        let path = question.target.path();
        asked.push(String::from_utf8_lossy(path).into_owned());
        let is_secret = path.ends_with(b"/secret/");
        let fact = answered(if is_secret { 403 } else { 200 });
        facts.insert(ask, fact);
    }
}

#[test]
fn guards_are_asked_about_each_reading_that_they_guard() {
    for (target, expected) in [
        ("//host/admin/x", vec!["/may/admin/x"]),
        ("/index.php/admin/x", vec!["/may/admin/x"]),
        ("/index.php/admin/?/x", vec!["/may/admin/", "/may/admin/x"]),
        // A refusal of the first reading ends the questions.
        ("/index.php/admin/secret/?/x", vec!["/may/admin/secret/"]),
    ] {
        let step = Step {
            modifiers: Modifiers::default().with(Probe::Below("/may")),
            ..Step::default()
        };
        assert_eq!(asked_about(target, step), expected, "{target}");
    }
}
