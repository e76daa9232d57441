/* A whole firmware that learns its wearer: what its link takes is what learning costs in RAM. */
#include "board.h"
#include "ppgnet_personal.h"

static ppgnet_personal learner;
static int8_t arena[PPGNET_ARENA_BYTES] __attribute__((aligned(4)));

int main(void)
{
    ppgnet_result result;
    int8_t *input = arena + PPGNET_INPUT_OFFSET;
    ppgnet_personal_reset(&learner);
    for (int32_t heart_rate_q8 = 80 * 256;;) {
        board_sleep();
        if (ppgnet_personal_add(&learner, arena, input, heart_rate_q8) == PPGNET_PERSONAL_FULL)
            ppgnet_personal_train(&learner);
        ppgnet_personal_run(&learner, arena, input, 0, &result);
        board_show((result.estimate + 128) / 256, 0);
    }
}
