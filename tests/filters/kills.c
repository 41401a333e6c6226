/* kills thread|process COMMAND...: a filter of somebody else's, of which the command knows nothing, kills for linkat(2).
 * kills leader|sibling|process: tasks that make a device, for which somebody may have them call linkat(2), and what is left then. */
#include "../lifecycle/guest.h"
#include "../lifecycle/filter.h"
#include <linux/capability.h>
#include <string.h>
#include <sys/sysmacros.h>

static int filtered(unsigned action, char **command)
{
    must(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !load(SYS_linkat, action, 0));
    execvp(command[0], command);
    return 127;
}

static void make_a_device(void)
{
    mknod("device", S_IFCHR | 0600, makedev(1, 3));
    say("made\n");
}

/* The state of a thread of this process, 0 where it is none. */
static char state(pid_t tid)
{
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, line, sizeof line - 1) < 1)
        line[0] = 0;
    if (fd >= 0)
        close(fd);
    char *behind = strrchr(line, ')');
    return behind ? behind[2] : 0;
}

static void give_away(void)
{
    struct stat found;
    close(open("file", O_CREAT | O_RDWR, 0600));
    must(!chown("file", 5, 6) && !stat("file", &found));
    say("%d:%d\n", found.st_uid, found.st_gid);
}

static void *outlives(void *leader)
{
    while (state(*(pid_t *)leader) != 'Z')
        pause_ms(1);
    say("the leader is gone\n");
    give_away();
    _exit(7);
}

static volatile pid_t sibling;

static void *goes(void *unused)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    must(!syscall(SYS_capget, &header, sets));
    sets[0].effective &= ~(1u << CAP_SYS_TIME);
    must(!syscall(SYS_capset, &header, sets));
    sibling = gettid();
    make_a_device();
    return unused;
}

int main(int count, char **words)
{
    pthread_t thread;
    pid_t own = getpid();
    const char *what = count > 1 ? words[1] : "";
    if (count > 2)
        return filtered(!strcmp(what, "thread") ? SECCOMP_RET_KILL_THREAD : SECCOMP_RET_KILL_PROCESS, words + 2);
    if (!strcmp(what, "leader")) {
        must(!pthread_create(&thread, NULL, outlives, &own));
        make_a_device();
        pause();
    }
    if (!strcmp(what, "sibling")) {
        struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
        must(!pthread_create(&thread, NULL, goes, NULL));
        while (!sibling || state(sibling))
            pause_ms(1);
        header.pid = sibling;
        struct __user_cap_data_struct sets[2];
        say("of who is gone: %ld\n", syscall(SYS_capget, &header, sets) ? (long)errno : 0);
        give_away();
    }
    if (!strcmp(what, "process")) {
        for (int threads = 0; threads < 2; threads++) {
            pid_t child = fork();
            if (!child) {
                if (threads)
                    must(!pthread_create(&thread, NULL, (void *(*)(void *))pause, NULL));
                make_a_device();
                _exit(0);
            }
            say_end("child", child);
        }
        give_away();
    }
    return 0;
}
