/* Children that need somebody in every way are killed at any moment, alone and with threads; each must be reaped soon. The
 * arguments: how many, and a seed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static unsigned drawn;
static unsigned draw(unsigned below)
{
    drawn = drawn * 1103515245 + 12345;
    return (drawn >> 16) % below;
}

static void handle(int signal) { (void)signal; }

/* Asks for what takes an answer, or somebody who attaches. */
static void *ask(void *how)
{
    gid_t groups[8];
    struct stat found;
    char name[32];
    snprintf(name, sizeof name, "f%d", (int)syscall(SYS_gettid) % 16);
    for (int i = 0;; i++) {
        switch ((long)how) {
        case 0: getgroups(8, groups); break;
        case 1: close(open(name, O_CREAT | O_RDWR, 0644)); chmod(name, 0600 + i % 8); break;
        case 2: syscall(SYS_setresuid, 0, 0, 0); break;
        case 3: syscall(SYS_setgroups, 0, groups); break;
        case 4: if (fork() == 0) _exit(0); while (waitpid(-1, NULL, WNOHANG) > 0) ; getgroups(8, groups); break;
        case 5: chown(name, 0, 0); stat(name, &found); break;
        case 6: if (i == 3) syscall(SYS_setresuid, 7, 7, 7); getuid(); getgroups(8, groups); break;
        case 7: if (vfork() == 0) { execl("/bin/true", "true", NULL); _exit(9); } break;
        case 8: execl("/proc/self/exe", "killed", "again", NULL); break;
        }
    }
    return NULL;
}

static void child(void)
{
    long how = draw(9);
    if (draw(3) == 0)
        signal(SIGUSR1, handle);
    if (how < 8)
        for (unsigned i = draw(4); i > 0; i--) {
            pthread_t thread;
            pthread_create(&thread, NULL, ask, (void *)(long)draw(7));
        }
    ask((void *)how);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void show(pid_t pid)
{
    char command[300];
    snprintf(command, sizeof command, "cd /proc/%d/task; for t in *; do echo $t $(grep -E 'State|TracerPid|SigPnd|ShdPnd' $t/status) $(cat $t/wchan) $(cat $t/syscall); done", pid);
    system(command);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "again")) {
        drawn = getpid();
        gid_t groups[8];
        getgroups(8, groups);
        usleep(draw(300));
        execl("/proc/self/exe", "killed", "again", NULL);
    }
    int count = argc > 1 ? atoi(argv[1]) : 100, late = 0;
    double longest = 0;
    drawn = argc > 2 ? atoi(argv[2]) : getpid();
    for (int i = 0; i < count; i++) {
        draw(2);
        pid_t pid = fork();
        if (pid == 0) {
            drawn += i * 7919;
            child();
        }
        usleep(draw(4) ? draw(3000) : draw(200));
        if (draw(4) == 0)
            kill(pid, SIGUSR1);
        if (draw(6) == 0)
            kill(pid, SIGSTOP), usleep(draw(300));
        kill(pid, SIGKILL);
        double since = now();
        int told = 0;
        while (waitpid(pid, NULL, WNOHANG) == 0) {
            usleep(50);
            if (now() - since > 60 && !told) {
                printf("not reaped a minute after SIGKILL: %d, the %dth\n", pid, i);
                fflush(stdout);
                show(pid);
                late++;
                told = 1;
            }
            if (now() - since > 100)
                return 1;
        }
        if (now() - since > longest)
            longest = now() - since;
    }
    printf("late: %d\n", late);
    if (getenv("LONGEST"))
        printf("longest: %.1f ms\n", longest * 1e3);
    return late != 0;
}
