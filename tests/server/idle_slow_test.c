/* Would catch: idle connections that cost much memory or time.  10,000 of them, or as many as the limit of open files
 * allows, are held by another process; the node stays small, idle and quick. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/dial.h"
#include "io/process.h"
#include "server/server.h"
#include "server/standin.h"

enum { CONNECTIONS = 10000, SPARE = 200, BYTES_EACH_MAX = 3000 };

static void *run(void *context)
{
    cairn_server_run(context);
    return NULL;
}

/* The other process: connects, says PING, and waits until it is told to end. */
static void hold(int from, int to, unsigned count)
{
    struct cairn_address resp, http;
    struct cairn_err err;
    char byte = 'x', reply[7];
    int fd;

    cairn_raise_file_limit();
    if (read(from, &resp, sizeof resp) != sizeof resp || read(from, &http, sizeof http) != sizeof http)
        _exit(1);
    for (unsigned i = 0; i < count; i++) {
        size_t n;

        if (cairn_dial(i % 2 ? &resp : &http, 20000, &fd, &err) != CAIRN_OK) {
            fprintf(stderr, "connection %u: %s\n", i, err.text);
            byte = '!';
            break;
        }
        if (i % 2 && (cairn_dial_send(fd, cairn_str("PING\r\n"), &err) != CAIRN_OK ||
                      cairn_dial_receive(fd, reply, sizeof reply, &n, &err) != CAIRN_OK || n != 7))
            _exit(1);
    }
    if (write(to, &byte, 1) != 1 || read(from, &byte, 1) != 1)
        _exit(1);
    _exit(0);
}

static double cpu_seconds(void)
{
    struct cairn_process process;

    cairn_process_read(&process);
    return process.user_seconds + process.system_seconds;
}

static void test_idle_connections(void **state)
{
    struct cairn_server_options options = {
        .http = "0", .resp = "0", .workers = 2, .clock = cairn_clock_system(), .partial_ms = 1000};
    uint64_t files = cairn_raise_file_limit();
    unsigned count = files > CONNECTIONS + SPARE ? CONNECTIONS : (unsigned)files - SPARE;
    struct cairn_process before, after;
    struct cairn_server *server;
    struct standin *standin;
    struct cairn_err err;
    int to_child[2], from_child[2], fd, status;
    struct timespec start, end;
    pthread_t thread;
    double cpu;
    char byte;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(to_child), 0);
    assert_int_equal(pipe(from_child), 0);
    child = fork();
    if (child == 0)
        hold(to_child[0], from_child[1], count);
    assert_int_equal(cairn_server_create(&options, &server, &err), CAIRN_OK);
    standin = standin_create(2, cairn_server_wake, server);
    assert_int_equal(cairn_server_start(server, standin_backend(standin), &err), CAIRN_OK);
    assert_int_equal(pthread_create(&thread, NULL, run, server), 0);
    cairn_process_read(&before);
    assert_int_equal(write(to_child[1], cairn_server_resp(server), sizeof(struct cairn_address)),
                     sizeof(struct cairn_address));
    assert_int_equal(write(to_child[1], cairn_server_http(server), sizeof(struct cairn_address)),
                     sizeof(struct cairn_address));
    assert_int_equal(read(from_child[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    usleep(3000000); /* sweeps give memory back */
    cairn_process_read(&after);
    printf("%u idle connections: %llu bytes each\n", count,
           (unsigned long long)(after.resident_bytes - before.resident_bytes) / count);
    assert_in_range((after.resident_bytes - before.resident_bytes) / count, 0, BYTES_EACH_MAX);

    cpu = cpu_seconds();
    usleep(3000000);
    cpu = (cpu_seconds() - cpu) / 3;
    printf("%.2f %% of a core while nothing happens\n", cpu * 100);
    assert_true(cpu < 0.05); /* the sweeps are ten times as frequent here as by default */

    assert_int_equal(cairn_dial(cairn_server_resp(server), 1000, &fd, &err), CAIRN_OK);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < 1000; i++) {
        char reply[8];
        size_t n;

        assert_int_equal(cairn_dial_send(fd, cairn_str("PING\r\n"), &err), CAIRN_OK);
        assert_int_equal(cairn_dial_receive(fd, reply, sizeof reply, &n, &err), CAIRN_OK);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - start.tv_sec < 2);
    cairn_dial_close(fd);

    assert_int_equal(write(to_child[1], "x", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    cairn_server_stop(server);
    pthread_join(thread, NULL);
    cairn_server_destroy(server);
    standin_destroy(standin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_idle_connections)};

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
