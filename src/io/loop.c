#include "io/loop.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "base/list.h"

enum {
    ACCEPTS_PER_EVENT = 64,
    ACCEPT_PAUSE_MS = 100, /* when there are no descriptors left */
    BACKLOG = 4096,
    YIELDS = 8, /* times that a loop looks for more before it falls asleep, when a socket had something lately */
};

struct signal_watch {
    uv_signal_t signal;
    void (*on_signal)(void *context, int signal_number);
    void *context;
    struct signal_watch *next;
};

struct cairn_loop {
    uv_loop_t uv;
    uv_async_t async;
    uv_timer_t timer;
    struct cairn_loop_options options;
    uint64_t timer_at_ns; /* when the timer is due; UINT64_MAX: not armed */
    struct signal_watch *signals;
    bool stopping;
    unsigned yields; /* that are left before the loop falls asleep */
    uint8_t *read_buffer;

    /* Wakers write woken and then look at asleep; the loop writes asleep and then looks at woken.
     * Sequentially consistent, so at least one of the two sees the other. */
    atomic_bool woken, asleep;
};

struct cairn_listener {
    uv_poll_t poll;
    uv_timer_t pause;
    int fd;
    unsigned open_handles;
    void (*on_accept)(void *context, int fd);
    void *context;
};

struct cairn_socket {
    uv_poll_t poll;
    const struct cairn_socket_ops *ops;
    void *context;
    struct cairn_loop *loop;
    struct cairn_stream *stream;
    int events;                                              /* that libuv watches for us */
    bool reading, wants_room, ending, broken, closed, ended; /* ending: the stream's shutdown has to be called again */
    bool lent, borrowed;                                     /* the stream is another's now; it is another's own */
};

static enum cairn_code fail_uv(struct cairn_err *err, int status, const char *what)
{
    return cairn_fail_errno(err, -status, "%s", what); /* libuv's codes are negated errno values on Unix */
}

/* --- the loop --- */

static void on_async(uv_async_t *async)
{
    (void)async; /* the turn follows by itself */
}

static void on_timer(uv_timer_t *timer)
{
    struct cairn_loop *loop = timer->data;

    loop->timer_at_ns = UINT64_MAX;
    /* libuv runs timers that are due before it polls, and then polls for as long as the others leave it: for ever,
     * where there are none.  A turn that took longer than it wants to wait would be the last one. */
    uv_stop(&loop->uv);
}

enum cairn_code cairn_loop_create(const struct cairn_loop_options *options, struct cairn_loop **ret_loop,
                                  struct cairn_err *err)
{
    struct cairn_loop *loop = cairn_alloc_zeroed(1, sizeof *loop);
    int status;

    loop->options = *options;
    if (loop->options.read_bytes == 0)
        loop->options.read_bytes = 64 << 10;
    loop->timer_at_ns = UINT64_MAX;
    status = uv_loop_init(&loop->uv);
    if (status < 0) {
        free(loop);
        return fail_uv(err, status, "creating an event loop");
    }
    status = uv_async_init(&loop->uv, &loop->async, on_async);
    if (status < 0) {
        uv_loop_close(&loop->uv);
        free(loop);
        return fail_uv(err, status, "creating an event loop");
    }
    uv_timer_init(&loop->uv, &loop->timer);
    loop->timer.data = loop;
    loop->read_buffer = cairn_alloc(loop->options.read_bytes);
    *ret_loop = loop;
    return CAIRN_OK;
}

struct cairn_loop *cairn_loop_destroy(struct cairn_loop *loop)
{
    struct signal_watch *watch;

