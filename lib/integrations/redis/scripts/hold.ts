/**
 * Reads from ARGV how many jobs there are, their ids, and their tokens; `take()` reads on from there. A token holds if
 * it is the one of the claim, and the score in the queue is still the end of the lease: a Go program that claims a job
 * sets another score, and leaves our keys alone.
 */
export const holding = String.raw`
local count = tonumber(ARGV[3])
local keys = {}
for i = 1, count do keys[i] = jobKeyOf(ARGV[3 + i]) end
local scores, leases, entries = {}, {}, {}
if count > 0 then
  scores = redis.call('ZMSCORE', queueKey, unpack(keys))
  leases = redis.call('ZMSCORE', activeKey, unpack(keys))
  entries = redis.call('HMGET', claimsKey, unpack(keys))
end
local at = 3 + 2 * count
local function take() at = at + 1 return ARGV[at] end
-- No longer held, for whatever reason: their claims are to go.
local released, seen = {}, {}
local function holds(i)
  local token = ARGV[3 + count + i] .. ':'
  if seen[keys[i]] or not entries[i] or string.sub(entries[i], 1, #token) ~= token then return false end
  if scores[i] and scores[i] == leases[i] then return true end
  released[#released + 1] = keys[i]
  return false
end
local function release()
  if #released == 0 then return end
  redis.call('ZREM', activeKey, unpack(released))
  redis.call('HDEL', claimsKey, unpack(released))
end
`;
