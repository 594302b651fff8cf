/* sim_main.c - a whole node under load, crashes and faults, all of it drawn from one seed.
 *
 *   sim [--seed N] [--seeds COUNT] [--ops N] [--log wal|streams] [--break sync] [--verbose]
 *
 * Clients call counters (plain and with idempotency keys), registers of existence (create, delete,
 * list), ordered maps, ReTwis users and accounts over a node of two workers on the simulated disk.  Power goes off at
 * random calls of the disk, dropping, keeping or tearing what was not synced; now and then a call
 * of the disk fails.  After every restart the clients go on; what they saw is checked:
 *
 *   counters    every acknowledged value is unique; operations that follow one another in time see
 *               values in that order (linearizability of a counter); no more values are missing
 *               than adds are unaccounted for
 *   keys        after all retries a counter is exactly the number of its keys
 *   existence   what was acknowledged as created is listed and readable, what was deleted is not
 *   order       ordered maps have the keys and values that were acknowledged, in order, with ranks that fit
 *   posts       an acknowledged post stands once in every follower's timeline; any post at most
 *               once; each follower sees an author's posts in the author's order
 *   accounts    money is moved between them by transactions, methods or calls that a client puts together, and their
 *               sum, which others read as transactions, is the same at every moment
 *   jobs        what goes on without its client comes to its end, and happens once: messages, timers, durable methods,
 *               whose module has another version now and then
 *   going back  an object that is taken back to a version is as it was then, and others are not touched; now and then
 *               the whole node goes back, also cut short by power: then all of the above is as it was at the version
 *
 * Two seeds of three keep results: each read of a counter, or of an object that went back, may be such a one, and the
 * checks do not know it.
 *
 * --log streams gives each shard a log of its own, with positions of its own, on a server that the node is told by what
 * is durable (support/simstreams.h); the seeds and the checks are the same, but there are no versions, so that nothing
 * goes back, and no moves.
 * --break sync makes the disk forget what was synced, or the server what it has told: the checks must then fail, and do
 * so.
 * A failing seed is printed and replays exactly. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/simback.h"
#include "support/simcounter.h"
#include "support/simjobs.h"
#include "support/simnode.h"
#include "support/simordered.h"

enum {
    CLIENTS = 16,
    COUNTERS = 8,
    KEYED = 6,
    LIVES = 20,
    ACCOUNTS = 6,
    DEPOSIT = 1000,
    USERS = 8,
    POSTS_PER_ROUND = 90, /* of all authors: a timeline keeps 100 */
    CRASHES_LEAST = 20,
};

static uint64_t seed_now;

