/* Would catch: an HTTP request that reads otherwise when it arrives in two portions, views outside of the request, and
 * bounds that are not kept.  The first two bytes choose where the input is cut. */
#include <stdint.h>
#include <stdlib.h>

#include "proto/http.h"

static const struct cairn_http_limits limits = {256, 1024, 16};

enum { BODY_MAX = 512 };

static void check(bool good)
{
    if (!good)
        abort();
}

static uint64_t on_head(void *context, const struct cairn_http_request *head, uint64_t content_bytes)
{
    (void)context;
    (void)content_bytes;
    check(head->path.size <= limits.target_bytes_max && head->body.size == 0);
    return BODY_MAX;
}

static void add(struct cairn_buf *told, struct cairn_bytes bytes)
{
    cairn_buf_add(told, &bytes.size, sizeof bytes.size);
    cairn_buf_add(told, bytes.data, bytes.size); /* reads every byte */
}

static void tell(struct cairn_buf *told, const struct cairn_http_request *request)
{
    struct cairn_bytes query = request->query, name, value;
    struct cairn_buf text = {0};

    check(request->body.size <= BODY_MAX);
    cairn_buf_u8(told, (uint8_t)request->method);
    cairn_buf_u8(told, request->keep_alive);
    cairn_buf_u8(told, (uint8_t)request->segment_count);
    add(told, request->path);
    for (uint32_t i = 0; i < request->segment_count && i < CAIRN_HTTP_SEGMENTS_MAX; i++)
        add(told, request->segments[i]);
    for (int i = 0; i < CAIRN_HTTP_HEADER_COUNT; i++)
        add(told, request->headers[i]);
    while (cairn_http_query_next(&query, &name, &value)) {
        text.size = 0;
        add(told, name);
        if (cairn_http_decode(&text, value, true))
            add(told, cairn_buf_bytes(&text));
    }
    add(told, request->body);
    cairn_http_weight(request->headers[CAIRN_HTTP_ACCEPT], "application/json");
    cairn_http_type_is(request->headers[CAIRN_HTTP_CONTENT_TYPE], "application/json");
    cairn_buf_done(&text);
}

static void parse(const uint8_t *data, size_t first, size_t size, struct cairn_buf *told)
{
    struct cairn_http_parser *parser = cairn_http_parser_create(&limits, on_head, NULL);
    size_t at = 0;
    bool bad = false;

    for (int portion = 0; portion < 2 && !bad; portion++) {
        size_t end = portion ? size : first;

        while (at < end && !bad) {
            size_t used = 0, room = end - at;
            uint8_t *copy = malloc(room);
            enum cairn_http_result result;

            memcpy(copy, data + at, room);
            result = cairn_http_parse(parser, cairn_bytes(copy, room), &used);
            free(copy); /* nothing may point into it */
            check(used <= room);
            if (result == CAIRN_HTTP_REQUEST) {
                tell(told, cairn_http_parser_request(parser));
            } else if (result == CAIRN_HTTP_BAD) {
                check(cairn_http_parser_refusal(parser)->status >= 400);
                bad = true;
            } else {
                check(used == room);
            }
            at += used;
        }
    }
    cairn_buf_u8(told, bad);
    cairn_http_parser_destroy(parser);
}

static void read_reply(const uint8_t *data, size_t first, size_t size)
{
    struct cairn_http_reader *reader = cairn_http_reader_create(BODY_MAX, false);

    if (first)
        cairn_http_reader_take(reader, cairn_bytes(data, first), NULL);
    if (size > first)
        cairn_http_reader_take(reader, cairn_bytes(data + first, size - first), NULL);
    cairn_http_reader_take(reader, cairn_bytes(NULL, 0), NULL);
    check(cairn_http_reader_reply(reader)->body.size <= BODY_MAX);
    cairn_http_reader_destroy(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_buf whole = {0}, cut = {0};
    size_t place;

    if (size < 3)
        return 0;
    place = (size_t)(data[0] << 8 | data[1]) % (size - 2);
    data += 2;
    size -= 2;
    parse(data, size, size, &whole);
    parse(data, place, size, &cut);
    check(whole.size == cut.size && memcmp(whole.data, cut.data, whole.size) == 0);
    read_reply(data, place, size);
    cairn_buf_done(&whole);
    cairn_buf_done(&cut);
    return 0;
}
