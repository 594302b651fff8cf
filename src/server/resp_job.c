/* CAIRN.JOB: the id of the job that the connection's next FCALL or EXEC begins. */
#include "server/resp_internal.h"

void cairn_resp_job(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    char id[CAIRN_JOB_ID_DIGITS + 1];

    if (words->count > 2) {
        cairn_resp_reply_error(resp, "ERR", "write CAIRN.JOB, or CAIRN.JOB TRACEPARENT");
        return;
    }
    if (words->count == 1) {
        resp->parent = (struct cairn_traceparent){.job = cairn_job_id_make(&resp->session.front->job_ids)};
    } else if (!cairn_traceparent_read(cairn_resp_words_at(words, 1), &resp->parent)) {
        cairn_resp_reply_error(resp, "BAD_REQUEST",
                               "a traceparent is 00-, 32 hex digits, -, 16 hex digits, - and 2 hex digits, in lower "
                               "case, as W3C Trace Context has it");
        return;
    }
    cairn_job_id_write(resp->parent.job, id);
    cairn_resp_bulk(cairn_session_reply_begin(&resp->session), cairn_str(id));
    cairn_session_reply_end(&resp->session);
}
