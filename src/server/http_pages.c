/* Pages of the node itself: what it is, whether it is ready, its numbers. */
#include <stdio.h>

#include "proto/json.h"
#include "server/http_call.h"
#include "server/version.h"

void cairn_http_respond_text(const struct cairn_http_call *call, unsigned status, const char *type,
                             struct cairn_bytes body)
{
    cairn_http_respond(call->http, call->flags, status, type, "Cache-Control: no-store\r\n", body);
}

void cairn_http_page_metrics(const struct cairn_http_call *call)
{
    struct cairn_slot *slot;

    if (call->flags & CAIRN_HTTP_NO_BODY) {
        cairn_http_respond_head(call->http, call->flags, cairn_http_part_type(CAIRN_HTTP_FORM_METRICS, call->flags));
        return;
    }
    slot = cairn_slot_take(&call->http->session);
    slot->form = CAIRN_HTTP_FORM_METRICS;
    slot->flags = (uint8_t)call->flags;
    cairn_slot_ask_metrics(slot);
}

/* [+] name ok, one line per check. */
static void add_check_line(struct cairn_buf *to, const struct cairn_check *check)
{
    static const char *const marks[] = {"[+]", "[!]", "[-]"};

    cairn_buf_printf(to, "%s %s: %s\n", marks[check->state], check->name, check->reason[0] ? check->reason : "ok");
}

static void add_check_json(struct cairn_buf *to, const struct cairn_check *check)
{
    static const char *const states[] = {"ok", "warning", "failed"};

    cairn_buf_printf(to, "{\"name\":\"%s\",\"state\":\"%s\",\"reason\":", check->name, states[check->state]);
    cairn_json_text(to, cairn_str(check->reason));
    cairn_buf_u8(to, '}');
}

/* The members of a problem, and all checks.  ?verbose: the checks as lines of text. */
void cairn_http_page_ready(const struct cairn_http_call *call)
{
    struct cairn_front *front = call->http->session.front;
    struct cairn_check checks[CAIRN_CHECKS_MAX + 1] = {{.name = "stopping"}};
    size_t count = 1 + front->backend->checks(front->backend->context, checks + 1);
    const struct cairn_check *failed = NULL;
    struct cairn_buf text = {0};

    if (atomic_load_explicit(&front->draining, memory_order_relaxed)) {
        checks[0].state = CAIRN_CHECK_FAILED;
        snprintf(checks[0].reason, sizeof checks[0].reason, "the node is stopping");
    }
    for (size_t i = 0; i < count && !failed; i++)
        failed = checks[i].state == CAIRN_CHECK_FAILED ? &checks[i] : NULL;
    if (cairn_http_is(call->request->query, "verbose")) {
        for (size_t i = 0; i < count; i++)
            add_check_line(&text, &checks[i]);
        cairn_buf_printf(&text, "%s\n", failed ? "not ready" : "ready");
        cairn_http_respond_text(call, failed ? 503 : 200, "text/plain; charset=utf-8", cairn_buf_bytes(&text));
    } else {
        cairn_buf_printf(&text, "{\"ready\":%s", failed ? "false" : "true");
        if (failed) {
            cairn_buf_printf(&text, ",\"status\":503,\"code\":\"unavailable\",\"detail\":");
            cairn_json_text(&text, cairn_str(failed->reason));
        }
        cairn_buf_str(&text, ",\"checks\":[");
        for (size_t i = 0; i < count; i++) {
            if (i)
                cairn_buf_u8(&text, ',');
            add_check_json(&text, &checks[i]);
        }
        cairn_buf_str(&text, "]}\n");
        cairn_http_respond_text(call, failed ? 503 : 200, failed ? "application/problem+json" : "application/json",
                                cairn_buf_bytes(&text));
    }
    cairn_buf_done(&text);
}

void cairn_http_page_root(const struct cairn_http_call *call)
{
    char text[1024];

    snprintf(text, sizeof text,
             "{\"cairn\":\"%s\",\"pages\":[\"/v1/objects/TYPE\",\"/v1/objects/TYPE/ID\","
             "\"/v1/objects/TYPE/ID/METHOD\",\"/v1/types\",\"/v1/modules\",\"/v1/versions\",\"/v1/logs\","
             "\"/v1/traces\",\"/v1/traces/JOB\",\"/v1/promises/ID\",\"/v1/transactions\",\"/v1/timers/TYPE/ID\","
             "\"/v1/invocations\",\"/v1/invocations/ID\",\"/v1/invocations/ID/journal\","
             "\"/v1/messages\",\"/v1/keeper\",\"/v1/cache/KEY\","
             "\"/v1/clock\",\"/v1/export\",\"/v1/namespaces\",\"/v1/namespaces/NAME\",\"/v1/ns/NAME/...\","
             "\"/healthz\",\"/readyz\","
             "\"/metrics\"]}\n",
             CAIRN_VERSION);
    cairn_http_respond_text(call, 200, "application/json", cairn_str(text));
}
