/* layout.h - how objects lie in the engine, as point keys (docs/formats/state.md).
 *
 *   01 varint type, id                           object header (struct header)
 *   02 be64 incarnation, varint field            a value
 *   02 be64 incarnation, varint field, varint n  entry n of a list
 *   02 be64 incarnation, varint field, 'k', key  a map's entry: varint place, value
 *   02 be64 incarnation, varint field, 's', varint place    the map's key at that place
 *   02 be64 incarnation, varint field, 'v', key  an ordered map's value, unless its leaf has it
 *   02 be64 incarnation, varint field, 'p', ..   the pages of its keys (tree.h, a map)
 *   03 varint type, varint page                  a page of the type's directory of ids (tree.h)
 *   04 varint type, sized id, sized method, key  an idempotency key (once.h)
 *   05 be64 number                               the same keys in order of age: the 04 key
 *   06 be64 number                               what is left of a deleted incarnation (purge.h)
 *   07                                           the shard's own numbers (struct shard_meta)
 *   18 be64 number                               the size of an outcome that is kept apart (outcome.h)
 *   19 be64 number                               the outcome
 *   20 be64 number                               a durable invocation's head (durable.h)
 *   21 varint page                               a page of the tree of open durable invocations: be64 number
 *   22 be32 shard, be64 number, be32 call        the outcome of a durable invocation's call (called.h)
 *   23 varint page                               a page of the tree of these
 *   24 be64 number                               what a durable invocation that sleeps waits for
 *   26 varint page                               a page of the tree of restored objects (durable_restored.h)
 *   25 be64 number, be32 call                    its promise that has the number of that call (promise.h)
 *   08 be64 number                               a message in the line (messages.h)
 *   09 be64 number                               a message that is due later
 *   0a varint page                               a page of the agenda: be48 due ms, u8 kind, what (due.h)
 *   0b be64 number                               a dead letter
 *   0c varint page                               a page of the dead letters' numbers
 *   0d varint shard, be64 number                 a message to that shard (outbox.h)
 *   0e varint shard                              the channel to that shard: first, end
 *   0f varint shard                              how far the channel from that shard is used up
 *   10 sized space, name                         system shard: a module
 *   11 sized space, name                         system shard: a type
 *   12                                           system shard: the next type's number
 *   13 name                                      system shard: a namespace
 *   18 be64 number                               the size of an outcome that is kept apart (outcome.h)
 *   19 be64 number                               the outcome
 *   28                                           the shard's numbers of messages (struct message_numbers)
 *   38 name                                      what a namespace keeps (kept.h)
 *   39 varint page                               a page of the tree of these names
 *   3f                                           system shard: which state it is (shard/restores.c)
 *   29 sized space, sized type, id               the side line of messages to that object: number, first, end (side.h)
 *   2a be64 number, be64 n                       entry n of that side line: a message
 *   2b varint page                               a page of the tree of side lines: what follows their 29
 *   2c varint page                               the same of those whose type no module has
 *   30 be64 incarnation, name                    a timer (timer.h)
 *   31 varint page                               a page of the tree of timers: be64 incarnation, name
 *   32                                           how many timers there are
 *
 * An incarnation is never used twice within a shard, so a field's key needs no id, and every
 * key of an object follows from its header by point reads.
 * Layer: object (private). */
#ifndef CAIRN_OBJECT_LAYOUT_H
#define CAIRN_OBJECT_LAYOUT_H

#include "base/hash.h"
#include "fn/fn.h"

enum {
    KEY_HEADER = 0x01,
    KEY_FIELD = 0x02,
    KEY_DIRECTORY = 0x03,
    KEY_ONCE = 0x04,
    KEY_ONCE_AGE = 0x05,
    KEY_PURGE = 0x06,
    KEY_META = 0x07,
    KEY_LINE = 0x08,
    KEY_LATER = 0x09,
    KEY_AGENDA = 0x0a,
    KEY_DEAD = 0x0b,
    KEY_DEAD_TREE = 0x0c,
    KEY_OUTBOX = 0x0d,
    KEY_CHANNEL = 0x0e,
    KEY_MARK = 0x0f,
    KEY_MODULE = 0x10,
    KEY_TYPE = 0x11,
    KEY_TYPE_NEXT = 0x12,
    KEY_SPACE = 0x13,
    KEY_OUTCOME_SIZE = 0x18,
    KEY_OUTCOME = 0x19,
    KEY_DURABLE = 0x20,
    KEY_DURABLE_OPEN = 0x21,
    KEY_CALLED = 0x22,
    KEY_CALLED_LIST = 0x23,
    KEY_DURABLE_SLEEPER = 0x24,
    KEY_PROMISE = 0x25,
    KEY_RESTORED = 0x26,
    KEY_MESSAGES = 0x28,
    KEY_KEPT = 0x38,
    KEY_KEPT_NAMES = 0x39,
    KEY_SIDE = 0x29,
    KEY_SIDE_ENTRY = 0x2a,
    KEY_SIDE_READY = 0x2b,
    KEY_SIDE_PARKED = 0x2c,
    KEY_TIMER = 0x30,
    KEY_TIMER_NAMES = 0x31,
    KEY_TIMERS = 0x32,
};

enum { FIELD_KEY_FIXED_MAX = 1 + 8 + 2 * CAIRN_VARINT_BYTES_MAX + 1, MAP_KEY_BYTES_MAX = 1024 /* ordered or not */ };

/* Keys are built in the caller's memory; each returns the size. */
static inline size_t key_header(uint8_t *to, uint32_t type, struct cairn_bytes id)
{
    size_t n = 1;

    to[0] = KEY_HEADER;
    n += cairn_put_varint(to + n, type);
    memcpy(to + n, id.data, id.size);
    return n + id.size;
}

static inline size_t key_field(uint8_t *to, uint64_t incarnation, uint32_t field)
{
    to[0] = KEY_FIELD;
    cairn_put_be64(to + 1, incarnation);
    return 9 + cairn_put_varint(to + 9, field);
}

static inline size_t key_list_entry(uint8_t *to, uint64_t incarnation, uint32_t field, uint64_t n)
{
    size_t size = key_field(to, incarnation, field);
    return size + cairn_put_varint(to + size, n);
}

static inline size_t key_map_place(uint8_t *to, uint64_t incarnation, uint32_t field, uint64_t place)
{
    size_t size = key_field(to, incarnation, field);
    to[size++] = 's';
    return size + cairn_put_varint(to + size, place);
}

static inline size_t key_map_entry(uint8_t *to, uint64_t incarnation, uint32_t field, struct cairn_bytes key)
{
    size_t size = key_field(to, incarnation, field);
    to[size++] = 'k';
    if (key.size)
        memcpy(to + size, key.data, key.size);
    return size + key.size;
}

static inline size_t key_ordered_value(uint8_t *to, uint64_t incarnation, uint32_t field, struct cairn_bytes key)
{
    size_t size = key_field(to, incarnation, field);
    to[size++] = 'v';
    if (key.size)
        memcpy(to + size, key.data, key.size);
    return size + key.size;
}

/* What the keys of its pages begin with. */
static inline size_t key_ordered_pages(uint8_t *to, uint64_t incarnation, uint32_t field)
{
    size_t size = key_field(to, incarnation, field);
    to[size++] = 'p';
    return size;
}

static inline size_t key_numbered(uint8_t *to, uint8_t kind, uint64_t number)
{
    to[0] = kind;
    cairn_put_be64(to + 1, number);
    return 9;
}

#endif
