#!lua
-- REGISTER opens or renews leases and stores the records that are other ones, for as many instances as it is given. It
-- rings the bell once for all of them.
-- KEYS meta log, then for each instance: rec lease tomb sibling-rec
-- ARGV epoch known-rev free, then for each instance: service id record ttl-ms lease judged-rev sibling
-- A service of `free` instances or more, its sibling's included, is changed only if neither has changed since
-- judged-rev, at which the caller found that DNS can carry it. One that has not that many then cannot have them before
-- judged-rev either, as the caller reckons it: each revision adds one instance at most.
-- Returns OK and for each instance two elements: its revision and whether it had a live lease; or the revision to judge
-- it at and -1; or the error and 0 of one that was left alone because a key of it holds something else.
local call = redis.call
local meta = call('HMGET', KEYS[1], 'epoch', 'rev')
local rev = tonumber(meta[2])
if meta[1] ~= ARGV[1] or rev < tonumber(ARGV[2]) then return {'NOEPOCH'} end
local before, free, changed = rev, tonumber(ARGV[3]), {}

local function last_change(service)
  return changed[service] or tonumber(call('ZSCORE', KEYS[2], service) or '0')
end

-- Whatever may fail, by a key's type, comes before the first change of a record.
local function register(key, arg)
  local service, id, record = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2]
  local same = call('HGET', KEYS[key], id) == record
  local judged = tonumber(ARGV[arg + 5])
  if not same and rev > judged and call('HLEN', KEYS[key]) + call('HLEN', KEYS[key + 3]) >= free then
    local last = math.max(last_change(service), last_change(ARGV[arg + 6]))
    if last > judged then return last, -1 end
  end
  local lived = call('SET', KEYS[key + 1], ARGV[arg + 4], 'PX', ARGV[arg + 3], 'GET') and 1 or 0
  call('DEL', KEYS[key + 2])
  if not same then
    call('HSET', KEYS[key], id, record)
    rev = rev + 1
    changed[service] = rev
  end
  return rev, lived
end

local reply = {'OK'}
for i = 0, (#KEYS - 2) / 4 - 1 do
  local fine, revision, lived = pcall(register, 4 * i + 3, 7 * i + 4)
  if fine then
    reply[2 * i + 2], reply[2 * i + 3] = revision, lived
  else
    reply[2 * i + 2], reply[2 * i + 3] = {err = revision.err or tostring(revision)}, 0
  end
end
if rev > before then
  call('HINCRBY', KEYS[1], 'rev', rev - before)
  local log = {}
  for service, last in pairs(changed) do
    log[#log + 1] = last
    log[#log + 1] = service
  end
  call('ZADD', KEYS[2], unpack(log))
end
return reply