    if (!loop)
        return NULL;
    uv_close((uv_handle_t *)&loop->async, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    for (watch = loop->signals; watch; watch = watch->next)
        uv_close((uv_handle_t *)&watch->signal, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT); /* until every handle's close is through */
    if (uv_loop_close(&loop->uv) != 0)
        assert(!"a socket or listener outlives its loop");
    while ((watch = loop->signals)) {
        loop->signals = watch->next;
        free(watch);
    }
    free(loop->read_buffer);
    free(loop);
    return NULL;
}

static void arm(struct cairn_loop *loop, uint64_t wait_ns)
{
    uint64_t at, difference;

    if (wait_ns == UINT64_MAX) {
        if (loop->timer_at_ns != UINT64_MAX) {
            uv_timer_stop(&loop->timer);
            loop->timer_at_ns = UINT64_MAX;
        }
        return;
    }
    at = uv_now(&loop->uv) * 1000000 + wait_ns;
    difference = at > loop->timer_at_ns ? at - loop->timer_at_ns : loop->timer_at_ns - at;
    if (loop->timer_at_ns != UINT64_MAX && difference < 1000000)
        return; /* libuv counts in milliseconds: nothing would change */
    loop->timer_at_ns = at;
    uv_timer_start(&loop->timer, on_timer, (wait_ns + 999999) / 1000000, 0);
}

/* Falling asleep and being woken costs more than many requests do: on a virtual machine more than ten microseconds.
 * So a loop that sockets keep busy first lets other threads have the core, such as clients that write the next
 * requests, and looks again: it sleeps less often, and handles more requests each time. */
static bool yield_first(struct cairn_loop *loop)
{
    if (loop->yields == 0)
        return false;
    loop->yields--;
    sched_yield();
    return true;
}

void cairn_loop_run(struct cairn_loop *loop)
{
    loop->stopping = false;
    for (;;) {
        uint64_t wait_ns = UINT64_MAX;
        bool more;

        atomic_store(&loop->woken, false);
        more = loop->options.turn(loop->options.context, &wait_ns);
        if (loop->stopping)
            break;
        more = more || wait_ns == 0 || yield_first(loop);
        if (!more) {
            arm(loop, wait_ns);
            atomic_store(&loop->asleep, true);
            more = atomic_load(&loop->woken);
        }
        uv_run(&loop->uv, more ? UV_RUN_NOWAIT : UV_RUN_ONCE);
        atomic_store(&loop->asleep, false);
        if (loop->stopping)
            break;
    }
}

void cairn_loop_stop(struct cairn_loop *loop)
{
    loop->stopping = true;
}

void cairn_loop_wake(struct cairn_loop *loop)
{
    atomic_store(&loop->woken, true);
    if (atomic_load(&loop->asleep) && atomic_exchange(&loop->asleep, false))
        uv_async_send(&loop->async);
}

uint64_t cairn_loop_now_ms(struct cairn_loop *loop)
{
    return uv_now(&loop->uv);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct signal_watch *watch = signal->data;

    watch->on_signal(watch->context, number);
}

enum cairn_code cairn_loop_signal(struct cairn_loop *loop, int signal_number,
                                  void (*call)(void *context, int signal_number), void *context, struct cairn_err *err)
{
    struct signal_watch *watch = cairn_alloc_zeroed(1, sizeof *watch);
    int status = uv_signal_init(&loop->uv, &watch->signal);

    if (status < 0) {
        free(watch);
        return fail_uv(err, status, "watching for a signal");
    }
    watch->signal.data = watch;
    watch->on_signal = call;
    watch->context = context;
    watch->next = loop->signals;
    loop->signals = watch; /* destroyed with the loop, started or not */
    status = uv_signal_start(&watch->signal, on_signal, signal_number);
    if (status < 0)
        return fail_uv(err, status, "watching for a signal");
    return CAIRN_OK;
}

void cairn_loop_unsignal(struct cairn_loop *loop)
{
    for (struct signal_watch *watch = loop->signals; watch; watch = watch->next)
        uv_signal_stop(&watch->signal);
}

/* --- listeners --- */

enum cairn_code cairn_port_bind(struct cairn_address *address, bool first, int *ret_fd, struct cairn_err *err)
{
    char text[CAIRN_ADDRESS_TEXT_BYTES];
    int on = 1, fd, family = address->at.ss_family;

    if (first && cairn_address_port(address) != 0) {
        /* Ports that share an address also share it with another process of the same user, which
         * would quietly take half of the connections: a port that does not share asks first. */
        fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0) {
            bool taken = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                         bind(fd, (struct sockaddr *)&address->at, address->size) != 0 && errno == EADDRINUSE;

            close(fd);
            if (taken)
                return cairn_fail(err, CAIRN_ECONFLICT, "another process listens at %s",
                                  cairn_address_format(address, text));
        }
    }
    fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 && errno == EAFNOSUPPORT)
        return cairn_fail(err, CAIRN_ENOTFOUND, "this machine has no address %s", cairn_address_format(address, text));
    if (fd < 0)
        return cairn_fail_errno(err, errno, "creating a socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 || /* accepted sockets inherit it */
        bind(fd, (struct sockaddr *)&address->at, address->size) != 0) {
        enum cairn_code code = CAIRN_ENOTFOUND;

        if (errno == EADDRNOTAVAIL)
            cairn_fail(err, code, "this machine has no address %s", cairn_address_format(address, text));
        else
            code = cairn_fail_errno(err, errno, "listening at %s", cairn_address_format(address, text));
        close(fd);
        return code;
    }
    address->size = sizeof address->at;
    if (getsockname(fd, (struct sockaddr *)&address->at, &address->size) != 0) {
        cairn_fail_errno(err, errno, "asking for the address of a socket");
        close(fd);
        return err ? err->code : CAIRN_EIO;
    }
    *ret_fd = fd;
    return CAIRN_OK;
}

static void on_listener_ready(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct cairn_listener *listener = timer->data;

    uv_poll_start(&listener->poll, UV_READABLE, on_listener_ready);
}

