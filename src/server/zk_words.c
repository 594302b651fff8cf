/* Four-letter words: what tools ask a ZooKeeper for without being its client, in ZooKeeper's formats.
 *
 * docs/reference/zookeeper.md has the list.  A word that needs to know of the tree asks the keeper, and is written when
 * that has answered; the connection ends with the answer. */
#include <inttypes.h>
#include <stdlib.h>

#include "io/process.h"
#include "server/version.h"
#include "server/zk_internal.h"
#include "server/zk_words.h"

enum { WORD_BYTES = 4, TICK_MS = KEEPER_TICK_MS, TICKS_MIN = 2, TICKS_MAX = 20 };

#define WORDS_DEFAULT "srvr,ruok,mntr"

/* What a word is written from; `ask` is NULL of those that ask nothing. */
struct word_context {
    struct cairn_front *front;
    const struct cairn_front_about *about;
    const struct keeper_ask *ask;
    struct cairn_buf *to;
};

struct cairn_zk_word {
    const char *name;
    int ask; /* 0, or an enum keeper_op */
    void (*write)(const struct word_context *c);
};

/* --- numbers of the front --- */

static uint64_t ms(uint64_t us)
{
    return us / 1000;
}

static uint64_t min_ms(const struct cairn_zk_client_now *counts)
{
    return counts->us_min ? ms(counts->us_min - 1) : 0;
}

static double average_ms(const struct cairn_zk_client_now *counts)
{
    return counts->answered ? (double)counts->us_total / 1e3 / (double)counts->answered : 0;
}

static uint64_t outstanding(const struct cairn_zk_client_now *list, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += list[i].queued;
    return sum;
}

/* Words are connections, too, and count as such in ZooKeeper. */
static void latency(const struct cairn_zk_client_now *total, struct cairn_buf *to)
{
    cairn_buf_printf(to, "Latency min/avg/max: %" PRIu64 "/%.4g/%" PRIu64 "\n", min_ms(total), average_ms(total),
                     ms(total->us_max));
}

/* --- srvr, stat, cons --- */

static void brief(const struct cairn_zk_client_now *client, struct cairn_buf *to)
{
    cairn_buf_printf(to, " /%s[1](queued=%u,recved=%" PRIu64 ",sent=%" PRIu64, client->peer, client->queued,
                     client->received, client->sent);
}

/* "GETD" of getData, as ZooKeeper has it. */
static void short_op(int32_t op, char to[5])
{
    const char *name = op ? cairn_zk_op_name(op) : "session";

    for (int i = 0; i < 4; i++)
        to[i] = name && name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name ? name[i] : 'N';
    to[4] = 0;
}

static void in_full(const struct cairn_zk_client_now *client, struct cairn_buf *to)
{
    char op[5];

    short_op(client->last_op, op);
    brief(client, to);
    if (client->session) {
        cairn_buf_printf(to, ",sid=0x%" PRIx64 ",lop=%s,est=%" PRIu64 ",to=%u", client->session, op, client->since_ms,
                         client->timeout_ms);
        if (client->last_xid >= 0)
            cairn_buf_printf(to, ",lcxid=0x%x", (unsigned)client->last_xid);
        cairn_buf_printf(to,
                         ",lzxid=0x%" PRIx64 ",lresp=%" PRIu64 ",llat=%" PRIu64 ",minlat=%" PRIu64 ",avglat=%" PRIu64
                         ",maxlat=%" PRIu64,
                         client->last_zxid, client->last_ms, ms(client->last_us), min_ms(client),
                         (uint64_t)average_ms(client), ms(client->us_max));
    }
    cairn_buf_str(to, ")\n");
}

static void list_clients(const struct word_context *c, bool full)
{
    struct cairn_zk_client_now *list;
    size_t count;

    list = cairn_zk_clients_list(c->about->zk_clients, &count);
    for (size_t i = 0; i < count; i++)
        if (full) {
            in_full(&list[i], c->to);
        } else {
            brief(&list[i], c->to);
            cairn_buf_str(c->to, ")\n");
        }
    cairn_buf_str(c->to, "\n");
    free(list);
}

static void write_cons(const struct word_context *c)
{
    list_clients(c, true);
}

