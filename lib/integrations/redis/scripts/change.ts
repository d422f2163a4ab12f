import { redisScript } from '../redis-script.js';
import { common, rarely } from './common.js';
import { keeping } from './keep.js';

/**
 * Takes a job out of the queue, for Go programs too, and frees what it holds: its claim, its keys. Answers since when a
 * job is due that waited for its place.
 */
const leaving = String.raw`
local function takeOut(jobKey, unique, limit, isInQueue, isParked)
  redis.call('ZREM', queueKey, jobKey)
  redis.call('ZREM', activeKey, jobKey)
  redis.call('HDEL', claimsKey, jobKey)
  local due = nil
  if isParked then
    redis.call('ZREM', keyOf('parked'), jobKey)
    redis.call('ZREM', need().keyFor('parked-of', limit), jobKey)
  elseif isInQueue and limit then
    due = need().freeKey(jobKey, limit)
  end
  if unique then need().freeUnique(jobKey, string.match(unique, ':(.*)$')) end
  return due
end
`;

/** Per id. Answers the time, and per job 0 (unknown), 1 (deleted) or 2 (deleted, and somebody held it). */
export const deleteScript = redisScript(
  common,
  rarely,
  leaving,
  String.raw`
local answers, revoked, soonest = { now }, {}, nil
for i = 3, #ARGV do
  local jobKey = jobKeyOf(ARGV[i])
  local fields = redis.call('HMGET', jobKey, 'unique', 'limit', 'state', 'msgpack')
  local score, lease = redis.call('ZSCORE', queueKey, jobKey), redis.call('ZSCORE', activeKey, jobKey)
  local parked = redis.call('ZSCORE', keyOf('parked'), jobKey)
  local ended = fields[3] and redis.call('ZSCORE', keyOf(fields[3]), jobKey)
  local answer = 0
  if score or parked or ended then
    if fields[4] then answer = 1 end
    if score and score == lease then
      answer = 2
      revoked[#revoked + 1] = jobKey
    end
    redis.call('DEL', jobKey)
    if ended then redis.call('ZREM', keyOf(fields[3]), jobKey) end
    local due = takeOut(jobKey, fields[1], fields[2], score, parked)
    if due and (not soonest or due < soonest) then soonest = due end
  end
  answers[#answers + 1] = answer
end
need().tellRevoked(revoked)
wake(soonest, #revoked > 0)
return answers
`,
);

/**
 * For how long to keep them in ms ('' is for ever), whether there is an error, that, and ids. Answers the time, and per
 * job 0 (unknown), 1 (cancelled), 2 (cancelled, and somebody held it) or 3 (it had ended).
 */
export const cancelScript = redisScript(
  common,
  rarely,
  leaving,
  keeping,
  String.raw`
local keepMs, why = ARGV[3], ARGV[4] == '1' and ARGV[5]
local answers, revoked, soonest = { now }, {}, nil
for i = 6, #ARGV do
  local jobKey = jobKeyOf(ARGV[i])
  local fields = redis.call('HMGET', jobKey, 'unique', 'limit', 'state', 'msgpack', 'history')
  local score, lease = redis.call('ZSCORE', queueKey, jobKey), redis.call('ZSCORE', activeKey, jobKey)
  local parked = redis.call('ZSCORE', keyOf('parked'), jobKey)
  local answer = 0
  if fields[4] and (score or parked) then
    answer = 1
    -- It has ended before: a Go program that still had it put it back.
    if fields[3] then need().revive(jobKey) end
    local history = nil
    if score and score == lease then
      answer = 2
      revoked[#revoked + 1] = jobKey
      local entry = redis.call('HGET', claimsKey, jobKey)
      local claim = entry and need().parseClaim(entry)
      if claim and claim.started == '1' then
        local because = why and ',"error":' .. cjson.encode(why) or ''
        history = need().withLine(fields[5], '{"startedAt":' .. claim.at .. ',"endedAt":' .. text(now)
          .. ',"outcome":"cancelled"' .. because .. '}')
      end
    end
    local due = takeOut(jobKey, fields[1], fields[2], score, parked)
    if due and (not soonest or due < soonest) then soonest = due end
    if keepMs == '0' then
      redis.call('DEL', jobKey)
    else
      if history then redis.call('HSET', jobKey, 'history', history) end
      if why then redis.call('HSET', jobKey, 'error', why) end
      keep(jobKey, 'cancelled', '+inf', keepMs)
    end
  elseif fields[3] and redis.call('ZSCORE', keyOf(fields[3]), jobKey) then
    answer = 3
  end
  answers[#answers + 1] = answer
end
need().tellRevoked(revoked)
wake(soonest, #revoked > 0)
return answers
`,
);

