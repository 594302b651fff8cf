/* Pages that lie in a namespace. */
#include "object/space.h"
#include "server/http_call.h"

static struct space *find(const struct cairn_http_call *call, struct cairn_bytes name)
{
    const struct cairn_backend *backend = call->http->session.front->backend;

    return backend->space ? backend->space(backend->context, name) : NULL;
}

/* Its connection comes along. */
static bool enter(const struct cairn_http_call *call, struct space *space)
{
    uint64_t most;

    if (cairn_session_enter(&call->http->session, space, &most))
        return true;
    cairn_http_refuse(call, 429, cairn_code_name(CAIRN_EQUOTA),
                      "the namespace %.*s has the %llu connections that it may have (connections); close one of them "
                      "and try again",
                      (int)space->name.size, (const char *)space->name.data, (unsigned long long)most);
    return false;
}

bool cairn_http_enter_space(struct cairn_http_call *call, struct cairn_http_request *inside)
{
    const struct cairn_http_request *request = call->request;
    struct cairn_err err;

    if (request->segment_count < 3 || !cairn_http_is(request->segments[1], "ns"))
        return enter(call, call->http->session.front->space);
    call->space = find(call, request->segments[2]);
    if (!call->space) {
        space_missing(request->segments[2], &err);
        cairn_http_refuse(call, 404, cairn_code_name(CAIRN_ENOTFOUND), "%s", err.text);
        return false;
    }
    if (!enter(call, call->space))
        return false;
    *inside = *request;
    inside->segment_count -= 2;
    for (uint32_t i = 1; i < inside->segment_count; i++)
        inside->segments[i] = request->segments[i + 2];
    call->request = inside;
    return true;
}
