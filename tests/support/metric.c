#include "support/metric.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"

uint64_t sim_metric(struct simnode *sim, const char *name)
{
    struct cairn_metrics_place place = {0};
    struct cairn_buf page = {0};
    uint64_t sum = 0;
    char start[128];

    snprintf(start, sizeof start, "\n%s{worker=", name);
    while (cairn_admin_metrics(sim->node, &place, CAIRN_PAGE_BYTES, &page))
        ;
    cairn_buf_u8(&page, 0);
    for (const char *at = (const char *)page.data; (at = strstr(at, start)); at++)
        sum += strtoull(strchr(at, '}') + 1, NULL, 10);
    cairn_buf_done(&page);
    return sum;
}
