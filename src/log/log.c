/* log.c - what follows from the vtable, for every kind of log. */
#include "log/log.h"

enum cairn_code cairn_log_visit(struct cairn_log *log, uint64_t from,
                                enum cairn_code (*visit)(void *context, uint64_t position, uint64_t end,
                                                         struct cairn_bytes body, struct cairn_err *err),
                                void *context, struct cairn_err *err)
{
    struct cairn_log_reader *reader = NULL;
    struct cairn_log_record record;
    bool found = true;
    enum cairn_code code = log->ops->open_reader(log, from, &reader, err);

    while (code == CAIRN_OK && found) {
        code = log->ops->read(reader, &record, &found, err);
        if (code == CAIRN_OK && found)
            code = visit(context, record.position, record.end, record.body, err);
    }
    log->ops->close_reader(reader);
    return code;
}
