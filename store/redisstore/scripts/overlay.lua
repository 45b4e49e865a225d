#!lua
-- OVERLAY sets what an operator wants of an instance: "state:weight", each of them empty where it is not set.
-- KEYS meta log rec ops sibling-rec
-- ARGV epoch known-rev service id state weight judged-rev sibling free
-- UNKNOWN without a record; CHANGED as in REGISTER.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'rev')
if meta[1] ~= ARGV[1] or tonumber(meta[2]) < tonumber(ARGV[2]) then return {'NOEPOCH'} end
if redis.call('HEXISTS', KEYS[3], ARGV[4]) == 0 then return {'UNKNOWN'} end
local old = redis.call('HGET', KEYS[4], ARGV[4]) or ':'
local state, weight = string.match(old, '^(.*):(.*)$')
if ARGV[5] ~= '' then state = ARGV[5] end
if ARGV[6] ~= '' then weight = ARGV[6] end
local new = state .. ':' .. weight
if new == old then return {'OK', tonumber(meta[2])} end
if redis.call('HLEN', KEYS[3]) + redis.call('HLEN', KEYS[5]) >= tonumber(ARGV[9]) then
  local own = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[3]) or '0')
  local other = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[8]) or '0')
  local last = math.max(own, other)
  if last > tonumber(ARGV[7]) then return {'CHANGED', last} end
end
redis.call('HSET', KEYS[4], ARGV[4], new)
local rev = redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('ZADD', KEYS[2], rev, ARGV[3])
return {'OK', rev}
