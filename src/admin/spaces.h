/* spaces.h - which namespaces there are: making, listing and removing them (object/space.h).
 *
 * A namespace is a key of the system shard (docs/formats/state.md), and `default` is there without one.  Worker 0
 * decides; others see a namespace from the moment on at which its record may be acknowledged, and until that of its
 * removal may be: so no request sees one, or misses one, that a crash would take back.
 *
 *            create           the reply leaves           remove            the reply leaves
 *   ABSENT ---------> COMING ------------------> OPEN ---------> LEAVING ------------------> ABSENT
 *
 * Only one that has no modules, and thereby no objects, is removed at once.  With all that it has it is in two steps:
 *
 *            remove all           the reply leaves             (removals.h)
 *   OPEN ----------------> MARKED ------------------> GOING ----------------> LEAVING, as above
 *
 * Threads: worker 0's, but for the operations' submit and told.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_SPACES_H
#define CAIRN_ADMIN_SPACES_H

#include "object/dependency.h"
#include "object/operation.h"
#include "object/space.h"

enum {
    SPACES_MAX = 16384,       /* at a time */
    SPACES_EVER_MAX = 262144, /* names, from the node's start on: their structs stay */
};

struct admin_spaces {
    struct space **list;      /* those that have a record, and `default`; by name */
    uint32_t count, removing; /* removing: those with the mark */
    struct dependency record; /* the last one */
};

extern const struct operation space_create_operation, space_set_operation, space_remove_operation,
    space_remove_all_operation, spaces_operation;

/* A namespace, or the compartment of one, that the system shard has, or that has something in it; before there are
 * worker threads. */
struct space *spaces_load(struct cairn_node *node, struct cairn_bytes name);
/* With the value of its key; false: that is damaged. */
bool spaces_load_value(struct cairn_node *node, struct space *space, struct cairn_bytes value);
void spaces_close(struct cairn_node *node);

/* Whether a deploy may begin there. */
enum cairn_code spaces_check_deploy(const struct space *space, struct cairn_err *err);
/* One that is GOING; NULL: there is none. */
struct space *spaces_next_removed(struct cairn_worker *worker);
/* The record that removes it is made; and may be acknowledged, which any thread may tell. */
void spaces_leave(struct cairn_worker *worker, struct space *space, struct dependency record);
void spaces_tell_gone(struct cairn_node *node, struct space *space);

#endif
