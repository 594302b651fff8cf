#include "server/house_metered.h"

#include "admin/admin.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/metered.h"

#define EVERY_NS UINT64_C(5000000000)

static void tell(struct cairn_house_metered *house, const char *text, const struct cairn_err *err)
{
    cairn_tell(house->events, &(struct cairn_event){.level = CAIRN_LEVEL_WARNING,
                                                    .from = "node",
                                                    .kind = "metered",
                                                    .text = text,
                                                    .fields = {{.key = "error", .text = err->text}}});
}

/* Behind the two lines that change with time alone; without the last, which is a checksum. */
static uint32_t crc_of_use(const struct cairn_buf *text)
{
    size_t at = 0;

    for (int lines = 0; lines < 2 && at < text->size; at++)
        lines += text->data[at] == '\n';
    return cairn_crc32c(0, text->data + at, text->size - at - 9);
}

/* `always`: also if nothing was used, for the time. */
static void write_file(struct cairn_house_metered *house, bool always)
{
    struct cairn_buf text = {0};
    struct cairn_err err;
    uint32_t crc;

    cairn_admin_metered_write(house->node, &text);
    crc = crc_of_use(&text);
    if (always || crc != house->crc || house->failed) {
        bool failed =
            cairn_disk_replace_file(house->disk, CAIRN_METERED_FILE, cairn_buf_bytes(&text), &err) != CAIRN_OK;

        if (failed && !house->failed)
            tell(house,
                 "what namespaces have used could not be written: it is tried again every five seconds, and what "
                 "is not written at the stop is not billed",
                 &err);
        house->failed = failed;
        if (!failed)
            house->crc = crc;
    }
    cairn_buf_done(&text);
}

static void run(struct cairn_task *task)
{
    struct cairn_house_metered *house = cairn_container(task, struct cairn_house_metered, task);

    write_file(house, false);
    atomic_store_explicit(&house->writing, false, memory_order_release);
}

enum cairn_code cairn_house_metered_check(struct cairn_disk *disk, struct cairn_err *err)
{
    struct cairn_file *file;
    enum cairn_code code = disk->ops->open(disk, CAIRN_METERED_FILE, CAIRN_OPEN_READ, &file, err);

    if (code == CAIRN_OK)
        disk->ops->close(file);
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

void cairn_house_metered_open(struct cairn_house_metered *house, struct cairn_node *node, struct cairn_disk *disk,
                              struct cairn_clock *clock, struct cairn_tasks *tasks, const struct cairn_events *events)
{
    struct cairn_buf text = {0};
    struct cairn_err err, again;
    enum cairn_code code;

    *house = (struct cairn_house_metered){
        .node = node, .disk = disk, .clock = clock, .tasks = tasks, .events = events, .task.run = run};
    house->looked_ns = clock->monotonic_ns(clock);
    code = cairn_disk_read_file(disk, CAIRN_METERED_FILE, CAIRN_METERED_BYTES_MAX, &text, &err);
    if (code == CAIRN_ENOTFOUND)
        code = CAIRN_OK;
    if (code == CAIRN_OK)
        code = cairn_admin_metered_load(node, cairn_buf_bytes(&text), &err);
    if (code != CAIRN_OK) {
        tell(house,
             "the file 'metered', which says what namespaces have used, cannot be read: it is put aside as "
             "'metered.damaged', and metering begins anew",
             &err);
        if (disk->ops->rename(disk, CAIRN_METERED_FILE, CAIRN_METERED_FILE ".damaged", &again) != CAIRN_OK)
            tell(house, "it could not be put aside, and will be written over", &again);
        cairn_admin_metered_load(node, cairn_bytes(NULL, 0), &err);
    }
    cairn_buf_done(&text);
}

void cairn_house_metered_look(struct cairn_house_metered *house)
{
    uint64_t now;

    if (!house->node || atomic_load_explicit(&house->writing, memory_order_acquire))
        return;
    now = house->clock->monotonic_ns(house->clock);
    if (now - house->looked_ns < EVERY_NS)
        return;
    house->looked_ns = now;
    atomic_store_explicit(&house->writing, true, memory_order_relaxed);
    cairn_tasks_submit(house->tasks, &house->task);
}

void cairn_house_metered_close(struct cairn_house_metered *house)
{
    if (house->node)
        write_file(house, true);
    house->node = NULL;
}
