/* A new process may run wherever its maker may, and so may those that it makes; what is set of it by another stays. With a
 * file that was given away, when its exec is reported. */
#include "guest.h"

static cpu_set_t all, one;

/* What /proc says of a task: how many processors. A task that has just stopped may be seen on its tracer's alone. */
static int allowed(pid_t task)
{
    char line[4096];
    snprintf(line, sizeof line, "/proc/%d/status", task);
    FILE *status = fopen(line, "r");
    must(status != NULL);
    int count = 0;
    while (fgets(line, sizeof line, status))
        if (strncmp(line, "Cpus_allowed:", 13) == 0)
            for (char *digit = line + 13; *digit; digit++)
                if (*digit != '0' && strchr("123456789abcdef", *digit))
                    count += __builtin_popcount(strtol((char[]){*digit, 0}, NULL, 16));
    fclose(status);
    return count;
}

/* Whether the calling task may run on so many. */
static int whole_of(int count)
{
    must(sched_getaffinity(0, sizeof all, &all) == 0);
    return CPU_COUNT(&all) == count;
}

static int whole(void)
{
    cpu_set_t got;
    must(sched_getaffinity(0, sizeof got, &got) == 0);
    return CPU_EQUAL(&got, &all);
}

/* Waits for `child`, which has exited with what it counted. */
static int counted(pid_t child)
{
    int status;
    must(waitpid(child, &status, 0) == child);
    return WEXITSTATUS(status);
}

/* Whether a child that makes no call that stops may run everywhere in the end. */
static int is_let(pid_t child)
{
    if (child == 0)
        for (;;)
            pause();
    int is = 0, status;
    for (int waited = 0; !is && waited < 60000; waited += 5) {
        pause_ms(5);
        is = allowed(child) == CPU_COUNT(&all);
    }
    kill(child, SIGKILL);
    must(waitpid(child, &status, 0) == child);
    return is;
}

/* Whether a child has what another sets of it, as soon as there is one or after a look at what it had. */
static int has_what_is_set(int looks, const cpu_set_t *wanted)
{
    int ready[2];
    char byte;
    cpu_set_t got;
    must(pipe(ready) == 0);
    pid_t child = fork();
    if (child == 0) {
        must(read(ready[0], &byte, 1) == 1);
        must(sched_getaffinity(0, sizeof got, &got) == 0);
        _exit(CPU_EQUAL(&got, wanted));
    }
    if (looks)
        must(sched_getaffinity(child, sizeof got, &got) == 0 && CPU_EQUAL(&got, &all));
    must(sched_setaffinity(child, sizeof *wanted, wanted) == 0);
    must(write(ready[1], "", 1) == 1 && close(ready[0]) == 0 && close(ready[1]) == 0);
    return counted(child);
}

int main(int argc, char **argv)
{
    if (argc > 2)
        return whole_of(atoi(argv[2]));
    must(chown(argv[1], 5, 6) == 0);
    must(sched_getaffinity(0, sizeof all, &all) == 0);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    char count[16];
    snprintf(count, sizeof count, "%d", CPU_COUNT(&all));
    int asked = 0, let = 0, grown = 0, set = 0, image = 0;
    for (int i = 0; i < 1000; i++) {
        cpu_set_t other;
        CPU_XOR(&other, &all, &one);
        set += has_what_is_set(i / 2 % 2, i % 2 && CPU_COUNT(&other) ? &other : &one);
    }
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(whole());
        asked += counted(child);
        let += is_let(fork());
        child = fork();
        if (child == 0)
            _exit(is_let(fork()));
        grown += counted(child);
        child = i % 2 ? fork() : vfork();
        if (child == 0) {
            execl("/proc/self/exe", argv[0], argv[1], count, NULL);
            _exit(127);
        }
        image += counted(child) == 1;
    }
    say("asked %d, let %d, grown %d, set %d, image %d\n", asked, let, grown, set, image);
    return 0;
}
