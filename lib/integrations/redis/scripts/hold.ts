/**
 * Reads from ARGV how many jobs there are, their ids, and their tokens; `take()` reads on from there. A token holds if
 * it is the one of the claim, and the score in the queue is still the end of the lease: a Go program that claims a job
 * sets another score, and leaves our keys alone. Whoever comes with an old token has not died.
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
local released, releases, seen = {}, 0, {}
local function letGo(jobKey)
  releases = releases + 1
  released[releases] = jobKey
end
local sub = string.sub
local function holds(i)
  local token, entry, jobKey = ARGV[3 + count + i], entries[i], keys[i]
  local length = #token
  if not entry or sub(entry, 1, length) ~= token or sub(entry, length + 1, length + 1) ~= ':' then
    need().hearOf(jobKey, token)
    return false
  end
  if seen[jobKey] then return false end
  local score = scores[i]
  if score and score == leases[i] then return true end
  letGo(jobKey)
  return false
end
local function release()
  if releases == 0 then return end
  redis.call('ZREM', activeKey, unpack(released))
  redis.call('HDEL', claimsKey, unpack(released))
end
`;
