/* What a program can ask about how it was started. `wrap` prepares an unusual start and executes the rest
 * of its arguments; `show` prints. */
#include "guest.h"

static void line_of(const char *key)
{
    char line[4096];
    FILE *status = fopen("/proc/self/status", "r");
    must(status != NULL);
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, key, strlen(key)))
            say("%s", line);
    fclose(status);
}

static void show(int argc, char **argv)
{
    say("pid %d parent %d group %d session %d terminal's %d\n", getpid(), getppid(), getpgrp(), getsid(0),
        tcgetpgrp(2));
    for (int i = 0; i < argc; i++)
        say("argument %s\n", argv[i]);
    for (int fd = 0; fd < 1024; fd++) {
        struct stat st;
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0 && fstat(fd, &st) == 0)
            say("descriptor %d flags %d %x type %o at %ld\n", fd, flags, fcntl(fd, F_GETFL), st.st_mode & S_IFMT,
                S_ISREG(st.st_mode) ? (long)lseek(fd, 0, SEEK_CUR) : -1);
    }
    const char *keys[] = {"Name:", "Umask:", "Threads:", "SigQ:", "SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:",
                          "SigCgt:", "Cpus_allowed:", "Mems_allowed:", "Speculation_Store_Bypass:"};
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i], "SigQ:"))
            line_of(keys[i]);
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit limit;
        getrlimit(i, &limit);
        say("limit %d: %ld %ld\n", i, (long)limit.rlim_cur, (long)limit.rlim_max);
    }
    cpu_set_t cpus;
    sched_getaffinity(0, sizeof cpus, &cpus);
    char cwd[4096], exe[4096] = "";
    must(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
    say("processors %d, policy %d, nice %d, in %s, running %s\n", CPU_COUNT(&cpus), sched_getscheduler(0),
        getpriority(PRIO_PROCESS, 0), getcwd(cwd, sizeof cwd), exe);
    int death = -1, reaper = -1;
    prctl(PR_GET_PDEATHSIG, &death);
    prctl(PR_GET_CHILD_SUBREAPER, &reaper);
    say("death signal %d, reaper %d, dumpable %d, slack %d, seccomp %d, no_new_privs %d\n", death, reaper,
        prctl(PR_GET_DUMPABLE), prctl(PR_GET_TIMERSLACK), prctl(PR_GET_SECCOMP),
        prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    int result = waitpid(-1, NULL, WNOHANG);
    say("children: %d %s\n", result, strerror(errno));
    result = waitpid(-1, NULL, WNOHANG | __WALL);
    say("children of any kind: %d %s\n", result, strerror(errno));
    struct itimerval timer;
    getitimer(ITIMER_REAL, &timer);
    say("a timer runs: %d\n", timer.it_value.tv_sec > 0);
}

int main(int argc, char **argv)
{
    must(argc >= 2);
    if (!strcmp(argv[1], "show")) {
        pause_ms(20); /* /proc shows for a moment on which processor a tracee was woken */
        show(argc, argv);
        return 0;
    }
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGCHLD);
    sigaddset(&blocked, SIGRTMIN + 5);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    raise(SIGUSR1); /* stays pending over exec */
    struct rlimit files = {77, 99};
    must(setrlimit(RLIMIT_NOFILE, &files) == 0);
    must(dup2(open("/etc/passwd", O_RDONLY), 42) == 42);
    lseek(42, 5, SEEK_SET);
    must(fcntl(open("/dev/null", O_RDWR), F_DUPFD_CLOEXEC, 50) == 50);
    umask(027);
    cpu_set_t first;
    sched_getaffinity(0, sizeof first, &first);
    for (int cpu = 0, kept = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &first) && kept++)
            CPU_CLR(cpu, &first);
    if (getenv("PINNED"))
        sched_setaffinity(0, sizeof first, &first);
    must(nice(3) != -1);
    prctl(PR_SET_TIMERSLACK, 70000);
    alarm(1000);
    must(setpgid(0, 0) == 0);
    execvp(argv[2], argv + 2);
    return 127;
}
