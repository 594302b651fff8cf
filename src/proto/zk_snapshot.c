/* zk_snapshot.c - docs/formats/zk-files.md. */
#include "proto/zk_snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/zk_internal.h"

#define MAGIC_SNAPSHOT 0x5a4b534e /* ZKSN */
#define MAGIC_LOG      0x5a4b4c47 /* ZKLG */

enum { HEAD_BYTES = 16, VERSION = 2, ADLER_BASE = 65521, ADLER_RUN = 5552, TXN_HEAD_BYTES = 32, END_OF_TXN = 0x42 };

/* AT_HEAD -> AT_TXN ..
 *         -> AT_SESSION_COUNT -> [AT_SESSION ..] -> AT_ACL_COUNT -> [AT_ACL ..] -> AT_NODE .. -> AT_SEAL */
enum { AT_HEAD, AT_SESSION_COUNT, AT_SESSION, AT_ACL_COUNT, AT_ACL, AT_NODE, AT_SEAL, AT_TXN };

/* --- checksums --- */

static void adler_add(uint32_t *a, uint32_t *b, struct cairn_bytes bytes)
{
    const uint8_t *at = bytes.data;
    size_t left = bytes.size;

    while (left) {
        size_t run = left < ADLER_RUN ? left : ADLER_RUN; /* as many as cannot overflow */

        left -= run;
        while (run--) {
            *a += *at++;
            *b += *a;
        }
        *a %= ADLER_BASE;
        *b %= ADLER_BASE;
    }
}

uint32_t cairn_zk_adler32(struct cairn_bytes bytes)
{
    uint32_t a = 1, b = 0;

    adler_add(&a, &b, bytes);
    return b << 16 | a;
}

/* --- reading a window: `lacks` is that it ends too soon, `bad` that what is there cannot be --- */

struct window {
    const uint8_t *at, *end;
    bool lacks, bad;
};

static struct cairn_bytes take(struct window *w, size_t size)
{
    struct cairn_bytes taken = {0};

    if (w->lacks || w->bad)
        return taken;
    if ((size_t)(w->end - w->at) < size) {
        w->lacks = true;
        return taken;
    }
    taken = cairn_bytes(w->at, size);
    w->at += size;
    return taken;
}

static int32_t take_int(struct window *w)
{
    struct cairn_bytes bytes = take(w, 4);
    struct cairn_reader r = cairn_reader(bytes);

    return bytes.size ? cairn_zk_read_int(&r) : 0;
}

static int64_t take_long(struct window *w)
{
    struct cairn_bytes bytes = take(w, 8);
    struct cairn_reader r = cairn_reader(bytes);

    return bytes.size ? cairn_zk_read_long(&r) : 0;
}

/* A count or length; -1 is that of what is null. */
static int32_t take_size(struct window *w)
{
    int32_t size = take_int(w);

    w->bad |= size < -1 || size > CAIRN_ZK_ITEM_BYTES_MAX;
    return w->bad || w->lacks ? 0 : size;
}

/* An empty one has a data pointer, a null one none. */
static struct cairn_bytes take_bytes(struct window *w)
{
    int32_t size = take_size(w);

    return size < 0 ? (struct cairn_bytes){0} : take(w, (size_t)size);
}

/* --- the parts of a snapshot --- */

static void take_acls(struct window *w, struct cairn_zk_file_item *item)
{
    const uint8_t *begin;
    int32_t count;

    item->acl = take_long(w);
    begin = w->at;
    count = take_size(w);
    for (int32_t i = 0; i < count && !w->lacks && !w->bad; i++) {
        take_int(w);
        take_bytes(w);
        take_bytes(w);
    }
    item->acls = cairn_bytes(begin, (size_t)(w->at - begin));
}

static void take_node(struct window *w, struct cairn_zk_file_item *item)
{
    item->data = take_bytes(w);
    item->acl = take_long(w);
    item->czxid = take_long(w);
    item->mzxid = take_long(w);
    item->ctime = take_long(w);
    item->mtime = take_long(w);
    item->version = take_int(w);
    item->creates = take_int(w);
    item->aversion = take_int(w);
    item->owner = take_long(w);
    item->pzxid = take_long(w);
}

