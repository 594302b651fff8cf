/* store.c - the storage half of the disaggregated baseline: cairn's own engine and write-ahead log behind fields.h.
 *
 *   bench_store --data DIR [--threads N]      prints "ready PORT PORT ..", one port per thread
 *
 * Equal to cairn: engine, log, group commit over all threads, `--sync always`, checkpoints, and as many threads as
 * cairn has workers.  Not equal, in the baseline's favour: no sandbox, no mailboxes, no directory of objects, no
 * headers, and a read is answered at once, even if what it shows is not on stable storage yet.
 *
 * An object lives on thread hash(name) mod threads; clients connect to all of them.  A thread owns the shards whose
 * index mod threads is its own. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/list.h"
#include "fields.h"
#include "log/wal.h"
#include "shard/shard.h"

enum { THREADS_MAX = 16, CHECKPOINT_STEP_NS = 200000, EVENTS = 128 };

struct connection {
    int fd;
    struct cairn_buf in, out;
    size_t parsed;
    uint64_t held_end;      /* the reply in `out` waits for the log to get here; 0: it does not */
    struct cairn_link link; /* in thread->held, by held_end, or in thread->no_room */
};

/* What one request has written so far. */
struct write_set {
    struct cairn_write *writes;
    size_t count, room;
    struct cairn_arena arena;
};

struct thread {
    pthread_t id;
    int epoll, listener, wake;
    unsigned index;
    struct write_set set;
    struct cairn_link held, no_room;
    uint64_t want;
};

static struct cairn_store *store;
static struct thread threads[THREADS_MAX];
static unsigned thread_count = 2;

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
    fprintf(stderr, "store: %s: %s\n", what, why);
    exit(1);
}

static void wake(struct thread *thread)
{
    uint64_t one = 1;
    ssize_t n = write(thread->wake, &one, sizeof one);

    (void)n; /* it can only fail when it is about to wake anyhow */
}

static void on_progress(void *context, uint32_t shard, uint64_t acknowledged)
{
    (void)context, (void)shard, (void)acknowledged;
    for (unsigned i = 0; i < thread_count; i++)
        wake(&threads[i]);
}

static void on_failed(void *context, const struct cairn_err *why)
{
    (void)context;
    die("the log failed", why->text);
}

static void on_checkpoint_work(void *context, uint32_t index)
{
    (void)context;
    if (threads[index % thread_count].wake > 0)
        wake(&threads[index % thread_count]);
}

/* --- the state: engine and write set ------------------------------------------------------------- */

struct place {
    struct cairn_view *view;
    struct write_set *set;
    struct cairn_bytes name;
    uint64_t field;
};

/* Keys: kind, field, name, and what tells entries apart. */
static struct cairn_bytes key_of(struct place *p, char kind, const void *rest, size_t size)
{
    uint8_t *key = cairn_arena_alloc(&p->set->arena, 2 + 2 * CAIRN_VARINT_BYTES_MAX + p->name.size + size);
    size_t n = 1;

    key[0] = (uint8_t)kind;
    n += cairn_put_varint(key + n, p->field);
    n += cairn_put_varint(key + n, p->name.size);
    memcpy(key + n, p->name.data, p->name.size);
    n += p->name.size;
    if (size)
        memcpy(key + n, rest, size);
    return cairn_bytes(key, n + size);
}

static struct cairn_bytes key_numbered(struct place *p, char kind, uint64_t number)
{
    uint8_t rest[8];

    cairn_put_be64(rest, number);
    return key_of(p, kind, rest, sizeof rest);
}

static struct cairn_write *written(struct write_set *set, struct cairn_bytes key, uint64_t hash)
{
    for (size_t i = set->count; i-- > 0;)
        if (set->writes[i].hash == hash && cairn_bytes_equal(set->writes[i].key, key))
            return &set->writes[i];
    return NULL;
}

static bool get(struct place *p, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    uint64_t hash = cairn_hash(key);
    const struct cairn_write *w = written(p->set, key, hash);

    if (w) {
        *ret_value = w->value;
        return !w->deleted;
    }
    return p->view->ops->get(p->view, key, hash, ret_value);
}

