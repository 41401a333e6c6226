/* One process makes a device and takes it away, again and again; another looks: it must never see anything but the device
 * or nothing. In every second round the maker leaves the device until it was seen, so that it is seen as often as wanted.
 * With an argument: makes devices of other names, and takes none away. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { OFTEN = 100 };

static _Atomic long *devices;

static void make(const char *name)
{
    if (mknod(name, S_IFBLK | 0646, makedev(8, 1)) != 0)
        _exit(1);
}

static void make_and_leave(void)
{
    char name[32];
    for (long nth = 0;; nth++) {
        snprintf(name, sizeof name, "dev%ld", nth);
        make(name);
    }
}

static void make_and_remove(void)
{
    for (long round = 0;; round++) {
        long before = *devices;
        make("dev");
        while (round % 2 && *devices == before)
            sched_yield();
        unlink("dev");
    }
}

int main(int argc, char **argv)
{
    (void)argv;
    umask(022);
    if (argc > 1)
        make_and_leave();
    devices = mmap(NULL, sizeof *devices, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t maker = fork();
    if (maker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        make_and_remove();
    }
    long others = 0, modes = 0;
    while (*devices < OFTEN && others + modes == 0) {
        struct stat found;
        if (lstat("dev", &found) != 0)
            continue;
        if (!S_ISBLK(found.st_mode) || found.st_rdev != makedev(8, 1))
            others++;
        else if ((found.st_mode & 07777) != 0644)
            modes++;
        else
            ++*devices;
    }
    kill(maker, SIGKILL);
    printf("devices %ld, others %ld, with other modes %ld\n", *devices, others, modes);
    return 0;
}
