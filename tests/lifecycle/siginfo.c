/* A signal arrives as it was sent: code, value, sender and address. */
#include "guest.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stddef.h>
#include <time.h>

static siginfo_t last;
static sigjmp_buf back;

static void keep(int signal, siginfo_t *info, void *context)
{
    (void)context;
    last = *info;
    if (signal == SIGSEGV || signal == SIGFPE || signal == SIGTRAP)
        siglongjmp(back, 1);
}

static void trap_getpgrp(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP | 0x77),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    long result = syscall(SYS_getsid, 0);
    say("SIGSYS code %d errno %d call %d, at a place: %d, result is the number: %d\n", last.si_code, last.si_errno,
        last.si_syscall, last.si_call_addr != NULL, result == SYS_getsid);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = keep, .sa_flags = SA_SIGINFO};
    int signals[] = {SIGUSR1, SIGRTMIN + 3, SIGSEGV, SIGALRM, SIGCHLD, SIGSYS, SIGTRAP, SIGSTOP, SIGFPE};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 4711});
    say("queued: code %d value %d from me %d uid %d\n", last.si_code, last.si_value.sival_int,
        last.si_pid == getpid(), last.si_uid);
    kill(getpid(), SIGUSR1);
    say("kill: code %d from me %d\n", last.si_code, last.si_pid == getpid());
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
    say("tgkill: code %d from me %d\n", last.si_code, last.si_pid == getpid());
    if (sigsetjmp(back, 1) == 0)
        *(volatile char *)0x1234 = 1;
    say("SIGSEGV: code %d at %p\n", last.si_code, last.si_addr);
    if (sigsetjmp(back, 1) == 0)
        raise(SIGTRAP);
    say("raised SIGTRAP: code %d\n", last.si_code);
#ifdef __x86_64__
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("int3");
    say("int3: code %d\n", last.si_code);
#endif
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM, .sigev_value.sival_int = 815};
    timer_t timer;
    must(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    struct itimerspec soon = {{0, 0}, {0, 20000000}};
    sigset_t alarm, none;
    sigemptyset(&alarm), sigemptyset(&none);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm, NULL);
    timer_settime(timer, 0, &soon, NULL);
    sigsuspend(&none);
    say("timer: code %d value %d\n", last.si_code, last.si_value.sival_int);
    pid_t child = fork();
    if (child == 0)
        _exit(21);
    while (last.si_signo != SIGCHLD)
        pause_ms(1);
    say("SIGCHLD: code %d status %d from the child %d\n", last.si_code, last.si_status, last.si_pid == child);
    say_end("child", child);
    int counted = 0;
    sigset_t block, old;
    sigemptyset(&block);
    sigaddset(&block, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &block, &old);
    for (int i = 0; i < 20; i++)
        sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i});
    siginfo_t info;
    struct timespec now = {0, 0};
    while (sigtimedwait(&block, &info, &now) > 0)
        counted += info.si_value.sival_int == counted;
    say("twenty queued while blocked came in order: %d\n", counted);
    trap_getpgrp();
    return 0;
}
