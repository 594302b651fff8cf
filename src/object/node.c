/* node.c - opening and closing a node, and what any thread may ask of it. */
#include <assert.h>
#include <stdlib.h>

#include "object/called.h"
#include "object/durable.h"
#include "object/durable_ask.h"
#include "object/durable_restored.h"
#include "object/host.h"
#include "object/invoke.h"
#include "object/mailbox.h"
#include "object/invocation.h"
#include "object/kept.h"
#include "object/messages.h"
#include "object/multi.h"
#include "object/once.h"
#include "object/returned.h"
#include "object/segment.h"
#include "object/transaction.h"
#include "object/table.h"
#include "object/tracing.h"
#include "object/type.h"
#include "object/worker.h"

static void limits_default(struct cairn_limits *limits)
{
    const struct cairn_limits defaults = {
        .cpu_ns = 100000000,
        .depth = 64,
        .job_calls = 100000,
        .value_bytes = 1 << 20,
        .write_set_bytes = 8 << 20,
        .mailbox = 10000,
        .requests = 20000,
        .keys_per_shard = 100000,
        .key_ms = 86400000,
        .outcome_bytes = 256 << 20,
        .memory_bytes = 1 << 30,
        .job_bytes = 64 << 20,
        .transaction_objects = 10000,
        .transaction_bytes = 8 << 20,
        .transaction_ns = 5000000000,
        .transaction_attempts = 16,
        .transaction_retry_ns = 1000000000,
        .journal_bytes = 16 << 20,
        .message_bytes = 256 << 20,
    };

#define DEFAULT(member) limits->member = limits->member ? limits->member : defaults.member
    DEFAULT(cpu_ns);
    DEFAULT(depth);
    DEFAULT(job_calls);
    DEFAULT(value_bytes);
    DEFAULT(write_set_bytes);
    DEFAULT(mailbox);
    DEFAULT(requests);
    DEFAULT(keys_per_shard);
    DEFAULT(key_ms);
    DEFAULT(outcome_bytes);
    DEFAULT(memory_bytes);
    DEFAULT(job_bytes);
    DEFAULT(transaction_objects);
    DEFAULT(transaction_bytes);
    DEFAULT(transaction_ns);
    DEFAULT(transaction_attempts);
    DEFAULT(transaction_retry_ns);
    DEFAULT(journal_bytes);
    DEFAULT(message_bytes);
#undef DEFAULT
}

static enum cairn_code worker_init(struct cairn_worker *worker, struct cairn_node *node, uint32_t index,
                                   struct cairn_err *err)
{
    enum cairn_code code;

    worker->node = node;
    worker->index = index;
    worker->purse.budget = &node->calls;
    worker->outgoing = cairn_alloc_zeroed(node->options.workers, sizeof *worker->outgoing);
    worker->messages_due_ms = worker->messages_retry_ns = UINT64_MAX;
    cairn_random_init(&worker->random, node->options.seed + index);
    cairn_random_init(&worker->job_ids, ~node->options.seed + index);
    cache_init(&worker->cache, node->limits.cache_bytes / node->options.workers);
    cairn_list_init(&worker->idle);
    lanes_init(&worker->lanes);
    cairn_list_init(&worker->fiber_waiters);
    cairn_list_init(&worker->commits);
    cairn_list_init(&worker->begins);
    cairn_list_init(&worker->held);
    cairn_list_init(&worker->passing);
    cairn_list_init(&worker->live);
    cairn_list_init(&worker->transactions);
    cairn_list_init(&worker->parties);
    cairn_list_init(&worker->prepares);
    cairn_list_init(&worker->lock_waiters);
    worker->durable_host = &durable_host_ops;
    durable_init(worker, &(const struct durable_ways){.enter = mailbox_enter,
                                                      .end = invocation_end_cancelled,
                                                      .resume = invocation_resume_untold});
    called_open(worker, durable_ask_called);
    restored_open(worker);
    method_logs_init(&worker->logs);
    worker->shards = cairn_alloc_zeroed(node->shard_count + 1, sizeof *worker->shards);
    for (uint32_t i = 0; i <= node->shard_count; i++) {
        struct shard *shard = &worker->shards[i];
        if (node_owner(node, i) != index && i < node->shard_count)
            continue;
        if (i == node->shard_count && index != 0) /* the system shard is worker 0's */
            continue;
        shard->index = i;
        shard->purge_stop = PURGE_NO_STOP;
        shard->shard = cairn_store_shard(node->options.store, i);
        shard->engine = cairn_shard_view(shard->shard);
        shard->log = cairn_shard_log(shard->shard);
        code = shard_meta_load(shard, err);
        if (code == CAIRN_OK && i < node->shard_count)
            code = messages_open(worker, shard, err);
        if (code == CAIRN_OK && i < node->shard_count)
            sweep_opened(worker, shard->messages);
        if (code == CAIRN_OK && i < node->shard_count)
            code = kept_open(worker, shard, err);
        if (code != CAIRN_OK)
            return code;
    }
    return cairn_fn_worker_create(node->options.fn, &object_host_ops, &worker->fn, err);
}

