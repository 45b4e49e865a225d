#!lua flags=allow-oom
-- TRIM forgets services that have had no records for the retention: those whose last change is still the one given.
-- KEYS meta log, then for each service: rec
-- ARGV epoch, then for each service: service rev
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return {'NOEPOCH'} end
local trimmed = 0
for i = 1, #KEYS - 2 do
  local service, rev = ARGV[2 * i], ARGV[2 * i + 1]
  if redis.call('EXISTS', KEYS[i + 2]) == 0 and tonumber(redis.call('ZSCORE', KEYS[2], service) or '0') == tonumber(rev) then
    trimmed = trimmed + redis.call('ZREM', KEYS[2], service)
  end
end
return {'OK', trimmed}
