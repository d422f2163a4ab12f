import { redisScript } from '../redis-script.js';
import { common } from './common.js';

/** What is known of where a job is: its scores in the sets that it may be in, its claim, and the fields of its hash. */
const describing = String.raw`
local function describe(jobKey)
  local fields = redis.call('HGETALL', jobKey)
  if #fields == 0 then return false end
  local ended = redis.call('HGET', jobKey, 'state')
  return {
    redis.call('ZSCORE', queueKey, jobKey),
    redis.call('ZSCORE', activeKey, jobKey),
    redis.call('HGET', claimsKey, jobKey),
    redis.call('ZSCORE', keyOf('parked'), jobKey),
    ended and redis.call('ZSCORE', keyOf(ended), jobKey),
    fields,
  }
end
`;

/** Per id. Answers the time, and per job what is known, or nothing. */
export const getScript = redisScript(
  common,
  describing,
  String.raw`
local out = { now }
for i = 3, #ARGV do out[#out + 1] = describe(jobKeyOf(ARGV[i])) end
return out
`,
);

/** Per id. Answers the time, and Go's job of each, or nothing. */
export const readScript = redisScript(
  common,
  String.raw`
local out = { now }
for i = 3, #ARGV do out[#out + 1] = redis.call('HGET', jobKeyOf(ARGV[i]), 'msgpack') end
return out
`,
);

/**
 * The state, how many jobs, and after which one: its score (of an active one: its token) and its key, or nothing. Answers
 * the time, whether there are more, and per job its key, its place in the order, and what is known of it.
 */
export const listScript = redisScript(
  common,
  describing,
  String.raw`
local state, limit, afterScore, afterKey = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
-- As Redis orders members; Lua would ask the locale.
local function isBefore(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
-- The index of the first one after the cursor. The one that it names may be gone by now.
local function indexAfter(set)
  if not afterScore then return 0 end
  local score = string.format('%.17g', afterScore)
  local low = redis.call('ZCOUNT', set, '-inf', '(' .. score)
  local high = redis.call('ZCOUNT', set, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = redis.call('ZRANGE', set, middle, middle)[1]
    if isBefore(afterKey, member) then high = middle else low = middle + 1 end
  end
  return low
end
local found = {}
local function read(set, first, last)
  first = math.max(first, indexAfter(set))
  last = math.min(last, first + limit)
  if last < first then return end
  local jobs = redis.call('ZRANGE', set, first, last, 'WITHSCORES')
  for i = 1, #jobs, 2 do found[#found + 1] = { jobs[i], jobs[i + 1] } end
end
if state == 'ready' then
  read(queueKey, 0, redis.call('ZCOUNT', queueKey, '-inf', upToNow) - 1)
  read(keyOf('parked'), 0, redis.call('ZCARD', keyOf('parked')) - 1)
  table.sort(found, function(a, b)
    local x, y = tonumber(a[2]), tonumber(b[2])
    if x ~= y then return x < y end
    return isBefore(a[1], b[1])
  end)
elseif state == 'scheduled' then
  read(queueKey, redis.call('ZCOUNT', queueKey, '-inf', upToNow), redis.call('ZCARD', queueKey) - 1)
elseif state == 'active' then
  -- By their tokens: their place in the set changes with every renewal. There are no more than the consumers hold.
  for _, jobKey in ipairs(redis.call('ZRANGEBYSCORE', activeKey, fromNow, '+inf')) do
    local token = string.match(redis.call('HGET', claimsKey, jobKey) or '', '^(%d+):')
    if token and (not afterScore or tonumber(token) > afterScore) then found[#found + 1] = { jobKey, token } end
  end
  table.sort(found, function(a, b) return tonumber(a[2]) < tonumber(b[2]) end)
elseif state == 'dead' then
  read(keyOf(state), 0, redis.call('ZCARD', keyOf(state)) - 1)
else
  local set = keyOf(state)
  read(set, redis.call('ZCOUNT', set, '-inf', upToNow), redis.call('ZCARD', set) - 1)
end
local out = { now, #found > limit and 1 or 0 }
for i = 1, math.min(#found, limit) do
  local last = #out
  out[last + 1], out[last + 2], out[last + 3] = found[i][1], found[i][2], describe(found[i][1])
end
return out
`,
);

/** How far ahead to look, in ms. Answers the time, eight numbers in the order of `readCounts()`, and the minutes. */
export const countsScript = redisScript(
  common,
  String.raw`
local window = scoreOf(now + ARGV[3])
local function oldest(set)
  local first = redis.call('ZRANGEBYSCORE', set, '-inf', upToNow, 'WITHSCORES', 'LIMIT', 0, 1)
  return first[2] and now - msOf(first[2]) or 0
end
local active = redis.call('ZCOUNT', activeKey, fromNow, '+inf')
return {
  now,
  redis.call('HEXISTS', stateKey, 'paused'),
  redis.call('ZCOUNT', queueKey, '-inf', upToNow) + redis.call('ZCARD', keyOf('parked')),
  redis.call('ZCOUNT', queueKey, fromNow, '+inf') - active,
  active,
  redis.call('ZCARD', keyOf('dead')),
  redis.call('ZCOUNT', queueKey, fromNow, window) - redis.call('ZCOUNT', activeKey, fromNow, window),
  math.max(oldest(queueKey), oldest(keyOf('parked'))),
  redis.call('HVALS', keyOf('minutes')),
}
`,
);

/** The time, by the clock that counts. */
export const timeScript = redisScript(common, 'return { now }');
