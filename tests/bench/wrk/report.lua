-- Prints what wrk found as JSON, which load.py reads.
local form = '{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, '
    .. '"broken": %d, "refused": %d, "late": %d}\n'

function done(summary, latency, _)
    local errors = summary.errors
    io.write(form:format(summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write, errors.status, errors.timeout))
end