__attribute__((noreturn, format(printf, 1, 2))) static void broken(const char *format, ...)
{
    va_list args;

    fflush(stdout);
    va_start(args, format);
    fprintf(stderr, "seed %llu: ", (unsigned long long)seed_now);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

/* --- what the clients saw --------------------------------------------------------------------- */

enum life { LIFE_ABSENT, LIFE_THERE, LIFE_UNKNOWN };

struct post {
    int author, round;
    bool acknowledged;
};

enum doing { IDLE, ADD, READ, KEYED_ADD, CREATE, DELETE, POST, SORTED, MOVE, TOTAL, JOB, BACK };

struct client {
    struct simcall call;
    enum doing doing;
    int target;
    uint64_t asked;
    char key[32];
    struct simordered_call sorted;
    struct simback_call back;
    size_t job;
    struct cairn_multi_call calls[2];
    char ids[2][32];
    bool out;   /* a request is under way */
    bool again; /* a keyed call whose outcome is not known: the same key once more */
};

/* A version, and what was known when it was taken. */
struct then {
    uint64_t version; /* 0: none */
    int64_t counters[COUNTERS], keys_used[KEYED];
    enum life lives[LIVES];
    struct simordered sorted;
    size_t jobs;
};

struct world {
    struct simnode sim;
    struct cairn_random random;
    uint64_t step, operations, crashes, failures, moves, wanted, went_back;
    bool lying_disk, verbose;
    struct simcounter counters[COUNTERS];
    int64_t keys_used[KEYED];
    enum life lives[LIVES];
    bool life_busy[LIVES], user_busy[USERS];
    struct simordered sorted;
    struct simjobs jobs;
    struct simback back;
    struct then then;
    int round, round_posts;
    struct post *posts;
    size_t post_count, post_room;
    struct client clients[CLIENTS];
};

static uint64_t below(struct world *w, uint64_t bound)
{
    return cairn_random_below(&w->random, bound);
}

static bool follows(int follower, int author)
{
    return follower != author && (follower * 3 + author * 5) % 4 != 0;
}

static const char *user(int round, int n)
{
    static char names[4][32];
    static int at;
    char *name = names[at++ % 4];

    snprintf(name, sizeof names[0], "u%d-%d", round, n);
    return name;
}

/* With a log for each shard they are in one. */
static const char *account(const struct world *w, uint64_t n)
{
    static char names[4][32];
    static int at;
    char *name = names[at++ % 4];

    snprintf(name, sizeof names[0], "%sa%d", w->sim.options.streams ? "{bank}" : "", (int)(n % ACCOUNTS));
    return name;
}

/* Of all accounts. */
static void ask_total(const struct world *w, struct simcall *call)
{
    simcall_init(call, CAIRN_OP_INVOKE, "Account", account(w, 0), "total", NULL);
    for (uint64_t i = 1; i < ACCOUNTS; i++)
        simcall_arg(call, account(w, i));
}

/* Both calls happen, or none does; an argument as it is packed. */
static void ask_both(struct world *w, struct client *c, uint64_t from, uint64_t to)
{
    static const uint8_t one[] = {1, 0, 0, 0, '1'};

    simcall_init(&c->call, CAIRN_OP_MULTI, NULL, NULL, NULL, NULL);
    snprintf(c->ids[0], sizeof c->ids[0], "%s", account(w, from));
    snprintf(c->ids[1], sizeof c->ids[1], "%s", account(w, to));
    for (int i = 0; i < 2; i++)
        c->calls[i] = (struct cairn_multi_call){.type = cairn_str("Account"),
                                                .id = cairn_str(c->ids[i]),
                                                .method = cairn_str(i ? "deposit" : "withdraw"),
                                                .args = cairn_bytes(one, sizeof one)};
    c->call.request.calls = c->calls;
    c->call.request.call_count = 2;
}

/* --- one operation ------------------------------------------------------------------------------ */

static bool is_error(const struct simcall *call)
{
    return call->reply.size && call->reply.data[0] == CAIRN_VALUE_ERROR;
}

static int64_t integer(const struct simcall *call)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&call->reply));
    struct cairn_value v = cairn_value_read(&r);

    if (r.bad || v.kind != CAIRN_VALUE_INT)
        broken("an integer was expected: %s", simvalue_text(cairn_buf_bytes(&call->reply)));
    return v.integer;
}

static bool error_is(const struct simcall *call, const char *code)
{
    const char *text = simvalue_text(cairn_buf_bytes(&call->reply));

    return text[0] == '!' && strncmp(text + 1, code, strlen(code)) == 0;
}

/* Refused before it ran: without effect for certain. */
static bool refused(const struct simcall *call)
{
    return error_is(call, "overloaded") || error_is(call, "disk_full") ||
           error_is(call, "io"); /* of a read that failed: the segment has left nothing */
}

