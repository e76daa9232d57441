/* Vectors and reset of a Cortex-M7: memory as C expects it, the floating-point unit on, then main. */
#include <stdint.h>

extern uint32_t data_load, data_start, data_end, bss_start, bss_end, stack_top;
int main(void);

static void halt(void)
{
    for (;;) {
    }
}

void reset(void);

void reset(void)
{
    *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20;
    __asm__ volatile("dsb\n\tisb");
    for (volatile uint32_t *to = &data_start, *from = &data_load; to != &data_end;)
        *to++ = *from++;
    for (volatile uint32_t *to = &bss_start; to != &bss_end;)
        *to++ = 0;
    main();
    halt();
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, (const void *)reset, (const void *)halt, (const void *)halt, (const void *)halt,
    (const void *)halt, (const void *)halt, 0, 0, 0, 0, (const void *)halt, (const void *)halt, 0,
    (const void *)halt, (const void *)halt,
};
