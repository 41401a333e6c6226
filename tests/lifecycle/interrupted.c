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

static void alarm_in(long first_us, long then_us, int flags)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, then_us}, {0, first_us}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void *write_later(void *argument)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    pause_ms(150);
    must(write(*(int *)argument, "x", 1) == 1);
    return NULL;
}

int main(void)
{
    int pipes[2];
    char byte;
    must(pipe(pipes) == 0);
    alarm_in(30000, 0, 0);
    ssize_t got = read(pipes[0], &byte, 1);
    say("read: %zd %s\n", got, got < 0 ? strerror(errno) : "");
    pthread_t t;
    pthread_create(&t, NULL, write_later, &pipes[1]);
    alarm_in(30000, 0, SA_RESTART);
    got = read(pipes[0], &byte, 1);
    say("read restarted: %zd\n", got);
    pthread_join(t, NULL);
    alarm_in(30000, 0, SA_RESTART);
    struct pollfd nothing = {pipes[0], POLLIN, 0};
    int result = poll(&nothing, 1, 5000);
    say("poll: %d %s\n", result, strerror(errno));
    alarm_in(30000, 0, SA_RESTART);
    struct timespec long_time = {5, 0}, left = {0};
    result = nanosleep(&long_time, &left);
    say("nanosleep: %d %s, %ld s left\n", result, strerror(errno), (long)left.tv_sec);
    pid_t child = fork();
    if (child == 0) {
        pause_ms(150);
        _exit(4);
    }
    alarm_in(30000, 0, SA_RESTART);
    say_end("wait restarted", child);
    alarm_in(30000, 0, 0);
    sigset_t none;
    sigemptyset(&none);
    result = sigsuspend(&none);
    say("sigsuspend: %d %s\n", result, strerror(errno));
    say("alarms: %d\n", (int)alarms);

    checking = 1;
    alarm_in(300, 300, SA_RESTART);
    int failures = 0;
    for (int i = 0; i < 3000 || alarms < 100; i++) {
        uid_t wanted = i % 2 ? 5 : 0;
        uid_t r, e, s;
        if (syscall(SYS_setresuid, -1, wanted, -1) != 0)
            failures++;
        if (syscall(SYS_getresuid, &r, &e, &s) != 0 || r != 0 || e != wanted || s != 0)
            failures++;
    }
    alarm_in(0, 0, 0);
    say("failures: %d, torn: %d\n", failures, (int)torn);
    return 0;
}
