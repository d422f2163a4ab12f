/** Keeps a job that has ended: until `score`, and its hash for `keepMs`, of which '' is for ever. */
export const keeping = String.raw`
local function keep(jobKey, state, score, keepMs)
  redis.call('HSET', jobKey, 'state', state, 'ended', text(now))
  if keepMs ~= '' then
    redis.call('ZREMRANGEBYSCORE', keyOf(state), '-inf', upToNow)
    redis.call('PEXPIRE', jobKey, keepMs)
    score = scoreOf(now + keepMs)
  end
  redis.call('ZADD', keyOf(state), score, jobKey)
end
`;
