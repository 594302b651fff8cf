#include "base/traceparent.h"

static bool read_hex(const uint8_t *from, size_t digits, bool upper, uint64_t *ret)
{
    uint64_t n = 0;

    for (size_t i = 0; i < digits; i++) {
        uint8_t c = from[i];

        if (c >= '0' && c <= '9')
            c = (uint8_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            c = (uint8_t)(c - 'a' + 10);
        else if (upper && c >= 'A' && c <= 'F')
            c = (uint8_t)(c - 'A' + 10);
        else
            return false;
        n = n << 4 | c;
    }
    *ret = n;
    return true;
}

static void write_hex(uint64_t n, size_t digits, char *to)
{
    for (size_t i = digits; i-- > 0; n >>= 4)
        to[i] = "0123456789abcdef"[n & 15];
}

/* version "-" trace-id "-" parent-id "-" trace-flags */
enum { AT_VERSION = 0, AT_TRACE = 3, AT_PARENT = 36, AT_FLAGS = 53, FLAG_SAMPLED = 1, VERSION_INVALID = 0xff };

bool cairn_traceparent_read(struct cairn_bytes text, struct cairn_traceparent *ret_parent)
{
    const uint8_t *at = text.data;
    struct cairn_traceparent parent;
    uint64_t version, flags;

    if (text.size < CAIRN_TRACEPARENT_BYTES || at[AT_TRACE - 1] != '-' || at[AT_PARENT - 1] != '-' ||
        at[AT_FLAGS - 1] != '-' || !read_hex(at + AT_VERSION, 2, false, &version) || version == VERSION_INVALID)
        return false;
    if (text.size > CAIRN_TRACEPARENT_BYTES && (version == 0 || at[CAIRN_TRACEPARENT_BYTES] != '-'))
        return false;
    if (!read_hex(at + AT_TRACE, 16, false, &parent.job.high) ||
        !read_hex(at + AT_TRACE + 16, 16, false, &parent.job.low) ||
        !read_hex(at + AT_PARENT, 16, false, &parent.span) || !read_hex(at + AT_FLAGS, 2, false, &flags) ||
        !cairn_job_id_is(parent.job) || parent.span == 0)
        return false;
    parent.sampled = flags & FLAG_SAMPLED;
    *ret_parent = parent;
    return true;
}

void cairn_traceparent_write(const struct cairn_traceparent *parent, char to[CAIRN_TRACEPARENT_BYTES + 1])
{
    memcpy(to, "00-", 3);
    cairn_job_id_write(parent->job, to + AT_TRACE);
    to[AT_PARENT - 1] = '-';
    cairn_span_id_write(parent->span, to + AT_PARENT);
    memcpy(to + AT_FLAGS - 1, parent->sampled ? "-01" : "-00", 4);
}

struct cairn_job_id cairn_job_id_make(struct cairn_random *random)
{
    struct cairn_job_id id;

    do {
        id.high = cairn_random_u64(random);
        id.low = cairn_random_u64(random);
    } while (!cairn_job_id_is(id));
    return id;
}

bool cairn_job_id_read(struct cairn_bytes text, struct cairn_job_id *ret_id)
{
    struct cairn_job_id id;

    if (text.size != CAIRN_JOB_ID_DIGITS || !read_hex(text.data, 16, true, &id.high) ||
        !read_hex(text.data + 16, 16, true, &id.low) || !cairn_job_id_is(id))
        return false;
    *ret_id = id;
    return true;
}

void cairn_job_id_write(struct cairn_job_id id, char to[CAIRN_JOB_ID_DIGITS + 1])
{
    write_hex(id.high, 16, to);
    write_hex(id.low, 16, to + 16);
    to[CAIRN_JOB_ID_DIGITS] = 0;
}

void cairn_span_id_write(uint64_t id, char to[CAIRN_SPAN_ID_DIGITS + 1])
{
    write_hex(id, CAIRN_SPAN_ID_DIGITS, to);
    to[CAIRN_SPAN_ID_DIGITS] = 0;
}

void cairn_job_id_put(struct cairn_job_id id, uint8_t to[CAIRN_JOB_ID_BYTES])
{
    cairn_put_be64(to, id.high);
    cairn_put_be64(to + 8, id.low);
}

struct cairn_job_id cairn_job_id_get(const uint8_t from[CAIRN_JOB_ID_BYTES])
{
    return (struct cairn_job_id){cairn_get_be64(from), cairn_get_be64(from + 8)};
}

void cairn_traceparent_add(struct cairn_buf *to, const struct cairn_traceparent *parent)
{
    uint8_t bytes[CAIRN_JOB_ID_BYTES + 8];

    cairn_job_id_put(parent->job, bytes);
    cairn_put_be64(bytes + CAIRN_JOB_ID_BYTES, parent->span);
    cairn_buf_add(to, bytes, sizeof bytes);
}

struct cairn_traceparent cairn_traceparent_take(struct cairn_reader *r)
{
    struct cairn_bytes bytes = cairn_read_bytes(r, CAIRN_JOB_ID_BYTES + 8);
    struct cairn_traceparent parent = {0};

    if (r->bad)
        return parent;
    parent.job = cairn_job_id_get(bytes.data);
    parent.span = cairn_get_be64(bytes.data + CAIRN_JOB_ID_BYTES);
    parent.sampled = parent.span != 0;
    return parent;
}
