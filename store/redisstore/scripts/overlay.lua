#!lua
-- OVERLAY sets what an operator wants of an instance: "state:weight", each of them empty where it is not set.
-- KEYS meta log rec ops sibling-rec
-- ARGV epoch service id state weight judged-rev sibling free
-- UNKNOWN without a record; CHANGED as in REGISTER.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'rev')
if meta[1] ~= ARGV[1] then return {'NOEPOCH'} end
if redis.call('HEXISTS', KEYS[3], ARGV[3]) == 0 then return {'UNKNOWN'} end
local old = redis.call('HGET', KEYS[4], ARGV[3]) or ':'
local state, weight = string.match(old, '^(.*):(.*)$')
if ARGV[4] ~= '' then state = ARGV[4] end
if ARGV[5] ~= '' then weight = ARGV[5] end
local new = state .. ':' .. weight
if new == old then return {'OK', tonumber(meta[2])} end
if redis.call('HLEN', KEYS[3]) + redis.call('HLEN', KEYS[5]) >= tonumber(ARGV[8]) then
  local own = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[2]) or '0')
  local other = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[7]) or '0')
  local last = math.max(own, other)
  if last > tonumber(ARGV[6]) then return {'CHANGED', last} end
end
redis.call('HSET', KEYS[4], ARGV[3], new)
local rev = redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('ZADD', KEYS[2], rev, ARGV[2])
return {'OK', rev}
