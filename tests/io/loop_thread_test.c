/* Would catch: a wake that is lost between a turn's end and the loop's sleep, waits that are not kept, addresses read
 * wrongly or taken for the loopback, sockets that lose, double or keep back bytes, bytes that pass a stream by, and a
 * stream that is not called when what it waits for has come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "io/dial.h"
#include "io/loop.h"

/* --- wakes --- */

enum { WAKERS = 3, WAKES = 20000 };

struct wakes {
    struct cairn_loop *loop;
    atomic_uint posted; /* by all wakers */
    unsigned taken;     /* by the loop */
    uint64_t turns;
};

static bool take_wakes(void *context, uint64_t *ret_wait_ns)
{
    struct wakes *wakes = context;

    (void)ret_wait_ns; /* for ever: only a wake gets us further */
    wakes->turns++;
    wakes->taken = atomic_load(&wakes->posted);
    if (wakes->taken == WAKERS * WAKES)
        cairn_loop_stop(wakes->loop);
    return false;
}

static void *wake(void *context)
{
    struct wakes *wakes = context;

    for (int i = 0; i < WAKES; i++) {
        atomic_fetch_add(&wakes->posted, 1);
        cairn_loop_wake(wakes->loop);
        if (i % 64 == 0) { /* so that the loop goes to sleep now and then */
            struct timespec pause = {.tv_nsec = 1000};

            nanosleep(&pause, NULL);
        }
    }
    return NULL;
}

static void test_no_wake_is_lost(void **state)
{
    struct wakes wakes = {0};
    struct cairn_loop_options options = {.turn = take_wakes, .context = &wakes};
    pthread_t threads[WAKERS];
    struct cairn_err err;

    (void)state;
    assert_int_equal(cairn_loop_create(&options, &wakes.loop, &err), CAIRN_OK);
    for (int i = 0; i < WAKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wake, &wakes), 0);
    cairn_loop_run(wakes.loop); /* hangs if the last one is lost */
    for (int i = 0; i < WAKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wakes.taken, WAKERS * WAKES);
    cairn_loop_destroy(wakes.loop);
}

struct waits {
    struct cairn_loop *loop;
    unsigned turns;
};

static bool wait_some(void *context, uint64_t *ret_wait_ns)
{
    struct waits *waits = context;

    if (++waits->turns == 11)
        cairn_loop_stop(waits->loop);
    *ret_wait_ns = 10000000;
    return waits->turns % 2 == 0; /* every other turn says that there is more */
}

static void test_waits_are_kept(void **state)
{
    struct waits waits = {0};
    struct cairn_loop_options options = {.turn = wait_some, .context = &waits};
    struct timespec from, to;
    struct cairn_err err;
    double ms;

    (void)state;
    assert_int_equal(cairn_loop_create(&options, &waits.loop, &err), CAIRN_OK);
    clock_gettime(CLOCK_MONOTONIC, &from);
    cairn_loop_run(waits.loop);
    clock_gettime(CLOCK_MONOTONIC, &to);
    ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    assert_true(ms >= 45 && ms < 2000); /* five waits of 10 ms, counted in whole milliseconds */
    cairn_loop_destroy(waits.loop);
}

/* --- sockets: an echo --- */

enum { ECHO_BYTES = 3 << 20 };

struct echo {
    struct cairn_loop *loop;
    struct cairn_listener *listener;
    struct cairn_socket *socket;
    struct cairn_buf kept; /* not sent back yet */
    bool ended, broken;
    bool greets;   /* over the stream below */
    uint8_t first; /* byte of all that came in */
};

static void send_back(struct echo *echo)
{
    size_t sent;

    if (echo->kept.size) {
        assert_int_equal(cairn_socket_send(echo->socket, cairn_buf_bytes(&echo->kept), &sent), CAIRN_OK);
        cairn_buf_consume(&echo->kept, sent);
    }
    cairn_socket_reading(echo->socket, echo->kept.size < 100000);
    if (echo->ended && echo->kept.size == 0 && echo->greets) {
        cairn_socket_send_end(echo->socket);
    } else if (echo->ended && echo->kept.size == 0) {
        echo->socket = cairn_socket_close(echo->socket);
        cairn_loop_stop(echo->loop);
    }
}

static void on_read(void *context, struct cairn_bytes bytes)
{
    struct echo *echo = context;

    assert_true(bytes.size > 0 && bytes.size <= 1000);
    echo->first = echo->first ? echo->first : bytes.data[0];
    cairn_buf_add(&echo->kept, bytes.data, bytes.size);
    send_back(echo);
}

