#!/bin/sh
# GDB's own test suite against this server; README.md beside this file says more.
#   npm run gdb-suite -- SOURCE [--stub=qemu] [gdb.base/break.exp…]
# Results are left in build/gdb-suite/STUB (gdb.sum, gdb.log, outputs/).
set -e
here=$(cd "$(dirname "$0")" && pwd)
suite=$(cd "${1:?the folder of the source of gdb}" && pwd)/gdb/testsuite
shift
STUB=exoscope
case $1 in --stub=*) STUB=${1#--stub=}; shift ;; esac
build=${GDB_SUITE_BUILD:-$here/../../build/gdb-suite}/$STUB
mkdir -p "$build"
cd "$build"

if [ $# = 0 ]; then
    grep -v '^#' "$here/unfit.txt" > unfit
    cd "$suite"
    set -- $(grep -lE 'runto|gdb_run_cmd|gdb_start_cmd|gdb_breakpoint|mi_run|gdb_reload' gdb.base/*.exp |
        grep -vEf "$OLDPWD/unfit") gdb.trace/*.exp
    cd "$OLDPWD"
fi

guest="-O2 -ffreestanding -fno-pic -fcf-protection=none -fno-stack-protector -mgeneral-regs-only"
gcc $guest -Wall -Wextra -c "$here/process.c" -o process.o
gcc -c "$here/start.S" -o start.o
GUEST_OBJECTS="$PWD/start.o $PWD/process.o"
GUEST_SERVER=$here/gdbserver.sh
GUEST_SOCKETS=$(mktemp -d)
trap 'rm -rf "$GUEST_SOCKETS"' EXIT
export STUB GUEST_OBJECTS GUEST_SERVER GUEST_SOCKETS

cat > site.exp <<SITE
set build_triplet x86_64-pc-linux-gnu
set host_triplet x86_64-pc-linux-gnu
set target_triplet x86_64-unknown-elf
set target_alias x86_64-unknown-elf
set srcdir $suite
set tool gdb
set enable_libctf no
set boards_dir $here
set gdb_test_timeout 10
SITE
runtest --target_board=exoscope GDB=gdb "$@"
