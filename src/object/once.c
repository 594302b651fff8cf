#include "object/once.h"

#include <stdlib.h>

#include "object/account.h"
#include "object/commit.h"
#include "object/durable.h"
#include "object/layout.h"
#include "object/table.h"
#include "object/worker.h"

/* A key's value: u8 state | u64 hash of the arguments | varint wall_ms | varint number | outcome (encoded value).  With
 * the bit OUTCOME_APART in its state the outcome is varint bytes | varint its number + 1 (outcome.h; 0: not kept). */
enum {
    ONCE_RUNNING = 1,
    ONCE_OVER = 2,
    ONCE_OVER_SOME = 3, /* over, with an error, and what it had committed before stays */
    ONCE_DURABLE = 4,   /* running, and goes on after a restart; for an outcome be64 number of the durable invocation */
};

enum { EVICT_PER_KEY = 4 };

struct record {
    uint8_t state;
    uint64_t args_hash, wall_ms, number;
    struct cairn_bytes outcome;
    uint64_t apart_bytes, apart; /* kept apart: its size, and its number + 1 */
};

size_t once_key_of(uint8_t to[ONCE_KEY_ROOM], uint32_t type, struct cairn_bytes id, struct cairn_bytes method,
                   struct cairn_bytes key)
{
    size_t n = 1;

    to[0] = KEY_ONCE;
    n += cairn_put_varint(to + n, type);
    n += cairn_put_varint(to + n, id.size);
    memcpy(to + n, id.data, id.size);
    n += id.size;
    n += cairn_put_varint(to + n, method.size);
    if (method.size) /* a client's transaction is of no method */
        memcpy(to + n, method.data, method.size);
    n += method.size;
    memcpy(to + n, key.data, key.size);
    return n + key.size;
}

static size_t once_key(uint8_t *to, const struct invocation *inv)
{
    struct once *once = once_of(inv);

    if (!once->called.number)
        return once_key_of(to, inv->object->type, inv->id, inv->method_name, once->key);
    memcpy(to, once->called_key, CALLED_KEY_BYTES);
    return CALLED_KEY_BYTES;
}

static bool decode(struct cairn_bytes value, struct record *ret_record)
{
    struct cairn_reader r = cairn_reader(value);

    uint8_t state = cairn_read_u8(&r);

    *ret_record = (struct record){.state = state & ~OUTCOME_APART};
    ret_record->args_hash = cairn_read_u64(&r);
    ret_record->wall_ms = cairn_read_varint(&r);
    ret_record->number = cairn_read_varint(&r);
    if (state & OUTCOME_APART) {
        ret_record->apart_bytes = cairn_read_varint(&r);
        ret_record->apart = cairn_read_varint(&r);
    }
    ret_record->outcome = cairn_read_bytes(&r, cairn_reader_left(&r));
    return !r.bad;
}

static void encode(struct cairn_buf *to, const struct record *record)
{
    uint8_t hash[8];

    cairn_put_u64(hash, record->args_hash);
    cairn_buf_u8(to, record->apart_bytes ? record->state | OUTCOME_APART : record->state);
    cairn_buf_add(to, hash, sizeof hash);
    cairn_buf_varint(to, record->wall_ms);
    cairn_buf_varint(to, record->number);
    if (record->apart_bytes) {
        cairn_buf_varint(to, record->apart_bytes);
        cairn_buf_varint(to, record->apart);
        return;
    }
    cairn_buf_add(to, record->outcome.data, record->outcome.size);
}

static enum once_answer answer(struct invocation *inv, struct cairn_bytes outcome, bool failed,
                               enum cairn_effects effects)
{
    inv->result.size = 0;
    cairn_buf_add(&inv->result, outcome.data, outcome.size);
    inv->failed = failed;
    inv->effects = effects;
    return ONCE_ANSWERED;
}

static enum once_answer failed(struct invocation *inv, enum cairn_code code, const char *text)
{
    set_error(inv, code, text);
    return ONCE_ANSWERED;
}

/* The outcome of a request that has been asked for before; cairn_engine_take_failure tells if it could not be read. */
static enum once_answer again(struct invocation *inv, const struct record *record)
{
    struct cairn_view *engine = inv->object->shard->engine;
    struct cairn_bytes outcome = record->outcome;
    char text[OUTCOME_GONE_TEXT_BYTES];
    struct cairn_err err;
    enum cairn_code code;

