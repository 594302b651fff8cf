/* messages_commit.c - messages as a participant of a segment's record: what it sends, and the message that it runs. */
#include "object/commit.h"
#include "object/delivery.h"
#include "object/durable.h"
#include "object/outbox.h"
#include "object/settle.h"
#include "object/table.h"
#include "object/worker.h"

/* Calls `visit` for each that the segment sends. */
static void for_sends(struct commit *commit, void (*visit)(struct commit *commit, uint32_t to,
                                                           const struct posted *posted, struct cairn_bytes encoded))
{
    const struct cairn_buf *sends = &commit->inv->segment->sends;
    const struct cairn_node *node = commit->inv->worker->node;

    for (size_t at = 0; at < sends->size;) {
        struct cairn_bytes encoded = cairn_bytes(sends->data + at + 4, cairn_get_u32(sends->data + at));
        struct posted posted = {0};
        uint32_t to;

        posted_decode(encoded, &posted);
        if (!(posted.flags & POSTED_SETTLE) || !settle_shard(node, posted.id, &to))
            to = node_shard_of(node, commit->inv->space, posted.id);
        visit(commit, to, &posted, encoded);
        at += 4 + encoded.size;
    }
}

static void prepare_send(struct commit *commit, uint32_t to, const struct posted *posted, struct cairn_bytes encoded)
{
    struct messages *messages = commit->inv->object->shard->messages;

    if (to == messages->shard->index)
        messages_add(messages, commit->overlay, posted, encoded);
    else
        outbox_add(messages, commit->overlay, to, encoded);
}

static void undo_send(struct commit *commit, uint32_t to, const struct posted *posted, struct cairn_bytes encoded)
{
    struct messages *messages = commit->inv->object->shard->messages;

    (void)posted, (void)encoded;
    if (to != messages->shard->index)
        outbox_undo(messages, to);
}

static void committed_send(struct commit *commit, uint32_t to, const struct posted *posted, struct cairn_bytes encoded)
{
    struct messages *messages = commit->inv->object->shard->messages;

    (void)posted, (void)encoded;
    if (to != messages->shard->index)
        outbox_committed(messages, to, commit->record);
}

/* The message that began the durable invocation, which has failed. */
static void bury(struct messages *messages, struct commit *commit)
{
    struct invocation *inv = commit->inv;
    const struct durable_letter *letter = &inv->durable->letter;
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&inv->result));
    struct cairn_value error = cairn_value_read(&r);
    struct posted posted = {.flags = (letter->flags & POSTED_INTERNAL) | POSTED_SOME,
                            .number = letter->number,
                            .sent_ms = letter->sent_ms,
                            .attempts = letter->attempts + 1,
                            .space = inv->space->name,
                            .type = inv->type_name,
                            .id = inv->id,
                            .method = inv->method_name,
                            .from_type = inv->caller_type,
                            .from_id = inv->caller_id,
                            .code = error.error,
                            .text = error.bytes,
                            .args = inv->args};

    messages_bury(messages, commit->overlay, &posted);
}

static enum cairn_code prepare(struct commit *commit, struct cairn_err *err)
{
    struct messages *messages = commit->inv->object->shard->messages;

    (void)err;
    if (!messages_take_part(commit->inv))
        return CAIRN_OK;
    messages_begin(messages);
    if (delivery_of(commit->inv))
        delivery_prepare(messages, commit);
    else if (commit->over && commit->inv->by_message && commit->inv->failed && !durable_told(commit->inv))
        bury(messages, commit);
    for_sends(commit, prepare_send);
    messages_store(messages, commit->overlay);
    return CAIRN_OK;
}

static void undo(struct commit *commit)
{
    if (!messages_take_part(commit->inv))
        return;
    messages_undo(commit->inv->object->shard->messages);
    for_sends(commit, undo_send);
}

static void committed(struct commit *commit)
{
    if (!messages_take_part(commit->inv))
        return;
    for_sends(commit, committed_send);
    stat_add(&commit->inv->worker->counts.letters_sent, commit->inv->segment->send_count);
    messages_recorded(commit->inv->object->shard->messages);
    if (delivery_of(commit->inv))
        delivery_committed(commit);
}

const struct participant messages_participant = {
    .concern = CONCERNS_LETTERS, .prepare = prepare, .committed = committed, .undo = undo};
