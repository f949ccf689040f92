//! Certificates that are renewed while clients come and go: nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::harness::load::alone;
use crate::harness::tls::{Authority, Identity, TlsClient};
use crate::harness::{Address, Gateway, PATIENCE, Request, Response, eventually};

const NAME: &str = "localhost";

/// Answers from one renewal to the next.
const BETWEEN: usize = 100;

#[tokio::test]
async fn certificates_are_renewed_under_load_without_an_error() {
    let _alone = alone().await;
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.issue(&[NAME]).write(folder.path(), "a");
    let config = format!(
        "[server]\nlimits = {{ keep_alive_requests = 1000000 }}\n\
         [[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n\
         [[site]]\n{}\nrule = [{{ respond = {{ body = \"hello\" }} }}]\n",
        Identity::line(folder.path(), "a")
    );
    let gateway = Gateway::start_in(folder, &config).await;
    let client = TlsClient::new(&authority);
    let load = Load::start(&client, gateway.address());

    for renewal in 0..6 {
        load.goes_on().await;
        let renewed = authority.issue(&[NAME]);
        renewed.write(gateway.directory(), "a");
        // One is found by itself.
        if renewal != 3 {
            gateway.reload(&config).await;
        }
        eventually("the new certificate", PATIENCE, async || {
            client.shown(gateway.address(), NAME).await == renewed.der()
        })
        .await;
    }
    load.goes_on().await;
    let answers = load.end().await;
    println!("{answers} answers over 6 renewals, none missing");
}

/// Clients of every kind, each asking in a loop.
struct Load {
    clients: JoinSet<()>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// By kind: HTTP/1.1 and HTTP/2 on a kept connection, and each on a new one.
    answers: [AtomicUsize; 4],
    ended: AtomicBool,
}

impl Load {
    fn start(client: &TlsClient, address: &Address) -> Self {
        let (mut clients, state) = (JoinSet::new(), Arc::new(State::default()));
        for kind in 0..4 {
            let (client, address, state) = (client.clone(), address.clone(), Arc::clone(&state));
            clients.spawn(async move { state.ask(kind, &client, &address).await });
        }
        Self { clients, state }
    }

    /// Every kind of client gets further answers.
    async fn goes_on(&self) {
        let seen = self.state.counts();
        eventually("answers", PATIENCE, async || {
            let now = self.state.counts();
            let each = now.iter().zip(seen).all(|(now, seen)| *now > seen);
            each && now.iter().sum::<usize>() >= seen.iter().sum::<usize>() + BETWEEN
        })
        .await;
    }

    /// How many answers there were; fails where one was missing or wrong.
    async fn end(mut self) -> usize {
        self.state.ended.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        self.state.counts().iter().sum()
    }
}

impl State {
    fn counts(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|kind: usize| self.answers[kind].load(Ordering::Relaxed))
    }

    async fn ask(&self, kind: usize, client: &TlsClient, address: &Address) {
        let get = Request::get("/");
        let mut http1 = client.http1(address, NAME).await;
        let mut http2 = client.http2(address, NAME).await;
        while !self.ended.load(Ordering::Relaxed) {
            let answer = match kind {
                0 => http1.send(&get).await,
                1 => http2.send(&get).await,
                2 => client.http1(address, NAME).await.send(&get).await,
                _ => client.http2(address, NAME).await.send(&get).await,
            };
            check(kind, &answer);
            self.answers[kind].fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn check(kind: usize, answer: &Response) {
    let good = answer.status == 200 && answer.whole && answer.body == b"hello";
    assert!(good, "client {kind}: {answer:?}");
}