static bool is_slash(struct cairn_bytes path)
{
    return path.size == 1 && path.data[0] == '/';
}

/* --- items --- */

static enum cairn_zk_file_step bad(const struct cairn_zk_file *file, const char *what, struct cairn_err *err)
{
    cairn_fail(err, CAIRN_ECORRUPT, "at byte %" PRIu64 ": %s", file->position, what);
    return CAIRN_ZK_FILE_BAD;
}

/* What the window lacks may still come, unless an item would be larger than any may be. */
static enum cairn_zk_file_step cut(const struct cairn_zk_file *file, const struct window *w, size_t size,
                                   const char *what, struct cairn_err *err)
{
    if (w->bad)
        return bad(file, what, err);
    return size < CAIRN_ZK_ITEM_BYTES_MAX ? CAIRN_ZK_FILE_MORE : bad(file, "an item has more than 64 MiB", err);
}

static enum cairn_zk_file_step read_head(struct cairn_zk_file *file, struct window *w, size_t size,
                                         struct cairn_err *err)
{
    uint32_t magic = (uint32_t)take_int(w);
    int32_t version = take_int(w);

    take_long(w);
    if (w->lacks)
        return cut(file, w, size, "", err);
    if (magic != (file->kind == CAIRN_ZK_SNAPSHOT ? MAGIC_SNAPSHOT : MAGIC_LOG))
        return bad(file,
                   file->kind == CAIRN_ZK_SNAPSHOT
                       ? "this is no snapshot of ZooKeeper (one that is compressed has to be "
                         "decompressed first)"
                       : "this is no log of ZooKeeper",
                   err);
    if (version != VERSION) {
        cairn_fail(err, CAIRN_EVERSION, "version %d of the format, and only %d is known", version, VERSION);
        return CAIRN_ZK_FILE_BAD;
    }
    file->state = file->kind == CAIRN_ZK_SNAPSHOT ? AT_SESSION_COUNT : AT_TXN;
    return CAIRN_ZK_FILE_ITEM;
}

static enum cairn_zk_file_step read_seal(struct cairn_zk_file *file, struct window *w, size_t size,
                                         struct cairn_err *err)
{
    int64_t sum = take_long(w);
    struct cairn_bytes path = take_bytes(w);

    if (w->lacks || w->bad)
        return cut(file, w, size, "the end of the snapshot makes no sense", err);
    if (!is_slash(path) || sum != (int64_t)(file->adler_b << 16 | file->adler_a))
        return bad(file, "the checksum of all before it is another: the snapshot is damaged", err);
    return CAIRN_ZK_FILE_END; /* what may follow, a digest and the last zxid, says nothing that is needed */
}

static enum cairn_zk_file_step read_txn(struct cairn_zk_file *file, struct window *w, struct cairn_zk_file_item *item,
                                        size_t size, struct cairn_err *err)
{
    int64_t sum = take_long(w);
    struct cairn_bytes bytes = take_bytes(w), end = take(w, 1);
    struct window txn;

    if (!w->lacks && !w->bad && !bytes.size) /* room that was made ahead */
        return CAIRN_ZK_FILE_END;
    if (w->lacks || w->bad)
        return cut(file, w, size, "a transaction's length makes no sense", err);
    if (end.data[0] != END_OF_TXN) /* it was being written as the machine stopped */
        return CAIRN_ZK_FILE_END;
    if (sum != (int64_t)cairn_zk_adler32(bytes))
        return bad(file, "the checksum of a transaction is another: the log is damaged", err);
    txn = (struct window){bytes.data, bytes.data + bytes.size, false, false};
    item->session = take_long(&txn);
    take_int(&txn);
    item->zxid = take_long(&txn);
    item->time_ms = take_long(&txn);
    item->type = take_int(&txn);
    if (txn.lacks)
        return bad(file, "a transaction is too short", err);
    item->kind = CAIRN_ZK_ITEM_TXN;
    item->body = cairn_bytes(txn.at, (size_t)(txn.end - txn.at));
    return CAIRN_ZK_FILE_ITEM;
}

