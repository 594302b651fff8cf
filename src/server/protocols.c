/* The table of fronts. */
#include "server/protocol.h"

const struct cairn_protocol *const cairn_protocols[CAIRN_PROTOCOLS + 1] = {
    [CAIRN_PROTOCOL_RESP] = &cairn_resp_protocol,
    [CAIRN_PROTOCOL_HTTP] = &cairn_http_protocol,
    [CAIRN_PROTOCOL_ZK] = &cairn_zk_protocol,
};
