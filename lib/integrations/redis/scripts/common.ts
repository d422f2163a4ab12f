/*
 * The keyspace. Those of gocraft/work v2, which Go programs share with us:
 *   {ns}:queue:{queue}   sorted set of job keys, by when they are due, in seconds; of a held job, when its lease ends
 *   {ns}:job:{id}        hash; its field `msgpack` is Go's job
 *
 * Ours, which a Go program leaves alone. In the hash of a job, where there is something to say: `name`, `headers`
 * (JSON), `unique` (until when, and the key), `limit` (its limit key), `deaths` (of each when, the token, and when its lease ended), `history` (a line of
 * JSON for each attempt), `progress`; of one that has ended also `state`, `ended`, `result`, `cause`, and, where somebody
 * has cancelled it, `error` (why). And keys:
 *   {ns}:active:{queue}      sorted set of held jobs, by when their leases end: the same score as in the queue; and, at
 *                            -inf, a member that is no job (see `filler`)
 *   {ns}:claims:{queue}      hash of held jobs, and the `filler`: token, whether it is running, when it was claimed, when it was due,
 *                            which call claimed it, and the limits of that call
 *   {ns}:state:{queue}       hash: paused, fence (the last token), tat (rate limit), parked (the lowest limit by which any was),
 *                            and who waits: wait and waitUntil for a job that is due sooner, slotUntil for a free place
 *   {ns}:dead:{queue}, {ns}:completed:{queue}, {ns}:cancelled:{queue}
 *                            sorted sets of jobs that have ended, by when that was, or by how long they are kept
 *   {ns}:parked:{queue}      sorted set of jobs that are due but whose limit key is at its limit, by when they were due
 *   {ns}:parked-of:…:{key}   the same of one key;   {ns}:blocked:{queue}  those keys, by when to look at them again
 *   {ns}:holders:…:{key}     set of the jobs of a limit key that are held
 *   {ns}:unique:…:{key}      the id of the job that holds a unique key
 *   {ns}:minutes:{queue}     hash of how many jobs ended in each of the last 60 minutes
 *   {ns}:wake:{queue}        the channel: an empty message wakes those who wait, a list of ids is of revoked jobs
 */

/** What each script begins with: names of keys, the time, how times are written, and waking who waits. */
export const common = String.raw`
local queueKey, ns, queue = KEYS[1], ARGV[1], ARGV[2]
local function keyOf(kind) return ns .. ':' .. kind .. ':' .. queue end
local function jobKeyOf(id) return ns .. ':job:' .. id end
local activeKey, claimsKey, stateKey = keyOf('active'), keyOf('claims'), keyOf('state')

local clock = redis.call('TIME')
local nowUs = clock[1] * 1000000 + clock[2]
local now = math.floor(nowUs / 1000)
local format = string.format
local function text(number) return format('%d', number) end
local lastMs, lastScore
local function scoreOf(ms)
  if ms ~= lastMs then lastMs, lastScore = ms, format('%.3f', ms / 1000) end
  return lastScore
end
local function msOf(score) return math.floor(score * 1000 + 0.5) end
local upToNow, fromNow = scoreOf(now), '(' .. scoreOf(now)
-- A member so long that Redis keeps its set, or its hash, as a table from the start on. As a plain list, which it is as
-- long as it is small, it takes several times as long to change.
local filler = string.rep('.', 65)

local function tell(message) redis.call('PUBLISH', keyOf('wake'), message) end
-- Wakes those who wait, if what can be had from 'due' on is sooner than what they wait for, or a place is free that
-- they wait for. Whoever finds nothing then says again what it waits for.
local function wake(due, freed)
  local state = redis.call('HMGET', stateKey, 'wait', 'waitUntil', 'slotUntil')
  local sooner = due and state[1] and tonumber(state[2]) >= now and due < tonumber(state[1])
  local place = freed and state[3] and tonumber(state[3]) >= now
  if sooner or place then
    redis.call('HDEL', stateKey, 'wait', 'waitUntil', 'slotUntil')
    tell('')
  end
end
`;

