//! Metrics of shared resources and of their exhaustion: budgets, connections, logs, and the time of each thread.

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::{Encoded, Scrape, Table, encode_counter, encode_histogram, in_seconds};
use crate::limits::budget::Budget;
use crate::limits::eviction::Cause;

impl Scrape {
    pub(super) fn encode_logs(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let help = "Lines without room in the queue of their log, or that could not be written";
        let name = "log_lines_dropped";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        let (stderr, logs) = (&self.state.stderr, &self.state.logs);
        let events = stderr.dropped() + logs.dropped_events();
        for (name, dropped) in [("stderr", events), ("access", logs.dropped())] {
            encode_counter(metric.encode_family(&[("log", name)])?, dropped)?;
        }
        Ok(())
    }

    pub(super) fn encode_lags(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let help = "Event loop lag of a serving thread";
        let mut metric = in_seconds(encoder, "loop_lag", help)?;
        for (thread, lag) in self.state.lags.get().into_iter().flatten().enumerate() {
            encode_histogram(metric.encode_family(&[("thread", thread)])?, lag)?;
        }
        Ok(())
    }

    pub(super) fn encode_given_up(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let help = "Connections closed to make room for others";
        let name = "connections_given_up";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for cause in Cause::ALL {
            let labels = [("cause", cause.name())];
            let count = self.state.evictions.given_up(cause);
            encode_counter(metric.encode_family(&labels)?, count)?;
        }
        Ok(())
    }

    pub(super) fn encode_budgets(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let each = self.snapshot.budgets.each();
        for (name, help, value) in BUDGETS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (budget, of) in each {
                let labels = [("budget", budget)];
                metric
                    .encode_family(&labels)?
                    .encode_gauge(&bytes(value(of)))?;
            }
        }
        let help =
            "Reservations refused: a client or site had its share, or the budget was exhausted";
        let name = "budget_refused";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (budget, of) in each {
            encode_counter(metric.encode_family(&[("budget", budget)])?, of.refused())?;
        }
        Ok(())
    }
}

const BUDGETS: Table<fn(&Budget) -> u64, 2> = [
    ("budget_used_bytes", "Bytes in use", |it| it.used()),
    ("budget_limit_bytes", "Size of the budget", |it| it.total()),
];

/// Converts bytes; exact up to 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "nobody reads the last digit of 9 PB"
)]
const fn bytes(number: u64) -> f64 {
    number as f64
}
