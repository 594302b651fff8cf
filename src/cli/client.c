#include "cli/client.h"

#include <stdlib.h>
#include <string.h>

#include "cli/print.h"
#include "io/dial.h"
#include "proto/http.h"
#include "server/http_media.h"

enum { DIAL_MS = 120000, REPLY_BYTES_MAX = 256 << 20 };

struct node {
    const char *url;
    char host[256]; /* for the header, with the port */
    struct cairn_address address;
};

/* "http://HOST[:PORT][/]", or without the scheme. */
static enum cairn_code find_node(struct node *node, struct cairn_err *err)
{
    const char *url = getenv("CAIRN_URL"), *from;
    uint16_t port = 7070;
    size_t size;

    if (!url || !*url)
        url = CAIRN_URL_DEFAULT;
    node->url = from = url;
    if (strncmp(from, "https://", 8) == 0)
        return cairn_fail(err, CAIRN_EINVAL, "CAIRN_URL is '%s': nodes speak http, without TLS", url);
    if (strncmp(from, "http://", 7) == 0) {
        from += 7;
        port = 80;
    }
    size = strcspn(from, "/");
    if (size == 0 || size >= sizeof node->host || (from[size] && from[size + 1]))
        return cairn_fail(err, CAIRN_EINVAL, "CAIRN_URL is '%s': write http://HOST:PORT", url);
    memcpy(node->host, from, size);
    node->host[size] = 0;
    if (cairn_address_parse(node->host, port, &node->address, err) != CAIRN_OK)
        return cairn_while(err, "reading CAIRN_URL");
    return CAIRN_OK;
}

static void write_request(struct cairn_buf *to, const struct cairn_ask *ask, const struct node *node)
{
    cairn_buf_printf(to, "%s ", ask->method);
    cairn_buf_add(to, ask->target.data, ask->target.size);
    cairn_buf_printf(to, " HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\nConnection: close\r\n", node->host,
                     ask->json   ? "application/json"
                     : ask->text ? "text/plain"
                                 : CAIRN_VALUE_TYPE);
    if (ask->key)
        cairn_buf_printf(to, "Idempotency-Key: %s\r\n", ask->key);
    if (ask->body_type)
        cairn_buf_printf(to, "Content-Type: %s\r\nContent-Length: %zu\r\n", ask->body_type, ask->body.size);
    cairn_buf_str(to, "\r\n");
    cairn_buf_add(to, ask->body.data, ask->body.size);
}

static enum cairn_code exchange(const struct cairn_ask *ask, const struct node *node, int fd,
                                struct cairn_http_reader *reader, struct cairn_err *err)
{
    struct cairn_buf request = {0};
    struct cairn_err send_err;
    enum cairn_code code, sent;
    uint8_t input[16 << 10];

    write_request(&request, ask, node);
    /* A node that refuses a large body answers and closes before it has read all of it. */
    sent = cairn_dial_send(fd, cairn_buf_bytes(&request), &send_err);
    cairn_buf_done(&request);
    do {
        size_t size;

        code = cairn_dial_receive(fd, input, sizeof input, &size, err);
        if (code == CAIRN_OK)
            code = cairn_http_reader_take(reader, cairn_bytes(input, size), err);
    } while (code == CAIRN_OK && !cairn_http_reader_reply(reader)->complete);
    if (code != CAIRN_OK && sent != CAIRN_OK && err)
        *err = send_err;
    return code;
}

/* What the node says about a request that it could not even read. */
static int print_foreign(const struct cairn_http_reply *reply)
{
    fprintf(stderr, "cairn: the node answered with status %u: %.*s\n", reply->status, (int)reply->body.size,
            (const char *)reply->body.data);
    return CAIRN_EXIT_FAILED;
}

/* A long list comes in parts, each a list of its own.  False: they are something else. */
static bool join_lists(struct cairn_bytes body, struct cairn_buf *to)
{
    struct cairn_reader r = cairn_reader(body);
    struct cairn_buf items = {0};
    uint64_t count = 0;
    bool good = true;

    while (good && cairn_reader_left(&r)) {
        struct cairn_bytes part = cairn_value_whole(&r);
        struct cairn_reader inside = cairn_reader(part);
        struct cairn_value head;

        good = !r.bad && cairn_value_valid(part);
        head = cairn_value_read(&inside);
        good = good && head.kind == CAIRN_VALUE_LIST;
        count += head.count;
        if (good)
            cairn_buf_add(&items, inside.at, cairn_reader_left(&inside));
    }
    if (good) {
        cairn_value_add_list(to, count);
        cairn_buf_add(to, items.data, items.size);
    }
    cairn_buf_done(&items);
    return good;
}

