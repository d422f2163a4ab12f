import { redisScript } from '../redis-script.js';
import { common, rarely } from './common.js';
import { holding } from './hold.js';

/**
 * Per job, after ids and tokens: for how long, whether there is progress, and, if so, that. Answers the time, and a text
 * with 1 or 0 per job. A lease that is over can be renewed until somebody else claims the job, unless its limits are
 * used up by others.
 */
export const extendScript = redisScript(
  common,
  rarely,
  holding,
  String.raw`
local answers, rescored = {}, {}
for i = 1, count do
  local leaseMs = take()
  local hasProgress = take() == '1'
  local progress = hasProgress and take()
  local jobKey, ok = keys[i], holds(i)
  if ok then
    local claim = need().parseClaim(entries[i])
    if msOf(scores[i]) <= now then
      local key = redis.call('HGET', jobKey, 'limit')
      if claim.most ~= '' and redis.call('ZCOUNT', activeKey, fromNow, '+inf') >= tonumber(claim.most) then ok = false end
      if ok and key and claim.perKey ~= '' and need().holdersOf(key) >= tonumber(claim.perKey) then ok = false end
      if ok and key then redis.call('SADD', need().keyFor('holders', key), jobKey) end
      if not ok then
        -- It is told so: it has not died.
        claim.token, claim.started = '0', '0'
        redis.call('HSET', claimsKey, jobKey, need().claimText(claim))
      end
    end
    if ok then
      if claim.started == '0' then
        claim.started = '1'
        redis.call('HSET', claimsKey, jobKey, need().claimText(claim))
      end
      if hasProgress then redis.call('HSET', jobKey, 'progress', progress) end
      local leaseEnd = scoreOf(now + leaseMs)
      redis.call('ZADD', activeKey, leaseEnd, jobKey)
      rescored[#rescored + 1] = leaseEnd
      rescored[#rescored + 1] = jobKey
    end
  end
  answers[i] = ok and '1' or '0'
end
if #rescored > 0 then redis.call('ZADD', queueKey, unpack(rescored)) end
release()
return { now, table.concat(answers) }
`,
);