static void begin(struct world *w, struct client *c)
{
    char id[32];

    c->asked = w->step;
    c->out = true;
    if (c->again) { /* the call is still there, key and all */
        simcall_submit(&w->sim, &c->call, (uint32_t)below(w, w->sim.options.workers));
        return;
    }
    simcall_done(&c->call);
    switch (below(w, 10)) {
    default:
        c->doing = below(w, 3) ? ADD : READ;
        c->target = (int)below(w, COUNTERS);
        snprintf(id, sizeof id, "c%d", c->target);
        simcall_init(&c->call, CAIRN_OP_INVOKE, "Probe", id, c->doing == ADD ? "add" : "count", NULL);
        break;
    case 1:
    case 2:
        c->doing = KEYED_ADD;
        c->target = (int)below(w, KEYED);
        snprintf(id, sizeof id, "k%d", c->target);
        snprintf(c->key, sizeof c->key, "key%lld", (long long)w->keys_used[c->target]++);
        simcall_init(&c->call, CAIRN_OP_INVOKE, "Probe", id, "add", NULL);
        simcall_key(&c->call, c->key);
        break;
    case 3:
    case 4:
        c->target = (int)below(w, LIVES);
        if (w->life_busy[c->target]) {
            c->doing = IDLE;
            c->out = false;
            return;
        }
        w->life_busy[c->target] = true;
        c->doing = below(w, 2) ? CREATE : DELETE;
        snprintf(id, sizeof id, "l%d", c->target);
        if (c->doing == CREATE)
            simcall_init(&c->call, CAIRN_OP_INVOKE, "Probe", id, "push", "entry", NULL);
        else
            simcall_init(&c->call, CAIRN_OP_DELETE, "Probe", id, NULL, NULL);
        break;
    case 6:
    case 7:
        if (!simordered_begin(&w->sorted, &w->random, &c->sorted, &c->call)) {
            c->doing = IDLE;
            c->out = false;
            return;
        }
        c->doing = SORTED;
        break;
    case 5:
        c->target = (int)below(w, USERS);
        if (w->user_busy[c->target] || w->round_posts >= POSTS_PER_ROUND) {
            c->doing = IDLE;
            c->out = false;
            return;
        }
        w->user_busy[c->target] = true;
        w->round_posts++;
        c->doing = POST;
        if (w->post_count == w->post_room) {
            w->post_room = w->post_room ? 2 * w->post_room : 256;
            w->posts = cairn_realloc(w->posts, w->post_room * sizeof *w->posts);
        }
        w->posts[w->post_count] = (struct post){c->target, w->round, false};
        snprintf(c->key, sizeof c->key, "%zu", w->post_count++);
        simcall_init(&c->call, CAIRN_OP_INVOKE, "User", user(w->round, c->target), "post", c->key, NULL);
        break;
    case 8:
        c->doing = below(w, 4) ? MOVE : TOTAL;
        if (c->doing == TOTAL) {
            ask_total(w, &c->call);
        } else {
            uint64_t from = below(w, ACCOUNTS), to = from + 1 + below(w, ACCOUNTS - 1);

            if (below(w, 3) == 0)
                ask_both(w, c, from, to);
            else
                simcall_init(&c->call, CAIRN_OP_INVOKE, "Account", account(w, from), "move", account(w, to),
                             below(w, 2) ? "1" : "400", NULL);
        }
        break;
    case 9:
        if (w->sim.options.snapshot_every_ns && below(w, 2)) {
            if (!simback_begin(&w->back, &w->random, &c->back, &c->call)) {
                c->doing = IDLE;
                c->out = false;
                return;
            }
            c->doing = BACK;
            break;
        }
        if (below(w, 3)) { /* each is looked at for long */
            c->doing = IDLE;
            c->out = false;
            return;
        }
        c->doing = JOB;
        c->job = simjobs_begin(&w->jobs, &w->random, &c->call);
        break;
    }
    simcall_submit(&w->sim, &c->call, (uint32_t)below(w, w->sim.options.workers));
}