    dependency_join(&inv->depends, inv->object->last);
    if (record->apart_bytes && (!record->apart || !outcome_get(engine, record->apart - 1, &outcome))) {
        code = cairn_engine_take_failure(engine, &err);
        if (code != CAIRN_OK)
            return failed(inv, code, err.text);
        outcome_gone_text(record->apart_bytes, text);
        inv->effects = CAIRN_EFFECTS_SOME;
        return failed(inv, CAIRN_EGONE, text);
    }
    return answer(inv, outcome, outcome.size && outcome.data[0] == (uint8_t)CAIRN_VALUE_ERROR,
                  record->state == ONCE_OVER_SOME ? CAIRN_EFFECTS_SOME : CAIRN_EFFECTS_NONE);
}

static enum once_answer reused(struct invocation *inv)
{
    return failed(inv, CAIRN_EKEYREUSED, "this idempotency key was used with other arguments; take a new key");
}

struct cairn_bytes once_client_key(const struct invocation *inv)
{
    const struct once *once = once_of(inv);

    if (inv->request)
        return inv->request->key.size > 0 ? inv->request->key : cairn_bytes(NULL, 0);
    return once && !once->called.number ? once->key : cairn_bytes(NULL, 0); /* of a durable one that goes on */
}

void once_make(struct invocation *inv, struct cairn_bytes key)
{
    struct once *once = cairn_alloc_zeroed(1, sizeof *once);

    once->inv = inv;
    once->key = key;
    cairn_list_init(&once->keyed);
    cairn_list_init(&once->duplicates);
    inv->own = once;
    inv->keyed = true;
}

void once_make_called(struct invocation *inv)
{
    struct once *once;

    once_make(inv, (struct cairn_bytes){0});
    once = inv->own;
    once->called = inv->called;
    called_key(once->called_key, &once->called);
    once->key = cairn_bytes(once->called_key, CALLED_KEY_BYTES);
}

void once_drop(struct invocation *inv)
{
    free(inv->own);
    inv->own = NULL;
    inv->keyed = false;
}

void once_leave(struct cairn_worker *worker, struct invocation *inv)
{
    struct once *once = once_of(inv);

    (void)worker;
    if (once->room) {
        struct cairn_log *log = inv->object->shard->log;

        log->ops->release(log, once->room, 1);
    }
    once_drop(inv);
}

bool once_is_new(const struct invocation *inv)
{
    return cairn_list_empty(&once_of(inv)->keyed);
}

bool once_recorded(const struct invocation *inv)
{
    return once_of(inv)->recorded;
}

/* The durable invocation that has the key is not under way yet, or no longer: it is now. */
static enum once_answer join_durable(struct cairn_worker *worker, struct invocation *inv, struct cairn_bytes number)
{
    struct once *first = NULL;

    if (number.size == 8)
        first = durable_of_key(worker, inv->object->shard, cairn_get_be64(number.data));
    if (!first)
        return failed(inv, CAIRN_ECORRUPT, "the durable invocation that has this key cannot be read");
    cairn_list_push_back(&first->duplicates, &inv->link);
    return ONCE_WAIT;
}

enum once_answer once_begin(struct cairn_worker *worker, struct invocation *inv)
{
    struct once *once = once_of(inv);
    struct object *object = inv->object;
    struct shard *shard = object->shard;
    uint8_t key[ONCE_KEY_ROOM];
    struct cairn_bytes value;
    struct record record;
    struct cairn_err err;
    enum cairn_code code;
    size_t size;

