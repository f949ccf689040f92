//! Clients that send next to nothing: they end when their time is up, and nobody else waits for them.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::time::{Duration, Instant, sleep};

use crate::harness::load::alone;
use crate::harness::{
    Address, Connection, Files, Gateway, GatewaySetup, Request, Script, ScriptedResponder,
};

/// Slow heads, and as many slow bodies.
const MANY: usize = 2000;

/// Before this has passed, latency is measured.
const LIMIT: Duration = Duration::from_secs(20);

/// How often a normal client asks, for one median.
const REQUESTS: usize = 300;

/// On a shared machine a measurement can go wrong by itself.
const ATTEMPTS: usize = 3;

#[tokio::test]
async fn slow_clients_end_in_time_and_nobody_waits_for_them() {
    let _alone = alone().await;
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let gateway = patient(&responder).start().await;
    let address = gateway.address();
    let normal = [
        Request::get("/").field("Host", "hello"),
        Request::get("/file.txt").field("Host", "files"),
    ];
    let before = [
        median(address, &normal[0]).await,
        median(address, &normal[1]).await,
    ];

    let mut slow = Slow::open(address).await;
    let begun = Instant::now();
    slow.begin().await;
    for (request, before) in normal.iter().zip(before) {
        let measuring = measured(address, request, before);
        tokio::select! {
            () = measuring => {}
            () = slow.trickle() => {}
        }
    }
    let took = begun.elapsed();
    assert!(took < LIMIT, "no measure of slow clients: {took:?}");
    let gone = timed_out(&gateway);
    assert_eq!(gone, 0, "still all there when the last was measured");

    for connection in slow.heads.iter_mut().chain(&mut slow.bodies) {
        let answer = connection.response().await;
        assert_eq!(answer.status, 408, "{answer:?}");
    }
    let took = begun.elapsed();
    assert!(took >= LIMIT, "ended too early: {took:?}");
    assert_eq!(responder.requests(), []);
    assert_eq!(gateway.send(&normal[0]).await.text(), "hello");
}

/// A gateway that waits long for heads and bodies, with as many files as there may be.
fn patient(responder: &ScriptedResponder) -> GatewaySetup<Files> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let limits = format!(
        "limits = {{ header = \"{0}s\", body_pause = \"{0}s\", body_rate = \"0B\", keep_alive_requests = 100000, connections_per_client = 0 }}",
        LIMIT.as_secs(),
    );
    Gateway::with(&responder.site(""))
        .server(&limits)
        .section("[[site]]\nhosts = [\"hello\"]\nrule = [{ respond = { body = \"hello\" } }]")
        .section("[[site]]\nhosts = [\"files\"]\nroot = \"{root}\"")
        .file("file.txt", "x".repeat(10_000))
}

fn timed_out(gateway: &Gateway) -> usize {
    let lines = gateway.access.all();
    lines.iter().filter(|line| line.contains(" 408 ")).count()
}

/// How long an answer takes on a connection that is kept.
async fn median(address: &Address, request: &Request) -> Duration {
    let mut connection = Connection::open(address).await;
    let mut waits = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let begun = Instant::now();
        let answer = connection.send(request).await;
        waits.push(begun.elapsed());
        assert_eq!((answer.status, answer.whole), (200, true));
    }
    waits.sort_unstable();
    waits[REQUESTS / 2]
}

/// Fails unless it takes at most twice as long as it did; below 2 ms more, the machine's other work decides.
async fn measured(address: &Address, request: &Request, before: Duration) {
    let most = (before * 2).max(before + Duration::from_millis(2));
    let target = &request.fields[0].1;
    for attempt in 1..=ATTEMPTS {
        let among = median(address, request).await;
        println!("{target}: {before:?} alone, {among:?} among {MANY} slow heads and bodies");
        if among <= most {
            return;
        }
        assert!(attempt < ATTEMPTS, "{target}: {before:?} became {among:?}");
    }
}

struct Slow {
    heads: Vec<Connection>,
    bodies: Vec<Connection>,
}

impl Slow {
    async fn open(address: &Address) -> Self {
        let (mut heads, mut bodies) = (Vec::new(), Vec::new());
        for _ in 0..MANY {
            heads.push(Connection::open(address).await);
            bodies.push(Connection::open(address).await);
        }
        Self { heads, bodies }
    }

    /// Sends a part of a request line, and the head and a few bytes of an upload.
    async fn begin(&mut self) {
        for connection in &mut self.heads {
            connection.write("GET /a").await;
        }
        let upload = "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc";
        for connection in &mut self.bodies {
            connection.write(upload).await;
        }
    }

    /// Sends a byte on each connection now and then, and never ends.
    async fn trickle(&mut self) {
        loop {
            for pair in self.heads.iter_mut().zip(&mut self.bodies) {
                pair.0.write("x").await;
                pair.1.write("x").await;
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
}
