/* main.c - the compute half of the disaggregated baseline: the same .wasm in the same sandbox as in cairn, in a
 * process of its own, whose reads and writes of fields go to a storage process over the loopback.
 *
 *   bench_disagg --wasm FILE (--store PORT,PORT.. | --redis PORT) [--batch] [--threads N] [--helpers N]
 *                                                                                  prints "ready PORT"
 *
 * Clients speak FCALL TYPE.METHOD 1 ID [ARG ..] as they do to cairn.  A connection is served by one thread from its
 * request to its reply, so there are as many function instances as clients, each with connections of its own to the
 * storage, and no queue between them: what a real platform adds there is left out in the baseline's favour.
 * Without --batch one request per field operation, as functions do today; see fields.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disagg.h"

enum { WORDS_MAX = 64, REQUEST_BYTES_MAX = 1 << 20, FIBERS = 4, SLICE_SECONDS = 10 };

void die(const char *what, const char *why)
{
    fprintf(stderr, "disagg: %s: %s\n", what, why);
    exit(1);
}

/* --- the Redis protocol ----------------------------------------------------------------------------- */

/* The words of the request at the front; its size, or 0 while it is not all there. */
static size_t parse(const struct cairn_buf *in, struct cairn_bytes *words, size_t *ret_count)
{
    const uint8_t *at = in->data, *end = at + in->size;
    long long count = 0;

    for (long long i = -1; i < count; i++) {
        const uint8_t *nl = memchr(at, '\n', (size_t)(end - at));
        long long n;

        if (!nl)
            return 0;
        n = strtoll((const char *)at + 1, NULL, 10);
        if (n < 0 || n > REQUEST_BYTES_MAX || (i < 0 && n > WORDS_MAX) || at[0] != (i < 0 ? '*' : '$'))
            die("a client", "sent no request");
        at = nl + 1;
        if (i < 0) {
            count = n;
            continue;
        }
        if (end - at < n + 2)
            return 0;
        words[i] = cairn_bytes(at, (size_t)n);
        at += n + 2;
    }
    *ret_count = (size_t)count;
    return (size_t)(at - in->data);
}

static void add_value(struct cairn_buf *to, struct cairn_reader *r)
{
    struct cairn_value v = cairn_value_read(r);

    switch (v.kind) {
    case CAIRN_VALUE_NIL:
        cairn_buf_str(to, "$-1\r\n");
        break;
    case CAIRN_VALUE_INT:
        cairn_buf_printf(to, ":%lld\r\n", (long long)v.integer);
        break;
    case CAIRN_VALUE_BYTES:
        cairn_buf_printf(to, "$%zu\r\n", v.bytes.size);
        cairn_buf_add(to, v.bytes.data, v.bytes.size);
        cairn_buf_str(to, "\r\n");
        break;
    case CAIRN_VALUE_ERROR:
        cairn_buf_printf(to, "-%.*s %.*s\r\n", (int)v.error.size, (const char *)v.error.data, (int)v.bytes.size,
                         (const char *)v.bytes.data);
        break;
    case CAIRN_VALUE_LIST:
        cairn_buf_printf(to, "*%llu\r\n", (unsigned long long)v.count);
        for (uint64_t i = 0; i < v.count && !r->bad; i++)
            add_value(to, r);
        break;
    }
}

static void answer(struct thread *thread, const struct cairn_bytes *words, size_t count, struct cairn_buf *out)
{
    struct cairn_buf args = {0};
    struct invocation inv = {0};
    struct cairn_reader r;
    const uint8_t *dot = count > 1 ? memchr(words[1].data, '.', words[1].size) : NULL;
    size_t type;

    if (count < 4 || !cairn_bytes_equal(words[0], cairn_str("FCALL")) || !dot) {
        cairn_buf_str(out, "-ERR only FCALL TYPE.METHOD 1 ID [ARG ..]\r\n");
        return;
    }
    type = (size_t)(dot - words[1].data);
    for (size_t i = 4; i < count; i++) {
        uint8_t size[4];

        cairn_put_u32(size, (uint32_t)words[i].size);
        cairn_buf_add(&args, size, sizeof size);
        cairn_buf_add(&args, words[i].data, words[i].size);
    }
    inv.id = words[3];
    inv.args = cairn_buf_bytes(&args);
    invoke(thread, &inv, cairn_bytes(words[1].data, type), cairn_bytes(dot + 1, words[1].size - type - 1), false);
    r = cairn_reader(cairn_buf_bytes(&inv.result));
    add_value(out, &r);
    invocation_done(&inv);
    cairn_buf_done(&args);
}

