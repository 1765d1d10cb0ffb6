-- For wrk: posts of one or several events, each an event of its own. Its arguments: a file with an
-- event, in which the last @ stands where the events differ, what sets those of this run apart from
-- another's, and how many events a post has.

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  before, after = file:read("*a"):match("^(.*)@(.*)$")
  file:close()
  run = arguments[2]
  events = tonumber(arguments[3])
  number = 0
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  local parts = {}
  for place = 1, events do
    number = number + 1
    parts[place] = before .. run .. "-" .. number .. after
  end
  local body = table.concat(parts, ",")
  if events > 1 then body = "[" .. body .. "]" end
  return wrk.format(nil, nil, nil, body)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"answers": %d, "seconds": %f, "p99": %f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e6,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout
  ))
end
