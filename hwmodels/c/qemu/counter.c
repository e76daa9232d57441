/* A plugin for QEMU's code generator: counts instructions of translated blocks that start in an address range,
   each time the block is entered. The few declarations it needs are written out, as Debian ships no header. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct qemu_plugin_tb;
typedef struct qemu_info_t qemu_info_t;
typedef uint64_t qemu_plugin_id_t;
typedef void (*on_translation)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*on_exit_of)(qemu_plugin_id_t id, void *user);

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, on_translation callback);
extern void qemu_plugin_register_vcpu_tb_exec_inline(
    struct qemu_plugin_tb *tb, int operation, void *pointer, uint64_t operand);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, on_exit_of callback, void *user);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t first, last, counted;

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    uint64_t address = qemu_plugin_tb_vaddr(tb);
    if (address >= first && address < last)
        qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &counted, qemu_plugin_tb_n_insns(tb));
}

static void finished(qemu_plugin_id_t id, void *user)
{
    (void)id;
    (void)user;
    fprintf(stderr, "instructions %" PRIu64 "\n", counted);
}

__attribute__((visibility("default"))) int qemu_plugin_install(
    qemu_plugin_id_t id, const qemu_info_t *info, int count, char **arguments)
{
    (void)info;
    if (count != 2)
        return 1;
    first = strtoull(arguments[0] + sizeof "first", NULL, 0);
    last = strtoull(arguments[1] + sizeof "last", NULL, 0);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
