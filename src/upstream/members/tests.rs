//! Names under a scripted resolver, and the fate of requests when the members change.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::fastcgi::management::PROBE;
use crate::limits::budget::{Owner, Party, SiteKey};
use crate::message::edits::RuleId;
use crate::threads::Home;
use crate::upstream::balancer::Balancer;
use crate::upstream::flow::Reserve;
use crate::upstream::fpm::admission::{Arrival, ReuseLimits, Settings};
use crate::upstream::policy::Policy;
use crate::upstream::{ClassKey, Deadline, Demand, Flow, Lease, Member, MemberSettings, Order};

const S: Duration = Duration::from_secs(1);

/// A resolver that returns its answers one after the other, the last one again and again; `None`: no such host.
#[derive(Debug)]
struct Answers(Mutex<VecDeque<Option<Vec<SocketAddr>>>>);

impl Resolve for Answers {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let mut answers = self.0.lock().unwrap();
        let is_last = answers.len() == 1;
        let answer = if is_last {
            answers.front().cloned().unwrap()
        } else {
            answers.pop_front().unwrap()
        };
        async move { answer.ok_or_else(|| io::Error::other("no such host")) }.boxed()
    }
}

fn members<const N: usize>(
    servers: &[&str],
    answers: [Option<Vec<SocketAddr>>; N],
) -> Arc<Members<Member>> {
    let addresses: Vec<_> = servers
        .iter()
        .map(|text| Address::parse(text).unwrap())
        .collect();
    let settings = MemberSettings {
        admission: Settings {
            capacity: Some(1),
            queue_length: 8,
            scouts: 2,
            turn: 60 * S,
            keep: 60 * S,
            reuse: ReuseLimits::default(),
        },
        connect: S,
        is_generic: false,
    };
    let resolver = Arc::new(Answers(Mutex::new(answers.into())));
    Members::new(&addresses, settings, 10 * S, resolver, None)
}

fn at(texts: &[&str]) -> Option<Vec<SocketAddr>> {
    Some(texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn shown(members: &Members<Member>) -> Vec<String> {
    let members = members.current();
    members
        .iter()
        .map(|member| member.address().to_string())
        .collect()
}

/// Starts a server that answers every probe, for ever.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut probe = [0; PROBE.len()];
                while stream.read_exact(&mut probe).await.is_ok() {
                    let _ = stream
                        .write_all(b"\x01\x0a\0\0\0\x12\0\0\x0f\x01FCGI_MPXS_CONNS0")
                        .await;
                }
            });
        }
    });
    address
}

/// Returns a request of the only client.
fn flow(class: Option<ClassKey>) -> Flow {
    let owner = Owner {
        party: Party::Connection(0),
        site: SiteKey::default(),
    };
    Flow { owner, class }
}

fn demand(order: Order, deadline: Deadline) -> Demand {
    Demand {
        flow: flow(None),
        order,
        deadline,
    }
}

fn balancer(members: &Arc<Members<Member>>) -> Arc<Balancer<Member>> {
    Arc::new(Balancer::new(Arc::clone(members), Policy::LeastBusy))
}

async fn lease(balancer: &Balancer<Member>, limit: Duration) -> Result<Lease, LeaseError> {
    let since = Instant::now();
    let lease = balancer.lease(demand(Order::Last, Deadline { since, limit }), None);
    timeout(30 * S, lease).await.unwrap()
}

#[tokio::test]
async fn each_address_is_a_member_and_stays_one_while_it_is_named() {
    let members = members(
        &["10.0.0.9:9000", "php:9000", "unix:/run/php.sock"],
        [
            at(&["10.0.0.1:9000", "10.0.0.9:9000", "10.0.0.2:9000"]),
            at(&["10.0.0.3:9000", "10.0.0.2:9000"]),
            None,
        ],
    );
    assert_eq!(shown(&members), ["10.0.0.9:9000", "unix:/run/php.sock"]);
    Arc::clone(&members).refresh().await;
    let named = [
        "10.0.0.9:9000",
        "10.0.0.1:9000",
        "10.0.0.2:9000",
        "unix:/run/php.sock",
    ];
    assert_eq!(shown(&members), named, "the fixed one is not there twice");
    let before = members.current();

    Arc::clone(&members).refresh().await;
    let named = [
        "10.0.0.9:9000",
        "10.0.0.2:9000",
        "10.0.0.3:9000",
        "unix:/run/php.sock",
    ];
    assert_eq!(shown(&members), named);
    let after = members.current();
    assert!(Arc::ptr_eq(&before[2], &after[1]), "with its connections");
    assert!(Arc::ptr_eq(&before[0], &after[0]));
    assert!(members.should_leave(&before[1], Instant::now()));

    Arc::clone(&members).refresh().await;
    assert_eq!(
        shown(&members),
        named,
        "a resolver that fails removes no member"
    );
}

