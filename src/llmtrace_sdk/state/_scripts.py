"""What Redis does at once: a Lua script for each operation. They read first and write last, so that nothing is half
done when a write is refused. Times are microseconds of the server's own clock, sums are whole numbers below 2^53.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

# The one place that tells the time.
NOW: Final = """\
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
"""

_COMMON: Final = """\
local MOST = 9007199254740991
local SPARE_MS = 2000
local LONGEST_MS = 31622400000
local UNDERWAY, RESUMED, SETTLED = 1, 2, 0
local function whole(n) return string.format('%.0f', n) end
local function ms(us) return whole(math.min(math.ceil(math.max(us, 0) / 1000) + SPARE_MS, LONGEST_MS)) end
local function period_ms(ends_s, now, grace_us) return ms(math.max(ends_s * 1000000 - now, 0) + grace_us) end
-- A bucket: when it is full again, when it would be if no lowered burst had cut its debt, and the rule that said so.
local function bucket_of(key)
  local raw = redis.call('GET', key)
  if not raw then return end
  local full, whole_again, interval, burst = unpack(cmsgpack.unpack(raw))
  if whole_again > now then return math.max(full - now, 0), whole_again - now, interval, burst end
end
local function keep_bucket(key, missing, debt, interval, burst)
  redis.call('SET', key, cmsgpack.pack({now + missing, now + debt, interval, burst}), 'PX', ms(debt))
end
"""

# KEYS: blocks, then the record of the call, then its claims.
# ARGV: number of blocks, call, remembered us, grace us; for each claim its kind and three numbers.
# The answer is packed: a client reads one text sooner than a dozen numbers.
_ADMIT: Final = """\
local function told(...) return cmsgpack.pack({...}) end
local blocks = tonumber(ARGV[1])
for i = 1, blocks do
  local left = redis.call('PTTL', KEYS[i])
  if left ~= -2 then return told(2, i - 1, math.max(left, 0) * 1000) end
end
local first = blocks + 1
if #KEYS < first then return told(1, 0, 0, 0, {}, {}) end
local call, remembered, grace = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local raw = redis.call('GET', KEYS[first])
local record = raw and cmsgpack.unpack(raw)
if record and record[1] <= now then record = nil end
if record and record[2] ~= SETTLED then return told(1, 0, 0, 1, record[4], record[5]) end
local again = record and RESUMED or 0

local left, spent, left_after, spent_after, held, keep, rebase = {}, {}, {}, {}, {}, {}, {}
local refused, wait = -1, 0
local function refuse(i, us)
  if refused < 0 then refused = i - 1 end
  wait = math.max(wait, us)
end
local kinds = {}

-- What is missing in a bucket, cut and whole. One that was kept under another rule lacks as many tokens as before, but
-- no more than go into it; that is kept even if the call is refused, so that the debt is paid at the new rate.
local function bucket(key, interval, burst)
  local missing, debt, was_interval, was_burst = bucket_of(key)
  if not missing or (was_interval == interval and was_burst == burst) then return missing or 0, debt or 0 end
  local tokens = debt / was_interval
  missing, debt = math.min(tokens, math.max(burst, 1)) * interval, tokens * interval
  return missing, debt, function() keep_bucket(key, missing, debt, interval, burst) end
end

function kinds.rate(i, key, interval, burst)
  local room = interval * burst
  local missing, debt, changed = bucket(key, interval, burst)
  local after = missing
  if again == 0 then after = missing + interval end
  if after - room > 1 and again == 0 then refuse(i, after - room) end
  left[i] = math.max(math.floor((room - missing) / interval + 1e-6), 0)
  left_after[i] = math.max(math.floor((room - after) / interval + 1e-6), 0)
  spent[i], spent_after[i] = -1, -1
  if again == 0 then debt = debt + interval end
  keep[i] = function() keep_bucket(key, after, debt, interval, burst) end
  if changed then rebase[#rebase + 1] = changed end
end

function kinds.slots(i, key, limit, lease)
  local open = '(' .. whole(now)
  local count = redis.call('ZCOUNT', key, open, '+inf')
  local ends = redis.call('ZSCORE', key, call)
  local mine = ends and tonumber(ends) > now
  local after = mine and count or count + 1
  if after > limit and not mine then
    local over = limit > 0 and redis.call('ZRANGEBYSCORE', key, open, '+inf', 'WITHSCORES', 'LIMIT', count - limit, 1)
    refuse(i, over and over[2] and tonumber(over[2]) - now or lease)
  end
  left[i], left_after[i] = math.max(limit - count, 0), math.max(limit - after, 0)
  spent[i], spent_after[i] = -1, -1
  keep[i] = function()
    redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now))
    redis.call('ZADD', key, whole(now + lease), call)
    local ttl = tonumber(ms(lease))
    if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ms(lease)) end
  end
end

