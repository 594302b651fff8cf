/* Would catch: transactions that are not serializable, over objects, types, workers and power cuts, or whose order
 * is not that in which their clients saw them end and begin.
 *
 * Elle's list-append (Kingsbury, Alvaro 2020): each transaction appends its own number to some lists and reads others,
 * and tells what it saw.  A list's order is the order of its writers; who saw how much of it says behind which writer
 * and before which one a transaction stands.  In a serial order there is no circle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/simnode.h"

enum { LISTS = 7, AT_ONCE = 24, ROUNDS = 6, TRANSACTIONS = AT_ONCE * ROUNDS + 1, ENTRIES_MAX = TRANSACTIONS };

struct transaction_seen {
    bool known, happened; /* its outcome; it has happened */
    uint64_t begun, ended;
    uint32_t lists;      /* a set: those that it has come to */
    uint32_t appends;    /* a set: those that it appends to */
    int32_t saw[LISTS];  /* how many entries it saw */
    int32_t last[LISTS]; /* the last of them; 0: none */
};

struct history {
    struct transaction_seen seen[TRANSACTIONS]; /* by their numbers; 0 is nobody's */
    int32_t order[LISTS][ENTRIES_MAX];
    int32_t count[LISTS];
    bool edges[TRANSACTIONS][TRANSACTIONS];
    char mark[TRANSACTIONS];
};

static bool reaches_itself(struct history *history, int at)
{
    history->mark[at] = 1;
    for (int to = 1; to < TRANSACTIONS; to++)
        if (history->edges[at][to] &&
            (history->mark[to] == 1 || (history->mark[to] == 0 && reaches_itself(history, to))))
            return true;
    history->mark[at] = 2;
    return false;
}

/* NULL: it is serializable, in the order of time; or what is wrong. */
static const char *judge(struct history *history)
{
    for (int l = 0; l < LISTS; l++)
        for (int i = 0; i < history->count[l]; i++)
            history->seen[history->order[l][i]].happened = true;
    for (int l = 0; l < LISTS; l++) {
        bool in[TRANSACTIONS] = {false};

        for (int i = 0; i < history->count[l]; i++) {
            if (in[history->order[l][i]])
                return "a transaction has appended twice";
            in[history->order[l][i]] = true;
        }
        for (int t = 1; t < TRANSACTIONS; t++) {
            const struct transaction_seen *seen = &history->seen[t];

            if (in[t] && !(seen->appends & 1u << l))
                return "a list has what nobody appended to it";
            if (!in[t] && seen->happened && (seen->appends & 1u << l))
                return "of a transaction that has happened something is missing";
        }
    }
    memset(history->edges, 0, sizeof history->edges);
    memset(history->mark, 0, sizeof history->mark);
    for (int l = 0; l < LISTS; l++)
        for (int i = 0; i + 1 < history->count[l]; i++)
            history->edges[history->order[l][i]][history->order[l][i + 1]] = true;
    for (int t = 1; t < TRANSACTIONS; t++) {
        const struct transaction_seen *seen = &history->seen[t];

        for (int l = 0; seen->known && seen->happened && l < LISTS; l++) {
            if (!(seen->lists & 1u << l))
                continue;
            if (seen->saw[l] > history->count[l] ||
                (seen->saw[l] > 0 && history->order[l][seen->saw[l] - 1] != seen->last[l]))
                return "a transaction saw what was not there";
            if (seen->saw[l] > 0)
                history->edges[history->order[l][seen->saw[l] - 1]][t] = true;
            if (seen->saw[l] < history->count[l] && history->order[l][seen->saw[l]] != t)
                history->edges[t][history->order[l][seen->saw[l]]] = true;
        }
        for (int other = 1; other < TRANSACTIONS; other++)
            if (seen->known && seen->happened && history->seen[other].happened &&
                seen->ended < history->seen[other].begun)
                history->edges[t][other] = true;
    }
    for (int t = 1; t < TRANSACTIONS; t++)
        if (history->mark[t] == 0 && reaches_itself(history, t))
            return "there is a circle";
    return NULL;
}

/* The judge can say no. */
static void bad_histories_are_told(void **state)
{
    struct history *history = cairn_alloc_zeroed(1, sizeof *history);

    (void)state;
    /* Write skew: each reads the list that the other appends to, and sees nothing of it. */
    for (int t = 1; t <= 2; t++)
        history->seen[t] =
            (struct transaction_seen){.known = true, .ended = UINT64_MAX, .lists = 3, .appends = 1u << (t - 1)};
    history->order[0][0] = 1;
    history->order[1][0] = 2;
    history->count[0] = history->count[1] = 1;
    assert_string_equal(judge(history), "there is a circle");
    history->seen[2].saw[0] = 1;
    history->seen[2].last[0] = 1;
    assert_null(judge(history));
    history->seen[2].ended = 5;
    history->seen[1].begun = 6; /* the second was over before the first began */
    assert_string_equal(judge(history), "there is a circle");
    history->seen[1].begun = 0;
    history->seen[1].appends = 5; /* and the third list lacks it */
    assert_string_equal(judge(history), "of a transaction that has happened something is missing");
    free(history);
}

/* --- the workload --- */

