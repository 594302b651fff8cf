#include "base/size.h"

#include <stdio.h>
#include <strings.h>

bool cairn_size_parse(struct cairn_bytes text, uint64_t *ret_bytes)
{
    static const char letters[] = "kmgt";
    uint64_t bytes = 0, unit = 1;
    size_t digits = 0, rest;
    const char *at;

    for (; digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9'; digits++)
        if (__builtin_mul_overflow(bytes, UINT64_C(10), &bytes) ||
            __builtin_add_overflow(bytes, (uint64_t)(text.data[digits] - '0'), &bytes))
            return false;
    rest = text.size - digits;
    at = (const char *)text.data + digits;
    if (digits == 0)
        return false;
    if (rest > 0 && !(rest == 1 && (*at == 'b' || *at == 'B'))) {
        const char *letter = memchr(letters, *at | 0x20, 4);
        bool binary =
            (rest == 2 && strncasecmp(at + 1, "b", 1) == 0) || (rest == 3 && strncasecmp(at + 1, "ib", 2) == 0);

        if (!letter || (rest != 1 && !binary))
            return false;
        for (const char *l = letters; l <= letter; l++)
            unit *= binary ? 1024 : 1000;
    }
    return !__builtin_mul_overflow(bytes, unit, ret_bytes) && *ret_bytes <= INT64_MAX;
}

const char *cairn_size_text(uint64_t bytes, char text[CAIRN_SIZE_TEXT_BYTES])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    unsigned unit = 0;

    for (; value >= 1024 && unit < 4; unit++)
        value /= 1024;
    snprintf(text, CAIRN_SIZE_TEXT_BYTES, value == (double)(uint64_t)value ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}
