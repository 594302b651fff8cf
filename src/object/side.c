#include "object/side.h"

#include "object/layout.h"
#include "object/receiver.h"
#include "object/tree.h"
#include "object/type.h"
#include "object/worker.h"

enum {
    TRIM_AT = 64,         /* entries used up */
    REMOVED_LOOKS = 1024, /* at entries that are gone, when one more goes */
    UNPARK_PER_STEP = 64, /* side lines, or types that are still not there */
    SIDE_KEY_BYTES = 1 + POSTED_NAME_BYTES_MAX,
};

/* --- keys --- */

static struct cairn_bytes state_key(uint8_t to[SIDE_KEY_BYTES], struct cairn_bytes name)
{
    to[0] = KEY_SIDE;
    memcpy(to + 1, name.data, name.size);
    return cairn_bytes(to, 1 + name.size);
}

static struct tree tree_of(struct overlay *overlay, const uint8_t *prefix)
{
    return (struct tree){.overlay = overlay, .prefix = cairn_bytes(prefix, 1)};
}

static const uint8_t ready_prefix = KEY_SIDE_READY, parked_prefix = KEY_SIDE_PARKED;

size_t side_key(uint8_t to[DELIVERY_KEY_BYTES_MAX], const struct side *side, uint64_t n)
{
    size_t size = key_numbered(to, KEY_SIDE_ENTRY, side->number);

    cairn_put_be64(to + size, n);
    return size + 8;
}

bool side_type(struct cairn_bytes name, struct cairn_bytes *ret_space, struct cairn_bytes *ret_type)
{
    struct cairn_reader r = cairn_reader(name);

    *ret_space = cairn_read_sized(&r);
    *ret_type = cairn_read_sized(&r);
    return !r.bad && ret_type->size > 0;
}

/* --- a line --- */

bool side_get(const struct messages *messages, struct overlay *overlay, struct cairn_bytes name, struct side *ret_side)
{
    uint8_t key[SIDE_KEY_BYTES];
    struct cairn_bytes value;
    struct cairn_reader r;

    if (!messages->numbers.sides || !overlay_get(overlay, state_key(key, name), &value))
        return false;
    r = cairn_reader(value);
    ret_side->number = cairn_read_varint(&r);
    ret_side->first = cairn_read_varint(&r);
    ret_side->end = cairn_read_varint(&r);
    return !r.bad;
}

static void store(struct overlay *overlay, struct cairn_bytes name, const struct side *side)
{
    uint8_t key[SIDE_KEY_BYTES], value[3 * CAIRN_VARINT_BYTES_MAX];
    size_t n = cairn_put_varint(value, side->number);

    n += cairn_put_varint(value + n, side->first);
    n += cairn_put_varint(value + n, side->end);
    overlay_put(overlay, state_key(key, name), cairn_bytes(value, n));
}

void side_add(struct messages *messages, struct overlay *overlay, const struct posted *posted, bool parked)
{
    uint8_t name_bytes[POSTED_NAME_BYTES_MAX], key[DELIVERY_KEY_BYTES_MAX];
    struct cairn_bytes name = posted_name(posted, name_bytes);
    struct cairn_buf encoded = {0};
    struct side side = {0};

    if (!side_get(messages, overlay, name, &side)) {
        struct tree tree = tree_of(overlay, parked ? &parked_prefix : &ready_prefix);

        side.number = messages->numbers.end++;
        messages->numbers.sides++;
        tree_add(&tree, name);
    }
    posted_encode(posted, &encoded);
    overlay_put(overlay, cairn_bytes(key, side_key(key, &side, side.end++)), cairn_buf_bytes(&encoded));
    store(overlay, name, &side);
    messages->numbers.waiting++;
    messages->numbers.bytes += encoded.size + MESSAGE_OVERHEAD_BYTES;
    cairn_buf_done(&encoded);
    messages->side_look |= !parked;
}

uint64_t side_next(const struct messages *messages, const struct side *side, struct cairn_bytes name)
{
    const struct receiver *receiver = receiver_find(messages, name);

    return receiver && receiver->side == side->number && receiver->side_next > side->first ? receiver->side_next
                                                                                           : side->first;
}

void side_trim(struct messages *messages, struct overlay *overlay, struct cairn_bytes name, const struct side *side,
               uint64_t next)
{
    const struct receiver *receiver = receiver_find(messages, name);
    struct side left = *side;

    left.first = next;
    if (receiver && !cairn_list_empty(&receiver->from_side))
        left.first = cairn_container(receiver->from_side.next, struct delivery, running)->number;
    if (left.first == left.end) {
        struct tree tree = tree_of(overlay, &ready_prefix);
        uint8_t key[SIDE_KEY_BYTES];

        tree_remove(&tree, name);
        overlay_remove(overlay, state_key(key, name));
        messages->numbers.sides--;
    } else if (left.first - side->first >= TRIM_AT) {
        store(overlay, name, &left);
    }
}

