//! Journeys without a server: the facts that they ask for, and their responses.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Response, StatusCode};
use toml::de::DeTable;

use super::*;
use crate::auth::basic::{HASHING, verdict};
use crate::auth::{Access, Authentication};
use crate::handler::Handler;
use crate::handler::respond::{RESPOND, Respond};
use crate::limits::budget::SiteKey;
use crate::message::request::Origin;
use crate::message::{EncodedSlash, Found, Host, RequestId, Root, Target, Upload, Wire};
use crate::modifier::fact::{Answer, MAX_ASKS};
use crate::modifier::probe::Probe;
use crate::modifier::{self, Modifiers, Step};
use crate::moment::Moment;
use crate::route::condition::{Condition, Prefix};
use crate::route::template::Groups;
use crate::route::{Rule, Rules};
use crate::section::{At, Place, Problems, Section};
use crate::site::Site;

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

/// Returns a rule for a path prefix, with these guards and this status.
fn rule(prefix: &str, guards: &[Probe], status: Option<u16>) -> Rule<Step> {
    let text = At {
        value: prefix.to_owned(),
        place: Place::default(),
    };
    let mut problems = Problems::default();
    let prefix = Prefix::new(&text, &mut problems).unwrap();
    let respond = |status: u16| {
        let line = format!("status = {status}");
        let table = DeTable::parse(&line).unwrap();
        let section = RESPOND.lower(table.get_ref(), Place::default(), &|_| None, &mut problems);
        Handler::Respond(Respond::build(&section, &[], &mut problems))
    };
    let step = Step {
        internal: false,
        handler: status.map(respond),
        modifiers: guards
            .iter()
            .fold(Modifiers::default(), |all, guard| all.with(*guard)),
    };
    Rule::new(vec![Condition::Prefix(prefix)], Vec::new(), step)
}

fn site(rules: Vec<Rule<Step>>) -> Arc<Site> {
    Arc::new(Site {
        canonical: None,
        name: "example.org".into(),
        key: SiteKey::of("example.org"),
        encoded_slash: EncodedSlash::Reject,
        https: None,
        compress: None,
        access: Access::default(),
        reserve: None,
        limiter: None,
        access_logs: None,
        numbers: Arc::default(),
        error_pages: Default::default(),
        needs: Default::default(),
        rules: Rules::new(rules),
        guards_paths: true,
    })
}

/// Begins the journey of a request to a site.
fn begin_journey(site: &Arc<Site>, target: &str, password: Option<&str>) -> (Journey, Next) {
    let mut parts = http::Request::new(()).into_parts().0;
    if let Some(password) = password {
        let password = password.parse().unwrap();
        parts.headers.insert("authorization", password);
    }
    let [client, server] = [4711, 80].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let wire = Arc::new(Wire::tcp(client, server));
    let id = RequestId::new(1, 2);
    let mut context = Context::new(&parts, &wire, id.clone(), Moment::read_clock());
    context.site = Some(Arc::clone(site));
    let host = Host::parse("example.org").unwrap();
    let target = Target::parse(target, EncodedSlash::Reject).unwrap();
    let origin = Origin {
        host,
        canonical: None,
        wire,
        id,
    };
    let request = Request::new(parts, target, Upload::Empty, origin);
    let mut journey = Journey::new(context);
    let next = journey.search(Box::new(request), &Empty, &mut ());
    (journey, next)
}

/// Drives a journey to its end and records the facts asked for: the password is `right`, and subrequests are driven
/// likewise.
fn drive(
    (mut journey, mut next): (Journey, Next),
    asked: &mut Vec<&'static str>,
) -> Response<Body> {
    loop {
        let fact = match next {
            Next::Send(response) => return response,
            Next::Perform(..) | Next::Encode(_) => panic!("nothing is to be performed: {next:?}"),
            Next::Ask(Ask::Verify(verification)) => {
                asked.push("verify");
                Fact::Verified(verdict(*verification.credentials.password == *b"right"))
            }
            Next::Ask(Ask::Subrequest(_)) => {
                asked.push("subrequest");
                let begun = journey.begin_subrequest(&Empty, &mut ()).unwrap();
                Fact::Answered(Box::new(Answer {
                    status: drive(begun, asked).status(),
                    ..Answer::default()
                }))
            }
        };
        next = journey.handle_event(Event::Known(fact), &Empty, &mut ());
    }
}

fn outcome(
    site: &Arc<Site>,
    target: &str,
    password: Option<&str>,
) -> (Vec<&'static str>, StatusCode) {
    let mut asked = Vec::new();
    let response = drive(begin_journey(site, target, password), &mut asked);
    (asked, response.status())
}