static void on_room(void *context)
{
    send_back(context);
}

static void on_end(void *context)
{
    struct echo *echo = context;

    echo->ended = true;
    send_back(echo);
}

static void on_broken(void *context)
{
    struct echo *echo = context;

    echo->broken = true;
    echo->socket = cairn_socket_close(echo->socket);
    cairn_loop_stop(echo->loop);
}

static const struct cairn_socket_ops echo_ops = {
    .on_read = on_read, .on_room = on_room, .on_end = on_end, .on_broken = on_broken};

/* A stream as one that encrypts would be: it turns bytes into others, has to write a byte of its own before it can
 * read, and to wait before it can end. */
struct greeting {
    struct cairn_stream stream, *below;
    struct echo *echo;
    bool greeted, told;
};

static struct greeting *greeting_of(const struct cairn_stream *stream)
{
    return (struct greeting *)(uintptr_t)stream;
}

static enum cairn_stream_result greeting_read(struct cairn_stream *stream, uint8_t *to, size_t room, size_t *ret_size)
{
    struct greeting *greeting = greeting_of(stream);
    enum cairn_stream_result result;
    size_t sent;

    if (!greeting->greeted) {
        greeting->greeted = greeting->below->ops->write(greeting->below, cairn_str("g"), &sent) == CAIRN_STREAM_MOVED;
        return CAIRN_STREAM_BLOCKED;
    }
    result = greeting->below->ops->read(greeting->below, to, room, ret_size);
    for (size_t i = 0; result == CAIRN_STREAM_MOVED && i < *ret_size; i++)
        to[i] ^= 0x55;
    return result;
}

static enum cairn_stream_result greeting_write(struct cairn_stream *stream, struct cairn_bytes bytes, size_t *ret_size)
{
    struct greeting *greeting = greeting_of(stream);
    uint8_t some[100];
    size_t size = bytes.size < sizeof some ? bytes.size : sizeof some;

    for (size_t i = 0; i < size; i++)
        some[i] = bytes.data[i] ^ 0x55;
    return greeting->below->ops->write(greeting->below, cairn_bytes(some, size), ret_size);
}

static enum cairn_stream_result greeting_shutdown(struct cairn_stream *stream)
{
    struct greeting *greeting = greeting_of(stream);

    if (!greeting->told) {
        greeting->told = true;
        return CAIRN_STREAM_BLOCKED;
    }
    cairn_loop_stop(greeting->echo->loop);
    return greeting->below->ops->shutdown(greeting->below);
}

static unsigned greeting_wants(const struct cairn_stream *stream, bool to_read, bool to_write)
{
    return (to_read ? greeting_of(stream)->greeted ? CAIRN_STREAM_READABLE : CAIRN_STREAM_WRITABLE : 0) |
           (to_write ? CAIRN_STREAM_WRITABLE : 0);
}

static void greeting_close(struct cairn_stream *stream)
{
    greeting_of(stream)->below->ops->close(greeting_of(stream)->below);
    free(stream);
}

static struct cairn_stream *greeting_stream(int fd, struct echo *echo)
{
    static const struct cairn_stream_ops ops = {
        .read = greeting_read,
        .write = greeting_write,
        .shutdown = greeting_shutdown,
        .wants = greeting_wants,
        .close = greeting_close,
    };
    struct greeting *greeting = cairn_alloc_zeroed(1, sizeof *greeting);

    greeting->stream = (struct cairn_stream){&ops, fd};
    greeting->below = cairn_stream_tcp(fd);
    greeting->echo = echo;
    return &greeting->stream;
}

static void on_accept(void *context, int fd)
{
    struct echo *echo = context;

    if (echo->socket)
        cairn_turn_away(fd, cairn_str("one is enough"));
    else
        assert_int_equal(cairn_socket_open(echo->loop, echo->greets ? greeting_stream(fd, echo) : cairn_stream_tcp(fd),
                                           &echo_ops, echo, &echo->socket, NULL),
                         CAIRN_OK);
}

static bool idle_turn(void *context, uint64_t *ret_wait_ns)
{
    (void)context;
    (void)ret_wait_ns;
    return false;
}

