/* One process makes a device and takes it away, again and again; another looks, until it has seen it often enough: it must
 * never see anything but the device or nothing. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

enum { OFTEN = 100 };

static void make(void)
{
    for (;;) {
        if (mknod("dev", S_IFBLK | 0646, makedev(8, 1)) != 0)
            _exit(1);
        unlink("dev");
    }
}

int main(int argc, char **argv)
{
    (void)argv;
    umask(022);
    if (argc > 1)
        make();
    pid_t maker = fork();
    if (maker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        make();
    }
    long devices = 0, others = 0, modes = 0;
    time_t until = time(NULL) + 40;
    while (devices < OFTEN && time(NULL) < until) {
        struct stat found;
        if (lstat("dev", &found) != 0)
            continue;
        if (!S_ISBLK(found.st_mode) || found.st_rdev != makedev(8, 1))
            others++;
        else if ((found.st_mode & 07777) != 0644)
            modes++;
        else
            devices++;
    }
    kill(maker, SIGKILL);
    printf("devices %s, others %ld, with other modes %ld\n", devices >= OFTEN ? "enough" : "too few", others, modes);
    return 0;
}
