#include "object/letters.h"

#include <assert.h>

#include "object/due.h"
#include "object/layout.h"
#include "object/outbox.h"
#include "object/side.h"
#include "object/timers.h"
#include "object/worker.h"

static const uint8_t dead_prefix = KEY_DEAD_TREE;

static struct tree dead_tree(struct overlay *overlay)
{
    return (struct tree){.overlay = overlay, .prefix = cairn_bytes(&dead_prefix, 1)};
}

/* --- walking: `at` is u8 stage, and what the stage puts behind it --- */

static bool visit(struct letters_walk *walk, struct cairn_bytes key, enum letter_state state, uint64_t number)
{
    struct letter letter = {.state = state, .number = number, .key_size = key.size};
    struct cairn_bytes value;

    assert(key.size <= sizeof letter.key);
    memcpy(letter.key, key.data, key.size);
    if (!overlay_get(walk->overlay, key, &value) || !posted_decode(value, &letter.posted))
        return walk->visit(walk->context, NULL);
    if (letter.posted.number)
        letter.number = letter.posted.number - 1;
    return walk->visit(walk->context, &letter);
}

static struct cairn_bytes place(const struct letters_walk *walk)
{
    return cairn_bytes(walk->at.data + 1, walk->at.size - 1);
}

static void set_place(struct letters_walk *walk, struct cairn_bytes bytes)
{
    walk->at.size = 1;
    cairn_buf_add(&walk->at, bytes.data, bytes.size);
}

static void set_number(struct letters_walk *walk, uint64_t number)
{
    uint8_t bytes[8];

    cairn_put_be64(bytes, number);
    set_place(walk, cairn_bytes(bytes, 8));
}

static uint64_t place_number(const struct letters_walk *walk)
{
    return walk->at.size >= 9 ? cairn_get_be64(walk->at.data + 1) : 0;
}

/* Place: the number. */
static bool walk_dead(struct letters_walk *walk)
{
    struct tree tree = dead_tree(walk->overlay);
    struct tree_cursor cursor;

    while (tree_seek(&cursor, &tree, TREE_AFTER, place(walk))) {
        uint8_t key[9];

        if (tree_key(&cursor).size != 8)
            return true;
        set_place(walk, tree_key(&cursor));
        if (!visit(walk, cairn_bytes(key, key_numbered(key, KEY_DEAD, place_number(walk))), LETTER_DEAD,
                   place_number(walk)))
            return false;
    }
    return true;
}

/* Place: the next number. */
static bool walk_line(struct letters_walk *walk)
{
    const struct messages *messages = walk->messages;
    uint64_t n = place_number(walk);

    for (n = n < messages->numbers.first ? messages->numbers.first : n; n < messages->numbers.end; n++) {
        uint8_t key[9];

        set_number(walk, n + 1);
        if (!visit(walk, cairn_bytes(key, key_numbered(key, KEY_LINE, n)),
                   n < messages->cursor ? LETTER_RUNS : LETTER_WAITS, n))
            return false;
    }
    return true;
}

/* Place: the agenda's key. */
static bool walk_later(struct letters_walk *walk)
{
    uint8_t bytes[DUE_KEY_BYTES_MAX], key[9];
    struct cairn_bytes entry;

    while (due_after(walk->overlay, place(walk), bytes, &entry)) {
        bool message = entry.size == DUE_MS_BYTES + 9 && entry.data[DUE_MS_BYTES] == DUE_MESSAGE;
        uint64_t number = message ? cairn_get_be64(entry.data + DUE_MS_BYTES + 1) : 0;

        set_place(walk, entry);
        if (!(message ? visit(walk, cairn_bytes(key, key_numbered(key, KEY_LATER, number)), LETTER_LATER, number)
                      : walk->visit(walk->context, NULL)))
            return false;
    }
    return true;
}

