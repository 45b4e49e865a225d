#!lua
-- REGISTER opens or renews a lease and stores the record if it is another one.
-- KEYS meta log rec lease tomb sibling-rec
-- ARGV epoch known-rev service id record ttl-ms lease judged-rev sibling free
-- A service of `free` instances or more, its sibling's included, is changed only if neither has changed since
-- judged-rev, at which the caller found that DNS can carry it: else CHANGED and the revision to judge it at.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'rev')
if meta[1] ~= ARGV[1] or tonumber(meta[2]) < tonumber(ARGV[2]) then return {'NOEPOCH'} end
local same = redis.call('HGET', KEYS[3], ARGV[4]) == ARGV[5]
if not same and redis.call('HLEN', KEYS[3]) + redis.call('HLEN', KEYS[6]) >= tonumber(ARGV[10]) then
  local own = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[3]) or '0')
  local other = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[9]) or '0')
  local last = math.max(own, other)
  if last > tonumber(ARGV[8]) then return {'CHANGED', last} end
end
local lived = redis.call('SET', KEYS[4], ARGV[7], 'PX', ARGV[6], 'GET') and 1 or 0
redis.call('DEL', KEYS[5])
if same then return {'OK', tonumber(meta[2]), lived} end
redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
local rev = redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('ZADD', KEYS[2], rev, ARGV[3])
return {'OK', rev, lived}