/* The reply has come, or (lost) never will. */
static void finish(struct world *w, struct client *c, bool lost)
{
    bool unknown = lost || error_is(&c->call, "unavailable"), done = !unknown && !refused(&c->call);

    c->again = c->out = false;
    switch (c->doing) {
    case ADD:
    case READ:
        if (done)
            simcounter_saw(&w->counters[c->target],
                           (struct simcounter_seen){c->asked, w->step, integer(&c->call), c->doing == ADD});
        else if (unknown && c->doing == ADD)
            w->counters[c->target].unknown++;
        break;
    case KEYED_ADD:
        if (!done) {
            c->again = true;
            return;
        }
        integer(&c->call);
        break;
    case CREATE:
        if (!refused(&c->call) || lost)
            w->lives[c->target] = unknown ? LIFE_UNKNOWN : LIFE_THERE;
        w->life_busy[c->target] = false;
        break;
    case DELETE:
        if (done && w->lives[c->target] != LIFE_UNKNOWN && integer(&c->call) != (w->lives[c->target] == LIFE_THERE))
            broken("deleting l%d said %lld, and it was %sthere", c->target, (long long)integer(&c->call),
                   w->lives[c->target] == LIFE_THERE ? "" : "not ");
        if (!refused(&c->call) || lost)
            w->lives[c->target] = unknown ? LIFE_UNKNOWN : LIFE_ABSENT;
        w->life_busy[c->target] = false;
        break;
    case SORTED: {
        char wrong[200];
        if (!simordered_finish(&w->sorted, &c->sorted, done, unknown, done ? integer(&c->call) : 0, wrong))
            broken("%s", wrong);
        break;
    }
    case JOB:
        if (done && is_error(&c->call) && !error_is(&c->call, "conflict") && !error_is(&c->call, "refused"))
            broken("a job gave %s", simvalue_text(cairn_buf_bytes(&c->call.reply)));
        simjobs_finish(&w->jobs, c->job, done && !is_error(&c->call), unknown);
        break;
    case BACK: {
        char wrong[200];
        bool busy = done && c->back.doing == SIMBACK_TAKE_BACK && error_is(&c->call, "conflict"); /* its shard is */
        if (!simback_finish(&w->back, &c->back, done && !busy, unknown, done && !busy ? integer(&c->call) : 0, wrong))
            broken("%s", wrong);
        break;
    }
    case POST:
        w->posts[atoi(c->key)].acknowledged = done && !is_error(&c->call);
        w->user_busy[c->target] = false;
        break;
    case TOTAL:
        if (done && !is_error(&c->call) && integer(&c->call) != ACCOUNTS * DEPOSIT)
            broken("all accounts have %lld", (long long)integer(&c->call));
        /* fall through */
    case MOVE:
        if (done && is_error(&c->call) && !error_is(&c->call, "conflict") && !error_is(&c->call, "insufficient") &&
            !error_is(&c->call, "refused") && !error_is(&c->call, "not_read"))
            broken("a transaction gave %s", simvalue_text(cairn_buf_bytes(&c->call.reply)));
        break;
    case IDLE:
        break;
    }
    c->doing = IDLE;
    w->operations++;
}

/* --- checks --------------------------------------------------------------------------------------- */

static void check_counter(struct world *w, int n)
{
    char wrong[200];

    if (!simcounter_check(&w->counters[n], wrong))
        broken("counter c%d: %s", n, wrong);
}

static void run(struct world *w, struct simcall *call)
{
    for (;;) {
        simcall_run(&w->sim, call);
        if (!refused(call))
            return;
        simcall_done(&(struct simcall){0});
    }
}

static void check_keyed(struct world *w)
{
    for (int i = 0; i < KEYED; i++) {
        struct simcall call;
        char id[16];
        snprintf(id, sizeof id, "k%d", i);
        simcall_init(&call, CAIRN_OP_INVOKE, "Probe", id, "count", NULL);
        run(w, &call);
        if (integer(&call) != w->keys_used[i])
            broken("counter %s is %lld after %lld keys", id, (long long)integer(&call), (long long)w->keys_used[i]);
        simcall_done(&call);
    }
}

static void check_accounts(struct world *w)
{
    struct simcall call;

    ask_total(w, &call);
    run(w, &call);
    if (integer(&call) != ACCOUNTS * DEPOSIT)
        broken("all accounts have %lld, not %d", (long long)integer(&call), ACCOUNTS * DEPOSIT);
    simcall_done(&call);
}

static void check_lives(struct world *w)
{
    struct simcall call;
    const char *text;

    simcall_init(&call, CAIRN_OP_LIST, "Probe", NULL, NULL, NULL);
    call.request.prefix = cairn_str("l");
    call.request.limit = 1000;
    run(w, &call);
    text = simvalue_text(cairn_buf_bytes(&call.reply));
    for (int i = 0; i < LIVES; i++) {
        char name[16];
        bool listed;
        snprintf(name, sizeof name, "\"l%d\"", i);
        listed = strstr(text, name) != NULL;
        if (w->lives[i] != LIFE_UNKNOWN && listed != (w->lives[i] == LIFE_THERE))
            broken("object l%d is %slisted, but was %s: %s", i, listed ? "" : "not ",
                   w->lives[i] == LIFE_THERE ? "created" : "deleted", text);
        w->lives[i] = listed ? LIFE_THERE : LIFE_ABSENT;
    }
    simcall_done(&call);
}

