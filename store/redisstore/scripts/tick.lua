#!lua flags=allow-oom
-- TICK makes the caller the reaper, or leaves whoever is in place, and notes that leases are watched. Where they were
-- not for a while, or the clock was set, nothing is removed until every holder had one whole ttl to come back; nor where
-- the caller says so (hold is 1), since it had no answer for a while, and heartbeats may have had none either.
-- KEYS meta (alone, so that it works while a slot is on the move)
-- ARGV epoch known-rev caller term-ms gap-ms hold
-- Returns OK to the reaper, BUSY to others. A term of 0 lets another take over.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'tick', 'rev', 'reaper', 'reaper_until')
if meta[1] ~= ARGV[1] or tonumber(meta[3]) < tonumber(ARGV[2]) then return {'NOEPOCH'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local left = tonumber(meta[5] or '0') - now
if meta[4] and meta[4] ~= ARGV[3] and left > 0 and left <= tonumber(ARGV[4]) then return {'BUSY'} end
local gap = now - tonumber(meta[2] or '0')
if gap < 0 or gap > tonumber(ARGV[5]) or ARGV[6] == '1' then redis.call('HSET', KEYS[1], 'hold_since', now) end
redis.call('HSET', KEYS[1], 'tick', now, 'reaper', ARGV[3], 'reaper_until', now + tonumber(ARGV[4]))
return {'OK'}
