#!lua flags=allow-oom
-- CLAMP mends a lease that lasts much longer than its ttl, which a clock that was set back leaves behind, or for ever.
-- KEYS meta lease
-- ARGV epoch ttl-ms
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return {'NOEPOCH'} end
local left = redis.call('PTTL', KEYS[2])
if left == -1 or left > 1.5 * tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return {'OK'}
