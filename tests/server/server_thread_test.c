/* Would catch: a server that does not answer over real sockets, loses replies of a client that reads slowly or has
 * closed its half, keeps dead or hostile clients for ever, lets one client's faults reach another, does not end,
 * or listens where it should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/random.h"
#include "io/dial.h"
#include "server/server.h"
#include "server/standin.h"

struct rig {
    struct cairn_server *server;
    struct standin *standin;
    pthread_t thread;
    bool finished;
};

static void *run(void *context)
{
    struct rig *rig = context;

    rig->finished = cairn_server_run(rig->server);
    return NULL;
}

static void rig_start(struct rig *rig, struct cairn_server_options options)
{
    struct cairn_err err;

    if (!options.workers)
        options.workers = 2;
    options.clock = cairn_clock_system();
    options.http = options.resp = "0";
    if (cairn_server_create(&options, &rig->server, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    rig->standin = standin_create(options.workers, cairn_server_wake, rig->server);
    if (cairn_server_start(rig->server, standin_backend(rig->standin), &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(pthread_create(&rig->thread, NULL, run, rig), 0);
}

static void rig_stop(struct rig *rig)
{
    cairn_server_stop(rig->server);
    pthread_join(rig->thread, NULL);
    cairn_server_destroy(rig->server);
    standin_destroy(rig->standin);
}

static int dial(const struct cairn_address *address)
{
    struct cairn_err err;
    int fd;

    if (cairn_dial(address, 10000, &fd, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    return fd;
}

static int dial_resp(const struct rig *rig)
{
    return dial(cairn_server_resp(rig->server));
}

static void send_text(int fd, const char *text)
{
    struct cairn_err err;

    if (cairn_dial_send(fd, cairn_str(text), &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

/* Receives `size` bytes, or to the end if the size is SIZE_MAX. */
static char *receive(int fd, size_t size)
{
    struct cairn_buf got = {0};
    struct cairn_err err;
    size_t n = 1;

    while (n > 0 && got.size < size) {
        size_t room = size - got.size < 65536 ? size - got.size : 65536;

        if (cairn_dial_receive(fd, cairn_buf_reserve(&got, room), room, &n, &err) != CAIRN_OK)
            fail_msg("%s", err.text);
        got.size += n;
    }
    cairn_buf_u8(&got, 0);
    return (char *)got.data;
}

static void expect(int fd, const char *want)
{
    char *got = receive(fd, strlen(want));

    assert_string_equal(got, want);
    free(got);
}

static void expect_closed(int fd, const char *want)
{
    char *got = receive(fd, SIZE_MAX);

    assert_string_equal(got, want);
    free(got);
    cairn_dial_close(fd);
}

