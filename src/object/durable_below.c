/* durable_below.c - what an invocation that is asked to end has called is asked, too: a message to every shard, said
 * again while calls are under way, as some may have begun to be durable meanwhile. */
#include <stdlib.h>

#include "object/durable_ask.h"
#include "object/durable_internal.h"
#include "object/worker.h"

enum { AT_ONCE = 256 };

struct below {
    struct message message;
    uint64_t number; /* the caller's */
    uint32_t from, below, to;
};

static void add_key(void *context, struct cairn_bytes key)
{
    cairn_buf_add(context, key.data, key.size);
}

static void receive(struct cairn_worker *worker, struct message *message)
{
    struct below *below = (struct below *)message;
    struct shard *shard = worker_shard(worker, below->to);
    struct overlay overlay = {0};
    struct cairn_buf keys = {0};
    int asked = 0;

    overlay_reset(&overlay, shard->engine);
    called_visit_of(&overlay, &(struct called){below->number, below->from, below->below}, add_key, &keys);
    overlay_done(&overlay);
    for (size_t at = 0; at < keys.size && asked < AT_ONCE && !worker->failed; at += CALLED_KEY_BYTES)
        asked += !durable_ask_called(worker, shard, cairn_bytes(keys.data + at, CALLED_KEY_BYTES));
    cairn_buf_done(&keys);
    free(below);
}

static void drop(struct cairn_worker *worker, struct message *message)
{
    (void)worker;
    free(message);
}

void durable_ask_below(struct cairn_worker *worker, uint32_t shard, uint64_t number, uint32_t below)
{
    for (uint32_t to = 0; to < worker->node->shard_count; to++) {
        struct below *message = cairn_alloc(sizeof *message);

        *message = (struct below){
            .message = {.receive = receive, .drop = drop}, .number = number, .from = shard, .below = below, .to = to};
        worker_send(worker, node_owner(worker->node, to), &message->message);
    }
}
