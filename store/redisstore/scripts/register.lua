#!lua
-- REGISTER opens or renews leases and stores the records that are other ones, for as many instances as it is given. It
-- rings the bell once for all of them.
-- KEYS meta log, then for each instance: rec lease tomb
-- ARGV epoch known-rev free, then for each instance: service id record ttl-ms lease judged-rev
-- A service of `free` instances or more, its sibling's included, is changed only if neither has changed since
-- judged-rev, at which the caller found that DNS can carry it. One that has not that many then cannot have them before
-- judged-rev either, as the caller reckons it: each revision adds one instance at most. The sibling's rec, seldom looked
-- at, is not declared: it lies in the slot of those that are.
-- Returns OK and for each instance two elements: its revision and whether it had a live lease; or the revision to judge
-- it at and -1; or the error and 0 of one that has no new record or lease because a key of it holds something else.
-- What a registration costs is mostly its arguments and calls: both are as few as they can be.
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local meta = call('HMGET', KEYS[1], 'epoch', 'rev')
local rev = tonumber(meta[2])
if meta[1] ~= ARGV[1] or rev < tonumber(ARGV[2]) then return {'NOEPOCH'} end
local before, free, changed, sizes, tombs = rev, tonumber(ARGV[3]), {}, {}, {}
local opened -- the lease that a registration has just opened, until it has its record

local function last_change(service)
  return changed[service] or tonumber(call('ZSCORE', KEYS[2], service) or '0')
end

-- sibling names the service, or its rec, of the same name over the other protocol.
local function sibling(name)
  return string.sub(name, 1, -5) .. (string.sub(name, -4) == '_tcp' and '_udp' or '_tcp')
end

-- size counts the instances of a service and its sibling: by two calls for all that this run adds to the service.
local function size(rec)
  local other = sibling(rec)
  sizes[rec], sizes[other] = sizes[rec] or call('HLEN', rec), sizes[other] or call('HLEN', other)
  return sizes[rec] + sizes[other]
end

-- store reports whether the record is another one than was stored. Where there was no lease there is mostly none.
local function store(rec, id, record, lived)
  local added = not lived and call('HSETNX', rec, id, record) or 0
  if added == 0 then
    if call('HGET', rec, id) == record then return false end
    added = call('HSET', rec, id, record)
  end
  if sizes[rec] then sizes[rec] = sizes[rec] + added end
  return true
end

local function register(key, arg)
  local rec, service, id, record = KEYS[key], ARGV[arg], ARGV[arg + 1], ARGV[arg + 2]
  local judged = tonumber(ARGV[arg + 5])
  if rev > judged and size(rec) >= free and call('HGET', rec, id) ~= record then
    local last = math.max(last_change(service), last_change(sibling(service)))
    if last > judged then return last, -1 end
  end
  local lived = call('SET', KEYS[key + 1], ARGV[arg + 4], 'PX', ARGV[arg + 3], 'GET')
  opened = not lived and KEYS[key + 1]
  if store(rec, id, record, lived) then
    rev = rev + 1
    changed[service] = rev
  end
  tombs[#tombs + 1] = KEYS[key + 2]
  return rev, lived and 1 or 0
end

local reply = {'OK'}
for i = 0, (#KEYS - 2) / 3 - 1 do
  opened = false
  local fine, revision, lived = pcall(register, 3 * i + 3, 6 * i + 4)
  if fine then
    reply[2 * i + 2], reply[2 * i + 3] = revision, lived
  else
    if opened then call('DEL', opened) end
    reply[2 * i + 2], reply[2 * i + 3] = {err = revision.err or tostring(revision)}, 0
  end
end
if #tombs > 0 then call('DEL', unpack(tombs)) end
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
