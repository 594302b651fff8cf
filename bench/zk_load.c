/* zk_load.c - the load generator for ZooKeeper's protocol: the same requests for cairn and for ZooKeeper.
 *
 *   bench_zk_load --port N --workload NAME [...]        prints one line of JSON
 *
 *     fill        creates FOLDER and, once each, its --nodes nodes    get         getData of nodes drawn
 *     set         setData of nodes drawn                              exists      exists of nodes drawn
 *     mixed       90 % getData, 10 % setData                          children    getChildren of FOLDER
 *     sequential  creates FOLDER, then sequential nodes in it         multi       a multi of --parts setData
 *     sessions    each time a connection, a session, its close        watches     --sessions sessions watch FOLDER, one
 *                                                                                 setData fires them; --count times
 *
 *     --folder PATH (/bench)  --nodes N (1000)  --bytes N (100): of a node's data  --parts N (10)  --seed N (1)
 *     --connections N (1)  --outstanding N (1): requests of a connection that are not answered
 *     --seconds S, --count N (whichever comes first)  --warm-up S (0)  --sessions N (10000)
 *
 * Closed loop: whenever a connection has a reply, it sends the next request.  A latency lasts from the sending to the
 * reply; in `sessions` from before the connection is made to the reply to the close; in `watches` from the sending of
 * the setData to the last event.  A reply with an error, a closed connection and a silence of LONGEST_WAIT_MS end it
 * with status 1.  Every session is closed in the end, so that none is left to expire later. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "histogram.h"
#include "proto/zk.h"

enum {
    LONGEST_WAIT_MS = 60000,
    SESSION_TIMEOUT_MS = 40000,
    READ_BYTES = 65536,
    OUTSTANDING_MAX = 1024,
    PARTS_MAX = 100,
    DATA_BYTES_MAX = 512 << 10,
    FOLDER_BYTES_MAX = 200,
    PATH_BYTES_MAX = FOLDER_BYTES_MAX + 16,
    SESSIONS_AT_ONCE = 32, /* that are made or closed together: ZooKeeper lets 50 connections wait */
    WRITES_IN_100 = 10,    /* of `mixed` */
};

enum workload { FILL, SET, GET, MIXED, SEQUENTIAL, EXISTS, MULTI, CHILDREN, SESSIONS, WATCHES, WORKLOADS };

static const char *const workloads[WORKLOADS] = {"fill",   "set",   "get",      "mixed",    "sequential",
                                                 "exists", "multi", "children", "sessions", "watches"};

static struct {
    unsigned port, nodes, bytes, parts, connections, outstanding, sessions;
    uint64_t seed, count;
    double seconds, warm_up;
    const char *folder;
    enum workload workload;
} options = {.nodes = 1000,
             .bytes = 100,
             .parts = 10,
             .connections = 1,
             .outstanding = 1,
             .sessions = 10000,
             .seed = 1,
             .folder = "/bench",
             .workload = WORKLOADS};

enum state { OPENING, CLOSING };

struct connection {
    int fd;
    enum state state;        /* which reply comes next, in `sessions` */
    uint32_t first, waiting; /* requests under way, in a ring */
    struct request {
        uint64_t sent_ns;
        int32_t xid, op;
    } ring[OUTSTANDING_MAX];
    int32_t xid;
    struct cairn_buf out, in;
    size_t written, parsed;
};

static struct cairn_random dice;
static struct cairn_buf open_acl_items;
static struct cairn_zk_vector open_acl;
static uint8_t *payload;
static uint64_t sent;
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
    fputs("zk_load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    exit(1);
}

/* --- what is asked for ------------------------------------------------------------------------ */

