/* append.c - what one synced append costs on this disk: the floor under every durable write.
 *
 *   bench_append --file PATH [--bytes N] [--seconds S]      prints one line of JSON
 *
 * A file is filled with zeros and synced beforehand, as cairn's log prepares its segments; then `bytes` are written
 * behind each other, with fdatasync after each, one at a time.  Nothing of cairn is in here. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"

enum { FILE_BYTES = 64 << 20 };

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void __attribute__((noreturn)) die(const char *what)
{
    fprintf(stderr, "append: %s: %s\n", what, strerror(errno));
    exit(1);
}

static char block[1 << 20];

static int prepare(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    if (fd < 0)
        die(path);
    for (off_t at = 0; at < FILE_BYTES; at += sizeof block)
        if (pwrite(fd, block, sizeof block, at) != (ssize_t)sizeof block)
            die("write");
    if (fdatasync(fd) != 0)
        die("sync");
    memset(block, 'x', sizeof block);
    return fd;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"file", required_argument, NULL, 'f'},
                                          {"bytes", required_argument, NULL, 'b'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {0}};
    static struct histogram latencies;
    const char *path = NULL;
    double seconds = 2;
    size_t bytes = 512;
    uint64_t stop;
    off_t at = 0;
    int fd;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'f')
            path = optarg;
        else if (c == 'b')
            bytes = (size_t)atoi(optarg);
        else if (c == 's')
            seconds = atof(optarg);
        else
            return 2;
    }
    if (!path || bytes < 1 || bytes > sizeof block) {
        fputs("append: --file, and 1 to 1048576 --bytes\n", stderr);
        return 2;
    }
    fd = prepare(path);
    stop = now_ns() + (uint64_t)(seconds * 1e9);
    while (now_ns() < stop && at + (off_t)bytes <= FILE_BYTES) {
        uint64_t start = now_ns();

        if (pwrite(fd, block, bytes, at) != (ssize_t)bytes)
            die("write");
        if (fdatasync(fd) != 0)
            die("sync");
        histogram_add(&latencies, now_ns() - start);
        at += (off_t)bytes;
    }
    close(fd);
    unlink(path);
    printf("{\"appends\": %llu, \"bytes\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n",
           (unsigned long long)latencies.count, bytes, histogram_ns(&latencies, 0.5) / 1e3,
           histogram_ns(&latencies, 0.99) / 1e3, (double)latencies.max_ns / 1e3);
    return 0;
}
