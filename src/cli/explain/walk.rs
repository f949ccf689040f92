//! The way of a request through a site, as `server::service` goes it: the same rules, the same
//! handlers' plans, and nothing performed.

use std::cell::Cell;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::question::{Connection, Question};
use super::recording::Recording;
use super::trace::{Explanation, Outcome, Round, Step, text};
use crate::config::{Site, Snapshot};
use crate::failure::Failure;
use crate::filter;
use crate::handler::fastcgi::Call;
use crate::handler::readings::Readings;
use crate::handler::{Body, Handler, MAX_ROUNDS, Plan};
use crate::message::edits::RuleId;
use crate::message::fact::Facts;
use crate::message::request::Origin;
use crate::message::{Cause, Disk, Host, Request, RequestId, Scheme, Target, Upload, Wire, list};
use crate::modifier::Interruption;
use crate::route::condition::Verdict;
use crate::route::{Captures, Rule, Scope, TooHard};

type SiteRule = Rule<crate::modifier::Step>;

/// How a round ends.
enum Turn {
    Settled(Outcome),
    Again(Box<Request>),
    Declined(Box<Request>),
}

/// What one round remembers from rule to rule.
struct Search {
    excluded: bool,
    readings: Option<Box<Readings>>,
}

impl Search {
    /// Returns the other reading of the path that a rule guards.
    fn guarded_by(&mut self, rule: &SiteRule, disk: &dyn Disk) -> Result<Option<String>, TooHard> {
        let Some(readings) = &mut self.readings else {
            return Ok(None);
        };
        let target = readings.guarded_by(rule, disk)?;
        Ok(target.map(|target| text(target.path())))
    }
}

struct Walk<'a> {
    snapshot: &'a Snapshot,
    disk: Recording<'a>,
    site: Option<Arc<Site>>,
    rounds: Vec<Round>,
    /// Of the content, in bytes.
    length: u64,
    /// Why a file of the name is never sent.
    withheld: Cell<Option<&'static str>>,
}

/// What would become of the request on the connection.
pub(super) fn explain(
    snapshot: &Snapshot,
    question: Question,
    connection: Connection,
    disk: &dyn Disk,
) -> Explanation {
    let mut walk = Walk {
        snapshot,
        disk: Recording::new(disk),
        site: None,
        rounds: Vec::new(),
        length: question.length(),
        withheld: Cell::default(),
    };
    let (method, url) = (question.parts.method.to_string(), question.url.clone());
    let mut wire = Arc::new(connection.wire);
    let outcome = walk.outcome(question, &mut wire);
    Explanation {
        method,
        url,
        listener: connection.listener,
        client: wire.remote_addr.clone(),
        notes: connection.notes,
        site: walk.site.as_ref().map(|site| site.name.to_string()),
        rounds: walk.rounds,
        outcome: outcome.unwrap_or_else(|failure| Outcome::failed(&failure)),
    }
}