static void write_server(const struct word_context *c)
{
    struct cairn_zk_client_now total = cairn_zk_clients_total(c->about->zk_clients), *list;
    size_t count;

    list = cairn_zk_clients_list(c->about->zk_clients, &count);
    latency(&total, c->to);
    cairn_buf_printf(c->to,
                     "Received: %" PRIu64 "\nSent: %" PRIu64 "\nConnections: %zu\nOutstanding: %" PRIu64
                     "\nZxid: 0x%" PRIx64 "\nMode: standalone\nNode count: %" PRIu64 "\n",
                     total.received, total.sent, count, outstanding(list, count), c->ask->state->zxid,
                     c->ask->state->nodes);
    free(list);
}

static void write_srvr(const struct word_context *c)
{
    cairn_buf_str(c->to, "Zookeeper version: " CAIRN_ZK_FULL_VERSION "\n");
    write_server(c);
}

static void write_stat(const struct word_context *c)
{
    cairn_buf_str(c->to, "Zookeeper version: " CAIRN_ZK_FULL_VERSION "\nClients:\n");
    list_clients(c, false);
    write_server(c);
}

/* --- mntr --- */

static void number(struct cairn_buf *to, const char *name, uint64_t value)
{
    cairn_buf_printf(to, "zk_%s\t%" PRIu64 "\n", name, value);
}

static void write_mntr(const struct word_context *c)
{
    struct cairn_zk_client_now total = cairn_zk_clients_total(c->about->zk_clients), *list;
    const struct keeper_state *state = c->ask->state;
    struct cairn_clock *clock = c->front->clock;
    struct cairn_process process;
    size_t count;

    list = cairn_zk_clients_list(c->about->zk_clients, &count);
    cairn_process_read(&process);
    cairn_buf_printf(c->to, "zk_version\t%s\nzk_server_state\tstandalone\n", CAIRN_ZK_FULL_VERSION);
    number(c->to, "ephemerals_count", state->ephemerals);
    cairn_buf_printf(c->to, "zk_avg_latency\t%.4g\n", average_ms(&total));
    number(c->to, "num_alive_connections", count);
    number(c->to, "outstanding_requests", outstanding(list, count));
    number(c->to, "max_file_descriptor_count", process.open_files_max);
    number(c->to, "znode_count", state->nodes);
    number(c->to, "approximate_data_size", state->data_bytes);
    number(c->to, "global_sessions", state->sessions);
    number(c->to, "local_sessions", 0);
    number(c->to, "uptime", clock->wall_ms(clock) - c->about->started_ms);
    number(c->to, "max_latency", ms(total.us_max));
    number(c->to, "min_latency", min_ms(&total));
    number(c->to, "packets_sent", total.sent);
    number(c->to, "packets_received", total.received);
    number(c->to, "open_file_descriptor_count", process.open_files);
    number(c->to, "watch_count", state->watches);
    number(c->to, "stale_sessions_expired", state->expired);
    free(list);
}

/* --- sessions and watches: lists of the keeper, be64 session and paths with a zero byte behind each --- */

static uint64_t session_next(struct cairn_bytes *items)
{
    struct cairn_bytes session = {NULL, 0};

    cairn_zk_string_next(items, &session);
    return session.size == 8 ? cairn_get_be64(session.data) : 0;
}

static bool path_next(struct cairn_bytes *paths, struct cairn_bytes *ret)
{
    const uint8_t *end = paths->size ? memchr(paths->data, 0, paths->size) : NULL;

    if (!end)
        return false;
    *ret = cairn_bytes(paths->data, (size_t)(end - paths->data));
    *paths = cairn_bytes(end + 1, paths->size - ret->size - 1);
    return true;
}

static void list_paths(struct cairn_bytes paths, struct cairn_buf *to)
{
    struct cairn_bytes path;

    while (path_next(&paths, &path)) {
        cairn_buf_str(to, "\t");
        cairn_buf_add(to, path.data, path.size);
        cairn_buf_str(to, "\n");
    }
}

static struct cairn_bytes names_of(const struct word_context *c)
{
    return c->ask->slot_count ? c->ask->slots[0].names.items : cairn_bytes(NULL, 0);
}

