#include "cost/keeper.h"

enum { SYSTEM_WRITES = 3, MESSAGES = 2, SYSTEM_BYTES = 1024 };

struct cairn_keeper_work cairn_keeper_work(void)
{
    return (struct cairn_keeper_work){
        .bytes = 1024,
        .memory_gib = 0.5,
        .follower_ms = 32,                                                          /* 0.016 GB-s */
        .leader_ms = {[CAIRN_KEEPER_STANDARD] = 59.26, [CAIRN_KEEPER_HYBRID] = 31}, /* 0.02963 and 0.0155 GB-s */
    };
}

/* Is the data an object of the object store? */
static bool is_object(const struct cairn_keeper_work *work, enum cairn_keeper_storage storage)
{
    return storage == CAIRN_KEEPER_STANDARD || work->bytes > CAIRN_KEEPER_HYBRID_BYTES;
}

static double run_cost(const struct cairn_prices *prices, double gib, double ms)
{
    return prices->call + gib * ms / 1000 * prices->gb_second;
}

struct cairn_keeper_write cairn_keeper_write_cost(const struct cairn_prices *prices,
                                                  const struct cairn_keeper_work *work,
                                                  enum cairn_keeper_storage storage)
{
    bool object = is_object(work, storage);
    struct cairn_keeper_write write = {
        .queues = MESSAGES * cairn_sized_cost(&prices->message, work->bytes),
        .system = SYSTEM_WRITES * cairn_sized_cost(&prices->entry_write, SYSTEM_BYTES) +
                  cairn_sized_cost(&prices->entry_read, SYSTEM_BYTES),
        .node = object ? prices->object_write : cairn_sized_cost(&prices->entry_write, work->bytes),
        .follower = run_cost(prices, work->memory_gib, work->follower_ms),
        .leader = run_cost(prices, work->memory_gib, work->leader_ms[object ? CAIRN_KEEPER_STANDARD : storage]),
    };

    if (object && storage == CAIRN_KEEPER_HYBRID) /* the entry says where the object is */
        write.node += cairn_sized_cost(&prices->entry_write, SYSTEM_BYTES);
    write.total = write.queues + write.system + write.node + write.follower + write.leader;
    return write;
}

double cairn_keeper_read_cost(const struct cairn_prices *prices, const struct cairn_keeper_work *work,
                              enum cairn_keeper_storage storage)
{
    if (storage == CAIRN_KEEPER_STANDARD)
        return prices->object_read;
    if (is_object(work, storage))
        return cairn_sized_cost(&prices->entry_read, SYSTEM_BYTES) + prices->object_read;
    return cairn_sized_cost(&prices->entry_read, work->bytes);
}

double cairn_keeper_request_cost(const struct cairn_prices *prices, const struct cairn_keeper_work *work,
                                 enum cairn_keeper_storage storage, double reads)
{
    return reads * cairn_keeper_read_cost(prices, work, storage) +
           (1 - reads) * cairn_keeper_write_cost(prices, work, storage).total;
}

double cairn_keeper_machines_cost(const struct cairn_machine_price *machine, uint64_t count)
{
    return (double)count * machine->hour * 24;
}

double cairn_keeper_ratio(double machines_day, double request, double requests_day)
{
    return machines_day / (requests_day * request);
}

const char *cairn_keeper_storage_name(enum cairn_keeper_storage storage)
{
    return storage == CAIRN_KEEPER_STANDARD ? "standard" : "hybrid";
}

struct cairn_keeper_plan cairn_keeper_plan(const struct cairn_prices *prices)
{
    struct cairn_keeper_plan plan = {
        .prices = prices,
        .work = cairn_keeper_work(),
        .reads = {90, 80},
        .storages = {CAIRN_KEEPER_STANDARD, CAIRN_KEEPER_HYBRID},
        .counts = {3, 9},
        .rates = {100000, 500000, 1000000, 2000000, 5000000},
        .read_count = 2,
        .storage_count = 2,
        .count_count = 2,
        .machine_count = prices->machine_count,
        .rate_count = 5,
    };

    for (uint32_t i = 0; i < prices->machine_count; i++)
        plan.machines[i] = &prices->machines[i];
    return plan;
}

double cairn_keeper_plan_ratio(const struct cairn_keeper_plan *plan, uint32_t read, uint32_t storage, uint32_t count,
                               uint32_t machine, uint32_t rate)
{
    double request =
        cairn_keeper_request_cost(plan->prices, &plan->work, plan->storages[storage], (double)plan->reads[read] / 100);

    return cairn_keeper_ratio(cairn_keeper_machines_cost(plan->machines[machine], plan->counts[count]), request,
                              (double)plan->rates[rate]);
}