static void prepare(void)
{
    static const struct cairn_zk_acl anyone = {
        CAIRN_ZK_ALL, {(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}};

    cairn_random_init(&dice, options.seed);
    cairn_zk_acl_add(&open_acl_items, &open_acl, &anyone);
    payload = cairn_alloc(options.bytes + 1);
    for (unsigned i = 0; i < options.bytes; i++)
        payload[i] = (uint8_t)('a' + cairn_random_below(&dice, 26));
}

static struct cairn_zk_request of_folder(int32_t op)
{
    return (struct cairn_zk_request){
        .op = op, .path = cairn_str(options.folder), .data = {payload, options.bytes}, .acl = open_acl, .version = -1};
}

/* path: where the request's path is put. */
static struct cairn_zk_request of_node(int32_t op, uint64_t node, char path[PATH_BYTES_MAX])
{
    struct cairn_zk_request request = of_folder(op);

    snprintf(path, PATH_BYTES_MAX, "%s/n%08u", options.folder, (unsigned)node);
    request.path = cairn_str(path);
    return request;
}

static void add_to(struct connection *c, const struct cairn_zk_request *request)
{
    struct request *r = &c->ring[(c->first + c->waiting++) % OUTSTANDING_MAX];
    struct cairn_zk_request numbered = *request;
    size_t begun = cairn_zk_frame_begin(&c->out);

    numbered.xid = ++c->xid;
    cairn_zk_request_add(&c->out, &numbered);
    cairn_zk_frame_end(&c->out, begun);
    *r = (struct request){.sent_ns = now_ns(), .xid = c->xid, .op = request->op};
}

static void add_multi(struct connection *c)
{
    struct cairn_zk_request multi = {.op = CAIRN_ZK_OP_MULTI};
    struct cairn_buf items = {0};
    char path[PATH_BYTES_MAX];

    for (unsigned i = 0; i < options.parts; i++) {
        struct cairn_zk_request part = of_node(CAIRN_ZK_OP_SET_DATA, cairn_random_below(&dice, options.nodes), path);

        cairn_zk_multi_add(&items, &multi.multi, &part);
    }
    add_to(c, &multi);
    cairn_buf_done(&items);
}

static void add_request(struct connection *c)
{
    uint64_t node = options.workload == FILL ? sent : cairn_random_below(&dice, options.nodes);
    struct cairn_zk_request request;
    char path[PATH_BYTES_MAX];
    bool writes;

    sent++;
    switch (options.workload) {
    case FILL:
        request = of_node(CAIRN_ZK_OP_CREATE, node, path);
        break;
    case SET:
        request = of_node(CAIRN_ZK_OP_SET_DATA, node, path);
        break;
    case GET:
        request = of_node(CAIRN_ZK_OP_GET_DATA, node, path);
        break;
    case MIXED:
        writes = cairn_random_below(&dice, 100) < WRITES_IN_100;
        request = of_node(writes ? CAIRN_ZK_OP_SET_DATA : CAIRN_ZK_OP_GET_DATA, node, path);
        break;
    case SEQUENTIAL:
        snprintf(path, sizeof path, "%s/s-", options.folder);
        request = of_folder(CAIRN_ZK_OP_CREATE);
        request.path = cairn_str(path);
        request.flags = CAIRN_ZK_SEQUENTIAL;
        break;
    case EXISTS:
        request = of_node(CAIRN_ZK_OP_EXISTS, node, path);
        break;
    case MULTI:
        add_multi(c);
        return;
    default:
        request = of_folder(CAIRN_ZK_OP_GET_CHILDREN);
        break;
    }
    add_to(c, &request);
}

/* --- connections -------------------------------------------------------------------------------- */

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
    c->out.size = c->written = 0;
}

/* A connection that has asked for a session. */
static void dial(struct connection *c)
{
    static const uint8_t none[CAIRN_ZK_PASSWORD_BYTES];
    const struct cairn_zk_connect wish = {
        .timeout_ms = SESSION_TIMEOUT_MS, .password = {none, sizeof none}, .has_read_only = true};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    const struct timeval longest = {.tv_sec = LONGEST_WAIT_MS / 1000};
    int one = 1;
    size_t begun;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("cannot connect to port %u: %s", options.port, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
    c->state = OPENING;
    c->in.size = c->parsed = c->out.size = c->written = 0;
    begun = cairn_zk_frame_begin(&c->out);
    cairn_zk_connect_add(&c->out, &wish);
    cairn_zk_frame_end(&c->out, begun);
    pump_out(c);
}

static void done_with(struct connection *c)
{
    close(c->fd);
    cairn_buf_done(&c->in);
    cairn_buf_done(&c->out);
}

/* Takes what has come; false: nothing. */
static bool receive(struct connection *c, int flags)
{
    uint8_t *to;
    ssize_t n;

    cairn_buf_consume(&c->in, c->parsed);
    c->parsed = 0;
    to = cairn_buf_reserve(&c->in, READ_BYTES);
    n = recv(c->fd, to, READ_BYTES, flags);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0)
        die("the connection was closed with %u requests under way", c->waiting);
    c->in.size += (size_t)n;
    return true;
}

