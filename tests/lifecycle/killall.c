/* kill(-1) in a pid namespace: who is reached, by credentials, and what the call gives. To be run as pid 1 of one. */
#include "guest.h"

static void become(uid_t real, uid_t effective, uid_t saved)
{
    must(syscall(SYS_setresgid, 33, 33, 33) == 0);
    must(syscall(SYS_setresuid, real, effective, saved) == 0);
}

static volatile int continued;
static void note(int signal) { (void)signal; continued = 1; }

/* Its other thread, perhaps with other ids. Signals are the first one's to handle. */
static void *other_thread(void *ids)
{
    uid_t *u = ids;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    must(syscall(SYS_setresuid, u[0], u[1], u[2]) == 0);
    dprintf(u[3], ".");
    for (;;)
        pause();
}

struct target {
    pid_t pid;
    int asked[2], answers[2];
};

/* Answers as long as it lives and was not continued. */
static void live(struct target *target)
{
    char byte;
    for (;;) {
        int got = read(target->asked[0], &byte, 1);
        if (continued)
            _exit(7);
        if (got == 1)
            must(write(target->answers[1], ".", 1) == 1);
    }
}

/* Whether it has ended, and how, or lives. What was sent to it before is handled before it can answer. */
static pid_t ended(struct target *target, int *status)
{
    char byte;
    must(write(target->asked[1], ".", 1) == 1);
    must(fcntl(target->answers[0], F_SETFL, O_NONBLOCK) == 0);
    for (;;) {
        pid_t got = waitpid(target->pid, status, WNOHANG);
        if (got || read(target->answers[0], &byte, 1) == 1)
            return got;
        pause_ms(1);
    }
}

static void make(struct target *target, uid_t *ids, uid_t *threads, int session)
{
    int ready[2];
    char byte;
    must(pipe(ready) == 0 && pipe(target->asked) == 0 && pipe(target->answers) == 0);
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
        live(target);
    }
    must(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    close(ready[1]);
    target->pid = pid;
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
        struct target targets[ALL];
        must(setsid() > 0);
        for (int i = 0; i < IDS; i++)
            make(&targets[i], ids[i], NULL, i % 2);
        make(&targets[IDS], NULL, NULL, 0);
        make(&targets[IDS + 1], NULL, NULL, 1);
        make(&targets[IDS + 2], NULL, thread_of_33, 1);
        make(&targets[IDS + 3], ids[0], thread_of_34, 1);
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
        for (int i = 0; i < ALL; i++) {
            int status = 0;
            pid_t got = ended(&targets[i], &status);
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
