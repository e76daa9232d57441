/* Heads: int8 logits to heart rate with its expected error, or to a class with its probability. The belief in
   a logit d steps below the largest, 65535 * exp(-scale * d), is the product of two small tables' entries. */
#include "ppgnet_belief.h"
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

PPGNET_INLINE int32_t largest(const int8_t *logits, uint32_t count)
{
    int32_t found = -128;
    for (uint32_t index = 0; index < count; index++)
        found = ppgnet_larger(found, logits[index]);
    return found;
}

/* The median of the belief minimises the expected absolute error, which is the second figure. */
PPGNET_SMALL void ppgnet_read_belief(
    const ppgnet_heart_rate_parameters *head, const uint16_t *belief, ppgnet_result *result)
{
    uint32_t total = 0;
    for (uint32_t bin = 0; bin < head->bins; bin++)
        total += belief[bin];
    uint32_t half = total >> 1, cumulated = 0, before = 0, index = 0;
    for (uint32_t bin = 0; bin < head->bins; bin++) {
        uint32_t here = belief[bin];
        cumulated += here;
        uint32_t is_below = (uint32_t)((int32_t)(cumulated - half - 1) >> 31);
        before += here & is_below;
        index -= is_below;
    }
    uint32_t inside_q16 = ((half - before) << 16) / belief[index];
    int32_t position_q12 = (int32_t)(index << 12) + (int32_t)(inside_q16 >> 4) - 2048;
    int32_t estimate = head->first_q8 + (int32_t)(((int64_t)position_q12 * head->step_q16) >> 20);
    uint64_t deviation = 0;
    for (uint32_t bin = 0; bin < head->bins; bin++) {
        int32_t distance = head->first_q8 + (((int32_t)bin * head->step_q16) >> 8) - estimate;
        uint32_t magnitude = (uint32_t)ppgnet_larger(distance, -distance);
        deviation += (uint64_t)belief[bin] * magnitude;
    }
    int32_t spread = (int32_t)((uint32_t)(deviation >> 8) / (total >> 8));
    result->estimate = estimate;
    result->confidence = spread;
    result->valid = spread <= head->max_spread_q8;
}

PPGNET_SMALL void ppgnet_heart_rate(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    const ppgnet_heart_rate_parameters *head = parameters;
    uint16_t *belief = scratch;
    int32_t top = largest(input, head->bins);
    for (uint32_t bin = 0; bin < head->bins; bin++)
        belief[bin] = (uint16_t)ppgnet_belief_in(&head->belief, top - input[bin]);
    ppgnet_read_belief(head, belief, output);
}

PPGNET_SMALL void ppgnet_class(
    const void *parameters, const int8_t *input, const int8_t *second, void *output, void *scratch)
{
    (void)second;
    (void)scratch;
    const ppgnet_class_parameters *head = parameters;
    ppgnet_result *result = output;
    int32_t best = -128 * 256;
    uint32_t total = 0;
    for (uint32_t class = 0; class < head->classes; class++) /* of equal logits the first wins */
        best = ppgnet_larger(best, input[class] * 256 + 255 - (int32_t)class);
    for (uint32_t class = 0; class < head->classes; class++)
        total += ppgnet_belief_in(&head->belief, (best >> 8) - input[class]);
    result->estimate = 255 - (best & 255);
    result->confidence = (int32_t)((65535u << 15) / total);
    result->valid = result->confidence >= head->min_probability_q15;
}
