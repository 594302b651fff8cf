#include "object/participants.h"

#include "object/kept.h"
#include "object/messages.h"
#include "object/once.h"
#include "object/space.h"
#include "object/timers.h"
#include "object/type.h"

const struct participant *const participants[] = {
    &purge_participant, &header_participant, &directory_participant, &durable_participant,
    &once_participant,  &timers_participant, &messages_participant,  &kept_participant,
};
const size_t participant_count = sizeof participants / sizeof *participants;

uint32_t participants_spared(const struct invocation *inv)
{
    const struct segment *segment = inv->segment;

    return (segment->header_dirty || segment->deleted ? 0 : CONCERNS_OBJECT) |
           (inv->type->space->counts ? 0 : CONCERNS_KEPT) | (inv->durable ? 0 : CONCERNS_DURABLE) |
           (once_of(inv) ? 0 : CONCERNS_KEY) |
           (messages_take_part(inv) || segment->timers_changed ? 0 : CONCERNS_LETTERS);
}