/* --- turns --- */

static struct cairn_bytes keep(struct cairn_buf *at, struct cairn_bytes name)
{
    at->size = 0;
    cairn_buf_add(at, name.data, name.size);
    return cairn_buf_bytes(at);
}

bool side_after(struct overlay *overlay, bool parked, struct cairn_bytes name, uint8_t to[POSTED_NAME_BYTES_MAX],
                struct cairn_bytes *ret_name)
{
    struct tree tree = tree_of(overlay, parked ? &parked_prefix : &ready_prefix);
    struct tree_cursor cursor;

    if (!tree_seek(&cursor, &tree, TREE_AFTER, name))
        return false;
    name = tree_key(&cursor);
    memcpy(to, name.data, name.size);
    *ret_name = cairn_bytes(to, name.size);
    return true;
}

bool side_turn(struct messages *messages, struct overlay *overlay, uint8_t to[POSTED_NAME_BYTES_MAX],
               struct cairn_bytes *ret_name)
{
    if (!side_after(overlay, false, cairn_buf_bytes(&messages->side_at), to, ret_name)) {
        messages->side_at.size = 0;
        return false;
    }
    keep(&messages->side_at, *ret_name);
    return true;
}

void side_park(struct messages *messages, struct overlay *overlay, struct cairn_bytes name)
{
    struct tree ready = tree_of(overlay, &ready_prefix), parked = tree_of(overlay, &parked_prefix);

    (void)messages;
    if (tree_remove(&ready, name))
        tree_add(&parked, name);
}

void side_drop_some(struct messages *messages, struct overlay *overlay, struct cairn_bytes name, uint32_t most)
{
    struct tree parked = tree_of(overlay, &parked_prefix);
    uint8_t key[SIDE_KEY_BYTES];
    struct side side;

    if (!side_get(messages, overlay, name, &side))
        return;
    for (; most > 0 && side.first < side.end; most--, side.first++) {
        uint8_t bytes[DELIVERY_KEY_BYTES_MAX];
        struct cairn_bytes entry = cairn_bytes(bytes, side_key(bytes, &side, side.first)), value;

        if (overlay_get(overlay, entry, &value))
            messages_remove(messages, overlay, entry, value.size);
    }
    if (side.first < side.end) {
        store(overlay, name, &side);
        return;
    }
    tree_remove(&parked, name);
    overlay_remove(overlay, state_key(key, name));
    messages->numbers.sides--;
}

void side_removed(struct messages *messages, struct overlay *overlay, struct cairn_bytes name)
{
    struct tree ready = tree_of(overlay, &ready_prefix), parked = tree_of(overlay, &parked_prefix);
    const struct receiver *receiver = receiver_find(messages, name);
    uint8_t key[SIDE_KEY_BYTES], bytes[DELIVERY_KEY_BYTES_MAX];
    struct cairn_bytes value;
    struct side side;
    uint64_t first;

    if (!side_get(messages, overlay, name, &side) || (receiver && !cairn_list_empty(&receiver->from_side)))
        return; /* what runs of it trims it */
    for (first = side.first; side.first < side.end && side.first - first < REMOVED_LOOKS; side.first++)
        if (overlay_get(overlay, cairn_bytes(bytes, side_key(bytes, &side, side.first)), &value))
            break;
    if (side.first < side.end) {
        if (side.first > first)
            store(overlay, name, &side);
        return;
    }
    if (!tree_remove(&ready, name))
        tree_remove(&parked, name);
    overlay_remove(overlay, state_key(key, name));
    messages->numbers.sides--;
}

/* Behind all names with that type: there is no name between. */
static void skip_type(struct cairn_buf *at, struct cairn_bytes type)
{
    at->size = (size_t)(type.data + type.size - at->data);
    at->data[at->size - 1]++;
}

bool side_unpark(struct messages *messages, struct overlay *overlay)
{
    struct tree ready = tree_of(overlay, &ready_prefix), parked = tree_of(overlay, &parked_prefix);
    struct cairn_worker *worker = messages->worker;
    struct cairn_buf *at = &messages->parked_at;

    for (int i = 0; i < UNPARK_PER_STEP; i++) {
        struct cairn_bytes space, type, name;
        struct tree_cursor cursor;

        if (!tree_seek(&cursor, &parked, TREE_AFTER, cairn_buf_bytes(at))) {
            at->size = 0;
            return false;
        }
        name = keep(at, tree_key(&cursor));
        if (!side_type(name, &space, &type))
            continue;
        if (!type_has_methods(type_find(worker, spaces_intern(&worker->node->spaces, space), type))) {
            skip_type(at, type);
            continue;
        }
        tree_remove(&parked, name);
        tree_add(&ready, name);
        messages->side_look = true;
    }
    return true;
}