/**
 * Per job: its id, the SHA-1 of Go's job as it was read, and Go's job as it is to be. Answers the time, and per job 0
 * (unknown), 1 (retried), 2 (ready), 3 (active), 4 (ended) or 5 (Go's job has changed since it was read).
 */
export const retryScript = redisScript(
  common,
  rarely,
  String.raw`
local answers, retried = { now }, false
for i = 3, #ARGV, 3 do
  local id, sha, bytes = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local jobKey = jobKeyOf(id)
  local fields = redis.call('HMGET', jobKey, 'msgpack', 'unique', 'state')
  local score, lease = redis.call('ZSCORE', queueKey, jobKey), redis.call('ZSCORE', activeKey, jobKey)
  local answer = 1
  if not fields[1] then
    answer = 0
  elseif score then
    if msOf(score) <= now then answer = 2
    elseif lease == score then answer = 3 end
  elseif redis.call('ZSCORE', keyOf('parked'), jobKey) then
    answer = 2
  elseif not fields[3] or not redis.call('ZSCORE', keyOf(fields[3]), jobKey) then
    answer = 0
  elseif fields[3] ~= 'dead' then
    answer = 4
  end
  if answer == 1 and redis.sha1hex(fields[1]) ~= sha then answer = 5 end
  if answer == 1 then
    redis.call('HSET', jobKey, 'msgpack', bytes)
    redis.call('HDEL', jobKey, 'state', 'ended', 'cause', 'deaths')
    redis.call('ZREM', keyOf('dead'), jobKey)
    redis.call('ZADD', queueKey, upToNow, jobKey)
    if fields[2] then
      local untilMs, key = string.match(fields[2], '^(%d*):(.*)$')
      local uniqueKey = need().keyFor('unique', key)
      local holder = redis.call('GET', uniqueKey)
      if not holder or not need().holderLives(holder, key) then
        if untilMs == '' then redis.call('SET', uniqueKey, id)
        elseif tonumber(untilMs) > now then redis.call('SET', uniqueKey, id, 'PX', text(untilMs - now)) end
      end
    end
    retried = true
  end
  answers[#answers + 1] = answer
end
if retried then wake(now, false) end
return answers
`,
);

/** Whether it is to be paused. */
export const pauseScript = redisScript(
  common,
  String.raw`
if ARGV[3] == '1' then
  redis.call('HSET', stateKey, 'paused', '1')
elseif redis.call('HDEL', stateKey, 'paused') == 1 then
  tell('')
end
return { now }
`,
);

/**
 * Gives back what calls have claimed whose answer was lost on its way: nobody knows of these claims. Takes what those
 * calls were named.
 */
export const giveBackScript = redisScript(
  common,
  rarely,
  String.raw`
local calls, soonest = {}, nil
for i = 3, #ARGV do calls[ARGV[i]] = true end
local entries = redis.call('HGETALL', claimsKey)
for i = 1, #entries, 2 do
  local jobKey, claim = entries[i], need().parseClaim(entries[i + 1])
  -- The filler is no claim.
  if claim.call and calls[claim.call] then
    local score, lease = redis.call('ZSCORE', queueKey, jobKey), redis.call('ZSCORE', activeKey, jobKey)
    redis.call('ZREM', activeKey, jobKey)
    redis.call('HDEL', claimsKey, jobKey)
    if score and score == lease then
      redis.call('ZADD', queueKey, scoreOf(claim.due), jobKey)
      local key = redis.call('HGET', jobKey, 'limit')
      if key then need().freeKey(jobKey, key) end
      if not soonest or claim.due < soonest then soonest = claim.due end
    end
  end
end
wake(soonest, true)
return { now }
`,
);
