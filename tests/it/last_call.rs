//! SIGTERM and connections that came just before it.

use nix::sys::signal::Signal;

use crate::harness::{Connection, Gateway, Request};

const SITE: &str = "[[site]]\nrule = [{ respond = { body = \"here\" } }]\n";

/// The gateway is held while they connect, so that it finds them and the signal at the same moment.
#[tokio::test]
async fn who_is_connected_when_accepting_ends_is_answered() {
    let mut gateway = Gateway::start(SITE).await;
    gateway.signal(Signal::SIGSTOP);
    let mut connections = Vec::new();
    for _ in 0..20 {
        let mut connection = Connection::open(gateway.address()).await;
        connection.start(&Request::get("/")).await;
        connections.push(connection);
    }
    gateway.signal(Signal::SIGTERM);
    gateway.signal(Signal::SIGCONT);
    for mut connection in connections {
        let response = connection.response().await;
        assert_eq!((response.status, response.text()), (200, "here".to_owned()));
    }
    assert!(gateway.ended().await.success());
}
