#!lua name=retwis
-- ReTwis as Redis functions: the logic of functions/retwis/retwis.c, operation for operation.
--
-- Equal: the fields (profile, posts, timeline, following, followers, blocked), the tuple [author, milliseconds, text],
-- the order of the steps, the newest 100 entries kept, who is blocked being refused when they follow, the results.
-- Not equal: a Redis function runs alone on the whole server and is one transaction over all users that it touches; in
-- cairn every delivery is an invocation of its own.  Entries are packed with cmsgpack, which comes with Redis.
-- Names have a '_' where cairn has a '.': Redis allows nothing else.  The one key is the user's id, as in cairn; the
-- keys of other users are put together here, which Redis allows outside of its cluster mode.

local TIMELINE_MAX, READ_DEFAULT, READ_MAX = 100, 10, 1000

local function field(id, name)
    return name .. ':' .. id
end

local function now_ms()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function add_to_timeline(id, post)
    local timeline = field(id, 'timeline')
    local count = redis.call('RPUSH', timeline, post)
    if count > TIMELINE_MAX then
        redis.call('LTRIM', timeline, count - TIMELINE_MAX, -1)
    end
end

local function read_list(id, name, args)
    local n = tonumber(args[1] or READ_DEFAULT)
    if not n or n < 0 or n > READ_MAX then
        return redis.error_reply('bad_argument the number of entries must be from 0 to 1000')
    end
    if n == 0 then
        return {}
    end
    local entries = redis.call('LRANGE', field(id, name), -n, -1)
    local newest = {}
    for i = #entries, 1, -1 do
        newest[#newest + 1] = cmsgpack.unpack(entries[i])
    end
    return newest
end

local function create(keys, args)
    redis.call('SET', field(keys[1], 'profile'), args[1])
    return false
end

local function profile(keys)
    return redis.call('GET', field(keys[1], 'profile'))
end

local function follow(keys, args)
    local me, whom = keys[1], args[1]
    if me == whom then
        return redis.error_reply('bad_argument nobody follows themselves')
    end
    redis.call('HSET', field(me, 'following'), whom, '')
    if redis.call('HEXISTS', field(whom, 'blocked'), me) == 1 then
        return redis.error_reply('blocked this user does not want to be followed by you')
    end
    redis.call('HSET', field(whom, 'followers'), me, '')
    return 1
end

local function unfollow(keys, args)
    local followed = redis.call('HDEL', field(keys[1], 'following'), args[1])
    redis.call('HDEL', field(args[1], 'followers'), keys[1])
    return followed
end

local function block(keys, args)
    redis.call('HSET', field(keys[1], 'blocked'), args[1], '')
    redis.call('HDEL', field(keys[1], 'followers'), args[1])
    return false
end

local function post(keys, args)
    local me = keys[1]
    local entry = cmsgpack.pack({me, now_ms(), args[1]})
    local followers = redis.call('HKEYS', field(me, 'followers'))
    redis.call('RPUSH', field(me, 'posts'), entry)
    add_to_timeline(me, entry)
    for i = 1, #followers do
        add_to_timeline(followers[i], entry)
    end
    return #followers
end

local function timeline(keys, args)
    return read_list(keys[1], 'timeline', args)
end

local function posts(keys, args)
    return read_list(keys[1], 'posts', args)
end

redis.register_function('User_create', create)
redis.register_function('User_follow', follow)
redis.register_function('User_unfollow', unfollow)
redis.register_function('User_block', block)
redis.register_function('User_post', post)
redis.register_function{function_name = 'User_profile', callback = profile, flags = {'no-writes'}}
redis.register_function{function_name = 'User_timeline', callback = timeline, flags = {'no-writes'}}
redis.register_function{function_name = 'User_posts', callback = posts, flags = {'no-writes'}}
