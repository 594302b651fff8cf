#include "shard/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"

enum { WRITES_MAX = 5, VALUE_BYTES_MAX = 4096 };

/* What commit `number` does, from its number and life. */
struct script {
    uint32_t shard;
    size_t count;
    uint32_t keys[WRITES_MAX]; /* 0 is "last" */
    bool deleted[WRITES_MAX];
};

static struct script script_of(const struct rig *rig, uint32_t number)
{
    struct script script = {.count = 1};
    struct cairn_random random;

    cairn_random_init(&random, (uint64_t)rig->lives[number] << 32 | number);
    script.shard = (uint32_t)cairn_random_below(&random, RIG_SHARDS + 1);
    if (rig->shards[number] >= 0)
        script.shard = (uint32_t)rig->shards[number];
    while (script.count < 3 + number % 3) {
        script.keys[script.count] = 1 + (uint32_t)cairn_random_below(&random, RIG_KEYS);
        script.deleted[script.count] = cairn_random_below(&random, 4) == 0;
        script.count++;
    }
    return script;
}

static struct cairn_bytes key_of(uint32_t key, char memory[32])
{
    if (key == 0)
        return cairn_str("last");
    snprintf(memory, 32, "key-%u", key);
    return cairn_str(memory);
}

/* The number in front, the rest drawn from it. */
static struct cairn_bytes value_of(const struct rig *rig, uint32_t number, uint8_t memory[VALUE_BYTES_MAX])
{
    size_t size = 8 + rig->value_bytes;

    cairn_put_u32(memory, number);
    cairn_put_u32(memory + 4, rig->lives[number]);
    memset(memory + 8, (int)number, size - 8);
    return cairn_bytes(memory, size);
}

static void on_failed(void *context, const struct cairn_err *why)
{
    struct rig *rig = context;

    (void)why;
    rig->log_failed = true;
}

static void on_checkpoint_work(void *context, uint32_t index)
{
    struct rig *rig = context;

    assert_in_range(index, 0, RIG_SHARDS);
    rig->notified++;
}

const char *rig_engine;

void rig_init(struct rig *rig, struct cairn_disk *disk, enum cairn_sync_mode sync, uint64_t seed)
{
    memset(rig, 0, sizeof *rig);
    rig->disk = disk;
    cairn_sim_clock_init(&rig->clock, seed);
    cairn_random_init(&rig->random, seed);
    rig->tasks = cairn_tasks_create(0);
    rig->value_bytes = 60;
    cairn_wal_opener_init(&rig->wal,
                          &(struct cairn_wal_options){.sync = sync, .interval_ms = 50, .segment_bytes = 16 << 10});
    rig->options = (struct cairn_store_options){
        .disk = disk,
        .clock = &rig->clock.clock,
        .tasks = rig->tasks,
        .shards = RIG_SHARDS,
        .engine = rig_engine,
        .engine_memory_bytes = RIG_SHARDS * (256 << 10),
        .log_bytes_max = 24 << 10,
        .log = &rig->wal.opener,
        .tap = cairn_history_tap,
        .on_log_failed = on_failed,
        .on_checkpoint_work = on_checkpoint_work,
        .context = rig,
    };
}

void rig_done(struct rig *rig)
{
    cairn_store_abandon(rig->store);
    cairn_tasks_destroy(rig->tasks);
    cairn_disk_close(rig->disk);
}

enum cairn_code rig_open(struct rig *rig, struct cairn_err *err)
{
    enum cairn_code code = cairn_store_open(&rig->options, &rig->store, err);

    if (code != CAIRN_OK)
        return code;
    rig->log_failed = false;
    rig->life++;
    code = cairn_store_start(rig->store, err);
    if (code == CAIRN_OK)
        return CAIRN_OK;
    cairn_store_abandon(rig->store);
    rig->store = NULL;
    return code;
}

void rig_crash(struct rig *rig, enum cairn_sim_crash how)
{
    cairn_store_abandon(rig->store);
    rig->store = NULL;
    cairn_sim_disk_crash(rig->disk, how);
    cairn_tasks_destroy(rig->tasks);
    rig->tasks = rig->options.tasks = cairn_tasks_create(0);
}

static void note_durable(struct rig *rig)
{
    struct cairn_log *log = cairn_shard_log(cairn_store_shard(rig->store, 0));
    uint64_t durable = log->ops->durable(log);

    while (rig->durable < rig->commits && rig->ends[rig->durable + 1] <= durable)
        rig->durable++;
}

bool rig_commit(struct rig *rig, int shard)
{
    uint32_t number = rig->commits + 1;
    struct script script;
    struct cairn_shard *target;
    struct cairn_log *log = cairn_shard_log(cairn_store_shard(rig->store, 0));
    struct cairn_write writes[WRITES_MAX];
    uint8_t value[VALUE_BYTES_MAX];
    char keys[WRITES_MAX][32];
    struct cairn_err err;
    enum cairn_code code;
    uint64_t end;
    size_t bytes;

    assert_true(number <= RIG_COMMITS_MAX);
    rig->lives[number] = rig->life;
    rig->shards[number] = (int8_t)shard;
    script = script_of(rig, number);
    target = cairn_store_shard(rig->store, script.shard);
    for (size_t i = 0; i < script.count; i++) {
        struct cairn_bytes key = key_of(script.keys[i], keys[i]);
        writes[i] = (struct cairn_write){.key = key, .hash = cairn_hash(key), .deleted = script.deleted[i]};
        if (!script.deleted[i])
            writes[i].value = value_of(rig, number, value);
    }
    bytes = cairn_shard_record_bytes(cairn_str("note"), writes, script.count);
    for (int tries = 0; tries < 100; tries++) {
        code = log->ops->claim(log, bytes, 1, &err);
        if (code != CAIRN_EOVERLOAD && code != CAIRN_EFULL)
            break;
        log->ops->step(log);
        cairn_sim_clock_advance(&rig->clock, code == CAIRN_EFULL ? 250000000 : 0);
    }
    if (code != CAIRN_OK)
        return false;
    code = cairn_shard_commit(target, rig->clock.clock.wall_ms(&rig->clock.clock), cairn_str("note"), writes,
                              script.count, &end, &err);
    if (code != CAIRN_OK)
        return false;
    rig->ends[++rig->commits] = end;
    log->ops->want(log, end);
    return true;
}

