/* Two kinds of clients for beside_test.py, over the Redis protocol; prints one line of JSON.
 *
 *   beside --port N --seconds S [--rate N] [--clients N] [--users N] [--seed N]     a well-behaved crowd
 *   beside --port N --seconds S --offend TYPE.METHOD ID [ARGUMENT...]               one offender
 *   beside --seconds S --burn                                                       a core burnt without any node
 *
 * The crowd sends User.profile, User.timeline and User.create, a third each, of users drawn.  Each client sends at
 * random moments (a Poisson process), whether or not earlier replies have come, so that a node that stands still is
 * asked all the same.  A latency lasts from the sending to the moment at which the kernel had the reply in the socket
 * (SO_TIMESTAMPNS): when this program, which shares the cores, gets around to reading does not count.
 *
 * The offender sends the same request again and again, each when the last has been answered, and tells what the
 * answers were.  Both end when all replies are there. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/random.h"

enum { SLICE_NS = 1000000, CLIENTS_MAX = 256, PENDING_MAX = 4096, CODES_MAX = 8, CODE_BYTES = 32, LONGEST_WAIT_S = 60 };

static struct {
    unsigned port, clients, users;
    double seconds, rate;
    uint64_t seed;
    const char *offend;
    bool burn;
} options = {.clients = 32, .users = 200, .rate = 1000, .seed = 1};

struct client {
    int fd;
    uint64_t due_ns;
    uint64_t sent_ns[PENDING_MAX]; /* a ring: of the requests without a reply, the oldest first */
    unsigned first, pending;
    struct cairn_buf in;
};

static struct client clients[CLIENTS_MAX];
static uint64_t *latencies;
static size_t latency_count, latency_room;
static struct cairn_random dice;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("beside: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    exit(1);
}

/* The clock of the kernel's timestamps. */
static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("cannot connect to port %u: %s", options.port, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) != 0)
        die("no timestamps from this kernel: %s", strerror(errno));
    return fd;
}

