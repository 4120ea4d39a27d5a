#if defined(__APPLE__)
#include "probe.h"

#include <TargetConditionals.h>
#include <errno.h>
#include <mach/mach.h>
#include <malloc/malloc.h>
#include <stddef.h>

#if TARGET_OS_IPHONE
// <os/proc.h>, which not every SDK has for every system.
extern size_t os_proc_available_memory(void);
#endif

static int64_t peak_before = -1;

static int read_info(task_vm_info_data_t *info) {
    mach_msg_type_number_t count = TASK_VM_INFO_COUNT;
    kern_return_t result = task_info(mach_task_self(), TASK_VM_INFO, (task_info_t)info, &count);
    return result == KERN_SUCCESS ? 0 : ENOTSUP;
}

int pb_memory_read(pb_memory *memory) {
    task_vm_info_data_t info;
    int error = read_info(&info);
    if (error) return error;
    memory->owned = (int64_t)info.phys_footprint;
    memory->anonymous = (int64_t)info.internal;
    memory->file = (int64_t)info.external;
    memory->shared = -1;
    memory->swap = (int64_t)info.compressed;
    return 0;
}

int64_t pb_proportional_bytes(void) { return -1; }

// The system keeps the peak of the process's whole life. It says something about the model only if it grew after this.
int pb_peak_begin(void) {
    task_vm_info_data_t info;
    peak_before = read_info(&info) ? -1 : (int64_t)info.ledger_phys_footprint_peak;
    return peak_before >= 0;
}

int64_t pb_peak_bytes(int64_t baseline) {
    (void)baseline;
    task_vm_info_data_t info;
    if (peak_before < 0 || read_info(&info)) return -1;
    int64_t peak = (int64_t)info.ledger_phys_footprint_peak;
    return peak > peak_before ? peak : -1;
}

void pb_give_back(void) { malloc_zone_pressure_relief(NULL, 0); }

int64_t pb_available_bytes(void) {
#if TARGET_OS_IPHONE
    return (int64_t)os_proc_available_memory();
#else
    return -1;
#endif
}
#endif
