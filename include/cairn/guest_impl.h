/* guest_impl.h - the inside of guest.h, which includes it; nothing here is for function authors. */
#ifndef CAIRN_GUEST_IMPL_H
#define CAIRN_GUEST_IMPL_H

#include "cairn/guest_libc.h"

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wmissing-prototypes"

CAIRN_SHARED_ bool cairn_parse_int(struct cairn_bytes text, int64_t *ret_integer)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    uint32_t i = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+');
    uint64_t limit = (uint64_t)INT64_MAX + negative, v = 0;

    if (i == text.size)
        return false;
    for (; i < text.size; i++) {
        uint32_t digit = (uint32_t)text.data[i] - '0';

        if (digit > 9 || v > (limit - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *ret_integer = (int64_t)(negative ? 0 - v : v);
    return true;
}

/* The heap starts behind data and stack and grows upwards; the linker says where. */
extern uint8_t __heap_base;
CAIRN_SHARED_ uint8_t *cairn_heap_ = &__heap_base;

/* Both ends are multiples of 8: what fits still fits when its size is rounded up. */
static inline uint32_t cairn_heap_room_(void)
{
    return (uint32_t)__builtin_wasm_memory_size(0) * 65536 - (uint32_t)(uintptr_t)cairn_heap_;
}

/* Makes room for `size` bytes at the heap's top. */
CAIRN_SHARED_ void cairn_heap_grow_(uint32_t size)
{
    uint32_t room = cairn_heap_room_();

    if (size > room &&
        (size - room > 0x7fff0000 || __builtin_wasm_memory_grow(0, (size - room + 65535) / 65536) == (size_t)-1))
        cairn_host_out_of_memory(size);
}

static inline void *cairn_heap_take_(uint32_t size)
{
    uint8_t *at = cairn_heap_;

    cairn_heap_ = at + ((size + 7) & ~7u);
    return at;
}

CAIRN_SHARED_ void *cairn_alloc(uint32_t size)
{
    if (size > 0x7fff0000)
        cairn_host_out_of_memory(size);
    if (size > cairn_heap_room_())
        cairn_heap_grow_(size);
    return cairn_heap_take_(size);
}

static inline void *cairn_heap_mark(void)
{
    return cairn_heap_;
}

static inline void cairn_heap_release(void *mark)
{
    cairn_heap_ = (uint8_t *)mark;
}

/* Byte strings come to the heap's top: once when there is room, twice when it must grow first. */
#define CAIRN_FETCH_(ret_bytes, call)                                               \
    int32_t size_ = (call);                                                         \
    if (size_ < 0)                                                                  \
        return false;                                                               \
    if ((uint32_t)size_ > cairn_heap_room_()) {                                     \
        cairn_heap_grow_((uint32_t)size_);                                          \
        size_ = (call);                                                             \
    }                                                                               \
    *(ret_bytes) = cairn_bytes(cairn_heap_take_((uint32_t)size_), (uint32_t)size_); \
    return true

CAIRN_SHARED_ bool cairn_who_(uint32_t which, struct cairn_bytes *ret_who)
{
    CAIRN_FETCH_(ret_who, cairn_host_who(which, cairn_heap_, cairn_heap_room_()));
}

static inline struct cairn_bytes cairn_self_type(void)
{
    struct cairn_bytes who = {0, 0};

    cairn_who_(0, &who);
    return who;
}

static inline struct cairn_bytes cairn_self_id(void)
{
    struct cairn_bytes who = {0, 0};

    cairn_who_(1, &who);
    return who;
}

static inline bool cairn_caller(struct cairn_bytes *ret_type, struct cairn_bytes *ret_id)
{
    return cairn_who_(2, ret_type) && cairn_who_(3, ret_id);
}

static inline bool cairn_request_key(struct cairn_bytes *ret_key)
{
    return cairn_who_(4, ret_key);
}

/* --- results, errors, text --- */

static inline void cairn_result_packed(struct cairn_bytes value)
{
    cairn_host_result(value.data, value.size);
}

CAIRN_SHARED_ void cairn_result_nil(void)
{
    uint8_t nil = CAIRN_NIL;

    cairn_host_result(&nil, 1);
}

CAIRN_SHARED_ void cairn_result_int(int64_t integer)
{
    uint8_t value[9];

    value[0] = CAIRN_INT;
    ((struct cairn_word_ *)(value + 1))->v = (uint64_t)integer;
    cairn_host_result(value, sizeof value);
}

CAIRN_SHARED_ void cairn_result_bytes(struct cairn_bytes bytes)
{
    struct cairn_pack pack = {0, 0, 0};

    cairn_pack_bytes(&pack, bytes);
    cairn_result_packed(cairn_packed(&pack));
}

static inline void cairn_result_str(const char *text)
{
    cairn_result_bytes(cairn_str(text));
}

static inline void cairn_fail(const char *code, const char *message)
{
    cairn_host_fail(code, (uint32_t)__builtin_strlen(code), message, (uint32_t)__builtin_strlen(message));
}

__attribute__((noreturn)) static inline void cairn_exit(void)
{
    cairn_args_end_();
    cairn_host_exit();
}

static inline int64_t cairn_now(void)
{
    return cairn_host_now();
}

static inline void cairn_random_fill(void *out, uint32_t size)
{
    cairn_host_random(out, size);
}

static inline uint64_t cairn_random(void)
{
    uint64_t v;

    cairn_host_random(&v, sizeof v);
    return v;
}

static inline void cairn_delete_self(void)
{
    cairn_host_delete_self();
}

static inline void cairn_undo(void)
{
    cairn_host_undo();
}

/* Writes `v` so that it ends at `end`; returns where it starts. */
CAIRN_SHARED_ uint8_t *cairn_digits_(uint64_t v, uint32_t base, uint8_t *end)
{
    do
        *--end = (uint8_t) "0123456789abcdef"[v % base];
    while ((v /= base) > 0);
    return end;
}

static inline void cairn_text_add_(struct cairn_bytes part, uint8_t *to, uint32_t *used, uint32_t capacity)
{
    uint32_t n = part.size < capacity - *used ? part.size : capacity - *used;

    memcpy(to + *used, part.data, n);
    *used += n;
}

/* Formats into `to`, at most `capacity` bytes, and returns how many. */
CAIRN_SHARED_ uint32_t cairn_format_(uint8_t *to, uint32_t capacity, const char *format, va_list args)
{
    uint32_t used = 0;

    for (const char *at = format; *at; at++) {
        uint8_t digits[24], *end = digits + sizeof digits, *start = end;
        struct cairn_bytes part = cairn_bytes(at, 1);
        bool wide;

        if (*at == '%') {
            at++;
            wide = at[0] == 'l' && at[1] == 'l';
            at += wide ? 2 : 0;
            if (*at == 'd') {
                int64_t v = wide ? va_arg(args, int64_t) : va_arg(args, int32_t);

                start = cairn_digits_(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, end);
                if (v < 0)
                    *--start = '-';
                part = cairn_bytes(start, (uint32_t)(end - start));
            } else if (*at == 'u' || *at == 'x') {
                start =
                    cairn_digits_(wide ? va_arg(args, uint64_t) : va_arg(args, uint32_t), *at == 'x' ? 16 : 10, end);
                part = cairn_bytes(start, (uint32_t)(end - start));
            } else if (*at == 's') {
                part = cairn_str(va_arg(args, const char *));
            } else if (*at == 'b') {
                part = va_arg(args, struct cairn_bytes);
            } else if (*at == 0) {
                break;
            } else {
                part = cairn_bytes(at, 1);
            }
        }
        cairn_text_add_(part, to, &used, capacity);
    }
    return used;
}

CAIRN_SHARED_ const char *cairn_text(const char *format, ...)
{
    enum { CAPACITY = 1024 };
    uint8_t *text = (uint8_t *)cairn_alloc(CAPACITY);
    uint32_t used;
    va_list args;

    va_start(args, format);
    used = cairn_format_(text, CAPACITY - 1, format, args);
    va_end(args);
    text[used] = 0;
    cairn_heap_ = text + ((used + 8) & ~7u);
    return (const char *)text;
}

CAIRN_SHARED_ void cairn_log(uint32_t level, const char *format, ...)
{
    uint8_t line[512];
    uint32_t used;
    va_list args;

    va_start(args, format);
    used = cairn_format_(line, sizeof line, format, args);
    va_end(args);
    cairn_host_log(level, line, used);
}

/* --- arguments --- */

struct cairn_arguments_ {
    struct cairn_bytes packed;
    uint32_t read_bytes, read_count; /* up to the last argument that was looked at */
    uint32_t next_bytes, next_count; /* behind the one that was found last: in order they are found at once */
    bool fetched;
};
CAIRN_SHARED_ struct cairn_arguments_ cairn_arguments_;

CAIRN_SHARED_ bool cairn_fetch_args_(struct cairn_bytes *ret_args)
{
    CAIRN_FETCH_(ret_args, cairn_host_args(cairn_heap_, cairn_heap_room_()));
}

/* Argument i; false if there are not so many. */
CAIRN_SHARED_ bool cairn_find_arg_(uint32_t i, struct cairn_bytes *ret_arg)
{
    uint32_t at = 0, size, number = i;

    if (!cairn_arguments_.fetched)
        cairn_arguments_.fetched = cairn_fetch_args_(&cairn_arguments_.packed);
    if (i >= cairn_arguments_.next_count) {
        at = cairn_arguments_.next_bytes;
        i -= cairn_arguments_.next_count;
    }
    for (; at < cairn_arguments_.packed.size; at += size, i--) {
        const uint8_t *head = cairn_arguments_.packed.data + at;

        size = head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
        at += 4;
        if (i == 0) {
            cairn_arguments_.next_count = number + 1;
            cairn_arguments_.next_bytes = at + size;
            if (cairn_arguments_.read_count <= number) {
                cairn_arguments_.read_count = number + 1;
                cairn_arguments_.read_bytes = at + size;
            }
            *ret_arg = cairn_bytes(head + 4, size);
            return true;
        }
    }
    return false;
}

static inline void cairn_args_end_(void)
{
    if (cairn_arguments_.read_bytes < cairn_arguments_.packed.size)
        cairn_host_args_read(cairn_arguments_.read_count);
}

CAIRN_SHARED_ uint32_t cairn_arg_count(void)
{
    struct cairn_bytes arg;
    uint32_t count = 0;

    while (cairn_find_arg_(count, &arg))
        count++;
    return count;
}

CAIRN_SHARED_ struct cairn_bytes cairn_arg(uint32_t i)
{
    struct cairn_bytes arg;

    if (cairn_find_arg_(i, &arg))
        return arg;
    cairn_fail("bad_argument", cairn_text("argument %u is missing", i + 1));
    cairn_exit();
}

CAIRN_SHARED_ int64_t cairn_arg_int(uint32_t i)
{
    int64_t integer;

    if (cairn_parse_int(cairn_arg(i), &integer))
        return integer;
    cairn_fail("bad_argument", cairn_text("argument %u must be an integer", i + 1));
    cairn_exit();
}

CAIRN_SHARED_ int64_t cairn_arg_int_or(uint32_t i, int64_t otherwise)
{
    struct cairn_bytes arg;

    return cairn_find_arg_(i, &arg) ? cairn_arg_int(i) : otherwise;
}

/* --- fields --- */

CAIRN_SHARED_ bool cairn_get(struct cairn_value_field field, struct cairn_bytes *ret_value)
{
    CAIRN_FETCH_(ret_value, cairn_host_value_get(field.number, cairn_heap_, cairn_heap_room_()));
}

static inline void cairn_set(struct cairn_value_field field, struct cairn_bytes value)
{
    cairn_host_value_set(field.number, value.data, value.size);
}

static inline void cairn_clear(struct cairn_value_field field)
{
    cairn_host_value_clear(field.number);
}

/* An integer as an encoded value. */
struct cairn_int_ {
    uint8_t bytes[9];
};

static inline struct cairn_int_ cairn_int_(int64_t integer)
{
    struct cairn_int_ value;

    value.bytes[0] = CAIRN_INT;
    ((struct cairn_word_ *)(value.bytes + 1))->v = (uint64_t)integer;
    return value;
}

/* `size` is what the host said that the value has. */
static inline int64_t cairn_int_of_(const struct cairn_int_ *value, int64_t size, int64_t otherwise)
{
    if (size != sizeof value->bytes || value->bytes[0] != CAIRN_INT)
        return otherwise;
    return (int64_t)((const struct cairn_word_ *)(value->bytes + 1))->v;
}

CAIRN_SHARED_ int64_t cairn_get_int(struct cairn_value_field field, int64_t otherwise)
{
    struct cairn_int_ value;

    return cairn_int_of_(&value, cairn_host_value_get(field.number, value.bytes, sizeof value.bytes), otherwise);
}

CAIRN_SHARED_ void cairn_set_int(struct cairn_value_field field, int64_t integer)
{
    struct cairn_int_ value = cairn_int_(integer);

    cairn_host_value_set(field.number, value.bytes, sizeof value.bytes);
}

static inline uint64_t cairn_list_count(struct cairn_list_field field)
{
    return (uint64_t)cairn_host_list_count(field.number);
}

static inline void cairn_list_push(struct cairn_list_field field, struct cairn_bytes entry)
{
    cairn_host_list_push(field.number, entry.data, entry.size);
}

CAIRN_SHARED_ bool cairn_list_get(struct cairn_list_field field, uint64_t index, struct cairn_bytes *ret_entry)
{
    CAIRN_FETCH_(ret_entry, cairn_host_list_get(field.number, index, cairn_heap_, cairn_heap_room_()));
}

static inline bool cairn_list_set(struct cairn_list_field field, uint64_t index, struct cairn_bytes entry)
{
    return cairn_host_list_set(field.number, index, entry.data, entry.size) != 0;
}

CAIRN_SHARED_ void cairn_list_push_int(struct cairn_list_field field, int64_t integer)
{
    struct cairn_int_ value = cairn_int_(integer);

    cairn_host_list_push(field.number, value.bytes, sizeof value.bytes);
}

CAIRN_SHARED_ int64_t cairn_list_get_int(struct cairn_list_field field, uint64_t index, int64_t otherwise)
{
    struct cairn_int_ value;

    return cairn_int_of_(&value, cairn_host_list_get(field.number, index, value.bytes, sizeof value.bytes), otherwise);
}

CAIRN_SHARED_ bool cairn_list_set_int(struct cairn_list_field field, uint64_t index, int64_t integer)
{
    struct cairn_int_ value = cairn_int_(integer);

    return cairn_host_list_set(field.number, index, value.bytes, sizeof value.bytes) != 0;
}

static inline uint64_t cairn_list_drop_oldest(struct cairn_list_field field, uint64_t count)
{
    return (uint64_t)cairn_host_list_drop(field.number, count, 0);
}

static inline uint64_t cairn_list_drop_newest(struct cairn_list_field field, uint64_t count)
{
    return (uint64_t)cairn_host_list_drop(field.number, count, 1);
}

static inline struct cairn_list_iter cairn_list_newest(struct cairn_list_field field, uint64_t skip, uint64_t count)
{
    struct cairn_list_iter iter = {{0, 0}, field.number, CAIRN_READ_NEWEST_FIRST_, skip, count, 0, 0};
    return iter;
}

static inline struct cairn_list_iter cairn_list_oldest(struct cairn_list_field field, uint64_t skip, uint64_t count)
{
    struct cairn_list_iter iter = {{0, 0}, field.number, 0, skip, count, 0, 0};
    return iter;
}

/* The next string of a batch. */
static inline struct cairn_bytes cairn_batch_next_(const uint8_t **at)
{
    const uint8_t *head = *at;
    uint32_t size = head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;

    *at = head + 4 + size;
    return cairn_bytes(head + 4, size);
}

/* Takes a batch that lies at the heap's top; returns its number of entries, 0 at the end.  When not even one
 * fits, there is room for it afterwards: `again` asks for another try. */
static inline uint32_t cairn_batch_take_(int64_t read, bool *again)
{
    uint32_t entries = (uint32_t)((uint64_t)read >> 32), bytes = (uint32_t)read;

    *again = entries == 0 && bytes > 0;
    if (*again)
        cairn_heap_grow_(bytes);
    else
        cairn_heap_take_(bytes);
    return entries;
}

CAIRN_SHARED_ bool cairn_list_next(struct cairn_list_iter *iter)
{
    if (iter->batch_left == 0) {
        uint32_t want = iter->left < CAIRN_BATCH_MAX_ ? (uint32_t)iter->left : CAIRN_BATCH_MAX_;
        bool again = want > 0;

        while (again) {
            iter->batch = cairn_heap_;
            iter->batch_left = cairn_batch_take_(
                cairn_host_list_read(iter->field, iter->at, want, iter->flags, cairn_heap_, cairn_heap_room_()),
                &again);
        }
        iter->at += iter->batch_left;
        iter->left -= iter->batch_left;
        if (iter->batch_left == 0)
            return false;
    }
    iter->batch_left--;
    iter->entry = cairn_batch_next_(&iter->batch);
    return true;
}

CAIRN_SHARED_ void cairn_result_newest(struct cairn_list_field field, uint64_t skip, uint32_t count)
{
    enum { HEAD = 8 }; /* room for the list's own head before its members */
    uint32_t want = count < CAIRN_BATCH_MAX_ ? count : CAIRN_BATCH_MAX_, entries, bytes;
    uint8_t *members = (uint8_t *)cairn_alloc(HEAD) + HEAD, *head = members;

    for (;;) {
        uint32_t room = cairn_heap_room_();
        int64_t read =
            cairn_host_list_read(field.number, skip, want, CAIRN_READ_NEWEST_FIRST_ | CAIRN_READ_BARE_, members, room);

        entries = (uint32_t)((uint64_t)read >> 32);
        bytes = (uint32_t)read;
        if (entries == want || skip + entries >= cairn_list_count(field))
            break;
        cairn_heap_grow_(room + (entries ? 65536 : bytes)); /* all of it lies in one piece, so it is read again */
    }
    if (entries >= 128) /* a varint, written backwards */
        *--head = (uint8_t)(entries >> 7);
    *--head = (uint8_t)(entries >= 128 ? (entries & 127) | 128 : entries);
    *--head = CAIRN_LIST_OF;
    cairn_host_result(head, (uint32_t)(members - head) + (entries ? bytes : 0));
}

static inline uint64_t cairn_map_count(struct cairn_map_field field)
{
    return (uint64_t)cairn_host_map_count(field.number);
}

CAIRN_SHARED_ bool cairn_map_get(struct cairn_map_field field, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    CAIRN_FETCH_(ret_value, cairn_host_map_get(field.number, key.data, key.size, cairn_heap_, cairn_heap_room_()));
}

static inline bool cairn_map_has(struct cairn_map_field field, struct cairn_bytes key)
{
    return cairn_host_map_get(field.number, key.data, key.size, 0, 0) >= 0;
}

static inline void cairn_map_set(struct cairn_map_field field, struct cairn_bytes key, struct cairn_bytes value)
{
    cairn_host_map_set(field.number, key.data, key.size, value.data, value.size);
}

CAIRN_SHARED_ int64_t cairn_map_get_int(struct cairn_map_field field, struct cairn_bytes key, int64_t otherwise)
{
    struct cairn_int_ value;

    return cairn_int_of_(&value, cairn_host_map_get(field.number, key.data, key.size, value.bytes, sizeof value.bytes),
                         otherwise);
}

CAIRN_SHARED_ void cairn_map_set_int(struct cairn_map_field field, struct cairn_bytes key, int64_t integer)
{
    struct cairn_int_ value = cairn_int_(integer);

    cairn_host_map_set(field.number, key.data, key.size, value.bytes, sizeof value.bytes);
}

static inline bool cairn_map_remove(struct cairn_map_field field, struct cairn_bytes key)
{
    return cairn_host_map_remove(field.number, key.data, key.size) != 0;
}

static inline struct cairn_map_iter cairn_map_entries(struct cairn_map_field field, uint64_t skip, uint64_t count)
{
    struct cairn_map_iter iter = {{0, 0}, {0, 0}, field.number, skip, count, 0, 0};
    return iter;
}

CAIRN_SHARED_ bool cairn_map_next(struct cairn_map_iter *iter)
{
    if (iter->batch_left == 0) {
        uint32_t want = iter->left < CAIRN_BATCH_MAX_ ? (uint32_t)iter->left : CAIRN_BATCH_MAX_;
        bool again = want > 0;

        while (again) {
            iter->batch = cairn_heap_;
            iter->batch_left = cairn_batch_take_(
                cairn_host_map_read(iter->field, iter->at, want, cairn_heap_, cairn_heap_room_()), &again);
        }
        iter->at += iter->batch_left;
        iter->left -= iter->batch_left;
        if (iter->batch_left == 0)
            return false;
    }
    iter->batch_left--;
    iter->key = cairn_batch_next_(&iter->batch);
    iter->value = cairn_batch_next_(&iter->batch);
    return true;
}

#pragma clang diagnostic pop

#endif