static struct history *history;
static uint64_t steps;

static void on_reply(struct simcall *call, void *context)
{
    struct transaction_seen *seen = context;
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&call->reply));
    struct cairn_value v = cairn_value_read(&r);

    seen->ended = steps;
    if (v.kind == CAIRN_VALUE_ERROR)
        return; /* `unavailable` may have happened: the lists tell */
    seen->known = seen->happened = true;
    for (uint64_t n = v.count; n > 0; n--) { /* [list, how many, the last] */
        int64_t list, saw, last;

        cairn_value_read(&r);
        list = cairn_value_read(&r).integer;
        saw = cairn_value_read(&r).integer;
        last = cairn_value_read(&r).integer;
        seen->saw[list] = (int32_t)saw;
        seen->last[list] = (int32_t)last;
    }
}

static void draw(struct simnode *sim, struct simcall *call, int number)
{
    struct transaction_seen *seen = &history->seen[number];
    uint32_t count = 1 + (uint32_t)cairn_random_below(&sim->random, 6), first = 0;
    char text[16];

    *seen = (struct transaction_seen){.ended = UINT64_MAX};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t list = (uint32_t)cairn_random_below(&sim->random, LISTS);
        bool appends = cairn_random_below(&sim->random, 2) > 0;

        if (i == 0) { /* the root's own, which it appends to */
            first = list;
            appends = true;
            snprintf(text, sizeof text, "l%u", list);
            simcall_init(call, CAIRN_OP_INVOKE, "Cell", text, "mix", NULL);
            snprintf(text, sizeof text, "%d", number);
            simcall_arg(call, text);
            simcall_arg(call, cairn_random_below(&sim->random, 2) ? "wait" : "all");
        } else if (seen->lists & 1u << list || list == first) {
            continue;
        } else {
            snprintf(text, sizeof text, "%cl%u", appends ? '+' : '?', list);
            simcall_arg(call, text);
        }
        seen->lists |= 1u << list;
        seen->appends |= appends ? 1u << list : 0;
    }
    call->on_reply = on_reply;
    call->context = seen;
}

static void read_lists(struct simnode *sim)
{
    for (int l = 0; l < LISTS; l++) {
        struct simcall call;
        struct cairn_reader r;
        char id[8];
        uint64_t count;

        snprintf(id, sizeof id, "l%d", l);
        simcall_init(&call, CAIRN_OP_INVOKE, "Cell", id, "entries", NULL);
        simcall_run(sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        count = cairn_value_read(&r).count;
        assert_true(count < ENTRIES_MAX);
        history->count[l] = (int32_t)count;
        for (uint64_t i = 0; i < count; i++)
            history->order[l][i] = (int32_t)cairn_value_read(&r).integer;
        simcall_done(&call);
    }
}

static void there_is_an_order(void **state)
{
    uint64_t happened = 0;

    (void)state;
    history = cairn_alloc_zeroed(1, sizeof *history);
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct simnode_options options = {.workers = 1 + (uint32_t)seed % 3, .shards = 1 + (uint32_t)seed % 5};
        struct simcall calls[AT_ONCE];
        const char *wrong;
        struct cairn_err err;
        struct simnode sim;
        int number = 0;

        options.engine = seed % 2 ? "hybridlog" : NULL;
        options.limits.transaction_attempts = 200;
        options.log_bytes_max = seed % 4 == 3 ? 64 << 10 : 0;
        simnode_init(&sim, 200 + seed, &options);
        if (simnode_open(&sim, &err) != CAIRN_OK)
            fail_msg("%s", err.text);
        simnode_deploy(&sim, "ledger");
        memset(history, 0, sizeof *history);
        steps = 0;
        for (int round = 0; round < ROUNDS; round++) {
            uint64_t most = round % 2 ? 100 + cairn_random_below(&sim.random, 3000) : 20000;

            for (int i = 0; i < AT_ONCE; i++)
                draw(&sim, &calls[i], ++number);
            for (int i = 0; i < AT_ONCE; i++) {
                history->seen[number - AT_ONCE + 1 + i].begun = steps;
                simcall_submit(&sim, &calls[i], (uint32_t)i % options.workers);
                for (uint64_t k = cairn_random_below(&sim.random, 40); k > 0; k--, steps++)
                    simnode_step(&sim);
            }
            for (uint64_t k = 0; k < most; k++, steps++)
                simnode_step(&sim);
            if (round % 2) {
                simnode_crash(&sim, (enum cairn_sim_crash)(seed % 3));
                if (simnode_open(&sim, &err) != CAIRN_OK)
                    fail_msg("%s", err.text);
            } else {
                simnode_settle(&sim);
            }
            for (int i = 0; i < AT_ONCE; i++)
                simcall_done(&calls[i]);
            steps++;
        }
        read_lists(&sim);
        wrong = judge(history);
        if (wrong)
            fail_msg("seed %d: %s", (int)seed, wrong);
        for (int t = 1; t < TRANSACTIONS; t++)
            happened += history->seen[t].happened;
        simnode_done(&sim);
    }
    assert_true(happened > 600);
    free(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_histories_are_told),
        cmocka_unit_test(there_is_an_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