impl Walk<'_> {
    fn outcome(&mut self, question: Question, wire: &mut Arc<Wire>) -> Result<Outcome, Failure> {
        let mut parts = question.parts;
        let claimed = self.snapshot.server.forwarding.apply(&mut parts, wire);
        let claimed = claimed.map(|seen| *wire = seen);
        let host = Host::of(&parts)?;
        let site = Arc::clone(self.snapshot.site(&host, &wire.listener)?);
        self.site = Some(Arc::clone(&site));
        let admitted = match claimed {
            Ok(()) => admit(&parts, &host, &site, wire, self.snapshot),
            Err(conflict) => Err(conflict.into()),
        };
        let (target, is_read) = target(&parts, &site);
        let origin = Origin {
            host,
            wire: Arc::clone(wire),
            id: RequestId::new(0, 0),
        };
        let mut request = Request::new(parts, target, Upload::Empty, origin);
        let answered = match admitted {
            Ok(None) => return self.all_rounds(&site, Box::new(request)),
            Ok(Some(response)) => answer(response),
            Err(failure) => Outcome::failed(&failure),
        };
        site.edits_without_rules(&mut request, is_read, &self.disk);
        Ok(with_edits(answered, self, &request))
    }

    fn all_rounds(&mut self, site: &Site, mut request: Box<Request>) -> Result<Outcome, Failure> {
        for _ in 0..MAX_ROUNDS {
            request = match self.round(site, request)? {
                Turn::Settled(outcome) => return Ok(outcome),
                Turn::Again(request) => request,
                Turn::Declined(request) => {
                    let withheld = self.withheld.get();
                    let failure = withheld.map_or(Failure::NotFound, Failure::Withheld);
                    return Ok(with_edits(Outcome::failed(&failure), self, &request));
                }
            };
        }
        let failure = Failure::TooManyRounds(MAX_ROUNDS);
        Ok(with_edits(Outcome::failed(&failure), self, &request))
    }

    fn round(&mut self, site: &Site, mut request: Box<Request>) -> Result<Turn, Failure> {
        let mut round = Round {
            path: text(request.target.path()),
            query: request.target.query().map(str::to_owned),
            cause: request.causes.last().map(cause),
            steps: Vec::new(),
        };
        let mut search = Search {
            excluded: false,
            readings: site.readings(&request),
        };
        for (number, rule) in site.rules.iter().enumerate() {
            let mut step = begin(number, rule);
            let turn = self.rule(rule, &mut step, &mut request, &mut search);
            step.lookups = self.disk.take();
            round.steps.push(step);
            if let Some(turn) = turn.transpose() {
                self.rounds.push(round);
                return turn.map(|settled| match settled {
                    Settled::Outcome(outcome) => Turn::Settled(outcome),
                    Settled::Again(target, cause) => Turn::Again(request.again(target, cause)),
                });
            }
        }
        self.rounds.push(round);
        Ok(Turn::Declined(request))
    }

    /// One rule; `None`: the next is asked.
    fn rule(
        &self,
        rule: &SiteRule,
        step: &mut Step,
        request: &mut Request,
        search: &mut Search,
    ) -> Result<Option<Settled>, Failure> {
        let then = &rule.then;
        if search.excluded && then.is_proxy_target() {
            step.why = "an earlier `to = \"!\"` keeps the request from it".to_owned();
            return Ok(None);
        }
        if then.internal && request.causes.is_empty() {
            step.why = "it is for internal rounds only".to_owned();
            return Ok(None);
        }
        let (verdict, mut captures) = rule.judge(request, &self.disk)?;
        step.matched = matches!(verdict, Verdict::Holds);
        step.why = why(&verdict, rule);
        if !step.matched {
            let Some(path) = search.guarded_by(rule, &self.disk)? else {
                return Ok(None);
            };
            step.matched = true;
            step.why = format!(
                "it holds for {path}, which an application may read in the target as it was sent"
            );
            if !then.refuses() {
                let passed = then.modifiers.guard(request, &Facts::default());
                passed.map_err(Interruption::unanswered)?;
                step.plan = Some("its guards let the request pass".to_owned());
                return Ok(None);
            }
            captures = Captures::default();
        }
        let id = RuleId::of_site(step.number - 1);
        let scope = Scope {
            request,
            captures: &captures,
        };
        let applied = then.modifiers.apply(id, &scope, &Facts::default());
        if let Some(edits) = applied.map_err(Interruption::unanswered)? {
            request.note(edits);
        }
        let Some(handler) = &then.handler else {
            step.plan = Some("notes its changes; the search goes on".to_owned());
            return Ok(None);
        };
        search.excluded |= matches!(handler, Handler::ExcludeProxy);
        let plan = handler.decide(request, &captures, &self.disk);
        step.plan = Some(describe(&plan));
        self.settle(plan, request)
    }

    fn settle(&self, plan: Plan<'_>, request: &mut Request) -> Result<Option<Settled>, Failure> {
        let outcome = match plan {
            Plan::Decline => return Ok(None),
            Plan::Withhold(why) => {
                self.withheld.set(Some(why));
                return Ok(None);
            }
            Plan::Again(target, cause) => return Ok(Some(Settled::Again(target, cause))),
            Plan::Fail(failure) => with_edits(Outcome::failed(&failure), self, request),
            Plan::Call(call) => self.call(&call, request)?,
            Plan::Answer(response) => with_edits(answer(response), self, request),
            Plan::List(_) => {
                let listed = Outcome::Answer {
                    status: StatusCode::OK,
                    fields: http::HeaderMap::new(),
                };
                with_edits(listed, self, request)
            }
            Plan::Send(representation) => {
                let (status, fields) = representation.into_head()?;
                let outcome = Outcome::File {
                    file: self.disk.last_file().unwrap_or_default(),
                    status,
                    fields,
                };
                with_edits(outcome, self, request)
            }
        };
        Ok(Some(Settled::Outcome(outcome)))
    }

    fn call(&self, call: &Call<'_>, request: &mut Request) -> Result<Outcome, Failure> {
        let fastcgi = call.fastcgi;
        let members = fastcgi.upstream.members();
        let root = fastcgi.mapping.root.0.as_os_str().as_bytes();
        let root = root.strip_suffix(b"/").unwrap_or(root);
        Ok(Outcome::Call {
            upstream: fastcgi.upstream.name.clone(),
            servers: members
                .iter()
                .map(|member| member.address().to_string())
                .collect(),
            script: text(&[root, &call.script.file].concat()),
            reserve: self.reserve(request),
            params: call.told(request, self.length)?,
        })
    }

    /// Returns what is kept for the class of the request, and whose key says so.
    fn reserve(&self, request: &Request) -> Option<String> {
        let site = self.site.as_ref()?;
        let edits = request.edits.as_ref();
        let Some(rule) = edits.and_then(|edits| edits.reserving_rule()) else {
            let percent = site.reserve.as_ref()?.value;
            return Some(format!("{percent} % for requests of the site"));
        };
        let number = rule.number;
        let rule = site.rules.iter().nth(number)?;
        let percent = rule.then.modifiers.reserve()?.value;
        Some(format!("{percent} % for requests of rule {}", number + 1))
    }
}

