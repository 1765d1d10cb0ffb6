-- For wrk: posts that are each a click of their own. Its arguments: a file with the body, in which
-- the last @ stands where the posts differ, and what sets those of this run apart from another's.

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  before, after = file:read("*a"):match("^(.*)@(.*)$")
  file:close()
  run = arguments[2]
  number = 0
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  number = number + 1
  return wrk.format(nil, nil, nil, before .. run .. "-" .. number .. after)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"answers": %d, "seconds": %f, "p99": %f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e6,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout
  ))
end