static void echo_open(struct echo *echo, struct cairn_address *address)
{
    struct cairn_loop_options options = {.turn = idle_turn, .read_bytes = 1000};
    struct cairn_err err;
    int fd;

    *echo = (struct echo){0};
    assert_int_equal(cairn_loop_create(&options, &echo->loop, &err), CAIRN_OK);
    assert_int_equal(cairn_address_parse("127.0.0.1:0", 1, address, &err), CAIRN_OK);
    assert_int_equal(cairn_port_bind(address, true, &fd, &err), CAIRN_OK);
    assert_int_not_equal(cairn_address_port(address), 0);
    assert_int_equal(cairn_listener_open(echo->loop, fd, on_accept, echo, &echo->listener, &err), CAIRN_OK);
}

static void echo_close(struct echo *echo)
{
    echo->listener = cairn_listener_close(echo->listener);
    cairn_loop_destroy(echo->loop);
    cairn_buf_done(&echo->kept);
}

struct talker {
    struct cairn_address address;
    size_t received;
    bool same;
};

static void *write_all(void *context)
{
    int fd = *(int *)context;
    uint8_t *bytes = cairn_alloc(ECHO_BYTES);

    for (size_t i = 0; i < ECHO_BYTES; i++)
        bytes[i] = (uint8_t)(i % 251);
    cairn_dial_send(fd, cairn_bytes(bytes, ECHO_BYTES), NULL);
    shutdown(fd, SHUT_WR);
    free(bytes);
    return NULL;
}

/* Sends without reading for a while, then reads all. */
static void *talk(void *context)
{
    struct talker *talker = context;
    uint8_t bytes[5000];
    struct timespec pause = {.tv_nsec = 50000000};
    pthread_t writer;
    size_t n;
    int fd;

    talker->same = cairn_dial(&talker->address, 10000, &fd, NULL) == CAIRN_OK;
    pthread_create(&writer, NULL, write_all, &fd);
    nanosleep(&pause, NULL);
    while (talker->same && cairn_dial_receive(fd, bytes, sizeof bytes, &n, NULL) == CAIRN_OK && n > 0)
        for (size_t i = 0; i < n; i++, talker->received++)
            talker->same &= bytes[i] == (uint8_t)(talker->received % 251);
    pthread_join(writer, NULL);
    cairn_dial_close(fd);
    return NULL;
}

/* Waits for the greeting before it says anything. */
static void *wait_for_greeting(void *context)
{
    struct talker *talker = context;
    uint8_t byte, bytes[300];
    size_t n;
    int fd;

    talker->same = cairn_dial(&talker->address, 10000, &fd, NULL) == CAIRN_OK &&
                   cairn_dial_receive(fd, &byte, 1, &n, NULL) == CAIRN_OK && n == 1 && byte == 'g';
    memset(bytes, 'b', sizeof bytes);
    cairn_dial_send(fd, cairn_bytes(bytes, sizeof bytes), NULL);
    shutdown(fd, SHUT_WR);
    while (talker->same && cairn_dial_receive(fd, &byte, 1, &n, NULL) == CAIRN_OK && n > 0) {
        talker->received++;
        talker->same = byte == 'b';
    }
    cairn_dial_close(fd);
    return NULL;
}

static void test_a_stream_between(void **state)
{
    struct talker talker = {0};
    pthread_t thread;
    struct echo echo;

    (void)state;
    echo_open(&echo, &talker.address);
    echo.greets = true;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_greeting, &talker), 0);
    cairn_loop_run(echo.loop);
    pthread_join(thread, NULL);
    assert_true(talker.same);
    assert_int_equal(talker.received, 300);
    assert_int_equal(echo.first, 'b' ^ 0x55);
    assert_false(echo.broken);
    echo.socket = cairn_socket_close(echo.socket);
    echo_close(&echo);
}

static void test_sockets_carry_everything(void **state)
{
    struct talker talker = {0};
    pthread_t thread;
    struct echo echo;

    (void)state;
    echo_open(&echo, &talker.address);
    assert_int_equal(pthread_create(&thread, NULL, talk, &talker), 0);
    cairn_loop_run(echo.loop);
    pthread_join(thread, NULL);
    assert_true(talker.same);
    assert_int_equal(talker.received, ECHO_BYTES);
    assert_false(echo.broken);
    echo_close(&echo);
}

