//! `/metrics`: the existing counters in OpenMetrics. Nothing is measured for them, and a scrape reads atomics; only the
//! readiness of upstreams is determined as for `/ready`, at most once a second.

mod members;
mod passwords;
mod shares;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text::encode};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

pub(super) use members::Concurrency;
use members::MemberScrape;

use super::readiness::Overview;
use super::{Admin, State};
use crate::site::{Site, Snapshot};
use crate::upstream::numbers::{BOUNDS_MS, Count, Histogram, Numbers};

/// Encodes a scrape.
pub(super) async fn encode_scrape(admin: &Admin) -> Result<String, fmt::Error> {
    let scrape = Scrape::of(admin).await;
    let mut registry = Registry::with_prefix("fcgate");
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// State read by one scrape.
#[derive(Debug)]
struct Scrape {
    snapshot: Arc<Snapshot>,
    state: Arc<State>,
    members: Vec<MemberScrape>,
    overview: Overview,
}

impl Scrape {
    async fn of(admin: &Admin) -> Self {
        let snapshot = admin.live.current();
        let overview = admin.overview(&snapshot).await;
        let members = members::scrape(&snapshot, &admin.concurrency);
        Self {
            snapshot,
            state: Arc::clone(&admin.state),
            members,
            overview,
        }
    }
}

type Encoded = Result<(), fmt::Error>;

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Encoded {
        self.encode_process(&mut encoder)?;
        self.encode_sites(&mut encoder)?;
        self.encode_upstreams(&mut encoder)
    }
}

impl Scrape {
    fn encode_process(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let state = &self.state;
        let mut build =
            encoder.encode_descriptor("build", "Version of fcgate", None, MetricType::Info)?;
        build.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        let most = state.most_connections;
        let open = most - state.connections.available_permits().min(most);
        let draining = f64::from(u8::from(state.is_draining()));
        let readiness = self.overview.readiness(self.snapshot.sites());
        let ready = f64::from(u8::from(readiness.is_ready()));
        for (name, help, value) in [
            (
                "uptime_seconds",
                "Time since the start",
                state.started.elapsed().as_secs_f64(),
            ),
            ("ready", "1 while /ready answers 200", ready),
            ("draining", "1 while the server drains", draining),
            ("connections", "Client connections", count(open)),
            (
                "connections_limit",
                "Greatest number of client connections",
                count(most),
            ),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            metric.encode_gauge(&value)?;
        }
        for (name, help, value) in PROCESS_COUNTERS {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            encode_counter(metric, value(state).get())?;
        }
        self.encode_logs(encoder)?;
        self.encode_given_up(encoder)?;
        self.encode_lags(encoder)?;
        self.encode_budgets(encoder)?;
        self.encode_passwords(encoder)
    }

    fn encode_sites(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let help = "Requests by site, status and handler";
        let mut metric = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        for site in self.snapshot.sites() {
            for (handler, status, count) in site.numbers.requests() {
                let labels = [
                    ("site", &*site.name),
                    ("handler", handler),
                    ("status", &status),
                ];
                encode_counter(metric.encode_family(&labels)?, count)?;
            }
        }
        for (name, help, value) in SITE_COUNTERS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for site in self.snapshot.sites() {
                let labels = [("site", &*site.name)];
                encode_counter(metric.encode_family(&labels)?, value(site))?;
            }
        }
        for (name, help, times) in SITE_TIMES {
            let mut metric = in_seconds(encoder, name, help)?;
            for site in self.snapshot.sites() {
                let labels = [("site", &*site.name)];
                encode_histogram(metric.encode_family(&labels)?, times(site))?;
            }
        }
        Ok(())
    }

    fn encode_upstreams(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let help = "0 while no server of the upstream accepts connections";
        let mut metric =
            encoder.encode_descriptor("upstream_ready", help, None, MetricType::Gauge)?;
        for upstream in self.snapshot.upstreams() {
            let is_ready = self.overview.errors_of(&upstream.name).is_none();
            metric
                .encode_family(&[("upstream", &upstream.name)])?
                .encode_gauge(&f64::from(u8::from(is_ready)))?;
        }
        for (name, help, value) in UPSTREAM_GAUGES {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for member in &self.members {
                let labels = member.labels();
                metric
                    .encode_family(&labels)?
                    .encode_gauge(&value(member))?;
            }
        }
        for (name, help, value) in UPSTREAM_COUNTERS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for member in &self.members {
                let labels = member.labels();
                encode_counter(metric.encode_family(&labels)?, value(member.numbers()))?;
            }
        }
        for (name, help, times) in UPSTREAM_TIMES {
            let mut metric = in_seconds(encoder, name, help)?;
            for member in &self.members {
                let labels = member.labels();
                encode_histogram(metric.encode_family(&labels)?, times(member.numbers()))?;
            }
        }
        Ok(())
    }
}

/// Metrics of one type: name, help and accessor.
type Table<F, const N: usize> = [(&'static str, &'static str, F); N];

