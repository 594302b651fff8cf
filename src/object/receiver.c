#include "object/receiver.h"

#include <stdlib.h>

#include "base/hash.h"
#include "object/delivery.h"
#include "object/messages.h"

static struct receiver **bucket(struct messages *messages, uint64_t hash)
{
    return &messages->receivers[hash & (RECEIVER_BUCKETS - 1)];
}

static struct receiver **find(struct messages *messages, uint64_t hash, struct cairn_bytes name)
{
    struct receiver **at = bucket(messages, hash);

    while (*at && !((*at)->hash == hash && cairn_bytes_equal(cairn_bytes((*at)->name, (*at)->name_size), name)))
        at = &(*at)->next;
    return at;
}

struct receiver *receiver_find(const struct messages *messages, struct cairn_bytes name)
{
    return *find((struct messages *)(uintptr_t)messages, cairn_hash(name), name);
}

bool receiver_may_take(const struct messages *messages, const struct receiver *receiver, size_t bytes)
{
    return !receiver || (receiver->running <= (RUNNING_MAX - messages->running_count) / 4 &&
                         receiver->bytes + bytes <= (RUNNING_BYTES - messages->running_bytes) / 4);
}

void receiver_enter(struct messages *messages, struct cairn_bytes name, struct delivery *delivery)
{
    uint64_t hash = cairn_hash(name);
    struct receiver **at = find(messages, hash, name), *receiver = *at;

    if (!receiver) {
        receiver = *at = cairn_alloc_zeroed(1, sizeof *receiver + name.size);
        receiver->hash = hash;
        receiver->name_size = name.size;
        memcpy(receiver->name, name.data, name.size);
        cairn_list_init(&receiver->from_side);
    }
    receiver->running++;
    receiver->bytes += delivery->bytes;
    messages->running_count++;
    messages->running_bytes += delivery->bytes;
    delivery->receiver = receiver;
}

void receiver_leave(struct messages *messages, struct delivery *delivery)
{
    struct receiver *receiver = delivery->receiver, **at = bucket(messages, receiver->hash);

    receiver->running--;
    receiver->bytes -= delivery->bytes;
    messages->running_count--;
    messages->running_bytes -= delivery->bytes;
    if (receiver->running)
        return;
    while (*at != receiver)
        at = &(*at)->next;
    *at = receiver->next;
    free(receiver);
}

void receivers_close(struct messages *messages)
{
    for (int i = 0; i < RECEIVER_BUCKETS; i++)
        for (struct receiver *receiver = messages->receivers[i], *next; receiver; receiver = next) {
            next = receiver->next;
            free(receiver);
        }
}
