/* load.c - the load generator: the same requests, drawn from a seed, for cairn and for every peer.
 *
 *   bench_load --port N --workload NAME [...]        prints one line of JSON
 *
 *     create      everybody once: create(text)                 graph    everybody is followed by --followers others
 *     post        post(text) of users drawn                    follow   edges that were never used before, from
 *     timeline    timeline(10) of users drawn                           number --edge on; `edge` tells the next one
 *     profile     profile() of users drawn                     call     --method of users drawn, with another one's id
 *
 *     --users N (200)  --connections N (1)  --pipeline N (1)  --followers N (10)  --zipf S (0: uniform)  --seed N (1)
 *     --first N (0)    number of the first user  --id-bytes N (12)
 *     --text-bytes N (64)  --seconds S, --count N (whichever comes first)  --warm-up S (0)  --edge N (0)
 *     --pause-us N     between a reply and the next request; one connection only
 *     --method NAME    that is called by the workload `call`
 *     --names FORMAT   what a method is called: User.%s (Redis: User_%s)
 *     --http FORMAT    HTTP instead of RESP: the path, with an id (%s) and a method (%s) in it
 *     --body KIND      what an HTTP body is: the arguments as a JSON array (`array`), or the first one alone (`one`)
 *
 * Closed loop: a connection sends `pipeline` requests at once, waits for all their replies, and goes on, as
 * redis-benchmark does; a latency lasts from the sending to the reply.  Any error reply ends it with status 1. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/random.h"
#include "histogram.h"

enum { ID_BYTES_MAX = 64, TIMELINE_ENTRIES = 10, REPLY_BYTES_MAX = 64 << 20, LONGEST_WAIT_MS = 120000 };

enum workload { CREATE, GRAPH, FOLLOW, POST, TIMELINE, PROFILE, CALL, WORKLOADS };

static const struct {
    const char *name, *method;
    bool whom, text, number, other; /* its argument */
} workloads[WORKLOADS] = {
    [CREATE] = {"create", "create", .text = true},
    [GRAPH] = {"graph", "follow", .whom = true},
    [FOLLOW] = {"follow", "follow", .whom = true},
    [POST] = {"post", "post", .text = true},
    [TIMELINE] = {"timeline", "timeline", .number = true},
    [PROFILE] = {.name = "profile", .method = "profile"},
    [CALL] = {.name = "call", .other = true},
};

static struct {
    unsigned port, users, connections, pipeline, followers, text_bytes, pause_us, first, id_bytes;
    double zipf, seconds, warm_up;
    uint64_t seed, count, edge;
    const char *names, *http, *method;
    bool body_array;
    enum workload workload;
} options = {.users = 200,
             .connections = 1,
             .pipeline = 1,
             .followers = 10,
             .text_bytes = 64,
             .id_bytes = 12,
             .seed = 1,
             .names = "User.%s",
             .workload = WORKLOADS};

struct connection {
    int fd;
    unsigned waiting; /* replies of the batch under way */
    uint64_t sent_ns;
    struct cairn_buf out, in;
    size_t written, parsed;
};

static struct cairn_random dice;
static double *zipf_sums; /* NULL: uniform */
static char *text;
static uint64_t sent, stride;
static struct histogram latencies;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    exit(1);
}

/* --- what is asked for ------------------------------------------------------------------------ */

static void prepare_draw(void)
{
    double sum = 0;

    cairn_random_init(&dice, options.seed);
    text = cairn_alloc(options.text_bytes + 1);
    for (unsigned i = 0; i < options.text_bytes; i++)
        text[i] = (char)('a' + cairn_random_below(&dice, 26));
    text[options.text_bytes] = 0;
    /* Edges come in an order that jumps about: a step coprime to the number of users, near its golden section. */
    for (stride = (uint64_t)(options.users * 0.618) | 1;; stride += 2) {
        uint64_t a = options.users, b = stride;

        while (b) {
            uint64_t rest = a % b;

            a = b;
            b = rest;
        }
        if (a == 1)
            break;
    }
    if (options.zipf <= 0)
        return;
    zipf_sums = cairn_alloc(options.users * sizeof *zipf_sums);
    for (unsigned i = 0; i < options.users; i++)
        zipf_sums[i] = sum += 1 / pow(i + 1, options.zipf);
}

