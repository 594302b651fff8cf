#include "admin/events.h"

#include "object/invocation.h"
#include "object/worker.h"

static const struct {
    const char *kind, *from, *done, *failed;
} events[CAIRN_OP_COUNT] = {
    [CAIRN_OP_DEPLOY] = {"deploy", "modules", "a module was deployed", "a module was not deployed"},
    [CAIRN_OP_UNDEPLOY] = {"undeploy", "modules", "a module was deleted", "a module was not deleted"},
    [CAIRN_OP_SNAPSHOT] = {"version", "versions", "a version of the node was taken",
                           "a version of the node was not taken"},
    [CAIRN_OP_FORGET] = {"forget", "versions", "a version of the node was deleted",
                         "a version of the node was not deleted"},
    [CAIRN_OP_SPACE_CREATE] = {"create", "namespaces", "a namespace was created", "a namespace was not created"},
    [CAIRN_OP_SPACE_SET] = {"limits", "namespaces", "a namespace has other limits", "a namespace keeps its limits"},
    [CAIRN_OP_SPACE_REMOVE] = {"remove", "namespaces", "a namespace was removed", "a namespace was not removed"},
    [CAIRN_OP_SPACE_REMOVE_ALL] = {"removing", "namespaces", "a namespace is being removed, with all that it has",
                                   "a namespace was not removed"},
    [CAIRN_OP_RESTORE] = {"restore", "versions", "an object was restored", "an object was not restored"},
};

/* Bytes of a client, as text of a bounded size. */
static const char *text_of(struct cairn_bytes bytes, char to[CAIRN_ID_BYTES_MAX + 1])
{
    size_t size = bytes.size < CAIRN_ID_BYTES_MAX ? bytes.size : CAIRN_ID_BYTES_MAX;

    if (size)
        memcpy(to, bytes.data, size);
    to[size] = 0;
    return to;
}

void events_reply(struct cairn_worker *worker, const struct invocation *inv)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&inv->result));
    const struct cairn_request *request = inv->request;
    char texts[3][CAIRN_ID_BYTES_MAX + 1];
    struct cairn_value value = cairn_value_read(&r);
    struct cairn_event event = {
        .level = CAIRN_LEVEL_INFO, .from = events[request->op].from, .kind = events[request->op].kind};
    struct cairn_event_field *field = event.fields;
    bool failed = value.kind == CAIRN_VALUE_ERROR;

    event.text = failed ? events[request->op].failed : events[request->op].done;
    if (request->op == CAIRN_OP_DEPLOY && !failed) {
        *field++ = (struct cairn_event_field){.key = "module", .text = text_of(cairn_value_read(&r).bytes, texts[0])};
        *field++ = (struct cairn_event_field){.key = "version", .number = (uint64_t)cairn_value_read(&r).integer};
        *field++ = (struct cairn_event_field){.key = "hash", .text = text_of(cairn_value_read(&r).bytes, texts[1])};
    } else if (request->op >= CAIRN_OP_SPACE_CREATE && request->op <= CAIRN_OP_SPACE_REMOVE_ALL) {
        *field++ = (struct cairn_event_field){.key = "namespace", .text = text_of(request->name, texts[0])};
    } else if (request->name.size) {
        *field++ = (struct cairn_event_field){.key = "module", .text = text_of(request->name, texts[0])};
    } else if (request->op == CAIRN_OP_RESTORE) {
        *field++ = (struct cairn_event_field){.key = "type", .text = text_of(request->type, texts[0])};
        *field++ = (struct cairn_event_field){.key = "id", .text = text_of(request->id, texts[1])};
    }
    if (inv->space != worker->node->spaces.first)
        *field++ = (struct cairn_event_field){.key = "namespace", .text = (const char *)inv->space->name.data};
    if (request->op == CAIRN_OP_SNAPSHOT && !failed)
        *field++ = (struct cairn_event_field){.key = "version", .number = (uint64_t)value.integer};
    else if (request->number)
        *field++ = (struct cairn_event_field){.key = "version", .number = request->number};
    if (failed) {
        event.level = CAIRN_LEVEL_WARNING;
        *field++ = (struct cairn_event_field){.key = "error", .text = text_of(value.bytes, texts[2])};
    }
    cairn_tell(worker->node->options.events, &event);
}