/* The next message's body, if it is all there. */
static bool next_message(struct connection *c, struct cairn_bytes *ret)
{
    struct cairn_bytes left = {c->in.data + c->parsed, c->in.size - c->parsed};
    size_t used = 0;

    switch (cairn_zk_frame_read(left, INT32_MAX >> 1, false, ret, &used)) {
    case CAIRN_ZK_FRAME:
        c->parsed += used;
        return true;
    case CAIRN_ZK_MORE:
        return false;
    default:
        die("a message that is none");
    }
}

/* Waits. */
static struct cairn_bytes one_message(struct connection *c)
{
    struct cairn_bytes body;

    while (!next_message(c, &body))
        if (!receive(c, 0))
            die("no reply within %d seconds", LONGEST_WAIT_MS / 1000);
    return body;
}

static void check_connected(struct cairn_bytes body)
{
    struct cairn_zk_connected connected;

    if (!cairn_zk_connected_read(body, &connected) || connected.timeout_ms <= 0)
        die("there is no session to be had");
}

/* The request that the reply belongs to.  FOLDER, which a connection's first request makes, may be there. */
static struct request check_reply(struct connection *c, struct cairn_bytes body)
{
    struct request r = c->ring[c->first % OUTSTANDING_MAX];
    struct cairn_zk_reply reply;

    if (!c->waiting || cairn_zk_xid(body) != r.xid)
        die("a reply with xid %d, not %d", (int)cairn_zk_xid(body), (int)r.xid);
    if (!cairn_zk_reply_read(body, r.op, &reply))
        die("a reply to operation %d that cannot be read", (int)r.op);
    if (reply.error && !(r.op == CAIRN_ZK_OP_CREATE && r.xid == 1 && reply.error == CAIRN_ZK_EEXISTS))
        die("operation %d: error %d", (int)r.op, (int)reply.error);
    c->first++;
    c->waiting--;
    return r;
}

/* One request and, once `answer` returns, its reply. */
static void ask(struct connection *c, int32_t op, bool watch)
{
    struct cairn_zk_request request = of_folder(op);

    request.watch = watch;
    add_to(c, &request);
    pump_out(c);
}

static void answer(struct connection *c)
{
    check_reply(c, one_message(c));
}

static struct connection *open_all(unsigned count)
{
    struct connection *all = cairn_alloc_zeroed(count, sizeof *all);

    for (unsigned from = 0; from < count; from += SESSIONS_AT_ONCE) {
        for (unsigned i = from; i < count && i < from + SESSIONS_AT_ONCE; i++)
            dial(&all[i]);
        for (unsigned i = from; i < count && i < from + SESSIONS_AT_ONCE; i++)
            check_connected(one_message(&all[i]));
    }
    return all;
}

static void ask_all(struct connection *all, unsigned count, int32_t op, bool watch)
{
    for (unsigned from = 0; from < count; from += SESSIONS_AT_ONCE) {
        for (unsigned i = from; i < count && i < from + SESSIONS_AT_ONCE; i++)
            ask(&all[i], op, watch);
        for (unsigned i = from; i < count && i < from + SESSIONS_AT_ONCE; i++)
            answer(&all[i]);
    }
}

static void close_all(struct connection *all, unsigned count)
{
    ask_all(all, count, CAIRN_ZK_OP_CLOSE_SESSION, false);
    for (unsigned i = 0; i < count; i++)
        done_with(&all[i]);
    free(all);
}

static int listen_to(struct connection *all, unsigned count)
{
    int epoll = epoll_create1(0);

    for (unsigned i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};

        epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    return epoll;
}

static int wait_on(int epoll, struct epoll_event *events, int most)
{
    int n = epoll_wait(epoll, events, most, LONGEST_WAIT_MS);

    if (n == 0)
        die("no reply within %d seconds", LONGEST_WAIT_MS / 1000);
    return n < 0 ? 0 : n;
}

/* --- the workloads -------------------------------------------------------------------------------- */

static uint64_t start_ns, count_from_ns, stop_ns;

static bool more(void)
{
    uint64_t most = options.workload == FILL ? options.nodes : options.count ? options.count : UINT64_MAX;

    return sent < most && now_ns() < stop_ns;
}

