#include "keeper/blobs.h"

#include <stdio.h>

#include "object/worker.h"

void keeper_blob_name(const uint8_t hash[CAIRN_SHA256_BYTES], char to[KEEPER_BLOB_NAME_BYTES])
{
    int at = snprintf(to, KEEPER_BLOB_NAME_BYTES, "keeper/%02x/", hash[0]);

    for (int i = 0; i < CAIRN_SHA256_BYTES; i++)
        at += snprintf(to + at, (size_t)(KEEPER_BLOB_NAME_BYTES - at), "%02x", hash[i]);
}

bool keeper_blob_wants(const struct keeper_blobs *blobs, struct cairn_bytes path, size_t bytes)
{
    static const char quotas[] = "/zookeeper/";

    return blobs->store && bytes && bytes >= blobs->bytes_min &&
           (path.size < sizeof quotas || memcmp(path.data, quotas, sizeof quotas - 1) != 0);
}

/* --- puts ------------------------------------------------------------------------------------------- */

static void receive(struct cairn_worker *worker, struct message *message)
{
    struct keeper_put *put = cairn_container(message, struct keeper_put, message);

    put->done(worker, put);
}

static void put_claimed(struct cairn_task *task)
{
    struct keeper_put *put = cairn_container(task, struct keeper_put, task);
    struct cairn_blob *store = put->blobs->store;
    char name[KEEPER_BLOB_NAME_BYTES];

    put->claimed = true;
    keeper_blob_name(put->claim.hash, name);
    put->code = store->ops->put(store, name, cairn_buf_bytes(&put->data), &put->err);
    put->message.receive = receive;
    worker_post(put->blobs->node, put->worker, &put->message);
}

/* Its blob was about to be removed. */
static void go_on(struct keeper_claim *claim)
{
    struct keeper_put *put = cairn_container(claim, struct keeper_put, claim);

    put->task.run = put_claimed;
    cairn_tasks_submit(put->blobs->tasks, &put->task);
}

static void run_put(struct cairn_task *task)
{
    struct keeper_put *put = cairn_container(task, struct keeper_put, task);

    cairn_sha256(cairn_buf_bytes(&put->data), put->claim.hash);
    put->claim.go_on = go_on;
    if (keeper_register_put(&put->blobs->reg, &put->claim))
        put_claimed(task);
}

void keeper_blob_decided(struct keeper_put *put)
{
    if (put->claimed)
        keeper_register_decided(&put->blobs->reg, put->claim.hash);
    put->claimed = false;
}

void keeper_blob_put(struct keeper_blobs *blobs, struct keeper_put *put)
{
    put->blobs = blobs;
    put->task.run = run_put;
    cairn_tasks_submit(blobs->tasks, &put->task);
}

/* --- gets ------------------------------------------------------------------------------------------- */

enum cairn_code keeper_blob_get(struct keeper_blobs *blobs, const uint8_t hash[CAIRN_SHA256_BYTES], uint32_t bytes,
                                struct cairn_buf *to, struct cairn_err *err)
{
    struct cairn_blob *store = blobs->store;
    char name[KEEPER_BLOB_NAME_BYTES];
    uint8_t found[CAIRN_SHA256_BYTES];
    enum cairn_code code;

    if (!store)
        return cairn_fail(err, CAIRN_ENOTFOUND, "the node has no blob store");
    keeper_blob_name(hash, name);
    code = store->ops->get(store, name, bytes, to, err);
    if (code == CAIRN_ELIMIT)
        return cairn_fail(err, CAIRN_ECORRUPT, "%s has more than %u bytes", name, bytes);
    if (code != CAIRN_OK)
        return code;
    cairn_sha256(cairn_buf_bytes(to), found);
    if (to->size != bytes || memcmp(found, hash, sizeof found) != 0)
        return cairn_fail(err, CAIRN_ECORRUPT, "the bytes of %s do not have the SHA-256 that is its name", name);
    return CAIRN_OK;
}

/* --- what is told ----------------------------------------------------------------------------------- */

void keeper_blob_tell(const struct keeper_blobs *blobs, bool put, struct cairn_bytes path, enum cairn_code code,
                      const char *why)
{
    struct cairn_event event = {.level = CAIRN_LEVEL_ERROR, .from = "keeper"};
    char text[256];

    snprintf(text, sizeof text, "%.*s%s", path.size > 200 ? 200 : (int)path.size, (const char *)path.data,
             path.size > 200 ? "..." : "");
    if (put) {
        event.kind = "blob_put";
        event.text = "data of a node could not be put into the blob store: the write was refused with -1, and the next "
                     "one tries again";
    } else if (code == CAIRN_ECORRUPT || code == CAIRN_ENOTFOUND) {
        event.kind = "blob_damaged";
        event.text = "the blob store does not have the data of a node as it was written: reads of it are answered with "
                     "-1 until it is set again, or the object is put back";
    } else {
        event.kind = "blob_get";
        event.text = "data of a node could not be fetched from the blob store: the read was answered with -1, and the "
                     "next one tries again";
    }
    event.fields[0] = (struct cairn_event_field){.key = "node", .text = text};
    event.fields[1] = (struct cairn_event_field){.key = "reason", .text = why};
    cairn_tell(blobs->node->options.events, &event);
}
