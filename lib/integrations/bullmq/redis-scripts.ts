/**
 * What BullMQ has no call for, on the keys that it documents. Each script is given what the keys of the queue begin
 * with, as its one key, by which a Cluster finds the node.
 */

const common = `
local base = KEYS[1]
local function lockKey(id) return base .. id .. ':lock' end
local function isActive(id) return redis.call('LPOS', base .. 'active', id) ~= false end
local function place(id)
  for _, set in ipairs({ 'completed', 'failed', 'delayed', 'waiting-children' }) do
    local score = redis.call('ZSCORE', base .. set, id)
    if score then return set, score end
  end
  if redis.call('EXISTS', lockKey(id)) == 1 or isActive(id) then return 'active', '' end
  return 'wait', ''
end
local function tell(event, id, ...)
  local most = redis.call('HGET', base .. 'meta', 'opts.maxLenEvents') or 10000
  redis.call('XADD', base .. 'events', 'MAXLEN', '~', most, '*', 'event', event, 'jobId', id, ...)
end
local function toFront(id)
  local priority = tonumber(redis.call('HGET', base .. id, 'priority') or '0')
  if priority > 0 then
    redis.call('ZADD', base .. 'prioritized', priority * 0x100000000, id)
  else
    redis.call('RPUSH', base .. 'wait', id)
  end
  redis.call('ZADD', base .. 'marker', 0, '0')
  tell('waiting', id, 'prev', 'active')
end
local function deathsOf(id)
  local text = redis.call('HGET', base .. id, 'nestjs-worker:deaths')
  return text and cjson.decode(text) or {}
end
local function keepDeaths(id, deaths)
  redis.call('HSET', base .. id, 'nestjs-worker:deaths', cjson.encode(deaths))
end
`;

/** Of each id: nothing, or where it is, its score there, for how long it is locked yet, and its fields. */
export const readScript = `${common}
local answer = {}
for index, id in ipairs(ARGV) do
  -- Of that name there may be something else, such as a list.
  local isJob = redis.pcall('HEXISTS', base .. id, 'timestamp') == 1
  local fields = isJob and redis.call('HGETALL', base .. id) or {}
  if #fields == 0 then
    answer[index] = false
  else
    local at, score = place(id)
    answer[index] = { at, score, redis.call('PTTL', lockKey(id)), fields }
  end
end
return answer
`;

/** How many are held, when the next lock ends, and those that have none. */
export const readActiveScript = `${common}
local held, nextIn, lapsed = 0, -1, {}
for _, id in ipairs(redis.call('LRANGE', base .. 'active', 0, -1)) do
  local left = redis.call('PTTL', lockKey(id))
  if left == -2 then
    local fields = redis.call('HMGET', base .. id, 'ats', 'processedOn', 'pb', 'atm', 'nestjs-worker:state')
    lapsed[#lapsed + 1] = { id, unpack(fields, 1, 5) }
  else
    held = held + 1
    if left >= 0 and (nextIn < 0 or left < nextIn) then nextIn = left end
  end
end
return { held, nextIn, lapsed }
`;

/** Pairs of an id and what it is to be locked by. */
export const areHeldScript = `${common}
local answer = {}
for index = 1, #ARGV, 2 do
  answer[#answer + 1] = redis.call('GET', lockKey(ARGV[index])) == ARGV[index + 1] and 1 or 0
end
return answer
`;

export const writeScript = `${common}
local id, state, lock = ARGV[1], ARGV[2], ARGV[3]
if lock ~= '' and redis.call('GET', lockKey(id)) ~= lock then return 0 end
if redis.call('EXISTS', base .. id) == 0 then return 0 end
redis.call('HSET', base .. id, 'nestjs-worker:state', state)
return 1
`;

export const putBackScript = `${common}
local id, claim, death, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if redis.call('EXISTS', lockKey(id)) == 1 then return 0 end
if (redis.call('HGET', base .. id, 'ats') or '0') ~= claim then return 0 end
if redis.call('LREM', base .. 'active', 1, id) == 0 then return 0 end
redis.call('SREM', base .. 'stalled', id)
redis.call('HSET', base .. id, 'nestjs-worker:back', claim)
if death ~= '' then
  local deaths = deathsOf(id)
  deaths[#deaths + 1] = cjson.decode(death)
  while #deaths > most do table.remove(deaths, 1) end
  keepDeaths(id, deaths)
end
toFront(id)
tell('stalled', id)
return 1
`;

/** With what became of it, where there is any. */
export const releaseScript = `${common}
local id, lock, state = ARGV[1], ARGV[2], ARGV[3]
if redis.call('GET', lockKey(id)) ~= lock then return 0 end
if redis.call('LREM', base .. 'active', 1, id) == 0 then return 0 end
redis.call('DEL', lockKey(id))
redis.call('SREM', base .. 'stalled', id)
if state ~= '' then redis.call('HSET', base .. id, 'nestjs-worker:state', state) end
toFront(id)
return 1
`;

