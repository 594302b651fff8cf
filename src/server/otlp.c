#include "server/otlp.h"

#include <inttypes.h>

#include "object/span.h"
#include "proto/json.h"
#include "server/version.h"

/* --- JSON ------------------------------------------------------------------------------------------- */

static void add_attribute(struct cairn_buf *to, const char *key)
{
    if (to->data[to->size - 1] == '}')
        cairn_buf_u8(to, ',');
    cairn_buf_printf(to, "{\"key\":\"%s\",\"value\":", key);
}

static void add_text(struct cairn_buf *to, const char *key, struct cairn_bytes text)
{
    add_attribute(to, key);
    cairn_buf_str(to, "{\"stringValue\":");
    cairn_json_text(to, text);
    cairn_buf_str(to, "}}");
}

/* A 64-bit number is a string in this mapping. */
static void add_number(struct cairn_buf *to, const char *key, int64_t number)
{
    add_attribute(to, key);
    cairn_buf_printf(to, "{\"intValue\":\"%" PRId64 "\"}}", number);
}

/* --- spans ------------------------------------------------------------------------------------------ */

enum { KIND_INTERNAL = 1, KIND_SERVER = 2, KIND_CONSUMER = 5, STATUS_ERROR = 2 };

static int kind_of(uint64_t kind)
{
    return kind == SPAN_REQUEST ? KIND_SERVER : kind == SPAN_MESSAGE ? KIND_CONSUMER : KIND_INTERNAL;
}

/* Begins a span; the caller ends it. */
static void begin_span(struct cairn_buf *to, const char *job, uint64_t span, uint64_t parent, int kind,
                       int64_t begin_ns, int64_t end_ns)
{
    char id[CAIRN_SPAN_ID_DIGITS + 1];

    cairn_span_id_write(span, id);
    cairn_buf_printf(to, "{\"traceId\":\"%s\",\"spanId\":\"%s\",", job, id);
    if (parent) {
        cairn_span_id_write(parent, id);
        cairn_buf_printf(to, "\"parentSpanId\":\"%s\",", id);
    }
    cairn_buf_printf(to, "\"kind\":%d,\"startTimeUnixNano\":\"%" PRId64 "\",\"endTimeUnixNano\":\"%" PRId64 "\"", kind,
                     begin_ns, end_ns);
}

/* The id of a span's phase: as good as random, and the same whenever it is made. */
static uint64_t phase_id(uint64_t span, uint64_t index)
{
    struct cairn_random random;
    uint64_t id;

    cairn_random_init(&random, span + index);
    id = cairn_random_u64(&random);
    return id ? id : 1;
}

static void add_phases(struct cairn_buf *to, struct cairn_reader *r, const char *job, uint64_t span, int64_t begin_ns,
                       int64_t end_ns)
{
    uint64_t count = cairn_value_read(r).count / 2, phase = 0;
    int64_t from_ns = 0;

    for (uint64_t i = 0; i <= count && !r->bad && count; i++) {
        uint64_t next = i < count ? (uint64_t)cairn_value_read(r).integer : 0;
        int64_t until_ns = i < count ? begin_ns + cairn_value_read(r).integer : end_ns;

        if (i && until_ns > from_ns) {
            cairn_buf_u8(to, ',');
            begin_span(to, job, phase_id(span, i), span, KIND_INTERNAL, from_ns, until_ns);
            cairn_buf_printf(to, ",\"name\":\"%s\"}", span_phase_name(phase));
        }
        phase = next;
        from_ns = until_ns;
    }
}

static void add_span(struct cairn_buf *to, struct cairn_bytes encoded)
{
    static const char *const costs[] = {"cairn.cpu_ns",     "cairn.memory_bytes",  "cairn.operations",
                                        "cairn.read_bytes", "cairn.written_bytes", "cairn.calls"};
    struct cairn_reader r = cairn_reader(encoded), phases;
    struct cairn_bytes id, type, object, method, error, text;
    char job[CAIRN_JOB_ID_DIGITS + 1];
    uint64_t span, parent, kind, count;
    int64_t begin_ns, end_ns, dropped;
    struct cairn_buf name = {0};

    cairn_value_read(&r);
    id = cairn_value_read(&r).bytes;
    cairn_job_id_write(id.size == CAIRN_JOB_ID_BYTES ? cairn_job_id_get(id.data) : (struct cairn_job_id){0}, job);
    span = (uint64_t)cairn_value_read(&r).integer;
    parent = (uint64_t)cairn_value_read(&r).integer;
    kind = (uint64_t)cairn_value_read(&r).integer;
    type = cairn_value_read(&r).bytes;
    object = cairn_value_read(&r).bytes;
    method = cairn_value_read(&r).bytes;
    begin_ns = cairn_value_read(&r).integer;
    end_ns = cairn_value_read(&r).integer;
    error = cairn_value_read(&r).bytes;
    text = cairn_value_read(&r).bytes;
    begin_span(to, job, span, parent, kind_of(kind), begin_ns, end_ns);
    cairn_buf_str(to, ",\"name\":");
    cairn_buf_add(&name, type.data, type.size);
    cairn_buf_u8(&name, '.');
    cairn_buf_add(&name, method.data, method.size);
    cairn_json_text(to, cairn_buf_bytes(&name));
    cairn_buf_done(&name);
    cairn_buf_str(to, ",\"attributes\":[");
    add_text(to, "rpc.system", cairn_str("cairn"));
    add_text(to, "rpc.service", type);
    add_text(to, "rpc.method", method);
    add_text(to, "cairn.id", object);
    add_text(to, "cairn.kind", cairn_str(span_kind_name(kind)));
    count = cairn_value_read(&r).count;
    for (uint64_t i = 0; i < count && i < sizeof costs / sizeof *costs; i++)
        add_number(to, costs[i], cairn_value_read(&r).integer);
    phases = r;
    for (count = cairn_value_read(&r).count; count > 0 && !r.bad; count--)
        cairn_value_read(&r);
    dropped = cairn_value_read(&r).integer;
    if (dropped)
        add_number(to, "cairn.spans_dropped", dropped);
    if (error.size)
        add_text(to, "error.type", error);
    cairn_buf_u8(to, ']');
    if (error.size) {
        cairn_buf_printf(to, ",\"status\":{\"code\":%d,\"message\":", STATUS_ERROR);
        cairn_json_text(to, text);
        cairn_buf_u8(to, '}');
    }
    cairn_buf_u8(to, '}');
    add_phases(to, &phases, job, span, begin_ns, end_ns);
}

uint64_t cairn_otlp_add(struct cairn_buf *to, struct cairn_reader *spans, size_t bytes)
{
    size_t before = to->size;
    uint64_t count = 0;

    if (!cairn_reader_left(spans))
        return 0;
    cairn_buf_str(to, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    add_text(to, "service.name", cairn_str("cairn"));
    add_text(to, "service.version", cairn_str(CAIRN_VERSION));
    cairn_buf_str(to, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"cairn\"},\"spans\":[");
    for (; cairn_reader_left(spans) && to->size - before < bytes; count++) {
        if (count)
            cairn_buf_u8(to, ',');
        add_span(to, cairn_read_bytes(spans, cairn_read_u32(spans)));
    }
    cairn_buf_str(to, "]}]}]}");
    return count;
}
