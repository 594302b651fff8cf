#include "support/flows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "object/layout.h"

void flows_reopen(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

void flows_open(struct simnode *sim, uint64_t seed, const struct simnode_options *options)
{
    simnode_init(sim, seed, options);
    flows_reopen(sim);
    simnode_deploy(sim, "flow");
}

static void look_at(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct flows_look *look = context;

    (void)value;
    if (key.data[0] != look->kind)
        return;
    look->count++;
    look->key.size = 0;
    cairn_buf_add(&look->key, key.data, key.size);
}

/* Keys of that kind in all shards. */
void flows_look_for(struct simnode *sim, struct flows_look *look)
{
    for (uint32_t i = 0; i < cairn_store_shards(sim->store); i++) {
        struct cairn_view *view = cairn_shard_view(cairn_store_shard(sim->store, i));
        uint64_t before = look->count;

        view->ops->visit(view, look_at, look);
        if (look->count > before)
            look->shard = i;
    }
}

uint64_t flows_keys_with(struct simnode *sim, uint8_t kind)
{
    struct flows_look look = {.kind = kind};

    flows_look_for(sim, &look);
    cairn_buf_done(&look.key);
    return look.count;
}

uint64_t flows_keys(struct simnode *sim)
{
    uint64_t keys = 0;

    for (uint32_t i = 0; i < cairn_store_shards(sim->store); i++) {
        struct cairn_engine_stats stats;
        cairn_shard_engine_stats(cairn_store_shard(sim->store, i), &stats);
        keys += stats.keys;
    }
    return keys;
}

bool flows_rest(struct simnode *sim)
{
    for (int i = 0; i < 200; i++) {
        simnode_settle(sim);
        if (!flows_keys_with(sim, KEY_DURABLE) && !flows_keys_with(sim, KEY_CALLED))
            return true;
        for (int k = 0; k < 300; k++)
            simnode_step(sim);
    }
    return false;
}

const char *flows_ask(struct simnode *sim, const char *type, const char *id, const char *method)
{
    static struct cairn_buf kept;
    struct simcall call;

    simcall_init(&call, CAIRN_OP_INVOKE, type, id, method, NULL);
    simcall_run(sim, &call);
    kept.size = 0;
    cairn_buf_str(&kept, simvalue_text(cairn_buf_bytes(&call.reply)));
    cairn_buf_u8(&kept, 0);
    simcall_done(&call);
    return (const char *)kept.data;
}

int64_t flows_tally(struct simnode *sim, const char *id)
{
    return strtoll(flows_ask(sim, "Tally", id, "count"), NULL, 10);
}

static void equal(const struct flows_work *w, int at, int64_t count, int64_t want)
{
    if (count != want)
        fail_msg("%s, cut off at step %d: %lld effects, not %lld", w->method, at, (long long)count, (long long)want);
}

/* Crashes at step `at`, and again `again` steps after the next opening; false: it was over before. */
static bool crash_at(const struct flows_work *w, const struct simnode_options *options, uint64_t seed, int at,
                     bool keyed, bool move_on)
{
    static const enum cairn_sim_crash how[] = {CAIRN_SIM_DROP, CAIRN_SIM_KEEP, CAIRN_SIM_TEAR};
    struct simnode sim;
    struct simcall call;
    int64_t count;
    bool over;

    flows_open(&sim, seed, options);
    simcall_init(&call, CAIRN_OP_INVOKE, "Flow", "a", w->method, NULL);
    for (int i = 0; i < 5 && w->args[i]; i++)
        simcall_arg(&call, w->args[i]);
    if (keyed)
        simcall_key(&call, "once");
    simcall_submit(&sim, &call, 0);
    for (int i = 0; i < at && !call.replied; i++)
        simnode_step(&sim);
    over = call.replied;
    simnode_crash(&sim, how[(unsigned)at % 3]);
    flows_reopen(&sim);
    if (move_on) { /* cut off again on its way */
        for (int i = 0; i < at; i++)
            simnode_step(&sim);
        simnode_crash(&sim, how[(unsigned)(at / 3) % 3]);
        flows_reopen(&sim);
    }
    if (keyed) { /* whoever asks again gets the one outcome, while it goes on or after */
        simcall_run(&sim, &call);
        if (w->want)
            assert_string_equal(simvalue_text(cairn_buf_bytes(&call.reply)), w->want);
    }
    if (!flows_rest(&sim)) /* nothing is kept any longer, whatever was not told before a crash */
        fail_msg("%s, cut off at step %d: something is left", w->method, at);
    count = flows_tally(&sim, w->tallies[0]);
    if (count != 0 || over || keyed)
        equal(w, at, count, w->each);
    for (int i = 0; i < 5 && w->tallies[i]; i++)
        equal(w, at, flows_tally(&sim, w->tallies[i]), count);
    if (w->sent_to) {
        for (int i = 0; i < 3000; i++) /* the last is on its way */
            simnode_step(&sim);
        simnode_settle(&sim);
        equal(w, at, flows_tally(&sim, w->sent_to), count * w->sends);
    }
    for (int i = 0; i < 2 && w->flows[i]; i++)
        assert_string_equal(flows_ask(&sim, "Flow", w->flows[i], "counts"), count ? "[1, 1]" : "[0, 0]");
    simcall_done(&call);
    simnode_done(&sim);
    return !over;
}

void flows_cut_off(const struct flows_work *work, const struct simnode_options *options, int stride)
{
    for (int at = 0; crash_at(work, options, 100 + (uint64_t)at, at, at % 2, at % 4 >= 2); at += stride)
        ;
}