static void add_words(struct cairn_buf *to, size_t count, const char *const words[])
{
    cairn_buf_printf(to, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++)
        cairn_buf_printf(to, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
}

static void send_all(int fd, struct cairn_buf *out)
{
    for (size_t sent = 0; sent < out->size;) {
        ssize_t n = send(fd, out->data + sent, out->size - sent, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            die("cannot send: %s", strerror(errno));
        sent += n < 0 ? 0 : (size_t)n;
    }
    out->size = 0;
}

/* Where the reply ends, 0 while it is not all there. */
static size_t reply_end(const uint8_t *at, size_t size)
{
    const uint8_t *nl = size ? memchr(at, '\n', size) : NULL;
    size_t head = nl ? (size_t)(nl - at) + 1 : 0, end = head;
    long long number = head ? strtoll((const char *)at + 1, NULL, 10) : 0;

    if (!head)
        return 0;
    if (at[0] == '$') {
        end += number < 0 ? 0 : (size_t)number + 2;
        return end <= size ? end : 0;
    }
    for (long long i = 0; at[0] == '*' && i < number; i++) {
        size_t member = reply_end(at + end, size - end);

        if (!member)
            return 0;
        end += member;
    }
    return end;
}

/* Reads what is there; *ret_ns is when the kernel had it. */
static void take_input(struct client *c, uint64_t *ret_ns)
{
    union {
        struct cmsghdr align;
        char bytes[256];
    } control;
    struct iovec into = {.iov_base = cairn_buf_reserve(&c->in, 65536), .iov_len = 65536};
    struct msghdr message = {
        .msg_iov = &into, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(c->fd, &message, 0);
    struct timespec t;

    if (n <= 0)
        die("the connection was closed with %u requests under way", c->pending);
    c->in.size += (size_t)n;
    for (struct cmsghdr *m = CMSG_FIRSTHDR(&message); m; m = CMSG_NXTHDR(&message, m))
        if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_TIMESTAMPNS) {
            memcpy(&t, CMSG_DATA(m), sizeof t);
            *ret_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
            return;
        }
    *ret_ns = now_ns(); /* the kernel begins to take times a moment after it was asked to */
}

/* --- the crowd ------------------------------------------------------------------------------------ */

static void ask(struct client *c, struct cairn_buf *out)
{
    static const char *const methods[][2] = {
        {"User.profile"}, {"User.timeline", "10"}, {"User.create", "somebody with a name of about this length"}};
    const char *const *method = methods[cairn_random_below(&dice, 3)];
    char id[32];

    if (c->pending == PENDING_MAX)
        die("%d requests of one client are without a reply", PENDING_MAX);
    snprintf(id, sizeof id, "user%u", (unsigned)cairn_random_below(&dice, options.users));
    add_words(out, method[1] ? 5 : 4, (const char *const[]){"FCALL", method[0], "1", id, method[1]});
    c->sent_ns[(c->first + c->pending++) % PENDING_MAX] = now_ns();
    send_all(c->fd, out);
}

static void take_replies(struct client *c)
{
    size_t at = 0, bytes;
    uint64_t then = 0;

    take_input(c, &then);
    while ((bytes = reply_end(c->in.data + at, c->in.size - at))) {
        uint64_t sent = c->sent_ns[c->first];

        if (c->in.data[at] == '-')
            die("an error reply: %.*s", (int)bytes - 2, (const char *)c->in.data + at);
        if (latency_count < latency_room)
            latencies[latency_count++] = then > sent ? then - sent : 0;
        c->first = (c->first + 1) % PENDING_MAX;
        c->pending--;
        at += bytes;
    }
    cairn_buf_consume(&c->in, at);
}

/* Exponential: the gaps of a Poisson process. */
static uint64_t gap_ns(void)
{
    double u = ((double)(cairn_random_u64(&dice) >> 11) + 1) * 0x1p-53;

    return (uint64_t)(-log(u) * 1e9 * options.clients / options.rate);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double share_us(double share)
{
    size_t at = (size_t)(share * (double)latency_count);

    return (double)latencies[at < latency_count ? at : latency_count - 1] / 1e3;
}

static void crowd(void)
{
    uint64_t start = now_ns(), stop = start + (uint64_t)(options.seconds * 1e9);
    struct pollfd polls[CLIENTS_MAX];
    struct cairn_buf out = {0};
    unsigned pending = 1;

    latency_room = (size_t)(options.seconds * options.rate * 2) + 1000;
    latencies = cairn_alloc(latency_room * sizeof *latencies);
    for (unsigned i = 0; i < options.clients; i++) {
        clients[i].fd = dial();
        clients[i].due_ns = start + gap_ns();
        polls[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
    }
    for (uint64_t now = start; now < stop || pending; now = now_ns()) {
        uint64_t next = now < stop ? stop : now + 1000000000;
        struct timespec wait;

        if (now > stop + LONGEST_WAIT_S * 1000000000ull)
            die("%u requests had no reply within %d seconds", pending, LONGEST_WAIT_S);
        pending = 0;
        for (unsigned i = 0; i < options.clients; i++) {
            struct client *c = &clients[i];

            while (c->due_ns <= now && c->due_ns < stop) {
                ask(c, &out);
                c->due_ns += gap_ns();
            }
            if (c->due_ns < next)
                next = c->due_ns > now ? c->due_ns : now;
            pending += c->pending;
        }
        if (now >= stop && !pending)
            break;
        wait = (struct timespec){(time_t)((next - now) / 1000000000), (long)((next - now) % 1000000000)};
        if (ppoll(polls, options.clients, &wait, NULL) < 0 && errno != EINTR)
            die("cannot wait: %s", strerror(errno));
        for (unsigned i = 0; i < options.clients; i++)
            if (polls[i].revents)
                take_replies(&clients[i]);
    }
    if (!latency_count)
        die("not one reply");
    qsort(latencies, latency_count, sizeof *latencies, by_size);
    printf("{\"replies\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n", latency_count, share_us(0.5),
           share_us(0.99), share_us(1));
    for (unsigned i = 0; i < options.clients; i++) {
        close(clients[i].fd);
        cairn_buf_done(&clients[i].in);
    }
    cairn_buf_done(&out);
    free(latencies);
}

/* --- the offender --------------------------------------------------------------------------------- */

static void offend(int count, char **arguments)
{
    struct {
        char code[CODE_BYTES];
        unsigned long count;
    } codes[CODES_MAX] = {0};
    struct client *c = &clients[0];
    const char **words = cairn_alloc((size_t)(count + 3) * sizeof *words);
    uint64_t stop = now_ns() + (uint64_t)(options.seconds * 1e9), then;
    struct cairn_buf out = {0};

    words[0] = "FCALL";
    words[1] = options.offend;
    words[2] = "1";
    for (int i = 0; i < count; i++)
        words[i + 3] = arguments[i];
    c->fd = dial();
    do {
        char code[CODE_BYTES] = "ok";
        size_t i = 0;

        add_words(&out, (size_t)count + 3, words);
        send_all(c->fd, &out);
        for (c->in.size = 0; !reply_end(c->in.data, c->in.size);)
            take_input(c, &then);
        if (c->in.data[0] == '-')
            snprintf(code, sizeof code, "%.*s", (int)strcspn((const char *)c->in.data + 1, " \r"),
                     (const char *)c->in.data + 1);
        while (i + 1 < CODES_MAX && codes[i].count && strcmp(codes[i].code, code) != 0)
            i++;
        strcpy(codes[i].code, code);
        codes[i].count++;
    } while (now_ns() < stop);
    putchar('{');
    for (size_t i = 0; i < CODES_MAX && codes[i].count; i++)
        printf("%s\"%s\": %lu", i ? ", " : "", codes[i].code, codes[i].count);
    puts("}");
    close(c->fd);
    cairn_buf_done(&c->in);
    cairn_buf_done(&out);
    free(words);
}

/* --- the control ---------------------------------------------------------------------------------- */

static uint64_t thread_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Burns, and looks up whenever it has had a slice of CPU time, as a worker does between two slices of an offender.
 * Tells how long it takes, at the 99th percentile of random moments, until it looks up: more than a slice only because
 * the operating system gave the core to somebody else. */
static void burn(void)
{
    uint64_t looked = now_ns(), stop = looked + (uint64_t)(options.seconds * 1e9), total = 0, low = 0, high = 0;

    latency_room = (size_t)(options.seconds * 1e9 / SLICE_NS) + 1000;
    latencies = cairn_alloc(latency_room * sizeof *latencies);
    while (looked < stop && latency_count < latency_room) {
        uint64_t until = thread_ns() + SLICE_NS, now;

        while (thread_ns() < until)
            ;
        now = now_ns();
        latencies[latency_count++] = now - looked;
        total += now - looked;
        high = now - looked > high ? now - looked : high;
        looked = now;
    }
    /* Of a gap g, the moments at which one waits for longer than w make up g - w. */
    while (low + 1000 < high) {
        uint64_t middle = (low + high) / 2, longer = 0;

        for (size_t i = 0; i < latency_count; i++)
            longer += latencies[i] > middle ? latencies[i] - middle : 0;
        if (longer > total / 100)
            low = middle;
        else
            high = middle;
    }
    printf("{\"p99_us\": %.1f}\n", (double)high / 1e3);
    free(latencies);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"seconds", required_argument, NULL, 's'},
        {"rate", required_argument, NULL, 'r'},
        {"clients", required_argument, NULL, 'c'},
        {"users", required_argument, NULL, 'u'},
        {"seed", required_argument, NULL, 'S'},
        {"offend", required_argument, NULL, 'o'},
        {"burn", no_argument, NULL, 'b'},
        {0},
    };

    for (int c; (c = getopt_long(argc, argv, "+", known, NULL)) != -1;) {
        switch (c) {
        case 'p':
            options.port = (unsigned)atoi(optarg);
            break;
        case 's':
            options.seconds = atof(optarg);
            break;
        case 'r':
            options.rate = atof(optarg);
            break;
        case 'c':
            options.clients = (unsigned)atoi(optarg);
            break;
        case 'u':
            options.users = (unsigned)atoi(optarg);
            break;
        case 'S':
            options.seed = strtoull(optarg, NULL, 10);
            break;
        case 'o':
            options.offend = optarg;
            break;
        case 'b':
            options.burn = true;
            break;
        default:
            return 2;
        }
    }
    if (!(options.port || options.burn) || options.seconds <= 0 || options.clients < 1 ||
        options.clients > CLIENTS_MAX || options.users < 1 || options.rate <= 0)
        die("--port and --seconds are needed, from 1 to %d clients, a user and a rate", CLIENTS_MAX);
    cairn_random_init(&dice, options.seed);
    if (options.burn)
        burn();
    else if (options.offend)
        offend(argc - optind, argv + optind);
    else
        crowd();
    return 0;
}
