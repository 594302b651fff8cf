/* guest.h - writing cairn functions in C (docs/functions.md is the guide).
 *
 * A source file declares a module, its types, their fields, and defines their methods:
 *
 *     #include <cairn/guest.h>
 *
 *     CAIRN_MODULE(guests);
 *     CAIRN_TYPE(Book);
 *     CAIRN_VALUE(Book, title);
 *     CAIRN_LIST(Book, entries);
 *
 *     CAIRN_METHOD(Book, sign, CAIRN_PUBLIC)
 *     {
 *         cairn_list_push(Book_entries, cairn_arg(0));
 *         cairn_result_int(cairn_list_count(Book_entries));
 *     }
 *
 *     CAIRN_METHOD(Book, last, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
 *     {
 *         struct cairn_list_iter it = cairn_list_newest(Book_entries, 0, 1);
 *
 *         if (cairn_list_next(&it))
 *             cairn_result_bytes(it.entry);
 *     }
 *
 * and `cairn build book.c -o guests.wasm` makes the module.  There is no C library, and none is needed.
 *
 * A method runs on one object, whose fields it reads and writes.  Everything that it writes is kept together, or
 * not at all if it fails.  Static and allocated memory start afresh with every invocation: what should last
 * goes into a field.  A call to another object ends a segment: what was written before it is kept from there on,
 * whatever happens later.
 *
 * Memory: cairn_alloc hands out memory that lives until the method ends; there is no free, and none is needed.
 * Byte strings that come back from here (arguments, fields, results) live as long.
 *
 * Failing: host calls do not return errors.  When one cannot be done (a limit, a field that the type has not), the
 * method ends with that error and leaves nothing.  A method fails by itself with cairn_fail.
 *
 * Works as C (C11 and later) and as C++.  ABI 2: docs/formats/guest-abi.md.  Values: docs/formats/value.md. */
#ifndef CAIRN_GUEST_H
#define CAIRN_GUEST_H

#ifndef __wasm__
#error "cairn/guest.h is for WebAssembly: compile with `cairn build`, or with clang --target=wasm32"
#endif

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- byte strings --------------------------------------------------------------------------- */

/* Borrowed bytes; not terminated. */
struct cairn_bytes {
    const uint8_t *data;
    uint32_t size;
};

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *at, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);

static inline struct cairn_bytes cairn_bytes(const void *data, uint32_t size)
{
    struct cairn_bytes bytes = {(const uint8_t *)data, size};
    return bytes;
}

static inline struct cairn_bytes cairn_str(const char *text)
{
    return cairn_bytes(text, (uint32_t)__builtin_strlen(text));
}

