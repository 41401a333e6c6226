umask 022; touch f g many1 many2 many3 many4 many5; mkdir d; chown 33:42 f; chown 5:6 many?; chmod 4755 f
perl -e 'use POSIX; setgid(42); setuid(42); print setuid(0) ? "regained\n" : "kept out\n"'
perl -e '$( = $) = "42 42"; $< = $> = 42; chown 0, 0, "f" or print "refused\n"; chmod 0777, "g" or print "refused\n"'
mknod null c 1 3
touch new; chown 7:8 new; mv new settled
touch gone; chown 7:8 gone; rm gone
cp "/bin/true" suid; chown 77:0 suid; chmod 4755 suid; ./suid
perl -e 'syscall(165, my $s = "/dev/sda1", my $d = "d", my $t = "ext4", 0, 0) == -1 and print "no mount\n"'
perl -e 'syscall(170, my $n = "x", 1) == -1 and print "no name\n"'
perl -e 'mkdir "a\nb\e[2J" and chown 9, 9, "a\nb\e[2J" and print "named\n"'
