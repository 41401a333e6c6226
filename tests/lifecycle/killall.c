/* kill(-1) in a pid namespace: who is reached, by credentials, and what the call gives. To be run as pid 1 of one. */
#include "guest.h"

static void become(uid_t real, uid_t effective, uid_t saved)
{
    must(syscall(SYS_setresgid, 33, 33, 33) == 0);
    must(syscall(SYS_setresuid, real, effective, saved) == 0);
}

static volatile int continued;
static void note(int signal) { (void)signal; continued = 1; }

/* A process with these ids that lives until it is killed, and one of its threads perhaps with others. */
static void *other_thread(void *ids)
{
    uid_t *u = ids;
    must(syscall(SYS_setresuid, u[0], u[1], u[2]) == 0);
    dprintf(u[3], ".");
    for (;;)
        pause();
}

static pid_t target(uid_t *ids, uid_t *threads, int session)
{
    int ready[2];
    char byte;
    must(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGCONT, note);
        if (session)
            setsid();
        if (threads) {
            pthread_t t;
            int changed[2];
            must(pipe(changed) == 0);
            threads[3] = changed[1];
            must(pthread_create(&t, NULL, other_thread, threads) == 0);
            must(read(changed[0], &byte, 1) == 1);
        }
        if (ids)
            become(ids[0], ids[1], ids[2]);
        dprintf(ready[1], ".");
        while (!continued)
            usleep(1000);
        _exit(7);
    }
    must(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

int main(int argc, char **argv)
{
    static uid_t ids[][4] = {
        {33, 33, 33}, {34, 34, 34}, {34, 33, 34}, {34, 34, 33}, {33, 34, 34}, {0, 33, 33}, {33, 0, 0}, {0, 0, 33},
    };
    static uid_t thread_of_33[4] = {33, 33, 33}, thread_of_34[4] = {34, 34, 34};
    enum { IDS = sizeof ids / sizeof *ids, ALL = IDS + 4 };
    int signal_sent = argc > 1 ? atoi(argv[1]) : SIGKILL, caps = argc > 2 && !strcmp(argv[2], "root");
    uid_t sender = argc > 2 && !caps ? atoi(argv[2]) : 33;
    must(getpid() == 1);
    signal(SIGCONT, SIG_IGN);
    if (fork() == 0) {
        pid_t targets[ALL];
        must(setsid() > 0);
        for (int i = 0; i < IDS; i++)
            targets[i] = target(ids[i], NULL, i % 2);
        targets[IDS] = target(NULL, NULL, 0);
        targets[IDS + 1] = target(NULL, NULL, 1);
        targets[IDS + 2] = target(NULL, thread_of_33, 1);
        targets[IDS + 3] = target(ids[0], thread_of_34, 1);
        pid_t killer = fork();
        if (killer == 0) {
            if (!caps)
                become(sender, sender, sender);
            int got = syscall(SYS_kill, -1, signal_sent);
            dprintf(1, "kill: %d %s\n", got, got ? strerror(errno) : "");
            _exit(0);
        }
        /* As root this one is killed as well. */
        say_end("killer", killer);
        pause_ms(200);
        for (int i = 0; i < ALL; i++) {
            int status = 0;
            pid_t got = waitpid(targets[i], &status, WNOHANG);
            say("%d: %s %x\n", i, got ? "ended" : "lives", status);
        }
        kill(-1, SIGKILL);
        _exit(0);
    }
    while (wait(NULL) > 0) {
    }
    say("pid %d is left\n", getpid());
    return 0;
}