static void run_for(void *world, struct simcall *call)
{
    run(world, call);
}

static void check_sorted(struct world *w)
{
    char wrong[200];

    if (!simordered_check(&w->sorted, run_for, w, wrong))
        broken("%s", wrong);
}

static void check_back(struct world *w)
{
    char wrong[200];

    if (!simback_check(&w->back, run_for, w, wrong))
        broken("%s", wrong);
}

static void check_jobs(struct world *w, bool all)
{
    char wrong[200];

    if (!simjobs_check(&w->jobs, &w->sim, all, run_for, w, wrong))
        broken("%s", wrong);
}

/* Reads a list of posts, newest first, into `ids` oldest first; returns how many. */
static size_t read_posts(struct world *w, int n, const char *method, int *ids, size_t room)
{
    struct simcall call;
    struct cairn_reader r;
    uint64_t count;

    simcall_init(&call, CAIRN_OP_INVOKE, "User", user(w->round, n), method, "1000", NULL);
    run(w, &call);
    if (is_error(&call))
        broken("%s of %s: %s", method, user(w->round, n), simvalue_text(cairn_buf_bytes(&call.reply)));
    r = cairn_reader(cairn_buf_bytes(&call.reply));
    count = cairn_value_read(&r).count;
    if (count > room)
        broken("%s of %s has %llu entries", method, user(w->round, n), (unsigned long long)count);
    for (uint64_t i = 0; i < count; i++) {
        struct cairn_value text;
        char number[16];
        cairn_value_read(&r); /* the list of three */
        cairn_value_read(&r);
        cairn_value_read(&r);
        text = cairn_value_read(&r);
        snprintf(number, sizeof number, "%.*s", (int)text.bytes.size, (const char *)text.bytes.data);
        ids[count - 1 - i] = atoi(number);
    }
    simcall_done(&call);
    return (size_t)count;
}

static size_t times(const int *ids, size_t count, int id)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += ids[i] == id;
    return n;
}

static void check_posts(struct world *w)
{
    int posts[USERS][128], timeline[USERS][128];
    size_t post_count[USERS], timeline_count[USERS];

    for (int u = 0; u < USERS; u++) {
        post_count[u] = read_posts(w, u, "posts", posts[u], 128);
        timeline_count[u] = read_posts(w, u, "timeline", timeline[u], 128);
    }
    for (size_t p = 0; p < w->post_count; p++) {
        struct post *post = &w->posts[p];
        size_t own;
        if (post->round != w->round)
            continue;
        own = times(posts[post->author], post_count[post->author], (int)p);
        if (own > 1 || (post->acknowledged && own != 1))
            broken("post %zu of user %d stands %zu times in its author's posts", p, post->author, own);
        for (int u = 0; u < USERS; u++) {
            size_t n = times(timeline[u], timeline_count[u], (int)p);
            bool reader = u == post->author || follows(u, post->author);
            if (n > (reader ? 1u : 0u) || (reader && post->acknowledged && n != 1))
                broken("%s post %zu of user %d stands %zu times in the timeline of user %d",
                       post->acknowledged ? "acknowledged" : "unacknowledged", p, post->author, n, u);
            if (n && !own)
                broken("post %zu reached user %d, but its author does not have it", p, u);
        }
    }
    for (int u = 0; u < USERS; u++)
        for (int a = 0; a < USERS; a++) { /* an author's posts arrive in order */
            size_t at = 0;
            for (size_t i = 0; i < timeline_count[u]; i++) {
                if (w->posts[timeline[u][i]].author != a)
                    continue;
                while (at < post_count[a] && posts[a][at] != timeline[u][i])
                    at++;
                if (at == post_count[a])
                    broken("user %d sees the posts of user %d in another order", u, a);
            }
        }
}