/**
 * What only some jobs need: limit keys, unique keys, leases that are over. `need()` makes these functions when they are
 * first wanted, since making a function takes as long as a command.
 */
export const rarely = String.raw`
local tools
local function need()
if tools then return tools end
local parkedKey = keyOf('parked')
local function keyFor(kind, key) return ns .. ':' .. kind .. ':' .. #queue .. ':' .. queue .. ':' .. key end
local function idOf(jobKey) return string.sub(jobKey, #ns + 6) end
local function tellRevoked(jobKeys)
  if #jobKeys == 0 then return end
  local ids = {}
  for i, jobKey in ipairs(jobKeys) do ids[i] = idOf(jobKey) end
  tell(cjson.encode(ids))
end

local function parseClaim(entry)
  local token, started, at, due, call, most, perKey =
    string.match(entry, '^(%d+):(%d):(%d+):(-?%d+):([^:]*):(%d*):(%d*)$')
  return { token = token, started = started, at = at, due = tonumber(due), call = call, most = most, perKey = perKey }
end
local function claimText(claim)
  return table.concat({ claim.token, claim.started, claim.at, text(claim.due), claim.call, claim.most, claim.perKey }, ':')
end

local function holdersOf(key)
  local holders = keyFor('holders', key)
  local count = 0
  for _, jobKey in ipairs(redis.call('SMEMBERS', holders)) do
    local lease = redis.call('ZSCORE', activeKey, jobKey)
    if lease and msOf(lease) > now then count = count + 1 else redis.call('SREM', holders, jobKey) end
  end
  return count
end
local function park(jobKey, due, key)
  redis.call('ZREM', queueKey, jobKey)
  redis.call('ZADD', parkedKey, scoreOf(due), jobKey)
  redis.call('ZADD', keyFor('parked-of', key), scoreOf(due), jobKey)
  redis.call('ZADD', keyOf('blocked'), 'NX', scoreOf(now + 1000), key)
end
-- Lets the first ones of a key back into the queue. Answers when the first of all was due.
local function unpark(key, count)
  local own = keyFor('parked-of', key)
  local jobs = redis.call('ZRANGE', own, 0, count - 1, 'WITHSCORES')
  if #jobs == 0 then return nil end
  for i = 1, #jobs, 2 do
    redis.call('ZADD', queueKey, jobs[i + 1], jobs[i])
    redis.call('ZREM', parkedKey, jobs[i])
    redis.call('ZREM', own, jobs[i])
  end
  if redis.call('EXISTS', own) == 0 then redis.call('ZREM', keyOf('blocked'), key) end
  return msOf(jobs[2])
end
-- Some were parked by a limit that is lower than that of this process, or that it does not have.
local function unparkAny(count)
  local jobs = redis.call('ZRANGE', parkedKey, 0, count - 1, 'WITHSCORES')
  for i = 1, #jobs, 2 do
    local key = redis.call('HGET', jobs[i], 'limit')
    redis.call('ZADD', queueKey, jobs[i + 1], jobs[i])
    redis.call('ZREM', parkedKey, jobs[i])
    if key then redis.call('ZREM', keyFor('parked-of', key), jobs[i]) end
  end
  if redis.call('EXISTS', parkedKey) == 1 then return false end
  redis.call('HDEL', stateKey, 'parked')
  return true
end
-- A held job of that key is held no more.
local function freeKey(jobKey, key)
  redis.call('SREM', keyFor('holders', key), jobKey)
  return unpark(key, 1)
end
-- Places may be free that nobody has said are: the process died, a Go program ended the job, the limit was raised.
local function recheckKeys(perKey, anyIsOver)
  local blocked = keyOf('blocked')
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', blocked, '-inf', anyIsOver and '+inf' or upToNow, 'LIMIT', 0, 20)) do
    local free = perKey - holdersOf(key)
    if free > 0 then unpark(key, free) end
    if redis.call('EXISTS', keyFor('parked-of', key)) == 0 then redis.call('ZREM', blocked, key)
    else redis.call('ZADD', blocked, scoreOf(now + 1000), key) end
  end
end
local function freeUnique(jobKey, key)
  local uniqueKey = keyFor('unique', key)
  if redis.call('GET', uniqueKey) == idOf(jobKey) then redis.call('DEL', uniqueKey) end
end
-- Whether a job lives that holds this unique key. A Go program that ends a job frees no key.
local function holderLives(id, key)
  local jobKey = jobKeyOf(id)
  local unique = redis.call('HGET', jobKey, 'unique')
  if not unique or string.sub(unique, string.find(unique, ':', 1, true) + 1) ~= key then return false end
  return redis.call('ZSCORE', queueKey, jobKey) or redis.call('ZSCORE', parkedKey, jobKey)
end
-- The history with one line more.
local function withLine(history, line)
  local lines = {}
  for one in string.gmatch(history or '', '[^\n]+') do lines[#lines + 1] = one end
  lines[#lines + 1] = line
  if #lines > 20 then table.remove(lines, 1) end
  return table.concat(lines, '\n')
end
-- The lease of a job is over, and its holder has lost it. Answers when it was due.
local function lapse(jobKey, leaseEnd)
  local entry = redis.call('HGET', claimsKey, jobKey)
  redis.call('HDEL', claimsKey, jobKey)
  if not entry then return nil end
  local claim = parseClaim(entry)
  if claim.started == '1' then
    local old = redis.call('HMGET', jobKey, 'deaths', 'history')
    local deaths = {}
    for death in string.gmatch(old[1] or '', '[^ ]+') do deaths[#deaths + 1] = death end
    local endedAt = text(msOf(leaseEnd))
    deaths[#deaths + 1] = text(now) .. ':' .. claim.token .. ':' .. endedAt
    if #deaths > 50 then table.remove(deaths, 1) end
    local history = withLine(old[2], '{"startedAt":' .. claim.at .. ',"endedAt":' .. endedAt .. ',"outcome":"died"}')
    if redis.call('EXISTS', jobKey) == 1 then
      redis.call('HSET', jobKey, 'deaths', table.concat(deaths, ' '), 'history', history)
    end
  end
  return claim.due
end
-- Whoever had that token is alive: of the deaths, one was none.
local function hearOf(jobKey, token)
  local old = redis.call('HMGET', jobKey, 'deaths', 'history')
  if not old[1] then return end
  local deaths, endedAt = {}, nil
  for death in string.gmatch(old[1], '[^ ]+') do
    local of, ended = string.match(death, ':(%d+):(-?%d+)$')
    if of == token then endedAt = ended else deaths[#deaths + 1] = death end
  end
  if not endedAt then return end
  if #deaths > 0 then redis.call('HSET', jobKey, 'deaths', table.concat(deaths, ' '))
  else redis.call('HDEL', jobKey, 'deaths') end
  local died = '"endedAt":' .. endedAt .. ',"outcome":"died"'
  local from, to = string.find(old[2] or '', died, 1, true)
  if not from then return end
  local lost = '"endedAt":' .. endedAt .. ',"outcome":"lost"'
  redis.call('HSET', jobKey, 'history', string.sub(old[2], 1, from - 1) .. lost .. string.sub(old[2], to + 1))
end
-- A job that has ended is in the queue again: a Go program that still had it put it there.
local function revive(jobKey)
  redis.call('PERSIST', jobKey)
  redis.call('HDEL', jobKey, 'state', 'ended', 'result', 'cause', 'error')
  for _, kind in ipairs({ 'dead', 'completed', 'cancelled' }) do redis.call('ZREM', keyOf(kind), jobKey) end
end
tools = {
  keyFor = keyFor, tellRevoked = tellRevoked, parseClaim = parseClaim, claimText = claimText, holdersOf = holdersOf,
  park = park, unparkAny = unparkAny, freeKey = freeKey, recheckKeys = recheckKeys, freeUnique = freeUnique,
  holderLives = holderLives, withLine = withLine, lapse = lapse, hearOf = hearOf, revive = revive,
}
return tools
end
`;