static inline bool cairn_equal(struct cairn_bytes a, struct cairn_bytes b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

/* Below 0, 0, above 0, like memcmp; of two of which one begins with the other, the shorter is first. */
static inline int cairn_compare(struct cairn_bytes a, struct cairn_bytes b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Decimal, with an optional sign, nothing else; false if it is none or does not fit. */
bool cairn_parse_int(struct cairn_bytes text, int64_t *ret_integer);

/* --- declarations --------------------------------------------------------------------------- */

/* Once per module. */
#define CAIRN_MODULE(name) \
    CAIRN_LINE_("abi 2");  \
    CAIRN_LINE_("module " #name)

/* Declares a type of objects; before its fields. */
#define CAIRN_TYPE(type)        \
    CAIRN_LINE_("type " #type); \
    enum { cairn_type_##type = 0 }

/* Declare fields, as constants TYPE_NAME.  A field's kind binds the type for good; names may come and go.  When a
 * module has several sources, its declarations stand in a header that all of them include first. */
#define CAIRN_VALUE(type, name)   CAIRN_FIELD_(struct cairn_value_field, type, name, value, __COUNTER__)
#define CAIRN_LIST(type, name)    CAIRN_FIELD_(struct cairn_list_field, type, name, list, __COUNTER__)
#define CAIRN_MAP(type, name)     CAIRN_FIELD_(struct cairn_map_field, type, name, map, __COUNTER__)
/* A map whose keys are kept in the order of their bytes (cairn_compare); struct cairn_key makes such keys. */
#define CAIRN_ORDERED(type, name) CAIRN_FIELD_(struct cairn_ordered_field, type, name, ordered, __COUNTER__)

/* Defines a method: CAIRN_METHOD(TYPE, NAME, CAIRN_PUBLIC or CAIRN_INTERNAL, more ...) { ... } */
#define CAIRN_METHOD(type, name, ...)                                                         \
    CAIRN_ASSERT_(CAIRN_HAS_ACCESS_(__VA_ARGS__, ""),                                         \
                  "write CAIRN_PUBLIC or CAIRN_INTERNAL behind the method's name");           \
    CAIRN_LINE_("method " #type " " #name CAIRN_ATTRIBUTES_(__VA_ARGS__, CAIRN_NONE_));       \
    static void type##_##name##_body_(void);                                                  \
    CAIRN_C_ __attribute__((export_name(#type "." #name))) void type##_##name##_method(void); \
    void type##_##name##_method(void)                                                         \
    {                                                                                         \
        type##_##name##_body_();                                                              \
        cairn_args_end_();                                                                    \
    }                                                                                         \
    static void type##_##name##_body_(void)

#define CAIRN_PUBLIC        " public"        /* clients and other objects may call it */
#define CAIRN_INTERNAL      " internal"      /* only objects of this module may */
#define CAIRN_READ_ONLY     " read-only"     /* writes nothing, and calls only methods like it */
#define CAIRN_DETERMINISTIC " deterministic" /* depends on arguments and fields only: no time, no random numbers */
#define CAIRN_UNCACHED      " uncached"      /* its results are never kept */
#define CAIRN_TRANSACTION   " transaction"   /* it and all that it calls happen at once, when it ends, or not at all */
#define CAIRN_DURABLE       " durable"       /* goes on where it was after a crash or stop; with none of the others */

/* The same of all methods of a type. */
#define CAIRN_TYPE_UNCACHED(type) CAIRN_LINE_("uncached " #type)

/* Of messages that fail: how often they are run in all, and the first and the longest pause between two attempts in ms;
 * it doubles.  Numbers, as in CAIRN_RETRIES(3, 100, 5000); without it they are 16, 1000, 3600000. */
#define CAIRN_RETRIES(attempts, first_ms, longest_ms) " retries=" #attempts "," #first_ms "," #longest_ms

/* What an invocation of the method may use at most; the node's limits and the namespace's hold besides.  What a method
 * does not say, its type may: CAIRN_LIMITS(TYPE, CAIRN_LIMIT_CPU(20), ...), once.  Plain numbers. */
#define CAIRN_LIMIT_CPU(ms)                " limit-cpu=" #ms          /* processor time: `cpu_limit` */
#define CAIRN_LIMIT_MEMORY(kib)            " limit-memory=" #kib      /* of the instance: `memory_limit` */
#define CAIRN_LIMIT_CALLS(n)               " limit-calls=" #n         /* that it makes itself; from here on: `limit` */
#define CAIRN_LIMIT_RESULT(kib)            " limit-result=" #kib      /* its result */
#define CAIRN_LIMIT_WRITE_SET(kib)         " limit-write-set=" #kib   /* what it writes between two waits */
#define CAIRN_LIMIT_JOURNAL(kib)           " limit-journal=" #kib     /* of a durable method */
#define CAIRN_LIMIT_TRANSACTION(kib)       " limit-transaction=" #kib /* what a transaction of it writes */
#define CAIRN_LIMIT_TRANSACTION_OBJECTS(n) " limit-transaction-objects=" #n /* that it comes to */
#define CAIRN_LIMIT_TRANSACTION_TIME(ms)   " limit-transaction-time=" #ms   /* from its first lock to its end */
#define CAIRN_LIMITS(type, ...)            CAIRN_LINE_("limits " #type CAIRN_ATTRIBUTES_(__VA_ARGS__, CAIRN_NONE_))

struct cairn_value_field {
    uint32_t number;
};
struct cairn_list_field {
    uint32_t number;
};
struct cairn_map_field {
    uint32_t number;
};
struct cairn_ordered_field {
    uint32_t number;
};

/* --- memory --------------------------------------------------------------------------------- */

/* Uninitialized, aligned to 8 bytes, never NULL: without memory the method ends with `memory_limit`. */
void *cairn_alloc(uint32_t size);
/* Everything handed out since the mark was taken is free again (for loops over much data). */
static inline void *cairn_heap_mark(void);
static inline void cairn_heap_release(void *mark);

/* At the end of every method: of more arguments than it has looked at the node is told. */
static inline void cairn_args_end_(void);

/* --- the invocation ------------------------------------------------------------------------- */

uint32_t cairn_arg_count(void);
/* Argument number i, 0..; when it is missing the method fails with `bad_argument` and ends here. */
struct cairn_bytes cairn_arg(uint32_t i);
/* The same as an integer: decimal text; anything else fails like a missing one. */
int64_t cairn_arg_int(uint32_t i);
/* The same, or `otherwise` when there are not so many arguments. */
int64_t cairn_arg_int_or(uint32_t i, int64_t otherwise);

static inline struct cairn_bytes cairn_self_type(void);
static inline struct cairn_bytes cairn_self_id(void);
/* The object that called; false if it was a client. */
static inline bool cairn_caller(struct cairn_bytes *ret_type, struct cairn_bytes *ret_id);
/* The idempotency key that the client gave with this request, at most 256 bytes; false if it gave none, and for what
 * calls and messages run. */
static inline bool cairn_request_key(struct cairn_bytes *ret_key);

/* What the method returns; the last one counts, nil if there is none. */
void cairn_result_nil(void);
void cairn_result_int(int64_t integer);
void cairn_result_bytes(struct cairn_bytes bytes);
static inline void cairn_result_str(const char *text);
/* An encoded value: a struct cairn_pack's contents, an outcome's. */
static inline void cairn_result_packed(struct cairn_bytes value);

/* The method has failed: its segment leaves nothing, the caller gets this error; what earlier segments wrote (before a
 * wait) stays.  The code is a name: letters, digits, _.  Return right after. */
static inline void cairn_fail(const char *code, const char *message);
/* Ends the method here, from any depth; with what has been said by result or fail. */
__attribute__((noreturn)) static inline void cairn_exit(void);

/* Milliseconds since 1970; the same throughout a segment, never going back.  Not in deterministic methods. */
static inline int64_t cairn_now(void);
static inline void cairn_random_fill(void *out, uint32_t size);
static inline uint64_t cairn_random(void);

/* Text put together: %d %u %x (32 bits), %lld %llu %llx (64 bits), %s, %b (a struct cairn_bytes), %%. */
const char *cairn_text(const char *format, ...);
enum { CAIRN_DEBUG = 0, CAIRN_INFO = 1, CAIRN_WARNING = 2, CAIRN_ERROR = 3 };
/* A line for `cairn logs`, formatted as cairn_text does. */
void cairn_log(uint32_t level, const char *format, ...);

/* Deletes the object itself; its fields are empty from here on. */
static inline void cairn_delete_self(void);

/* Forgets what the method has written since it began or last waited: fields, and calls, messages and timers, too.  Not
 * in durable methods. */
static inline void cairn_undo(void);

/* --- fields: value -------------------------------------------------------------------------- */

/* False if it was never set (or cleared). */
bool cairn_get(struct cairn_value_field field, struct cairn_bytes *ret_value);
static inline void cairn_set(struct cairn_value_field field, struct cairn_bytes value);
static inline void cairn_clear(struct cairn_value_field field);
/* An integer, stored as an encoded value. */
int64_t cairn_get_int(struct cairn_value_field field, int64_t otherwise);
void cairn_set_int(struct cairn_value_field field, int64_t integer);

/* --- fields: list --------------------------------------------------------------------------- */

static inline uint64_t cairn_list_count(struct cairn_list_field field);
/* Behind the newest. */
static inline void cairn_list_push(struct cairn_list_field field, struct cairn_bytes entry);
/* Index 0 is the oldest; false if there are not so many. */
bool cairn_list_get(struct cairn_list_field field, uint64_t index, struct cairn_bytes *ret_entry);
static inline bool cairn_list_set(struct cairn_list_field field, uint64_t index, struct cairn_bytes entry);
/* Integers, stored as encoded values. */
void cairn_list_push_int(struct cairn_list_field field, int64_t integer);
int64_t cairn_list_get_int(struct cairn_list_field field, uint64_t index, int64_t otherwise);
bool cairn_list_set_int(struct cairn_list_field field, uint64_t index, int64_t integer);
/* Remove up to `count` entries, at most 4096 a call; return how many. */
static inline uint64_t cairn_list_drop_oldest(struct cairn_list_field field, uint64_t count);
static inline uint64_t cairn_list_drop_newest(struct cairn_list_field field, uint64_t count);

/* Goes through entries without `skip` first ones, `count` at most (UINT64_MAX: all):
 *     struct cairn_list_iter it = cairn_list_newest(User_posts, 0, 10);
 *     while (cairn_list_next(&it))
 *         use(it.entry);
 * Entries are fetched many at a time.  Changing the list on the way gives entries twice or not at all. */
struct cairn_list_iter {
    struct cairn_bytes entry;
    uint32_t field, flags;
    uint64_t at, left;
    const uint8_t *batch;
    uint32_t batch_left;
};
static inline struct cairn_list_iter cairn_list_newest(struct cairn_list_field field, uint64_t skip, uint64_t count);
static inline struct cairn_list_iter cairn_list_oldest(struct cairn_list_field field, uint64_t skip, uint64_t count);
bool cairn_list_next(struct cairn_list_iter *iter);

/* Returns up to 1024 entries, which must be encoded values, as a list, newest first: the fastest way to hand out
 * a stretch of a list, as nothing is looked at. */
void cairn_result_newest(struct cairn_list_field field, uint64_t skip, uint32_t count);

/* --- fields: map ---------------------------------------------------------------------------- */

static inline uint64_t cairn_map_count(struct cairn_map_field field);
/* False if there is no such key. */
bool cairn_map_get(struct cairn_map_field field, struct cairn_bytes key, struct cairn_bytes *ret_value);
static inline bool cairn_map_has(struct cairn_map_field field, struct cairn_bytes key);
static inline void cairn_map_set(struct cairn_map_field field, struct cairn_bytes key, struct cairn_bytes value);
/* Integers, stored as encoded values. */
int64_t cairn_map_get_int(struct cairn_map_field field, struct cairn_bytes key, int64_t otherwise);
void cairn_map_set_int(struct cairn_map_field field, struct cairn_bytes key, int64_t integer);
/* False if there was no such key. */
static inline bool cairn_map_remove(struct cairn_map_field field, struct cairn_bytes key);

/* Goes through a map; the order is not that of the keys.  Removing moves other entries. */
struct cairn_map_iter {
    struct cairn_bytes key, value;
    uint32_t field;
    uint64_t at, left;
    const uint8_t *batch;
    uint32_t batch_left;
};
static inline struct cairn_map_iter cairn_map_entries(struct cairn_map_field field, uint64_t skip, uint64_t count);
bool cairn_map_next(struct cairn_map_iter *iter);

/* --- fields: ordered map -------------------------------------------------------------------- */

/* Keys have at most 1024 bytes; an empty key is one, and the first.  All of this takes time that grows with the
 * logarithm of the number of entries. */
static inline uint64_t cairn_ordered_count(struct cairn_ordered_field field);
/* False if there is no such key. */
bool cairn_ordered_get(struct cairn_ordered_field field, struct cairn_bytes key, struct cairn_bytes *ret_value);
static inline bool cairn_ordered_has(struct cairn_ordered_field field, struct cairn_bytes key);
static inline void cairn_ordered_set(struct cairn_ordered_field field, struct cairn_bytes key,
                                     struct cairn_bytes value);
/* Integers, stored as encoded values. */
int64_t cairn_ordered_get_int(struct cairn_ordered_field field, struct cairn_bytes key, int64_t otherwise);
void cairn_ordered_set_int(struct cairn_ordered_field field, struct cairn_bytes key, int64_t integer);
/* False if there was no such key. */
static inline bool cairn_ordered_remove(struct cairn_ordered_field field, struct cairn_bytes key);

/* How many keys are below this one, whether it is there or not: its place, 0.. */
static inline uint64_t cairn_ordered_rank(struct cairn_ordered_field field, struct cairn_bytes key);
/* How many are at or above `low` and below `high`. */
static inline uint64_t cairn_ordered_count_range(struct cairn_ordered_field field, struct cairn_bytes low,
                                                 struct cairn_bytes high);
/* The entry at that place; false if there are not so many. */
bool cairn_ordered_at(struct cairn_ordered_field field, uint64_t place, struct cairn_bytes *ret_key,
                      struct cairn_bytes *ret_value);
/* False if there is none. */
bool cairn_ordered_first(struct cairn_ordered_field field, struct cairn_bytes *ret_key, struct cairn_bytes *ret_value);
bool cairn_ordered_last(struct cairn_ordered_field field, struct cairn_bytes *ret_key, struct cairn_bytes *ret_value);

/* Goes through entries, `count` at most (UINT64_MAX: all), upwards or downwards:
 *     struct cairn_ordered_iter it = cairn_ordered_downward(Board_ranking, UINT64_MAX);
 *     while (cairn_ordered_next(&it))
 *         use(it.key, it.value);
 * Entries are fetched many at a time, up to 1024, and each fetch goes on behind the key with which the one before
 * ended.  So when the map changes on the way, no key comes twice and none that stays is left out; what is set or
 * removed ahead is seen by the next fetch.  Keys that are passed must stay in memory until the end: no
 * cairn_heap_release. */
struct cairn_ordered_iter {
    struct cairn_bytes key, value;
    struct cairn_bytes low, high;
    uint32_t field, flags;
    uint64_t left, place;
    const uint8_t *batch;
    uint32_t batch_left;
};
static inline struct cairn_ordered_iter cairn_ordered_upward(struct cairn_ordered_field field, uint64_t count);
static inline struct cairn_ordered_iter cairn_ordered_downward(struct cairn_ordered_field field, uint64_t count);
/* Keys at or above `low` and below `high`; upwards, or from the last of them downwards. */
static inline struct cairn_ordered_iter cairn_ordered_range(struct cairn_ordered_field field, struct cairn_bytes low,
                                                            struct cairn_bytes high, uint64_t count);
static inline struct cairn_ordered_iter cairn_ordered_range_down(struct cairn_ordered_field field,
                                                                 struct cairn_bytes low, struct cairn_bytes high,
                                                                 uint64_t count);
/* Upwards from a key: with it (if it is there), or behind it. */
static inline struct cairn_ordered_iter cairn_ordered_from(struct cairn_ordered_field field, struct cairn_bytes key,
                                                           uint64_t count);
static inline struct cairn_ordered_iter cairn_ordered_behind(struct cairn_ordered_field field, struct cairn_bytes key,
                                                             uint64_t count);
/* Downwards from a key: with it (if it is there), or before it. */
static inline struct cairn_ordered_iter cairn_ordered_down_from(struct cairn_ordered_field field,
                                                                struct cairn_bytes key, uint64_t count);
static inline struct cairn_ordered_iter cairn_ordered_before(struct cairn_ordered_field field, struct cairn_bytes key,
                                                             uint64_t count);
/* Upwards or downwards from a place. */
static inline struct cairn_ordered_iter cairn_ordered_from_place(struct cairn_ordered_field field, uint64_t place,
                                                                 uint64_t count);
static inline struct cairn_ordered_iter cairn_ordered_down_from_place(struct cairn_ordered_field field, uint64_t place,
                                                                      uint64_t count);
/* Keys that begin with `prefix`. */
static inline struct cairn_ordered_iter cairn_ordered_prefix(struct cairn_ordered_field field,
                                                             struct cairn_bytes prefix, uint64_t count);
bool cairn_ordered_next(struct cairn_ordered_iter *iter);
/* The least byte string that is above all that begin with `prefix`; false: there is none (it is all ff). */
bool cairn_key_above_prefix(struct cairn_bytes prefix, struct cairn_bytes *ret_above);

/* --- encoded values ------------------------------------------------------------------------- */

/* Builds one: a value, or a list with its members behind it.  Zero-initialize.
 *     struct cairn_pack p = {0};
 *     cairn_pack_list(&p, 2);
 *     cairn_pack_int(&p, cairn_now());
 *     cairn_pack_bytes(&p, text);
 *     cairn_list_push(User_posts, cairn_packed(&p)); */
struct cairn_pack {
    uint8_t *data;
    uint32_t size, capacity;
};
void cairn_pack_nil(struct cairn_pack *pack);
void cairn_pack_int(struct cairn_pack *pack, int64_t integer); /* times too: milliseconds */
void cairn_pack_bytes(struct cairn_pack *pack, struct cairn_bytes bytes);
static inline void cairn_pack_str(struct cairn_pack *pack, const char *text);
void cairn_pack_list(struct cairn_pack *pack, uint32_t count); /* `count` values follow */
void cairn_pack_error(struct cairn_pack *pack, struct cairn_bytes code, struct cairn_bytes message);
/* An object's full name: a list of type and id. */
void cairn_pack_object(struct cairn_pack *pack, struct cairn_bytes type, struct cairn_bytes id);
/* One value that is encoded already. */
void cairn_pack_value(struct cairn_pack *pack, struct cairn_bytes value);
static inline struct cairn_bytes cairn_packed(const struct cairn_pack *pack);

/* Takes one apart.  What does not fit sets `bad`, and from then on everything is 0 and empty: look once, at the end. */
struct cairn_unpack {
    const uint8_t *at, *end;
    bool bad;
};
enum cairn_kind { CAIRN_NIL = 0, CAIRN_INT = 1, CAIRN_BYTES = 2, CAIRN_LIST_OF = 3, CAIRN_ERROR_VALUE = 4 };
static inline struct cairn_unpack cairn_unpack(struct cairn_bytes value);
/* What comes next, without taking it; at the end CAIRN_NIL. */
static inline enum cairn_kind cairn_unpack_kind(const struct cairn_unpack *unpack);
int64_t cairn_unpack_int(struct cairn_unpack *unpack);
struct cairn_bytes cairn_unpack_bytes(struct cairn_unpack *unpack);
uint32_t cairn_unpack_list(struct cairn_unpack *unpack); /* how many values follow */
void cairn_unpack_error(struct cairn_unpack *unpack, struct cairn_bytes *ret_code, struct cairn_bytes *ret_message);
void cairn_unpack_object(struct cairn_unpack *unpack, struct cairn_bytes *ret_type, struct cairn_bytes *ret_id);
/* Whatever comes next, members and all, as an encoded value. */
struct cairn_bytes cairn_unpack_value(struct cairn_unpack *unpack);

/* --- keys that sort rightly ------------------------------------------------------------------ */

/* Puts a key together of parts, the most significant first, so that keys compare as their parts do one after the
 * other.  Zero-initialize.  An index of orders by customer, the latest first:
 *     struct cairn_key key = {0};
 *     cairn_key_bytes(&key, customer);
 *     cairn_key_down(&key);
 *     cairn_key_time(&key, cairn_now());
 *     cairn_key_rest(&key, order);
 *     cairn_ordered_set(Shop_orders, cairn_key(&key), cairn_str(""));
 * Of keys that are compared with each other, all are made of the same kinds of parts. */
struct cairn_key {
    struct cairn_pack bytes;
    bool down;
};
/* The next part is in descending order. */
static inline void cairn_key_down(struct cairn_key *key);
void cairn_key_int(struct cairn_key *key, int64_t integer);
void cairn_key_uint(struct cairn_key *key, uint64_t integer);
/* -0 is 0, and what is not a number is above all numbers. */
void cairn_key_double(struct cairn_key *key, double number);
/* Milliseconds since 1970. */
static inline void cairn_key_time(struct cairn_key *key, int64_t ms);
/* Any bytes; takes two bytes more, and one for each 0 among them. */
void cairn_key_bytes(struct cairn_key *key, struct cairn_bytes bytes);
/* The same as the last part: bytes as they are.  Not in descending order. */
void cairn_key_rest(struct cairn_key *key, struct cairn_bytes bytes);
static inline struct cairn_bytes cairn_key(const struct cairn_key *key);

/* Takes a key apart, part by part as it was made.  What does not fit sets `bad`; from then on all is 0 and empty. */
struct cairn_unkey {
    const uint8_t *at, *end;
    bool bad, down;
};
static inline struct cairn_unkey cairn_unkey(struct cairn_bytes key);
static inline void cairn_unkey_down(struct cairn_unkey *unkey);
int64_t cairn_unkey_int(struct cairn_unkey *unkey);
uint64_t cairn_unkey_uint(struct cairn_unkey *unkey);
double cairn_unkey_double(struct cairn_unkey *unkey);
static inline int64_t cairn_unkey_time(struct cairn_unkey *unkey);
struct cairn_bytes cairn_unkey_bytes(struct cairn_unkey *unkey);
struct cairn_bytes cairn_unkey_rest(struct cairn_unkey *unkey);

/* --- calls ---------------------------------------------------------------------------------- */

/* Arguments for a call.  Zero-initialize. */
struct cairn_args {
    struct cairn_pack packed;
};
void cairn_args_add(struct cairn_args *args, struct cairn_bytes arg);
void cairn_args_add_int(struct cairn_args *args, int64_t integer);

struct cairn_outcome {
    bool ok;
    struct cairn_bytes value;         /* ok: the encoded result */
    struct cairn_bytes code, message; /* else: the error */
};

/* Queues a call; it leaves when this segment ends, by a wait or the method's return.  `args` NULL: none.
 * Calls to one object arrive in the order in which they were made.  Returns the call's number. */
uint32_t cairn_call(const char *type, struct cairn_bytes id, const char *method, const struct cairn_args *args);
/* Ends the segment and waits for one call, or for all made so far. */
struct cairn_outcome cairn_wait(uint32_t call);
static inline void cairn_wait_all(void);
/* Of a call that has been waited for. */
struct cairn_outcome cairn_outcome(uint32_t call);
/* Has it ended? */
static inline bool cairn_ready(uint32_t call);

/* --- what stands behind it ------------------------------------------------------------------ */

#define CAIRN_IMPORT_(name) __attribute__((import_module("cairn"), import_name(#name)))
CAIRN_IMPORT_(args) int32_t cairn_host_args(void *out, uint32_t capacity);
CAIRN_IMPORT_(args_read) void cairn_host_args_read(uint32_t count);
CAIRN_IMPORT_(who) int32_t cairn_host_who(uint32_t which, void *out, uint32_t capacity);
CAIRN_IMPORT_(result) void cairn_host_result(const void *value, uint32_t size);
CAIRN_IMPORT_(fail)
void cairn_host_fail(const void *code, uint32_t code_size, const void *message, uint32_t message_size);
CAIRN_IMPORT_(exit) __attribute__((noreturn)) void cairn_host_exit(void);
CAIRN_IMPORT_(out_of_memory) __attribute__((noreturn)) void cairn_host_out_of_memory(uint32_t size);
CAIRN_IMPORT_(delete_self) void cairn_host_delete_self(void);
CAIRN_IMPORT_(undo) void cairn_host_undo(void);
CAIRN_IMPORT_(now) int64_t cairn_host_now(void);
CAIRN_IMPORT_(random) void cairn_host_random(void *out, uint32_t size);
CAIRN_IMPORT_(log) void cairn_host_log(uint32_t level, const void *line, uint32_t size);
CAIRN_IMPORT_(value_get) int32_t cairn_host_value_get(uint32_t field, void *out, uint32_t capacity);
CAIRN_IMPORT_(value_set) void cairn_host_value_set(uint32_t field, const void *value, uint32_t size);
CAIRN_IMPORT_(value_clear) void cairn_host_value_clear(uint32_t field);
CAIRN_IMPORT_(list_count) int64_t cairn_host_list_count(uint32_t field);
CAIRN_IMPORT_(list_push) void cairn_host_list_push(uint32_t field, const void *entry, uint32_t size);
CAIRN_IMPORT_(list_set) int32_t cairn_host_list_set(uint32_t field, uint64_t index, const void *entry, uint32_t size);
CAIRN_IMPORT_(list_get) int32_t cairn_host_list_get(uint32_t field, uint64_t index, void *out, uint32_t capacity);
CAIRN_IMPORT_(list_drop) int64_t cairn_host_list_drop(uint32_t field, uint64_t count, uint32_t from_back);
CAIRN_IMPORT_(list_read)
int64_t cairn_host_list_read(uint32_t field, uint64_t skip, uint32_t count, uint32_t flags, void *out,
                             uint32_t capacity);
CAIRN_IMPORT_(map_count) int64_t cairn_host_map_count(uint32_t field);
CAIRN_IMPORT_(map_get)
int32_t cairn_host_map_get(uint32_t field, const void *key, uint32_t key_size, void *out, uint32_t capacity);
CAIRN_IMPORT_(map_set)
void cairn_host_map_set(uint32_t field, const void *key, uint32_t key_size, const void *value, uint32_t size);
CAIRN_IMPORT_(map_remove) int32_t cairn_host_map_remove(uint32_t field, const void *key, uint32_t key_size);
CAIRN_IMPORT_(map_read)
int64_t cairn_host_map_read(uint32_t field, uint64_t skip, uint32_t count, void *out, uint32_t capacity);
CAIRN_IMPORT_(ordered_count) int64_t cairn_host_ordered_count(uint32_t field);
CAIRN_IMPORT_(ordered_get)
int32_t cairn_host_ordered_get(uint32_t field, const void *key, uint32_t key_size, void *out, uint32_t capacity);
CAIRN_IMPORT_(ordered_set)
void cairn_host_ordered_set(uint32_t field, const void *key, uint32_t key_size, const void *value, uint32_t size);
CAIRN_IMPORT_(ordered_remove) int32_t cairn_host_ordered_remove(uint32_t field, const void *key, uint32_t key_size);
CAIRN_IMPORT_(ordered_rank)
int64_t cairn_host_ordered_rank(uint32_t field, const void *key, uint32_t key_size, uint32_t with_it);
CAIRN_IMPORT_(ordered_read)
int64_t cairn_host_ordered_read(uint32_t field, const void *low, uint32_t low_size, const void *high,
                                uint32_t high_size, uint32_t flags, uint32_t count, void *out, uint32_t capacity);
CAIRN_IMPORT_(ordered_read_at)
int64_t cairn_host_ordered_read_at(uint32_t field, uint64_t place, uint32_t flags, uint32_t count, void *out,
                                   uint32_t capacity);
CAIRN_IMPORT_(call)
uint32_t cairn_host_call(const void *type, uint32_t type_size, const void *id, uint32_t id_size, const void *method,
                         uint32_t method_size, const void *args, uint32_t args_size);
CAIRN_IMPORT_(ready) int32_t cairn_host_ready(uint32_t call);
CAIRN_IMPORT_(call_result) int32_t cairn_host_call_result(uint32_t call, void *out, uint32_t capacity);
CAIRN_IMPORT_(wait) void cairn_host_wait(uint32_t call);

enum { CAIRN_READ_NEWEST_FIRST_ = 1, CAIRN_READ_BARE_ = 2, CAIRN_BATCH_MAX_ = 1024 };

#ifdef __cplusplus
#define CAIRN_C_      extern "C"
#define CAIRN_ASSERT_ static_assert
#else
#define CAIRN_C_
#define CAIRN_ASSERT_ _Static_assert
#endif

/* Functions that several sources of one module share. */
#define CAIRN_SHARED_ __attribute__((weak))

/* A line of the section cairn.types. */
#define CAIRN_LINE_(text) __asm__(".section .custom_section.cairn.types,\"\",@\n\t.ascii \"" text "\\n\"\n")

/* As many attributes as a method may have, and as many empty ones. */
#define CAIRN_NONE_                                                 "", "", "", "", "", "", "", "", "", "", "", ""
#define CAIRN_ATTRIBUTES_(...)                                      CAIRN_ATTRIBUTES__(__VA_ARGS__, "")
#define CAIRN_ATTRIBUTES__(a, b, c, d, e, f, g, h, i, j, k, l, ...) a b c d e f g h i j k l

/* Attributes are strings, and of a string only the size is a constant expression. */
#define CAIRN_HAS_ACCESS_(a, ...) (sizeof("" a) == sizeof(CAIRN_PUBLIC) || sizeof("" a) == sizeof(CAIRN_INTERNAL))

#define CAIRN_FIELD_(kind_type, type, name, kind, number) CAIRN_FIELD__(kind_type, type, name, kind, number)
#define CAIRN_FIELD__(kind_type, type, name, kind, number)       \
    CAIRN_LINE_("field " #type " " #number " " #name " " #kind); \
    __attribute__((unused)) static const kind_type type##_##name = {(number) + cairn_type_##type}

#include "cairn/guest_impl.h"
#include "cairn/guest_values.h"
#include "cairn/guest_calls.h"
#include "cairn/guest_ordered.h"
#include "cairn/guest_messages.h"
#include "cairn/guest_timers.h"
#include "cairn/guest_durable.h"

#ifdef __cplusplus
}
#endif

#endif
