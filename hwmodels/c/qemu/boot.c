/* Boots on QEMU's mps2-an500 (Cortex-M7), runs every window through the network and prints the results by
   semihosting. It lies outside of the section whose instructions are counted. */
#include "ppgnet_model.h"
#include "windows.h"

static int8_t arena[PPGNET_ARENA_BYTES] __attribute__((aligned(4)));

static int32_t semihost(int32_t operation, const void *argument)
{
    register int32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void print(int32_t value, char end)
{
    char text[12];
    char *at = text + sizeof text;
    uint32_t left = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    *--at = '\0';
    *--at = end;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left != 0 && at > text + 1);
    if (value < 0)
        *--at = '-';
    semihost(4, at);
}

__attribute__((section(".boot"), noreturn)) void boot(void)
{
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20;
    __asm__ volatile("dsb\n\tisb");
    for (uint32_t window = 0; window < WINDOWS; window++) {
        ppgnet_result result;
        for (uint32_t index = 0; index < PPGNET_INPUT_BYTES; index++)
            arena[PPGNET_INPUT_OFFSET + index] = windows[window][index];
        ppgnet_run(arena, arena + PPGNET_INPUT_OFFSET, &result);
        print(result.estimate, ' ');
        print(result.confidence, ' ');
        print(result.valid, '\n');
    }
    semihost(0x18, (const void *)0x20026);
    for (;;) {
    }
}

extern const uint32_t stack_top;
__attribute__((section(".vectors"), used)) static const void *const vectors[2] = {&stack_top, (const void *)boot};