    once->args_hash = cairn_hash(inv->args);
    for (struct cairn_link *l = object->keyed.next; l != &object->keyed; l = l->next) {
        struct once *first = cairn_container(l, struct once, keyed);
        if (!cairn_bytes_equal(first->key, once->key) || !first->called.number != !once->called.number ||
            !cairn_bytes_equal(first->inv->method_name, inv->method_name))
            continue;
        if (first->args_hash != once->args_hash)
            return reused(inv);
        cairn_list_push_back(&first->duplicates, &inv->link);
        return ONCE_WAIT;
    }
    size = once_key(key, inv);
    (void)cairn_engine_take_failure(shard->engine, NULL);
    if (shard->engine->ops->get(shard->engine, cairn_bytes(key, size), cairn_hash(cairn_bytes(key, size)), &value) &&
        decode(value, &record) && record.state != ONCE_RUNNING) {
        if (record.args_hash != once->args_hash)
            return reused(inv);
        if (record.state == ONCE_DURABLE)
            return join_durable(worker, inv, record.outcome);
        return again(inv, &record);
    }
    code = cairn_engine_take_failure(shard->engine, &err);
    if (code != CAIRN_OK)
        return failed(inv, code, err.text);
    cairn_list_push_back(&object->keyed, &once->keyed);
    return ONCE_RUN;
}

static bool is_running(const struct record *record)
{
    return record->state == ONCE_RUNNING || record->state == ONCE_DURABLE;
}

enum cairn_code once_again(struct invocation *inv, struct cairn_err *err)
{
    struct once *once = once_of(inv);
    struct shard *shard = inv->object->shard;
    uint8_t key[ONCE_KEY_ROOM];
    struct cairn_bytes k = cairn_bytes(key, once_key(key, inv)), value;
    struct record record;

    if (!shard->engine->ops->get(shard->engine, k, cairn_hash(k), &value)) {
        enum cairn_code code = cairn_engine_take_failure(shard->engine, err);

        return code != CAIRN_OK ? code : cairn_fail(err, CAIRN_ECORRUPT, "the key of a durable invocation is gone");
    }
    if (!decode(value, &record) || record.state != ONCE_DURABLE)
        return cairn_fail(err, CAIRN_ECORRUPT, "the key of a durable invocation says that it is over");
    once->args_hash = record.args_hash;
    once->number = record.number;
    once->recorded = true;
    cairn_list_push_back(&inv->object->keyed, &once->keyed);
    return CAIRN_OK;
}

/* Forgets the oldest keys that are over the age or the number allowed; what cannot be read now is for another time. */
static void evict(struct invocation *inv, struct overlay *overlay)
{
    struct shard *shard = inv->object->shard;
    const struct cairn_limits *limits = &inv->worker->node->limits;

    for (int i = 0; i < EVICT_PER_KEY && shard->meta.once_first < shard->meta.once_end; i++) {
        uint8_t age[9];
        struct cairn_bytes age_key = cairn_bytes(age, key_numbered(age, KEY_ONCE_AGE, shard->meta.once_first));
        struct cairn_bytes key, value;
        struct record record;

        if (overlay_get(overlay, age_key, &key)) {
            key = cairn_arena_copy(&overlay->arena, key);
            if (overlay_get(overlay, key, &value) && decode(value, &record)) {
                bool old = record.wall_ms + limits->key_ms < (uint64_t)invocation_now_ms(inv);
                bool many = shard->meta.once_end - shard->meta.once_first > limits->keys_per_shard;
                bool its_own = record.number == shard->meta.once_first; /* else it was given up and used again since */
                if (its_own && (is_running(&record) || (!old && !many)))
                    return;
                if (its_own) {
                    overlay_remove(overlay, key);
                    if (record.apart)
                        outcome_forget(overlay, &shard->meta.outcomes, record.apart - 1);
                    stat_add(&inv->worker->counts.evicted_keys, 1);
                }
            }
            if (overlay->code == CAIRN_OK)
                overlay_remove(overlay, age_key);
        }
        if (overlay->code != CAIRN_OK) {
            overlay->code = CAIRN_OK;
            return;
        }
        shard->meta.once_first++;
    }
}

static void put_apart(struct invocation *inv, struct overlay *overlay, struct record *record)
{
    const struct cairn_node *node = inv->worker->node;
    uint64_t number, dropped = 0;

    record->apart_bytes = record->outcome.size;
    if (outcome_keep(overlay, &inv->object->shard->meta.outcomes, node->limits.outcome_bytes / node->shard_count,
                     record->outcome, &number, &dropped))
        record->apart = number + 1;
    else
        dropped++;
    if (dropped)
        stat_add(&inv->worker->counts.dropped_outcomes, dropped);
}