/* --- running ---------------------------------------------------------------------------------------- */

static void lying_sync(struct cairn_disk *disk)
{
    static struct cairn_disk_ops ops;
    extern enum cairn_code lying_sync_call(struct cairn_file * file, struct cairn_err * err);

    ops = *disk->ops;
    ops.sync = lying_sync_call;
    disk->ops = &ops;
}

enum cairn_code lying_sync_call(struct cairn_file *file, struct cairn_err *err);
enum cairn_code lying_sync_call(struct cairn_file *file, struct cairn_err *err)
{
    (void)file, (void)err;
    return CAIRN_OK;
}

static void open_node(struct world *w)
{
    struct cairn_err err;
    enum cairn_code code = CAIRN_EIO;

    for (int tries = 0; tries < 50 && code != CAIRN_OK; tries++) {
        code = simnode_open(&w->sim, &err);
        if (code == CAIRN_ECORRUPT || code == CAIRN_EVERSION)
            broken("the node does not open: %s", err.text);
        if (code != CAIRN_OK) /* a planned failure, or power off, has hit the opening itself */
            cairn_sim_disk_crash(w->sim.disk, CAIRN_SIM_TEAR);
    }
    if (code != CAIRN_OK)
        broken("the node does not open: %s", err.text);
}

static void start_round(struct world *w)
{
    w->round++;
    w->round_posts = 0;
    for (int f = 0; f < USERS; f++)
        for (int a = 0; a < USERS; a++) {
            struct simcall call;
            if (!follows(f, a))
                continue;
            simcall_init(&call, CAIRN_OP_INVOKE, "User", user(w->round, f), "follow", user(w->round, a), NULL);
            run(w, &call);
            if (is_error(&call))
                broken("follow: %s", simvalue_text(cairn_buf_bytes(&call.reply)));
            simcall_done(&call);
        }
}

static void crash(struct world *w)
{
    static const enum cairn_sim_crash how[] = {CAIRN_SIM_DROP, CAIRN_SIM_KEEP, CAIRN_SIM_TEAR};

    simnode_crash(&w->sim, how[below(w, 3)]);
    w->crashes++;
    for (int i = 0; i < CLIENTS; i++)
        if (w->clients[i].out)
            finish(w, &w->clients[i], true);
    if (below(w, 4) == 0) /* the restart itself is cut off */
        cairn_sim_disk_halt_at(w->sim.disk, (int64_t)below(w, 60));
    open_node(w);
    cairn_sim_disk_halt_at(w->sim.disk, -1);
}

/* All that was acknowledged goes along to another machine, as this one stops in order. */
static void move(struct world *w)
{
    struct cairn_err err;

    if (simnode_move(&w->sim, &err) != CAIRN_OK)
        broken("moving: %s", err.text);
    w->moves++;
    if (below(w, 2)) /* recovering is cut off */
        cairn_sim_disk_halt_at(w->sim.disk, (int64_t)below(w, 300));
    open_node(w);
    cairn_sim_disk_halt_at(w->sim.disk, -1);
}

static int64_t read_counter(struct world *w, int n)
{
    struct simcall call;
    char id[16];
    int64_t value;

    snprintf(id, sizeof id, "c%d", n);
    simcall_init(&call, CAIRN_OP_INVOKE, "Probe", id, "count", NULL);
    run(w, &call);
    value = integer(&call);
    simcall_done(&call);
    return value;
}

/* Everything is known, and nothing under way. */
static void take_version(struct world *w)
{
    struct simcall call;

    simcall_init(&call, CAIRN_OP_SNAPSHOT, NULL, NULL, NULL, NULL);
    run(w, &call);
    if (!is_error(&call)) { /* else one by schedule is under way, say: another time */
        struct then *then = &w->then;

        then->version = (uint64_t)integer(&call);
        for (int i = 0; i < COUNTERS; i++)
            then->counters[i] = read_counter(w, i);
        memcpy(then->keys_used, w->keys_used, sizeof then->keys_used);
        memcpy(then->lives, w->lives, sizeof then->lives);
        then->sorted = w->sorted;
        then->jobs = w->jobs.count;
        simback_taken(&w->back, then->version);
    }
    simcall_done(&call);
}

