#include "base/metered.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"

/* As enum cairn_measure. */
const struct cairn_metered_series cairn_metered_series[CAIRN_MEASURES] = {
    {"cairn_namespace_requests_total", "Requests to methods, and reads of the keeper.", 1, "requests"},
    {"cairn_namespace_invocations_total", "Invocations of the namespace's methods that have ended.", 1, "invocations"},
    {"cairn_namespace_cpu_seconds_total", "CPU time of these.", 1e-9, "cpu_ns"},
    {"cairn_namespace_gib_seconds_total", "Their CPU time, times the memory of their instances.", 1e-6 / (1 << 20),
     "memory_kib_us"},
    {"cairn_namespace_hops_total", "Of these, those that may write.", 1, "hops"},
    {"cairn_namespace_hop_bytes_total", "Bytes of their arguments.", 1, "hop_bytes"},
    {"cairn_namespace_reads_total", "Stored entries that were read, and reads of the keeper.", 1, "reads"},
    {"cairn_namespace_read_bytes_total", "Bytes of these.", 1, "read_bytes"},
    {"cairn_namespace_writes_total", "Entries that records of the log have put or removed.", 1, "writes"},
    {"cairn_namespace_written_bytes_total", "Bytes of these.", 1, "written_bytes"},
};

#define FIRST "cairn metered 1"

void cairn_metered_begin(struct cairn_buf *to, const struct cairn_metered_time *time)
{
    cairn_buf_printf(to, FIRST "\n%" PRIu64 " %" PRIu64 "\n", time->since_ms, time->served_ms);
}

void cairn_metered_add(struct cairn_buf *to, struct cairn_bytes name, const uint64_t values[CAIRN_MEASURES])
{
    cairn_buf_add(to, name.data, name.size);
    for (int i = 0; i < CAIRN_MEASURES; i++)
        cairn_buf_printf(to, " %" PRIu64, values[i]);
    cairn_buf_u8(to, '\n');
}

void cairn_metered_end(struct cairn_buf *to)
{
    cairn_buf_printf(to, "%08" PRIx32 "\n", cairn_crc32c(0, to->data, to->size));
}

/* The next line of the text, which moves behind it; false: none ends there. */
static bool next_line(struct cairn_bytes *text, struct cairn_bytes *ret_line)
{
    const uint8_t *end = text->size ? memchr(text->data, '\n', text->size) : NULL;

    if (!end)
        return false;
    *ret_line = cairn_bytes(text->data, (size_t)(end - text->data));
    *text = cairn_bytes(end + 1, text->size - ret_line->size - 1);
    return true;
}

/* "12" or " 12": of `before` the blank. */
static bool read_number(struct cairn_bytes *line, size_t before, uint64_t *ret)
{
    size_t at = before;

    if (line->size <= before || (before && line->data[0] != ' '))
        return false;
    for (*ret = 0; at < line->size && line->data[at] >= '0' && line->data[at] <= '9'; at++) {
        unsigned digit = line->data[at] - '0';

        if (*ret > (UINT64_MAX - digit) / 10)
            return false;
        *ret = *ret * 10 + digit;
    }
    if (at == before)
        return false;
    *line = cairn_bytes(line->data + at, line->size - at);
    return true;
}

static bool read_name(struct cairn_bytes line, struct cairn_bytes *ret_name, uint64_t values[CAIRN_MEASURES])
{
    const uint8_t *blank = line.size ? memchr(line.data, ' ', line.size) : NULL;

    if (!blank || blank == line.data || blank - line.data > CAIRN_METERED_NAME_BYTES_MAX)
        return false;
    *ret_name = cairn_bytes(line.data, (size_t)(blank - line.data));
    line = cairn_bytes(blank, line.size - ret_name->size);
    for (int i = 0; i < CAIRN_MEASURES; i++)
        if (!read_number(&line, 1, &values[i]))
            return false;
    return line.size == 0;
}

/* The last line is the checksum of what is before it; *text becomes that. */
static bool check_sum(struct cairn_bytes *text)
{
    enum { LAST = 9 };
    char sum[LAST + 1];

    if (text->size < LAST)
        return false;
    text->size -= LAST;
    snprintf(sum, sizeof sum, "%08" PRIx32 "\n", cairn_crc32c(0, text->data, text->size));
    return memcmp(sum, text->data + text->size, LAST) == 0;
}

enum cairn_code cairn_metered_read(struct cairn_bytes text, struct cairn_metered_time *ret_time,
                                   void (*each)(void *context, struct cairn_bytes name,
                                                const uint64_t values[CAIRN_MEASURES]),
                                   void *context, struct cairn_err *err)
{
    struct cairn_metered_time time = {0};
    struct cairn_bytes line, name, rest;
    uint64_t values[CAIRN_MEASURES];
    bool good = check_sum(&text);

    if (!good)
        return cairn_fail(err, CAIRN_ECORRUPT, "its checksum is another");
    if (!next_line(&text, &line) || !cairn_bytes_equal(line, cairn_str(FIRST)))
        return cairn_fail(err, CAIRN_ECORRUPT, "it does not begin with '" FIRST "'");
    good = next_line(&text, &line) && read_number(&line, 0, &time.since_ms) && read_number(&line, 1, &time.served_ms) &&
           line.size == 0;
    for (rest = text; good && rest.size;)
        good = next_line(&rest, &line) && read_name(line, &name, values);
    if (!good)
        return cairn_fail(err, CAIRN_ECORRUPT, "one of its lines is not of its form");
    *ret_time = time;
    while (next_line(&text, &line) && read_name(line, &name, values))
        each(context, name, values);
    return CAIRN_OK;
}
