/* Would catch: a line of which a part stays in the file when the rest could not be written, and one that could be
 * written and is not there. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/sink.h"

static void a_line_is_whole_or_not_there(void **state)
{
    char path[] = "/tmp/cairn-sink-XXXXXX";
    struct rlimit limit = {10000, 10000};
    struct cairn_sink *sink;
    struct cairn_err err;
    uint8_t line[6000];
    struct stat stat_of;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0); /* as a disk that is full there */
    memset(line, 'x', sizeof line);
    assert_int_equal(cairn_sink_open(path, &sink, &err), CAIRN_OK);
    assert_int_equal(cairn_sink_write_whole(sink, cairn_bytes(line, sizeof line), 1000, &err), CAIRN_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_not_equal(cairn_sink_write_whole(sink, cairn_bytes(line, sizeof line), 1000, &err), CAIRN_OK);
        assert_int_equal(fstat(fd, &stat_of), 0);
        assert_int_equal(stat_of.st_size, sizeof line);
    }
    assert_int_equal(cairn_sink_write_whole(sink, cairn_bytes(line, 4000), 1000, &err), CAIRN_OK);
    assert_int_equal(fstat(fd, &stat_of), 0);
    assert_int_equal(stat_of.st_size, 10000);
    cairn_sink_close(sink);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_line_is_whole_or_not_there)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
