/* The smallest firmware around a bundle: read the sensors' FIFOs, hand the samples on, show what comes back.

   Built with SELF_TEST it runs the bundle's self-test, prints the outcome and what a reading takes, and ends. */
#include "board.h"
#include "ppgnet.h"

static ppgnet wearer;

#ifdef SELF_TEST

#include "ppgnet_selftest.h"

static void print_number(const char *name, uint32_t value)
{
    char digits[12], *at = digits + sizeof digits;
    *--at = '\0';
    *--at = '\n';
    do
        *--at = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    board_print(name);
    board_print(at);
}

int main(void)
{
    ppgnet_selftest_costs costs = {0, 0};
    int wrong = ppgnet_selftest(&wearer, board_cycles, &costs);
    print_number("selftest ", (uint32_t)wrong);
    print_number("estimate_cycles ", costs.estimate_cycles);
    print_number("push_cycles ", costs.push_cycles);
    board_exit(wrong);
    return wrong;
}

#else

static int16_t light[PPGNET_MOST_PPG_FRAMES * PPGNET_PPG_CHANNELS];
#if PPGNET_AXES
static int16_t axes[PPGNET_MOST_ACC_FRAMES * PPGNET_AXES];
#endif

static void show_reading(void)
{
    ppgnet_reading reading;
    if (ppgnet_estimate(&wearer, &reading) != PPGNET_OK)
        return;
#if PPGNET_HAS_TRACKER
    if (ppgnet_track(&wearer, &reading) != PPGNET_OK)
        return;
#endif
    board_show(reading.invalid ? 0 : (reading.estimate + 128) / 256, reading.invalid);
}

int main(void)
{
    if (ppgnet_init(&wearer, PPGNET_DECLARED_SENSORS, sizeof wearer) != PPGNET_OK)
        board_exit(1);
    for (;;) {
        board_sleep();
        uint32_t frames = board_read_ppg(light, PPGNET_MOST_PPG_FRAMES);
        ppgnet_status status = frames ? ppgnet_push_ppg(&wearer, light, frames) : PPGNET_OK;
#if PPGNET_AXES
        frames = board_read_acc(axes, PPGNET_MOST_ACC_FRAMES);
        if (frames && status == PPGNET_OK)
            status = ppgnet_push_acc(&wearer, axes, frames);
#endif
        /* Samples were lost, so that the sensors no longer keep step: begin anew. */
        if (status != PPGNET_OK)
            ppgnet_restart(&wearer);
        while (ppgnet_ready(&wearer))
            show_reading();
    }
}

#endif
