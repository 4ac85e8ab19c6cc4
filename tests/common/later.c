/* Preloaded into a process, this puts its clock forward by LATER_SECONDS. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    const char *seconds = getenv("LATER_SECONDS");
    if (result == 0 && clock == CLOCK_REALTIME && seconds)
        now->tv_sec += atol(seconds);
    return result;
}