/** One that was put back comes back, and its death is taken back. */
export const lockAgainScript = `${common}
local id, lock, lockMs, claim, startedAt = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('EXISTS', lockKey(id)) == 1 then return 0 end
local last = redis.call('HMGET', base .. id, 'ats', 'processedOn')
if last[1] ~= claim or last[2] ~= startedAt then return 0 end
if not isActive(id) then
  if redis.call('HGET', base .. id, 'nestjs-worker:back') ~= claim then return 0 end
  if redis.call('LREM', base .. 'wait', -1, id) + redis.call('ZREM', base .. 'prioritized', id) == 0 then return 0 end
  redis.call('LPUSH', base .. 'active', id)
  redis.call('HDEL', base .. id, 'nestjs-worker:back')
  local deaths = deathsOf(id)
  if #deaths > 0 and deaths[#deaths].claim == tonumber(claim) then
    table.remove(deaths)
    if #deaths > 0 then keepDeaths(id, deaths) else redis.call('HDEL', base .. id, 'nestjs-worker:deaths') end
  end
end
redis.call('SET', lockKey(id), lock, 'PX', lockMs)
return 1
`;

/** One that is active, or one that waits or is for later. */
export const seizeScript = `${common}
local id, lock, lockMs, at = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if at == 'active' then
  if not isActive(id) then return 0 end
else
  if redis.call('EXISTS', lockKey(id)) == 1 then return 0 end
  local removed = redis.call('ZREM', base .. 'delayed', id) + redis.call('ZREM', base .. 'prioritized', id)
  if removed == 0 then removed = redis.call('LREM', base .. 'wait', -1, id) end
  if removed == 0 then return 0 end
  redis.call('LPUSH', base .. 'active', id)
end
redis.call('SET', lockKey(id), lock, 'PX', lockMs)
redis.call('SREM', base .. 'stalled', id)
return 1
`;

export const noteAliveScript = `${common}
local id, claim, startedAt = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local deaths = deathsOf(id)
local state = redis.call('HGET', base .. id, 'nestjs-worker:state')
local forgivenAt = state and cjson.decode(state).forgivenAt or 0
for _, death in ipairs(deaths) do
  if death.claim == claim and death.startedAt == startedAt and death.endedAt > forgivenAt then
    death.lost = true
    keepDeaths(id, deaths)
    return 1
  end
end
return 0
`;

/** What it was processed by, then ids. */
export const noteStartedScript = `${common}
for index = 2, #ARGV do
  if redis.call('EXISTS', base .. ARGV[index]) == 1 then redis.call('HSET', base .. ARGV[index], 'pb', ARGV[1]) end
end
return 1
`;

/** Only what nothing else depends on: not of a flow or a scheduler. */
export const removeWaitingScript = `${common}
local id = ARGV[1]
local key = base .. id
local fields = redis.call('HMGET', key, 'timestamp', 'parentKey', 'rjk', 'deid')
if not fields[1] or fields[2] or fields[3] or redis.call('EXISTS', lockKey(id), key .. ':processed') > 0 then return 0 end
if redis.call('LREM', base .. 'wait', -1, id) == 0 then return 0 end
redis.call('DEL', key, key .. ':logs', key .. ':dependencies', key .. ':failed', key .. ':unsuccessful')
local held = fields[4] and base .. 'de:' .. fields[4]
if held and redis.call('GET', held) == id then redis.call('DEL', held) end
tell('removed', id, 'prev', 'wait')
return 1
`;

/** From a list, its oldest first: after the last of the ids that is still there. */
export const pageOfListScript = `
local key, limit = KEYS[1] .. ARGV[1], tonumber(ARGV[2])
local length = redis.call('LLEN', key)
local from = 0
for index = 3, #ARGV do
  local position = redis.call('LPOS', key, ARGV[index], 'RANK', -1)
  if position then
    from = length - position
    break
  end
end
local ids = redis.call('LRANGE', key, -(from + limit), -(from + 1))
return { length - from > limit and 1 or 0, ids }
`;

/** From a sorted set, after a score and, within it, an id. */
export const pageOfSetScript = `
local key, limit, score, id = KEYS[1] .. ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local found, from = {}, 0
if score ~= '' then from = redis.call('ZCOUNT', key, '-inf', '(' .. score) end
while #found < 2 * (limit + 1) do
  local some = redis.call('ZRANGE', key, from, from + limit, 'WITHSCORES')
  if #some == 0 then break end
  for index = 1, #some, 2 do
    local isBefore = score ~= '' and tonumber(some[index + 1]) == tonumber(score) and some[index] <= id
    if not isBefore then
      found[#found + 1] = some[index]
      found[#found + 1] = some[index + 1]
    end
  end
  from = from + limit + 1
end
return found
`;
