#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/stream.h"

static enum cairn_stream_result moved(ssize_t n, size_t *ret_size)
{
    *ret_size = n > 0 ? (size_t)n : 0;
    if (n >= 0)
        return CAIRN_STREAM_MOVED;
    return errno == EAGAIN || errno == EWOULDBLOCK ? CAIRN_STREAM_BLOCKED : CAIRN_STREAM_BROKEN;
}

static enum cairn_stream_result tcp_read(struct cairn_stream *stream, uint8_t *to, size_t room, size_t *ret_size)
{
    ssize_t n;

    do
        n = recv(stream->fd, to, room, 0);
    while (n < 0 && errno == EINTR);
    return n == 0 ? CAIRN_STREAM_ENDED : moved(n, ret_size);
}

static enum cairn_stream_result tcp_write(struct cairn_stream *stream, struct cairn_bytes bytes, size_t *ret_size)
{
    ssize_t n;

    do
        n = send(stream->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return moved(n, ret_size);
}

static enum cairn_stream_result tcp_readv(struct cairn_stream *stream, const struct iovec *to, size_t count,
                                          size_t *ret_size)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)to, .msg_iovlen = count};
    ssize_t n;

    do
        n = recvmsg(stream->fd, &message, 0);
    while (n < 0 && errno == EINTR);
    return n == 0 ? CAIRN_STREAM_ENDED : moved(n, ret_size);
}

static enum cairn_stream_result tcp_writev(struct cairn_stream *stream, const struct iovec *from, size_t count,
                                           size_t *ret_size)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)from, .msg_iovlen = count};
    ssize_t n;

    do
        n = sendmsg(stream->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return moved(n, ret_size);
}

static enum cairn_stream_result tcp_shutdown(struct cairn_stream *stream)
{
    return shutdown(stream->fd, SHUT_WR) == 0 ? CAIRN_STREAM_MOVED : CAIRN_STREAM_BROKEN;
}

static unsigned tcp_wants(const struct cairn_stream *stream, bool to_read, bool to_write)
{
    (void)stream;
    return (to_read ? CAIRN_STREAM_READABLE : 0) | (to_write ? CAIRN_STREAM_WRITABLE : 0);
}

static void tcp_close(struct cairn_stream *stream)
{
    close(stream->fd);
    free(stream);
}

struct cairn_stream *cairn_stream_tcp(int fd)
{
    static const struct cairn_stream_ops ops = {
        .read = tcp_read,
        .write = tcp_write,
        .readv = tcp_readv,
        .writev = tcp_writev,
        .shutdown = tcp_shutdown,
        .wants = tcp_wants,
        .close = tcp_close,
    };
    struct cairn_stream *stream = cairn_alloc(sizeof *stream);

    *stream = (struct cairn_stream){&ops, fd};
    return stream;
}
