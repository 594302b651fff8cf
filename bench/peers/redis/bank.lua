#!lua name=bank
-- Accounts as Redis functions: deposit and move of functions/bank/bank.c, operation for operation.
--
-- Not equal: a Redis function runs alone on the whole server; what it has written before an error stays, so that all is
-- looked at before anything is written.  The one key is the account's id, as in cairn.

local BALANCE_MAX = 4611686018427387903

local function amount_of(arg)
    local amount = tonumber(arg)
    if not amount or amount <= 0 or amount > BALANCE_MAX then
        return nil, redis.error_reply('bad_amount an amount must be above zero and below 2^62')
    end
    return amount
end

local function balance_of(id)
    return tonumber(redis.call('GET', 'balance:' .. id) or 0)
end

local function deposit(keys, args)
    local amount, err = amount_of(args[1])
    if err then
        return err
    end
    local balance = balance_of(keys[1])
    if amount > BALANCE_MAX - balance then
        return redis.error_reply('too_much no account holds that much')
    end
    return redis.call('INCRBY', 'balance:' .. keys[1], amount)
end

local function move(keys, args)
    local amount, err = amount_of(args[2])
    if err then
        return err
    end
    local balance = balance_of(keys[1])
    if amount > balance then
        return redis.error_reply('insufficient the balance is ' .. balance)
    end
    if amount > BALANCE_MAX - balance_of(args[1]) then
        return redis.error_reply('refused the other account refused: too_much')
    end
    redis.call('INCRBY', 'balance:' .. args[1], amount)
    return redis.call('DECRBY', 'balance:' .. keys[1], amount)
end

redis.register_function('Account_deposit', deposit)
redis.register_function('Account_move', move)