static void put(struct place *p, struct cairn_bytes key, struct cairn_bytes value, bool deleted)
{
    struct write_set *set = p->set;
    uint64_t hash = cairn_hash(key);
    struct cairn_write *w = written(set, key, hash);

    if (!w) {
        if (set->count == set->room) {
            set->room = set->room ? 2 * set->room : 64;
            set->writes = cairn_realloc(set->writes, set->room * sizeof *set->writes);
        }
        w = &set->writes[set->count++];
    }
    *w = (struct cairn_write){
        .key = key, .hash = hash, .deleted = deleted, .value = cairn_arena_copy(&set->arena, value)};
}

static void removed(struct place *p, struct cairn_bytes key)
{
    put(p, key, cairn_bytes(NULL, 0), true);
}

/* A list's first number and its count; a map's has no use for `first`. */
static void extent_get(struct place *p, uint64_t *ret_first, uint64_t *ret_count)
{
    struct cairn_bytes value;

    *ret_first = *ret_count = 0;
    if (get(p, key_of(p, 'n', NULL, 0), &value)) {
        struct cairn_reader r = cairn_reader(value);

        *ret_first = cairn_read_varint(&r);
        *ret_count = cairn_read_varint(&r);
    }
}

static void extent_put(struct place *p, uint64_t first, uint64_t count)
{
    uint8_t value[2 * CAIRN_VARINT_BYTES_MAX];
    size_t n = cairn_put_varint(value, first);

    n += cairn_put_varint(value + n, count);
    put(p, key_of(p, 'n', NULL, 0), cairn_bytes(value, n), false);
}

/* --- operations ------------------------------------------------------------------------------------ */

static void answer(struct cairn_buf *to, uint64_t number, uint64_t count)
{
    cairn_buf_varint(to, number);
    cairn_buf_varint(to, count);
}

static void answer_string(struct cairn_buf *to, struct cairn_bytes string)
{
    cairn_buf_varint(to, string.size);
    cairn_buf_add(to, string.data, string.size);
}