static void write_dump(const struct word_context *c)
{
    struct cairn_bytes items = names_of(c), timeout, paths;
    struct cairn_buf owners = {0};
    uint32_t owner_count = 0, session_count = 0;

    cairn_buf_str(c->to, "SessionTracker dump:\n");
    while (items.size) {
        uint64_t session = session_next(&items);

        cairn_zk_string_next(&items, &timeout);
        cairn_zk_string_next(&items, &paths);
        cairn_buf_printf(c->to, "\t0x%" PRIx64 "\t%ums\n", session,
                         timeout.size == 4 ? __builtin_bswap32(cairn_get_u32(timeout.data)) : 0);
        session_count++;
        if (paths.size) {
            cairn_buf_printf(&owners, "0x%" PRIx64 ":\n", session);
            list_paths(paths, &owners);
            owner_count++;
        }
    }
    cairn_buf_printf(c->to, "ephemeral nodes dump:\nSessions with Ephemerals (%u):\n", owner_count);
    cairn_buf_add(c->to, owners.data, owners.size);
    cairn_buf_printf(c->to, "Connections dump:\nConnections Sets (1)/(%u):\n", session_count);
    cairn_buf_done(&owners);
}

static void write_wchs(const struct word_context *c)
{
    const struct keeper_state *state = c->ask->state;

    cairn_buf_printf(c->to, "%" PRIu64 " connections watching %" PRIu64 " paths\nTotal watches:%" PRIu64 "\n",
                     state->watchers, state->watch_paths, state->watches);
}

static void write_wchc(const struct word_context *c)
{
    struct cairn_bytes items = names_of(c), paths;

    while (items.size) {
        cairn_buf_printf(c->to, "0x%" PRIx64 "\n", session_next(&items));
        cairn_zk_string_next(&items, &paths);
        list_paths(paths, c->to);
    }
    cairn_buf_str(c->to, "\n");
}

struct watched {
    struct cairn_bytes path;
    uint64_t session;
};

static int by_path(const void *a, const void *b)
{
    const struct watched *one = a, *other = b;

    return cairn_bytes_compare(one->path, other->path);
}

static void write_wchp(const struct word_context *c)
{
    struct cairn_bytes items = names_of(c), paths, path;
    struct cairn_buf list = {0};
    const struct watched *all;
    size_t count;

    while (items.size) {
        uint64_t session = session_next(&items);

        cairn_zk_string_next(&items, &paths);
        while (path_next(&paths, &path))
            cairn_buf_add(&list, &(struct watched){path, session}, sizeof(struct watched));
    }
    count = list.size / sizeof(struct watched);
    if (count)
        qsort(list.data, count, sizeof(struct watched), by_path);
    all = (const void *)list.data;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !cairn_bytes_equal(all[i].path, all[i - 1].path)) {
            cairn_buf_add(c->to, all[i].path.data, all[i].path.size);
            cairn_buf_str(c->to, "\n");
        }
        cairn_buf_printf(c->to, "\t0x%" PRIx64 "\n", all[i].session);
    }
    cairn_buf_str(c->to, "\n");
    cairn_buf_done(&list);
}

/* --- what does not change, and the short ones --- */

static void write_conf(const struct word_context *c)
{
    cairn_buf_printf(c->to,
                     "clientPort=%u\nsecureClientPort=-1\ndataDir=%s\ndataLogDir=%s\ntickTime=%d\nmaxClientCnxns=%u\n"
                     "minSessionTimeout=%d\nmaxSessionTimeout=%d\nclientPortListenBacklog=-1\nserverId=0\n",
                     c->about->zk_port, c->about->data, c->about->data, TICK_MS, c->about->connections_max,
                     TICKS_MIN * TICK_MS, TICKS_MAX * TICK_MS);
}

static void write_envi(const struct word_context *c)
{
    cairn_buf_printf(c->to,
                     "Environment:\nzookeeper.version=%s\nhost.name=localhost\njava.version=<NA>\njava.vendor=<NA>\n"
                     "java.home=<NA>\njava.class.path=<NA>\njava.library.path=<NA>\njava.io.tmpdir=<NA>\n"
                     "java.compiler=<NA>\nos.name=Linux\nos.arch=amd64\nos.version=<NA>\nuser.name=<NA>\n"
                     "user.home=<NA>\nuser.dir=%s\n",
                     CAIRN_ZK_FULL_VERSION, c->about->data);
}

/* There is one folder, and what can be told of it without walking through it is the log. */
static void write_dirs(const struct word_context *c)
{
    const struct cairn_backend *backend = c->front->backend;
    uint64_t bytes = backend->log_bytes ? backend->log_bytes(backend->context) : 0;

    cairn_buf_printf(c->to, "datadir_size: %" PRIu64 "\nlogdir_size: %" PRIu64 "\n", bytes, bytes);
}