static void write_state(struct invocation *inv, struct overlay *overlay, bool over)
{
    struct once *once = once_of(inv);
    struct shard *shard = inv->object->shard;
    uint8_t key[ONCE_KEY_ROOM], age[9], number[8];
    struct cairn_bytes k = cairn_bytes(key, once_key(key, inv));
    struct record record = {
        .state = ONCE_RUNNING, .args_hash = once->args_hash, .wall_ms = (uint64_t)invocation_now_ms(inv)};
    struct cairn_buf value = {0};
    bool first = !once->recorded;

    if (!over && inv->durable) {
        record.state = ONCE_DURABLE;
        cairn_put_be64(number, inv->durable->number);
        record.outcome = cairn_bytes(number, sizeof number);
    } else if (over) {
        record.state = inv->failed && inv->effects != CAIRN_EFFECTS_NONE ? ONCE_OVER_SOME : ONCE_OVER;
        record.outcome = cairn_buf_bytes(&inv->result);
        if (record.outcome.size > OUTCOME_INLINE_BYTES_MAX && !once->called.number)
            put_apart(inv, overlay, &record);
    }
    if (first && !once->called.number)
        once->number = shard->meta.once_end++;
    record.number = once->number;
    encode(&value, &record);
    overlay_put(overlay, k, cairn_buf_bytes(&value));
    cairn_buf_done(&value);
    if (first && once->called.number) { /* neither age nor number bounds it */
        called_add(overlay, &once->called);
    } else if (first) {
        overlay_put(overlay, cairn_bytes(age, key_numbered(age, KEY_ONCE_AGE, once->number)), k);
        evict(inv, overlay);
    }
    once->recorded = true;
    if ((first && !once->called.number) || record.apart)
        shard_meta_store(shard, overlay);
}

bool once_unused(const struct invocation *inv)
{
    return inv->refused && inv->effects == CAIRN_EFFECTS_NONE;
}

static enum cairn_code prepare(struct commit *commit, struct cairn_err *err)
{
    struct invocation *inv = commit->inv;
    struct once *once = once_of(inv);
    uint8_t key[ONCE_KEY_ROOM];

    (void)err;
    if (!once)
        return CAIRN_OK;
    commit->once_recorded = once->recorded;
    if (commit->over && once_unused(inv)) {
        if (once->recorded)
            overlay_remove(commit->overlay, cairn_bytes(key, once_key(key, inv)));
        if (once->recorded && once->called.number)
            called_remove(commit->overlay, &once->called);
    } else if (commit->over) {
        write_state(inv, commit->overlay, true);
    } else if (!once->recorded && (!cairn_list_empty(&inv->segment->calls) || inv->calls_out || inv->durable)) {
        write_state(inv, commit->overlay, false);
        commit->keep_bytes = inv->durable ? 0 : ONCE_CLAIM_BYTES; /* one that is durable can wait for room */
    }
    return CAIRN_OK;
}

static void committed(struct commit *commit)
{
    if (commit->keep_bytes)
        once_of(commit->inv)->room = commit->keep_bytes;
}

static void undo(struct commit *commit)
{
    struct shard_meta *meta = &commit->inv->object->shard->meta;

    meta->once_first = commit->before.once_first;
    meta->once_end = commit->before.once_end;
    meta->outcomes = commit->before.outcomes;
    if (commit->inv->keyed)
        once_of(commit->inv)->recorded = commit->once_recorded;
    commit->keep_bytes = 0;
}

const struct participant once_participant = {
    .concern = CONCERNS_KEY, .prepare = prepare, .committed = committed, .undo = undo};

void once_over(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_link *l;

    cairn_list_remove(&once_of(inv)->keyed);
    while ((l = cairn_list_pop_front(&once_of(inv)->duplicates))) {
        struct invocation *duplicate = cairn_container(l, struct invocation, link);
        enum cairn_code code;
        const char *text;

        dependency_join(&duplicate->depends, inv->depends);
        if (account_may_begin(worker, duplicate, &code, &text))
            answer(duplicate, cairn_buf_bytes(&inv->result), inv->failed, inv->effects);
        else
            set_error(duplicate, code, text); /* to be asked for again with the key */
        invocation_move(duplicate, INV_OVER);
        invocation_finish(worker, duplicate);
    }
}