/* What is in flight when the node closes is dropped, as a crash would. */
static void drop_invocations(struct cairn_worker *worker)
{
    struct cairn_link *l;

    inbox_drop(worker);
    while ((l = cairn_list_pop_front(&worker->held)) || (l = cairn_list_pop_front(&worker->passing)))
        invocation_free(worker, cairn_container(l, struct invocation, link));
    while ((l = cairn_list_pop_front(&worker->live))) {
        struct invocation *inv = cairn_container(l, struct invocation, live);
        if (inv->run)
            cairn_run_cancel(inv->run);
        segment_end(worker, inv->segment);
        if (inv->type)
            type_unref(inv->type);
        invocation_free(worker, inv);
    }
}

static void worker_done(struct cairn_worker *worker)
{
    if (!worker->node)
        return;
    for (uint32_t i = 0; worker->shards && i < worker->node->shard_count; i++)
        messages_close(&worker->shards[i]);
    for (uint32_t i = 0; i < worker->table_size; i++)
        while (worker->table[i]) {
            struct object *object = worker->table[i];
            if (object->refs) { /* cut off by the stop: its invocations are dropped with the node */
                object->refs = 0;
                worker->idle_count++;
            }
            object_drop(worker, object);
        }
    lanes_done(worker);
    cache_done(&worker->cache);
    cairn_buf_done(&worker->sweep.at); /* of a pass that was under way */
    emptying_close(worker);
    free(worker->table);
    free(worker->outgoing);
    durable_close(worker);
    called_close(worker);
    restored_close(worker);
    types_leave(worker);
    while (worker->free_invocations) {
        struct invocation *inv = worker->free_invocations;
        worker->free_invocations = (struct invocation *)inv->message.next;
        free(inv->calls);
        free(inv->payload);
        cairn_buf_done(&inv->result);
        free(inv);
    }
    while (worker->free_segments) {
        struct segment *segment = worker->free_segments;
        worker->free_segments = segment->next_free;
        overlay_done(&segment->overlay);
        cairn_buf_done(&segment->sends);
        free(segment);
    }
    method_logs_done(worker);
    free(worker->shards);
    cairn_fn_worker_destroy(worker->fn);
}

struct cairn_node *cairn_node_close(struct cairn_node *node)
{
    if (!node)
        return NULL;
    for (uint32_t i = 0; i < node->options.workers; i++) /* first: they may lie in transactions */
        if (node->workers[i].node)
            inbox_drop(&node->workers[i]);
    for (uint32_t i = 0; i < node->options.workers; i++)
        if (node->workers[i].node)
            transactions_drop(&node->workers[i]);
    for (uint32_t i = 0; i < node->options.workers; i++)
        if (node->workers[i].node)
            drop_invocations(&node->workers[i]);
    for (uint32_t i = node->hook_count; i-- > 0;)
        node->hooks[i].close(node);
    for (uint32_t i = 0; i < node->options.workers; i++)
        worker_done(&node->workers[i]);
    stats_done(&node->stats);
    spaces_done(&node->spaces);
    tracing_close(node->tracing);
    cairn_free_pages(node->workers, node->options.workers * sizeof *node->workers);
    free(node->acknowledged);
    free(node->hooks);
    free(node);
    return NULL;
}

static enum cairn_code recover_keys(struct cairn_node *node, struct cairn_err *err)
{
    for (uint32_t w = 0; w < node->options.workers; w++)
        for (uint32_t i = w; i < node->shard_count; i += node->options.workers) {
            enum cairn_code code = once_recover(&node->workers[w], &node->workers[w].shards[i], err);
            if (code != CAIRN_OK)
                return code;
        }
    for (uint32_t w = 0; w < node->options.workers; w++) {
        enum cairn_code code = durable_open(&node->workers[w], err);
        if (code != CAIRN_OK)
            return code;
    }
    return CAIRN_OK;
}

static uint32_t log_count(const struct cairn_node *node)
{
    return node->has_one_log ? 1 : node->shard_count + 1;
}

static void take_hooks(struct cairn_node *node, const struct node_hooks *const *hooks, uint32_t count)
{
    node->hooks = cairn_alloc(count * sizeof *node->hooks);
    node->hook_count = count;
    for (uint32_t i = 0; i < count; i++) {
        node->hooks[i] = *hooks[i];
        for (int op = 0; op < CAIRN_OP_COUNT; op++)
            if (hooks[i]->operations[op]) {
                assert(!node->operations[op]);
                node->operations[op] = hooks[i]->operations[op];
            }
    }
}