#[tokio::test]
async fn what_is_reserved_is_reserved_at_members_that_come_later() {
    let members = members(
        &["10.0.0.9:9000", "php:9000"],
        [at(&["10.0.0.1:9000"]), at(&["10.0.0.2:9000"])],
    );
    let class = ClassKey {
        site: SiteKey::default(),
        rule: Some(RuleId::of_site(1)),
    };
    members.take_effect(Sharing {
        has_several_sites: false,
        reserves: vec![Reserve { class, percent: 50 }],
    });
    for _ in 0..2 {
        Arc::clone(&members).refresh().await;
        for member in members.current().iter() {
            let now = Instant::now();
            let (others, reserved) = (flow(None), flow(Some(class)));
            let mut account = member.account();
            // Of eight places four are for all, and one client has half of those.
            let waits = (0..9).filter(|_| {
                let arrival = account.arrive(now, Home::of(0), &others, || oneshot::channel().0);
                matches!(arrival, Arrival::Wait(_))
            });
            assert_eq!(waits.count(), 2, "{}", member.address());
            assert!(!account.would_refuse(now, &reserved));
            account.abandon();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_a_name_and_the_resolver_is_named() {
    let members = members(&["php:9000"], [None]);
    assert!(members.only().is_none());
    let begun = Instant::now();
    let error = lease(&balancer(&members), 3 * S).await.unwrap_err();
    assert!(matches!(error, LeaseError::Down { .. }));
    assert_eq!(error.to_string(), "php:9000: no such host");
    assert_eq!(begun.elapsed(), 3 * S);
}

#[tokio::test]
async fn a_request_that_waits_for_a_name_is_served_when_it_resolves() {
    let server = server().await;
    let members = members(&["php:9000"], [None, None, Some(vec![server])]);
    let lease = lease(&balancer(&members), 10 * S).await.unwrap();
    assert_eq!(*lease.member().address(), Address::from(server));
}

#[tokio::test]
async fn a_server_that_vanishes_ends_what_it_does_and_its_queue_moves() {
    let (old, new) = (server().await, server().await);
    let members = members(&["php:9000"], [Some(vec![old]), Some(vec![new])]);
    let balancer = balancer(&members);
    let running = lease(&balancer, 10 * S).await.unwrap();
    let waiting = tokio::spawn({
        let balancer = Arc::clone(&balancer);
        async move { lease(&balancer, 10 * S).await }
    });
    while running.member().snapshot().waiting == 0 {
        tokio::task::yield_now().await;
    }
    Arc::clone(&members).refresh().await;
    let moved = waiting.await.unwrap().unwrap();
    assert_eq!(*moved.member().address(), Address::from(new));

    let gone = Arc::clone(running.member());
    assert_eq!(gone.snapshot().busy, 1, "it runs on");
    running.pass_on();
    assert_eq!(gone.snapshot().busy, 0);
    assert!(!Arc::ptr_eq(&gone, moved.member()));
}

#[tokio::test]
async fn a_server_that_moved_is_looked_up_at_once() {
    let new = server().await;
    // Nothing listens at the discard port here.
    let members = members(&["php:9000"], [at(&["127.0.0.1:9"]), Some(vec![new])]);
    let begun = Instant::now();
    let lease = lease(&balancer(&members), 20 * S).await.unwrap();
    assert_eq!(*lease.member().address(), Address::from(new));
    assert!(begun.elapsed() < 9 * S, "not only when the answer was old");
}

#[tokio::test]
async fn a_request_goes_on_from_a_server_that_is_down() {
    let server = server().await;
    let members = members(&["127.0.0.1:9", &server.to_string()], [None]);
    let balancer = balancer(&members);
    for _ in 0..3 {
        let lease = lease(&balancer, 10 * S).await.unwrap();
        assert_eq!(*lease.member().address(), Address::from(server));
    }
    let down = &members.current()[0];
    assert!(matches!(
        down.condition().availability(Instant::now()),
        Availability::Avoided(_)
    ));
}

#[tokio::test]
async fn a_retry_goes_to_another_member_where_one_is_well() {
    let (one, other) = (server().await, server().await);
    let members = members(&[&one.to_string(), &other.to_string()], [None]);
    let balancer = balancer(&members);
    let failed = Arc::clone(lease(&balancer, 10 * S).await.unwrap().member());
    assert_eq!(*failed.address(), Address::from(one));
    let since = Instant::now();
    let deadline = Deadline {
        since,
        limit: 10 * S,
    };
    let again = balancer
        .lease(demand(Order::First, deadline), Some(&failed))
        .await
        .unwrap();
    assert_eq!(*again.member().address(), Address::from(other));
}