/* If the key's state is that, it has an outcome now. */
static void end_key(struct overlay *overlay, struct cairn_bytes key, uint8_t state, enum cairn_code code,
                    const char *text)
{
    struct cairn_buf outcome = {0}, encoded = {0};
    struct cairn_bytes value;
    struct record record;

    if (!overlay_get(overlay, key, &value) || !decode(value, &record) || record.state != state)
        return;
    cairn_value_add_error(&outcome, cairn_str(cairn_code_name(code)), cairn_str(text));
    record.state = ONCE_OVER_SOME;
    record.outcome = cairn_buf_bytes(&outcome);
    encode(&encoded, &record);
    overlay_put(overlay, key, cairn_buf_bytes(&encoded));
    cairn_buf_done(&encoded);
    cairn_buf_done(&outcome);
}

static void interrupt(struct overlay *overlay, struct cairn_bytes key)
{
    end_key(overlay, key, ONCE_RUNNING, CAIRN_EINTERRUPTED,
            "the node stopped while this invocation was under way; what it had committed stays, the rest was not done");
}

void once_end_durable(struct overlay *overlay, struct cairn_bytes key, enum cairn_code code, const char *text)
{
    end_key(overlay, key, ONCE_DURABLE, code, text);
}

enum once_called_state once_called_state(struct shard *shard, struct cairn_bytes key, uint64_t *ret_number)
{
    struct cairn_bytes value;
    struct record record;

    if (!shard->engine->ops->get(shard->engine, key, cairn_hash(key), &value))
        return cairn_engine_take_failure(shard->engine, NULL) == CAIRN_OK ? ONCE_CALLED_OVER : ONCE_CALLED_RUNS;
    if (!decode(value, &record) || !is_running(&record))
        return ONCE_CALLED_OVER;
    if (record.state != ONCE_DURABLE || record.outcome.size != 8)
        return ONCE_CALLED_RUNS;
    *ret_number = cairn_get_be64(record.outcome.data);
    return ONCE_CALLED_DURABLE;
}

static enum cairn_code commit_interrupted(struct cairn_worker *worker, struct shard *shard, struct overlay *overlay,
                                          uint32_t least, struct cairn_err *err)
{
    struct dependency record;
    enum cairn_code code;

    if (overlay->count < least && overlay->code == CAIRN_OK)
        return CAIRN_OK;
    code = shard_commit_own(worker, shard, overlay, "interrupted", &record, err);
    overlay_reset(overlay, shard->engine);
    return code;
}

enum { INTERRUPTED_PER_RECORD = 256 };

static void keep_key(void *context, struct cairn_bytes key)
{
    cairn_buf_add(context, key.data, key.size);
}

static enum cairn_code recover_called(struct cairn_worker *worker, struct shard *shard, struct overlay *overlay,
                                      struct cairn_err *err)
{
    struct cairn_buf keys = {0};
    enum cairn_code code = CAIRN_OK;

    called_visit(overlay, keep_key, &keys);
    for (size_t at = 0; at < keys.size && code == CAIRN_OK; at += CALLED_KEY_BYTES) {
        interrupt(overlay, cairn_bytes(keys.data + at, CALLED_KEY_BYTES));
        code = commit_interrupted(worker, shard, overlay, INTERRUPTED_PER_RECORD, err);
    }
    cairn_buf_done(&keys);
    return code;
}

enum cairn_code once_recover(struct cairn_worker *worker, struct shard *shard, struct cairn_err *err)
{
    struct overlay overlay = {0};
    enum cairn_code code = CAIRN_OK;

    overlay_reset(&overlay, shard->engine);
    for (uint64_t n = shard->meta.once_first; n < shard->meta.once_end && code == CAIRN_OK; n++) {
        uint8_t age[9];
        struct cairn_bytes key;

        if (!overlay_get(&overlay, cairn_bytes(age, key_numbered(age, KEY_ONCE_AGE, n)), &key))
            continue;
        interrupt(&overlay, cairn_arena_copy(&overlay.arena, key));
        code = commit_interrupted(worker, shard, &overlay, INTERRUPTED_PER_RECORD, err);
    }
    if (code == CAIRN_OK)
        code = recover_called(worker, shard, &overlay, err);
    if (code == CAIRN_OK)
        code = commit_interrupted(worker, shard, &overlay, 1, err);
    overlay_done(&overlay);
    return code;
}