static bool take_reply(const struct cairn_ask *ask, const struct cairn_http_reply *reply, struct cairn_answer *answer,
                       int *ret_exit)
{
    struct cairn_reader r;
    struct cairn_value head;

    answer->status = reply->status;
    if (ask->json) {
        fwrite(reply->body.data, 1, reply->body.size, stdout);
        *ret_exit = reply->status < 400 ? CAIRN_EXIT_OK : CAIRN_EXIT_FAILED;
        return false;
    }
    if (ask->text && reply->status < 400) {
        cairn_buf_add(&answer->value, reply->body.data, reply->body.size);
        return true;
    }
    if (ask->lists && reply->status < 400 && cairn_http_type_is(cairn_buf_bytes(&reply->type), CAIRN_VALUE_TYPE) &&
        join_lists(cairn_buf_bytes(&reply->body), &answer->value))
        return true;
    if (!cairn_http_type_is(cairn_buf_bytes(&reply->type), CAIRN_VALUE_TYPE) ||
        !cairn_value_valid(cairn_buf_bytes(&reply->body))) {
        *ret_exit = print_foreign(reply);
        return false;
    }
    r = cairn_reader(cairn_buf_bytes(&reply->body));
    head = cairn_value_read(&r);
    if (head.kind == CAIRN_VALUE_ERROR && ask->missing_is_empty &&
        cairn_bytes_equal(head.error, cairn_str(cairn_code_name(CAIRN_ENOTFOUND))))
        return true;
    if (head.kind == CAIRN_VALUE_ERROR) {
        struct cairn_buf text = {0};

        cairn_inline_text(&text, head.error);
        cairn_buf_str(&text, ": ");
        cairn_inline_text(&text, head.bytes);
        *ret_exit = cairn_complain(CAIRN_EXIT_FAILED, "%.*s", (int)text.size, (const char *)text.data);
        cairn_buf_done(&text);
        return false;
    }
    cairn_buf_add(&answer->value, reply->body.data, reply->body.size);
    return true;
}

bool cairn_ask(struct cairn_ask *ask, struct cairn_answer *ret_answer, int *ret_exit)
{
    struct cairn_http_reader *reader;
    struct node node;
    struct cairn_err err;
    bool good = false;
    int fd;

    *ret_answer = (struct cairn_answer){0};
    if (find_node(&node, &err) != CAIRN_OK) {
        *ret_exit = cairn_complain(CAIRN_EXIT_USAGE, "%s", err.text);
        cairn_buf_done(&ask->target);
        return false;
    }
    if (cairn_dial(&node.address, DIAL_MS, &fd, &err) != CAIRN_OK) {
        *ret_exit = cairn_complain(CAIRN_EXIT_UNREACHABLE,
                                   "no node answers at %s (%s); start one with 'cairn serve', or set CAIRN_URL",
                                   node.url, err.text);
        cairn_buf_done(&ask->target);
        return false;
    }
    reader = cairn_http_reader_create(REPLY_BYTES_MAX, false);
    if (exchange(ask, &node, fd, reader, &err) != CAIRN_OK)
        *ret_exit = cairn_complain(CAIRN_EXIT_UNREACHABLE,
                                   "%s did not answer as a node does (%s); is that its address "
                                   "for HTTP?  CAIRN_URL names it",
                                   node.url, err.text);
    else
        good = take_reply(ask, cairn_http_reader_reply(reader), ret_answer, ret_exit);
    cairn_http_reader_destroy(reader);
    cairn_dial_close(fd);
    cairn_buf_done(&ask->target);
    return good;
}

void cairn_answer_done(struct cairn_answer *answer)
{
    cairn_buf_done(&answer->value);
}

struct cairn_bytes cairn_namespace(void)
{
    const char *name = getenv("CAIRN_NAMESPACE");

    return cairn_str(name ? name : "");
}

void cairn_ask_page(struct cairn_ask *ask, const char *page)
{
    struct cairn_bytes space = cairn_namespace();

    cairn_buf_str(&ask->target, "/v1");
    if (space.size) {
        cairn_buf_str(&ask->target, "/ns");
        cairn_ask_path(ask, space);
    }
    cairn_buf_printf(&ask->target, "/%s", page);
}

void cairn_ask_path(struct cairn_ask *ask, struct cairn_bytes text)
{
    cairn_buf_u8(&ask->target, '/');
    cairn_http_encode(&ask->target, text);
}

void cairn_ask_query(struct cairn_ask *ask, const char *name, struct cairn_bytes text)
{
    bool first = !memchr(ask->target.data, '?', ask->target.size);

    cairn_buf_printf(&ask->target, "%c%s=", first ? '?' : '&', name);
    cairn_http_encode(&ask->target, text);
}

bool cairn_object_name(const char *text, struct cairn_bytes *ret_type, struct cairn_bytes *ret_id)
{
    const char *slash = strchr(text, '/');

    if (!slash || slash == text || !slash[1]) {
        cairn_complain(0, "'%s' is not an object: write TYPE/ID, as in User/alice", text);
        return false;
    }
    *ret_type = cairn_bytes(text, (size_t)(slash - text));
    *ret_id = cairn_str(slash + 1);
    return true;
}
