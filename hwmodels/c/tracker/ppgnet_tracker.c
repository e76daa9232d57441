/* One step of a forward filter: predict by the transition, multiply by the network's belief, scale to 16 bits. */
#include "ppgnet_tracker.h"
#include "ppgnet_belief.h"
#include "ppgnet_shim.h"

enum { BINS = PPGNET_TRACKER_BINS, REACH = PPGNET_TRACKER_REACH, LARGEST = 65535 };

void ppgnet_tracker_reset(ppgnet_tracker *tracker)
{
    for (uint32_t bin = 0; bin < BINS; bin++)
        tracker->belief[bin] = LARGEST;
    tracker->mean_q8 = 0;
}

static uint32_t predicted(const ppgnet_tracker *tracker, int32_t bin)
{
    uint32_t sum = 0;
    for (int32_t step = -REACH; step <= REACH; step++) {
        int32_t from = bin + step;
        if (from >= 0 && from < BINS)
            sum += (uint32_t)tracker->belief[from] * ppgnet_tracker_constants.transition_q15[step + REACH];
    }
    sum = (sum >> 15) + ppgnet_tracker_constants.floor;
    return sum < LARGEST ? sum : LARGEST;
}

static int32_t led(ppgnet_tracker *tracker, int32_t estimate)
{
    const ppgnet_tracker_settings *settings = &ppgnet_tracker_constants;
    if (tracker->mean_q8 == 0)
        tracker->mean_q8 = estimate;
    tracker->mean_q8 += (estimate - tracker->mean_q8) >> 1;
    estimate += ((estimate - tracker->mean_q8) * settings->lead_q8) >> 8;
    estimate = ppgnet_larger(estimate, settings->head.first_q8);
    return estimate < settings->last_q8 ? estimate : settings->last_q8;
}

void ppgnet_tracker_update(ppgnet_tracker *tracker, const int8_t *logits, ppgnet_result *result)
{
    const ppgnet_heart_rate_parameters *head = &ppgnet_tracker_constants.head;
    uint32_t product[BINS], most = 0, shift = 0;
    int32_t top = -128;
    for (uint32_t bin = 0; bin < BINS; bin++)
        top = ppgnet_larger(top, logits[bin]);
    for (int32_t bin = 0; bin < BINS; bin++) {
        product[bin] = predicted(tracker, bin) * ppgnet_belief_in(&head->belief, top - logits[bin]);
        most = product[bin] > most ? product[bin] : most;
    }
    while (most >> shift > LARGEST)
        shift++;
    for (uint32_t bin = 0; bin < BINS; bin++)
        tracker->belief[bin] = (uint16_t)(product[bin] >> shift);
    ppgnet_read_belief(head, tracker->belief, result);
    result->estimate = led(tracker, result->estimate);
}
