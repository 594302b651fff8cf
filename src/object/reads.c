#include "object/reads.h"

#include "object/table.h"

/* Followed by the object's key. */
struct read {
    uint64_t generation, hash;
    struct dependency last;
    uint64_t key_size;
};

bool reads_add(struct cairn_buf *to, const struct object *object)
{
    struct read read = {object->generation, object->hash, object->last, object->key_size};

    if (to->size + sizeof read + read.key_size > READS_BYTES_MAX)
        return false;
    cairn_buf_add(to, &read, sizeof read);
    cairn_buf_add(to, object->key, object->key_size);
    return true;
}

bool reads_add_all(struct cairn_buf *to, struct cairn_bytes reads)
{
    if (to->size + reads.size > READS_BYTES_MAX)
        return false;
    cairn_buf_add(to, reads.data, reads.size);
    return true;
}

/* The next from *at on. */
static struct cairn_bytes next(struct cairn_bytes reads, size_t *at, struct read *ret_read)
{
    struct cairn_bytes key;

    memcpy(ret_read, reads.data + *at, sizeof *ret_read);
    key = cairn_bytes(reads.data + *at + sizeof *ret_read, ret_read->key_size);
    *at += sizeof *ret_read + key.size;
    return key;
}

bool reads_are_newest(const struct cairn_worker *worker, struct cairn_bytes reads)
{
    for (size_t at = 0; at < reads.size;) {
        struct read read;
        struct cairn_bytes key = next(reads, &at, &read);
        const struct object *object = object_find(worker, key, read.hash);

        if (!object || object->generation != read.generation || object->last.end != read.last.end ||
            object->last.shard != read.last.shard)
            return false;
    }
    return true;
}

void reads_join(struct cairn_bytes reads, struct dependency *depends)
{
    for (size_t at = 0; at < reads.size;) {
        struct read read;

        next(reads, &at, &read);
        dependency_join(depends, read.last);
    }
}