static void *reset(void *context)
{
    struct linger at_once = {.l_onoff = 1};
    struct timespec pause = {.tv_nsec = 50000000};
    uint8_t bytes[32];
    size_t n;
    int fd, second;

    cairn_dial(context, 10000, &fd, NULL);
    cairn_dial_send(fd, cairn_str("x"), NULL);
    cairn_dial_receive(fd, bytes, sizeof bytes, &n, NULL);
    if (cairn_dial(context, 10000, &second, NULL) == CAIRN_OK) {
        cairn_dial_receive(second, bytes, sizeof bytes, &n, NULL);
        cairn_dial_close(second);
    }
    nanosleep(&pause, NULL);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
    return n == 13 ? context : NULL;
}

static void test_a_reset_is_told(void **state)
{
    struct cairn_address address;
    struct echo echo;
    pthread_t thread;
    void *turned_away;

    (void)state;
    echo_open(&echo, &address);
    assert_int_equal(pthread_create(&thread, NULL, reset, &address), 0);
    cairn_loop_run(echo.loop);
    pthread_join(thread, &turned_away);
    assert_true(echo.broken);
    assert_non_null(turned_away);
    echo_close(&echo);
}

static void test_nobody_answers(void **state)
{
    struct cairn_address address;
    struct cairn_err err;
    struct echo echo;
    int fd;

    (void)state;
    echo_open(&echo, &address); /* a port that is free afterwards */
    echo_close(&echo);
    assert_int_equal(cairn_dial(&address, 1000, &fd, &err), CAIRN_EUNAVAILABLE);
}

/* --- addresses --- */

static const struct {
    const char *text, *want; /* NULL: refused */
    bool loopback;
} addresses[] = {
    {"127.0.0.1:7070", "127.0.0.1:7070", true},
    {"7071", "127.0.0.1:7071", true},
    {":7071", "127.0.0.1:7071", true},
    {"0", "127.0.0.1:0", true},
    {"localhost", "127.0.0.1:5", true},
    {"localhost:1", "127.0.0.1:1", true},
    {"127.9.9.9", "127.9.9.9:5", true},
    {"0.0.0.0:1", "0.0.0.0:1", false},
    {"10.0.0.1:65535", "10.0.0.1:65535", false},
    {"[::1]:1", "[::1]:1", true},
    {"[::1]", "[::1]:5", true},
    {"::1", "[::1]:5", true},
    {"[::]:1", "[::]:1", false},
    {"[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true},
    {"[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]:1", false},
    {"", NULL, false},
    {"127.0.0.1:", NULL, false},
    {"127.0.0.1:x", NULL, false},
    {"127.0.0.1:65536", NULL, false},
    {"127.0.0.1:123456", NULL, false},
    {"[::1", NULL, false},
    {"[::1]x", NULL, false},
    {"[::1]:", NULL, false},
    {"1.2.3.4.5:1", NULL, false},
};

static void test_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct cairn_address address;
        struct cairn_err err;
        char text[CAIRN_ADDRESS_TEXT_BYTES];
        enum cairn_code code = cairn_address_parse(addresses[i].text, 5, &address, &err);

        if (!addresses[i].want) {
            if (code != CAIRN_EINVAL)
                fail_msg("'%s' was taken", addresses[i].text);
            continue;
        }
        if (code != CAIRN_OK)
            fail_msg("'%s': %s", addresses[i].text, err.text);
        assert_string_equal(cairn_address_format(&address, text), addresses[i].want);
        if (cairn_address_is_loopback(&address) != addresses[i].loopback)
            fail_msg("'%s': loopback %d", addresses[i].text, !addresses[i].loopback);
    }
}

static bool work_long(void *context, uint64_t *ret_wait_ns)
{
    struct waits *waits = context;

    usleep(8000); /* what is due when the loop comes to wait must not make it wait for ever */
    if (++waits->turns == 20)
        cairn_loop_stop(waits->loop);
    *ret_wait_ns = 2000000;
    return false;
}

static void test_turns_longer_than_waits(void **state)
{
    struct waits waits = {0};
    struct cairn_loop_options options = {.turn = work_long, .context = &waits};

    (void)state;
    alarm(20); /* else it hangs */
    assert_int_equal(cairn_loop_create(&options, &waits.loop, NULL), CAIRN_OK);
    cairn_loop_run(waits.loop);
    assert_int_equal(waits.turns, 20);
    cairn_loop_destroy(waits.loop);
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_wake_is_lost),  cmocka_unit_test(test_waits_are_kept),
        cmocka_unit_test(test_a_stream_between), cmocka_unit_test(test_sockets_carry_everything),
        cmocka_unit_test(test_a_reset_is_told),  cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_addresses),        cmocka_unit_test(test_turns_longer_than_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
