/* Signals and syscalls: what is interrupted fails with EINTR, what restarts does so by itself, and an
 * answered call is never torn by a signal. */
#include "guest.h"
#include <poll.h>

static volatile sig_atomic_t alarms;
static volatile sig_atomic_t torn;
static int checking;

static void on_alarm(int signal)
{
    (void)signal;
    alarms++;
    if (checking) {
        uid_t r, e, s;
        if (syscall(SYS_getresuid, &r, &e, &s) != 0 || r != 0 || s != 0 || (e != 0 && e != 5))
            torn++;
    }
}

/* Again and again: the first may come before the call that it is to interrupt. */
static void alarm_every(long us, int flags)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, us}, {0, us}};
    setitimer(ITIMER_REAL, &timer, NULL);
    alarms = 0;
}

/* Once: a machine may need longer to deliver one than it is to the next. */
static void alarm_in(long us)
{
    struct itimerval timer = {{0, 0}, {0, us}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void wait_for_alarms(void)
{
    while (alarms < 3)
        pause_ms(1);
}

static void *write_later(void *argument)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    wait_for_alarms();
    must(write(*(int *)argument, "x", 1) == 1);
    return NULL;
}

int main(void)
{
    int pipes[2];
    char byte;
    must(pipe(pipes) == 0);
    alarm_every(30000, 0);
    ssize_t got = read(pipes[0], &byte, 1);
    say("read: %zd %s\n", got, got < 0 ? strerror(errno) : "");
    pthread_t t;
    alarm_every(30000, SA_RESTART);
    pthread_create(&t, NULL, write_later, &pipes[1]);
    got = read(pipes[0], &byte, 1);
    say("read restarted: %zd\n", got);
    pthread_join(t, NULL);
    alarm_every(30000, SA_RESTART);
    struct pollfd nothing = {pipes[0], POLLIN, 0};
    int result = poll(&nothing, 1, 1000000);
    say("poll: %d %s\n", result, strerror(errno));
    alarm_every(30000, SA_RESTART);
    struct timespec long_time = {1000, 0}, left = {0};
    result = nanosleep(&long_time, &left);
    say("nanosleep: %d %s, much is left: %d\n", result, strerror(errno), left.tv_sec > 500);
    must(pipe(pipes) == 0);
    pid_t child = fork();
    if (child == 0) {
        must(read(pipes[0], &byte, 1) == 1);
        _exit(4);
    }
    alarm_every(30000, SA_RESTART);
    pthread_create(&t, NULL, write_later, &pipes[1]);
    say_end("wait restarted", child);
    pthread_join(t, NULL);
    alarm_every(30000, 0);
    sigset_t none;
    sigemptyset(&none);
    result = sigsuspend(&none);
    say("sigsuspend: %d %s\n", result, strerror(errno));
    alarm_every(0, SA_RESTART);

    checking = 1;
    int failures = 0, seen = -1;
    for (int i = 0; i < 3000 || alarms < 100; i++) {
        uid_t wanted = i % 2 ? 5 : 0;
        uid_t r, e, s;
        if (seen != alarms)
            seen = alarms, alarm_in(100 + i % 300);
        if (syscall(SYS_setresuid, -1, wanted, -1) != 0)
            failures++;
        if (syscall(SYS_getresuid, &r, &e, &s) != 0 || r != 0 || e != wanted || s != 0)
            failures++;
    }
    alarm_in(0);
    say("failures: %d, torn: %d\n", failures, (int)torn);
    return 0;
}
