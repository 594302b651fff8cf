/* remote.c - requests over a TCP connection, one at a time, blocking: how functions reach their storage today. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "disagg.h"

enum { PORTS_MAX = 16, OPS_MAX = 4096 };

struct remote {
    bool redis;
    int fds[PORTS_MAX];
    unsigned count, chosen;
    struct cairn_bytes name;
    struct cairn_buf out, in, scratch;
    enum field_op ops[OPS_MAX];
    size_t op_count, taken, at; /* replies taken; where the next one begins in `in` */
    bool atomic;                /* Redis: between MULTI and EXEC */
    uint64_t requests;
};

int connect_to(unsigned port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("cannot connect to the storage", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

struct remote *remote_open(const unsigned *ports, unsigned count, bool redis)
{
    struct remote *remote = cairn_alloc_zeroed(1, sizeof *remote);

    remote->redis = redis;
    remote->count = count;
    for (unsigned i = 0; i < count; i++)
        remote->fds[i] = connect_to(ports[i]);
    return remote;
}

struct remote *remote_close(struct remote *remote)
{
    for (unsigned i = 0; i < remote->count; i++)
        close(remote->fds[i]);
    cairn_buf_done(&remote->out);
    cairn_buf_done(&remote->in);
    cairn_buf_done(&remote->scratch);
    free(remote);
    return NULL;
}

void remote_begin(struct remote *remote, struct cairn_bytes name)
{
    remote->name = name;
    remote->op_count = remote->taken = remote->at = 0;
    remote->out.size = remote->in.size = remote->scratch.size = 0;
    remote->atomic = false;
    if (remote->redis)
        return;
    remote->chosen = (unsigned)(cairn_hash(name) % remote->count);
    cairn_buf_add(&remote->out, "\0\0\0", 4);
    cairn_buf_varint(&remote->out, name.size);
    cairn_buf_add(&remote->out, name.data, name.size);
}

void remote_add(struct remote *remote, enum field_op op, uint32_t field, uint64_t number, struct cairn_bytes key,
                struct cairn_bytes value)
{
    struct cairn_buf *out = &remote->out;

    if (remote->op_count == OPS_MAX)
        die("a segment", "writes too much for this benchmark");
    if (remote->redis && remote->op_count == 1) { /* the second one: what came before goes into the transaction too */
        struct cairn_buf all = {0};

        cairn_buf_str(&all, "*1\r\n$5\r\nMULTI\r\n");
        cairn_buf_add(&all, out->data, out->size);
        cairn_buf_done(out);
        *out = all;
        remote->atomic = true;
    }
    remote->ops[remote->op_count++] = op;
    if (remote->redis) {
        redis_add(out, remote->name, op, field, number, key, value);
        return;
    }
    cairn_buf_u8(out, (uint8_t)op);
    cairn_buf_varint(out, field);
    cairn_buf_varint(out, number);
    cairn_buf_varint(out, key.size);
    cairn_buf_add(out, key.data, key.size);
    cairn_buf_varint(out, value.size);
    cairn_buf_add(out, value.data, value.size);
}

static void send_all(int fd, const struct cairn_buf *out)
{
    for (size_t at = 0; at < out->size;) {
        ssize_t n = send(fd, out->data + at, out->size - at, MSG_NOSIGNAL);

        if (n <= 0)
            die("cannot send to the storage", strerror(errno));
        at += (size_t)n;
    }
}

static void receive_some(int fd, struct cairn_buf *in)
{
    ssize_t n = recv(fd, cairn_buf_reserve(in, 16384), 16384, 0);

    if (n <= 0)
        die("the storage went away", n ? strerror(errno) : "closed");
    in->size += (size_t)n;
}

/* Skips the replies to MULTI and to the queued commands, and the head of EXEC's. */
static void receive_redis(struct remote *remote)
{
    size_t before = remote->atomic ? 1 + remote->op_count : 0,
           replies = before + (remote->atomic ? 1 : remote->op_count);
    size_t at = 0;

    for (size_t i = 0; i < replies; i++) {
        size_t size;

        while ((size = redis_reply_size(remote->in.data + at, remote->in.size - at)) == 0)
            receive_some(remote->fds[0], &remote->in);
        at += size;
        if (i + 1 == before) {
            while (!memchr(remote->in.data + at, '\n', remote->in.size - at))
                receive_some(remote->fds[0], &remote->in);
            remote->at =
                (size_t)((uint8_t *)memchr(remote->in.data + at, '\n', remote->in.size - at) - remote->in.data) + 1;
        }
    }
}

void remote_send(struct remote *remote)
{
    struct cairn_buf *in = &remote->in;
    int fd;

    if (remote->atomic)
        cairn_buf_str(&remote->out, "*1\r\n$4\r\nEXEC\r\n");
    if (!remote->redis)
        cairn_put_u32(remote->out.data, (uint32_t)(remote->out.size - 4));
    fd = remote->redis ? remote->fds[0] : remote->fds[remote->chosen];
    remote->requests++;
    send_all(fd, &remote->out);
    cairn_buf_reserve(in, 16384);
    if (remote->redis) {
        receive_redis(remote);
        return;
    }
    while (in->size < 4 || in->size - 4 < cairn_get_u32(in->data))
        receive_some(fd, in);
    remote->at = 4;
}

struct field_reply remote_take(struct remote *remote)
{
    struct cairn_reader r = {remote->in.data + remote->at, remote->in.data + remote->in.size, false};
    enum field_op op = remote->ops[remote->taken++];
    struct field_reply reply;

    if (remote->redis) {
        size_t size = redis_reply_size(r.at, cairn_reader_left(&r));

        remote->at += size;
        return redis_decode(&remote->scratch, op, cairn_bytes(r.at, size));
    }
    reply.number = cairn_read_varint(&r);
    reply.count = cairn_read_varint(&r);
    reply.strings = r;
    for (uint64_t i = 0; i < reply.count; i++)
        cairn_read_sized(&r);
    if (r.bad)
        die("a reply of the storage", "malformed");
    reply.strings.end = r.at;
    remote->at = (size_t)(r.at - remote->in.data);
    return reply;
}

uint64_t remote_requests(const struct remote *remote)
{
    return remote->requests;
}