/* The whole node; nothing is under way. */
static void go_back(struct world *w)
{
    const struct then *then = &w->then;
    uint64_t before = cairn_store_restores(w->sim.store);
    struct cairn_err err = {0};
    enum cairn_code code = simnode_restore(&w->sim, then->version, below(w, 3) ? -1 : (int64_t)below(w, 400), &err);

    if (below(w, 3) == 0) /* carrying it out is cut off */
        cairn_sim_disk_halt_at(w->sim.disk, (int64_t)below(w, 300));
    open_node(w);
    cairn_sim_disk_halt_at(w->sim.disk, -1);
    if (cairn_store_restores(w->sim.store) == before) {
        if (code == CAIRN_OK)
            broken("going back to version %llu has done nothing", (unsigned long long)then->version);
        return;
    }
    w->went_back++;
    for (int i = 0; i < COUNTERS; i++) {
        int64_t value = read_counter(w, i);

        if (value != then->counters[i])
            broken("counter c%d went back to %lld, and was %lld", i, (long long)value, (long long)then->counters[i]);
        check_counter(w, i);
        simcounter_begin(&w->counters[i], value);
    }
    memcpy(w->keys_used, then->keys_used, sizeof w->keys_used);
    memcpy(w->lives, then->lives, sizeof w->lives);
    w->sorted = then->sorted;
    simjobs_back(&w->jobs, then->jobs);
    simback_all_back(&w->back);
    check_lives(w);
    check_sorted(w);
    check_keyed(w);
    check_accounts(w);
    check_back(w);
    check_jobs(w, true);
}

/* Lets the clients work until power goes off, or for a while. */
static void episode(struct world *w)
{
    uint64_t end = w->step + 400 + below(w, 4000);
    bool failing = below(w, 5) == 0;

    if (failing && w->sim.options.streams && below(w, 2))
        w->sim.streams.fail_in = 1 + below(w, 300);
    else if (failing)
        cairn_sim_disk_fail_call(w->sim.disk, (int64_t)below(w, 300), below(w, 2) ? CAIRN_EIO : CAIRN_EFULL);
    while (w->step < end && !w->sim.log_failed) {
        w->step++;
        for (int i = 0; i < CLIENTS; i++) {
            struct client *c = &w->clients[i];
            if (c->out && c->call.replied)
                finish(w, c, false);
        }
        if (below(w, 3) == 0) {
            struct client *c = &w->clients[below(w, CLIENTS)];
            if (!c->out)
                begin(w, c);
        }
        simnode_step(&w->sim);
    }
    w->failures += w->sim.log_failed;
    cairn_sim_disk_fail_call(w->sim.disk, -1, CAIRN_OK);
    w->sim.streams.fail_in = 0;
}

/* Brings every open question to an answer. */
static void quiesce(struct world *w)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &w->clients[i];
        while (c->doing != IDLE) {
            if (!c->out)
                begin(w, c);
            for (int steps = 0; !c->call.replied; steps++) {
                if (steps > 5000000)
                    broken("a request was never answered (%s)",
                           w->sim.log_failed ? "the log has failed" : "nothing failed");
                simnode_step(&w->sim);
            }
            w->step++;
            finish(w, c, false);
        }
    }
}

