#!lua flags=no-writes
-- DELTA returns what changed after a revision, as one consistent cut.
-- KEYS meta log
-- ARGV prefix-of-rec prefix-of-ops last-rev services octets
-- Returns the epoch, the revision, whether more has changed than fitted, and for each service in the order of its last
-- change: name, revision, its records and its overlays, each as id, text, id, text. The keys of records are not declared:
-- they lie in the slot of those that are.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'rev')
local changed = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[4])
local reply = {meta[1] or '', tonumber(meta[2] or '0'), 0}
local size, limit = 0, tonumber(ARGV[5])
for i = 1, #changed, 2 do
  if size > limit then
    reply[3] = 1
    return reply
  end
  local records = redis.call('HGETALL', ARGV[1] .. changed[i])
  for j = 2, #records, 2 do size = size + #records[j] end
  reply[#reply + 1] = {changed[i], tonumber(changed[i + 1]), records, redis.call('HGETALL', ARGV[2] .. changed[i])}
end
if #changed == 2 * tonumber(ARGV[4]) then reply[3] = 1 end
return reply
