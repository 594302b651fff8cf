#!lua name=retwis
-- ReTwis as a Redis expert writes it: one string `author|milliseconds|text` per entry, newest first, so that a delivery
-- is LPUSH and LTRIM, a timeline is a plain LRANGE, and followers are a set.
--
-- Equal to bench/guests/retwis_strings.c: the entries, the newest 100 of a timeline, the author's own posts and
-- timeline, both directions of a follow, the results.  What else differs is said in retwis.lua.

local TIMELINE_MAX, READ_DEFAULT, READ_MAX = 100, 10, 1000

local function deliver(id, entry)
    local key = 'timeline:' .. id
    redis.call('LPUSH', key, entry)
    redis.call('LTRIM', key, 0, TIMELINE_MAX - 1)
end

local function post(keys, args)
    local me, time = keys[1], redis.call('TIME')
    local entry = string.format('%s|%s%03d|%s', me, time[1], math.floor(time[2] / 1000), args[1])
    local followers = redis.call('SMEMBERS', 'followers:' .. me)
    redis.call('RPUSH', 'posts:' .. me, entry)
    deliver(me, entry)
    for i = 1, #followers do
        deliver(followers[i], entry)
    end
    return #followers
end

local function follow(keys, args)
    redis.call('SADD', 'following:' .. keys[1], args[1])
    return redis.call('SADD', 'followers:' .. args[1], keys[1])
end

local function timeline(keys, args)
    local n = tonumber(args[1] or READ_DEFAULT)
    if not n or n < 0 or n > READ_MAX then
        return redis.error_reply('bad_argument the number of entries must be from 0 to 1000')
    end
    return n == 0 and {} or redis.call('LRANGE', 'timeline:' .. keys[1], 0, n - 1)
end

redis.register_function('User_post', post)
redis.register_function('User_follow', follow)
redis.register_function{function_name = 'User_timeline', callback = timeline, flags = {'no-writes'}}
