/* metric.h - a metric of a simulated node, as its page says it. */
#ifndef CAIRN_TESTS_SUPPORT_METRIC_H
#define CAIRN_TESTS_SUPPORT_METRIC_H

#include "support/simnode.h"

/* The sum over workers. */
uint64_t sim_metric(struct simnode *sim, const char *name);

#endif