static void write_ruok(const struct word_context *c)
{
    cairn_buf_str(c->to, "imok");
}

static void write_isro(const struct word_context *c)
{
    cairn_buf_str(c->to, "rw");
}

static void write_crst(const struct word_context *c)
{
    cairn_zk_clients_reset(c->about->zk_clients, false);
    cairn_buf_str(c->to, "Connection stats reset.\n");
}

static void write_srst(const struct word_context *c)
{
    cairn_zk_clients_reset(c->about->zk_clients, true);
    cairn_buf_str(c->to, "Server stats reset.\n");
}

/* ZooKeeper lists digests of its tree by zxid; there are none here. */
static void write_hash(const struct word_context *c)
{
    cairn_buf_str(c->to, "\n");
}

static const struct cairn_zk_word words[] = {
    {"ruok", 0, write_ruok},
    {"isro", 0, write_isro},
    {"srvr", KEEPER_STATE, write_srvr},
    {"stat", KEEPER_STATE, write_stat},
    {"mntr", KEEPER_STATE, write_mntr},
    {"conf", 0, write_conf},
    {"cons", 0, write_cons},
    {"envi", 0, write_envi},
    {"dump", KEEPER_SESSIONS, write_dump},
    {"wchs", KEEPER_STATE, write_wchs},
    {"wchc", KEEPER_WATCHES, write_wchc},
    {"wchp", KEEPER_WATCHES, write_wchp},
    {"dirs", 0, write_dirs},
    {"crst", 0, write_crst},
    {"srst", 0, write_srst},
    {"hash", 0, write_hash},
};

/* Is it in the list of those that are answered? */
static bool listed(const char *list, struct cairn_bytes word)
{
    if (!list)
        list = WORDS_DEFAULT;
    if (strcmp(list, "*") == 0)
        return true;
    while (*list) {
        size_t size = strcspn(list, ", ");

        if (cairn_bytes_equal(cairn_bytes(list, size), word))
            return true;
        list += size + (list[size] != 0);
    }
    return false;
}

const struct cairn_zk_word *cairn_zk_word_find(struct cairn_bytes name)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (cairn_bytes_equal(cairn_str(words[i].name), name))
            return &words[i];
    return NULL;
}

int cairn_zk_word_asks(const struct cairn_zk_word *word)
{
    return word->ask;
}

void cairn_zk_word_write(struct cairn_front *front, const struct cairn_zk_word *word, const struct keeper_ask *ask,
                         struct cairn_buf *to)
{
    const struct word_context context = {front, front->about, ask, to};

    word->write(&context);
}

void cairn_zk_word(struct cairn_zk_session *zk, struct cairn_bytes text)
{
    struct cairn_session *session = &zk->session;
    const struct cairn_zk_settings *settings = session->front->about->zk;
    const struct cairn_zk_word *word = cairn_zk_word_find(text);
    struct cairn_slot *slot;

    if (!word || !listed(settings ? settings->words : NULL, text)) {
        struct cairn_buf *to = cairn_session_reply_begin(session);

        cairn_buf_printf(to, "%.*s is not executed because it is not in the whitelist.\n", WORD_BYTES,
                         (const char *)text.data);
        cairn_session_reply_end(session);
    } else if (!word->ask || !cairn_zk_keeper(zk)) {
        struct cairn_buf *to = cairn_session_reply_begin(session);

        if (word->ask)
            cairn_buf_str(to, "This ZooKeeper instance is not currently serving requests\n");
        else
            cairn_zk_word_write(session->front, word, NULL, to);
        cairn_session_reply_end(session);
    } else {
        slot = cairn_zk_slot(zk, CAIRN_ZK_FORM_WORD, 0);
        cairn_zk_ask_of(slot)->word = word;
        cairn_zk_ask_of(slot)->ask.op = (enum keeper_op)word->ask;
        cairn_zk_submit(zk, slot);
    }
    cairn_zk_end(zk);
}

void cairn_zk_write_word(struct cairn_session *session, struct cairn_slot *slot, struct cairn_buf *to)
{
    const struct cairn_zk_ask *ask = cairn_zk_ask_of(slot);

    if (ask->ask.error)
        cairn_buf_str(to, "This ZooKeeper instance is not currently serving requests\n");
    else
        cairn_zk_word_write(session->front, ask->word, &ask->ask, to);
}
