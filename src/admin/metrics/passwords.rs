//! Metrics of checked passwords.

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::{Encoded, Scrape, count, encode_counter};

impl Scrape {
    pub(super) fn encode_passwords(&self, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
        let numbers = self.snapshot.authentication.verifier.numbers();
        for (name, help, value) in [
            (
                "password_hashes",
                "Passwords that are being hashed",
                numbers.hashing,
            ),
            (
                "password_queue",
                "Requests that wait for their password to be hashed",
                numbers.waiting,
            ),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            metric.encode_gauge(&count(value))?;
        }
        let (name, help) = ("passwords", "Passwords checked, by result");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (result, value) in [
            ("right", numbers.right),
            ("wrong", numbers.wrong),
            ("remembered", numbers.remembered),
        ] {
            encode_counter(metric.encode_family(&[("result", result)])?, value)?;
        }
        let (name, help) = ("passwords_refused", "Passwords not checked, by limit");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (limit, value) in [
            ("attempts", numbers.refused_attempts),
            ("queue", numbers.refused_queue),
        ] {
            encode_counter(metric.encode_family(&[("limit", limit)])?, value)?;
        }
        Ok(())
    }
}
