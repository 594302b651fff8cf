/* loop.h - one thread's event loop, its listeners and sockets, over libuv.
 *
 * The loop's owner supplies a turn: it is called after every round of events and says
 * whether there is more to do at once, or how long to wait.  So everything that one round
 * brought in is worked on together, and what it produced is sent together.
 * Sockets never block.  A socket's input arrives in the loop's one shared buffer: an idle
 * connection owns no buffer.
 * Threads: a loop and its sockets belong to the thread that runs it; cairn_loop_wake may be
 * called by any.
 * Layer: io; uses base. */
#ifndef CAIRN_IO_LOOP_H
#define CAIRN_IO_LOOP_H

#include <sys/socket.h>

#include "base/bytes.h"
#include "base/err.h"
#include "io/stream.h"

struct cairn_loop;

struct cairn_loop_options {
    /* True: there is more to do, look for events without waiting and call again.  False: wait for
     * events, but at most *ret_wait_ns (UINT64_MAX as it comes in: for ever). */
    bool (*turn)(void *context, uint64_t *ret_wait_ns);
    void *context;
    size_t read_bytes; /* of the shared buffer; 0: 64 KiB */
};

enum cairn_code cairn_loop_create(const struct cairn_loop_options *options, struct cairn_loop **ret_loop,
                                  struct cairn_err *err);
/* Everything that was opened on it has been closed.  Returns NULL; accepts NULL. */
struct cairn_loop *cairn_loop_destroy(struct cairn_loop *loop);

/* Until cairn_loop_stop. */
void cairn_loop_run(struct cairn_loop *loop);
void cairn_loop_stop(struct cairn_loop *loop);
/* Any thread: the turn will be called soon.  Costs a system call only if the loop sleeps. */
void cairn_loop_wake(struct cairn_loop *loop);
/* Monotonic, as of the beginning of this round. */
uint64_t cairn_loop_now_ms(struct cairn_loop *loop);
/* Calls on_signal in the loop when the process is sent the signal; until cairn_loop_unsignal or the loop
 * is destroyed. */
enum cairn_code cairn_loop_signal(struct cairn_loop *loop, int signal_number,
                                  void (*on_signal)(void *context, int signal_number), void *context,
                                  struct cairn_err *err);
/* From here on signals do what they do by default: end the process. */
void cairn_loop_unsignal(struct cairn_loop *loop);

/* --- addresses --- */

enum { CAIRN_ADDRESS_TEXT_BYTES = 64 };

struct cairn_address {
    struct sockaddr_storage at;
    socklen_t size;
};

/* "HOST:PORT", "[V6]:PORT", ":PORT", "PORT" or "HOST"; without a host, and for "localhost", it is 127.0.0.1.  May ask
 * the resolver. */
enum cairn_code cairn_address_parse(const char *text, uint16_t default_port, struct cairn_address *ret_address,
                                    struct cairn_err *err);
/* True if it was 127.0.0.1 for want of an address: a server there is expected at [::1] as well. */
bool cairn_address_is_localhost(const char *text);
/* [::1] with a port. */
struct cairn_address cairn_address_loopback6(uint16_t port);
bool cairn_address_is_loopback(const struct cairn_address *address);
uint16_t cairn_address_port(const struct cairn_address *address);
/* "127.0.0.1:7070", "[::1]:7070" */
const char *cairn_address_format(const struct cairn_address *address, char to[CAIRN_ADDRESS_TEXT_BYTES]);

/* --- listeners --- */

/* Binds a port without listening; with port 0 any free one is taken.  Several ports on one address
 * share its connections (SO_REUSEPORT); `first` refuses an address that another process serves
 * (CAIRN_ECONFLICT).  CAIRN_ENOTFOUND when this machine has no such address. */
enum cairn_code cairn_port_bind(struct cairn_address *address, bool first, int *ret_fd, struct cairn_err *err);

struct cairn_listener;
/* Takes the bound port, starts to listen, and hands accepted connections over; on_accept takes
 * the descriptor. */
enum cairn_code cairn_listener_open(struct cairn_loop *loop, int fd, void (*on_accept)(void *context, int fd),
                                    void *context, struct cairn_listener **ret_listener, struct cairn_err *err);
struct cairn_listener *cairn_listener_close(struct cairn_listener *listener); /* returns NULL; accepts NULL */

/* For a connection that is not wanted: sends what goes at once, and closes. */
void cairn_turn_away(int fd, struct cairn_bytes last_words);

/* --- sockets --- */

struct cairn_socket;

struct cairn_socket_ops {
    /* The bytes are borrowed for the call. */
    void (*on_read)(void *context, struct cairn_bytes bytes);
    /* There is room again after cairn_socket_send took less than it was given. */
    void (*on_room)(void *context);
    /* The other side will send nothing more; what is sent to it may still arrive. */
    void (*on_end)(void *context);
    /* The connection is broken; nothing more will be called.  Close it. */
    void (*on_broken)(void *context);
    /* Instead of on_read and on_end, where it is not NULL: there is something, which the owner reads by
     * cairn_socket_readv. */
    void (*on_readable)(void *context);
};

/* A socket moves a stream's bytes as the loop's events say.  Takes the stream, also when it fails.  Reads from the
 * start. */
enum cairn_code cairn_socket_open(struct cairn_loop *loop, struct cairn_stream *stream,
                                  const struct cairn_socket_ops *ops, void *context, struct cairn_socket **ret_socket,
                                  struct cairn_err *err);
/* Nothing is called any more.  Returns NULL; accepts NULL. */
struct cairn_socket *cairn_socket_close(struct cairn_socket *socket);
void cairn_socket_reading(struct cairn_socket *socket, bool on);
/* How much the stream took; if that is not all, on_room will follow.  CAIRN_EIO: broken. */
enum cairn_code cairn_socket_send(struct cairn_socket *socket, struct cairn_bytes bytes, size_t *ret_sent);
/* Tells the other side that nothing follows what has been sent; it may still send. */
void cairn_socket_send_end(struct cairn_socket *socket);
/* Into and out of several pieces, at most 1,024.  BLOCKED: again when on_readable is called, or when on_room is, which
 * cairn_socket_want_room asks for. */
enum cairn_stream_result cairn_socket_readv(struct cairn_socket *socket, const struct iovec *to, size_t count,
                                            size_t *ret_size);
enum cairn_stream_result cairn_socket_sendv(struct cairn_socket *socket, const struct iovec *from, size_t count,
                                            size_t *ret_size);
void cairn_socket_want_room(struct cairn_socket *socket);

/* The stream, for a while, for a socket of another loop: nothing is watched, sent or called until the socket resumes,
 * and it must not be closed before. */
struct cairn_stream *cairn_socket_lend(struct cairn_socket *socket);
void cairn_socket_resume(struct cairn_socket *socket);
/* As cairn_socket_open with a stream that another one has lent: it is not closed with this one. */
enum cairn_code cairn_socket_borrow(struct cairn_loop *loop, struct cairn_stream *stream,
                                    const struct cairn_socket_ops *ops, void *context, struct cairn_socket **ret_socket,
                                    struct cairn_err *err);

/* The other side's address; "?" when it is gone. */
const char *cairn_socket_peer(struct cairn_socket *socket, char to[CAIRN_ADDRESS_TEXT_BYTES]);

/* Raises the soft limit of open files to the hard one; returns it. */
uint64_t cairn_raise_file_limit(void);

#endif