/* One part of a snapshot; *ret_item says whether it is an item for the caller. */
static enum cairn_zk_file_step read_part(struct cairn_zk_file *file, struct window *w, struct cairn_zk_file_item *item,
                                         bool *ret_item, size_t size, struct cairn_err *err)
{
    *ret_item = false;
    switch (file->state) {
    case AT_SESSION_COUNT:
    case AT_ACL_COUNT:
        file->left = take_int(w);
        if (!w->lacks && file->left < 0)
            return bad(file, "a count is negative", err);
        break;
    case AT_SESSION:
        item->kind = CAIRN_ZK_ITEM_SESSION;
        item->session = take_long(w);
        item->timeout_ms = take_int(w);
        *ret_item = true;
        break;
    case AT_ACL:
        item->kind = CAIRN_ZK_ITEM_ACL;
        take_acls(w, item);
        *ret_item = true;
        break;
    default:
        item->kind = CAIRN_ZK_ITEM_NODE;
        item->path = take_bytes(w);
        if (!w->lacks && !w->bad && is_slash(item->path)) { /* there are no more */
            file->state = AT_SEAL;
            return CAIRN_ZK_FILE_ITEM;
        }
        take_node(w, item);
        *ret_item = true;
        break;
    }
    if (w->lacks || w->bad)
        return cut(file, w, size, "a length makes no sense", err);
    if (file->state == AT_SESSION_COUNT || file->state == AT_ACL_COUNT)
        file->state += file->left ? 1 : 2;
    else if (file->state != AT_NODE && --file->left == 0)
        file->state++;
    return CAIRN_ZK_FILE_ITEM;
}

void cairn_zk_file_begin(struct cairn_zk_file *file, enum cairn_zk_file_kind kind)
{
    *file = (struct cairn_zk_file){.kind = kind, .adler_a = 1};
}

enum cairn_zk_file_step cairn_zk_file_next(struct cairn_zk_file *file, struct cairn_bytes window, size_t *ret_used,
                                           struct cairn_zk_file_item *ret_item, struct cairn_err *err)
{
    bool item = false;

    *ret_used = 0;
    while (!item) {
        struct cairn_bytes rest = cairn_bytes(window.data + *ret_used, window.size - *ret_used);
        struct window w = {rest.data, rest.data + rest.size, false, false};
        struct cairn_zk_file before = *file;
        enum cairn_zk_file_step step;

        if (!rest.size)
            return CAIRN_ZK_FILE_MORE;
        *ret_item = (struct cairn_zk_file_item){0};
        if (file->state == AT_HEAD) {
            step = read_head(file, &w, rest.size, err);
        } else if (file->state == AT_SEAL) {
            step = read_seal(file, &w, rest.size, err);
        } else if (file->state == AT_TXN) {
            item = true;
            step = read_txn(file, &w, ret_item, rest.size, err);
        } else {
            step = read_part(file, &w, ret_item, &item, rest.size, err);
        }
        if (step == CAIRN_ZK_FILE_MORE)
            *file = before;
        if (step != CAIRN_ZK_FILE_ITEM)
            return step;
        rest.size = (size_t)(w.at - rest.data);
        if (file->kind == CAIRN_ZK_SNAPSHOT)
            adler_add(&file->adler_a, &file->adler_b, rest);
        *ret_used += rest.size;
        file->position += rest.size;
    }
    return CAIRN_ZK_FILE_ITEM;
}

bool cairn_zk_file_name(const char *name, enum cairn_zk_file_kind kind, uint64_t *ret_zxid)
{
    const char *prefix = kind == CAIRN_ZK_SNAPSHOT ? "snapshot." : "log.", *digits = name + strlen(prefix);
    size_t count;

    if (strncmp(name, prefix, strlen(prefix)) != 0)
        return false;
    count = strspn(digits, "0123456789abcdef");
    return count >= 1 && count <= 16 && digits[count] == 0 && sscanf(digits, "%" SCNx64, ret_zxid) == 1;
}