static uint64_t decimal(struct cairn_bytes digits)
{
    uint64_t n = 0;

    for (size_t i = 0; i < digits.size; i++)
        n = n * 10 + (uint64_t)(digits.data[i] - '0');
    return n;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void do_list(struct place *p, enum field_op op, uint64_t number, struct cairn_bytes key,
                    struct cairn_bytes value, struct cairn_buf *to)
{
    struct cairn_bytes entry;
    uint64_t first, count;

    extent_get(p, &first, &count);
    switch (op) {
    case FIELD_LIST_PUSH:
        put(p, key_numbered(p, 'l', first + count), value, false);
        extent_put(p, first, count + 1);
        answer(to, 0, 0);
        break;
    case FIELD_LIST_SET:
        if (number < count)
            put(p, key_numbered(p, 'l', first + number), value, false);
        answer(to, number < count, 0);
        break;
    case FIELD_LIST_RANGE: {
        uint64_t n = number < count ? least(decimal(key), count - number) : 0;

        answer(to, n, n);
        for (uint64_t i = 0; i < n; i++)
            answer_string(to, get(p, key_numbered(p, 'l', first + number + i), &entry) ? entry : cairn_str(""));
        break;
    }
    case FIELD_LIST_DROP:
    case FIELD_LIST_DROP_NEW: {
        uint64_t n = least(number, count);

        for (uint64_t i = 0; i < n; i++)
            removed(p, key_numbered(p, 'l', op == FIELD_LIST_DROP ? first + i : first + count - 1 - i));
        if (n)
            extent_put(p, op == FIELD_LIST_DROP ? first + n : first, count - n);
        answer(to, n, 0);
        break;
    }
    default:
        answer(to, count, 0);
    }
}

/* An entry holds its place, a place its key; the last one fills a hole. */
static bool map_entry(struct place *p, struct cairn_bytes key, uint64_t *ret_place, struct cairn_bytes *ret_value)
{
    struct cairn_bytes entry;
    struct cairn_reader r;

    if (!get(p, key_of(p, 'k', key.data, key.size), &entry))
        return false;
    r = cairn_reader(entry);
    *ret_place = cairn_read_varint(&r);
    *ret_value = cairn_read_bytes(&r, cairn_reader_left(&r));
    return true;
}

static void map_put(struct place *p, struct cairn_bytes key, uint64_t place, struct cairn_bytes value)
{
    uint8_t *entry = cairn_arena_alloc(&p->set->arena, CAIRN_VARINT_BYTES_MAX + value.size);
    size_t n = cairn_put_varint(entry, place);

    if (value.size)
        memcpy(entry + n, value.data, value.size);
    put(p, key_of(p, 'k', key.data, key.size), cairn_bytes(entry, n + value.size), false);
    put(p, key_numbered(p, 's', place), key, false);
}

static void map_remove(struct place *p, struct cairn_bytes key, uint64_t place, uint64_t count)
{
    struct cairn_bytes last_key, value;
    uint64_t last;

    removed(p, key_of(p, 'k', key.data, key.size));
    if (place != count - 1 && get(p, key_numbered(p, 's', count - 1), &last_key) &&
        map_entry(p, last_key, &last, &value)) {
        last_key = cairn_arena_copy(&p->set->arena, last_key);
        map_put(p, last_key, place, cairn_arena_copy(&p->set->arena, value));
    }
    removed(p, key_numbered(p, 's', count - 1));
    extent_put(p, 0, count - 1);
}

static void do_map(struct place *p, enum field_op op, uint64_t number, struct cairn_bytes key, struct cairn_bytes value,
                   struct cairn_buf *to)
{
    uint64_t unused, count, place = 0;
    struct cairn_bytes old;
    bool found;

    extent_get(p, &unused, &count);
    if (op == FIELD_MAP_COUNT) {
        answer(to, count, 0);
    } else if (op == FIELD_MAP_RANGE) {
        uint64_t n = number < count ? least(decimal(key), count - number) : 0;

        answer(to, n, 2 * n);
        for (uint64_t i = 0; i < n; i++) {
            struct cairn_bytes name = {0}, entry = {0};

            if (get(p, key_numbered(p, 's', number + i), &name))
                map_entry(p, name, &place, &entry);
            answer_string(to, name);
            answer_string(to, entry);
        }
    } else {
        found = map_entry(p, key, &place, &old);
        answer(to, found, op == FIELD_MAP_GET && found);
        if (op == FIELD_MAP_GET && found)
            answer_string(to, old);
        if (op == FIELD_MAP_REMOVE && found)
            map_remove(p, key, place, count);
        if (op == FIELD_MAP_SET) {
            map_put(p, key, found ? place : count, value);
            if (!found)
                extent_put(p, 0, count + 1);
        }
    }
}

static void do_value(struct place *p, enum field_op op, struct cairn_bytes value, struct cairn_buf *to)
{
    struct cairn_bytes key = key_of(p, 'v', NULL, 0), old;
    bool found;

    if (op == FIELD_VALUE_GET) {
        found = get(p, key, &old);
        answer(to, found, found);
        if (found)
            answer_string(to, old);
        return;
    }
    put(p, key, value, op == FIELD_VALUE_CLEAR);
    answer(to, 0, 0);
}

/* --- requests ----------------------------------------------------------------------------------------- */

/* False: there is no room in the log at the moment; nothing has happened. */
static bool do_request(struct thread *thread, struct connection *c, struct cairn_bytes body)
{
    struct cairn_log *log = cairn_shard_log(cairn_store_shard(store, 0));
    struct cairn_reader r = cairn_reader(body);
    struct cairn_bytes name = cairn_read_sized(&r);
    uint64_t hash = cairn_hash(name);
    /* The thread is told by the low part of the hash (disagg/remote.c), so the shard by what is left. */
    uint32_t own = cairn_store_shards(store) / thread_count;
    uint32_t index = (uint32_t)(hash / thread_count % own) * thread_count + thread->index;
    struct cairn_shard *shard = cairn_store_shard(store, index);
    struct place p = {cairn_shard_view(shard), &thread->set, name, 0};
    struct write_set *set = &thread->set;
    struct cairn_err err;
    struct timespec t;
    size_t bytes;
    uint64_t end;

    c->out.size = 0;
    cairn_buf_add(&c->out, "\0\0\0", 4);
    set->count = 0;
    cairn_arena_reset(&set->arena);
    while (cairn_reader_left(&r) && !r.bad) {
        enum field_op op = (enum field_op)cairn_read_u8(&r);
        uint64_t field = cairn_read_varint(&r), number = cairn_read_varint(&r);
        struct cairn_bytes key = cairn_read_sized(&r), value = cairn_read_sized(&r);

        p.field = field;
        if (r.bad || op < FIELD_VALUE_GET || op >= FIELD_OP_END)
            die("a request", "malformed");
        if (op <= FIELD_VALUE_CLEAR)
            do_value(&p, op, value, &c->out);
        else if (op <= FIELD_LIST_DROP_NEW)
            do_list(&p, op, number, key, value, &c->out);
        else
            do_map(&p, op, number, key, value, &c->out);
    }
    cairn_put_u32(c->out.data, (uint32_t)(c->out.size - 4));
    if (!set->count)
        return true;
    bytes = cairn_shard_record_bytes(name, set->writes, set->count);
    if (cairn_shard_check_writers(shard, &err) != CAIRN_OK || log->ops->claim(log, bytes, 1, &err) != CAIRN_OK)
        return false;
    clock_gettime(CLOCK_REALTIME, &t);
    if (cairn_shard_commit(shard, (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000, name, set->writes,
                           set->count, &end, &err) != CAIRN_OK)
        die("a commit", err.text);
    c->held_end = end;
    cairn_list_push_back(&thread->held, &c->link);
    thread->want = end;
    return true;
}

static void drop(struct connection *c)
{
    cairn_list_remove(&c->link);
    close(c->fd);
    cairn_buf_done(&c->in);
    cairn_buf_done(&c->out);
    free(c);
}

static bool reply(struct connection *c)
{
    size_t at = 0;

    while (at < c->out.size) {
        ssize_t n = send(c->fd, c->out.data + at, c->out.size - at, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* Does the requests that have come in whole, up to the first one whose reply has to wait. */
static void serve(struct thread *thread, struct connection *c)
{
    while (!c->held_end) {
        size_t left = c->in.size - c->parsed;
        uint32_t size = left >= 4 ? cairn_get_u32(c->in.data + c->parsed) : 0;

        if (size > FIELD_REQUEST_BYTES_MAX)
            die("a request", "too large");
        if (left < 4 || left - 4 < size)
            break;
        if (!do_request(thread, c, cairn_bytes(c->in.data + c->parsed + 4, size))) {
            cairn_list_remove(&c->link);
            cairn_list_push_back(&thread->no_room, &c->link);
            return;
        }
        c->parsed += 4 + size;
        if (!c->held_end && !reply(c)) {
            drop(c);
            return;
        }
    }
    if (c->parsed == c->in.size)
        c->in.size = c->parsed = 0;
}

static void receive(struct thread *thread, struct connection *c)
{
    uint8_t *to = cairn_buf_reserve(&c->in, 16384);
    ssize_t n = recv(c->fd, to, 16384, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    c->in.size += (size_t)n;
    serve(thread, c);
}

static void acknowledge(struct thread *thread)
{
    struct cairn_log *log = cairn_shard_log(cairn_store_shard(store, 0));
    uint64_t acknowledged = log->ops->acknowledged(log);
    struct cairn_link waiting;

    while (!cairn_list_empty(&thread->held)) {
        struct connection *c = cairn_container(thread->held.next, struct connection, link);

        if (c->held_end > acknowledged)
            break;
        cairn_list_remove(&c->link);
        c->held_end = 0;
        if (reply(c))
            serve(thread, c);
        else
            drop(c);
    }
    cairn_list_init(&waiting);
    while (!cairn_list_empty(&thread->no_room))
        cairn_list_push_back(&waiting, cairn_list_pop_front(&thread->no_room));
    while (!cairn_list_empty(&waiting))
        serve(thread, cairn_container(cairn_list_pop_front(&waiting), struct connection, link));
}

static void welcome(struct thread *thread)
{
    struct connection *c = cairn_alloc_zeroed(1, sizeof *c);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int one = 1;

    c->fd = accept(thread->listener, NULL, NULL);
    if (c->fd < 0)
        die("accept", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    cairn_list_init(&c->link);
    epoll_ctl(thread->epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void *serve_thread(void *argument)
{
    struct thread *thread = argument;
    struct cairn_log *log = cairn_shard_log(cairn_store_shard(store, 0));
    struct epoll_event events[EVENTS];

    for (;;) {
        bool due = cairn_store_checkpoint_due(store), more = false;
        int n;

        for (uint32_t i = thread->index; due && i <= cairn_store_shards(store); i += thread_count)
            more |= cairn_shard_step(cairn_store_shard(store, i), CHECKPOINT_STEP_NS);
        n = epoll_wait(thread->epoll, events, EVENTS, more ? 0 : due || !cairn_list_empty(&thread->no_room) ? 5 : -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &thread->listener) {
                welcome(thread);
            } else if (events[i].data.ptr == &thread->wake) {
                uint64_t count;
                ssize_t got = read(thread->wake, &count, sizeof count);

                (void)got;
            } else {
                receive(thread, events[i].data.ptr);
            }
        }
        acknowledge(thread);
        if (thread->want) {
            log->ops->want(log, thread->want);
            thread->want = 0;
        }
    }
    return NULL;
}

static unsigned listen_for(struct thread *thread)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct epoll_event event = {.events = EPOLLIN};
    socklen_t size = sizeof at;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    thread->epoll = epoll_create1(0);
    thread->wake = eventfd(0, EFD_NONBLOCK);
    thread->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(thread->listener, (struct sockaddr *)&at, sizeof at) || listen(thread->listener, 1024) ||
        getsockname(thread->listener, (struct sockaddr *)&at, &size))
        die("listen", strerror(errno));
    event.data.ptr = &thread->listener;
    epoll_ctl(thread->epoll, EPOLL_CTL_ADD, thread->listener, &event);
    event.data.ptr = &thread->wake;
    epoll_ctl(thread->epoll, EPOLL_CTL_ADD, thread->wake, &event);
    return ntohs(at.sin_port);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"data", required_argument, NULL, 'd'}, {"threads", required_argument, NULL, 't'}, {0}};
    struct cairn_wal_opener wal;
    struct cairn_store_options options = {.clock = cairn_clock_system(),
                                          .on_checkpoint_work = on_checkpoint_work,
                                          .on_log_progress = on_progress,
                                          .on_log_failed = on_failed,
                                          .log = &wal.opener};
    const char *data = NULL;
    struct cairn_err err;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'd')
            data = optarg;
        else if (c == 't')
            thread_count = (unsigned)atoi(optarg);
        else
            return 2;
    }
    if (!data || thread_count < 1 || thread_count > THREADS_MAX)
        die("usage", "bench_store --data DIR [--threads 1..16]");
    options.shards = 8 * thread_count;
    cairn_wal_opener_init(&wal, &(struct cairn_wal_options){.sync = CAIRN_SYNC_ALWAYS, .threaded = true});
    options.tasks = cairn_tasks_create(1);
    if (cairn_disk_open(data, &options.disk, &err) != CAIRN_OK || cairn_store_open(&options, &store, &err) != CAIRN_OK)
        die("cannot open", err.text);
    printf("ready");
    for (unsigned i = 0; i < thread_count; i++) {
        threads[i].index = i;
        cairn_list_init(&threads[i].held);
        cairn_list_init(&threads[i].no_room);
        printf(" %u", listen_for(&threads[i]));
    }
    if (cairn_store_start(store, &err) != CAIRN_OK)
        die("cannot start", err.text);
    for (unsigned i = 0; i < thread_count; i++)
        pthread_create(&threads[i].id, NULL, serve_thread, &threads[i]);
    printf("\n");
    fflush(stdout);
    pthread_join(threads[0].id, NULL);
    return 0;
}
