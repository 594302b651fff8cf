#include "object/commit.h"

#include "object/directory.h"
#include "object/once.h"
#include "object/table.h"
#include "object/tap.h"
#include "object/type.h"
#include "object/worker.h"

/* --- the walk ------------------------------------------------------------------------------ */

void participants_undo(const struct participant *const *list, size_t count, struct commit *commit)
{
    while (count-- > 0)
        if (list[count]->undo && !(list[count]->concern & commit->spares))
            list[count]->undo(commit);
    overlay_truncate(commit->overlay, commit->own_writes);
}

enum cairn_code participants_prepare(const struct participant *const *list, size_t count, struct commit *commit,
                                     struct cairn_err *err)
{
    struct overlay *overlay = commit->overlay;

    commit->own_writes = overlay->count;
    if (overlay->code != CAIRN_OK) {
        *err = overlay->err;
        return overlay->code;
    }
    for (size_t i = 0; i < count; i++) {
        enum cairn_code code;

        if (list[i]->concern & commit->spares)
            continue;
        code = list[i]->prepare(commit, err);
        if (code == CAIRN_OK && overlay->code != CAIRN_OK) { /* what was to be changed could not be read */
            code = overlay->code;
            *err = overlay->err;
        }
        if (code != CAIRN_OK) {
            participants_undo(list, i + 1, commit);
            return code;
        }
    }
    return CAIRN_OK;
}

void participants_committed(const struct participant *const *list, size_t count, struct commit *commit)
{
    for (size_t i = 0; i < count; i++)
        if (list[i]->committed && !(list[i]->concern & commit->spares))
            list[i]->committed(commit);
}

/* --- the directory of ids ------------------------------------------------------------------ */

static enum cairn_code directory_prepare(struct commit *commit, struct cairn_err *err)
{
    struct object *object = commit->inv->object;

    (void)err;
    if (commit->exists && !commit->existed)
        directory_add(commit->overlay, object->type, object_id(object));
    if (commit->existed && !commit->exists)
        directory_remove(commit->overlay, object->type, object_id(object));
    return CAIRN_OK;
}

static void directory_committed(struct commit *commit)
{
    if (commit->exists != commit->existed)
        commit->inv->object->shard->directory = commit->record;
}

const struct participant directory_participant = {
    .concern = CONCERNS_OBJECT, .prepare = directory_prepare, .committed = directory_committed};

/* --- room ---------------------------------------------------------------------------------- */

size_t commit_note(const struct invocation *inv, uint8_t to[COMMIT_NOTE_BYTES_MAX])
{
    struct cairn_bytes id = object_id(inv->object);
    size_t n = 0;

    n += cairn_put_varint(to + n, inv->object->type);
    n += cairn_put_varint(to + n, inv->type->version);
    n += cairn_put_varint(to + n, inv->number);
    n += cairn_put_varint(to + n, inv->segment_number);
    memcpy(to + n, id.data, id.size);
    return n + id.size;
}

/* Claims room for a record of `bytes`, and for what is to be kept.  `held` is what the segment has claimed already,
 * when it waited before: as much as it needed then. */
static enum cairn_code claim(struct commit *commit, uint64_t bytes, struct claim held, struct cairn_err *err)
{
    struct invocation *inv = commit->inv;
    struct cairn_log *log = inv->object->shard->log;
    struct once *once = once_of(inv);
    struct claim need = {bytes + commit->keep_bytes, commit->keep_bytes ? 2 : 1};
    enum cairn_code code;

    if (held.bytes >= need.bytes && held.records >= need.records) {
        if (held.bytes > need.bytes || held.records > need.records)
            log->ops->release(log, held.bytes - need.bytes, held.records - need.records);
        return CAIRN_OK;
    }
    if (held.records)
        log->ops->release(log, held.bytes, held.records);
    code = log->ops->claim(log, need.bytes, need.records, err);
    if (code == CAIRN_OK)
        return CAIRN_OK;
    if (commit->over && once && bytes <= once->room) { /* the outcome has room of its own */
        if (once->room > bytes)
            log->ops->release(log, once->room - bytes, 0);
        once->room = 0;
        return CAIRN_OK;
    }
    inv->segment->need = need;
    return code;
}

/* --- the commit ---------------------------------------------------------------------------- */

static enum cairn_code append(struct commit *commit, struct claim held, struct cairn_err *err)
{
    struct invocation *inv = commit->inv;
    struct overlay *overlay = commit->overlay;
    uint8_t note_bytes[COMMIT_NOTE_BYTES_MAX];
    struct cairn_bytes note = cairn_bytes(note_bytes, commit_note(inv, note_bytes));
    enum cairn_code code;

    code = claim(commit, cairn_shard_record_bytes(note, overlay->writes, overlay->count), held, err);
    if (code != CAIRN_OK)
        return code;
    commit->record.shard = inv->object->shard->index;
    return cairn_shard_commit(inv->object->shard->shard, (uint64_t)invocation_now_ms(inv), note, overlay->writes,
                              overlay->count, &commit->record.end, err);
}

enum cairn_code segment_commit(struct invocation *inv, bool over, const struct participant *const *list, size_t count,
                               uint32_t spares, struct cairn_err *err)
{
    struct segment *segment = inv->segment;
    struct object *object = inv->object;
    struct cairn_log *log = object->shard->log;
    struct claim held = segment->need;
    struct commit commit;
    enum cairn_code code;

    dependency_join(&inv->depends, object->last);
    if (!segment->overlay.count && !segment->header_dirty && !segment->deleted && !inv->own && !inv->durable &&
        !segment->sends.size && segment->overlay.code == CAIRN_OK)
        return CAIRN_OK; /* as most that read: no participant has anything to add */
    if (__builtin_expect(object->shard->frozen, 0))
        return cairn_fail(err, CAIRN_EOVERLOAD, "a transaction is being committed");
    if (spares == CONCERNS_ALL) /* as of most that write */
        count = 0;
    commit = (struct commit){
        .inv = inv,
        .overlay = &segment->overlay,
        .over = over,
        .existed = object->header.incarnation != 0,
        .incarnation = object->header.incarnation,
        .exists = segment->header_dirty ? segment->header.incarnation != 0 : object->header.incarnation != 0,
        .before = object->shard->meta,
        .spares = spares,
    };
    if (held.records) { /* it was refused before: participants are asked once there is as much as was missing */
        code = log->ops->claim(log, held.bytes, held.records, err);
        if (code != CAIRN_OK)
            return code;
        segment->need = (struct claim){0};
    }
    code = participants_prepare(list, count, &commit, err);
    if (code != CAIRN_OK || commit.overlay->count == 0) {
        if (held.records)
            log->ops->release(log, held.bytes, held.records);
        return code;
    }
    code = append(&commit, held, err);
    if (code != CAIRN_OK) {
        participants_undo(list, count, &commit);
        return code;
    }
    stat_add(&inv->worker->counts.records, 1);
    inv->entries_written += commit.overlay->count;
    inv->written_bytes += commit.overlay->bytes;
    object->last = commit.record;
    dependency_on_record(&inv->depends, commit.record, (uint64_t)invocation_now_ms(inv));
    if (commit.own_writes || segment->header_dirty || segment->sends.size)
        inv->effects = CAIRN_EFFECTS_SOME;
    participants_committed(list, count, &commit);
    if (__builtin_expect(inv->type->tap != NULL, 0))
        tap_committed(&commit);
    return CAIRN_OK;
}
