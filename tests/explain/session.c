/* Becomes somebody else, is refused the way back, and gives a file away, as a 32-bit program does too. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 2 || chown(argv[1], 33, 34))
        return perror("chown"), 1;
    if (setgroups(0, NULL) || setgid(42) || setuid(42))
        return perror("setuid"), 2;
    int regained = setuid(0);
    printf("%d %s\n", regained, strerror(errno));
    return chown(argv[1], 0, 0) == -1 && errno == EPERM ? 0 : 3;
}
