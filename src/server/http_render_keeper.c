/* What the keeper's pages look like in JSON. */
#include <inttypes.h>

#include "proto/json.h"
#include "server/http_internal.h"

static void add_paths(struct cairn_buf *to, struct cairn_reader *r)
{
    uint64_t count = cairn_value_read(r).count;

    cairn_buf_u8(to, '[');
    for (uint64_t i = 0; i < count; i++) {
        if (i)
            cairn_buf_u8(to, ',');
        cairn_json_text(to, cairn_value_read(r).bytes);
    }
    cairn_buf_u8(to, ']');
}

static void render_state(struct cairn_buf *to, struct cairn_reader *r, uint64_t count)
{
    cairn_buf_u8(to, '{');
    for (uint64_t i = 0; i < count; i++) {
        struct cairn_bytes name;

        cairn_value_read(r);
        name = cairn_value_read(r).bytes;
        cairn_buf_printf(to, "%s\"%.*s\":%" PRId64, i ? "," : "", (int)name.size, (const char *)name.data,
                         cairn_value_read(r).integer);
    }
    cairn_buf_u8(to, '}');
}

static void render_sessions(struct cairn_buf *to, struct cairn_reader *r, uint64_t count, bool has_timeout)
{
    cairn_buf_u8(to, '[');
    for (uint64_t i = 0; i < count; i++) {
        struct cairn_bytes session;

        cairn_value_read(r);
        session = cairn_value_read(r).bytes;
        cairn_buf_printf(to, "%s{\"session\":\"%.*s\",", i ? "," : "", (int)session.size, (const char *)session.data);
        if (has_timeout)
            cairn_buf_printf(to, "\"timeout_ms\":%" PRId64 ",", cairn_value_read(r).integer);
        cairn_buf_str(to, has_timeout ? "\"ephemerals\":" : "\"paths\":");
        add_paths(to, r);
        cairn_buf_u8(to, '}');
    }
    cairn_buf_u8(to, ']');
}

void cairn_http_render_keeper(struct cairn_buf *body, enum cairn_http_form form, struct cairn_bytes value)
{
    struct cairn_reader r = cairn_reader(value);
    struct cairn_value head = cairn_value_read(&r);

    if (form == CAIRN_HTTP_FORM_KEEPER_WORD)
        cairn_buf_add(body, head.bytes.data, head.bytes.size);
    else if (form == CAIRN_HTTP_FORM_KEEPER)
        render_state(body, &r, head.count);
    else
        render_sessions(body, &r, head.count, form == CAIRN_HTTP_FORM_KEEPER_SESSIONS);
}
