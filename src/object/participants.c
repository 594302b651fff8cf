#include "object/participants.h"

#include "object/kept.h"
#include "object/messages.h"
#include "object/timers.h"

const struct participant *const participants[] = {
    &purge_participant,   &header_participant, &kept_participant,   &directory_participant,
    &durable_participant, &once_participant,   &timers_participant, &messages_participant,
};
const size_t participant_count = sizeof participants / sizeof *participants;

size_t participants_for(const struct invocation *inv)
{
    return participant_count - (messages_take_part(inv) || inv->segment->timers_changed ? 0 : 2);
}