function kinds.budget(i, key, amount, limit, ends)
  local sum = tonumber(redis.call('GET', key) or 0)
  local after = math.min(sum + amount, MOST)
  left[i], left_after[i] = -1, -1
  if limit >= 0 then
    if sum >= limit or after > limit then refuse(i, math.max(ends * 1000000 - now, 0)) end
    left[i], left_after[i] = math.max(limit - sum, 0), math.max(limit - after, 0)
  end
  spent[i], spent_after[i] = sum, after
  held[#held + 1] = amount
  keep[i] = function()
    local total = math.min(tonumber(redis.call('GET', key) or 0) + amount, MOST)
    redis.call('SET', key, whole(total), 'PX', period_ms(ends, now, grace))
  end
end

for i = 1, #KEYS - first do
  local at = 4 + (i - 1) * 4
  kinds[ARGV[at + 1]](i, KEYS[first + i], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]))
end
if refused >= 0 then
  for i = 1, #rebase do rebase[i]() end
  return told(0, refused, math.ceil(wait), again, left, spent)
end
for i = 1, #keep do keep[i]() end
local stage = again == 0 and UNDERWAY or RESUMED
local record_now = cmsgpack.pack({now + remembered, stage, held, left_after, spent_after})
redis.call('SET', KEYS[first], record_now, 'PX', ms(remembered))
return told(1, 0, 0, again, left_after, spent_after)
"""

# KEYS: the record of the call, then its claims.
# ARGV: call, 1 where all is given back, remembered us, grace us; for each claim its kind and two numbers.
_SETTLE: Final = """\
local call, undo, remembered, grace = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3]), tonumber(ARGV[4])
local raw = redis.call('GET', KEYS[1])
local record = raw and cmsgpack.unpack(raw)
if record and record[2] ~= SETTLED and record[1] <= now then record = nil end
local undone = undo and (not record or record[2] == UNDERWAY)
local held = record and record[3] or {}
local amounts = {}
local kinds = {}

function kinds.budget(key, amount, ends)
  amounts[#amounts + 1] = amount
  local sum = redis.call('GET', key)
  -- where the sum was lost, so was what the call held of it
  local change = sum and amount - (held[#amounts] or 0) or amount
  if change ~= 0 then
    local total = math.max(math.min(tonumber(sum or 0) + change, MOST), 0)
    redis.call('SET', key, whole(total), 'PX', period_ms(ends, now, grace))
  end
end

function kinds.slots(key) redis.call('ZREM', key, call) end

function kinds.rate(key)
  if not (undone and record) then return end
  local missing, debt, interval, burst = bucket_of(key)
  if missing and debt > interval then
    keep_bucket(key, missing - interval, debt - interval, interval, burst)
  else
    redis.call('DEL', key)
  end
end

for i = 1, #KEYS - 1 do
  local at = 4 + (i - 1) * 3
  kinds[ARGV[at + 1]](KEYS[1 + i], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]))
end
if undone then
  redis.call('DEL', KEYS[1])
else
  local ends = record and record[1] or 0
  local ttl = ms(math.max(ends - now, remembered))
  redis.call('SET', KEYS[1], cmsgpack.pack({ends, SETTLED, amounts}), 'PX', ttl)
end
return 1
"""

# KEYS: the offences of a source, its block. ARGV: limit, ttl us.
_OFFEND: Final = """\
local limit, ttl = tonumber(ARGV[1]), tonumber(ARGV[2])
local oldest = redis.call('LINDEX', KEYS[1], -1)
while oldest and tonumber(oldest) <= now - ttl do
  redis.call('RPOP', KEYS[1])
  oldest = redis.call('LINDEX', KEYS[1], -1)
end
local count = redis.call('LPUSH', KEYS[1], whole(now))
if count > limit then
  redis.call('LTRIM', KEYS[1], 0, limit - 1)
  count = limit
end
redis.call('PEXPIRE', KEYS[1], ms(ttl))
if count < limit then return {count, 0} end
local block_ms = math.max(math.ceil(ttl / 1000), 1)
if redis.call('PTTL', KEYS[2]) < block_ms then redis.call('SET', KEYS[2], '1', 'PX', whole(block_ms)) end
return {count, 1}
"""

# KEYS: the topic. ARGV: value, ttl ms. A value is kept behind the 16 digits of its version.
_PUBLISH: Final = """\
local version = math.max((tonumber(redis.call('GETRANGE', KEYS[1], 0, 15)) or 0) + 1, now)
redis.call('SET', KEYS[1], string.format('%016.0f', version) .. ARGV[1], 'PX', ARGV[2])
return whole(version)
"""

VERSION_DIGITS: Final = 16


class Script(NamedTuple):
    """A script and the name by which the server knows it."""

    source: str
    sha: str


class Scripts(NamedTuple):
    """All of them."""

    admit: Script
    settle: Script
    offend: Script
    publish: Script


def scripts(now: str = NOW) -> Scripts:
    """The scripts, with the part that tells the time."""
    return Scripts(*(_script(now + _COMMON + body) for body in (_ADMIT, _SETTLE, _OFFEND, _PUBLISH)))


def _script(source: str) -> Script:
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