static void on_listener_ready(uv_poll_t *poll, int status, int events)
{
    struct cairn_listener *listener = poll->data;

    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_PER_EVENT; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            listener->on_accept(listener->context, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* The connection stays in the queue and would wake us at once. */
            uv_poll_stop(&listener->poll);
            uv_timer_start(&listener->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct cairn_listener *listener = handle->data;

    if (--listener->open_handles == 0) {
        close(listener->fd);
        free(listener);
    }
}

enum cairn_code cairn_listener_open(struct cairn_loop *loop, int fd, void (*on_accept)(void *context, int fd),
                                    void *context, struct cairn_listener **ret_listener, struct cairn_err *err)
{
    struct cairn_listener *listener;
    int status;

    if (listen(fd, BACKLOG) != 0) {
        cairn_fail_errno(err, errno, "listening");
        close(fd);
        return err ? err->code : CAIRN_EIO;
    }
    listener = cairn_alloc_zeroed(1, sizeof *listener);
    listener->fd = fd;
    listener->on_accept = on_accept;
    listener->context = context;
    status = uv_poll_init(&loop->uv, &listener->poll, fd);
    if (status < 0) {
        close(fd);
        free(listener);
        return fail_uv(err, status, "listening");
    }
    listener->poll.data = listener;
    uv_timer_init(&loop->uv, &listener->pause);
    listener->pause.data = listener;
    listener->open_handles = 2;
    uv_poll_start(&listener->poll, UV_READABLE, on_listener_ready);
    *ret_listener = listener;
    return CAIRN_OK;
}

struct cairn_listener *cairn_listener_close(struct cairn_listener *listener)
{
    if (listener) {
        uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
        uv_close((uv_handle_t *)&listener->pause, on_listener_closed);
    }
    return NULL;
}

void cairn_turn_away(int fd, struct cairn_bytes last_words)
{
    ssize_t n = send(fd, last_words.data, last_words.size, MSG_NOSIGNAL | MSG_DONTWAIT);

    (void)n; /* best effort */
    close(fd);
}

/* --- sockets --- */

static void on_socket_event(uv_poll_t *poll, int status, int events);

static void watch(struct cairn_socket *socket)
{
    unsigned wants;
    int events;

    if (socket->closed || socket->broken || socket->lent)
        return;
    wants = socket->stream->ops->wants(socket->stream, socket->reading && !socket->ended,
                                       socket->wants_room || socket->ending);
    events = (wants & CAIRN_STREAM_READABLE ? UV_READABLE : 0) | (wants & CAIRN_STREAM_WRITABLE ? UV_WRITABLE : 0);
    if (events == socket->events)
        return;
    socket->events = events;
    if (events)
        uv_poll_start(&socket->poll, events, on_socket_event);
    else
        uv_poll_stop(&socket->poll);
}

struct cairn_stream *cairn_socket_lend(struct cairn_socket *socket)
{
    assert(!socket->lent && !socket->closed);
    uv_poll_stop(&socket->poll);
    socket->events = 0;
    socket->lent = true;
    return socket->stream;
}

void cairn_socket_resume(struct cairn_socket *socket)
{
    socket->lent = false;
    watch(socket);
}

static void break_off(struct cairn_socket *socket)
{
    if (socket->broken || socket->closed)
        return;
    uv_poll_stop(&socket->poll);
    socket->broken = true;
    socket->ops->on_broken(socket->context);
}

static void read_some(struct cairn_socket *socket)
{
    struct cairn_loop *loop = socket->loop;
    size_t size;

    if (socket->ops->on_readable) {
        socket->ops->on_readable(socket->context);
        return;
    }
    switch (socket->stream->ops->read(socket->stream, loop->read_buffer, loop->options.read_bytes, &size)) {
    case CAIRN_STREAM_MOVED:
        socket->ops->on_read(socket->context, cairn_bytes(loop->read_buffer, size));
        break;
    case CAIRN_STREAM_ENDED:
        socket->ended = true;
        watch(socket);
        socket->ops->on_end(socket->context);
        break;
    case CAIRN_STREAM_BROKEN:
        break_off(socket);
        break;
    case CAIRN_STREAM_BLOCKED:
        watch(socket); /* it may wait for something else now */
        break;
    }
}

/* What the stream waits for before it can go on with that has come. */
static bool may(const struct cairn_socket *socket, int events, bool to_read)
{
    unsigned wants = socket->stream->ops->wants(socket->stream, to_read, !to_read);

    return ((wants & CAIRN_STREAM_READABLE) && (events & UV_READABLE)) ||
           ((wants & CAIRN_STREAM_WRITABLE) && (events & UV_WRITABLE));
}

static void on_socket_event(uv_poll_t *poll, int status, int events)
{
    struct cairn_socket *socket = poll->data;

    socket->loop->yields = YIELDS;
    if (status < 0) { /* libuv has stopped watching */
        break_off(socket);
        return;
    }
    if (socket->ending && may(socket, events, false))
        cairn_socket_send_end(socket);
    if (socket->wants_room && !socket->closed && !socket->broken && may(socket, events, false)) {
        socket->wants_room = false;
        socket->ops->on_room(socket->context);
        watch(socket);
    }
    if (socket->reading && !socket->closed && !socket->broken && !socket->ended && may(socket, events, true))
        read_some(socket);
}

static enum cairn_code open_socket(struct cairn_loop *loop, struct cairn_stream *stream,
                                   const struct cairn_socket_ops *ops, void *context, struct cairn_socket **ret_socket,
                                   struct cairn_err *err)
{
    struct cairn_socket *socket = cairn_alloc_zeroed(1, sizeof *socket);
    int status = uv_poll_init(&loop->uv, &socket->poll, stream->fd);

    if (status < 0) {
        free(socket);
        return fail_uv(err, status, "taking a connection");
    }
    socket->poll.data = socket;
    socket->loop = loop;
    socket->ops = ops;
    socket->context = context;
    socket->stream = stream;
    socket->reading = true;
    watch(socket);
    *ret_socket = socket;
    return CAIRN_OK;
}

enum cairn_code cairn_socket_open(struct cairn_loop *loop, struct cairn_stream *stream,
                                  const struct cairn_socket_ops *ops, void *context, struct cairn_socket **ret_socket,
                                  struct cairn_err *err)
{
    enum cairn_code code = open_socket(loop, stream, ops, context, ret_socket, err);

    if (code != CAIRN_OK)
        stream->ops->close(stream);
    return code;
}

enum cairn_code cairn_socket_borrow(struct cairn_loop *loop, struct cairn_stream *stream,
                                    const struct cairn_socket_ops *ops, void *context, struct cairn_socket **ret_socket,
                                    struct cairn_err *err)
{
    enum cairn_code code = open_socket(loop, stream, ops, context, ret_socket, err);

    if (code == CAIRN_OK)
        (*ret_socket)->borrowed = true;
    return code;
}

static void on_socket_closed(uv_handle_t *handle)
{
    free(handle->data);
}

struct cairn_socket *cairn_socket_close(struct cairn_socket *socket)
{
    if (!socket)
        return NULL;
    assert(!socket->closed && !socket->lent);
    socket->closed = true;
    uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
    if (!socket->borrowed)
        socket->stream->ops->close(socket->stream); /* libuv has forgotten the descriptor by now */
    socket->stream = NULL;
    return NULL;
}

void cairn_socket_reading(struct cairn_socket *socket, bool on)
{
    socket->reading = on;
    watch(socket);
}

enum cairn_code cairn_socket_send(struct cairn_socket *socket, struct cairn_bytes bytes, size_t *ret_sent)
{
    size_t sent = 0;

    *ret_sent = 0;
    if (socket->broken || socket->stream->ops->write(socket->stream, bytes, &sent) == CAIRN_STREAM_BROKEN)
        return CAIRN_EIO;
    *ret_sent = sent;
    socket->wants_room = *ret_sent < bytes.size;
    watch(socket);
    return CAIRN_OK;
}

enum cairn_stream_result cairn_socket_readv(struct cairn_socket *socket, const struct iovec *to, size_t count,
                                            size_t *ret_size)
{
    return socket->stream->ops->readv(socket->stream, to, count, ret_size);
}

enum cairn_stream_result cairn_socket_sendv(struct cairn_socket *socket, const struct iovec *from, size_t count,
                                            size_t *ret_size)
{
    return socket->stream->ops->writev(socket->stream, from, count, ret_size);
}

void cairn_socket_want_room(struct cairn_socket *socket)
{
    socket->wants_room = true;
    watch(socket);
}

void cairn_socket_send_end(struct cairn_socket *socket)
{
    enum cairn_stream_result result;

    if (socket->broken)
        return;
    result = socket->stream->ops->shutdown(socket->stream);
    if (result == CAIRN_STREAM_BROKEN) {
        break_off(socket);
        return;
    }
    socket->ending = result == CAIRN_STREAM_BLOCKED;
    watch(socket);
}

const char *cairn_socket_peer(struct cairn_socket *socket, char to[CAIRN_ADDRESS_TEXT_BYTES])
{
    struct cairn_address address = {.size = sizeof address.at};

    if (getpeername(socket->stream->fd, (struct sockaddr *)&address.at, &address.size) != 0)
        return "?";
    return cairn_address_format(&address, to);
}

uint64_t cairn_raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;

        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            limit.rlim_cur = before;
    }
    return limit.rlim_cur;
}
