/* Responses: written by the node, read by the command line. */
#include <llhttp.h>
#include <stdlib.h>

#include "base/list.h"
#include "proto/errors.h"
#include "proto/http.h"

static bool has_body(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

void cairn_http_write(struct cairn_buf *to, const struct cairn_http_response *response, struct cairn_bytes body)
{
    cairn_buf_printf(to, "HTTP/1.1 %u %s\r\n", response->status, cairn_http_reason(response->status));
    if (has_body(response->status)) {
        if (response->date)
            cairn_buf_printf(to, "Date: %s\r\n", response->date);
        if (response->type)
            cairn_buf_printf(to, "Content-Type: %s\r\n", response->type);
        if (response->framing == CAIRN_HTTP_LENGTH)
            cairn_buf_printf(to, "Content-Length: %zu\r\n", body.size);
        else if (response->framing == CAIRN_HTTP_CHUNKS)
            cairn_buf_str(to, "Transfer-Encoding: chunked\r\n");
    }
    if (response->extra)
        cairn_buf_str(to, response->extra);
    if (response->status >= 200 && !response->keep_alive)
        cairn_buf_str(to, "Connection: close\r\n");
    else if (response->http_1_0)
        cairn_buf_str(to, "Connection: keep-alive\r\n");
    cairn_buf_add(to, "\r\n", 2);
    if (response->head || !has_body(response->status))
        return;
    if (response->framing != CAIRN_HTTP_CHUNKS)
        cairn_buf_add(to, body.data, body.size);
    else if (body.size)
        cairn_http_write_chunk(to, body);
}

void cairn_http_write_chunk(struct cairn_buf *to, struct cairn_bytes bytes)
{
    cairn_buf_printf(to, "%zx\r\n", bytes.size);
    cairn_buf_add(to, bytes.data, bytes.size);
    cairn_buf_add(to, "\r\n", 2);
}

/* --- reading --- */

struct cairn_http_reader {
    llhttp_t llhttp;
    struct cairn_http_reply reply;
    size_t body_bytes_max;
    bool head, is_type, too_large;
    char field[16];
    size_t field_bytes;
};

static struct cairn_http_reader *reader_of(llhttp_t *llhttp)
{
    return cairn_container(llhttp, struct cairn_http_reader, llhttp);
}

static int on_begin(llhttp_t *llhttp)
{
    struct cairn_http_reader *reader = reader_of(llhttp);

    reader->reply.type.size = reader->reply.body.size = 0;
    reader->field_bytes = 0;
    return 0;
}

static int on_field(llhttp_t *llhttp, const char *at, size_t size)
{
    struct cairn_http_reader *reader = reader_of(llhttp);

    for (size_t i = 0; i < size && reader->field_bytes < sizeof reader->field; i++)
        reader->field[reader->field_bytes++] = at[i];
    return 0;
}

static int on_field_complete(llhttp_t *llhttp)
{
    struct cairn_http_reader *reader = reader_of(llhttp);

    reader->is_type = reader->field_bytes == 12 && strncasecmp(reader->field, "content-type", 12) == 0;
    reader->field_bytes = 0;
    return 0;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t size)
{
    struct cairn_http_reader *reader = reader_of(llhttp);

    if (reader->is_type && reader->reply.type.size + size < 1024)
        cairn_buf_add(&reader->reply.type, at, size);
    return 0;
}

static int on_headers(llhttp_t *llhttp)
{
    return reader_of(llhttp)->head ? 1 : 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t size)
{
    struct cairn_http_reader *reader = reader_of(llhttp);

    if (reader->reply.body.size + size > reader->body_bytes_max) {
        reader->too_large = true;
        return HPE_USER;
    }
    cairn_buf_add(&reader->reply.body, at, size);
    return 0;
}

static int on_complete(llhttp_t *llhttp)
{
    struct cairn_http_reader *reader = reader_of(llhttp);

    if (llhttp->status_code / 100 == 1)
        return 0; /* the real one follows */
    reader->reply.status = llhttp->status_code;
    reader->reply.complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_begin,
    .on_header_field = on_field,
    .on_header_field_complete = on_field_complete,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

struct cairn_http_reader *cairn_http_reader_create(size_t body_bytes_max, bool head)
{
    struct cairn_http_reader *reader = cairn_alloc_zeroed(1, sizeof *reader);

    llhttp_init(&reader->llhttp, HTTP_RESPONSE, &settings);
    reader->body_bytes_max = body_bytes_max;
    reader->head = head;
    return reader;
}

struct cairn_http_reader *cairn_http_reader_destroy(struct cairn_http_reader *reader)
{
    if (reader) {
        cairn_buf_done(&reader->reply.type);
        cairn_buf_done(&reader->reply.body);
        free(reader);
    }
    return NULL;
}

enum cairn_code cairn_http_reader_take(struct cairn_http_reader *reader, struct cairn_bytes input,
                                       struct cairn_err *err)
{
    llhttp_errno_t status;

    if (reader->reply.complete)
        return CAIRN_OK;
    status = input.size ? llhttp_execute(&reader->llhttp, (const char *)input.data, input.size)
                        : llhttp_finish(&reader->llhttp);
    if (reader->reply.complete)
        return CAIRN_OK;
    if (reader->too_large)
        return cairn_fail(err, CAIRN_ELIMIT, "the reply is larger than %zu bytes", reader->body_bytes_max);
    if (status != HPE_OK)
        return cairn_fail(err, CAIRN_EINVAL, "the reply is not HTTP: %s", llhttp_get_error_reason(&reader->llhttp));
    if (!input.size)
        return cairn_fail(err, CAIRN_EIO, "the connection ended before the reply was complete");
    return CAIRN_OK;
}

const struct cairn_http_reply *cairn_http_reader_reply(const struct cairn_http_reader *reader)
{
    return &reader->reply;
}