static void test_both_ports(void **state)
{
    struct rig rig;
    int fds[8], http;
    char *got;

    (void)state;
    rig_start(&rig, (struct cairn_server_options){0});
    for (int i = 0; i < 8; i++) { /* some at either worker */
        fds[i] = dial_resp(&rig);
        send_text(fds[i], "PING\r\nFCALL Box.incr 1 counter\r\n");
    }
    for (int i = 0; i < 8; i++)
        expect(fds[i], "+PONG\r\n:");
    http = dial(cairn_server_http(rig.server));
    send_text(http, "GET /v1/objects/Box/counter/get HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    got = receive(http, SIZE_MAX);
    assert_non_null(strstr(got, "\r\n\r\n\"8\"\n"));
    free(got);
    http = dial(cairn_server_http(rig.server));
    send_text(http, "GET /metrics HTTP/1.0\r\n\r\n");
    got = receive(http, SIZE_MAX);
    assert_non_null(strstr(got, "\ncairn_connections{protocol=\"resp\"} 8\n"));
    assert_non_null(strstr(got, "\ncairn_requests_total{protocol=\"resp\"} 16\n"));
    free(got);
    for (int i = 0; i < 8; i++)
        cairn_dial_close(fds[i]);
    rig_stop(&rig);
    assert_true(rig.finished);
}

/* Much more is asked for than fits in all buffers; the client takes it late and little by little. */
static void test_slow_reader(void **state)
{
    enum { COMMANDS = 3000, BYTES = 10000 };
    static const char command[] = "FCALL Box.big 1 b1 10000\r\n";
    struct cairn_buf all = {0};
    struct rig rig;
    size_t sent = 0;
    int fd;

    (void)state;
    rig_start(&rig, (struct cairn_server_options){.workers = 1});
    fd = dial_resp(&rig);
    for (int i = 0; i < COMMANDS; i++)
        cairn_buf_str(&all, command);
    for (int i = 0; i < COMMANDS; i++) {
        char *got;

        while (sent < all.size) { /* as much as goes */
            ssize_t n = send(fd, all.data + sent, all.size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

            if (n <= 0)
                break;
            sent += (size_t)n;
        }
        if (i == 0)
            usleep(100000);
        got = receive(fd, BYTES + strlen("$10000\r\n\r\n"));
        assert_memory_equal(got, "$10000\r\nxxxx", 12);
        assert_memory_equal(got + BYTES + 6, "xx\r\n", 5);
        free(got);
    }
    assert_int_equal(sent, all.size);
    cairn_buf_done(&all);
    cairn_dial_close(fd);
    rig_stop(&rig);
}

/* One who never reads is closed; the node holds no more for it than it may. */
static void test_no_reader(void **state)
{
    struct rig rig;
    int fd, other;
    size_t sent = 0;
    bool closed = false;

    (void)state;
    rig_start(&rig, (struct cairn_server_options){.workers = 1, .stalled_ms = 200});
    fd = dial_resp(&rig);
    other = dial_resp(&rig);
    for (int i = 0; i < 1000 && !closed; i++) {
        static const char commands[] = "FCALL Box.big 1 b1 100000\r\nFCALL Box.big 1 b1 100000\r\n";
        ssize_t n = send(fd, commands, sizeof commands - 1, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n > 0)
            sent += (size_t)n;
        closed = n < 0 && (errno == EPIPE || errno == ECONNRESET);
        send_text(other, "PING\r\n"); /* others do not notice */
        expect(other, "+PONG\r\n");
        usleep(5000);
    }
    assert_true(closed);
    assert_true(sent > 0);
    cairn_dial_close(fd);
    cairn_dial_close(other);
    rig_stop(&rig);
}

static void test_half_closed(void **state)
{
    struct rig rig;
    struct cairn_buf want = {0};
    int fd;

    (void)state;
    rig_start(&rig, (struct cairn_server_options){0});
    fd = dial_resp(&rig);
    for (int i = 0; i < 3000; i++) {
        send_text(fd, "FCALL Box.late 1 b1 2 x\r\n");
        cairn_buf_str(&want, "$1\r\nx\r\n");
    }
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    cairn_buf_u8(&want, 0);
    expect_closed(fd, (char *)want.data);
    cairn_buf_done(&want);
    rig_stop(&rig);
}

static void test_half_requests_time_out(void **state)
{
    struct rig rig;
    int resp, http, drip, good;
    char *got;

    (void)state;
    rig_start(&rig, (struct cairn_server_options){.partial_ms = 200, .http_idle_ms = 100000});
    resp = dial_resp(&rig);
    send_text(resp, "*1\r\n$4\r\nPI");
    http = dial(cairn_server_http(rig.server));
    send_text(http, "GET / HTTP/1.1\r\n");
    drip = dial(cairn_server_http(rig.server));
    good = dial_resp(&rig);
    send_text(drip, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < 12; i++) { /* a header now and then does not help, whole commands do */
        (void)!send(drip, "A: b\r\n", 6, MSG_NOSIGNAL);
        send_text(good, i == 0 ? "*1\r\n$4\r\nPI" : "NG\r\n*1\r\n$4\r\nPI");
        usleep(50000);
    }
    expect_closed(resp, "-ERR Protocol error: the rest of the command did not come in time\r\n");
    got = receive(http, 13);
    assert_string_equal(got, "HTTP/1.1 408 ");
    free(got);
    got = receive(drip, 13);
    assert_string_equal(got, "HTTP/1.1 408 ");
    free(got);
    send_text(good, "NG\r\n");
    for (int i = 0; i < 12; i++)
        expect(good, "+PONG\r\n");
    cairn_dial_close(http);
    cairn_dial_close(drip);
    cairn_dial_close(good);
    rig_stop(&rig);
}

/* Who sends far too much is told so, though it goes on sending. */
static void test_refusal_of_a_large_body_arrives(void **state)
{
    static char zeros[1 << 20];
    struct rig rig;
    char *got;

    (void)state;
    rig_start(&rig, (struct cairn_server_options){.workers = 1});
    for (int i = 0; i < 20; i++) {
        int fd = dial(cairn_server_http(rig.server));

        send_text(fd, "PUT /v1/modules/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 52428800\r\n\r\n");
        for (int mib = 0; mib < 50; mib++) {
            struct cairn_err err;

            if (cairn_dial_send(fd, cairn_bytes(zeros, sizeof zeros), &err) != CAIRN_OK)
                fail_msg("after %d MiB: %s", mib, err.text);
        }
        got = receive(fd, SIZE_MAX);
        assert_memory_equal(got, "HTTP/1.1 413 ", 13);
        free(got);
        cairn_dial_close(fd);
    }
    rig_stop(&rig);
}

static void test_idle_http_is_closed(void **state)
{
    struct rig rig;
    int http, resp;
    char *got;

    (void)state;
    rig_start(&rig, (struct cairn_server_options){.http_idle_ms = 100});
    resp = dial_resp(&rig);
    http = dial(cairn_server_http(rig.server));
    send_text(http, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    got = receive(http, SIZE_MAX);
    assert_memory_equal(got, "HTTP/1.1 200", 12);
    free(got);
    send_text(resp, "PING\r\n"); /* Redis clients may stay */
    expect(resp, "+PONG\r\n");
    cairn_dial_close(http);
    cairn_dial_close(resp);
    rig_stop(&rig);
}

static void test_too_many_connections(void **state)
{
    struct rig rig;
    int fds[3], more;
    char *got;

    (void)state;
    rig_start(&rig, (struct cairn_server_options){.connections_max = 3});
    for (int i = 0; i < 3; i++) {
        fds[i] = dial_resp(&rig);
        send_text(fds[i], "PING\r\n");
        expect(fds[i], "+PONG\r\n");
    }
    more = dial_resp(&rig);
    expect_closed(more, "-ERR max number of clients reached\r\n");
    more = dial(cairn_server_http(rig.server));
    got = receive(more, SIZE_MAX);
    assert_memory_equal(got, "HTTP/1.1 503", 12);
    assert_int_equal(strlen(strstr(got, "\r\n\r\n") + 4), (size_t)atoi(strstr(got, "Content-Length: ") + 16));
    free(got);
    cairn_dial_close(more);
    cairn_dial_close(fds[0]);
    for (int i = 0;; i++) { /* there is room again */
        more = dial_resp(&rig);
        send_text(more, "PING\r\n");
        got = receive(more, 5);
        if (strcmp(got, "+PONG") == 0)
            break;
        free(got);
        cairn_dial_close(more);
        assert_true(i < 1000);
        usleep(1000);
    }
    free(got);
    cairn_dial_close(more);
    cairn_dial_close(fds[1]);
    cairn_dial_close(fds[2]);
    rig_stop(&rig);
}

/* What was begun is finished, what comes later refused, and then it ends. */
static void test_graceful_stop(void **state)
{
    struct rig rig;
    int slow, late, idle;

    (void)state;
    rig_start(&rig, (struct cairn_server_options){.workers = 1, .stop_ms = 20000});
    slow = dial_resp(&rig);
    late = dial_resp(&rig);
    idle = dial_resp(&rig);
    send_text(slow, "FCALL Box.never 1 b1\r\n");
    send_text(late, "PING\r\n");
    expect(late, "+PONG\r\n");
    while (standin_admitted(rig.standin) != 1)
        usleep(1000);
    cairn_server_stop(rig.server);
    for (;;) { /* the stop is on its way: some calls may still be taken */
        char *got;

        send_text(late, "FCALL Box.nil 1 b1\r\n");
        got = receive(late, 2);
        if (got[0] == '-') {
            free(got);
            break;
        }
        free(got);
        expect(late, "1\r\n");
    }
    expect(late, "NAVAILABLE the node is stopping\r\n");
    usleep(50000);
    assert_int_equal(standin_admitted(rig.standin), 1);
    standin_release(rig.standin);
    expect_closed(slow, "$8\r\nreleased\r\n");
    expect_closed(late, "");
    expect_closed(idle, "");
    pthread_join(rig.thread, NULL);
    assert_true(rig.finished);
    cairn_server_destroy(rig.server);
    standin_destroy(rig.standin);
}

static void test_stop_has_a_deadline(void **state)
{
    struct rig rig;
    int fd;

    (void)state;
    rig_start(&rig, (struct cairn_server_options){.workers = 1, .stop_ms = 100});
    fd = dial_resp(&rig);
    send_text(fd, "FCALL Box.never 1 b1\r\n");
    while (standin_admitted(rig.standin) != 1)
        usleep(1000);
    cairn_server_stop(rig.server);
    pthread_join(rig.thread, NULL);
    assert_false(rig.finished);
    cairn_dial_close(fd);
    cairn_server_destroy(rig.server);
    standin_destroy(rig.standin);
}

/* Clients that vanish, break off or talk nonsense hurt nobody. */
static void test_hostile_clients(void **state)
{
    struct rig rig;
    struct cairn_random random;
    struct linger at_once = {.l_onoff = 1};
    int good;

    (void)state;
    rig_start(&rig, (struct cairn_server_options){0});
    good = dial_resp(&rig);
    cairn_random_init(&random, 5);
    for (int i = 0; i < 300; i++) {
        int fd = dial(i % 3 ? cairn_server_resp(rig.server) : cairn_server_http(rig.server));
        uint8_t bytes[600];
        size_t size = cairn_random_below(&random, sizeof bytes);

        cairn_random_fill(&random, bytes, size);
        if (cairn_random_below(&random, 2))
            bytes[0] = '*';
        (void)!send(fd, bytes, size, MSG_NOSIGNAL);
        (void)!send(fd, "\r\nFCALL Box.late 1 b1 5 x\r\nFCALL Box.big 1 b1 100000\r\n", 54, MSG_NOSIGNAL);
        if (cairn_random_below(&random, 2))
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once); /* a reset instead of an end */
        cairn_dial_close(fd);
        send_text(good, "PING\r\n");
        expect(good, "+PONG\r\n");
    }
    cairn_dial_close(good);
    rig_stop(&rig);
    assert_true(rig.finished);
}

static void test_addresses(void **state)
{
    struct cairn_server_options options = {.workers = 1, .clock = cairn_clock_system(), .http = "off", .resp = "0"};
    struct cairn_server *server;
    struct rig rig;
    struct cairn_err err;
    char taken[CAIRN_ADDRESS_TEXT_BYTES];

    (void)state;
    assert_int_equal(cairn_server_create(&options, &server, &err), CAIRN_OK);
    assert_null(cairn_server_http(server));
    cairn_server_destroy(server);

    rig_start(&rig, options); /* sharing a port must not mean sharing it with another node */
    options.resp = cairn_address_format(cairn_server_resp(rig.server), taken);
    assert_int_equal(cairn_server_create(&options, &server, &err), CAIRN_ECONFLICT);
    assert_non_null(strstr(err.text, taken));
    rig_stop(&rig);

    options.resp = "0.0.0.0:0";
    assert_int_equal(cairn_server_create(&options, &server, &err), CAIRN_EACCES);
    assert_non_null(strstr(err.text, "--insecure"));
    options.insecure = true;
    assert_int_equal(cairn_server_create(&options, &server, &err), CAIRN_OK);
    cairn_server_destroy(server);
    options.resp = "localhost:99999";
    assert_int_equal(cairn_server_create(&options, &server, &err), CAIRN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ports),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_no_reader),
        cmocka_unit_test(test_half_closed),
        cmocka_unit_test(test_half_requests_time_out),
        cmocka_unit_test(test_refusal_of_a_large_body_arrives),
        cmocka_unit_test(test_idle_http_is_closed),
        cmocka_unit_test(test_too_many_connections),
        cmocka_unit_test(test_graceful_stop),
        cmocka_unit_test(test_stop_has_a_deadline),
        cmocka_unit_test(test_hostile_clients),
        cmocka_unit_test(test_addresses),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