/* Place: be64 the next entry, and the side line's name. */
static bool walk_side(struct letters_walk *walk, struct cairn_bytes name, bool parked)
{
    uint64_t n = place_number(walk), next;
    struct side side;

    if (!side_get(walk->messages, walk->overlay, name, &side))
        return true;
    next = side_next(walk->messages, &side, name);
    for (n = n < side.first ? side.first : n; n < side.end; n++) {
        uint8_t key[DELIVERY_KEY_BYTES_MAX];

        cairn_put_be64(walk->at.data + 1, n + 1);
        if (!visit(walk, cairn_bytes(key, side_key(key, &side, n)),
                   parked     ? LETTER_NO_TYPE
                   : n < next ? LETTER_RUNS
                              : LETTER_WAITS,
                   n))
            return false;
    }
    return true;
}

static bool walk_sides(struct letters_walk *walk, bool parked)
{
    uint8_t bytes[POSTED_NAME_BYTES_MAX];
    struct cairn_bytes name;

    if (walk->at.size > 9 && walk->at.size - 9 <= sizeof bytes) {
        memcpy(bytes, walk->at.data + 9, walk->at.size - 9);
        if (!walk_side(walk, cairn_bytes(bytes, walk->at.size - 9), parked))
            return false;
    }
    for (;;) {
        name = walk->at.size > 9 ? cairn_bytes(walk->at.data + 9, walk->at.size - 9) : cairn_bytes(NULL, 0);
        if (!side_after(walk->overlay, parked, name, bytes, &name))
            return true;
        set_number(walk, 0);
        cairn_buf_add(&walk->at, name.data, name.size);
        if (!walk_side(walk, name, parked))
            return false;
    }
}

/* Place: be64 shard, be64 the next number. */
static bool walk_outbox(struct letters_walk *walk)
{
    uint64_t to = place_number(walk), n = walk->at.size == 17 ? cairn_get_be64(walk->at.data + 9) : 0;

    for (; to < walk->messages->worker->node->shard_count; to++, n = 0) {
        uint64_t first, end;

        if (!outbox_extent(walk->messages, (uint32_t)to, &first, &end))
            continue;
        for (n = n < first ? first : n; n < end; n++) {
            uint8_t key[OUTBOX_KEY_BYTES_MAX], more[8];
            bool go_on = visit(walk, outbox_key(key, (uint32_t)to, n), LETTER_LEAVES, UINT64_MAX);

            set_number(walk, to);
            cairn_put_be64(more, n + 1);
            cairn_buf_add(&walk->at, more, 8);
            if (!go_on)
                return false;
        }
    }
    return true;
}

enum { STAGE_LINE = 1, STAGE_LATER, STAGE_SIDES, STAGE_PARKED, STAGE_OUTBOX, STAGE_DEAD, STAGES };

bool letters_walk(struct letters_walk *walk)
{
    if (!walk->at.size)
        cairn_buf_u8(&walk->at, walk->dead ? STAGE_DEAD : STAGE_LINE);
    for (; walk->at.data[0] < STAGES; set_place(walk, cairn_bytes(NULL, 0)), walk->at.data[0]++) {
        uint8_t stage = walk->at.data[0];
        bool over = stage == STAGE_LINE     ? walk_line(walk)
                    : stage == STAGE_LATER  ? walk_later(walk)
                    : stage == STAGE_SIDES  ? walk_sides(walk, false)
                    : stage == STAGE_PARKED ? walk_sides(walk, true)
                    : stage == STAGE_OUTBOX ? walk_outbox(walk)
                    : stage == STAGE_DEAD   ? walk_dead(walk)
                                            : true;

        if (!over)
            return false;
        if (stage == STAGE_OUTBOX || (walk->sides_alone && stage == STAGE_PARKED))
            break;
    }
    return true;
}

void letters_walk_sides(struct letters_walk *walk)
{
    walk->sides_alone = true;
    if (!walk->at.size)
        cairn_buf_u8(&walk->at, STAGE_SIDES);
}

/* --- one --- */

