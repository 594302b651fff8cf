#include "object/due.h"

#include <assert.h>

#include "object/layout.h"

enum { AGAIN_MS = 10 };

static const uint8_t prefix = KEY_AGENDA;

static struct tree tree_over(struct overlay *overlay)
{
    return (struct tree){.overlay = overlay, .prefix = cairn_bytes(&prefix, 1)};
}

static size_t entry_key(uint8_t to[DUE_KEY_BYTES_MAX], uint64_t due_ms, enum due_kind kind, struct cairn_bytes own)
{
    uint8_t due[8];

    assert(own.size <= DUE_OWN_BYTES_MAX);
    cairn_put_be64(due, due_ms_most(due_ms));
    memcpy(to, due + 8 - DUE_MS_BYTES, DUE_MS_BYTES);
    to[DUE_MS_BYTES] = (uint8_t)kind;
    if (own.size)
        memcpy(to + DUE_MS_BYTES + 1, own.data, own.size);
    return DUE_MS_BYTES + 1 + own.size;
}

static uint64_t ms_of(struct cairn_bytes key)
{
    uint8_t due[8] = {0};

    memcpy(due + 8 - DUE_MS_BYTES, key.data, DUE_MS_BYTES);
    return cairn_get_be64(due);
}

void due_add(struct shard *shard, struct overlay *overlay, uint64_t due_ms, enum due_kind kind, struct cairn_bytes own)
{
    struct tree tree = tree_over(overlay);
    uint8_t key[DUE_KEY_BYTES_MAX];

    tree_add(&tree, cairn_bytes(key, entry_key(key, due_ms, kind, own)));
    if (due_ms < shard->due_ms)
        shard->due_ms = due_ms; /* stays if the record comes to nothing: then there is one look too many */
}

void due_remove(struct overlay *overlay, uint64_t due_ms, enum due_kind kind, struct cairn_bytes own)
{
    struct tree tree = tree_over(overlay);
    uint8_t key[DUE_KEY_BYTES_MAX];

    tree_remove(&tree, cairn_bytes(key, entry_key(key, due_ms, kind, own)));
}

bool due_after(struct overlay *overlay, struct cairn_bytes entry, uint8_t to[DUE_KEY_BYTES_MAX],
               struct cairn_bytes *ret_entry)
{
    struct tree tree = tree_over(overlay);
    struct tree_cursor cursor;
    struct cairn_bytes key;

    if (!tree_seek(&cursor, &tree, TREE_AFTER, entry))
        return false;
    key = tree_key(&cursor);
    if (key.size > DUE_KEY_BYTES_MAX)
        return false;
    memcpy(to, key.data, key.size);
    *ret_entry = cairn_bytes(to, key.size);
    return true;
}

uint64_t due_first_ms(struct overlay *overlay)
{
    struct tree tree = tree_over(overlay);
    struct tree_cursor cursor;

    return tree_seek(&cursor, &tree, TREE_AT_OR_AFTER, cairn_bytes(NULL, 0)) ? ms_of(tree_key(&cursor)) : UINT64_MAX;
}

static enum due_answer ask(struct shard *shard, struct overlay *overlay, uint64_t now_ms, struct cairn_bytes key,
                           const struct due_handler *const *handlers, size_t count)
{
    struct due due = {.due_ms = ms_of(key),
                      .now_ms = now_ms,
                      .own = cairn_bytes(key.data + DUE_MS_BYTES + 1, key.size - DUE_MS_BYTES - 1)};

    for (size_t i = 0; i < count; i++)
        if ((uint8_t)handlers[i]->kind == key.data[DUE_MS_BYTES])
            return handlers[i]->take(shard, overlay, &due);
    return DUE_TAKEN; /* nothing knows it */
}

void due_take(struct shard *shard, struct overlay *overlay, uint64_t now_ms, uint32_t most,
              const struct due_handler *const *handlers, size_t count, bool *ret_more)
{
    struct tree tree = tree_over(overlay);
    enum due_answer answer = DUE_TAKEN;
    uint8_t key[DUE_KEY_BYTES_MAX], skipped[DUE_KEY_BYTES_MAX];
    struct tree_cursor cursor;
    struct cairn_bytes at = {0};
    bool put_off = false;

    *ret_more = false;
    shard->due_ms = UINT64_MAX;
    /* Those that are skipped stand before `at`. */
    while (tree_seek(&cursor, &tree, TREE_AFTER, at) && ms_of(tree_key(&cursor)) <= now_ms) {
        struct cairn_bytes found = tree_key(&cursor);

        if (most-- == 0) {
            *ret_more = !put_off;
            shard->due_ms = put_off ? now_ms + AGAIN_MS : now_ms;
            return;
        }
        memcpy(key, found.data, found.size);
        found.data = key;
        answer = ask(shard, overlay, now_ms, found, handlers, count);
        if (answer == DUE_TAKEN) {
            tree_remove(&tree, found);
        } else {
            put_off = true;
            memcpy(skipped, found.data, found.size);
            at = cairn_bytes(skipped, found.size);
        }
        if (answer == DUE_STOP)
            break;
    }
    if (answer != DUE_STOP && tree_seek(&cursor, &tree, TREE_AFTER, at))
        shard->due_ms = ms_of(tree_key(&cursor));
    if (put_off && now_ms + AGAIN_MS < shard->due_ms)
        shard->due_ms = now_ms + AGAIN_MS;
}