#[test]
fn a_password_and_a_subrequest_are_asked_for() {
    let site = site(vec![
        rule("/staging", &[Probe::Password], None),
        rule("/yes", &[], Some(204)),
        rule("/no", &[], Some(403)),
        rule("/members", &[Probe::Subrequest("/yes")], None),
        rule("/nobody", &[Probe::Subrequest("/no")], None),
        rule("/missing", &[Probe::Subrequest("/nothing")], None),
        rule("/both", &[Probe::Password, Probe::Subrequest("/yes")], None),
        rule("/inside", &[Probe::Subrequest("/both")], None),
        rule("/staging", &[], Some(200)),
        rule("/members", &[], Some(200)),
        rule("/both", &[], Some(200)),
        rule("/inside", &[], Some(200)),
    ]);
    let (verify, subrequest) = ("verify", "subrequest");
    for (target, password, asked, status) in [
        ("/staging", None, &[][..], 401),
        ("/staging", Some("wrong"), &[verify], 401),
        ("/staging", Some("right"), &[verify], 200),
        ("/members", None, &[subrequest], 200),
        ("/nobody", None, &[subrequest], 403),
        ("/missing", None, &[subrequest], 404),
        ("/both", Some("wrong"), &[verify], 401),
        ("/both", Some("right"), &[verify, subrequest], 200),
        // A subrequest asks for facts of its own, and has none of the request.
        (
            "/inside",
            Some("right"),
            &[subrequest, verify, subrequest],
            200,
        ),
        // The guard applies to every reading of the target by an application.
        ("/staging/../yes", None, &[], 401),
        ("/staging/../yes", Some("right"), &[verify], 204),
        ("/yes", None, &[], 204),
    ] {
        let expected = (asked.to_vec(), StatusCode::from_u16(status).unwrap());
        assert_eq!(
            outcome(&site, target, password),
            expected,
            "{target} {password:?}"
        );
    }
}

#[test]
fn a_round_starts_anew_when_a_fact_is_known() {
    let site = site(vec![
        rule("/", &[Probe::Password], None),
        rule("/", &[], Some(200)),
    ]);
    #[derive(Default)]
    struct Rounds(Vec<usize>);
    impl Trail for Rounds {
        fn round(&mut self, _: &Request) {
            self.0.push(0);
        }
        fn rule(&mut self, _: usize, _: &Rule<Step>, _: &Finding<'_>) {
            *self.0.last_mut().unwrap() += 1;
        }
    }
    let (mut journey, next) = begin_journey(&site, "/", Some("right"));
    assert!(matches!(next, Next::Ask(Ask::Verify(_))));
    let mut trail = Rounds::default();
    let known = Event::Known(Fact::Verified(verdict(true)));
    let next = journey.handle_event(known, &Empty, &mut trail);
    assert!(matches!(next, Next::Send(_)));
    assert_eq!(trail.0, [2], "one round, with both rules");
    // A fact without a question is an internal error.
    let known = Event::Known(Fact::Verified(verdict(true)));
    let Next::Send(response) = journey.handle_event(known, &Empty, &mut ()) else {
        panic!("it has an end");
    };
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

/// A limit of one request, for a rule.
fn limited(mut rule: Rule<Step>, guards: &[Probe]) -> Rule<Step> {
    let mut problems = Problems::default();
    let lines = "limits = { requests_per_second = 1, burst = 0, key = 'site' }";
    let table = DeTable::parse(lines).unwrap();
    let section = SECTION.lower(table.get_ref(), Place::default(), &|_| None, &mut problems);
    let show = |_: &Place| String::new();
    let names = (&Groups::default(), &show as &dyn Fn(&Place) -> String);
    let modifiers = Modifiers::build(
        &section,
        "".into(),
        names,
        &Authentication::new(HASHING),
        &mut problems,
    );
    assert!(problems.is_empty());
    rule.then.modifiers = guards.iter().fold(modifiers, |all, guard| all.with(*guard));
    rule
}

static SECTION: Section = Section {
    title: "[[site.rule]]",
    doc: "A limit.",
    groups: &[modifier::KEYS],
};

#[test]
fn a_rule_counts_a_request_once_and_no_subrequest() {
    let targets: Vec<_> = (0..MAX_ASKS)
        .map(|number| Probe::Subrequest(format!("/yes/{number}").leak()))
        .collect();
    let site = site(vec![
        limited(rule("/yes", &[], Some(204)), &[]),
        limited(rule("/", &[], Some(200)), &targets),
    ]);
    for (target, asks, status) in [
        // Each fact begins another round.
        ("/a", MAX_ASKS, 200),
        ("/a", 0, 429),
        ("/yes", 0, 204),
        ("/yes", 0, 429),
    ] {
        let (asked, found) = outcome(&site, target, None);
        assert_eq!((asked.len(), found.as_u16()), (asks, status), "{target}");
    }
}

#[test]
fn asking_in_circles_has_an_end() {
    let circle = site(vec![rule("/", &[Probe::Subrequest("/x")], None)]);
    let (asked, status) = outcome(&circle, "/", None);
    assert_eq!((asked.len(), status.as_u16()), (MAX_DEPTH + 1, 500));

    let targets: Vec<_> = (0..=MAX_ASKS)
        .map(|number| Probe::Subrequest(format!("/yes/{number}").leak()))
        .collect();
    for (guards, status) in [(&targets[1..], 200), (&targets[..], 500)] {
        let site = site(vec![
            rule("/yes", &[], Some(204)),
            rule("/", guards, Some(200)),
        ]);
        let (asked, found) = outcome(&site, "/", None);
        assert_eq!((asked.len(), found.as_u16()), (MAX_ASKS, status));
    }
}
