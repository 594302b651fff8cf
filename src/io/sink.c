#include "io/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 4096 }; /* PIPE_BUF: what a pipe takes whole once poll says that it is writable */

struct cairn_sink {
    int fd;
    char *path; /* NULL: standard error */
};

static enum cairn_code open_file(const char *path, int *ret_fd, struct cairn_err *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

    if (fd < 0)
        return cairn_fail_errno(err, errno, "opening '%s'", path);
    *ret_fd = fd;
    return CAIRN_OK;
}

enum cairn_code cairn_sink_open(const char *path, struct cairn_sink **ret_sink, struct cairn_err *err)
{
    struct cairn_sink *sink;
    int fd = STDERR_FILENO;

    if (path) {
        enum cairn_code code = open_file(path, &fd, err);
        if (code != CAIRN_OK)
            return code;
    }
    sink = cairn_alloc_zeroed(1, sizeof *sink);
    sink->fd = fd;
    sink->path = path ? cairn_bytes_dup(cairn_str(path)) : NULL;
    *ret_sink = sink;
    return CAIRN_OK;
}

enum cairn_code cairn_sink_reopen(struct cairn_sink *sink, struct cairn_err *err)
{
    enum cairn_code code;
    int fd = -1;

    if (!sink->path)
        return CAIRN_OK;
    code = open_file(sink->path, &fd, err);
    if (code != CAIRN_OK)
        return code;
    close(sink->fd);
    sink->fd = fd;
    return CAIRN_OK;
}

size_t cairn_sink_write(struct cairn_sink *sink, struct cairn_bytes bytes, int wait_ms, int *ret_errno)
{
    size_t done = 0;

    *ret_errno = 0;
    while (done < bytes.size) {
        struct pollfd wait = {.fd = sink->fd, .events = POLLOUT};
        size_t piece = bytes.size - done < PIECE_BYTES ? bytes.size - done : PIECE_BYTES;
        int polled = poll(&wait, 1, wait_ms);
        ssize_t wrote;

        if (polled == 0)
            break;
        wrote = polled < 0 ? -1 : write(sink->fd, bytes.data + done, piece);
        if (wrote > 0) {
            done += (size_t)wrote;
        } else if (errno != EINTR) {
            *ret_errno = errno;
            break;
        }
    }
    return done;
}

enum cairn_code cairn_sink_write_whole(struct cairn_sink *sink, struct cairn_bytes bytes, int wait_ms,
                                       struct cairn_err *err)
{
    struct stat before;
    bool is_file = fstat(sink->fd, &before) == 0 && S_ISREG(before.st_mode);
    int error;

    if (cairn_sink_write(sink, bytes, wait_ms, &error) == bytes.size)
        return CAIRN_OK;
    if (is_file && ftruncate(sink->fd, before.st_size) != 0)
        return cairn_fail_errno(err, errno, "taking back what was written in part to '%s'",
                                sink->path ? sink->path : "standard error");
    return cairn_fail_errno(err, error ? error : ETIMEDOUT, "writing '%s'", sink->path ? sink->path : "standard error");
}

struct cairn_sink *cairn_sink_close(struct cairn_sink *sink)
{
    if (!sink)
        return NULL;
    if (sink->path)
        close(sink->fd);
    free(sink->path);
    free(sink);
    return NULL;
}
