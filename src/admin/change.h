/* change.h - the catalog after a deploy, and what is to be recorded of it.
 *
 *   change_begin -> change_deploy, change_undeploy or change_remove_space, on a task -> change_done
 *
 * Threads: the one whose turn it is; no other has the catalog yet.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_CHANGE_H
#define CAIRN_ADMIN_CHANGE_H

#include "admin/catalog.h"

struct change {
    struct overlay overlay;    /* what is to be recorded, but for the module itself */
    struct catalog *base;      /* the one before it */
    struct catalog *catalog;   /* the one after it */
    struct module_entry *m;    /* deploy: of `catalog` */
    bool created;              /* deploy: it is not an earlier version that came back */
    uint32_t previous;         /* deploy: number of the version that was current; 0: none */
    struct type_entry **types; /* deploy: of the module in `catalog` */
    uint32_t type_count;
    struct type_entry **going; /* types of the module in `base` that are to go unless there are objects of them */
    uint32_t *numbers;         /* theirs, ascending */
    uint32_t going_count;
};

/* Takes a reference to `base`; the engine is the system shard's. */
void change_begin(struct change *change, struct catalog *base, struct cairn_view *engine);
/* The module's version becomes the current one.  `drop` names types, with commas between, that stay without methods if
 * the version does not declare them.  What clashes with the catalog before it is an error. */
enum cairn_code change_deploy(struct change *change, struct space *space, struct cairn_module *module,
                              struct cairn_bytes drop, struct cairn_err *err);
/* The module and its types go. */
void change_undeploy(struct change *change, struct space *space, struct cairn_bytes name);
/* The namespace goes, with all modules and types of it and of its compartment. */
void change_remove_space(struct change *change, struct space *space);
/* Copes with one that is all zeros. */
void change_done(struct change *change);

#endif