static void serve(struct thread *thread, int fd)
{
    struct cairn_buf in = {0}, out = {0};
    struct cairn_bytes words[WORDS_MAX];
    ssize_t n;

    while ((n = recv(fd, cairn_buf_reserve(&in, 16384), 16384, 0)) > 0) {
        size_t count, size;

        in.size += (size_t)n;
        out.size = 0;
        while (in.size && (size = parse(&in, words, &count)) > 0) {
            answer(thread, words, count, &out);
            cairn_buf_consume(&in, size);
        }
        for (size_t at = 0; at < out.size; at += (size_t)n) {
            n = send(fd, out.data + at, out.size - at, MSG_NOSIGNAL);
            if (n <= 0)
                break;
        }
    }
    close(fd);
    cairn_buf_done(&in);
    cairn_buf_done(&out);
}

/* --- threads -------------------------------------------------------------------------------------------- */

static struct thread *thread_init(struct platform *platform, int listener)
{
    struct thread *thread = cairn_alloc_zeroed(1, sizeof *thread);
    struct cairn_err err;

    thread->platform = platform;
    thread->listener = listener;
    cairn_random_init(&thread->random, cairn_clock_system()->entropy(cairn_clock_system()));
    thread->remote = remote_open(platform->ports, platform->port_count, platform->redis);
    if (cairn_fn_worker_create(platform->fn, &host_ops, &thread->worker, &err) != CAIRN_OK)
        die("cannot make an instance", err.text);
    cairn_fn_worker_busy(thread->worker, true);
    return thread;
}

static void *serve_clients(void *argument)
{
    struct thread *thread = argument;

    for (;;) {
        int one = 1, fd = accept(thread->listener, NULL, NULL);

        if (fd < 0)
            die("accept", strerror(errno));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        serve(thread, fd);
    }
    return NULL;
}

static void *serve_callers(void *argument)
{
    for (;;)
        help(argument);
    return NULL;
}

static int listen_somewhere(unsigned *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 1024) ||
        getsockname(fd, (struct sockaddr *)&at, &size))
        die("listen", strerror(errno));
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static void load_module(struct platform *platform, const char *path)
{
    struct cairn_buf wasm = {0};
    struct cairn_err err;
    FILE *file = fopen(path, "rb");
    size_t n;

    if (!file)
        die(path, strerror(errno));
    while ((n = fread(cairn_buf_reserve(&wasm, 65536), 1, 65536, file)) > 0)
        wasm.size += n;
    fclose(file);
    if (cairn_module_compile(platform->fn, cairn_buf_bytes(&wasm), &platform->module, &err) != CAIRN_OK)
        die("the module", err.text);
    cairn_buf_done(&wasm);
}

static struct platform platform;

int main(int argc, char **argv)
{
    static const struct option known[] = {{"wasm", required_argument, NULL, 'w'},
                                          {"store", required_argument, NULL, 's'},
                                          {"redis", required_argument, NULL, 'r'},
                                          {"batch", no_argument, NULL, 'b'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"helpers", required_argument, NULL, 'h'},
                                          {0}};
    unsigned threads = 100, helpers = 8, port;
    const char *wasm = NULL;
    struct cairn_err err;
    pthread_t id;
    int listener;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'w')
            wasm = optarg;
        else if (c == 's' || c == 'r')
            for (char *at = optarg; *at && platform.port_count < 16; at += *at == ',')
                platform.ports[platform.port_count++] = (unsigned)strtoul(at, &at, 10);
        else if (c == 't')
            threads = (unsigned)atoi(optarg);
        else if (c == 'h')
            helpers = (unsigned)atoi(optarg);
        else if (c == 'b')
            platform.batch = true;
        else
            return 2;
        platform.redis |= c == 'r';
    }
    if (!wasm || !platform.port_count || !threads || (platform.redis && !platform.batch))
        die("usage", "--wasm FILE, and --store PORT,PORT.. or --redis PORT --batch");
    for (int i = 0; i < LOCKS; i++)
        pthread_rwlock_init(&platform.locks[i], NULL);
    pthread_mutex_init(&platform.lock, NULL);
    pthread_cond_init(&platform.work, NULL);
    cairn_list_init(&platform.fan_outs);
    /* No host call may be cut off by a time slice: they block here. */
    if (cairn_fn_create(&(struct cairn_fn_options){.clock = cairn_clock_system(),
                                                   .workers = threads + helpers,
                                                   .fibers_per_worker = FIBERS,
                                                   .slice_ns = SLICE_SECONDS * 1000000000ull},
                        &platform.fn, &err) != CAIRN_OK)
        die("the sandbox", err.text);
    load_module(&platform, wasm);
    listener = listen_somewhere(&port);
    for (unsigned i = 0; i < threads + helpers; i++)
        if (pthread_create(&id, NULL, i < threads ? serve_clients : serve_callers, thread_init(&platform, listener)) !=
            0)
            die("cannot start a thread", strerror(errno));
    printf("ready %u\n", port);
    fflush(stdout);
    pthread_join(id, NULL);
    return 0;
}
