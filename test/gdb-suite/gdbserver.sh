#!/bin/sh
# gdbserver's command line, as the suite gives it, for a machine whose guest is the program:
#   gdbserver.sh [--once] [other options] SOCKET PROGRAM [ARGUMENT…]
# STUB says whose machine. A line "Listening on" tells the suite that gdb may connect.
while [ "${1#--}" != "$1" ]; do
    [ "$1" = --multi ] && { echo "Exiting: there is no process to start"; exit 1; }
    shift
done
socket=$1 program=$2
shift
root=$(cd "$(dirname "$0")/../.." && pwd)

announce() {
    for _ in $(seq 600); do
        [ -S "$socket" ] && echo "Listening on $socket" && return
        sleep 0.05
    done
}
announce &

case $STUB in
qemu)
    exec qemu-system-x86_64 -accel tcg -m 256M -display none -monitor none -no-reboot -serial stdio \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel "$program" -append "$*" \
        -chardev "socket,id=gdb,path=$socket,server=on,wait=off" -gdb chardev:gdb -S
    ;;
*)
    exec node "$root/dist/bin/exoscope.js" serve "$program" --wait --append "$*" --on-detach halt \
        --listen "unix:$socket" --log-level silent
    ;;
esac
