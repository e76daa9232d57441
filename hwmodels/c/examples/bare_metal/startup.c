/* Vectors and reset of a {@ core_title @}: memory as C expects it, the floating-point unit on, then main. */
#include <stdint.h>

extern uint32_t text_load, text_start, text_end, rodata_load, rodata_start, rodata_end;
extern uint32_t data_load, data_start, data_end, bss_start, bss_end, stack_top;
int main(void);
void reset(void);

/* What runs before code is in its place lies in flash itself. */
#define START __attribute__((section(".start"), noinline))

START static void halt(void)
{
    for (;;) {
    }
}

START static void copy(volatile uint32_t *to, const uint32_t *end, const volatile uint32_t *from)
{
    if (to != from)
        while (to != end)
            *to++ = *from++;
}

START void reset(void)
{
    *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20;
    __asm__ volatile("dsb\n\tisb");
    copy(&text_start, &text_end, &text_load);
    copy(&rodata_start, &rodata_end, &rodata_load);
    copy(&data_start, &data_end, &data_load);
    for (volatile uint32_t *to = &bss_start; to != &bss_end;)
        *to++ = 0;
    __asm__ volatile("dsb\n\tisb");
    main();
    halt();
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, (const void *)reset, (const void *)halt, (const void *)halt, (const void *)halt,
    (const void *)halt, (const void *)halt, 0, 0, 0, 0, (const void *)halt, (const void *)halt, 0,
    (const void *)halt, (const void *)halt,
};
