#!lua flags=allow-oom
-- RENEW renews the lease of an instance that the caller's mirror lacks, by the ttl of the stored record. A lease
-- without a record is none.
-- KEYS meta rec lease
-- ARGV epoch id
-- Returns the lease's text, empty where there is none.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return {'NOEPOCH'} end
local lease = redis.call('GET', KEYS[3])
if not lease then return {'OK', ''} end
local record = redis.call('HGET', KEYS[2], ARGV[2])
local ttl = record and string.match(record, '"ttl_ms":(%d+)}$')
if not ttl then
  redis.call('UNLINK', KEYS[3])
  return {'OK', ''}
end
redis.call('PEXPIRE', KEYS[3], ttl)
return {'OK', lease}
