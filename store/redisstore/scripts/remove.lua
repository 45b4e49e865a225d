#!lua flags=allow-oom
-- REMOVE takes records out whose leases have ended, by the rule of TICK and not before a hold has ended.
-- KEYS meta log, then for each record: rec ops lease
-- ARGV epoch known-rev gap-ms, then for each record: service id
-- Returns OK and for each record -1 where it is gone, else after how many ms to look again.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'tick', 'hold_since', 'rev')
if meta[1] ~= ARGV[1] or tonumber(meta[4]) < tonumber(ARGV[2]) then return {'NOEPOCH'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local gap = now - tonumber(meta[2] or '0')
local since = tonumber(meta[3] or '0')
if gap < 0 or gap > tonumber(ARGV[3]) then
  since = now
  redis.call('HSET', KEYS[1], 'hold_since', now)
end
redis.call('HSET', KEYS[1], 'tick', now)
local reply = {'OK'}
for i = 1, (#KEYS - 2) / 3 do
  local rec, ops, lease = KEYS[3 * i], KEYS[3 * i + 1], KEYS[3 * i + 2]
  local service, id = ARGV[2 * i + 2], ARGV[2 * i + 3]
  local left = redis.call('PTTL', lease)
  if left == -2 then
    local record = redis.call('HGET', rec, id)
    local ttl = tonumber(record and string.match(record, '"ttl_ms":(%d+)}$') or '0')
    left = since + ttl - now
    if not record then
      left = -1
    elseif left <= 0 then
      redis.call('HDEL', rec, id)
      redis.call('HDEL', ops, id)
      redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[1], 'rev', 1), service)
      left = -1
    end
  end
  reply[i + 1] = left
end
return reply
