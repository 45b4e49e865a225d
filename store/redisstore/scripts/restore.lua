#!lua
-- RESTORE puts back what a loss of data took, without leases: the hold ends what nobody comes back for. What is there,
-- and what was deregistered since, stays as it is.
-- KEYS meta log, then for each record: rec ops tomb
-- ARGV epoch restored, then for each record: service id record overlay
-- restored is the epoch with the last records of the first who restores, else empty.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return {'NOEPOCH'} end
local back = 0
for i = 1, (#KEYS - 2) / 3 do
  local rec, ops, tomb = KEYS[3 * i], KEYS[3 * i + 1], KEYS[3 * i + 2]
  local service, id, record, overlay = ARGV[4 * i - 1], ARGV[4 * i], ARGV[4 * i + 1], ARGV[4 * i + 2]
  if redis.call('EXISTS', tomb) == 0 then
    local news = redis.call('HSETNX', rec, id, record)
    if overlay ~= '' then news = news + redis.call('HSETNX', ops, id, overlay) end
    if news > 0 then
      redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[1], 'rev', 1), service)
      back = back + 1
    end
  end
end
redis.call('HINCRBY', KEYS[1], 'restoring', 1)
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'restored', ARGV[2]) end
return {'OK', back}