static bool find_at(struct overlay *overlay, uint8_t kind, uint64_t number, struct letter *ret_letter)
{
    struct cairn_bytes value;

    ret_letter->key_size = key_numbered(ret_letter->key, kind, number);
    if (!overlay_get(overlay, cairn_bytes(ret_letter->key, ret_letter->key_size), &value) ||
        !posted_decode(value, &ret_letter->posted))
        return false;
    ret_letter->number = number;
    return kind != KEY_LINE || !ret_letter->posted.number || ret_letter->posted.number == number + 1;
}

bool letters_find(struct messages *messages, struct overlay *overlay, uint64_t number, struct letter *ret_letter)
{
    static const struct {
        uint8_t kind;
        enum letter_state state;
    } places[] = {{KEY_DEAD, LETTER_DEAD}, {KEY_LATER, LETTER_LATER}, {KEY_LINE, LETTER_WAITS}};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (!find_at(overlay, places[i].kind, number, ret_letter))
            continue;
        ret_letter->state =
            places[i].state == LETTER_WAITS && number < messages->cursor ? LETTER_RUNS : places[i].state;
        return true;
    }
    return false;
}

/* --- dead letters --- */

static void unbury(struct messages *messages, struct overlay *overlay, uint64_t number, size_t bytes)
{
    struct tree tree = dead_tree(overlay);
    uint8_t key[9];

    key_numbered(key, KEY_DEAD, number);
    tree_remove(&tree, cairn_bytes(key + 1, 8));
    overlay_remove(overlay, cairn_bytes(key, 9));
    messages->numbers.dead--;
    messages->numbers.bytes -= bytes + MESSAGE_OVERHEAD_BYTES;
}

static bool dead_at(struct overlay *overlay, uint64_t number, struct cairn_bytes *ret_value)
{
    uint8_t key[9];

    if (!overlay_get(overlay, cairn_bytes(key, key_numbered(key, KEY_DEAD, number)), ret_value))
        return false;
    *ret_value = cairn_arena_copy(&overlay->arena, *ret_value);
    return true;
}

bool letters_revive(struct messages *messages, struct overlay *overlay, uint64_t number)
{
    struct cairn_buf encoded = {0};
    struct cairn_bytes value;
    struct posted posted;

    if (!dead_at(overlay, number, &value) || !posted_decode(value, &posted) || posted.flags & POSTED_SPOILED)
        return false;
    unbury(messages, overlay, number, value.size);
    posted.state = POSTED_NEW;
    posted.flags &= (uint8_t)~POSTED_SOME;
    posted.attempts = posted.due_ms = 0;
    posted.number = number + 1;
    posted.code = posted.text = cairn_bytes(NULL, 0);
    posted_encode(&posted, &encoded);
    messages_add(messages, overlay, &posted, cairn_buf_bytes(&encoded));
    cairn_buf_done(&encoded);
    return true;
}

bool letters_drop(struct messages *messages, struct overlay *overlay, uint64_t number)
{
    struct cairn_bytes value;

    if (!dead_at(overlay, number, &value))
        return false;
    unbury(messages, overlay, number, value.size);
    return true;
}

void letters_withdraw(struct messages *messages, struct overlay *overlay, const struct letter *letter)
{
    struct cairn_bytes value, key = cairn_bytes(letter->key, letter->key_size);
    uint8_t number[8], name[POSTED_NAME_BYTES_MAX];
    struct posted posted;

    if (!overlay_get(overlay, key, &value))
        return;
    value = cairn_arena_copy(&overlay->arena, value);
    if (!posted_decode(value, &posted))
        return;
    messages_remove(messages, overlay, key, value.size);
    cairn_put_be64(number, letter->number);
    if (letter->key[0] == KEY_LATER)
        due_remove(overlay, posted.due_ms, DUE_MESSAGE, cairn_bytes(number, sizeof number));
    else if (letter->key[0] == KEY_SIDE_ENTRY)
        side_removed(messages, overlay, posted_name(&posted, name));
    if (posted.timer.size)
        timers_over(messages->shard, overlay, posted.timer, messages_clock_ms(messages->worker));
}
