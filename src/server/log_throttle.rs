//! The rate limit of log lines about connections and requests.

pub(super) use crate::limits::log_throttle::LogThrottle;
