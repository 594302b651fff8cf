#include "io/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static void set_timeouts(int fd, uint32_t ms)
{
    struct timeval time = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    int on = 1;

    /* Best effort: without them it only waits longer. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

enum cairn_code cairn_dial(const struct cairn_address *address, uint32_t timeout_ms, int *ret_fd, struct cairn_err *err)
{
    int fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return cairn_fail_errno(err, errno, "creating a socket");
    set_timeouts(fd, timeout_ms);
    if (connect(fd, (const struct sockaddr *)&address->at, address->size) != 0) {
        char text[CAIRN_ADDRESS_TEXT_BYTES];
        int why = errno == EINPROGRESS ? ETIMEDOUT : errno;

        close(fd);
        return cairn_fail(err, CAIRN_EUNAVAILABLE, "%s: %s", cairn_address_format(address, text), strerror(why));
    }
    *ret_fd = fd;
    return CAIRN_OK;
}

enum cairn_code cairn_dial_send(int fd, struct cairn_bytes bytes, struct cairn_err *err)
{
    while (bytes.size) {
        ssize_t n = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cairn_fail_errno(err, errno, "sending");
        bytes.data += n;
        bytes.size -= (size_t)n;
    }
    return CAIRN_OK;
}

enum cairn_code cairn_dial_receive(int fd, void *to, size_t size, size_t *ret_size, struct cairn_err *err)
{
    ssize_t n;

    do
        n = recv(fd, to, size, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return cairn_fail_errno(err, errno == EAGAIN || errno == EWOULDBLOCK ? ETIMEDOUT : errno, "receiving");
    *ret_size = (size_t)n;
    return CAIRN_OK;
}

void cairn_dial_close(int fd)
{
    close(fd);
}
