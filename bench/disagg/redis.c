/* redis.c - Redis as the storage: a value is a string, a list a list, a map a hash, under the key NAME:FIELD.
 *
 * Only with batching: Redis has no entry number n of a hash.  A map's range is the whole hash, read at once; a
 * segment's writes are one transaction (MULTI .. EXEC) in one pipelined write, answered once it is on stable storage
 * (appendfsync always). */
#include <stdio.h>
#include <stdlib.h>

#include "disagg.h"

static void word(struct cairn_buf *to, const void *data, size_t size)
{
    cairn_buf_printf(to, "$%zu\r\n", size);
    cairn_buf_add(to, data, size);
    cairn_buf_add(to, "\r\n", 2);
}

static void number_word(struct cairn_buf *to, long long number)
{
    char digits[24];

    word(to, digits, (size_t)snprintf(digits, sizeof digits, "%lld", number));
}

static void head(struct cairn_buf *to, int words, const char *command, struct cairn_bytes name, uint32_t field)
{
    char key[CAIRN_ID_BYTES_MAX + CAIRN_NAME_BYTES_MAX + 16];
    int size = snprintf(key, sizeof key, "%.*s:%u", (int)name.size, (const char *)name.data, field);

    cairn_buf_printf(to, "*%d\r\n", words);
    word(to, command, strlen(command));
    word(to, key, (size_t)size);
}

void redis_add(struct cairn_buf *to, struct cairn_bytes name, enum field_op op, uint32_t field, uint64_t number,
               struct cairn_bytes key, struct cairn_bytes value)
{
    char digits[24];

    switch (op) {
    case FIELD_VALUE_GET:
        head(to, 2, "GET", name, field);
        break;
    case FIELD_VALUE_SET:
        head(to, 3, "SET", name, field);
        word(to, value.data, value.size);
        break;
    case FIELD_VALUE_CLEAR:
        head(to, 2, "DEL", name, field);
        break;
    case FIELD_LIST_COUNT:
        head(to, 2, "LLEN", name, field);
        break;
    case FIELD_LIST_PUSH:
        head(to, 3, "RPUSH", name, field);
        word(to, value.data, value.size);
        break;
    case FIELD_LIST_RANGE:
        snprintf(digits, sizeof digits, "%.*s", (int)key.size, (const char *)key.data);
        head(to, 4, "LRANGE", name, field);
        number_word(to, (long long)number);
        number_word(to, (long long)number + atoll(digits) - 1);
        break;
    case FIELD_LIST_DROP:
        head(to, 4, "LTRIM", name, field);
        number_word(to, (long long)number);
        number_word(to, -1);
        break;
    case FIELD_MAP_COUNT:
        head(to, 2, "HLEN", name, field);
        break;
    case FIELD_MAP_GET:
        head(to, 3, "HGET", name, field);
        word(to, key.data, key.size);
        break;
    case FIELD_MAP_SET:
        head(to, 4, "HSET", name, field);
        word(to, key.data, key.size);
        word(to, value.data, value.size);
        break;
    case FIELD_MAP_REMOVE:
        head(to, 3, "HDEL", name, field);
        word(to, key.data, key.size);
        break;
    case FIELD_MAP_RANGE:
        if (number != 0)
            die("Redis as the storage", "maps of more than one range are not read here");
        head(to, 2, "HGETALL", name, field);
        break;
    default:
        die("Redis as the storage", "this operation on a list is not used by ReTwis and not written");
    }
}

static size_t line_size(const uint8_t *at, size_t size)
{
    const uint8_t *nl = size ? memchr(at, '\n', size) : NULL;

    return nl ? (size_t)(nl - at) + 1 : 0;
}

size_t redis_reply_size(const uint8_t *at, size_t size)
{
    size_t end = line_size(at, size);
    long long n;

    if (!end)
        return 0;
    if (at[0] == '-')
        die("Redis as the storage", (const char *)at);
    if (at[0] != '$' && at[0] != '*')
        return end;
    n = strtoll((const char *)at + 1, NULL, 10);
    if (at[0] == '$')
        end += n < 0 ? 0 : (size_t)n + 2;
    for (long long i = 0; at[0] == '*' && i < n; i++) {
        size_t member = redis_reply_size(at + end, size - end);

        if (!member)
            return 0;
        end += member;
    }
    return end <= size ? end : 0;
}

static void add_string(struct cairn_buf *to, const uint8_t *at)
{
    long long n = strtoll((const char *)at + 1, NULL, 10);
    size_t start = line_size(at, 32);

    cairn_buf_varint(to, (uint64_t)n);
    cairn_buf_add(to, at + start, (size_t)n);
}

struct field_reply redis_decode(struct cairn_buf *scratch, enum field_op op, struct cairn_bytes reply)
{
    struct field_reply r = {0};
    long long n = strtoll((const char *)reply.data + 1, NULL, 10);
    size_t from = scratch->size, at = line_size(reply.data, reply.size);

    cairn_buf_reserve(scratch, reply.size + 64);
    if (reply.data[0] == ':') {
        r.number = (uint64_t)n;
    } else if (reply.data[0] == '$' && n >= 0) {
        r.number = r.count = 1;
        add_string(scratch, reply.data);
    } else if (reply.data[0] == '*') {
        r.count = (uint64_t)n;
        r.number = op == FIELD_MAP_RANGE ? r.count / 2 : r.count;
        for (long long i = 0; i < n; i++) {
            add_string(scratch, reply.data + at);
            at += redis_reply_size(reply.data + at, reply.size - at);
        }
    }
    r.strings = (struct cairn_reader){scratch->data + from, scratch->data + scratch->size, false};
    return r;
}
