import { redisScript } from '../redis-script.js';
import { common, rarely } from './common.js';

/**
 * `claim(at)` reads from ARGV: limit, prefetch, lease, which call it is, how long a note that somebody waits is good for
 * (0: nobody waits), and the limits: concurrency, per key, rate, period. Answers in how many ms to look again (-1: not
 * known), the token before the first, and per job its key, when it was due, and the fields of its hash, or only Go's job
 * where it has no others.
 */
export const claiming = String.raw`
local function claim(at)
  local limit, wanted, leaseMs = tonumber(ARGV[at]), ARGV[at] + ARGV[at + 1], tonumber(ARGV[at + 2])
  local call, waitMs = ARGV[at + 3], tonumber(ARGV[at + 4])
  local most, perKey, rate, period =
    tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7]), tonumber(ARGV[at + 8])
  local state = redis.call('HMGET', stateKey, 'paused', 'fence', 'tat', 'parked')
  if state[1] then return { -1, '0' } end

  local room, blockedUntil, tat, interval = wanted, nil, nil, nil
  if rate then
    interval = period / rate
    tat = math.min(math.max(tonumber(state[3]) or 0, now), now + period)
    local free = math.floor((now + period - tat) / interval + 0.000001)
    if free < 1 then blockedUntil = math.ceil(tat + interval - period) end
    room = math.min(room, free)
  end
  if most then
    local free = most - redis.call('ZCOUNT', activeKey, fromNow, '+inf')
    if free < 1 then
      local first = redis.call('ZRANGEBYSCORE', activeKey, fromNow, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
      blockedUntil = math.max(blockedUntil or 0, msOf(first[2]))
      if waitMs > 0 then redis.call('HSET', stateKey, 'slotUntil', text(now + waitMs)) end
    end
    room = math.min(room, free)
  end
  if room < 1 then return { math.max(blockedUntil - now, 1), '0' } end
  local anyIsOver = redis.call('ZCOUNT', activeKey, '(-inf', upToNow) > 0
  local parkedBy = tonumber(state[4])
  if parkedBy and (not perKey or perKey > parkedBy) then
    if need().unparkAny(math.max(wanted, 1000)) then parkedBy = nil end
  elseif parkedBy then
    need().recheckKeys(perKey, anyIsOver)
  end

  local base = math.max(tonumber(state[2]) or 0, nowUs)
  local leaseEnd = scoreOf(now + leaseMs)
  local limits = ':' .. call .. ':' .. ARGV[at + 5] .. ':' .. ARGV[at + 6]
  local running, atHand = ':1:' .. text(now) .. ':', ':0:' .. text(now) .. ':'
  local out, said, taken, lost, held = { 0, text(base) }, 2, 0, {}, {}
  local more, rounds = true, 0
  while more and taken < room and rounds < 10 do
    rounds = rounds + 1
    local asked = room - taken
    -- The first ones were held up by their keys: most likely there are many of them.
    if rounds > 1 then asked = math.max(asked, 200) end
    local found = redis.call('ZRANGEBYSCORE', queueKey, '-inf', upToNow, 'WITHSCORES', 'LIMIT', 0, asked)
    more = #found == 2 * asked
    -- Counted here: what Lua says of how long a table is it has to look for.
    local keys, keyCount, gone, scores, scored, claims, claimed = {}, 0, {}, { '-inf', filler }, 2, { filler, '' }, 2
    for i = 1, #found, 2 do
      keyCount = keyCount + 1
      keys[keyCount] = found[i]
    end
    local leases = anyIsOver and keyCount > 0 and redis.call('ZMSCORE', activeKey, unpack(keys)) or {}
    for i = 1, keyCount do
      if taken == room then break end
      local jobKey, score = keys[i], found[2 * i]
      local due = msOf(score)
      if leases[i] and leases[i] == score then
        due = need().lapse(jobKey, score) or due
        lost[#lost + 1] = jobKey
      end
      local fields, readable, key, ended = redis.call('HGETALL', jobKey), false, nil, false
      if fields[1] == 'msgpack' and not fields[3] then
        fields, readable = fields[2], true
      else
        for f = 1, #fields, 2 do
          local field = fields[f]
          if field == 'msgpack' then readable = true
          elseif field == 'limit' then key = fields[f + 1]
          elseif field == 'state' then ended = true end
        end
      end
      if ended then need().revive(jobKey) end
      if key and not held[key] then held[key] = perKey and need().holdersOf(key) or 0 end
      if not readable then
        gone[#gone + 1] = jobKey
      elseif key and perKey and held[key] >= perKey then
        redis.call('ZREM', activeKey, jobKey)
        redis.call('HDEL', claimsKey, jobKey)
        need().park(jobKey, due, key)
        if not parkedBy or perKey < parkedBy then
          parkedBy = perKey
          redis.call('HSET', stateKey, 'parked', perKey)
        end
      else
        taken = taken + 1
        if key then
          held[key] = held[key] + 1
          redis.call('SADD', need().keyFor('holders', key), jobKey)
        end
        scores[scored + 1], scores[scored + 2] = leaseEnd, jobKey
        scored = scored + 2
        claims[claimed + 1] = jobKey
        claims[claimed + 2] = format('%d%s%d%s', base + taken, taken <= limit and running or atHand, due, limits)
        claimed = claimed + 2
        out[said + 1], out[said + 2], out[said + 3] = jobKey, due, fields
        said = said + 3
      end
    end
    if #gone > 0 then
      redis.call('DEL', unpack(gone))
      redis.call('ZREM', queueKey, unpack(gone))
      redis.call('ZREM', activeKey, unpack(gone))
      redis.call('HDEL', claimsKey, unpack(gone))
    end
    if claimed > 2 then
      redis.call('ZADD', activeKey, unpack(scores))
      redis.call('ZADD', queueKey, unpack(scores, 3))
      redis.call('HSET', claimsKey, unpack(claims))
    end
  end

  if taken > 0 then
    redis.call('HSET', stateKey, 'fence', text(base + taken))
    if rate then redis.call('HSET', stateKey, 'tat', string.format('%.3f', tat + taken * interval)) end
  else
    -- All leases that are over were seen above; what is left of them is of jobs that a Go program has taken or ended.
    local stale = redis.call('ZRANGEBYSCORE', activeKey, '(-inf', upToNow, 'LIMIT', 0, 100)
    if #stale > 0 and not more then
      redis.call('ZREM', activeKey, unpack(stale))
      redis.call('HDEL', claimsKey, unpack(stale))
    end
    local first = redis.call('ZRANGEBYSCORE', queueKey, fromNow, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    local nextAt = first[2] and msOf(first[2])
    if waitMs > 0 then
      redis.call('HSET', stateKey, 'wait', text(nextAt or 9e15), 'waitUntil', text(now + waitMs))
    end
    if parkedBy then
      local blocked = redis.call('ZRANGE', keyOf('blocked'), 0, 0, 'WITHSCORES')
      if blocked[2] then nextAt = math.min(nextAt or 9e15, msOf(blocked[2])) end
    end
    if more then nextAt = now end
    out[1] = nextAt and math.max(nextAt - now, 0) or -1
  end
  if #lost > 0 then need().tellRevoked(lost) end
  return out
end
`;

/** Answers the time, and what `claim()` does. */
export const claimScript = redisScript(common, rarely, claiming, `return { now, claim(3) }`);