/* Takes replies, and sends as many requests. */
static void turn(struct connection *c)
{
    struct cairn_bytes body;

    while (next_message(c, &body)) {
        struct request r = check_reply(c, body);
        uint64_t now = now_ns();

        if (now >= count_from_ns)
            histogram_add(&latencies, now - r.sent_ns);
        if (more())
            add_request(c);
    }
    pump_out(c);
}

static void run_requests(void)
{
    struct connection *all = open_all(options.connections);
    int epoll = listen_to(all, options.connections);
    unsigned busy = 0;

    if (options.workload == FILL || options.workload == SEQUENTIAL) {
        ask(&all[0], CAIRN_ZK_OP_CREATE, false);
        answer(&all[0]);
    }
    start_ns = now_ns();
    count_from_ns = start_ns + (uint64_t)(options.warm_up * 1e9);
    stop_ns = options.seconds > 0 ? count_from_ns + (uint64_t)(options.seconds * 1e9) : UINT64_MAX;
    for (unsigned i = 0; i < options.connections; i++) {
        for (unsigned k = 0; k < options.outstanding && more(); k++)
            add_request(&all[i]);
        pump_out(&all[i]);
        busy += all[i].waiting > 0;
    }
    while (busy) {
        struct epoll_event events[64];
        int n = wait_on(epoll, events, 64);

        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;

            pump_out(c);
            if (!receive(c, MSG_DONTWAIT))
                continue;
            turn(c);
            busy -= !c->waiting;
        }
    }
    stop_ns = now_ns();
    close(epoll);
    close_all(all, options.connections);
}

static void begin_session(int epoll, struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    uint64_t begin = now_ns();

    sent++;
    dial(c);
    c->ring[0].sent_ns = begin;
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

/* True when the session has ended. */
static bool session_step(struct connection *c)
{
    uint64_t begin = c->ring[0].sent_ns;
    struct cairn_bytes body;

    if (!receive(c, MSG_DONTWAIT) || !next_message(c, &body))
        return false;
    if (c->state == OPENING) {
        check_connected(body);
        c->state = CLOSING;
        c->first = c->waiting = 0;
        ask(c, CAIRN_ZK_OP_CLOSE_SESSION, false);
        c->ring[0].sent_ns = begin;
        return false;
    }
    check_reply(c, body);
    if (now_ns() >= count_from_ns)
        histogram_add(&latencies, now_ns() - begin);
    close(c->fd);
    return true;
}

static void run_sessions(void)
{
    struct connection *all = cairn_alloc_zeroed(options.connections, sizeof *all);
    int epoll = epoll_create1(0);
    unsigned busy = 0;

    start_ns = now_ns();
    count_from_ns = start_ns + (uint64_t)(options.warm_up * 1e9);
    stop_ns = options.seconds > 0 ? count_from_ns + (uint64_t)(options.seconds * 1e9) : UINT64_MAX;
    for (unsigned i = 0; i < options.connections && more(); i++, busy++)
        begin_session(epoll, &all[i]);
    while (busy) {
        struct epoll_event events[64];
        int n = wait_on(epoll, events, 64);

        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;

            if (!session_step(c))
                continue;
            if (more())
                begin_session(epoll, c);
            else
                busy--;
        }
    }
    stop_ns = now_ns();
    for (unsigned i = 0; i < options.connections; i++) {
        cairn_buf_done(&all[i].in);
        cairn_buf_done(&all[i].out);
    }
    free(all);
    close(epoll);
}

/* How long it takes from the set to the last event. */
static uint64_t fire(int epoll, struct connection *writer, unsigned watchers)
{
    uint64_t begin = now_ns(), end;

    ask(writer, CAIRN_ZK_OP_SET_DATA, false);
    for (unsigned events_left = watchers; events_left;) {
        struct epoll_event events[256];
        int n = wait_on(epoll, events, 256);

        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            struct cairn_bytes body;

            if (!receive(c, MSG_DONTWAIT))
                continue;
            while (next_message(c, &body)) {
                if (cairn_zk_xid(body) != CAIRN_ZK_XID_EVENT)
                    die("a message that is no event");
                events_left--;
            }
        }
    }
    end = now_ns();
    answer(writer);
    return end - begin;
}

