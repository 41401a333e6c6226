/* Which processors a task may use is its own affair: what it sets stays, and what it has is shown, however
 * often it is stopped. */
#include "guest.h"

int main(void)
{
    cpu_set_t all, one, got;
    int lost = 0, strange = 0;
    must(sched_getaffinity(0, sizeof all, &all) == 0);
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    for (int i = 0; i < 2000; i++) {
        cpu_set_t *wanted = i / 7 % 2 ? &one : &all;
        if (i % 7 == 0)
            must(sched_setaffinity(0, sizeof all, wanted) == 0);
        must(syscall(SYS_setresuid, -1, i % 2 ? 5 : 0, -1) == 0);
        must(sched_getaffinity(0, sizeof got, &got) == 0);
        if (!CPU_EQUAL(&got, wanted))
            CPU_EQUAL(wanted, &one) ? lost++ : strange++;
    }
    must(sched_setaffinity(0, sizeof all, &all) == 0);
    int whole = 0;
    for (int i = 0; i < 200; i++) {
        must(syscall(SYS_setresuid, -1, i % 2 ? 5 : 0, -1) == 0);
        pid_t child = fork();
        if (child == 0) {
            pause_ms(1);
            must(sched_getaffinity(0, sizeof got, &got) == 0);
            _exit(CPU_EQUAL(&got, &all));
        }
        int status;
        must(waitpid(child, &status, 0) == child);
        whole += WEXITSTATUS(status);
    }
    say("children with all processors: %d\n", whole);
    pause_ms(20);
    sched_getaffinity(0, sizeof got, &got);
    say("lost %d, strange %d, all in the end %d\n", lost, strange, CPU_EQUAL(&got, &all));
    return 0;
}
