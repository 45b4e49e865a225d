#!lua
-- JOIN gives a server that recovers a number of its own in this epoch, from which it numbers its private views.
-- KEYS meta
-- ARGV epoch
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return {'NOEPOCH'} end
return {'OK', redis.call('HINCRBY', KEYS[1], 'slots', 1)}
