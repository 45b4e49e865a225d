#!lua
-- REGISTER opens or renews a lease and stores the record if it is another one.
-- KEYS meta log rec lease tomb sibling-rec
-- ARGV epoch service id record ttl-ms lease judged-rev sibling free
-- A service of `free` instances or more, its sibling's included, is changed only if neither has changed since
-- judged-rev, at which the caller found that DNS can carry it: else CHANGED and the revision to judge it at.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'rev')
if meta[1] ~= ARGV[1] then return {'NOEPOCH'} end
local same = redis.call('HGET', KEYS[3], ARGV[3]) == ARGV[4]
if not same and redis.call('HLEN', KEYS[3]) + redis.call('HLEN', KEYS[6]) >= tonumber(ARGV[9]) then
  local own = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[2]) or '0')
  local other = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[8]) or '0')
  local last = math.max(own, other)
  if last > tonumber(ARGV[7]) then return {'CHANGED', last} end
end
local lived = redis.call('SET', KEYS[4], ARGV[6], 'PX', ARGV[5], 'GET') and 1 or 0
redis.call('DEL', KEYS[5])
if same then return {'OK', tonumber(meta[2]), lived} end
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
local rev = redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('ZADD', KEYS[2], rev, ARGV[2])
return {'OK', rev, lived}