static unsigned draw_user(void)
{
    unsigned low = 0, high = options.users - 1;
    double at;

    if (!zipf_sums)
        return (unsigned)cairn_random_below(&dice, options.users);
    at = (double)(cairn_random_u64(&dice) >> 11) * 0x1p-53 * zipf_sums[high];
    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (zipf_sums[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Edge number e: everybody follows those 1, 2, .. `followers` places on in the graph, and those beyond in FOLLOW. */
static void draw_edge(unsigned *ret_who, unsigned *ret_whom)
{
    uint64_t e = options.edge++;
    uint64_t away = e / options.users + 1 + (options.workload == FOLLOW ? options.followers : 0);

    if (away >= options.users)
        die("there are no more edges between %u users", options.users);
    *ret_who = (unsigned)(e * stride % options.users);
    *ret_whom = (unsigned)((*ret_who + away) % options.users);
}

static void add_resp(struct cairn_buf *to, const char *word)
{
    cairn_buf_printf(to, "$%zu\r\n", strlen(word));
    cairn_buf_str(to, word);
    cairn_buf_str(to, "\r\n");
}

static void add_request(struct cairn_buf *to)
{
    const char *method = options.workload == CALL ? options.method : workloads[options.workload].method;
    const char *argument = NULL;
    char id[ID_BYTES_MAX + 1], whom[ID_BYTES_MAX + 1], number[16], name[128];
    unsigned user = 0, other = 0;

    if (workloads[options.workload].whom)
        draw_edge(&user, &other);
    else
        user = options.workload == CREATE ? (unsigned)(sent % options.users) : draw_user();
    if (workloads[options.workload].other)
        other = draw_user();
    sent++;
    snprintf(id, sizeof id, "%0*u", (int)options.id_bytes, options.first + user);
    snprintf(whom, sizeof whom, "%0*u", (int)options.id_bytes, options.first + other);
    snprintf(number, sizeof number, "%d", TIMELINE_ENTRIES);
    if (workloads[options.workload].whom || workloads[options.workload].other)
        argument = whom;
    else if (workloads[options.workload].text)
        argument = text;
    else if (workloads[options.workload].number)
        argument = number;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (options.http) {
        const char *around = options.body_array ? "[]" : "  ";
        char path[256];
        size_t body = 2 + (argument ? strlen(argument) + (size_t)(argument == number ? 0 : 2) : 0);

        snprintf(path, sizeof path, options.http, id, method);
        cairn_buf_printf(to,
                         "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                         "Content-Length: %zu\r\n\r\n%c",
                         path, body, around[0]);
        if (argument)
            cairn_buf_printf(to, argument == number ? "%s" : "\"%s\"", argument);
        cairn_buf_u8(to, (uint8_t)around[1]);
        return;
    }
    snprintf(name, sizeof name, options.names, method);
#pragma GCC diagnostic pop
    cairn_buf_printf(to, "*%d\r\n$5\r\nFCALL\r\n", argument ? 5 : 4);
    add_resp(to, name);
    add_resp(to, "1");
    add_resp(to, id);
    if (argument)
        add_resp(to, argument);
}

/* --- replies: each finds where one ends, 0 while it is not all there ----------------------------- */

static size_t line_end(const uint8_t *at, size_t size)
{
    const uint8_t *nl = size ? memchr(at, '\n', size) : NULL;

    return nl ? (size_t)(nl - at) + 1 : 0;
}

static size_t resp_reply(const uint8_t *at, size_t size, bool outermost)
{
    size_t head = line_end(at, size), end = head;
    long long number;

    if (!head)
        return 0;
    switch (at[0]) {
    case '-':
        if (outermost)
            die("an error reply: %.*s", (int)head - 2, (const char *)at + 1);
        return head;
    case '+':
    case ':':
    case '_':
        return head;
    case '$':
        number = strtoll((const char *)at + 1, NULL, 10);
        end = number < 0 ? head : head + (size_t)number + 2;
        return end <= size ? end : 0;
    case '*':
        number = strtoll((const char *)at + 1, NULL, 10);
        for (long long i = 0; i < number; i++) {
            size_t member = resp_reply(at + end, size - end, false);

            if (!member)
                return 0;
            end += member;
        }
        return end;
    default:
        die("a reply that is none: %.*s", (int)head, (const char *)at);
    }
}

static size_t http_chunks(const uint8_t *at, size_t size)
{
    size_t end = 0;

    for (;;) {
        size_t head = line_end(at + end, size - end);
        unsigned long long bytes;

        if (!head)
            return 0;
        bytes = strtoull((const char *)at + end, NULL, 16);
        end += head + (size_t)bytes + 2;
        if (end > size)
            return 0;
        if (bytes == 0)
            return end;
    }
}

static size_t http_reply(const uint8_t *at, size_t size)
{
    size_t head = 0, body = 0, line;
    bool chunked = false;

    for (;; head += line) {
        const char *field = (const char *)at + head;

        line = line_end(at + head, size - head);
        if (!line)
            return 0;
        if (line <= 2)
            break;
        if (strncasecmp(field, "content-length:", 15) == 0)
            body = (size_t)strtoull(field + 15, NULL, 10);
        else if (strncasecmp(field, "transfer-encoding:", 18) == 0)
            chunked = memmem(field, line, "chunked", 7) != NULL;
    }
    head += line;
    if (chunked) {
        body = http_chunks(at + head, size - head);
        if (!body)
            return 0;
    }
    if (size - head < body)
        return 0;
    if (size < 12 || at[9] != '2')
        die("an error reply: %.*s", (int)(head + body), (const char *)at);
    return head + body;
}

/* --- connections -------------------------------------------------------------------------------- */

static void connect_to_port(struct connection *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    int one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("cannot connect to port %u: %s", options.port, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void pump_out(struct connection *c)
{
    while (c->written < c->out.size) {
        ssize_t n = send(c->fd, c->out.data + c->written, c->out.size - c->written, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return; /* the rest when a reply has come */
        if (n < 0)
            die("cannot send: %s", strerror(errno));
        c->written += (size_t)n;
    }
}

static uint64_t planned(void)
{
    if (options.workload == CREATE)
        return options.users;
    if (options.workload == GRAPH)
        return (uint64_t)options.users * options.followers;
    return UINT64_MAX;
}

/* False when nothing is left to be sent. */
static bool send_batch(struct connection *c, uint64_t stop_ns)
{
    uint64_t most = options.count && options.count < planned() ? options.count : planned();

    c->out.size = c->written = 0;
    c->waiting = 0;
    if (now_ns() >= stop_ns)
        return false;
    for (; c->waiting < options.pipeline && sent < most; c->waiting++)
        add_request(&c->out);
    c->sent_ns = now_ns();
    pump_out(c);
    return c->waiting > 0;
}

/* True when the whole batch has been answered. */
static bool take_replies(struct connection *c, uint64_t count_from_ns)
{
    uint8_t *to = cairn_buf_reserve(&c->in, 65536);
    ssize_t n = recv(c->fd, to, 65536, MSG_DONTWAIT);
    uint64_t now;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0)
        die("the connection was closed with %u requests under way", c->waiting);
    c->in.size += (size_t)n;
    if (c->in.size > REPLY_BYTES_MAX)
        die("a reply of more than %d bytes", REPLY_BYTES_MAX);
    now = now_ns();
    while (c->waiting && c->parsed < c->in.size) {
        const uint8_t *at = c->in.data + c->parsed;
        size_t left = c->in.size - c->parsed;
        size_t bytes = options.http ? http_reply(at, left) : resp_reply(at, left, true);

        if (!bytes)
            return false;
        c->parsed += bytes;
        c->waiting--;
        if (now >= count_from_ns)
            histogram_add(&latencies, now - c->sent_ns);
    }
    if (c->waiting)
        return false;
    c->in.size = c->parsed = 0;
    return true;
}

static double run(void)
{
    struct connection *all = cairn_alloc_zeroed(options.connections, sizeof *all);
    int epoll = epoll_create1(0);
    unsigned busy = 0;
    uint64_t start, count_from, stop;

    for (unsigned i = 0; i < options.connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};

        connect_to_port(&all[i]);
        epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    start = now_ns();
    count_from = start + (uint64_t)(options.warm_up * 1e9);
    stop = options.seconds > 0 ? count_from + (uint64_t)(options.seconds * 1e9) : UINT64_MAX;
    for (unsigned i = 0; i < options.connections; i++)
        busy += send_batch(&all[i], stop);
    while (busy) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, LONGEST_WAIT_MS);

        if (n == 0)
            die("no reply within %d seconds", LONGEST_WAIT_MS / 1000);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;

            pump_out(c);
            if (!take_replies(c, count_from))
                continue;
            if (options.pause_us)
                usleep(options.pause_us);
            busy -= !send_batch(c, stop);
        }
    }
    for (unsigned i = 0; i < options.connections; i++) {
        close(all[i].fd);
        cairn_buf_done(&all[i].in);
        cairn_buf_done(&all[i].out);
    }
    close(epoll);
    free(all);
    return (double)(now_ns() - count_from) / 1e9;
}

/* --- the command line ----------------------------------------------------------------------------- */

static const struct option known[] = {
    {"port", required_argument, NULL, 'p'},
    {"workload", required_argument, NULL, 'w'},
    {"users", required_argument, NULL, 'u'},
    {"connections", required_argument, NULL, 'c'},
    {"pipeline", required_argument, NULL, 'P'},
    {"followers", required_argument, NULL, 'f'},
    {"zipf", required_argument, NULL, 'z'},
    {"seed", required_argument, NULL, 's'},
    {"text-bytes", required_argument, NULL, 't'},
    {"seconds", required_argument, NULL, 'd'},
    {"count", required_argument, NULL, 'n'},
    {"warm-up", required_argument, NULL, 'W'},
    {"edge", required_argument, NULL, 'e'},
    {"pause-us", required_argument, NULL, 'i'},
    {"names", required_argument, NULL, 'N'},
    {"http", required_argument, NULL, 'h'},
    {"body", required_argument, NULL, 'b'},
    {"first", required_argument, NULL, 'F'},
    {"id-bytes", required_argument, NULL, 'I'},
    {"method", required_argument, NULL, 'm'},
    {0},
};

static void read_options(int argc, char **argv)
{
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'p':
            options.port = (unsigned)atoi(optarg);
            break;
        case 'w':
            for (int w = 0; w < WORKLOADS; w++)
                if (strcmp(optarg, workloads[w].name) == 0)
                    options.workload = (enum workload)w;
            break;
        case 'u':
            options.users = (unsigned)atoi(optarg);
            break;
        case 'c':
            options.connections = (unsigned)atoi(optarg);
            break;
        case 'P':
            options.pipeline = (unsigned)atoi(optarg);
            break;
        case 'f':
            options.followers = (unsigned)atoi(optarg);
            break;
        case 'z':
            options.zipf = atof(optarg);
            break;
        case 's':
            options.seed = strtoull(optarg, NULL, 10);
            break;
        case 't':
            options.text_bytes = (unsigned)atoi(optarg);
            break;
        case 'd':
            options.seconds = atof(optarg);
            break;
        case 'n':
            options.count = strtoull(optarg, NULL, 10);
            break;
        case 'W':
            options.warm_up = atof(optarg);
            break;
        case 'e':
            options.edge = strtoull(optarg, NULL, 10);
            break;
        case 'i':
            options.pause_us = (unsigned)atoi(optarg);
            break;
        case 'N':
            options.names = optarg;
            break;
        case 'h':
            options.http = optarg;
            break;
        case 'm':
            options.method = optarg;
            break;
        case 'F':
            options.first = (unsigned)atoi(optarg);
            break;
        case 'I':
            options.id_bytes = (unsigned)atoi(optarg);
            break;
        case 'b':
            options.body_array = strcmp(optarg, "array") == 0;
            break;
        default:
            exit(2);
        }
    }
    if (!options.port || options.workload == WORKLOADS || !options.connections || !options.pipeline ||
        options.users < 2)
        die("--port and --workload (create, graph, follow, post, timeline, profile, call) are needed, and at least 2 "
            "users");
    if (options.workload == CALL && !options.method)
        die("the workload call needs --method");
    if (planned() == UINT64_MAX && options.seconds <= 0 && !options.count)
        die("--seconds or --count is needed");
    if (options.id_bytes > ID_BYTES_MAX || options.text_bytes > 1 << 20)
        die("an id has at most %d bytes, a text 1 MiB", ID_BYTES_MAX);
    if (options.pause_us && options.connections != 1)
        die("--pause-us is for one connection");
}

int main(int argc, char **argv)
{
    double seconds;

    read_options(argc, argv);
    prepare_draw();
    seconds = run();
    printf("{\"workload\": \"%s\", \"replies\": %llu, \"seconds\": %.3f, \"throughput\": %.1f, \"mean_us\": %.1f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, \"edge\": %llu}\n",
           workloads[options.workload].name, (unsigned long long)latencies.count, seconds,
           (double)latencies.count / seconds, histogram_mean_ns(&latencies) / 1e3, histogram_ns(&latencies, 0.5) / 1e3,
           histogram_ns(&latencies, 0.99) / 1e3, histogram_ns(&latencies, 0.999) / 1e3, (double)latencies.max_ns / 1e3,
           (unsigned long long)options.edge);
    free(text);
    free(zipf_sums);
    return 0;
}
