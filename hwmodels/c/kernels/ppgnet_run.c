/* The loop over a network's steps. */
#include "ppgnet_kernels.h"
#include "ppgnet_shim.h"

PPGNET_SMALL void ppgnet_execute(
    const ppgnet_network *network, int8_t *arena, const int8_t *input, ppgnet_result *result)
{
    const ppgnet_step *step = network->steps, *last = step + network->count - 1;
    for (;; step++) {
        const int8_t *first = step->input == PPGNET_FROM_CALLER ? input : arena + step->input;
        const int8_t *second = step->second == PPGNET_FROM_CALLER ? input : arena + step->second;
        void *output = step == last ? (void *)result : (void *)(arena + step->output);
        step->kernel(step->parameters, first, second, output, arena + step->scratch);
        if (step == last)
            return;
    }
}