enum cairn_code cairn_node_open(const struct cairn_node_options *options, const struct node_hooks *const *hooks,
                                uint32_t hook_count, struct cairn_node **ret_node, struct cairn_err *err)
{
    struct cairn_node *node = cairn_alloc_zeroed(1, sizeof *node);
    enum cairn_code code = CAIRN_OK;

    node->options = *options;
    node->limits = options->limits;
    limits_default(&node->limits);
    node->options.limits = node->limits; /* so that there is one answer */
    node->memory.limit = node->limits.memory_bytes;
    node->calls = (struct cairn_budget){.parent = &node->memory, .limit = node->limits.memory_bytes};
    node->log = cairn_shard_log(cairn_store_shard(options->store, 0));
    node->has_one_log = cairn_store_has_one_log(options->store);
    node->shard_count = cairn_store_shards(options->store);
    node->acknowledged = cairn_alloc_zeroed(log_count(node), sizeof *node->acknowledged);
    node->slots = cairn_store_slots(options->store);
    atomic_init(&node->last_ms, (int64_t)cairn_store_wall_ms(options->store));
    stats_init(&node->stats, options->workers);
    spaces_init(&node->spaces, options->workers);
    node->spaces.defaults[SPACE_MESSAGES] = node->limits.space_messages;
    node->spaces.defaults[SPACE_MESSAGE_BYTES] = node->limits.space_message_bytes;
    node->tracing = tracing_open(&options->trace, options->clock, options->workers);
    node->operations[CAIRN_OP_INVOKE] = &operation_invoke;
    node->operations[CAIRN_OP_WATCH] = &watch_operation;
    node->operations[CAIRN_OP_MULTI] = &multi_operation;
    take_hooks(node, hooks, hook_count);
    node->workers = cairn_alloc_pages(options->workers * sizeof *node->workers); /* zeroed, and whole lines */
    for (uint32_t i = 0; i < options->workers && code == CAIRN_OK; i++)
        code = worker_init(&node->workers[i], node, i, err);
    for (uint32_t i = 0; i < hook_count && code == CAIRN_OK; i++)
        code = hooks[i]->open(node, hooks[i]->context, err);
    if (code == CAIRN_OK)
        code = cairn_store_start(options->store, err);
    if (code == CAIRN_OK) {
        for (uint32_t i = 0; i < log_count(node); i++) {
            struct cairn_log *log = cairn_shard_log(cairn_store_shard(options->store, i));

            atomic_store(&node->acknowledged[i], log->ops->acknowledged(log));
        }
        code = recover_keys(node, err);
    }
    if (code != CAIRN_OK) {
        cairn_node_close(node);
        return code;
    }
    *ret_node = node;
    return CAIRN_OK;
}

struct cairn_worker *cairn_node_worker(struct cairn_node *node, uint32_t index)
{
    return &node->workers[index];
}

struct space *cairn_node_space(struct cairn_node *node, struct cairn_bytes name)
{
    struct space *space = spaces_find(&node->spaces, name);

    return space && !space->parent && space_is_open(space) ? space : NULL;
}

struct cairn_budget *cairn_node_memory(struct cairn_node *node)
{
    return &node->memory;
}

void cairn_node_drain(struct cairn_node *node)
{
    atomic_store_explicit(&node->draining, true, memory_order_relaxed);
}

uint64_t cairn_node_admitted(struct cairn_node *node)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < node->options.workers; i++)
        sum += stat_get(&node->workers[i].admitted);
    return sum;
}

uint64_t cairn_node_dropped_outcomes(struct cairn_node *node)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < node->options.workers; i++)
        sum += stat_get(&node->workers[i].counts.dropped_outcomes);
    return sum;
}

uint64_t cairn_node_evicted_keys(struct cairn_node *node)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < node->options.workers; i++)
        sum += stat_get(&node->workers[i].counts.evicted_keys);
    return sum;
}

void cairn_node_log_progress(struct cairn_node *node, uint32_t shard, uint64_t acknowledged)
{
    atomic_store_explicit(&node->acknowledged[shard], acknowledged, memory_order_seq_cst);
    for (uint32_t i = 0; i < node->options.workers; i++)
        if (atomic_load(&node->workers[i].wants_progress) && node->options.wake)
            node->options.wake(node->options.context, i);
}

void cairn_node_log_failed(struct cairn_node *node, const struct cairn_err *why)
{
    node->failure = *why;
    atomic_store_explicit(&node->failed, true, memory_order_release);
    for (uint32_t i = 0; i < node->options.workers; i++)
        if (node->options.wake)
            node->options.wake(node->options.context, i);
}

void cairn_args_add(struct cairn_buf *args, struct cairn_bytes arg)
{
    uint8_t size[4];

    cairn_put_u32(size, (uint32_t)arg.size);
    cairn_buf_add(args, size, sizeof size);
    cairn_buf_add(args, arg.data, arg.size);
}
