#!lua flags=allow-oom
-- SETTLE tells that a slot has moved to another node of a Cluster with all its keys: the history goes on there.
-- KEYS meta
-- ARGV epoch known-rev old-home new-home
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'rev', 'home')
if meta[1] ~= ARGV[1] or tonumber(meta[2]) < tonumber(ARGV[2]) then return {'NOEPOCH'} end
if meta[3] == ARGV[3] then redis.call('HSET', KEYS[1], 'home', ARGV[4]) end
return {'OK'}