const PROCESS_COUNTERS: Table<for<'a> fn(&'a State) -> &'a Count, 7> = [
    ("connections_accepted", "Connections accepted", |it| {
        &it.accepted
    }),
    (
        "refused",
        "Heads and connections refused before any rule",
        |it| &it.refused,
    ),
    (
        "http2_stream_errors",
        "HTTP/2 streams reset with an error",
        |it| &it.stream_errors,
    ),
    ("tls_handshakes", "TLS handshakes that succeeded", |it| {
        &it.tls_accepted
    }),
    (
        "tls_handshakes_failed",
        "TLS handshakes that failed",
        |it| &it.tls_failed,
    ),
    ("reloads", "Reloads that took effect", |it| &it.reloads),
    ("reloads_refused", "Reloads that were refused", |it| {
        &it.reloads_refused
    }),
];

const SITE_COUNTERS: Table<fn(&Site) -> u64, 2> = [
    ("response_bytes", "Bytes of content sent", |site| {
        site.numbers.bytes.get()
    }),
    (
        "responses_incomplete",
        "Responses that were cut, or whose client left",
        |site| site.numbers.incomplete.get(),
    ),
];

const SITE_TIMES: Table<for<'a> fn(&'a Site) -> &'a Histogram, 2> = [
    (
        "request_duration",
        "From a request's arrival to the end of its response",
        |site| &site.numbers.duration,
    ),
    (
        "first_byte",
        "From a request's arrival to the first byte of PHP's response",
        |site| &site.numbers.first_byte,
    ),
];

const UPSTREAM_GAUGES: Table<fn(&MemberScrape) -> f64, 8> = [
    (
        "upstream_up",
        "0 while the server refuses connections or does not speak FastCGI",
        |it| f64::from(u8::from(!it.state.failing)),
    ),
    (
        "upstream_busy",
        "Connections in use or being opened",
        |it| count(it.state.busy),
    ),
    ("upstream_idle", "Idle connections", |it| {
        count(it.state.idle)
    }),
    ("upstream_queue", "Requests that wait for a worker", |it| {
        count(it.state.waiting)
    }),
    (
        "upstream_queue_clients",
        "Clients whose requests wait for a worker",
        |it| count(it.state.waiting_clients),
    ),
    (
        "upstream_queue_longest_wait_seconds",
        "Waiting time of the longest waiting request",
        |it| it.state.longest_wait.as_secs_f64(),
    ),
    (
        "upstream_saturation",
        "0 to 1: 1 while any request waits, else the busy part of the workers that existed when a request last waited",
        |it| it.state.saturation,
    ),
    (
        "upstream_workers_needed",
        "Rate times service time, since the previous scrape",
        |it| it.workers_needed,
    ),
];

const UPSTREAM_COUNTERS: Table<fn(&Numbers) -> u64, 12> = [
    ("upstream_connections_opened", "Connections opened", |it| {
        it.opened.get()
    }),
    (
        "upstream_connections_refused",
        "Attempts to connect that failed",
        |it| it.refused.get(),
    ),
    (
        "upstream_requests_reused",
        "Requests on a reused connection",
        |it| it.reused.get(),
    ),
    (
        "upstream_requests_fresh",
        "Requests on a new connection",
        |it| it.fresh.get(),
    ),
    ("upstream_requests_retried", "Requests sent again", |it| {
        it.retried.get()
    }),
    (
        "upstream_stale",
        "Idle connections that were closed, or had data, before their next request",
        |it| it.stale.get(),
    ),
    (
        "upstream_late_bytes",
        "Bytes that scripts printed after their responses, discarded",
        |it| it.late_bytes.get(),
    ),
    (
        "upstream_broken",
        "Exchanges that broke or were abandoned",
        |it| it.broken.get(),
    ),
    (
        "upstream_queue_full",
        "Requests refused for lack of a place in the queue",
        |it| it.queue_full.get(),
    ),
    (
        "upstream_queue_full_client",
        "Requests refused because the client had used its share of the queue",
        |it| it.queue_full_client.get(),
    ),
    (
        "upstream_queue_full_site",
        "Requests refused because the site had used its share of the queue",
        |it| it.queue_full_site.get(),
    ),
    (
        "upstream_queue_timeouts",
        "Requests that timed out in the queue",
        |it| it.queue_timeout.get(),
    ),
];

const UPSTREAM_TIMES: Table<for<'a> fn(&'a Numbers) -> &'a Histogram, 3> = [
    (
        "upstream_wait",
        "Time in the gateway's queue and connecting",
        |it| &it.wait,
    ),
    (
        "upstream_acknowledge",
        "From a probe to its acknowledgement: time in the server's own queue",
        |it| &it.acknowledge,
    ),
    (
        "upstream_service",
        "From the lease of a connection to its end",
        |it| &it.service,
    ),
];

fn encode_counter(mut metric: MetricEncoder<'_>, value: u64) -> Encoded {
    metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
}

fn in_seconds<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)
}

fn encode_histogram(mut metric: MetricEncoder<'_>, times: &Histogram) -> Encoded {
    let bounds = BOUNDS_MS
        .iter()
        .map(|ms| Duration::from_millis(*ms).as_secs_f64())
        .chain([f64::MAX]);
    let buckets: Vec<_> = bounds.zip(times.buckets()).collect();
    let all = buckets.iter().map(|(_, count)| count).sum();
    metric.encode_histogram::<NoLabelSet>(times.sum().as_secs_f64(), all, &buckets, None)
}

/// Converts a count, far below the greatest integer that an f64 holds exactly.
fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}
