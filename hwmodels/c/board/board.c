/* Start-up and the defaults of what a board may replace: any of these functions may be defined elsewhere. */
#include "bench.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define WEAK __attribute__((weak))

extern uint32_t kernels_load[], kernels_start[], kernels_end[];
extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];
void bench_main(void);
void reset(void);

static int32_t semihost(int32_t operation, const void *argument)
{
    register int32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

WEAK void board_init(void) {}

WEAK void board_putchar(char character)
{
    static char line[128];
    static uint32_t filled;
    line[filled++] = character;
    if (character == '\n' || filled == sizeof line - 1) {
        line[filled] = '\0';
        semihost(4, line);
        filled = 0;
    }
}

WEAK void board_start_counter(void)
{
    REGISTER(0xe000edfc) |= 1u << 24; /* DEMCR: trace on */
    REGISTER(0xe0001fb0) = 0xc5acce55; /* DWT: unlock */
    REGISTER(0xe0001004) = 0;
    REGISTER(0xe0001000) |= 1; /* DWT: count cycles */
}

WEAK uint32_t board_counter(void)
{
    return REGISTER(0xe0001004);
}

WEAK void board_finished(void)
{
    semihost(0x18, (const void *)0x20026);
}

static void copy(const uint32_t *from, uint32_t *to, const uint32_t *end)
{
    if (from != to)
        while (to < end)
            *to++ = *from++;
}

#if BENCH_CACHES
static void enable_caches(void)
{
    REGISTER(0xe000ef50) = 0; /* invalidate the instruction cache */
    __asm__ volatile("dsb\n\tisb");
    uint32_t size = REGISTER(0xe000ed80), sets = size >> 13 & 0x7fff, ways = size >> 3 & 0x3ff;
    for (uint32_t set = 0; set <= sets; set++)
        for (uint32_t way = 0; way <= ways; way++)
            REGISTER(0xe000ef60) = set << 5 | way << 30;
    __asm__ volatile("dsb\n\tisb");
    REGISTER(0xe000ed14) |= 3u << 16;
    __asm__ volatile("dsb\n\tisb");
}
#endif

__attribute__((noreturn)) void reset(void)
{
    REGISTER(0xe000ed88) |= 0xfu << 20; /* floating point */
    __asm__ volatile("dsb\n\tisb");
    copy(kernels_load, kernels_start, kernels_end);
    copy(data_load, data_start, data_end);
    for (uint32_t *at = bss_start; at < bss_end; at++)
        *at = 0;
    __asm__ volatile("dsb\n\tisb");
#if BENCH_CACHES
    enable_caches();
#endif
    bench_main();
    for (;;) {
    }
}

static void stop(void)
{
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) const void *const vectors[16] = {
    stack_top, reset, stop, stop, stop, stop, stop, 0, 0, 0, 0, stop, stop, 0, stop, stop,
};
