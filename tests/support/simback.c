#include "support/simback.h"

#include <stdio.h>

static const char *name_of(int object)
{
    static char names[2][16];
    static int at;
    char *name = names[at++ % 2];

    snprintf(name, sizeof names[0], "b%d", object);
    return name;
}

static void init_read(struct simcall *call, int object)
{
    simcall_init(call, CAIRN_OP_INVOKE, "Probe", name_of(object), "count", NULL);
}

static bool may_be(const struct simback_object *object, int64_t value)
{
    for (size_t i = 0; i < object->count; i++)
        if (object->may[i] == value)
            return true;
    return !object->count && value == 0;
}

static void is(struct simback_object *object, int64_t value)
{
    object->may[0] = value;
    object->count = 1;
}

static void may_also_be(struct simback_object *object, int64_t value)
{
    if (!object->count)
        is(object, 0);
    if (!may_be(object, value) && object->count < SIMBACK_VALUES_MAX)
        object->may[object->count++] = value;
}

bool simback_begin(struct simback *model, struct cairn_random *random, struct simback_call *own, struct simcall *call)
{
    struct simback_object *object;

    own->object = (int)cairn_random_below(random, SIMBACK_OBJECTS);
    object = &model->objects[own->object];
    if (object->busy)
        return false;
    own->doing = (enum simback_doing)cairn_random_below(random, model->version ? 3 : 2);
    if (object->count > SIMBACK_VALUES_MAX / 2) /* it must be known again before more is asked of it */
        own->doing = SIMBACK_READ;
    object->busy = true;
    switch (own->doing) {
    case SIMBACK_ADD:
        simcall_init(call, CAIRN_OP_INVOKE, "Probe", name_of(own->object), "add", NULL);
        break;
    case SIMBACK_READ:
        init_read(call, own->object);
        break;
    case SIMBACK_TAKE_BACK:
        simcall_init(call, CAIRN_OP_RESTORE, "Probe", name_of(own->object), NULL, NULL);
        call->request.number = model->version;
        break;
    }
    return true;
}

bool simback_finish(struct simback *model, const struct simback_call *own, bool done, bool unknown, int64_t value,
                    char wrong[200])
{
    static const char *const what[] = {"an add to", "a read of", "taking back"};
    struct simback_object *object = &model->objects[own->object];
    bool fits = true;

    object->busy = false;
    if (unknown && own->doing == SIMBACK_ADD) {
        size_t count = object->count;

        if (!count)
            may_also_be(object, 1);
        for (size_t i = 0; i < count; i++)
            may_also_be(object, object->may[i] + 1);
    }
    if (unknown && own->doing == SIMBACK_TAKE_BACK)
        may_also_be(object, object->then);
    if (!done)
        return true;
    if (own->doing == SIMBACK_TAKE_BACK) {
        fits = value == (object->then > 0); /* whether it was there */
        is(object, object->then);
        model->taken_back++;
    } else {
        fits = may_be(object, value - (own->doing == SIMBACK_ADD));
        is(object, value);
    }
    if (!fits)
        snprintf(wrong, 200, "%s b%d gave %lld, which cannot be (it was %lld at version %llu)", what[own->doing],
                 own->object, (long long)value, (long long)object->then, (unsigned long long)model->version);
    return fits;
}

bool simback_check(struct simback *model, void (*ask)(void *context, struct simcall *call), void *context,
                   char wrong[200])
{
    for (int i = 0; i < SIMBACK_OBJECTS; i++) {
        struct simcall call;
        struct cairn_reader r;
        struct cairn_value v;

        init_read(&call, i);
        ask(context, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        v = cairn_value_read(&r);
        simcall_done(&call);
        if (v.kind != CAIRN_VALUE_INT) {
            snprintf(wrong, 200, "b%d cannot be read", i);
            return false;
        }
        if (!simback_finish(model, &(struct simback_call){i, SIMBACK_READ}, true, false, v.integer, wrong))
            return false;
    }
    return true;
}

void simback_taken(struct simback *model, uint64_t version)
{
    model->version = version;
    for (int i = 0; i < SIMBACK_OBJECTS; i++)
        model->objects[i].then = model->objects[i].count ? model->objects[i].may[0] : 0;
}

void simback_all_back(struct simback *model)
{
    for (int i = 0; i < SIMBACK_OBJECTS; i++)
        is(&model->objects[i], model->objects[i].then);
}