static void run_seed(uint64_t seed, uint64_t operations, bool streams, bool lying, bool verbose)
{
    static const char *const engines[] = {"memory", "hybridlog", "lsm", "appendlog"};
    struct world *w = cairn_alloc_zeroed(1, sizeof *w);
    struct simnode_options options = {
        .workers = 2,
        .shards = 4,
        .engine = engines[seed % 4],
        .engine_memory_bytes = 4 * (256 << 10),
        .snapshot_every_ns = seed % 4 && !streams ? 300000000 : 0,
        .archive = seed % 4 && seed / 4 % 2 && !streams,
        .streams = streams,
        .log_segment_bytes = 64 << 10,
        .log_bytes_max = 1 << 20,
        .limits = {.write_set_bytes = 16 << 10, .value_bytes = 8 << 10, .cache_bytes = seed % 3 ? 1 << 20 : 0}};

    seed_now = seed;
    cairn_random_init(&w->random, seed * 2 + 1);
    simnode_init(&w->sim, seed, &options);
    open_node(w);
    simnode_deploy(&w->sim, "probe");
    simnode_deploy(&w->sim, "retwis");
    simnode_deploy(&w->sim, "sorted");
    simnode_deploy(&w->sim, "bank");
    simnode_deploy(&w->sim, "jobs");
    for (uint64_t i = 0; i < ACCOUNTS; i++) {
        struct simcall call;

        simcall_init(&call, CAIRN_OP_INVOKE, "Account", account(w, i), "deposit", "1000", NULL);
        run(w, &call);
        if (integer(&call) != DEPOSIT)
            broken("a deposit gave %lld", (long long)integer(&call));
        simcall_done(&call);
    }
    if (lying && !streams)
        lying_sync(w->sim.disk);
    w->sim.streams.lying = lying;
    start_round(w);
    while (w->operations < operations || w->crashes < CRASHES_LEAST) {
        episode(w);
        crash(w);
        if (w->round_posts >= POSTS_PER_ROUND || below(w, 6) == 0) {
            quiesce(w);
            if (options.archive && below(w, 2))
                move(w);
            check_posts(w);
            check_lives(w);
            check_sorted(w);
            check_keyed(w);
            check_accounts(w);
            check_jobs(w, false);
            check_back(w);
            if (options.snapshot_every_ns && w->then.version && below(w, 3) == 0)
                go_back(w);
            if (options.snapshot_every_ns && (!w->then.version || below(w, 3) == 0)) {
                check_jobs(w, true);
                take_version(w);
            }
            if (below(w, 3) == 0) /* what is under way goes on with the version that it began with */
                simnode_deploy(&w->sim, below(w, 2) ? "jobs" : "jobs_second");
            start_round(w);
        }
    }
    quiesce(w);
    check_posts(w);
    check_lives(w);
    check_sorted(w);
    check_keyed(w);
    check_accounts(w);
    check_jobs(w, true);
    check_back(w);
    for (int i = 0; i < COUNTERS; i++) {
        check_counter(w, i);
        simcounter_done(&w->counters[i]);
    }
    if (verbose)
        printf("seed %llu: %llu operations, %llu crashes, %llu log failures, %llu moves, %llu times back, "
               "%llu objects back, %zu posts: all promises held\n",
               (unsigned long long)seed, (unsigned long long)w->operations, (unsigned long long)w->crashes,
               (unsigned long long)w->failures, (unsigned long long)w->moves, (unsigned long long)w->went_back,
               (unsigned long long)w->back.taken_back, w->post_count);
    for (int i = 0; i < CLIENTS; i++)
        simcall_done(&w->clients[i].call);
    free(w->posts);
    simjobs_done(&w->jobs);
    simnode_done(&w->sim);
    free(w);
}

int main(int argc, char **argv)
{
    uint64_t seed = 1, seeds = 1, operations = 10000;
    bool lying = false, verbose = false, streams = false;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--seeds") == 0)
            seeds = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--ops") == 0)
            operations = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--log") == 0)
            streams = strcmp(value, "streams") == 0, i++;
        else if (strcmp(argv[i], "--break") == 0)
            lying = strcmp(value, "sync") == 0, i++;
        else if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else {
            fprintf(stderr,
                    "usage: sim [--seed N] [--seeds COUNT] [--ops N] [--log wal|streams] [--break sync] [--verbose]\n");
            return 2;
        }
    }
    for (uint64_t i = 0; i < seeds; i++) {
        run_seed(seed + i, operations, streams, lying, verbose || seeds == 1);
        if (!verbose && seeds > 1 && (i + 1) % 10 == 0) {
            printf("%llu of %llu seeds\n", (unsigned long long)(i + 1), (unsigned long long)seeds);
            fflush(stdout);
        }
    }
    printf("%llu seeds from %llu on: all promises held\n", (unsigned long long)seeds, (unsigned long long)seed);
    return 0;
}
