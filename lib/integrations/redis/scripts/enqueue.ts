import { redisScript } from '../redis-script.js';
import { common, rarely } from './common.js';

/**
 * Packed values, four per job: its id, when it is due (`@` and a time, or after how many ms), Go's job, and, as JSON,
 * further fields of its hash or nothing. Answers the time, and per job 1 (stored), 0 (exists), or the id that holds its
 * unique key. Where one of them cannot be stored, none is: a hash that is left behind, and is in no queue, would be a
 * job that exists and never runs.
 */
export const enqueueScript = redisScript(
  common,
  rarely,
  String.raw`
local sub = string.sub
local answers, answered, scores, scored, soonest = { now }, 1, {}, 0, nil
local added, made, makes = {}, {}, 0
local packed, at = ARGV[3], 1
local function note(key)
  makes = makes + 1
  made[makes] = key
end
local function store()
while at <= #packed do
  local id, when, bytes, more
  id, when, bytes, more, at = struct.unpack('>I4c0I4c0I4c0I4c0', packed, at)
  local jobKey = jobKeyOf(id)
  local answer = 1
  if more == '' then
    answer = redis.call('HSETNX', jobKey, 'msgpack', bytes)
    if answer == 1 then note(jobKey) end
  elseif redis.call('EXISTS', jobKey) == 1 then
    answer = 0
  else
    local fields = cjson.decode(more)
    local args = { 'msgpack', bytes }
    if fields.unique then
      local ttl, key = string.match(fields.unique, '^(%d*):(.*)$')
      local uniqueKey = need().keyFor('unique', key)
      local holder = redis.call('GET', uniqueKey)
      if holder and (added[holder] or need().holderLives(holder, key)) then
        answer = holder
      else
        if ttl == '' then
          redis.call('SET', uniqueKey, id)
        else
          redis.call('SET', uniqueKey, id, 'PX', ttl)
          fields.unique = text(now + ttl) .. ':' .. key
        end
        note(uniqueKey)
      end
    end
    if answer == 1 then
      for field, value in pairs(fields) do
        args[#args + 1] = field
        args[#args + 1] = value
      end
      redis.call('HSET', jobKey, unpack(args))
      note(jobKey)
    end
  end
  if answer == 1 then
    added[id] = true
    local due
    if sub(when, 1, 1) == '@' then due = tonumber(sub(when, 2)) else due = now + when end
    scores[scored + 1], scores[scored + 2] = scoreOf(due), jobKey
    scored = scored + 2
    if not soonest or due < soonest then soonest = due end
  end
  answered = answered + 1
  answers[answered] = answer
end
if scored > 0 then redis.call('ZADD', queueKey, unpack(scores)) end
end
local ok, failure = pcall(store)
if not ok then
  if makes > 0 then redis.call('DEL', unpack(made)) end
  return type(failure) == 'table' and failure or redis.error_reply(failure)
end
if soonest then wake(soonest, false) end
return answers
`,
);