void rig_pump(struct rig *rig)
{
    struct cairn_log *log = cairn_shard_log(cairn_store_shard(rig->store, 0));

    cairn_sim_clock_advance(&rig->clock, 1000000);
    if (cairn_random_below(&rig->random, 3))
        log->ops->step(log);
    if (cairn_random_below(&rig->random, 4) == 0)
        cairn_tasks_step(rig->tasks);
    if (cairn_store_checkpoint_due(rig->store))
        for (uint32_t i = 0; i <= RIG_SHARDS; i++)
            if (cairn_random_below(&rig->random, 4)) /* some owners come late */
                cairn_shard_step(cairn_store_shard(rig->store, i), 1000);
    if (cairn_random_below(&rig->random, 4) == 0)
        cairn_tasks_step(rig->tasks);
    note_durable(rig);
}

void rig_settle(struct rig *rig)
{
    struct cairn_log *log = cairn_shard_log(cairn_store_shard(rig->store, 0));
    int idle = 0;

    /* Two idle rounds: a turn may have gone to a shard that was stepped before. */
    for (int rounds = 0; idle < 2; rounds++) {
        bool any = log->ops->step(log);
        any = cairn_tasks_step(rig->tasks) || any;
        for (uint32_t i = 0; i <= RIG_SHARDS; i++)
            any = cairn_shard_step(cairn_store_shard(rig->store, i), 1000000) || any;
        idle = any ? 0 : idle + 1;
        assert_true(rounds < 100000);
    }
    note_durable(rig);
}

struct found {
    const struct rig *rig;
    uint32_t (*model)[RIG_KEYS + 1]; /* of one shard */
    uint64_t keys;
    const char *label;
};

static void check_entry(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct found *found = context;
    uint8_t memory[VALUE_BYTES_MAX];
    uint32_t number = 0;
    char text[32];

    if (key.data[0] == 0x3f) /* the store's own (cairn_store_restores) */
        return;
    assert_true(key.size < sizeof text);
    memcpy(text, key.data, key.size);
    text[key.size] = 0;
    if (strcmp(text, "last") != 0 && (sscanf(text, "key-%u", &number) != 1 || number < 1 || number > RIG_KEYS))
        fail_msg("%s: stray key '%s'", found->label, text);
    if ((*found->model)[number] == 0)
        fail_msg("%s: '%s' is there though it was deleted or never written", found->label, text);
    if (!cairn_bytes_equal(value, value_of(found->rig, (*found->model)[number], memory)))
        fail_msg("%s: '%s' has the value of commit %u, not of %u", found->label, text,
                 value.size >= 4 ? cairn_get_u32(value.data) : 0, (*found->model)[number]);
    found->keys++;
}

void rig_verify(struct rig *rig, uint32_t at_least, const char *label)
{
    static uint32_t model[RIG_SHARDS + 1][RIG_KEYS + 1];
    uint32_t survived = 0;

    memset(model, 0, sizeof model);
    for (uint32_t shard = 0; shard <= RIG_SHARDS; shard++) {
        struct cairn_view *view = cairn_shard_view(cairn_store_shard(rig->store, shard));
        struct cairn_bytes value;
        if (view->ops->get(view, cairn_str("last"), cairn_hash(cairn_str("last")), &value)) {
            assert_true(value.size >= 4);
            if (cairn_get_u32(value.data) > survived)
                survived = cairn_get_u32(value.data);
        }
    }
    if (survived < at_least || survived > rig->commits)
        fail_msg("%s: commits up to %u survived, %u were durable and %u tried", label, survived, at_least,
                 rig->commits);
    for (uint32_t number = 1; number <= survived; number++) {
        struct script script = script_of(rig, number);
        for (size_t i = 0; i < script.count; i++)
            model[script.shard][script.keys[i]] = script.deleted[i] ? 0 : number;
    }
    for (uint32_t shard = 0; shard <= RIG_SHARDS; shard++) {
        struct cairn_view *view = cairn_shard_view(cairn_store_shard(rig->store, shard));
        struct found found = {.rig = rig, .model = &model[shard], .label = label};
        uint64_t want = 0;
        for (uint32_t key = 0; key <= RIG_KEYS; key++)
            want += model[shard][key] != 0;
        view->ops->visit(view, check_entry, &found);
        if (found.keys != want)
            fail_msg("%s: shard %u has %llu keys and should have %llu", label, shard, (unsigned long long)found.keys,
                     (unsigned long long)want);
    }
    /* From here on the survivors are the history. */
    rig->commits = survived;
    rig->durable = survived;
}
