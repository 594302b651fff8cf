#include "admin/admin.h"

#include <stdlib.h>

#include "admin/admin_internal.h"
#include "admin/catalog.h"
#include "admin/gather.h"
#include "admin/invocations.h"
#include "admin/letters.h"
#include "admin/modules.h"
#include "admin/show.h"
#include "admin/timers.h"
#include "object/send.h"
#include "object/settle.h"

static const struct operation *const operations[CAIRN_OP_COUNT] = {
    [CAIRN_OP_LIST] = &list_operation,
    [CAIRN_OP_SHOW] = &show_operation,
    [CAIRN_OP_DELETE] = &delete_operation,
    [CAIRN_OP_DEPLOY] = &deploy_operation,
    [CAIRN_OP_UNDEPLOY] = &undeploy_operation,
    [CAIRN_OP_MODULES] = &modules_operation,
    [CAIRN_OP_TYPES] = &types_operation,
    [CAIRN_OP_LOGS] = &logs_operation,
    [CAIRN_OP_SNAPSHOT] = &snapshot_operation,
    [CAIRN_OP_VERSIONS] = &versions_operation,
    [CAIRN_OP_FORGET] = &forget_operation,
    [CAIRN_OP_RESTORE] = &restore_operation,
    [CAIRN_OP_ROLLBACK] = &rollback_operation,
    [CAIRN_OP_SPACE_CREATE] = &space_create_operation,
    [CAIRN_OP_SPACE_SET] = &space_set_operation,
    [CAIRN_OP_SPACE_REMOVE] = &space_remove_operation,
    [CAIRN_OP_SPACE_REMOVE_ALL] = &space_remove_all_operation,
    [CAIRN_OP_SEND] = &send_operation,
    [CAIRN_OP_MESSAGES] = &messages_operation,
    [CAIRN_OP_MESSAGE] = &message_operation,
    [CAIRN_OP_MESSAGE_RETRY] = &message_retry_operation,
    [CAIRN_OP_MESSAGE_DROP] = &message_drop_operation,
    [CAIRN_OP_SPACES] = &spaces_operation,
    [CAIRN_OP_TRACES] = &traces_operation,
    [CAIRN_OP_TIMERS] = &timers_operation,
    [CAIRN_OP_INVOCATIONS] = &invocations_operation,
    [CAIRN_OP_INVOCATION] = &invocation_operation,
    [CAIRN_OP_JOURNAL] = &journal_operation,
    [CAIRN_OP_CANCEL] = &cancel_operation,
    [CAIRN_OP_SETTLE] = &settle_operation,
};

static const struct housekeeper *const housekeepers[] = {&snapshots_housekeeper, &restores_housekeeper,
                                                         &removals_housekeeper};

static enum cairn_code admin_open(struct cairn_node *node, void *context, struct cairn_err *err)
{
    const struct cairn_admin_options *options = context;
    uint32_t workers = node->options.workers;
    struct admin *admin = cairn_alloc_zeroed(1, sizeof *admin + workers * sizeof admin->workers[0]);

    admin->options = *options;
    admin->restoring = cairn_alloc_zeroed(node->shard_count + 1, sizeof *admin->restoring);
    for (uint32_t i = 0; i < workers; i++)
        cairn_list_init(&admin->workers[i].pasts.waiting);
    node->admin = admin;
    spaces_load(node, cairn_str(SPACE_DEFAULT));
    return modules_open(node, err);
}

static void admin_close(struct cairn_node *node)
{
    struct admin *admin = node->admin;

    if (!admin)
        return;
    deploys_drop(&node->workers[0]);
    snapshots_drop(&node->workers[0]);
    for (uint32_t i = 0; i < node->options.workers; i++) {
        pasts_drop(&node->workers[i]);
        catalog_unref(admin->workers[i].catalog);
    }
    removals_close(node);
    spaces_close(node);
    free(admin->restoring);
    free(admin);
    node->admin = NULL;
}

enum cairn_code cairn_admin_open(const struct cairn_node_options *node, const struct cairn_admin_options *options,
                                 struct cairn_node **ret_node, struct cairn_err *err)
{
    const struct node_hooks own = {
        .operations = operations,
        .housekeepers = housekeepers,
        .housekeeper_count = sizeof housekeepers / sizeof *housekeepers,
        .open = admin_open,
        .type_version = modules_type_version,
        .close = admin_close,
        .context = (void *)(uintptr_t)options,
    };

    const struct node_hooks **hooks = cairn_alloc((1 + options->room_count) * sizeof *hooks);
    enum cairn_code code;

    hooks[0] = &own;
    for (uint32_t i = 0; i < options->room_count; i++)
        hooks[1 + i] = options->rooms[i];
    code = cairn_node_open(node, hooks, 1 + options->room_count, ret_node, err);
    free(hooks);
    return code;
}
