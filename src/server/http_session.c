#include "server/session_internal.h"

struct cairn_session *cairn_http_session_open(struct cairn_front *front, void *owner)
{
    return cairn_resp_session_open(front, owner); /* until HTTP is there */
}
