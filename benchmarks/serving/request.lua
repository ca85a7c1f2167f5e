-- For wrk: the bytes of the file that REQUEST names, again and again; at the end, what was seen.

local file = assert(io.open(os.getenv("REQUEST"), "rb"))
local request = file:read("*a")
file:close()

wrk.format = function()
  return request
end

done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '{"requests": %d, "seconds": %f, "p50_us": %f, "p99_us": %f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), failed
  ))
end