static void run_watches(void)
{
    struct connection *all = open_all(options.sessions), *writer = open_all(1);
    int epoll = listen_to(all, options.sessions);

    ask(writer, CAIRN_ZK_OP_CREATE, false);
    answer(writer);
    start_ns = now_ns();
    for (uint64_t i = 0; i < options.count; i++) {
        ask_all(all, options.sessions, CAIRN_ZK_OP_GET_DATA, true);
        ask(writer, CAIRN_ZK_OP_EXISTS, false); /* its session lives on */
        answer(writer);
        histogram_add(&latencies, fire(epoll, writer, options.sessions));
    }
    count_from_ns = start_ns;
    stop_ns = now_ns();
    close(epoll);
    close_all(all, options.sessions);
    close_all(writer, 1);
}

/* --- the command line ------------------------------------------------------------------------------ */

static const struct option known[] = {
    {"port", required_argument, NULL, 'p'},        {"workload", required_argument, NULL, 'w'},
    {"folder", required_argument, NULL, 'f'},      {"nodes", required_argument, NULL, 'N'},
    {"bytes", required_argument, NULL, 'b'},       {"parts", required_argument, NULL, 'm'},
    {"seed", required_argument, NULL, 's'},        {"connections", required_argument, NULL, 'c'},
    {"outstanding", required_argument, NULL, 'o'}, {"seconds", required_argument, NULL, 'd'},
    {"count", required_argument, NULL, 'n'},       {"warm-up", required_argument, NULL, 'W'},
    {"sessions", required_argument, NULL, 'S'},    {0},
};

static void read_options(int argc, char **argv)
{
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        unsigned number = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;

        switch (c) {
        case 'p':
            options.port = number;
            break;
        case 'w':
            for (int w = 0; w < WORKLOADS; w++)
                if (strcmp(optarg, workloads[w]) == 0)
                    options.workload = (enum workload)w;
            break;
        case 'f':
            options.folder = optarg;
            break;
        case 'N':
            options.nodes = number;
            break;
        case 'b':
            options.bytes = number;
            break;
        case 'm':
            options.parts = number;
            break;
        case 's':
            options.seed = number;
            break;
        case 'c':
            options.connections = number;
            break;
        case 'o':
            options.outstanding = number;
            break;
        case 'S':
            options.sessions = number;
            break;
        case 'n':
            options.count = strtoull(optarg, NULL, 10);
            break;
        case 'd':
            options.seconds = atof(optarg);
            break;
        case 'W':
            options.warm_up = atof(optarg);
            break;
        default:
            exit(2);
        }
    }
    if (!options.port || options.workload == WORKLOADS)
        die("--port and --workload (fill, set, get, mixed, sequential, exists, multi, children, sessions, watches) are "
            "needed");
    if (!options.connections || !options.outstanding || options.outstanding > OUTSTANDING_MAX || !options.nodes ||
        !options.sessions || !options.parts || options.parts > PARTS_MAX)
        die("there are 1 to %d requests outstanding and 1 to %d parts, and at least one of the others", OUTSTANDING_MAX,
            PARTS_MAX);
    if (options.bytes > DATA_BYTES_MAX || strlen(options.folder) > FOLDER_BYTES_MAX)
        die("a node has at most %d bytes, the folder's path %d", DATA_BYTES_MAX, FOLDER_BYTES_MAX);
    if (options.workload == WATCHES ? !options.count
                                    : options.workload != FILL && options.seconds <= 0 && !options.count)
        die("--seconds or --count is needed; for watches --count");
}

int main(int argc, char **argv)
{
    double seconds;

    read_options(argc, argv);
    prepare();
    if (options.workload == SESSIONS)
        run_sessions();
    else if (options.workload == WATCHES)
        run_watches();
    else
        run_requests();
    seconds = (double)(stop_ns - count_from_ns) / 1e9;
    printf("{\"workload\": \"%s\", \"replies\": %llu, \"seconds\": %.3f, \"throughput\": %.1f, \"mean_us\": %.1f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n",
           workloads[options.workload], (unsigned long long)latencies.count, seconds, (double)latencies.count / seconds,
           histogram_mean_ns(&latencies) / 1e3, histogram_ns(&latencies, 0.5) / 1e3,
           histogram_ns(&latencies, 0.99) / 1e3, (double)latencies.max_ns / 1e3);
    free(payload);
    cairn_buf_done(&open_acl_items);
    return 0;
}
