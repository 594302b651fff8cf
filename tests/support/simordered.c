#include "support/simordered.h"

#include <stdio.h>
#include <stdlib.h>

static void name_map(int map, char to[16])
{
    snprintf(to, 16, "o%d", map);
}

/* In the order of the numbers; long enough for several levels of pages. */
static void name_key(int key, char to[48])
{
    snprintf(to, 48, "%03d-%.*s", key, 12 + key % 24, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
}

bool simordered_begin(struct simordered *model, struct cairn_random *random, struct simordered_call *own,
                      struct simcall *call)
{
    struct simordered_key *key;
    char map[16], name[48], value[16];
    bool set = cairn_random_below(random, 5) != 0;

    own->map = (int)cairn_random_below(random, SIMORDERED_MAPS);
    own->key = (int)cairn_random_below(random, SIMORDERED_KEYS);
    key = &model->keys[own->map][own->key];
    if (key->busy)
        return false;
    key->busy = true;
    own->value = set ? model->values++ : -1;
    name_map(own->map, map);
    name_key(own->key, name);
    snprintf(value, sizeof value, "%d", own->value);
    if (set)
        simcall_init(call, CAIRN_OP_INVOKE, "Sorted", map, "set", name, value, NULL);
    else
        simcall_init(call, CAIRN_OP_INVOKE, "Sorted", map, "remove", name, NULL);
    return true;
}

bool simordered_finish(struct simordered *model, const struct simordered_call *own, bool done, bool unknown,
                       int64_t value, char wrong[200])
{
    struct simordered_key *key = &model->keys[own->map][own->key];
    bool right = true;

    key->busy = false;
    if (unknown) {
        key->unknown = true;
        return true;
    }
    if (!done)
        return true;
    if (own->value < 0 && !key->unknown)
        right = value == key->there;
    if (!right)
        snprintf(wrong, 200, "removing key %d of o%d said %lld, and it was %sthere", own->key, own->map,
                 (long long)value, key->there ? "" : "not ");
    key->unknown = false;
    key->there = own->value >= 0;
    key->value = own->value;
    return right;
}

/* The entries of one map: [key, value, ..] in order. */
static bool check_entries(struct simordered_key *keys, struct cairn_bytes reply, uint64_t *ret_count, char wrong[200])
{
    struct cairn_reader r = cairn_reader(reply);
    uint64_t strings = cairn_value_read(&r).count, taken = 0;
    struct cairn_bytes got = cairn_value_read(&r).bytes;

    for (int k = 0; k < SIMORDERED_KEYS; k++) {
        struct simordered_key *key = &keys[k];
        char name[48], value[16];
        bool there;

        name_key(k, name);
        there = taken < strings && cairn_bytes_equal(got, cairn_str(name));
        if (!key->unknown && there != key->there) {
            snprintf(wrong, 200, "key %d is %sthere, but was %s", k, there ? "" : "not ",
                     key->there ? "set" : "removed");
            return false;
        }
        if (there) {
            got = cairn_value_read(&r).bytes;
            snprintf(value, sizeof value, "%d", key->value);
            if (!key->unknown && !cairn_bytes_equal(got, cairn_str(value))) {
                snprintf(wrong, 200, "key %d has %.*s instead of %s", k, (int)got.size, (const char *)got.data, value);
                return false;
            }
            snprintf(value, sizeof value, "%.*s", (int)got.size, (const char *)got.data);
            key->value = atoi(value);
            taken += 2;
            got = cairn_value_read(&r).bytes;
        }
        key->there = there;
        key->unknown = false;
    }
    *ret_count = taken / 2;
    if (taken == strings)
        return true;
    snprintf(wrong, 200, "%llu of %llu keys and values are in order", (unsigned long long)taken,
             (unsigned long long)strings);
    return false;
}

bool simordered_check(struct simordered *model, void (*ask)(void *context, struct simcall *call), void *context,
                      char wrong[200])
{
    static const char *const counts[] = {"count", "rank"};
    bool right = true;

    for (int m = 0; m < SIMORDERED_MAPS && right; m++) {
        struct simcall call;
        char map[16];
        uint64_t count = 0;

        name_map(m, map);
        simcall_init(&call, CAIRN_OP_INVOKE, "Sorted", map, "walk", "up", "1000", NULL);
        ask(context, &call);
        right = check_entries(model->keys[m], cairn_buf_bytes(&call.reply), &count, wrong);
        simcall_done(&call);
        for (int i = 0; i < 2 && right; i++) { /* of the header, and of the pages: below "z" are all */
            simcall_init(&call, CAIRN_OP_INVOKE, "Sorted", map, counts[i], "z", NULL);
            ask(context, &call);
            struct cairn_reader r = cairn_reader(cairn_buf_bytes(&call.reply));
            int64_t said = cairn_value_read(&r).integer;
            right = said == (int64_t)count;
            if (!right)
                snprintf(wrong, 200, "%s says %lld, and there are %llu", counts[i], (long long)said,
                         (unsigned long long)count);
            simcall_done(&call);
        }
        if (!right) {
            char what[160];
            snprintf(what, sizeof what, "%.150s", wrong);
            snprintf(wrong, 200, "ordered map o%d: %s", m, what);
        }
    }
    return right;
}