/// What is checked before any rule: the answer where there is one already.
fn admit(
    parts: &Parts,
    host: &Host,
    site: &Site,
    wire: &Wire,
    snapshot: &Snapshot,
) -> Result<Option<Response<Body>>, Failure> {
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(Failure::NotSupported(parts.method.clone()));
    }
    list::expects_continue(&parts.headers)?;
    if !site.access.admits(wire.client) {
        return Err(Failure::Forbidden("`allow` or `deny` of the site"));
    }
    let raw = parts.uri.to_string();
    snapshot.target(&raw, site)?;
    let Some(https) = site.https.as_ref().filter(|_| wire.scheme == Scheme::Http) else {
        return Ok(None);
    };
    let name = match host.name() {
        "" => wire.local_addr.as_str(),
        name => name,
    };
    https.redirect(name, &raw).map(Some)
}

/// The target of a request, and whether it could be read.
fn target(parts: &Parts, site: &Site) -> (Target, bool) {
    let raw = parts.uri.to_string();
    match Target::parse(&raw, site.encoded_slash) {
        Ok(target) => (target, true),
        Err(_) => (Target::unread(&raw), false),
    }
}

enum Settled {
    Outcome(Outcome),
    Again(Target, Cause),
}

fn begin(number: usize, rule: &SiteRule) -> Step {
    Step {
        number: number + 1,
        place: rule.place().to_owned(),
        conditions: rule.conditions().to_string(),
        matched: false,
        why: String::new(),
        handler: rule.then.handler.as_ref().map(Handler::name),
        plan: None,
        lookups: Vec::new(),
    }
}

fn why(verdict: &Verdict<'_>, rule: &SiteRule) -> String {
    match verdict {
        Verdict::Holds => match rule.conditions().to_string() {
            none if none.is_empty() => "it has no conditions".to_owned(),
            conditions => conditions,
        },
        Verdict::Lacks(condition) => format!("{condition} does not hold"),
        Verdict::Excepted(condition) => format!("{condition} holds, and stands under `not`"),
    }
}

fn describe(plan: &Plan<'_>) -> String {
    match plan {
        Plan::Call(_) => "asks the application".to_owned(),
        Plan::Send(_) => "sends the file".to_owned(),
        Plan::List(_) => "lists the folder".to_owned(),
        Plan::Answer(response) => format!("answers {}", response.status()),
        Plan::Again(target, cause_of) => {
            format!(
                "starts again with {}: {}",
                text(target.path()),
                cause(cause_of)
            )
        }
        Plan::Decline => "declines: the next rule is asked".to_owned(),
        Plan::Withhold(why) => format!("declines: {why}; the next rule is asked"),
        Plan::Fail(failure) => format!("fails with {}: {failure}", failure.status()),
    }
}

fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Index => "an index file".to_owned(),
        Cause::Rewrite(from) => format!("rewritten from {}", text(&from.path)),
        Cause::ErrorPage { status, from, .. } => {
            format!("the error page of {status} at {}", text(&from.path))
        }
    }
}

fn answer(response: Response<Body>) -> Outcome {
    let (head, _) = response.into_parts();
    Outcome::Answer {
        status: head.status,
        fields: head.headers,
    }
}

/// What rules and the site change about every answer that is not PHP's.
fn with_edits(mut outcome: Outcome, walk: &Walk<'_>, request: &Request) -> Outcome {
    let (Outcome::File { status, fields, .. }
    | Outcome::Answer { status, fields }
    | Outcome::Failed { status, fields, .. }) = &mut outcome
    else {
        return outcome;
    };
    let mut response = head(*status, std::mem::take(fields));
    if let Some(edits) = &request.edits {
        filter::edits::apply(edits, &mut response);
    }
    let site = walk
        .site
        .as_ref()
        .filter(|_| request.wire.scheme == Scheme::Https);
    if let Some(https) = site.and_then(|site| site.https.as_ref()) {
        https.declare(response.headers_mut());
    }
    filter::unchanged::strip(&mut response);
    *fields = std::mem::take(response.headers_mut());
    outcome
}

fn head(status: StatusCode, fields: http::HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    response
}
