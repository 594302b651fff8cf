/* INCR and its relatives: values that are numbers, kept as their text. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/resp_keys.h"

/* Of a long double that is written or read. */
enum { FLOAT_BYTES = 5 * 1024 };

static void add(struct cairn_resp_call *call, int64_t more)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    struct cairn_cache_entry *entry = cairn_cache_find(call->cache, &key, call->now_ms, CAIRN_CACHE_WRITE);
    int64_t value = 0;
    char text[24];

    if (entry && !cairn_resp_number(cairn_cache_value(entry), &value)) {
        cairn_resp_call_error(call, "ERR value is not an integer or out of range");
        return;
    }
    if (__builtin_add_overflow(value, more, &value)) {
        cairn_resp_call_error(call, "ERR increment or decrement would overflow");
        return;
    }
    snprintf(text, sizeof text, "%" PRId64, value);
    cairn_cache_put(call->cache, &key, cairn_str(text), entry ? cairn_cache_expiry(entry) : 0, CAIRN_CACHE_PLAIN,
                    call->now_ms);
    cairn_resp_call_int(call, value);
}

void cairn_resp_call_incr(struct cairn_resp_call *call)
{
    add(call, 1);
}

void cairn_resp_call_decr(struct cairn_resp_call *call)
{
    add(call, -1);
}

void cairn_resp_call_incrby(struct cairn_resp_call *call)
{
    int64_t more;

    if (cairn_resp_call_number(call, 2, &more))
        add(call, more);
}

void cairn_resp_call_decrby(struct cairn_resp_call *call)
{
    int64_t less;

    if (!cairn_resp_call_number(call, 2, &less))
        return;
    if (less == LLONG_MIN)
        cairn_resp_call_error(call, "ERR decrement would overflow");
    else
        add(call, -less);
}

static bool read_float(struct cairn_bytes word, long double *ret_value)
{
    char text[FLOAT_BYTES], *end;
    long double value;

    if (word.size == 0 || word.size >= sizeof text)
        return false;
    memcpy(text, word.data, word.size);
    text[word.size] = 0;
    errno = 0;
    value = strtold(text, &end);
    if (isspace((unsigned char)text[0]) || end != text + word.size || isnan(value) ||
        (errno == ERANGE && (isinf(value) || value == 0)) || errno == EINVAL)
        return false;
    *ret_value = value;
    return true;
}

/* 17 digits behind the point, without zeros at the end. */
static void write_float(char text[FLOAT_BYTES], long double value)
{
    size_t size = (size_t)snprintf(text, FLOAT_BYTES, "%.17Lf", value);

    if (strchr(text, '.')) {
        while (text[size - 1] == '0')
            size--;
        if (text[size - 1] == '.')
            size--;
        text[size] = 0;
    }
    if (strcmp(text, "-0") == 0)
        strcpy(text, "0");
}

void cairn_resp_call_incrbyfloat(struct cairn_resp_call *call)
{
    struct cairn_cache_key key = cairn_resp_call_key(call, 1);
    struct cairn_cache_entry *entry = cairn_cache_find(call->cache, &key, call->now_ms, CAIRN_CACHE_WRITE);
    long double value = 0, more;
    char text[FLOAT_BYTES];

    if ((entry && !read_float(cairn_cache_value(entry), &value)) || !read_float(cairn_resp_call_word(call, 2), &more)) {
        cairn_resp_call_error(call, "ERR value is not a valid float");
        return;
    }
    value += more;
    if (isnan(value) || isinf(value)) {
        cairn_resp_call_error(call, "ERR increment would produce NaN or Infinity");
        return;
    }
    write_float(text, value);
    cairn_cache_put(call->cache, &key, cairn_str(text), entry ? cairn_cache_expiry(entry) : 0, CAIRN_CACHE_TEXT,
                    call->now_ms);
    cairn_resp_text(call->to, text);
}
