#include "fn/limits.h"

#include <inttypes.h>
#include <stdio.h>

enum { MS_MAX = 24 * 3600 * 1000, KIB_MAX = 1 << 30, COUNT_MAX = 100000000 };

/* `most` as it is declared. */
static const struct {
    const char *name;
    enum cairn_limit_unit unit;
    uint32_t most;
} limits[CAIRN_METHOD_LIMITS] = {
    [CAIRN_LIMIT_CPU] = {"limit-cpu", CAIRN_UNIT_MS, MS_MAX},
    [CAIRN_LIMIT_MEMORY] = {"limit-memory", CAIRN_UNIT_BYTES, KIB_MAX},
    [CAIRN_LIMIT_CALLS] = {"limit-calls", CAIRN_UNIT_COUNT, COUNT_MAX},
    [CAIRN_LIMIT_RESULT] = {"limit-result", CAIRN_UNIT_BYTES, KIB_MAX},
    [CAIRN_LIMIT_WRITE_SET] = {"limit-write-set", CAIRN_UNIT_BYTES, KIB_MAX},
    [CAIRN_LIMIT_JOURNAL] = {"limit-journal", CAIRN_UNIT_BYTES, KIB_MAX},
    [CAIRN_LIMIT_TRANSACTION] = {"limit-transaction", CAIRN_UNIT_BYTES, KIB_MAX},
    [CAIRN_LIMIT_TRANSACTION_OBJECTS] = {"limit-transaction-objects", CAIRN_UNIT_COUNT, COUNT_MAX},
    [CAIRN_LIMIT_TRANSACTION_TIME] = {"limit-transaction-time", CAIRN_UNIT_MS, MS_MAX},
};

const char *cairn_method_limit_name(enum cairn_method_limit limit)
{
    return limits[limit].name;
}

enum cairn_limit_unit cairn_method_limit_unit(enum cairn_method_limit limit)
{
    return limits[limit].unit;
}

static unsigned shift_of(enum cairn_method_limit limit)
{
    return limits[limit].unit == CAIRN_UNIT_BYTES ? 10 : 0;
}

uint64_t cairn_method_limit_most(enum cairn_method_limit limit)
{
    return (uint64_t)limits[limit].most << shift_of(limit);
}

const char *cairn_method_limit_text(enum cairn_method_limit limit, uint64_t value, char to[CAIRN_LIMIT_TEXT_BYTES])
{
    bool kib = limits[limit].unit == CAIRN_UNIT_BYTES && (value & 1023) == 0;

    snprintf(to, CAIRN_LIMIT_TEXT_BYTES, "%" PRIu64 "%s", kib ? value >> 10 : value,
             kib                                      ? " KiB"
             : limits[limit].unit == CAIRN_UNIT_BYTES ? " bytes"
             : limits[limit].unit == CAIRN_UNIT_MS    ? " ms"
                                                      : "");
    return to;
}

bool cairn_method_limit_read(struct cairn_bytes word, uint64_t of[CAIRN_METHOD_LIMITS])
{
    for (int i = 0; i < CAIRN_METHOD_LIMITS; i++) {
        size_t at = strlen(limits[i].name);
        uint64_t number = 0;

        if (word.size <= at || memcmp(word.data, limits[i].name, at) != 0 || word.data[at++] != '=')
            continue;
        if (of[i] || word.size == at || word.size - at > 10 || word.data[at] == '0')
            return false;
        for (; at < word.size; at++) {
            if (word.data[at] < '0' || word.data[at] > '9')
                return false;
            number = number * 10 + (uint64_t)(word.data[at] - '0');
        }
        of[i] = number << shift_of((enum cairn_method_limit)i);
        return number <= limits[i].most;
    }
    return false;
}
