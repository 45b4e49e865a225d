#!lua
-- INIT begins a new epoch: a promise that the data's history is known from here on. It is for whoever may write and
-- finds that there is none, or that the data may have been lost, rolled back or moved since the last one.
-- KEYS meta
-- ARGV old-epoch new-epoch known-rev home retention-ms
-- Returns OK whether this caller was first or another: all are to look again.
local old = redis.call('HMGET', KEYS[1], 'epoch', 'home', 'rev')
if (old[1] or '') ~= ARGV[1] then return {'OK'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rev = math.max(tonumber(old[3] or '0'), tonumber(ARGV[3]), tonumber(time[1])) + 1048576
local text = string.format('%.0f', rev)
redis.call('HSET', KEYS[1], 'format', '1', 'epoch', ARGV[2], 'home', ARGV[4], 'rev', text, 'base', text,
  'hold_since', now, 'restored', '', 'restoring', '0', 'slots', '0', 'retention', ARGV[5])
return {'OK'}
