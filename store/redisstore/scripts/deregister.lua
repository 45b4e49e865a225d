#!lua flags=allow-oom
-- DEREGISTER ends an instance and remembers it: for as long as the mirrors may be cut off, and twice its ttl.
-- KEYS meta log rec ops lease tomb
-- ARGV epoch known-rev service id retention-ms unknown-ms
-- Returns the revision without it and whether it was known. Told so again, it changes nothing but the tombstone's end.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'rev')
if meta[1] ~= ARGV[1] or tonumber(meta[2]) < tonumber(ARGV[2]) then return {'NOEPOCH'} end
local record = redis.call('HGET', KEYS[3], ARGV[4])
local buried = redis.call('GET', KEYS[6])
local life = ARGV[6]
if record then
  local ttl = string.match(record, '"ttl_ms":(%d+)}$') or '0'
  life = string.format('%.0f', math.max(tonumber(ARGV[5]), 2 * tonumber(ttl)))
elseif buried then
  life = buried
end
redis.call('UNLINK', KEYS[5])
redis.call('HDEL', KEYS[3], ARGV[4])
redis.call('HDEL', KEYS[4], ARGV[4])
redis.call('SET', KEYS[6], life, 'PX', life)
local rev = tonumber(meta[2])
if record or not buried then
  rev = redis.call('HINCRBY', KEYS[1], 'rev', 1)
  redis.call('ZADD', KEYS[2], rev, ARGV[3])
end
return {'OK', rev, record and 1 or 0}
