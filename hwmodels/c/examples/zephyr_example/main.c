/* A thread that hands the sensors' samples to the bundle and logs what it reads. read_ppg and read_acc are yours:
   they stand where a driver's FIFO is read. */
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>

#include "ppgnet.h"
#include "ppgnet_selftest.h"

LOG_MODULE_REGISTER(ppgnet_example, LOG_LEVEL_INF);

static ppgnet wearer;
static int16_t light[PPGNET_MOST_PPG_FRAMES * PPGNET_PPG_CHANNELS];
#if PPGNET_AXES
static int16_t axes[PPGNET_MOST_ACC_FRAMES * PPGNET_AXES];
#endif

static uint32_t read_ppg(int16_t *samples, uint32_t most)
{
    ARG_UNUSED(samples);
    ARG_UNUSED(most);
    return 0;
}

#if PPGNET_AXES
static uint32_t read_acc(int16_t *samples, uint32_t most)
{
    ARG_UNUSED(samples);
    ARG_UNUSED(most);
    return 0;
}
#endif

static ppgnet_status take_samples(void)
{
    uint32_t frames = read_ppg(light, PPGNET_MOST_PPG_FRAMES);
    ppgnet_status status = frames ? ppgnet_push_ppg(&wearer, light, frames) : PPGNET_OK;
#if PPGNET_AXES
    frames = read_acc(axes, PPGNET_MOST_ACC_FRAMES);
    if (frames && status == PPGNET_OK) {
        status = ppgnet_push_acc(&wearer, axes, frames);
    }
#endif
    return status;
}

int main(void)
{
    ppgnet_reading reading;
    int wrong = ppgnet_selftest(&wearer, k_cycle_get_32, NULL);

    LOG_INF("self-test: %d", wrong);
    if (wrong || ppgnet_init(&wearer, PPGNET_DECLARED_SENSORS, sizeof(wearer)) != PPGNET_OK) {
        return -1;
    }
    while (true) {
        k_msleep(100);
        if (take_samples() != PPGNET_OK) {
            LOG_WRN("samples were lost, beginning anew");
            ppgnet_restart(&wearer);
        }
        while (ppgnet_ready(&wearer)) {
            ppgnet_status status = ppgnet_estimate(&wearer, &reading);
#if PPGNET_HAS_TRACKER
            if (status == PPGNET_OK) {
                status = ppgnet_track(&wearer, &reading);
            }
#endif
            if (status == PPGNET_OK && reading.invalid == 0) {
                LOG_INF("%d BPM, give or take %d", (reading.estimate + 128) / 256, (reading.confidence + 128) / 256);
            } else {
                LOG_INF("no heart rate: reasons %u", reading.invalid);
            }
        }
    }
}
