# What programs do that have been run often before, by whoever that is then.
umask 022
exec 2>&1
touch x && chown 5:6 x
mkdir work && chmod 1777 work && cd work
touch others && chmod 666 others && chown 5:6 others
tries() {
    for i in 1 2 3 4 5 6 7 8; do
        mkdir "$1$i" && touch "$1$i/file" && cp -a "$1$i/file" "$1$i/copy" && ln -s file "$1$i/link" && mkfifo "$1$i/fifo"
        chmod 640 "$1$i/file" others
        chown 5:6 "$1$i/copy"
        touch -d @7 "$1$i/file"
        mv "$1$i/file" "$1$i/moved"
        cp -a "$1$i" "$1-$i" && rm -r "$1-$i" && mkdir "$1$i/gone" && rmdir "$1$i/gone"
        stat -c '%n %u:%g %a' "$1$i" "$1$i"/*
    done
}
mkdir roots
tries root
export -f tries 2>/dev/null
setpriv --reuid 42 --regid 43 --clear-groups bash -c 'tries user'
setpriv --inh-caps=-all --bounding-set=-chown,-fowner,-fsetid bash -c 'tries few'
setpriv --reuid 42 --regid 43 --clear-groups bash -c 'rm -r user1 user2; rmdir roots; ls -d roots user1 user2'
tries again
stat -c "%n %u:%g %a" others
