#!lua flags=allow-oom
-- CLAMP mends leases that last much longer than their ttl, which a clock that was set back leaves behind, or for ever.
-- KEYS meta, then for each lease: lease
-- ARGV epoch, then for each lease: ttl-ms
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return {'NOEPOCH'} end
for i = 2, #KEYS do
  local left = redis.call('PTTL', KEYS[i])
  if left == -1 or left > 1.5 * tonumber(ARGV[i]) then redis.call('PEXPIRE', KEYS[i], ARGV[i]) end
end
return {'OK'}
