//! `/status`: state and counters as JSON, for people and scripts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Admin;
use super::readiness::Overview;
use crate::limits::eviction::Cause;
use crate::site::Snapshot;

/// Returns the current state.
pub(super) async fn status(admin: &Admin) -> Value {
    let snapshot = admin.live.current();
    let state = &admin.state;
    let overview = admin.overview(&snapshot).await;
    let readiness = overview.readiness(snapshot.sites());
    let open = state.most_connections
        - state
            .connections
            .available_permits()
            .min(state.most_connections);
    let (heads, idle) = state.evictions.waiting();
    let given_up = Cause::ALL.map(|cause| (cause.name(), state.evictions.given_up(cause)));
    let connections = json!({
        "open": open,
        "most": state.most_connections,
        "heads": heads,
        "idle": idle,
        "busy": open.saturating_sub(heads + idle),
        "accepted": state.accepted.get(),
        "refused": state.refused.get(),
        "given_up": BTreeMap::from(given_up),
    });
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": state.started.elapsed().as_secs(),
        "ready": readiness.is_ready(),
        "not_ready_because": readiness.reasons,
        "warnings": readiness.warnings,
        "connections": connections,
        "reloads": { "done": state.reloads.get(), "refused": state.reloads_refused.get() },
        "passwords": passwords(&snapshot),
        "sites": sites(&snapshot, &overview),
        "upstreams": upstreams(&snapshot, &overview),
    })
}

fn passwords(snapshot: &Snapshot) -> Value {
    let numbers = snapshot.authentication.verifier.numbers();
    json!({
        "hashing": numbers.hashing,
        "waiting": numbers.waiting,
        "right": numbers.right,
        "wrong": numbers.wrong,
        "remembered": numbers.remembered,
        "refused_attempts": numbers.refused_attempts,
        "refused_queue": numbers.refused_queue,
    })
}

fn sites(snapshot: &Snapshot, overview: &Overview) -> Vec<Value> {
    let sites = snapshot.sites().map(|site| {
        let requests: u64 = site.numbers.requests().map(|(_, _, count)| count).sum();
        json!({
            "name": &*site.name,
            "ready": overview.serves_any([site]),
            "needs": site.needs.upstreams,
            "requests": requests,
            "bytes": site.numbers.bytes.get(),
            "incomplete": site.numbers.incomplete.get(),
            "mean_ms": millis(site.numbers.duration.mean()),
        })
    });
    sites.collect()
}

fn upstreams(snapshot: &Snapshot, overview: &Overview) -> Vec<Value> {
    let upstreams = snapshot.upstreams().into_iter().map(|upstream| {
        let known = upstream.members();
        let members = known.iter().map(|member| {
            let state = member.snapshot();
            let numbers = member.numbers();
            json!({
                "address": member.address().to_string(),
                "class": format!("{:?}", state.class),
                "failing": state.failing,
                "busy": state.busy,
                "cooling": state.cooling,
                "idle": state.idle,
                "waiting": state.waiting,
                "waiting_clients": state.waiting_clients,
                "longest_wait_ms": millis(state.longest_wait),
                "saturation": state.saturation,
                "served": numbers.service.count(),
                "mean_service_ms": millis(numbers.mean_service()),
                "mean_wait_ms": millis(numbers.wait.mean()),
                "numbers": numbers.to_string(),
            })
        });
        let failed = upstream.unresolved();
        let unresolved = failed.iter().map(|(name, error)| {
            let error = error.as_ref().map(ToString::to_string);
            json!({ "server": name, "error": error })
        });
        json!({
            "name": upstream.name,
            "ready": overview.errors_of(&upstream.name).is_none(),
            "not_ready_because": overview.errors_of(&upstream.name),
            "members": members.collect::<Vec<_>>(),
            "unresolved": unresolved.collect::<Vec<_>>(),
        })
    });
    upstreams.collect()
}

fn millis(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}
