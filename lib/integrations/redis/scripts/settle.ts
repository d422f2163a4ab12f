import { redisScript } from '../redis-script.js';
import { claiming } from './claim.js';
import { common, rarely } from './common.js';
import { holding } from './hold.js';
import { keeping } from './keep.js';

/**
 * Per job, after ids and tokens, a letter for what becomes of it, and what that needs (see `settlementArguments()`); a
 * `+` after the letter: first its unique key and its limit key. At the end, where jobs are to be claimed as well, what
 * `claim()` reads. Answers the time, a text with 1 or 0 per job, how many dead jobs gave way, and what `claim()` does.
 */
export const settleScript = redisScript(
  common,
  rarely,
  claiming,
  holding,
  keeping,
  String.raw`
local answers, gone, ended, left, rescored, soonest = {}, {}, 0, {}, {}, nil
local function remove(jobKey)
  ended = ended + 1
  gone[ended] = jobKey
end
local completed, failed, pushedOut = 0, 0, 0
local mostDead = nil
local limits = {}
local function leave(jobKey, state, score, keepMs)
  keep(jobKey, state, score, keepMs)
  left[#left + 1] = jobKey
end
local function putBack(jobKey, due)
  rescored[#rescored + 1] = scoreOf(due)
  rescored[#rescored + 1] = jobKey
  if not soonest or due < soonest then soonest = due end
end
local function note(jobKey, history)
  if history == '' then return end
  if sub(history, 1, 1) == '+' then
    history = need().withLine(redis.call('HGET', jobKey, 'history'), sub(history, 2))
  end
  redis.call('HSET', jobKey, 'history', history)
end

for i = 1, count do
  local jobKey, ok = keys[i], holds(i)
  local kind = take()
  local unique, limit = '', ''
  if #kind == 2 then
    unique, limit = take(), take()
    kind = sub(kind, 1, 1)
  end
  local lives = false
  if kind == 'c' then
    if ok then
      completed = completed + 1
      remove(jobKey)
    end
  elseif kind == 'k' then
    local keepMs, hasResult = take(), take()
    local result = hasResult == '1' and take()
    if ok then
      completed = completed + 1
      if result then redis.call('HSET', jobKey, 'result', result) end
      leave(jobKey, 'completed', '+inf', keepMs)
    end
  elseif kind == 's' then
    local delayMs, isFailure, bytes, history = take(), take(), take(), take()
    lives = true
    if ok then
      if isFailure == '1' then failed = failed + 1 end
      redis.call('HSET', jobKey, 'msgpack', bytes)
      note(jobKey, history)
      putBack(jobKey, now + delayMs)
    end
  elseif kind == 'r' then
    local history = take()
    lives = true
    if ok then
      note(jobKey, history)
      putBack(jobKey, need().parseClaim(entries[i]).due)
    end
  elseif kind == 'd' then
    local cause, isFailure, most, bytes, history = take(), take(), take(), take(), take()
    if ok then
      if isFailure == '1' then failed = failed + 1 end
      redis.call('HSET', jobKey, 'cause', cause)
      if bytes ~= '' then redis.call('HSET', jobKey, 'msgpack', bytes) end
      note(jobKey, history)
      leave(jobKey, 'dead', upToNow, '')
      if most ~= '' then mostDead = tonumber(most) end
    end
  else
    local keepMs, bytes, history = take(), take(), take()
    if ok then
      if keepMs == '0' then
        remove(jobKey)
      else
        redis.call('HSET', jobKey, 'msgpack', bytes)
        note(jobKey, history)
        leave(jobKey, 'cancelled', '+inf', keepMs)
      end
    end
  end
  if ok then
    seen[jobKey] = true
    letGo(jobKey)
    if unique ~= '' and not lives then need().freeUnique(jobKey, unique) end
    if limit ~= '' then limits[#limits + 1] = { jobKey, limit } end
  end
  answers[i] = ok and '1' or '0'
end

if ended > 0 then
  redis.call('DEL', unpack(gone))
  redis.call('ZREM', queueKey, unpack(gone))
end
if #left > 0 then redis.call('ZREM', queueKey, unpack(left)) end
if #rescored > 0 then redis.call('ZADD', queueKey, unpack(rescored)) end
release()
for _, held in ipairs(limits) do
  local due = need().freeKey(held[1], held[2])
  if due and (not soonest or due < soonest) then soonest = due end
end
if mostDead then
  local deadKey = keyOf('dead')
  local over = math.min(redis.call('ZCARD', deadKey) - mostDead, 1000)
  if over > 0 then
    local oldest = redis.call('ZRANGE', deadKey, 0, over - 1)
    redis.call('DEL', unpack(oldest))
    redis.call('ZREM', deadKey, unpack(oldest))
    pushedOut = over
  end
end
if completed + failed > 0 then
  local minute = math.floor(now / 60000)
  local slot = tostring(minute % 60)
  local known = redis.call('HGET', keyOf('minutes'), slot) or ''
  local at, done, lost = string.match(known, '^(%d+):(%d+):(%d+)$')
  if tonumber(at) ~= minute then done, lost = 0, 0 end
  redis.call('HSET', keyOf('minutes'), slot, table.concat({ minute, done + completed, lost + failed }, ':'))
end
if soonest or releases > 0 then wake(soonest, true) end
local claimed = false
if at < #ARGV then claimed = claim(at + 1) end
return { now, table.concat(answers), pushedOut, claimed }
`,
);
